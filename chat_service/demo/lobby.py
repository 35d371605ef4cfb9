"""Additional data for the page: the list of all rooms, and people's devices in a room.

Client requests (with an ack, like commands): ``roomList()`` and ``roomDevices(room)``. Events to clients:
``roomListChanged(changed, removed)`` to all, ``roomDevicesChanged(room, user, devices)`` to the room.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from chat_service.concurrency.background import Background, end
from chat_service.contracts.records import RoomSummary
from chat_service.demo.limits import MAX_ROOMS
from chat_service.errors import ChatServiceError, ServiceClosedError
from chat_service.hooks import CommandCall, MembershipInfo
from chat_service.service import ChatService
from chat_service.types import user_channel

logger = logging.getLogger("chat_service")

#: Time in seconds over which changes are combined.
FLUSH_DELAY = 0.1
_CHANGED = "demo:rooms-changed"


class Lobby:
    """Answers the requests, and sends changes to all clients of all instances."""

    def __init__(self, service: ChatService) -> None:
        self._service = service
        #: Rooms that have changed since the last notification.
        self._changed: set[str] = set()
        self._background = Background()
        self._flushing: asyncio.Task[None] | None = None
        service.cluster_bus.on(_CHANGED, self._tell)
        for command in ("roomCreate", "roomDelete", "roomSetWhitelistMode"):
            service.after(command)(self._after_change)
        service.on("on_join")(self._on_membership)
        service.on("on_leave")(self._on_membership)
        service.on("on_close")(self._on_close)

    def bind(self, socket_id: str, user: str) -> None:
        """Bind the requests of a user's new socket."""

        async def room_devices(room: Any = None, *_: Any) -> Any:
            return await self._devices(user, room)

        self._service.transport.bind_handler(socket_id, "roomList", self._rooms)
        self._service.transport.bind_handler(socket_id, "roomDevices", room_devices)

    # Requests

    async def _rooms(self, *_: Any) -> list[Any]:
        rooms: dict[str, Any] = {}
        cursor: str | None = None
        while len(rooms) < MAX_ROOMS:
            page = await self._service.list_rooms(MAX_ROOMS, cursor)
            rooms |= {room.name: _entry(room) for room in page.items}
            cursor = page.cursor
            if cursor is None:
                break
        return [list(rooms.values())[:MAX_ROOMS]]

    async def _devices(self, user: str, room: Any) -> Any:
        """The numbers of joined sockets by user, for users who may see the members."""
        await self._service.exec_user_command(user, "roomGetAccessList", room, "userlist")
        return dict((await self._service.room_status(room)).members)

    # Changes

    def _after_change(self, call: CommandCall) -> None:
        if call.error is None:
            self._mark(call.args[0])

    def _on_membership(self, service: ChatService, info: MembershipInfo) -> None:
        service.transport.emit_to_channel(
            info.room_name, "roomDevicesChanged", info.room_name, info.user_name, info.njoined
        )
        self._mark(info.room_name)

    def _mark(self, room: str) -> None:
        self._changed.add(room)
        if self._flushing is None or self._flushing.done():
            self._flushing = self._background.keep("room list", self._flush)

    async def _flush(self) -> None:
        while self._changed:
            await asyncio.sleep(FLUSH_DELAY)
            names, self._changed = self._changed, set()
            try:
                await self._publish(names)
            except ServiceClosedError:
                return
            except BaseException:
                self._changed |= names
                raise

    async def _publish(self, names: Iterable[str]) -> None:
        changed, removed = [], []
        for name in names:
            try:
                changed.append(_entry((await self._service.room_status(name)).room))
            except ChatServiceError:
                removed.append(name)
            except Exception as error:
                logger.warning(
                    "the change of room %s could not be added to the list of rooms: %r", name, error
                )
        await self._service.cluster_bus.emit(_CHANGED, changed, removed)

    async def _tell(self, changed: list[Any], removed: list[str]) -> None:
        """Each instance notifies its users. Users with sockets on several are notified more than once."""
        try:
            sockets = await self._service.get_instance_sockets()
        except ServiceClosedError:
            # No one is connected here.
            return
        self._tell_users(set(sockets.values()), changed, removed)

    def _tell_users(self, users: Iterable[str], changed: list[Any], removed: list[str]) -> None:
        for user in users:
            channel = user_channel(user)
            self._service.transport.emit_to_channel(channel, "roomListChanged", changed, removed)

    async def _on_close(self, service: ChatService, error: Exception | None) -> None:
        await end(self._flushing)


def _entry(room: RoomSummary) -> dict[str, Any]:
    """A room as shown to clients, including those who may not join."""
    return {
        "name": room.name,
        "owner": room.owner,
        "members": room.members_count,
        "whitelistOnly": room.whitelist_only,
    }
