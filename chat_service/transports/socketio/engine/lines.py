"""What a WebSocket and whoever uses it expect of each other, whatever server it is of."""

from typing import Protocol, TypeVar

from chat_service.concurrency.deadlines import Deadlines
from chat_service.transports.socketio.engine.outbox import Sink

P = TypeVar("P")

#: Why a session ends.
SERVER_DISCONNECT = "server disconnect"
CLIENT_DISCONNECT = "client disconnect"
PING_TIMEOUT = "ping timeout"
TRANSPORT_CLOSE = "transport close"
SLOW_CONSUMER = "slow consumer"

#: Seconds that a client has to answer the end of its connection, or to fetch what waits for it.
CLOSE_GRACE = 2.0


class FrameSink(Sink, Protocol):
    """A WebSocket that frames are written to through the outbox."""

    #: Whether its client takes compressed messages.
    is_compressed: bool

    def allow(self, size: int) -> None:
        """The client has asked for so many bytes, so that they do not make it slow."""
        ...


class Receiver(Protocol):
    """Gets what comes on a WebSocket. Nothing here raises."""

    @property
    def is_blocked(self) -> bool:
        """Whether nothing may be handed over now. ``Line.proceed`` is called when that changes."""
        ...

    def take(self, packet: str | bytes) -> None:
        """A packet has come."""
        ...

    def full(self) -> None:
        """More than the limit waits for the client: it has to read something of it in time."""
        ...

    def drained(self) -> None:
        """The client has read most of what waited since ``full``."""
        ...

    def slow(self, unsent: int) -> None:
        """The client reads too slowly, so that ``unsent`` bytes wait; the connection is being cut."""
        ...

    def lost(self) -> None:
        """The connection is over. Called once; nothing else is called after it."""
        ...


class Line(Protocol):
    """A WebSocket, whoever serves it."""

    receiver: Receiver

    @property
    def sink(self) -> FrameSink | None:
        """The same as something that frames are written to through the outbox, where it is that."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether too much is unsent to read further requests."""
        ...

    def begin(self, packet: str | None) -> None:
        """Accept the client, and send it the first packet."""
        ...

    def send(self, packet: str | bytes, *, is_answer: bool = False) -> None: ...

    def proceed(self) -> None:
        """What came may be handed over again."""
        ...

    def has_drained(self) -> bool:
        """Whether something was sent since the last call."""
        ...

    def close(self) -> None:
        """Send what waits, then end it; the client has a while to agree."""
        ...

    def abort(self) -> None:
        """End it at once."""
        ...

    async def wait_closed(self) -> None: ...


class Owner(Protocol[P]):
    """What has the peers, see ``Hub``."""

    send_buffer_limit: int
    #: Events of one client that may be handled in tasks at a time.
    max_waiting: int
    #: Peers that have to give a sign of life in time.
    silent: Deadlines[P]
    #: Peers that have to read something of what waits for them.
    stalled: Deadlines[P]

    async def on_message(self, peer: P, data: str | bytes) -> None:
        """Handle a message. Raises ``ValueError`` for one that no honest client sends."""
        ...

    async def on_end(self, peer: P, reason: str) -> None:
        """Tell everybody that a session has ended."""
        ...

    def watch(self, peer: P) -> None:
        """The client has given a sign of life: ping it in a while."""
        ...

    def forget(self, peer: P) -> None:
        """The session is over."""
        ...

    def found_slow(self, sid: str, unsent: int) -> None:
        """A session is being closed since so many bytes wait for it."""
        ...


class UpgradeInProgress(Protocol):
    """A WebSocket that asks for a session."""

    line: Line

    def cancel(self) -> None:
        """The session goes on by polling, or is over."""
        ...


class Nobody:
    """The ``Receiver`` of a WebSocket that nobody uses yet, or no longer."""

    is_blocked = False

    def take(self, packet: str | bytes) -> None:
        """It is dropped."""

    def full(self) -> None:
        """It is being closed."""

    def drained(self) -> None:
        """It is being closed."""

    def slow(self, unsent: int) -> None:
        """It is being closed."""

    def lost(self) -> None:
        """Nobody waits for it."""


NOBODY = Nobody()
