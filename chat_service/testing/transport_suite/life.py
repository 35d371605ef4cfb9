"""Starting, accepting clients and closing."""

import asyncio

from chat_service.testing.transport_suite.base import Stage, TransportTests
from chat_service.testing.waiting import patience, wait_until


class LifeSuite(TransportTests):
    """Lifecycle of a transport and its sockets."""

    # The transport

    async def test_no_client_is_accepted_before_listen(self, unstarted: Stage) -> None:
        await unstarted.transport.start(unstarted.handler)
        await unstarted.refused()
        await unstarted.transport.listen()
        client = await unstarted.connect()
        assert await unstarted.events(client) == []

    async def test_port_is_a_number_or_none(self, stage: Stage) -> None:
        port = stage.transport.port
        assert port is None or 0 < port < 65536

    async def test_stop_listening_keeps_connected_clients(self, stage: Stage) -> None:
        client = await stage.connect()
        await stage.transport.stop_listening()
        await stage.transport.stop_listening()
        await stage.refused()
        assert await client.emit("event", 1) == [1]
        assert set(stage.transport.socket_ids()) == {client.id}

    async def test_close_disconnects_all_clients(self, stage: Stage) -> None:
        clients = await stage.connect_many(3)
        await stage.transport.close()
        for client in clients:
            await stage.gone(client)
            assert len(stage.handler.of(client.id, "disconnect")) == 1
        assert set(stage.transport.socket_ids()) == set()
        await stage.transport.close()
        await stage.refused()

    async def test_close_before_start(self, unstarted: Stage) -> None:
        await unstarted.transport.close()
        await unstarted.transport.close()

    async def test_close_before_listen(self, unstarted: Stage) -> None:
        await unstarted.transport.start(unstarted.handler)
        await unstarted.transport.close()
        await unstarted.refused()

    # Sockets

    async def test_on_connect_is_called_once_and_first(self, stage: Stage) -> None:
        stage.handler.greeting = ("welcome", ("you",))
        client = await stage.connect()
        assert await client.emit("event", 1) == [1]
        assert stage.handler.of(client.id) == [
            ("connect", client.id),
            ("event", client.id, "event", [1]),
        ]
        assert stage.handler.was_connected == [("connect", client.id, True)]
        # The socket could receive events immediately.
        assert await stage.events(client) == [("welcome", ["you"])]

    async def test_sockets_have_distinct_ids(self, stage: Stage) -> None:
        clients = await stage.connect_many(3)
        ids = {client.id for client in clients}
        assert len(ids) == 3
        assert set(stage.transport.socket_ids()) == ids
        for socket_id in ids:
            assert isinstance(socket_id, str)
            assert stage.transport.is_connected(socket_id)

    async def test_client_disconnects(self, stage: Stage) -> None:
        client, other = await stage.connect_many(2)
        await client.disconnect()
        await stage.gone(client)
        assert stage.transport.is_connected(client.id) is False
        assert set(stage.transport.socket_ids()) == {other.id}
        (call,) = stage.handler.of(client.id, "disconnect")
        assert isinstance(call[2], str)
        assert ("disconnect", client.id, False) in stage.handler.was_connected
        assert stage.handler.of(other.id, "disconnect") == []
        assert await other.emit("event", 1) == [1]

    async def test_server_disconnects(self, stage: Stage) -> None:
        client, other = await stage.connect_many(2)
        for number in range(20):
            stage.transport.emit(client.id, "last words", [number])
        await stage.transport.disconnect(client.id)
        await stage.gone(client)
        # Queued events were sent first.
        assert client.events == [("last words", [number]) for number in range(20)]
        assert stage.transport.is_connected(client.id) is False
        assert await other.emit("event", 1) == [1]
        await stage.transport.disconnect(client.id)
        assert len(stage.handler.of(client.id, "disconnect")) == 1

    async def test_disconnect_of_unknown_socket(self, stage: Stage) -> None:
        client = await stage.connect()
        await stage.transport.disconnect(type(client.id)("nobody"))
        assert await client.emit("event", 1) == [1]

    async def test_disconnect_inside_an_event_handler(self, stage: Stage) -> None:
        client = await stage.connect()

        async def answer(*_: object) -> list[object]:
            await stage.transport.disconnect(client.id)
            return []

        stage.handler.answer = answer
        await client.send("event")
        await stage.gone(client)
        assert len(stage.handler.of(client.id, "disconnect")) == 1

    async def test_event_may_outlive_its_socket(self, stage: Stage) -> None:
        client, other = await stage.connect_many(2)
        release, finished = asyncio.Event(), asyncio.Event()

        async def answer(*_: object) -> list[object]:
            await release.wait()
            finished.set()
            return ["late"]

        stage.handler.answer = answer
        await client.send("event")
        await wait_until(lambda: bool(stage.handler.of(client.id, "event")), "the event")
        await client.disconnect()
        await stage.gone(client)
        release.set()
        async with asyncio.timeout(patience()):
            await finished.wait()
        assert await other.emit("event") == ["late"]
