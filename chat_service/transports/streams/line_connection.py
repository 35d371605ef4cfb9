"""One TCP connection that carries lines."""

import asyncio
from typing import Any

from chat_service.transports.network.buffered import BufferedConnection
from chat_service.transports.network.lines import Outbox
from chat_service.transports.streams.line_reader import INTERRUPT, TOO_LONG, LineReader
from chat_service.transports.streams.stream_connection import StreamConnection


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
