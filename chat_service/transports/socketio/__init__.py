"""Socket.IO over python-socketio, which only this folder knows, together with ``borrowed``."""

from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.transports.socketio.socketio_transport import SocketIOTransport

__all__ = ["SocketIOOptions", "SocketIOTransport"]
