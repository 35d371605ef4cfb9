"""A WebSocket whose packets are text, as bytes in UTF-8 or as strings."""

from typing import Any

from chat_service.transports.network.framing import (
    MIN_COMPRESSED_SIZE,
    PONG,
    TEXT,
    compress,
    compressed_frame,
    ping_frame,
    text_frame,
)
from chat_service.transports.network.websocket import WebSocketConnection
from chat_service.transports.streams.stream_connection import StreamConnection

_PING = ping_frame()


def make_compressed_text(data: bytes) -> bytes:
    """The frame of a text in UTF-8, for clients that accept compressed messages."""
    return text_frame(data) if len(data) < MIN_COMPRESSED_SIZE else compressed_frame(TEXT, compress(data))


class TextWebSocket(WebSocketConnection):
    """One WebSocket of a stream transport."""

    __slots__ = ()

    def frame_of(self, packet: str | bytes) -> bytes:
        """A packet as it is written."""
        data = packet if isinstance(packet, bytes) else packet.encode()
        return make_compressed_text(data) if self.is_compressed else text_frame(data)

    def handle(self, kind: int, content: Any) -> bool:
        """Handle a received message. False: the connection ends, and nothing more is handled."""
        if kind == PONG and isinstance(self.receiver, StreamConnection):
            self.receiver.heard = True
        return super().handle(kind, content)

    def ping(self) -> None:
        """Ask whether the client is alive."""
        if not self._is_closing:
            self._outbox.put(self, _PING)
