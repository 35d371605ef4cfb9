"""Devices that talk to each other in binary: readings and orders as direct messages, with bytes inside.

Every device is a user with a key of its own. A lamp listens to its hub and to nobody else; the server sees
to that. Messages are `{kind, payload}`, and what a payload means is the devices' business: a reading is
packed by `struct` into 8 bytes here, where JSON would take 60. Packets are msgpack, so that bytes travel as
they are:

    client = socketio.AsyncClient(serializer="msgpack")
    await client.connect(url, namespaces=["/chat-service"], auth={"device": "lamp", "key": "..."})
    await client.call("directMessage", ("hub", {"kind": "reading", "payload": reading.pack()}), ...)

An ack means that the message was passed on to a device that is online, the error `noUserOnline` that it is
not. Nothing is stored: an order that is late may be worse than none.
"""

import hmac
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from chat_service import ChatService, ChatServiceError

#: Bytes of a payload at most.
PAYLOAD_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """A measurement: the sensor's number, its own count of readings, and the value."""

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
    """What the server knows of a device. ``partners``: who may write to it."""

    key: str
    partners: tuple[str, ...]


def check_message(message: dict[str, Any]) -> None:
    """A checker hook: the form of messages, not what is in the payload."""
    match message:
        case {"kind": "reading" | "order", "payload": bytes() as payload, **rest} if not rest:
            if len(payload) <= PAYLOAD_LIMIT:
                return
    raise ChatServiceError("badArgument", 1, message)


def make_service(devices: Mapping[str, Device], **options: Any) -> ChatService:
    """A service for devices that are known."""

    async def on_connect(service: ChatService, socket_id: str) -> str:
        auth = service.transport.get_handshake_data(socket_id).auth
        name, key = (auth.get("device"), auth.get("key")) if isinstance(auth, dict) else (None, None)
        device = devices.get(name) if isinstance(name, str) else None
        # A comparison that takes as long for a key that is nearly right as for any other.
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
        # Nobody has a reason to send more; a device that does is broken, and is disconnected.
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
