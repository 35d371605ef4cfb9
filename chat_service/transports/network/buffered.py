"""A client's connection on the event loop's transport: no tasks, queues or timers per message.

A connection is the asyncio protocol of its transport. Received messages are passed on within the loop's
call. The outbox collects what is to be sent and writes it once per turn of the loop. Subclasses know the
form of messages on the wire.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from chat_service.transports.network.lines import CLOSE_GRACE, NOBODY, QUIET, Outbox, Receiver

logger = logging.getLogger("chat_service")

#: Maximum number of received bytes that wait to be handled. Beyond it, reading stops.
UNREAD_LIMIT = 64 * 1024


class Reader(Protocol):
    """Decodes messages from received bytes. Any of its methods may raise; then the connection ends."""

    @property
    def unread(self) -> int:
        """Number of bytes that are not decoded yet."""
        ...

    def single(self, data: bytes) -> str | None:
        """The text in data that is exactly one message; None for other data, or if earlier bytes wait."""
        ...

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        ...

    def take(self) -> tuple[int, Any] | None:
        """The kind and content of the next message, or None if it is incomplete."""
        ...


def _discard(data: bytes) -> None:
    """Replaces ``write`` when the connection is gone."""


class BufferedConnection(asyncio.Protocol):
    """One connection: a ``Line`` and a ``Sink``."""

    __slots__ = (
        "_allowed",
        "_closed",
        "_drained",
        "_dropped",
        "_grace",
        "_is_closing",
        "_is_gone",
        "_is_reading",
        "_is_scheduled",
        "_outbox",
        "_per_turn",
        "_reader",
        "_send_buffer_limit",
        "_written",
        "is_compressed",
        "is_full",
        "pending",
        "receiver",
        "transport",
        "write",
        "write_limit",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        outbox: Outbox,
        reader: Reader,
        *,
        send_buffer_limit: int,
        per_turn: int,
        is_compressed: bool = False,
    ) -> None:
        """``per_turn``: maximum number of messages passed on in one turn of the loop."""
        self.transport = transport
        self.receiver: Receiver
        #: Whether the client accepts and sends compressed messages.
        self.is_compressed = is_compressed
        self._outbox = outbox
        self._send_buffer_limit = send_buffer_limit
        self._per_turn = per_turn
        self._reader = reader
        self.pending: bytes | list[bytes] | None = None
        self.write: Callable[[bytes], None] = transport.write
        self.write_limit = send_buffer_limit
        #: Whether too much is unsent to read further requests.
        self.is_full = False
        # Number of unsent bytes that the client requested, or that belong to one large packet.
        self._allowed = 0
        # Number of bytes written since the buffer became full, and how many of them were sent.
        self._written = self._drained = 0
        self._is_reading = True
        self._is_scheduled = False
        self._is_closing = False
        self._is_gone = False
        # Number of bytes that were thrown away; None while bytes are handled.
        self._dropped: int | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] | None = None
        # From now on the transport reports when the limit is exceeded, so writes need no check.
        transport.set_write_buffer_limits(high=send_buffer_limit)

    def __repr__(self) -> str:
        state = "gone" if self._is_gone else "closing" if self._is_closing else "open"
        return f"<{type(self).__name__} {state} unsent={self.unsent}>"

    @property
    def sink(self) -> "BufferedConnection":
        """Part of ``Line``."""
        return self

    # Sending

    def begin(self, packet: str | None) -> None:
        """Part of ``Line``."""
        raise NotImplementedError

    @property
    def unsent(self) -> int:
        """Number of bytes in our buffers and in the transport's."""
        if self._is_gone:
            return 0
        pending = self.pending or b""
        waiting = len(pending) if isinstance(pending, bytes) else sum(map(len, pending))
        return waiting + self.transport.get_write_buffer_size()

    def send(self, packet: str | bytes, *, is_answer: bool = False) -> None:
        """Send one packet after the earlier ones."""
        if not self._is_closing:
            frame = self.frame_of(packet)
            if is_answer:
                self.allow(len(frame))
            self._outbox.put(self, frame)

    def frame_of(self, packet: str | bytes) -> bytes:
        """A packet as it is written."""
        raise NotImplementedError

    def allow(self, size: int) -> None:
        """Do not count this number of bytes toward the limit, because the client has requested them."""
        if self.is_full or self.pending is not None or self.transport.get_write_buffer_size():
            self._allowed += size
        else:
            self._allowed = size

    def write_large(self, data: bytes) -> None:
        """Part of ``Sink``: one packet may be larger than the limit if nothing else is unsent."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent and len(data) > self._send_buffer_limit + self._allowed:
            self._allowed = len(data)
        if unsent + len(data) > self._send_buffer_limit + self._allowed:
            self._cut(unsent + len(data))
        else:
            self._written += len(data)
            self.write(data)

    def pause_writing(self) -> None:
        """Part of the asyncio protocol: more bytes than the limit are unsent."""
        unsent = self.transport.get_write_buffer_size()
        if unsent > self._send_buffer_limit + self._allowed:
            self._cut(unsent)
        else:
            # From now on every write is checked, and reading stops.
            self.write_limit = -1
            self.is_full = True
            self._written, self._drained = unsent, 0
            self.receiver.full()

    def resume_writing(self) -> None:
        """Part of the asyncio protocol."""
        self._allowed = 0
        self.write_limit = self._send_buffer_limit
        if self.is_full:
            self.is_full = False
            self.receiver.drained()

    def has_drained(self) -> bool:
        """Part of ``Line``."""
        drained = self._written - self.transport.get_write_buffer_size()
        before, self._drained = self._drained, drained
        return drained > before

    def _cut(self, unsent: int) -> None:
        if not self._is_gone and self.write is not _discard:
            self.abort()
            self.receiver.slow(unsent)

    # Receiving

    def data_received(self, data: bytes) -> None:
        """Part of the asyncio protocol."""
        if self._dropped is not None:
            self._dropped += len(data)
            return
        receiver = self.receiver
        try:
            if not (self._is_scheduled or self._is_closing or receiver.is_blocked):
                text = self._reader.single(data)
                if text is not None:
                    receiver.take(text)
                    return
        except Exception as error:
            self.fail(error)
            return
        self._reader.feed(data)
        if not self._is_scheduled:
            self._read()

    def _read(self) -> None:
        """Pass on received messages, as many as this turn of the loop allows."""
        if self._dropped is not None:
            return
        reader, left = self._reader, self._per_turn
        try:
            while reader.unread and not self.receiver.is_blocked:
                if not left:
                    self._is_scheduled = True
                    asyncio.get_running_loop().call_soon(self._read_on)
                    break
                message = reader.take()
                if message is None:
                    break
                left -= 1
                if not self.handle(*message):
                    return
        except Exception as error:
            self.fail(error)
            return
        is_reading = reader.unread <= UNREAD_LIMIT or not (self._is_scheduled or self.receiver.is_blocked)
        if is_reading is not self._is_reading and not self._is_gone and not self.transport.is_closing():
            self._is_reading = is_reading
            if is_reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def handle(self, kind: int, content: Any) -> bool:
        """Handle a received message. False: the connection ends, and nothing more is handled."""
        raise NotImplementedError

    def fail(self, error: Exception) -> None:
        """End the connection because of an exception of the reader or the receiver."""
        logger.error("a message could not be handled", exc_info=error)
        self.abort()

    def _read_on(self) -> None:
        self._is_scheduled = False
        if not self._is_gone:
            self._read()

    def proceed(self) -> None:
        """Part of ``Line``."""
        if not self._is_scheduled and not self._is_gone and (self._reader.unread or not self._is_reading):
            # Not within the call that finished the work it waited for.
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._read_on)

    def eof_received(self) -> bool:
        """Part of the asyncio protocol: the transport closes itself then."""
        return False

    # Closing

    def close(self) -> None:
        """Part of ``Line``."""
        raise NotImplementedError

    def start_closing(self, last: bytes = b"") -> None:
        """Send nothing more after ``last``, and abort the connection if it is not closed in time."""
        if last:
            self._outbox.put(self, last)
        self._is_closing = True
        self._grace = asyncio.get_running_loop().call_later(CLOSE_GRACE, self.abort)

    def drop_input(self) -> None:
        """Throw away what still arrives, and close the connection when nothing does.

        A connection that is closed while bytes of the client are unread is reset, and the client may not get
        the last ones that were sent to it.
        """
        self._dropped = 0
        if not self._is_reading:
            self._is_reading = True
            self.transport.resume_reading()
        asyncio.get_running_loop().call_later(QUIET, self._look_whether_quiet, 0)

    def _look_whether_quiet(self, before: int | None) -> None:
        if self._is_gone:
            return
        if self._dropped == before:
            self.transport.close()
        else:
            asyncio.get_running_loop().call_later(QUIET, self._look_whether_quiet, self._dropped)

    def write_pending(self) -> None:
        """Pass waiting frames to the transport, which sends them before it closes."""
        pending, self.pending = self.pending, None
        if pending is not None:
            self.write(pending if isinstance(pending, bytes) else b"".join(pending))

    def abort(self) -> None:
        """Abort the connection. The receiver is notified in a later turn of the loop."""
        if not self._is_gone:
            self._is_closing = True
            self.write = _discard
            self.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        if not self._is_gone:
            if self._closed is None:
                self._closed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._closed)

    def connection_lost(self, error: Exception | None) -> None:
        """Part of the asyncio protocol."""
        self._is_gone = self._is_closing = True
        self.is_full = False
        self.write = _discard
        self.pending = None
        if self._grace is not None:
            self._grace.cancel()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        # They refer to each other.
        receiver, self.receiver = self.receiver, NOBODY
        receiver.lost()
