"""The interface of connections to clients, and the outbox that joins writes to them.

Each kind of server has its own ``Line``. A ``Receiver`` gets what arrives on it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

logger = logging.getLogger("chat_service")

#: Maximum number of bytes over all waiting frames, however many recipients each has; beyond it they are
#: written immediately. So no connection has more than this waiting here.
JOIN_LIMIT = 256 * 1024


#: With this number of connections, poll for input once more before writing to them.
MANY = 50


class Sink(Protocol):
    """A connection to which frames are written."""

    #: Frames that wait for the end of the turn: None, one frame, or several.
    pending: bytes | list[bytes] | None
    #: Maximum size in bytes of a write without a check.
    write_limit: int
    #: Passes bytes to the operating system.
    write: Callable[[bytes], None]

    def write_large(self, data: bytes) -> None:
        """Like ``write``, for more than ``write_limit`` bytes."""
        ...

    def abort(self) -> None:
        """Abort the connection."""
        ...


class Outbox:
    """Collects frames for connections, and writes them at the end of the loop's turn.

    With one system call per turn and connection, four messages to a room cost little more than one.
    """

    __slots__ = ("_dirty", "_is_late", "_is_scheduled", "_limit", "_loop", "_size")

    def __init__(self, limit: int = JOIN_LIMIT) -> None:
        """``limit``: maximum number of waiting bytes, if less than ``JOIN_LIMIT``."""
        # Asking for the running loop is a system call (Python 3.11).
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
        self._size += len(frame)
        if self._size > self._limit or not self._is_scheduled:
            self._settle()

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
        self._size += len(frame)
        if self._size > self._limit or not self._is_scheduled:
            self._settle()

    def _settle(self) -> None:
        """Write what waits now if it is too much, otherwise at the end of the turn."""
        if self._size > self._limit:
            self.flush()
            return
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
        """Write all waiting frames."""
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
                # One broken connection must not prevent writes to the others.
                logger.info("closing a connection that cannot be written: %r", error)
                sink.abort()


#: Reasons why a session ends.
SERVER_DISCONNECT = "server disconnect"
CLIENT_DISCONNECT = "client disconnect"
PING_TIMEOUT = "ping timeout"
TRANSPORT_CLOSE = "transport close"
SLOW_CONSUMER = "slow consumer"

#: Seconds for a client to confirm the close of its connection, or to fetch its waiting packets.
CLOSE_GRACE = 2.0
#: Seconds without a byte after which a client that has violated the protocol has probably sent everything.
QUIET = 0.2


class FrameSink(Sink, Protocol):
    """A WebSocket to which frames are written through the outbox."""

    #: Whether its client accepts compressed messages.
    is_compressed: bool

    def allow(self, size: int) -> None:
        """Do not count this number of bytes toward the limit, because the client has requested them."""
        ...


class Receiver(Protocol):
    """Receives what arrives on a WebSocket. Its methods must not raise."""

    @property
    def is_blocked(self) -> bool:
        """Whether packets must wait. ``Line.proceed`` is called when this changes."""
        ...

    def take(self, packet: str | bytes) -> None:
        """A packet has arrived."""
        ...

    def full(self) -> None:
        """More than the limit waits for the client, which has to read some of it in time."""
        ...

    def drained(self) -> None:
        """The client has read most of the backlog since ``full``."""
        ...

    def slow(self, unsent: int) -> None:
        """The client reads too slowly: ``unsent`` bytes wait, and the connection is being aborted."""
        ...

    def violated(self, why: str) -> None:
        """The client has violated the protocol, and the connection is being closed."""
        ...

    def lost(self) -> None:
        """The connection is closed. Called once, as the last call."""
        ...


class Line(Protocol):
    """A WebSocket, independent of the server."""

    receiver: Receiver

    @property
    def sink(self) -> FrameSink | None:
        """The same object as a ``Sink`` if frames can be written to it through the outbox, otherwise None."""
        ...

    @property
    def unsent(self) -> int:
        """Number of bytes waiting to be sent."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether too much is unsent to read further requests."""
        ...

    def begin(self, packet: str | None) -> None:
        """Accept the client, and send the first packet."""
        ...

    def send(self, packet: str | bytes, *, is_answer: bool = False) -> None: ...

    def proceed(self) -> None:
        """Resume passing on received packets."""
        ...

    def has_drained(self) -> bool:
        """Whether anything was sent since the last call."""
        ...

    def close(self) -> None:
        """Send waiting packets, then close; the client has some time to confirm."""
        ...

    def abort(self) -> None:
        """Close immediately."""
        ...

    async def wait_closed(self) -> None: ...


class Nobody:
    """The ``Receiver`` of a WebSocket that is not, or no longer, in use."""

    is_blocked = False

    def take(self, packet: str | bytes) -> None:
        """Drops the packet."""

    def full(self) -> None:
        """Ignored, because the WebSocket is being closed."""

    def drained(self) -> None:
        """Ignored, because the WebSocket is being closed."""

    def slow(self, unsent: int) -> None:
        """Ignored, because the WebSocket is being closed."""

    def violated(self, why: str) -> None:
        """Ignored, because the WebSocket is being closed."""

    def lost(self) -> None:
        """Nothing waits for this."""


NOBODY = Nobody()


#: Number of bytes that each packet counts besides its data, so that many small ones are limited, too.
PACKET_OVERHEAD = 128


class Waiting:
    """The queue of a client, in order. ``limit``: maximum number of waiting bytes that the client did not
    request.
    """

    __slots__ = ("_limit", "_live_bytes", "_packets", "bytes", "is_full")

    def __init__(self, limit: int) -> None:
        #: Size of the waiting packets in bytes.
        self.bytes = 0
        #: Whether the limit was exceeded, and most of the backlog is still waiting.
        self.is_full = False
        self._limit = limit
        #: Size in bytes of the waiting packets that the client did not request.
        self._live_bytes = 0
        #: Each packet with its size, and whether it is live.
        self._packets: deque[tuple[str | bytes, int, bool]] = deque()

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def is_over_limit(self) -> bool:
        """Whether the limit is exceeded. A single packet may be larger than the limit."""
        return self._live_bytes > self._limit and len(self._packets) > 1

    def put(self, packet: str | bytes, *, is_answer: bool = False) -> None:
        """Queue a packet. ``is_answer``: the client requested it, so it does not count toward the limit."""
        size = PACKET_OVERHEAD + len(packet)
        self.bytes += size
        if not is_answer:
            self._live_bytes += size
        self._packets.append((packet, size, not is_answer))
        if self.bytes > self._limit:
            self.is_full = True

    def take(self, most: int) -> list[str | bytes]:
        """Take the oldest packets."""
        taken = []
        for _ in range(min(most, len(self._packets))):
            packet, size, is_live = self._packets.popleft()
            taken.append(packet)
            self.bytes -= size
            if is_live:
                self._live_bytes -= size
        if self.bytes <= self._limit // 4:
            self.is_full = False
        return taken

    def drop(self) -> None:
        """Drop all packets."""
        self._packets.clear()
        self.bytes = self._live_bytes = 0
        self.is_full = False
