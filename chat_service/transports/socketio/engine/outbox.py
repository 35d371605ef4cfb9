"""What is to be written in this turn of the event loop, joined into one write per connection."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

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
