"""A WebSocket connection straight on the event loop's transport: no tasks, queues or timers per message.

The parser is that of aiohttp, which is written in C. It hands each message to what it takes for its queue,
which here is the connection itself. tests/e2e/test_library_pins.py pins what that relies on.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import WSMsgType

# The class that the parser in C insists on.
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WebSocketError, WebSocketReader

from chat_service.transports.socketio.frames import (
    binary_frame,
    close_frame,
    pong_frame,
    text_frame,
)
from chat_service.transports.socketio.outbox import Outbox

logger = logging.getLogger("chat_service")

#: Seconds that a client has to answer the end of its connection.
CLOSE_GRACE = 2.0
GOING_AWAY = 1001
NORMAL_CLOSURE = 1000

_TEXT, _BINARY, _CLOSE, _PING = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE, WSMsgType.PING


class Receiver(Protocol):
    """Who gets what a connection receives. Nothing here raises."""

    def take_text(self, text: str) -> None: ...

    def take_binary(self, data: bytes) -> None: ...

    def full(self) -> None:
        """More than the limit waits for the client: no more of its requests are to be handled for now."""
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


def _discard(data: bytes) -> None:
    """Takes the place of ``write`` when the connection is gone."""


class WebSocketConnection(WebSocketDataQueue):
    """One WebSocket: the asyncio protocol of its transport, and the sink of its frames.

    The base class is there for its type alone: its parts are never made.
    """

    __slots__ = (
        "_answers",
        "_closed",
        "_full_bytes",
        "_grace",
        "_is_closing",
        "_is_gone",
        "_large",
        "_outbox",
        "_parser",
        "_send_buffer_limit",
        "data_received",
        "is_full",
        "pending",
        "receiver",
        "transport",
        "write",
        "write_limit",
    )

    # What the parser asks its queue, when it is the one that is written in Python.
    _size = 0
    _limit = 0

    def __init__(
        self,
        transport: asyncio.Transport,
        receiver: Receiver,
        outbox: Outbox,
        *,
        max_message_size: int,
        send_buffer_limit: int,
    ) -> None:
        # Without the base class's method: a queue of its own would double the size of a connection.
        self.transport = transport
        self.receiver = receiver
        self._outbox = outbox
        self._send_buffer_limit = send_buffer_limit
        # For the parser a message of just this size is too large.
        self._parser: Any = WebSocketReader(self, max_message_size + 1, False, True)
        #: Called by the event loop with all that comes in; returns nothing that it looks at.
        self.data_received: Callable[[bytes], Any] = self._parser.feed_data
        self.pending: bytes | list[bytes] | None = None
        self.write: Callable[[bytes], None] = transport.write
        self.write_limit = send_buffer_limit
        # Bytes of a packet that is larger than the limit by itself, while they are not sent.
        self._large = 0
        # Bytes of answers that the client has asked for, since nothing was unsent or most was read.
        self._answers = 0
        #: Whether more than the limit is unsent.
        self.is_full = False
        # Bytes that were to be sent when it became full, and since then.
        self._full_bytes = 0
        self._is_closing = False
        self._is_gone = False
        self._grace: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] | None = None
        # From then on the transport tells when the limit is passed, so nobody has to look.
        transport.set_write_buffer_limits(high=send_buffer_limit)

    def __repr__(self) -> str:
        state = "gone" if self._is_gone else "closing" if self._is_closing else "open"
        return f"<WebSocketConnection {state} unsent={self.unsent}>"

    # Sending

    @property
    def unsent(self) -> int:
        """Bytes in our buffers and in the transport's."""
        if self._is_gone:
            return 0
        pending = self.pending or b""
        waiting = len(pending) if isinstance(pending, bytes) else sum(map(len, pending))
        return waiting + self.transport.get_write_buffer_size()

    def send(self, data: str | bytes) -> None:
        """Send one message, after those before it."""
        if not self._is_closing:
            frame = binary_frame(data) if isinstance(data, bytes) else text_frame(data.encode())
            self._outbox.put(self, frame)

    def answer(self, frame: bytes) -> None:
        """Send what the client has asked for, which does not count against the limit."""
        if self.pending is None and not self.transport.get_write_buffer_size():
            self._answers = 0
        self._answers += len(frame)
        self._outbox.put(self, frame)

    def allow(self, size: int) -> None:
        """So many bytes are about to be sent that do not count against the limit."""
        self._answers += size

    def write_large(self, data: bytes) -> None:
        """Part of ``Sink``: one packet may be larger than the limit, when nothing else is unsent."""
        unsent, size = self.transport.get_write_buffer_size(), len(data)
        if not unsent and size > self._send_buffer_limit + self._answers:
            self._large = size
        if unsent + size > self._send_buffer_limit + self._large + self._answers:
            self.cut(unsent + size)
        else:
            self._full_bytes += size
            self.write(data)

    def pause_writing(self) -> None:
        """Part of the asyncio protocol: the transport has more than the limit unsent."""
        unsent = self.transport.get_write_buffer_size()
        if unsent > self._send_buffer_limit + self._large + self._answers:
            self.cut(unsent)
        else:
            # From now on every write is looked at.
            self.write_limit = -1
            self.is_full = True
            self._full_bytes = unsent
            self.receiver.full()

    def resume_writing(self) -> None:
        """Part of the asyncio protocol."""
        self._large = self._answers = 0
        self.write_limit = self._send_buffer_limit
        if self.is_full:
            self.is_full = False
            self.receiver.drained()

    @property
    def drained_bytes(self) -> int:
        """Bytes that the system has taken since the connection became full."""
        return 0 if self._is_gone else self._full_bytes - self.transport.get_write_buffer_size()

    def cut(self, unsent: int) -> None:
        """End the connection of a client that does not read."""
        if not self._is_gone and self.write is not _discard:
            self.abort()
            self.receiver.slow(unsent)

    # Receiving; the parser calls, and swallows what is raised

    def feed_data(self, message: Any, size: int) -> None:
        try:
            kind = message[0]
            if self._is_closing and kind is not _CLOSE:
                return
            if kind is _TEXT:
                self.receiver.take_text(message[1])
            elif kind is _BINARY:
                self.receiver.take_binary(message[1])
            elif kind is _PING:
                self._outbox.put(self, pong_frame(bytes(message[1])))
            elif kind is _CLOSE:
                self._end(NORMAL_CLOSURE)
        except Exception:
            logger.exception("a message could not be handled")
            self.abort()

    def set_exception(self, error: BaseException, cause: BaseException | None = None) -> None:
        """What came is no WebSocket message, or too large."""
        code = error.code if isinstance(error, WebSocketError) else 1002
        logger.debug("a websocket ends: %s", error)
        self._end(int(code))

    def feed_eof(self) -> None:
        pass

    # Ending

    def close(self) -> None:
        """Send what waits, then end the connection; the client has a while to agree."""
        if self._is_closing or self._is_gone:
            return
        self._outbox.put(self, close_frame(NORMAL_CLOSURE))
        self._is_closing = True
        self._grace = asyncio.get_running_loop().call_later(CLOSE_GRACE, self.abort)

    def _end(self, code: int) -> None:
        """Both sides have had their say."""
        if self._is_gone:
            return
        if not self._is_closing:
            self._outbox.put(self, close_frame(code))
            self._is_closing = True
            self._grace = asyncio.get_running_loop().call_later(CLOSE_GRACE, self.abort)
        # What waits goes to the transport, which sends it before it closes.
        pending, self.pending = self.pending, None
        if pending is not None:
            self.write(pending if isinstance(pending, bytes) else b"".join(pending))
        self.transport.close()

    def abort(self) -> None:
        """Cut the connection without a word. Its end is told in a later turn of the loop."""
        if not self._is_gone:
            self._is_closing = True
            self.write = _discard
            self.transport.abort()

    def pause_reading(self) -> None:
        """Let what comes wait with the system."""
        if not self._is_gone:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._is_gone:
            self.transport.resume_reading()

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        if not self._is_gone:
            if self._closed is None:
                self._closed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._closed)

    # The rest of the asyncio protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        pass

    def eof_received(self) -> None:
        # The transport closes itself then.
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._is_gone = self._is_closing = True
        self.write = _discard
        self.pending = None
        if self._grace is not None:
            self._grace.cancel()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        # They refer to each other.
        self._parser = self.data_received = None  # type: ignore[assignment]
        self.receiver.lost()
