"""One connection of lines: cuts incoming data into lines, and writes outgoing ones through the outbox."""

import asyncio
import re
from typing import Any, Final

from chat_service.transports.network.buffered import BufferedConnection
from chat_service.transports.network.lines import Outbox
from chat_service.transports.streams.stream_connection import StreamConnection

#: The kinds of what is read: a text, bytes that are not UTF-8, a key that interrupts, and a line that exceeds
#: the limit, without its content.
TEXT, INVALID, INTERRUPT, TOO_LONG = 1, 2, 3, 4

#: Ctrl-C and Ctrl-D as characters, and Ctrl-C as telnet sends it: the command "interrupt process".
_INTERRUPTS: Final = rb"[\x03\x04]|\xff\xf4"
#: Options that telnet offers, and its other commands. They say nothing to us.
_TELNET: Final = re.compile(rb"\xff[\xfb-\xfe].|\xff[\xf0-\xf9]", re.DOTALL)


class LineReader:
    """Decodes lines. Feed it, then take lines until there are none."""

    __slots__ = ("_data", "_delimiter", "_end", "_is_dropping", "_max_size", "_scanned", "_start")

    def __init__(self, max_size: int, delimiter: bytes = b"\n") -> None:
        """``max_size``: maximum size of a line in bytes. ``delimiter``: what ends a line; with ``\\n`` also
        ``\\r\\n``.
        """
        self._max_size = max_size
        self._delimiter = delimiter
        self._end = re.compile(re.escape(delimiter) + b"|" + _INTERRUPTS)
        self._data = bytearray()
        #: Where the next line begins, and up to where there is no end of it.
        self._start = self._scanned = 0
        #: Whether the rest of a line that is too long is being dropped.
        self._is_dropping = False

    @property
    def unread(self) -> int:
        """Number of bytes that are not decoded yet."""
        return len(self._data) - self._start

    def single(self, data: bytes) -> str | None:
        """Lines are never passed on without being fed."""
        return None

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        if self._start:
            del self._data[: self._start]
            self._scanned -= self._start
            self._start = 0
        self._data += data

    def take(self) -> tuple[int, str | bytes] | None:
        """The kind and content of the next line, or None if it is incomplete."""
        found = self._end.search(self._data, self._scanned)
        if self._is_dropping:
            if found is None:
                self._drop()
                return None
            self._is_dropping = False
            self._start = self._scanned = found.end()
            return self.take() if found[0] == self._delimiter else (INTERRUPT, "")
        size = (len(self._data) if found is None else found.start()) - self._start
        is_too_long = size > self._max_size + len(self._delimiter)
        if found is None:
            if is_too_long:
                self._is_dropping = True
                self._drop()
                return TOO_LONG, ""
            # The delimiter may have arrived in part.
            self._scanned = max(self._start, len(self._data) - len(self._delimiter))
            return None
        line = bytes(self._data[self._start : found.start()])
        self._start = self._scanned = found.end()
        if found[0] != self._delimiter:
            return INTERRUPT, ""
        return (TOO_LONG, "") if is_too_long else self._decode(line)

    def _drop(self) -> None:
        """Keep only what may be the beginning of an end."""
        self._start = self._scanned = max(self._start, len(self._data) - len(self._delimiter))

    def finish(self) -> None:
        """No more bytes will arrive: the rest is a line, too."""
        if self.unread and not self._data.endswith(self._delimiter):
            self.feed(self._delimiter)

    def _decode(self, line: bytes) -> tuple[int, str | bytes]:
        if self._delimiter == b"\n" and line.endswith(b"\r"):
            line = line[:-1]
        if len(line) > self._max_size:
            return TOO_LONG, ""
        if b"\xff" in line:
            line = _TELNET.sub(b"", line)
        try:
            return TEXT, line.decode()
        except UnicodeDecodeError:
            return INVALID, line


class LineConnection(BufferedConnection):
    """A connection, on which each packet is a line."""

    __slots__ = ("_has_ended", "_line_end", "_lines")

    def __init__(
        self,
        transport: asyncio.Transport,
        outbox: Outbox,
        lines: LineReader,
        line_end: bytes,
        *,
        send_buffer_limit: int,
        per_turn: int,
    ) -> None:
        """``line_end``: what is sent after each line."""
        super().__init__(transport, outbox, lines, send_buffer_limit=send_buffer_limit, per_turn=per_turn)
        self._lines = lines
        self._line_end = line_end
        self._has_ended = False

    @property
    def _stream(self) -> StreamConnection | None:
        return self.receiver if isinstance(self.receiver, StreamConnection) else None

    def begin(self, packet: str | None) -> None:
        """Part of ``Line``."""
        if packet is not None:
            self.write(self.frame_of(packet))

    def frame_of(self, packet: str | bytes) -> bytes:
        """A packet as it is written."""
        return (packet if isinstance(packet, bytes) else packet.encode()) + self._line_end

    def data_received(self, data: bytes) -> None:
        """Part of the asyncio protocol."""
        if not self._is_closing:
            super().data_received(data)

    def handle(self, kind: int, content: Any) -> bool:
        """Handle a received line. False: the connection ends, and nothing more is handled."""
        if self._is_closing:
            return False
        stream = self._stream
        if kind == INTERRUPT and stream is not None:
            stream.interrupt()
        elif kind == TOO_LONG and stream is not None:
            stream.too_long()
        else:
            self.receiver.take(content)
        self._look_at_end()
        return not self._is_closing

    def _look_at_end(self) -> None:
        stream = self._stream
        if self._has_ended and not self._reader.unread and stream is not None:
            stream.finish()

    def eof_received(self) -> bool:
        """Part of the asyncio protocol: the client sends no more, but may read the answers."""
        if self._is_closing or self.transport.get_extra_info("sslcontext") is not None:
            # TLS has no half-closed connections.
            return False
        self._has_ended = True
        self._lines.finish()
        if self._reader.unread:
            if not self._is_scheduled:
                self._read()
        else:
            self._look_at_end()
        return True

    def close(self) -> None:
        """Part of ``Line``."""
        if self._is_closing or self._is_gone:
            return
        self.start_closing()
        self.write_pending()
        if self.transport.can_write_eof():
            # A connection that is closed while the client sends is reset, and its last lines may be lost. So
            # the client closes it, or the time limit does.
            self.transport.write_eof()
            if self._has_ended:
                self.transport.close()
            elif not self._is_reading:
                self._is_reading = True
                self.transport.resume_reading()
        else:
            self.transport.close()


class NewLine(asyncio.Protocol):
    """The protocol of a new connection, which replaces itself."""

    def __init__(self, transport: Any) -> None:
        """``transport``: a ``LineTransport``."""
        self._owner = transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of the asyncio protocol."""
        self._owner.connected(transport)
