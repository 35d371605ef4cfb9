"""Extensible, horizontally scalable room messaging over Socket.IO."""

from chat_service.clock import Clock, SystemClock
from chat_service.domain.failures import FailureInfo
from chat_service.domain.listing import InstanceState, InstanceStatus, RoomStatus
from chat_service.errors import (
    ChatServiceError,
    ConfigurationError,
    ServiceClosedError,
    StoreError,
    StoreTimeoutError,
)
from chat_service.hooks import CommandCall, DisconnectInfo, MembershipInfo
from chat_service.options import Options
from chat_service.service import ChatService, CloseTimeoutError
from chat_service.stores.base import Page, RoomSummary, Store, UserSummary
from chat_service.stores.memory import MemoryBackend, MemoryStore
from chat_service.transports.base import Handshake, Transport
from chat_service.types import Message, user_channel

__version__ = "0.1.0"

__all__ = [
    "ChatService",
    "ChatServiceError",
    "Clock",
    "CloseTimeoutError",
    "CommandCall",
    "ConfigurationError",
    "DisconnectInfo",
    "FailureInfo",
    "Handshake",
    "InstanceState",
    "InstanceStatus",
    "MembershipInfo",
    "MemoryBackend",
    "MemoryStore",
    "Message",
    "Options",
    "Page",
    "RoomStatus",
    "RoomSummary",
    "ServiceClosedError",
    "Store",
    "StoreError",
    "StoreTimeoutError",
    "SystemClock",
    "Transport",
    "UserSummary",
    "user_channel",
]
