"""Announcing the devices that people use: "ann is here with a phone".

A client names its device when it connects. The others in a room are told when it joins and when it leaves:

    const socket = io(url, { query: { userName: "ann" }, auth: { device: "phone" } })
    socket.on("deviceJoined", (room, user, socketId, device) => ...)
    socket.on("deviceLeft", (room, user, socketId) => ...)

Both events name the socket, because a user may have two phones. A joining client gets the devices already
present as an extra value in the ack of `roomJoin`:

    socket.emit("roomJoin", "default", (error, njoined, devices) => ...)   // {socketId: [user, device]}
"""

import os
from collections import defaultdict
from typing import Any

from chat_service import ChatService, ChatServiceError, CommandCall, MembershipInfo

DEVICES = frozenset({"phone", "tablet", "desktop", "bot"})
#: The events by which instances update each other, with the arguments of ``_add`` and ``_remove``.
ADDED, REMOVED, WANTED = "device added", "device removed", "devices wanted"


class Devices:
    """The hooks. Every instance knows the devices in all rooms, because a room's sockets are on any
    instance.
    """

    def __init__(self) -> None:
        #: room -> socket id -> (user, device)
        self._rooms: defaultdict[str, dict[str, tuple[str, str]]] = defaultdict(dict)

    async def on_start(self, service: ChatService) -> None:
        def tell_all() -> None:
            """An instance has started and has no data yet: send the devices on this instance."""
            for room, devices in self._rooms.items():
                for socket_id, (user, device) in devices.items():
                    if service.transport.get_handshake_data(socket_id).is_connected:
                        service.cluster_bus.emit(ADDED, room, socket_id, user, device)

        service.cluster_bus.on(ADDED, self._add)
        service.cluster_bus.on(REMOVED, self._remove)
        service.cluster_bus.on(WANTED, tell_all)
        service.cluster_bus.emit(WANTED)

    async def on_connect(self, service: ChatService, socket_id: str) -> str | None:
        """Trust the name that the client gives. A real service checks a token here."""
        if device_of(service, socket_id) not in DEVICES:
            raise ChatServiceError("badDevice")
        return service.transport.get_handshake_data(socket_id).query.get("userName")

    def on_join(self, service: ChatService, info: MembershipInfo) -> None:
        # This runs before the join is announced, and never at the same time as `on_leave` of this socket and
        # room, so clients always get "joined" before "left".
        device = device_of(service, info.id)
        self._add(info.room_name, info.id, info.user_name, device)
        service.cluster_bus.emit(ADDED, info.room_name, info.id, info.user_name, device)
        service.transport.emit_to_channel(
            info.room_name, "deviceJoined", info.room_name, info.user_name, info.id, device
        )

    def on_leave(self, service: ChatService, info: MembershipInfo) -> None:
        # Also runs after a disconnect or lost access, and, for the sockets of a dead instance, on the
        # instance that cleans up after it. The handshake is unknown there, so the device is not read.
        self._remove(info.room_name, info.id)
        service.cluster_bus.emit(REMOVED, info.room_name, info.id)
        service.transport.emit_to_channel(
            info.room_name, "deviceLeft", info.room_name, info.user_name, info.id
        )

    def room_join_after(self, call: CommandCall) -> list[Any] | None:
        if call.results is None:
            return None  # pass an error on unchanged
        return [*call.results, dict(self._rooms.get(call.args[0], {}))]

    def _add(self, room: str, socket_id: str, user: str, device: str) -> None:
        self._rooms[room][socket_id] = (user, device)

    def _remove(self, room: str, socket_id: str) -> None:
        devices = self._rooms[room]
        devices.pop(socket_id, None)
        if not devices:
            del self._rooms[room]


def device_of(service: ChatService, socket_id: str) -> str:
    """The device that a client has named, or ""."""
    auth = service.transport.get_handshake_data(socket_id).auth
    device = auth.get("device") if isinstance(auth, dict) else None
    return device if isinstance(device, str) else ""


def make_service(**options: Any) -> ChatService:
    """A service that announces devices."""
    return ChatService(hooks=Devices(), **options)


if __name__ == "__main__":
    make_service(port=int(os.environ.get("PORT", "8000"))).run()
