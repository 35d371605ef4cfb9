"""The service: wiring, lifecycle and the server API."""

from chat_service.service.chat_service import ChatService
from chat_service.service.lifecycle import CloseTimeoutError

__all__ = ["ChatService", "CloseTimeoutError"]
