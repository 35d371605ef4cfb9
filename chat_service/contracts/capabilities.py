"""Optional capabilities that a store, a bus or a transport may offer beyond its contract.

Each one is a protocol, and an object has the capability if it has its members. The members must exist from
the beginning, because the service looks for most of them only when it is composed.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from socket import socket
from typing import Any, Protocol, Self, runtime_checkable

from chat_service.contracts.bus import BusStatus, Envelope, Topic
from chat_service.contracts.records import Actor, StoreStatistics
from chat_service.contracts.transport import Transport, TransportStatistics
from chat_service.protocol.arguments import Argument, CommandOption
from chat_service.types import Message, RoomName, SocketId


@runtime_checkable
class RunsWithoutTask(Protocol):
    """A store whose commands need a task only if they wait.

    With ``runs_without_task = True`` it promises that its methods do not need ``asyncio.current_task()``,
    as ``asyncio.timeout`` and some drivers do, before they first wait, or that they await
    ``chat_service.concurrency.eager.in_task()`` first. Commands that never wait then run without a task.
    """

    runs_without_task: bool


@runtime_checkable
class BoundsCommands(Protocol):
    """A store with ``command_timeout`` (seconds), the total time for which a command waits for it.

    ``chat_service.concurrency.deadlines.current_patience`` tells how much of it is left.
    """

    command_timeout: float


@runtime_checkable
class SendsTogether(Protocol):
    """A store that takes several messages of one sender at once.

    It is worth having for a store that is asked over a network.
    """

    async def room_messages(self, room: RoomName, actor: Actor, messages: Sequence[Message]) -> int:
        """``room_message`` for each message in one atomic step: all are stored and published, or none.

        Returns the id of the first; the others have the ids that follow.
        """
        ...


@runtime_checkable
class HasTitle(Protocol):
    """A store with a display name, without credentials. For other stores the name of the class is shown."""

    @property
    def title(self) -> str:
        """The display name."""
        ...


@runtime_checkable
class MeasuredStore(Protocol):
    """A store with metrics."""

    def statistics(self) -> StoreStatistics:
        """The counters since it was made."""
        ...


@runtime_checkable
class MonitoredBus(Protocol):
    """A bus that knows whether it receives everything. Other buses are assumed to do so."""

    def status(self) -> BusStatus:
        """The current state."""
        ...


@runtime_checkable
class DeliversHere(Protocol):
    """A bus that can deliver an envelope to its own instance without sending it."""

    def deliver(self, topic: Topic, envelope: Envelope) -> None:
        """Deliver an envelope to this instance only."""
        ...


@runtime_checkable
class MeasuredTransport(Protocol):
    """A transport with metrics."""

    def statistics(self) -> TransportStatistics:
        """The counters since it was made."""
        ...


@runtime_checkable
class TakesEncoded(Protocol):
    """A transport that accepts ``EncodedMessages`` in acks if ``takes_encoded`` is true."""

    takes_encoded: bool


@runtime_checkable
class LimitsAttachments(Protocol):
    """A transport whose packets can contain a limited number of binary values.

    Histories are cut to ``max_attachments``. None: no limit.
    """

    max_attachments: int | None


@runtime_checkable
class Drains(Protocol):
    """A transport that can slow down reads of histories."""

    async def drained(self, socket_id: SocketId) -> None:
        """Wait while too much data is unsent for a socket. Called before a history is read."""
        ...


class CommandFacts(Protocol):
    """What clients may know of a command: a row of the command table."""

    @property
    def name(self) -> str: ...
    @property
    def doc(self) -> str: ...
    @property
    def arguments(self) -> Sequence[Argument]: ...
    @property
    def options(self) -> Sequence[CommandOption]: ...


@runtime_checkable
class TakesCommands(Protocol):
    """A transport whose clients give arguments by name, or ask which commands there are."""

    def take_commands(self, commands: Callable[[], Mapping[str, CommandFacts]]) -> None:
        """Called once on creation of the service. ``commands`` returns the current commands by name."""
        ...


@runtime_checkable
class MeasuredByName(Protocol):
    """Several transports with metrics of each."""

    def statistics_by_transport(self) -> Mapping[str, TransportStatistics]:
        """The counters of each transport since it was made, by its name."""
        ...


@runtime_checkable
class HasName(Protocol):
    """A transport with a short name, as in ``Handshake.transport``. For others the class is named."""

    @property
    def name(self) -> str:
        """The name."""
        ...


def name_of(transport: Transport) -> str:
    """The name of a transport."""
    return transport.name if isinstance(transport, HasName) else type(transport).__name__


@runtime_checkable
class HasAddress(Protocol):
    """A transport that knows its address."""

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, None when it is mounted."""
        ...


@runtime_checkable
class HasAddresses(Protocol):
    """Several transports, each of which may have an address of its own."""

    def addresses(self) -> Sequence[tuple[str, str, int]]:
        """The name, the host and the port of each transport that listens."""
        ...


@runtime_checkable
class ListensAnywhere(Protocol):
    """A transport whose address can be changed before the start."""

    def listen_at(self, *, host: str | None, port: int | None, sockets: Sequence[socket]) -> None:
        """See ``ChatService.listen_at``."""
        ...


@runtime_checkable
class TakesSites(Protocol):
    """A transport whose port, or the application that it is mounted on, can serve more HTTP paths."""

    def add_site(
        self, path: str, add_routes: Callable[[Any], None], serve: Callable[[Any, Any, Any], Awaitable[Any]]
    ) -> None:
        """Serve a path and everything below it. Called before the start.

        ``add_routes``: adds them to an ``aiohttp.web.Application``. ``serve``: an ASGI application, which
        gets the whole path. Raises ``ConfigurationError`` if the path is taken or cannot be served.
        """
        ...


@runtime_checkable
class MountsOnAsgi(Protocol):
    """A transport that can be an ASGI application."""

    def asgi_app(self, other: Any = None) -> Any:
        """See ``ChatService.asgi_app``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryDelivery:
    """How a transport takes histories, resolved once so that commands need not ask again."""

    #: Whether it accepts ``EncodedMessages``.
    takes_encoded: bool = False
    #: Maximum number of binary values in one answer; None: no limit.
    max_attachments: int | None = None
    #: Waits while too much is unsent for a socket; None: it cannot wait.
    drained: Callable[[SocketId], Awaitable[None]] | None = None

    @classmethod
    def of(cls, transport: Transport) -> Self:
        """How a transport whose sockets are all alike takes histories."""
        return cls(
            takes_encoded=isinstance(transport, TakesEncoded) and transport.takes_encoded,
            max_attachments=transport.max_attachments if isinstance(transport, LimitsAttachments) else None,
            drained=transport.drained if isinstance(transport, Drains) else None,
        )


@runtime_checkable
class DeliversBySocket(Protocol):
    """A transport whose sockets take histories in different ways."""

    def history_delivery(self, socket_id: SocketId) -> HistoryDelivery:
        """How a socket takes histories."""
        ...


#: How a socket takes histories; None for a call of the server without a socket.
HistoryDeliveries = Callable[[SocketId | None], HistoryDelivery]


def history_deliveries(transport: Transport) -> HistoryDeliveries:
    """How the sockets of a transport take histories, resolved as far as possible."""
    if not isinstance(transport, DeliversBySocket):
        always = HistoryDelivery.of(transport)
        return lambda socket_id: always
    nobody, find = HistoryDelivery(), transport.history_delivery
    return lambda socket_id: nobody if socket_id is None else find(socket_id)
