"""Handshakes, events with their acks, and events to single sockets."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from chat_service.contracts.transport import Handshake
from chat_service.testing.transport_suite.base import Stage, TransportTests
from chat_service.testing.waiting import wait_until
from chat_service.types import SocketId

NOBODY = SocketId("nobody")

#: Values sent in both directions.
VALUES: dict[str, list[Any]] = {
    "nothing": [],
    "null": [None],
    "scalars": [True, False, 0, -1, 2**53 - 1, 0.5, "", "text"],
    "unicode": ["grüße, мир, 世界, 👩‍👩‍👧, \u0000, \u2028"],
    "lists": [[], [1, [2, [3]]], ["a", None]],
    "maps": [{}, {"a": {"b": [{"c": 1}]}, "ключ": ""}],
    "binary": [b"\x00\xff\xfe"],
    "several binary values": [b"", {"a": [b"\x80", {"b": b"\x81"}]}, bytes(range(256)), "text"],
    "long": ["x" * 60_000, b"\xa5" * 60_000],
}


class SocketSuite(TransportTests):
    """Exchanges between a client and the handler."""

    # Handshakes

    async def test_handshake(self, stage: Stage) -> None:
        query = {"userName": "Алиса", "empty": ""}
        client = await stage.connect(query=query, headers={"X-Token": "Secret"}, auth={"token": [1, "é"]})
        handshake = stage.transport.get_handshake(client.id)
        assert handshake.is_connected is True
        shown = {name: value for name, value in handshake.query.items() if name in query}
        assert shown == (query if self.has_query else {})
        headers = {name: value for name, value in handshake.headers.items() if name == "x-token"}
        assert headers == ({"x-token": "Secret"} if self.has_headers else {})
        assert all(name == name.lower() for name in handshake.headers)
        assert handshake.auth == ({"token": [1, "é"]} if self.has_auth else None)
        assert handshake.remote_addr in (None, "127.0.0.1", "::1")
        assert handshake.transport and handshake.fingerprint == client.id

    async def test_handshake_without_auth(self, stage: Stage) -> None:
        client = await stage.connect()
        assert stage.transport.get_handshake(client.id).auth is None

    async def test_handshakes_of_sockets_are_separate(self, stage: Stage) -> None:
        clients = [await stage.connect(query={"number": str(number)}) for number in range(3)]
        for number, client in enumerate(clients):
            shown = stage.transport.get_handshake(client.id).query.get("number")
            assert shown == (str(number) if self.has_query else None)

    async def test_handshake_of_an_unknown_socket(self, stage: Stage) -> None:
        assert stage.transport.get_handshake(NOBODY) == Handshake(is_connected=False)
        client = await stage.connect(query={"userName": "alice"})
        await client.disconnect()
        await stage.gone(client)
        await wait_until(
            lambda: stage.transport.get_handshake(client.id) == Handshake(is_connected=False),
            "the handshake data to be forgotten",
        )

    async def test_library_objects(self, stage: Stage) -> None:
        client = await stage.connect()
        assert stage.transport.get_socket(client.id) is not None
        assert stage.transport.get_socket(NOBODY) is None
        assert stage.transport.get_server() is not None
        await client.disconnect()
        await stage.gone(client)
        assert stage.transport.get_socket(client.id) is None

    # Events from clients

    @pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
    async def test_event_and_ack_values_arrive_unchanged(self, stage: Stage, values: list[Any]) -> None:
        client = await stage.connect()
        assert await client.emit("event", *values) == values
        assert stage.handler.of(client.id, "event") == [("event", client.id, "event", values)]

    async def test_event_without_an_ack(self, stage: Stage) -> None:
        client = await stage.connect()
        await client.send("first", 1)
        assert await client.emit("second", 2) == [2]
        assert [call[2:] for call in stage.handler.of(client.id, "event")] == [
            ("first", [1]),
            ("second", [2]),
        ]

    async def test_ack_accepts_lists_and_tuples(self, stage: Stage) -> None:
        client = await stage.connect()
        answers: list[Sequence[Any]] = [[None, 1], (None, 1), [None, [1, 2], {"a": ()}], (["only"],), ()]

        async def answer(socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
            number: int = args[0]
            return answers[number]

        stage.handler.answer = answer
        acks = [await client.emit("event", number) for number in range(len(answers))]
        assert acks == [[None, 1], [None, 1], [None, [1, 2], {"a": []}], [["only"]], []]

    @pytest.mark.parametrize("event", ["message", "a b", "событие", "on_event", "ping"])
    async def test_event_names_are_arbitrary(self, stage: Stage, event: str) -> None:
        client = await stage.connect()
        assert await client.emit(event, 1) == [1]

    async def test_events_of_a_socket_start_in_order(self, stage: Stage) -> None:
        client = await stage.connect()
        acks = await asyncio.gather(*(client.emit("event", number) for number in range(100)))
        assert acks == [[number] for number in range(100)]
        assert [call[3] for call in stage.handler.of(client.id, "event")] == [[n] for n in range(100)]

    async def test_events_do_not_wait_for_each_other(self, stage: Stage) -> None:
        client, other = await stage.connect_many(2)
        release = asyncio.Event()

        async def answer(socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
            if event == "slow":
                await release.wait()
            return args

        stage.handler.answer = answer
        slow = asyncio.create_task(client.emit("slow", "slow"))
        await wait_until(lambda: bool(stage.handler.of(client.id, "event")), "the slow event")
        assert await client.emit("quick", "quick") == ["quick"]
        assert await other.emit("quick", "quick") == ["quick"]
        assert not slow.done()
        release.set()
        assert await slow == ["slow"]

    # Events to a socket

    @pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
    async def test_emitted_values_arrive_unchanged(self, stage: Stage, values: list[Any]) -> None:
        client, other = await stage.connect_many(2)
        stage.transport.emit(client.id, "event", values)
        stage.transport.emit(client.id, "event", tuple(values))
        assert await stage.events(client) == [("event", values)] * 2
        assert await stage.events(other) == []

    async def test_emits_arrive_in_order(self, stage: Stage) -> None:
        client = await stage.connect()
        for number in range(300):
            stage.transport.emit(client.id, "event", [number, b"binary"] if number % 3 else [number])
        assert [args[0] for _, args in await stage.events(client)] == list(range(300))

    async def test_later_changes_do_not_affect_emitted_values(self, stage: Stage) -> None:
        client = await stage.connect()
        value = {"list": [1]}
        stage.transport.emit(client.id, "event", [value])
        value["list"].append(2)
        assert await stage.events(client) == [("event", [{"list": [1]}])]

    async def test_emit_to_an_unknown_socket(self, stage: Stage) -> None:
        client, other = await stage.connect_many(2)
        stage.transport.emit(NOBODY, "event", [1])
        await client.disconnect()
        await stage.gone(client)
        stage.transport.emit(client.id, "event", [1])
        assert await stage.events(other) == []

    async def test_event_before_its_ack_arrives_before_it(self, stage: Stage) -> None:
        client = await stage.connect()

        async def answer(socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
            stage.transport.emit(socket_id, "before the ack", ())
            return args

        stage.handler.answer = answer
        await client.emit("event")
        assert client.events == [("before the ack", [])]
