"""Socket.IO over python-socketio and aiohttp. Only this folder imports them and deals with their pitfalls."""

from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.transports.socketio.socketio_transport import SocketIOTransport

__all__ = ["SocketIOOptions", "SocketIOTransport"]
