"""WebSockets directly on the event loop's transport."""

import asyncio
import logging
from typing import Any

from chat_service.transports.network.buffered import BufferedConnection
from chat_service.transports.network.framing import (
    BINARY,
    CLOSE,
    MIN_COMPRESSED_SIZE,
    NORMAL_CLOSURE,
    PING,
    TEXT,
    FrameError,
    FrameReader,
    binary_frame,
    close_frame,
    compress,
    compressed_frame,
    decompress,
    pong_frame,
    text_frame,
)
from chat_service.transports.network.lines import Outbox

logger = logging.getLogger("chat_service")


def make_frame(packet: str | bytes) -> bytes:
    """The frame of an Engine.IO packet."""
    return binary_frame(packet) if isinstance(packet, bytes) else text_frame(packet.encode())


def make_compressed_frame(packet: str | bytes) -> bytes:
    """The same for clients that accept compressed messages."""
    kind, message = (BINARY, packet) if isinstance(packet, bytes) else (TEXT, packet.encode())
    if len(message) < MIN_COMPRESSED_SIZE:
        return make_frame(packet)
    return compressed_frame(kind, compress(message))


class WebSocketConnection(BufferedConnection):
    """One WebSocket."""

    __slots__ = ("_head",)

    def __init__(
        self,
        transport: asyncio.Transport,
        outbox: Outbox,
        head: bytes,
        *,
        max_message_size: int,
        send_buffer_limit: int,
        per_turn: int,
        is_compressed: bool = False,
    ) -> None:
        """``head``: the answer to the client's request. The rest is as in ``BufferedConnection``."""
        super().__init__(
            transport,
            outbox,
            FrameReader(max_message_size, decompress if is_compressed else None),
            send_buffer_limit=send_buffer_limit,
            per_turn=per_turn,
            is_compressed=is_compressed,
        )
        self._head = head

    def begin(self, packet: str | None) -> None:
        """Part of ``Line``."""
        head, self._head = self._head, b""
        self.write(head + make_frame(packet) if packet is not None else head)

    def frame_of(self, packet: str | bytes) -> bytes:
        """A packet as it is written."""
        return make_compressed_frame(packet) if self.is_compressed else make_frame(packet)

    def handle(self, kind: int, content: Any) -> bool:
        """Handle a received message. False: the connection ends, and nothing more is handled."""
        if kind in (TEXT, BINARY):
            if not self._is_closing:
                self.receiver.take(content)
        elif kind == PING:
            if not self._is_closing:
                self._outbox.put(self, pong_frame(content))
        elif kind == CLOSE:
            self._end(NORMAL_CLOSURE)
            return False
        return True

    def fail(self, error: Exception) -> None:
        """End the connection because of an exception of the reader or the receiver."""
        if not isinstance(error, FrameError):
            super().fail(error)
        elif self._is_closing:
            self._end(error.code)
        else:
            self.close_with(error.code)
            self.write_pending()
            self.drop_input()
            self.receiver.violated(str(error))

    def close(self) -> None:
        """Part of ``Line``."""
        self.close_with(NORMAL_CLOSURE)

    def close_with(self, code: int) -> None:
        """Close with a close code (RFC 6455, section 7.4)."""
        if not (self._is_closing or self._is_gone):
            self.start_closing(close_frame(code))

    def _end(self, code: int) -> None:
        """The close handshake is complete."""
        if self._is_gone:
            return
        if not self._is_closing:
            self.start_closing(close_frame(code))
        self.write_pending()
        self.transport.close()
