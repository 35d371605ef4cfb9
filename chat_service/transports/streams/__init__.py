"""Plain WebSockets and lines: transports without Socket.IO, whose protocols are dialects."""

from chat_service.transports.streams.line_transport import LineOptions, LineTransport
from chat_service.transports.streams.websocket_transport import WebSocketOptions, WebSocketTransport

__all__ = ["LineOptions", "LineTransport", "WebSocketOptions", "WebSocketTransport"]
