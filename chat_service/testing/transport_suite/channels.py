"""Channels: membership and broadcasts."""

from typing import Any

import pytest

from chat_service.testing.transport_suite.base import Stage, TransportTests
from chat_service.testing.transport_suite.sockets import NOBODY, VALUES
from chat_service.types import Channel

ROOM, HALL = Channel("room"), Channel("user:алиса 🎈")


class ChannelSuite(TransportTests):
    """Broadcasts."""

    async def test_broadcast_reaches_only_the_channel(self, stage: Stage) -> None:
        one, two, three = await stage.connect_many(3)
        for client in (one, two):
            stage.transport.join_channel(client.id, ROOM)
        stage.transport.join_channel(three.id, HALL)
        stage.transport.broadcast(ROOM, "event", ["a"])
        stage.transport.broadcast(HALL, "event", ["b"])
        assert await stage.events(one) == [("event", ["a"])]
        assert await stage.events(two) == [("event", ["a"])]
        assert await stage.events(three) == [("event", ["b"])]

    async def test_broadcast_excludes_sockets(self, stage: Stage) -> None:
        one, two, three = await stage.connect_many(3)
        for client in (one, two, three):
            stage.transport.join_channel(client.id, ROOM)
        stage.transport.broadcast(ROOM, "event", [1], exclude=[two.id, NOBODY])
        stage.transport.broadcast(ROOM, "event", [2], exclude=frozenset({one.id, two.id, three.id}))
        stage.transport.broadcast(ROOM, "event", [3], exclude=())
        assert await stage.events(one) == [("event", [1]), ("event", [3])]
        assert await stage.events(two) == [("event", [3])]
        assert await stage.events(three) == [("event", [1]), ("event", [3])]

    @pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
    async def test_broadcast_values_arrive_unchanged(self, stage: Stage, values: list[Any]) -> None:
        clients = await stage.connect_many(2)
        for client in clients:
            stage.transport.join_channel(client.id, ROOM)
        stage.transport.broadcast(ROOM, "event", values)
        stage.transport.broadcast(ROOM, "event", tuple(values))
        for client in clients:
            assert await stage.events(client) == [("event", values)] * 2

    async def test_broadcast_to_an_empty_channel(self, stage: Stage) -> None:
        client = await stage.connect()
        stage.transport.broadcast(ROOM, "event", [1])
        stage.transport.join_channel(client.id, ROOM)
        assert await stage.events(client) == []

    async def test_joining_twice_delivers_once(self, stage: Stage) -> None:
        client = await stage.connect()
        for _ in range(2):
            stage.transport.join_channel(client.id, ROOM)
        stage.transport.broadcast(ROOM, "event", [1])
        assert await stage.events(client) == [("event", [1])]
        stage.transport.leave_channel(client.id, ROOM)
        stage.transport.broadcast(ROOM, "event", [2])
        assert await stage.events(client) == []

    async def test_leaving_a_channel(self, stage: Stage) -> None:
        one, two = await stage.connect_many(2)
        for client in (one, two):
            stage.transport.join_channel(client.id, ROOM)
            stage.transport.join_channel(client.id, HALL)
        stage.transport.leave_channel(one.id, ROOM)
        # Unknown sockets and channels are ignored.
        stage.transport.leave_channel(one.id, ROOM)
        stage.transport.leave_channel(NOBODY, HALL)
        stage.transport.leave_channel(two.id, Channel("other"))
        for channel in (ROOM, HALL):
            stage.transport.broadcast(channel, "event", [channel])
        assert await stage.events(one) == [("event", [HALL])]
        assert await stage.events(two) == [("event", [ROOM]), ("event", [HALL])]

    async def test_unknown_sockets_join_nothing(self, stage: Stage) -> None:
        client, other = await stage.connect_many(2)
        stage.transport.join_channel(other.id, ROOM)
        stage.transport.join_channel(NOBODY, ROOM)
        await client.disconnect()
        await stage.gone(client)
        stage.transport.join_channel(client.id, ROOM)
        stage.transport.broadcast(ROOM, "event", [1])
        assert await stage.events(other) == [("event", [1])]

    async def test_disconnected_sockets_leave_their_channels(self, stage: Stage) -> None:
        client, other = await stage.connect_many(2)
        for each in (client, other):
            stage.transport.join_channel(each.id, ROOM)
        await stage.transport.disconnect(client.id)
        await stage.gone(client)
        stage.transport.broadcast(ROOM, "event", [1])
        assert await stage.events(other) == [("event", [1])]
        assert client.events == []

    async def test_emits_and_broadcasts_keep_their_order(self, stage: Stage) -> None:
        client, other = await stage.connect_many(2)
        for each in (client, other):
            stage.transport.join_channel(each.id, ROOM)
        for number in range(100):
            if number % 2:
                stage.transport.emit(client.id, "event", [number])
            else:
                stage.transport.broadcast(ROOM, "event", [number, b"binary"])
        assert [args[0] for _, args in await stage.events(client)] == list(range(100))
        assert [args[0] for _, args in await stage.events(other)] == list(range(0, 100, 2))

    async def test_broadcast_before_an_ack_arrives_before_it(self, stage: Stage) -> None:
        client = await stage.connect()
        stage.transport.join_channel(client.id, ROOM)

        async def answer(*_: object) -> list[Any]:
            stage.transport.broadcast(ROOM, "before the ack", ())
            return []

        stage.handler.answer = answer
        await client.emit("event")
        assert client.events == [("before the ack", [])]
