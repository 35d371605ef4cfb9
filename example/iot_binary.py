"""Devices that exchange binary data: readings and orders are direct messages that contain bytes.

Each device is a user with its own key. The server ensures that a lamp gets messages only from its hub.
Messages are `{kind, payload}`, and only the devices interpret the payload: here, `struct` packs a reading
into 8 bytes, where JSON would take 60. Packets are msgpack, so bytes are sent unchanged:

    client = socketio.AsyncClient(serializer="msgpack")
    await client.connect(url, namespaces=["/chat-service"], auth={"device": "lamp", "key": "..."})
    await client.call("directMessage", ("hub", {"kind": "reading", "payload": reading.pack()}), ...)

An ack means that the message was passed on to a device that is online. The error `noUserOnline` means that
the device is offline. Nothing is stored, because a late order may be worse than none.
"""

import hmac
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from chat_service import ChatService, ChatServiceError

#: Maximum bytes of a payload.
PAYLOAD_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """A measurement: the sensor's number, the number of the reading, and the value."""

    sensor: int
    count: int
    value: float

    _FORMAT = struct.Struct(">BxHf")

    def pack(self) -> bytes:
        return self._FORMAT.pack(self.sensor, self.count, self.value)

    @classmethod
    def unpack(cls, payload: bytes) -> Self:
        return cls(*cls._FORMAT.unpack(payload))


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The server's data about a device. ``partners``: devices that may send to it."""

    key: str
    partners: tuple[str, ...]


def check_message(message: dict[str, Any]) -> None:
    """A checker hook for the form of messages, not the content of the payload."""
    match message:
        case {"kind": "reading" | "order", "payload": bytes() as payload, **rest} if not rest:
            if len(payload) <= PAYLOAD_LIMIT:
                return
    raise ChatServiceError("badArgument", 1, message)


def make_service(devices: Mapping[str, Device], **options: Any) -> ChatService:
    """A service for known devices."""

    async def on_connect(service: ChatService, socket_id: str) -> str:
        auth = service.transport.get_handshake_data(socket_id).auth
        name, key = (auth.get("device"), auth.get("key")) if isinstance(auth, dict) else (None, None)
        device = devices.get(name) if isinstance(name, str) else None
        # Compares in constant time.
        if (
            device is None
            or not isinstance(key, str)
            or not hmac.compare_digest(device.key.encode(), key.encode("utf-8", "replace"))
        ):
            raise ChatServiceError("noLogin")
        return str(name)

    async def on_start(service: ChatService) -> None:
        for name, device in devices.items():
            await service.add_user(name, whitelist=device.partners, whitelist_only=True, exist_ok=True)

    hooks = {"on_connect": on_connect, "on_start": on_start, "direct_messages_checker": check_message}
    transport_options = {
        "serializer": "msgpack",
        # No device needs to send more; one that does is broken and gets disconnected.
        "max_message_size": 4 * PAYLOAD_LIMIT,
        # A device that lost its network silently is noticed within 15 seconds.
        "ping_interval": 10,
        "ping_timeout": 5,
    }
    return ChatService(
        hooks=hooks, enable_direct_messages=True, transport_options=transport_options, **options
    )


if __name__ == "__main__":
    make_service(
        {
            "hub": Device(key="hub-key", partners=("lamp", "thermometer")),
            "lamp": Device(key="lamp-key", partners=("hub",)),
            "thermometer": Device(key="thermometer-key", partners=("hub",)),
        },
        port=int(os.environ.get("PORT", "8000")),
    ).run()
