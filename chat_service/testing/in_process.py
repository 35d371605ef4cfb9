"""A transport without a network, for fast tests of hooks and plugins."""

import asyncio
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chat_service.contracts.transport import Handshake, LifeCycleStep, Transport, TransportHandler
from chat_service.testing.waiting import wait_until
from chat_service.types import Channel, SocketId

_numbers = itertools.count(1)


class ConnectionRefused(Exception):
    """The transport accepts no clients: the service was not started or is closing."""


class InProcessClient:
    """A client of an ``InProcessTransport``. It receives copies of values, as over a network."""

    def __init__(self, transport: "InProcessTransport", socket_id: SocketId, handshake: Handshake) -> None:
        self._transport = transport
        self.id = socket_id
        self.handshake = handshake
        #: Whether the socket is connected.
        self.connected = True
        #: All received events in order, as ``(name, args)``.
        self.events: list[tuple[str, list[Any]]] = []

    def __repr__(self) -> str:
        return f"<InProcessClient {self.id} connected={self.connected} events={len(self.events)}>"

    async def emit(self, event: str, *args: Any) -> list[Any]:
        """Emit an event and return the values of the ack: ``[error, data, ...]``."""
        return list(await self._transport.receive(self.id, event, args))

    async def send(self, event: str, *args: Any) -> None:
        """Emit an event without an ack. On return the service has started to handle it."""
        self._transport.receive_soon(self.id, event, args)
        await asyncio.sleep(0)

    async def call(self, event: str, *args: Any) -> Any:
        """Emit a command and return the ack's data. Raises ``AssertionError`` on an error."""
        error, *data = await self.emit(event, *args)
        if error is not None:
            raise AssertionError(f"{event}{args!r} failed: {error!r}")
        return data[0]

    async def error(self, event: str, *args: Any) -> Any:
        """Emit a command and return the ack's error. Raises ``AssertionError`` on success."""
        ack = await self.emit(event, *args)
        if ack[0] is None:
            raise AssertionError(f"{event}{args!r} succeeded: {ack!r}")
        return ack[0]

    def received(self, name: str) -> list[list[Any]]:
        """The arguments of all events received with this name."""
        return [args for event, args in self.events if event == name]

    def clear(self) -> None:
        """Forget all received events."""
        self.events.clear()

    async def wait_for(self, name: str, *args: Any, timeout: float | None = None) -> list[Any]:
        """Wait for an event, remove it from ``events`` and return its arguments.

        Only an event whose leading arguments equal ``args`` counts. Raises ``TimeoutError`` after ``timeout``
        seconds.
        """
        found: list[Any] = []

        def matches() -> bool:
            for position, (event, values) in enumerate(self.events):
                if event == name and values[: len(args)] == list(args):
                    found.extend(self.events.pop(position)[1])
                    return True
            return False

        await wait_until(matches, f"{name}{args!r} at {self!r}: {self.events!r}", timeout=timeout)
        return found

    async def disconnect(self) -> None:
        """Disconnect from the client's side, and return when the service has handled it."""
        await self._transport.drop(self.id, "client disconnect")

    def take(self, event: str, args: Sequence[Any]) -> None:
        """Called by the transport."""
        self.events.append((event, _copied(args)))


