"""The ``Transport`` contract: an instance's sockets, and channels that group them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chat_service.types import Channel, SocketId

#: A step that starts or closes the service.
LifeCycleStep = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """A client's handshake data (server-api.md, Transport API).

    ``query`` has the first value of each query parameter, ``headers`` has lower-case names, ``auth`` is what
    the client sent to log in, for Socket.IO its auth object, or None. ``is_connected`` reflects the time of
    the call.
    """

    is_connected: bool
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: Any = None
    remote_addr: str | None = None
    #: The name of the transport: "socket.io", "websocket", "line"; empty for an unknown socket.
    transport: str = ""
    #: What identifies the client's browser or device: the cookie named by the transport's option
    #: `fingerprint_cookie`, otherwise the id of the socket.
    fingerprint: str = ""
    #: Whether the transport's clients need no login: one that `on_connect` does not name is a guest.
    takes_guests: bool = False

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name; of several with one name the first."""
        return read_cookies(self.headers.get("cookie", ""))


def read_cookies(header: str) -> dict[str, str]:
    """The cookies in a header ``Cookie``, by name. Parts that are not cookies are ignored."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, is_cookie, value = part.partition("=")
        if is_cookie and name.strip():
            found.setdefault(name.strip(), value.strip().removeprefix('"').removesuffix('"'))
    return found


def fingerprint_of(headers: Mapping[str, str], cookie: str | None, socket_id: str) -> str:
    """The fingerprint of a client. ``cookie``: the name of the cookie that contains it, None for none."""
    found = "" if cookie is None else read_cookies(headers.get("cookie", "")).get(cookie, "")
    return found or socket_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportStatistics:
    """Counters of a transport since its creation, for metrics."""

    #: Number of events broadcast to channels.
    broadcasts: int = 0
    #: Number of events queued for sockets: one per recipient of each broadcast.
    deliveries: int = 0
    #: Bytes currently waiting to be sent, over all sockets.
    send_buffer_bytes: int = 0
    #: Number of sockets disconnected because they read too slowly.
    slow_consumers: int = 0
    #: Number of connections now, and of those among them whose login is not over.
    connections: int = 0
    pending_connections: int = 0
    #: Connections that were refused because there were too many, by reason.
    refused_connections: Mapping[str, int] = field(default_factory=dict)
    #: Failed attempts to accept a connection for want of files, on all ports of the process.
    accept_failures: int = 0
    #: Failures of the transport's background tasks, by task.
    background_failures: Mapping[str, int] = field(default_factory=dict)


class TransportHandler(Protocol):
    """Serves the sockets. The transport calls it and need not handle exceptions."""

    async def on_connect(self, socket_id: SocketId) -> None:
        """A socket has connected and can receive events. Called once, before other calls for the socket."""
        ...

    async def on_event(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
        """A client emitted an event. Returns the values of the ack, if the client requested one.

        Calls for a socket must be made in the order of its events, without waiting for each other.

        The optional capabilities ``TakesEncoded``, ``Drains`` and ``LimitsAttachments`` of the transport
        (``chat_service.contracts.capabilities``) determine in which form it gets histories.

        The transport must pass the ack on immediately, before the event loop runs anything else. Then
        whatever the service sends next, such as the first event of a joined room, comes after it.
        """
        ...

    async def on_disconnect(self, socket_id: SocketId, reason: str) -> None:
        """A socket has disconnected and can no longer receive events. Called once per connected socket."""
        ...


class Transport(Protocol):
    """The sockets of an instance. Methods that are not coroutines must not block."""

    def attach(self, start: LifeCycleStep, close: LifeCycleStep) -> None:
        """Called once on creation of the service, with idempotent steps that start and close it.

        A transport inside an application attaches them to the application's lifecycle; others may ignore
        them.
        """
        ...

    async def start(self, handler: TransportHandler) -> None:
        """Acquire resources without accepting clients yet. Raises ``ConfigurationError`` or ``OSError``."""
        ...

    async def listen(self) -> None:
        """Accept clients. Raises ``OSError`` if the address is unusable."""
        ...

    async def stop_listening(self) -> None:
        """Stop accepting clients. Connected sockets stay. Idempotent."""
        ...

    async def close(self) -> None:
        """Disconnect all sockets and release what ``start`` acquired, but nothing that was passed in.
        Idempotent.

        Clients may reconnect, to another instance or to this one once it is back. On return ``on_disconnect``
        has been called for every socket, but may still be running.
        """
        ...

    @property
    def port(self) -> int | None:
        """The TCP port for clients, None if there is none or it is unknown."""
        ...

    def socket_ids(self) -> Collection[SocketId]:
        """The connected sockets."""
        ...

    def is_connected(self, socket_id: SocketId) -> bool:
        """Whether the socket is connected to this transport."""
        ...

    def get_handshake(self, socket_id: SocketId) -> Handshake:
        """The handshake data of a socket; for an unknown one, just ``is_connected=False``."""
        ...

    def get_socket(self, socket_id: SocketId) -> Any:
        """The library's object for a socket, None if it is unknown."""
        ...

    def get_server(self) -> Any:
        """The library's server object."""
        ...

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        """Send an event to a socket, in order with ``broadcast``. Unknown sockets are ignored."""
        ...

    def broadcast(
        self, channel: Channel, event: str, args: Sequence[Any], exclude: Collection[SocketId] = ()
    ) -> None:
        """Send an event to a channel's sockets except those in ``exclude``. Encodes it only once."""
        ...

    def join_channel(self, socket_id: SocketId, channel: Channel) -> None:
        """Add a socket to a channel. Does nothing if it is unknown or already in it."""
        ...

    def leave_channel(self, socket_id: SocketId, channel: Channel) -> None:
        """Remove a socket from a channel. Does nothing if it is not in it."""
        ...

    async def disconnect(self, socket_id: SocketId, *, may_return: bool = False) -> None:
        """Send queued events, then disconnect the socket. Unknown sockets are ignored.

        ``may_return``: lets the client reconnect automatically, if the protocol makes that distinction.
        """
        ...
