"""WebSockets as those who use them see them, and the outbox that joins what is written to them.

Each kind of server has its own ``Line``; a ``Receiver`` gets what comes on it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeVar

from chat_service.concurrency.deadlines import Deadlines

logger = logging.getLogger("chat_service")

#: Bytes of all frames that wait at most, however many get each: past it they are written at once. So no
#: connection has more than this waiting here.
JOIN_LIMIT = 256 * 1024


#: So many connections are worth another look at what comes in before they are written to.
MANY = 50


class Sink(Protocol):
    """A connection that frames are written to."""

    #: What waits for the end of the turn: None, one frame, or several.
    pending: bytes | list[bytes] | None
    #: Bytes that one write may have without being looked at.
    write_limit: int
    #: Hands bytes to the system.
    write: Callable[[bytes], None]

    def write_large(self, data: bytes) -> None:
        """As ``write``, for more than ``write_limit``."""
        ...

    def abort(self) -> None:
        """Cut the connection."""
        ...


class Outbox:
    """Collects frames for connections, and writes them at the end of the loop's turn.

    With a system call per turn and connection, four messages to a room cost little more than one.
    """

    __slots__ = ("_dirty", "_is_late", "_is_scheduled", "_limit", "_loop", "_size")

    def __init__(self, limit: int = JOIN_LIMIT) -> None:
        """``limit``: bytes that may wait, if that is less than ``JOIN_LIMIT``."""
        # It is a system call to ask which one runs (Python 3.11).
        self._loop: asyncio.AbstractEventLoop | None = None
        self._limit = min(limit, JOIN_LIMIT)
        self._dirty: list[Sink] = []
        self._size = 0
        self._is_scheduled = False
        self._is_late = False

    def put(self, sink: Sink, frame: bytes) -> None:
        """Write a frame to one connection."""
        pending = sink.pending
        if pending is None:
            sink.pending = frame
            self._dirty.append(sink)
        elif pending.__class__ is list:
            pending.append(frame)
        else:
            sink.pending = [pending, frame]  # type: ignore[list-item]
        self._added(frame)

    def put_all(self, sinks: Iterable[Sink], frame: bytes) -> None:
        """Write a frame to many connections."""
        dirty = self._dirty
        for sink in sinks:
            pending = sink.pending
            if pending is None:
                sink.pending = frame
                dirty.append(sink)
            elif pending.__class__ is list:
                pending.append(frame)
            else:
                sink.pending = [pending, frame]  # type: ignore[list-item]
        self._added(frame)

    def _added(self, frame: bytes) -> None:
        self._size += len(frame)
        if self._size > self._limit:
            self.flush()
        elif not self._is_scheduled:
            self._is_scheduled = True
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        if len(self._dirty) >= MANY and not self._is_late:
            self._is_late = True
            asyncio.get_running_loop().call_soon(self._end_turn)
            return
        self._is_scheduled = self._is_late = False
        self.flush()

    def flush(self) -> None:
        """Write everything now."""
        dirty, self._dirty, self._size = self._dirty, [], 0
        for sink in dirty:
            data = sink.pending
            sink.pending = None
            if data is None:
                continue
            try:
                if not isinstance(data, bytes):
                    data = b"".join(data)
                if len(data) > sink.write_limit:
                    sink.write_large(data)
                else:
                    sink.write(data)
            except Exception as error:
                # One broken connection must not cost the others their messages.
                logger.info("a connection cannot be written, and is cut: %r", error)
                sink.abort()


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
    #: Handles a message. Raises ``ValueError`` for one that no honest client sends.
    on_message: Callable[[P, str | bytes], Awaitable[None]]
    #: Called with a peer that has ended, and why.
    on_end: Callable[[P, str], Coroutine[Any, Any, None]]
    #: Peers that have to give a sign of life in time.
    silent: Deadlines[P]
    #: Peers that have to read something of what waits for them.
    stalled: Deadlines[P]

    def watch(self, peer: P) -> None:
        """The client has given a sign of life: ping it in a while."""
        ...

    def forget(self, peer: P) -> None:
        """The session is over."""
        ...

    def found_slow(self, sid: str, unsent: int) -> None:
        """A session is being closed since so many bytes wait for it."""
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