class InProcessTransport:
    """A ``Transport`` without a network. Pass it to a service, then ``connect`` clients."""

    def __init__(self) -> None:
        self._handler: TransportHandler | None = None
        self._is_open = False
        self._clients: dict[SocketId, InProcessClient] = {}
        self._leaving: dict[SocketId, Handshake] = {}
        self._channels: dict[Channel, dict[SocketId, None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # For tests

    async def connect(
        self,
        *,
        query: Mapping[str, str] | None = None,
        auth: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> InProcessClient:
        """Connect a client. Its login may still be running on return. Raises ``ConnectionRefused``."""
        if not self._is_open or self._handler is None:
            raise ConnectionRefused("the transport does not accept clients")
        socket_id = SocketId(f"socket{next(_numbers)}")
        handshake = Handshake(
            is_connected=True,
            query=dict(query or {}),
            headers={name.lower(): value for name, value in (headers or {}).items()},
            auth=auth,
            remote_addr="127.0.0.1",
            transport="in-process",
            fingerprint=socket_id,
        )
        client = self._clients[socket_id] = InProcessClient(self, socket_id, handshake)
        self._start(self._handler.on_connect(socket_id))
        await asyncio.sleep(0)
        return client

    async def login(self, user_name: str, **handshake: Any) -> InProcessClient:
        """Connect with the query parameter ``userName`` and wait for the login confirmation."""
        query = {"userName": user_name, **handshake.pop("query", {})}
        client = await self.connect(query=query, **handshake)
        await client.wait_for("loginConfirmed")
        return client

    async def receive(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
        """Pass an event of a client to the service and return the ack."""
        if self._handler is None or socket_id not in self._clients:
            raise AssertionError(f"{socket_id} is not connected")
        return _copied(await self._handler.on_event(socket_id, event, _copied(args)))

    def receive_soon(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        """``receive`` without an ack."""
        self._start(self.receive(socket_id, event, args))

    async def drop(self, socket_id: SocketId, reason: str) -> None:
        """End a socket's connection, and return when the handler has finished."""
        client = self._clients.pop(socket_id, None)
        if client is None or self._handler is None:
            return
        client.connected = False
        for channel in list(self._channels):
            self._remove(socket_id, channel)
        self._leaving[socket_id] = replace(client.handshake, is_connected=False)
        try:
            await self._handler.on_disconnect(socket_id, reason)
        finally:
            del self._leaving[socket_id]

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Transport

    def attach(self, start: LifeCycleStep, close: LifeCycleStep) -> None:
        pass

    async def start(self, handler: TransportHandler) -> None:
        self._handler = handler

    async def listen(self) -> None:
        self._is_open = True

    async def stop_listening(self) -> None:
        self._is_open = False

    async def close(self) -> None:
        await self.stop_listening()
        for socket_id in list(self._clients):
            self._start(self.drop(socket_id, "server disconnect"))

    @property
    def port(self) -> int | None:
        return None

    def socket_ids(self) -> Collection[SocketId]:
        return self._clients.keys()

    def is_connected(self, socket_id: SocketId) -> bool:
        return socket_id in self._clients

    def get_handshake(self, socket_id: SocketId) -> Handshake:
        client = self._clients.get(socket_id)
        if client is not None:
            return client.handshake
        return self._leaving.get(socket_id, Handshake(is_connected=False))

    def get_socket(self, socket_id: SocketId) -> InProcessClient | None:
        return self._clients.get(socket_id)

    def get_server(self) -> "InProcessTransport":
        return self

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        client = self._clients.get(socket_id)
        if client is not None:
            client.take(event, args)

    def broadcast(
        self, channel: Channel, event: str, args: Sequence[Any], exclude: Collection[SocketId] = ()
    ) -> None:
        for socket_id in self._channels.get(channel, ()):
            if socket_id not in exclude:
                self.emit(socket_id, event, args)

    def join_channel(self, socket_id: SocketId, channel: Channel) -> None:
        if socket_id in self._clients:
            self._channels.setdefault(channel, {})[socket_id] = None

    def leave_channel(self, socket_id: SocketId, channel: Channel) -> None:
        self._remove(socket_id, channel)

    def _remove(self, socket_id: SocketId, channel: Channel) -> None:
        sockets = self._channels.get(channel, {})
        sockets.pop(socket_id, None)
        if not sockets:
            self._channels.pop(channel, None)

    async def disconnect(self, socket_id: SocketId, *, may_return: bool = False) -> None:
        if socket_id in self._clients:
            self._start(self.drop(socket_id, "server disconnect"))


def _copied(values: Sequence[Any]) -> list[Any]:
    """Copy a value as a network would: tuples arrive as lists."""
    return [_copy(value) for value in values]


def _copy(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return bytes(value) if isinstance(value, bytearray) else value


def _conforms(transport: InProcessTransport) -> Transport:
    return transport
