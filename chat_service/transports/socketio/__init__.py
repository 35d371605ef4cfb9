"""Socket.IO over python-socketio and aiohttp: only this folder imports them and knows their sharp edges."""

from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.transports.socketio.socketio_transport import SocketIOTransport

__all__ = ["SocketIOOptions", "SocketIOTransport"]
