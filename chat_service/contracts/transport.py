"""The ``Transport`` contract: the sockets of one instance, and the channels that group them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chat_service.types import Channel, SocketId

#: Starts or closes the service.
LifeCycleStep = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What a client said when it connected (server-api.md, Transport API).

    ``query`` has the first value of each query field, ``headers`` names in lower case, ``auth`` is the
    Socket.IO auth object or None. ``is_connected`` tells of the moment of the call.
    """

    is_connected: bool
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: Any = None
    remote_addr: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportStatistics:
    """What a transport has counted since it was made, for metrics.

    A transport may have a method ``statistics()`` that returns it; one that has none is not measured.
    """

    #: Events that were sent to channels.
    broadcasts: int = 0
    #: Events that were handed to sockets: of each broadcast one per socket.
    deliveries: int = 0
    #: Bytes that wait to be sent now, of all sockets together.
    send_buffer_bytes: int = 0
    #: Sockets that were disconnected because they did not read.
    slow_consumers: int = 0
    #: How often background tasks of the transport have failed, by task.
    background_failures: Mapping[str, int] = field(default_factory=dict)


class TransportHandler(Protocol):
    """Who serves the sockets. A transport calls it; it never raises what the transport must handle."""

    async def on_connect(self, socket_id: SocketId) -> None:
        """A socket is connected and can be sent to. Called once, before any other call for the socket."""
        ...

    async def on_event(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
        """A client emitted an event. Returns the values of its ack, for when the client wants one.

        Lists of messages may be ``EncodedMessages`` if the transport has an attribute ``takes_encoded`` that
        is true.
        A transport may have a method ``async drained(socket_id)`` that waits while too much is unsent for a
        socket: histories are read after it.
        Histories are cut to the binary values that one packet may carry if the transport has an attribute
        ``max_attachments`` that is not None.
        Calls for one socket are made in the order in which the events came in, not one after another.

        The ack goes out at once: it is handed on before the event loop runs anything else, so that what the
        service sends next, such as the first event of a room that was joined, comes after it.
        """
        ...

    async def on_disconnect(self, socket_id: SocketId, reason: str) -> None:
        """A socket is gone; nothing can be sent to it any more. Called once per connected socket."""
        ...


class Transport(Protocol):
    """The sockets of one instance. Methods that are no coroutines return at once and never block."""

    def attach(self, start: LifeCycleStep, close: LifeCycleStep) -> None:
        """Called once, when the service is made: steps that start and close it, each idempotent.

        A transport inside of an application hooks them into the application's life; others need not.
        """
        ...

    async def start(self, handler: TransportHandler) -> None:
        """Take what is needed, without letting clients in. Raises ``ConfigurationError`` or ``OSError``."""
        ...

    async def listen(self) -> None:
        """Let clients in. Raises ``OSError`` when the address cannot be used."""
        ...

    async def stop_listening(self) -> None:
        """Let no new clients in; sockets that are connected stay. Idempotent."""
        ...

    async def close(self) -> None:
        """Disconnect every socket and release what ``start`` took; what was given stays open. Idempotent.

        Clients may connect again, to another instance or to this one when it is back.

        ``on_disconnect`` was called for every socket, though it may still be running.
        """
        ...

    @property
    def port(self) -> int | None:
        """The TCP port that clients connect to, None when there is none or it is not known."""
        ...

    def socket_ids(self) -> Collection[SocketId]:
        """The sockets that are connected."""
        ...

    def is_connected(self, socket_id: SocketId) -> bool:
        """Whether this transport has the socket and it is connected."""
        ...

    def get_handshake(self, socket_id: SocketId) -> Handshake:
        """The handshake data of a socket; of one that is not here, only ``is_connected=False``."""
        ...

    def get_socket(self, socket_id: SocketId) -> Any:
        """The library's own object of a socket, None when it is not here."""
        ...

    def get_server(self) -> Any:
        """The library's own server object."""
        ...

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        """Send an event to one socket; a socket that is not here is no error. In order with ``broadcast``."""
        ...

    def broadcast(
        self, channel: Channel, event: str, args: Sequence[Any], exclude: Collection[SocketId] = ()
    ) -> None:
        """Send an event to the sockets of a channel but for some. Encodes once, whatever their number."""
        ...

    def join_channel(self, socket_id: SocketId, channel: Channel) -> None:
        """Add a socket to a channel. A socket that is not here, or is in it already, changes nothing."""
        ...

    def leave_channel(self, socket_id: SocketId, channel: Channel) -> None:
        """Remove a socket from a channel. One that is not in it changes nothing."""
        ...

    async def disconnect(self, socket_id: SocketId, *, may_return: bool = False) -> None:
        """Send what waits, then disconnect the socket. One that is not here is no error.

        ``may_return``: the client is to connect again by itself, where the protocol knows a difference.
        """
        ...
