"""Shared by the parts of the suite: the interface of the author's client, and a recording handler."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import pytest
import pytest_asyncio

from chat_service.contracts.transport import Transport
from chat_service.testing.waiting import wait_until
from chat_service.types import SocketId

#: Creates a new, unstarted transport.
MakeTransport = Callable[[], Transport]

MARK = "conformance:mark"


class TransportClient(Protocol):
    """A connected client of the transport under test."""

    #: The id that the transport assigned to its socket.
    id: SocketId
    #: All received events in order, as ``(name, args)``.
    events: list[tuple[str, list[Any]]]

    @property
    def connected(self) -> bool:
        """Whether the client considers itself connected."""
        ...

    async def emit(self, event: str, *args: Any) -> list[Any]:
        """Emit an event and return the values of the ack.

        Consecutive calls are sent in their order even if they do not wait for the acks.
        """
        ...

    async def send(self, event: str, *args: Any) -> None:
        """Emit an event without an ack."""
        ...

    async def disconnect(self) -> None:
        """Disconnect cleanly and release everything. Idempotent."""
        ...


class Connect(Protocol):
    """Connects clients. It ignores what the transport cannot carry, such as headers."""

    async def __call__(
        self,
        transport: Transport,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: Any = None,
    ) -> TransportClient:
        """Return a connected client. Raises any ``Exception`` promptly if the connection is refused."""
        ...


#: Returns the values of the ack of an event.
Answer = Callable[[SocketId, str, Sequence[Any]], Awaitable[Sequence[Any]]]


class RecordingHandler:
    """A ``TransportHandler`` that records its calls.

    ``answer`` handles events; by default it returns their arguments.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        #: ``(kind, socket id, details)`` in the order of the calls.
        self.calls: list[tuple[Any, ...]] = []
        self.answer: Answer = echo
        #: Whether the transport knew the sockets during ``on_connect`` and ``on_disconnect``.
        self.was_connected: list[tuple[str, SocketId, bool]] = []
        self.greeting: tuple[str, tuple[Any, ...]] | None = None

    async def on_connect(self, socket_id: SocketId) -> None:
        self.calls.append(("connect", socket_id))
        self.was_connected.append(("connect", socket_id, self._transport.is_connected(socket_id)))
        if self.greeting is not None:
            self._transport.emit(socket_id, *self.greeting)

    async def on_event(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
        self.calls.append(("event", socket_id, event, list(args)))
        return await self.answer(socket_id, event, args)

    async def on_disconnect(self, socket_id: SocketId, reason: str) -> None:
        self.calls.append(("disconnect", socket_id, reason))
        self.was_connected.append(("disconnect", socket_id, self._transport.is_connected(socket_id)))

    def of(self, socket_id: SocketId, kind: str | None = None) -> list[tuple[Any, ...]]:
        """The calls for a socket, optionally of one kind."""
        return [call for call in self.calls if call[1] == socket_id and kind in (None, call[0])]


async def echo(socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
    """Return an event's own arguments."""
    return args


async def nothing() -> None:
    """A lifecycle step that does nothing."""


class Stage:
    """A transport with its handler and connected clients."""

    def __init__(self, transport: Transport, connect: Connect) -> None:
        self.transport = transport
        self.handler = RecordingHandler(transport)
        self._connect = connect
        self._clients: list[TransportClient] = []
        transport.attach(nothing, nothing)

    async def start(self) -> None:
        await self.transport.start(self.handler)
        await self.transport.listen()

    async def connect(self, **handshake: Any) -> TransportClient:
        """Connect a client and wait until the handler knows it."""
        client = await self._connect(self.transport, **handshake)
        self._clients.append(client)
        await wait_until(lambda: bool(self.handler.of(client.id)), f"on_connect of {client.id}")
        return client

    async def connect_many(self, count: int) -> list[TransportClient]:
        return [await self.connect() for _ in range(count)]

    async def refused(self) -> None:
        """Check that no client can connect."""
        before = len(self.handler.calls)
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the client library raises
            self._clients.append(await self._connect(self.transport))
        assert self.handler.calls[before:] == []

    async def events(self, client: TransportClient) -> list[tuple[str, list[Any]]]:
        """Return and forget a client's events so far. A marker event shows that all have arrived."""
        self.transport.emit(client.id, MARK, ())
        await wait_until(lambda: (MARK, []) in client.events, f"the mark at {client.id}")
        taken = client.events[: client.events.index((MARK, []))]
        client.events.clear()
        return taken

    async def gone(self, client: TransportClient) -> None:
        """Wait until both sides have noticed that a client is disconnected."""
        await wait_until(lambda: not client.connected, f"{client.id} to notice its disconnect")
        await wait_until(
            lambda: bool(self.handler.of(client.id, "disconnect")), f"on_disconnect of {client.id}"
        )

    async def close(self) -> None:
        await self.transport.close()
        for client in self._clients:
            await client.disconnect()
        # Disconnect handlers may not have started yet.
        await asyncio.sleep(0)


class TransportTests:
    """Fixtures shared by all parts of the suite."""

    pytestmark = pytest.mark.asyncio

    #: Whether handshakes have headers. Override it for a transport without any, such as lines over TCP.
    has_headers = True
    #: Whether they have a query, and whether they have credentials (``auth``).
    has_query = True
    has_auth = True

    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        """Override this to return a function that creates transports. It may be asynchronous."""
        raise NotImplementedError

    @pytest.fixture
    def connect(self) -> Connect:
        """Override this to return a function that connects a client to a transport."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def unstarted(self, make_transport: MakeTransport, connect: Connect) -> AsyncIterator[Stage]:
        """An attached but unstarted transport."""
        stage = Stage(make_transport(), connect)
        try:
            yield stage
        finally:
            await stage.close()

    @pytest_asyncio.fixture
    async def stage(self, unstarted: Stage) -> Stage:
        """A listening transport."""
        await unstarted.start()
        return unstarted
