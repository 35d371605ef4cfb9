"""Extensible, horizontally scalable room messaging over Socket.IO."""

from importlib import import_module
from typing import TYPE_CHECKING

from chat_service.version import __version__ as __version__

if TYPE_CHECKING:
    from chat_service.clock import Clock, SystemClock
    from chat_service.contracts.records import Ban, Page, RoomSummary, UserSummary
    from chat_service.contracts.store import Store
    from chat_service.contracts.transport import Handshake, Transport
    from chat_service.domain.emitter import FailureInfo
    from chat_service.domain.listing import InstanceState, InstanceStatus, RoomMember, RoomStatus
    from chat_service.errors import (
        ChatServiceError,
        ConfigurationError,
        ServiceClosedError,
        StoreError,
        StoreRefusedError,
        StoreTimeoutError,
    )
    from chat_service.hooks import CommandCall, DisconnectInfo, Login, MembershipInfo
    from chat_service.options import Options
    from chat_service.protocol.arguments import ArgumentType
    from chat_service.service import ChatService, CloseTimeoutError
    from chat_service.stores.memory import MemoryBackend, MemoryStore
    from chat_service.transports.streams import LineTransport, WebSocketTransport
    from chat_service.types import Message, user_channel

#: The modules of the public names. They are imported on first use so that the command line starts quickly.
_HOMES = {
    "chat_service.clock": ("Clock", "SystemClock"),
    "chat_service.domain.emitter": ("FailureInfo",),
    "chat_service.domain.listing": ("InstanceState", "InstanceStatus", "RoomMember", "RoomStatus"),
    "chat_service.errors": (
        "ChatServiceError",
        "ConfigurationError",
        "ServiceClosedError",
        "StoreError",
        "StoreRefusedError",
        "StoreTimeoutError",
    ),
    "chat_service.hooks": ("CommandCall", "DisconnectInfo", "Login", "MembershipInfo"),
    "chat_service.options": ("Options",),
    "chat_service.protocol.arguments": ("ArgumentType",),
    "chat_service.service": ("ChatService", "CloseTimeoutError"),
    "chat_service.contracts.records": ("Ban", "Page", "RoomSummary", "UserSummary"),
    "chat_service.contracts.store": ("Store",),
    "chat_service.stores.memory": ("MemoryBackend", "MemoryStore"),
    "chat_service.contracts.transport": ("Handshake", "Transport"),
    "chat_service.transports.streams": ("LineTransport", "WebSocketTransport"),
    "chat_service.types": ("Message", "user_channel"),
}


def _load(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if not TYPE_CHECKING:
    # Hidden from type checkers, which would assume that every name exists.
    __getattr__ = _load

__all__ = [
    "ArgumentType",
    "Ban",
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
    "LineTransport",
    "Login",
    "MembershipInfo",
    "MemoryBackend",
    "MemoryStore",
    "Message",
    "Options",
    "Page",
    "RoomMember",
    "RoomStatus",
    "RoomSummary",
    "ServiceClosedError",
    "Store",
    "StoreError",
    "StoreRefusedError",
    "StoreTimeoutError",
    "SystemClock",
    "Transport",
    "UserSummary",
    "WebSocketTransport",
    "user_channel",
]
