"""One room of Socket.IO, plain WebSockets and lines: order, presence, kicks, limits, slow readers, drain."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from chat_service.transports.streams import LineTransport, WebSocketTransport
from tests.conformance.socketio_client import connector
from tests.conformance.stream_client import connect_line, connect_socket
from tests.support.backends import ONE_STORE, Backend
from tests.support.parts import parts_of
from tests.support.world import name_by_query

KINDS = ("socketio", "websocket", "line")


class Place:
    """A service with three transports, and clients of each."""

    def __init__(self, backend: Backend, **limits: Any) -> None:
        self.lines = LineTransport(port=0, **limits)
        self.sockets = WebSocketTransport(**limits)
        self.service = ChatService(
            port=0,
            store=backend.new_store(),
            transport=["socket.io", self.sockets, self.lines],
            hooks={"on_connect": name_by_query},
            enable_userlist_updates=True,
            command_rate=None,
            drain_delay=0,
            drain_seconds=0,
        )
        self.clients: list[Any] = []

    async def connect(self, kind: str, user: str) -> Any:
        group: Any = parts_of(self.service).transport
        query = {"userName": user}
        if kind == "socketio":
            client: Any = await connector("websocket")(group.members[0], query=query)
        elif kind == "websocket":
            client = await connect_socket(self.sockets, query=query, port=self.service.port)
        else:
            client = await connect_line(self.lines, query=query)
        self.clients.append(client)
        await self.heard(client, "loginConfirmed")
        return client

    async def joined(self, *kinds: str) -> list[Any]:
        """A client of each kind, whose user is called like it, in the room."""
        found = [await self.connect(kind, kind) for kind in kinds]
        for client in found:
            assert (await client.emit("roomJoin", "room"))[0] is None
        for client in found:
            last = found[-1]
            if client is not last:
                await self.heard(client, "roomUserJoined", ["room", kinds[-1]])
        for client in found:
            client.events.clear()
        return found

    async def heard(self, client: Any, event: str, args: list[Any] | None = None) -> None:
        await wait_until(
            lambda: any(name == event and args in (None, given) for name, given in client.events),
            f"{event} {args or ''}",
        )

    async def close(self) -> None:
        await self.service.close()
        for client in self.clients:
            await client.disconnect()


@pytest.fixture
async def place(backend: Backend) -> AsyncIterator[Place]:
    place = Place(backend)
    await place.service.start()
    await place.service.add_room("room")
    yield place
    await place.close()


def said(client: Any) -> list[tuple[str, str]]:
    return [
        (args[1]["author"], args[1]["textMessage"]) for name, args in client.events if name == "roomMessage"
    ]


async def test_all_get_everything_in_one_order(place: Place) -> None:
    clients = await place.joined(*KINDS)
    await asyncio.gather(
        *(
            client.emit("roomMessage", "room", {"textMessage": str(number)})
            for number in range(20)
            for client in clients
        )
    )
    for client in clients:
        await wait_until(lambda client=client: len(said(client)) == 60, "all messages")
    assert said(clients[0]) == said(clients[1]) == said(clients[2])
    for kind in KINDS:
        own = [int(text) for author, text in said(clients[0]) if author == kind]
        assert own == list(range(20))
    histories = [(await client.emit("roomRecentHistory", "room"))[1] for client in clients]
    assert histories[0] == histories[1] == histories[2] and len(histories[0]) == 60


async def test_presence_and_removal(place: Place) -> None:
    first, second, line = await place.joined(*KINDS)
    # A line that ends, and one whose user is removed.
    await line.disconnect()
    for client in (first, second):
        await place.heard(client, "roomUserLeft", ["room", "line"])
    await place.service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["websocket"])
    await place.heard(second, "roomAccessRemoved", ["room"])
    await place.heard(first, "roomUserLeft", ["room", "websocket"])
    await first.emit("roomMessage", "room", {"textMessage": "who is there?"})
    await place.heard(first, "roomMessage")
    assert said(second) == []


@pytest.mark.parametrize("kind", ["websocket", "line"])
async def test_kicks(place: Place, kind: str) -> None:
    client, other = await place.joined(kind, "socketio")
    await place.service.disconnect_user_sockets(kind)
    await wait_until(lambda: not client.connected, "the end of the connection")
    await place.heard(other, "roomUserLeft", ["room", kind])
    if kind == "line":
        assert client.others[-1] == {"closing": "server disconnect"}
    else:
        assert client.close_code == 1000


async def test_a_drain(place: Place) -> None:
    clients = await place.joined(*KINDS)
    await place.service.drain()
    for client in clients:
        await wait_until(lambda client=client: not client.connected, "the end of the connection")
    assert clients[1].close_code == 1012
    assert clients[2].others[-1] == {"closing": "server disconnect", "mayReturn": True}
    with pytest.raises(ConnectionError):
        await connect_line(place.lines)


@ONE_STORE
async def test_the_port_of_the_service_is_that_of_socketio(backend: Backend) -> None:
    lines = LineTransport(port=0)
    service = ChatService(
        port=0, transport=[lines, "socket.io"], hooks={"on_connect": name_by_query}, store=backend.new_store()
    )
    async with service:
        assert service.port and lines.port and service.port != lines.port


@ONE_STORE
async def test_each_transport_has_figures(place: Place) -> None:
    clients = await place.joined(*KINDS)
    await clients[0].emit("roomMessage", "room", {"textMessage": "hello"})
    registry = place.service.operations.registry
    for name in ("socket.io", "websocket", "line"):
        labels = {"transport": name}
        assert registry.get_sample_value("chat_service_transport_connections", labels) == 1
        assert (registry.get_sample_value("chat_service_transport_deliveries_total", labels) or 0) > 0
    assert registry.get_sample_value("chat_service_connections") == 3
