"""Additional data for the page: the list of all rooms, people's devices in a room, limits and removals.

Client requests (with an ack, like commands): ``roomList()`` and ``roomDevices(room)``. Events to clients:
``roomListChanged(changed, removed)`` to all, ``roomDevicesChanged(room, user, devices)`` to the room.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any, Final

from chat_service.concurrency.running import Background, end
from chat_service.contracts.records import RoomSummary
from chat_service.errors import ChatServiceError, ServiceClosedError
from chat_service.hooks import CommandCall, MembershipInfo
from chat_service.protocol.names import conversation_users
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
        rooms = await find_rooms(self._service, MAX_LISTED)
        return [[_entry(room) for room in rooms.values()]]

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
        if is_conversation(room):
            return
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


def is_conversation(room: str) -> bool:
    """Whether a room belongs to two users, and nobody else may know of it."""
    return conversation_users(room) is not None


async def find_rooms(service: ChatService, limit: int) -> dict[str, RoomSummary]:
    """All rooms but conversations, up to ``limit``."""
    rooms: dict[str, RoomSummary] = {}
    cursor: str | None = None
    while len(rooms) < limit:
        page = await service.list_rooms(MAX_ROOMS, cursor)
        rooms |= {room.name: room for room in page.items if not is_conversation(room.name)}
        cursor = page.cursor
        if cursor is None:
            break
    return dict(islice(rooms.items(), limit))


def _entry(room: RoomSummary) -> dict[str, Any]:
    """A room as shown to clients, including those who may not join."""
    return {
        "name": room.name,
        "owner": room.owner,
        "members": room.members_count,
        "whitelistOnly": room.whitelist_only,
    }


MAX_USER_NAME: Final = 32
MAX_ROOM_NAME: Final = 40
#: Maximum number of characters in a message.
MAX_TEXT: Final = 4000
#: Maximum number of rooms that users can create, and the size of pages of rooms.
MAX_ROOMS: Final = 500
#: Maximum number of rooms that clients are told of: a store may have rooms from elsewhere.
MAX_LISTED: Final = 10_000


def check_name(name: Any, limit: int) -> str:
    """Return a name that people can distinguish: printable, not too long, without surrounding spaces.

    Raises ``invalidName``.
    """
    if not isinstance(name, str) or not name.isprintable() or name != name.strip() or len(name) > limit:
        raise ChatServiceError("invalidName", name)
    return name


def user_name(auth: Any, query: Any) -> str | None:
    """The name that a client gives in ``auth`` or the query. Identities are not verified."""
    name = auth.get("userName") if isinstance(auth, dict) else None
    name = query.get("userName") if name is None else name
    return None if name is None else check_name(name, MAX_USER_NAME)


def may_remove(user: str, name: str, owner: str | None, admins: Collection[str]) -> bool:
    """Whether a user may remove another from a room. Only the owner removes admins, and no one the owner."""
    if name in (user, owner):
        return False
    return user == owner or (user in admins and name not in admins)


async def before_room_create(call: CommandCall) -> None:
    """Refuses rooms that the page cannot show. Raises ``invalidName``, ``tooManyRooms``."""
    check_name(call.args[0], MAX_ROOM_NAME)
    if len(await find_rooms(call.service, MAX_ROOMS)) >= MAX_ROOMS:
        raise ChatServiceError("tooManyRooms")


async def before_message(call: CommandCall) -> None:
    """Refuses long room messages and direct messages. Raises ``messageTooLong``."""
    if len(call.args[1]["textMessage"]) > MAX_TEXT:
        raise ChatServiceError("messageTooLong")


class Moderation:
    """Handles the request."""

    def __init__(self, service: ChatService) -> None:
        self._service = service

    def bind(self, socket_id: str, user: str) -> None:
        """Bind the request of a user's new socket."""

        async def room_remove_user(room: Any = None, name: Any = None, *_: Any) -> None:
            await self._remove(user, room, name)

        self._service.transport.bind_handler(socket_id, "roomRemoveUser", room_remove_user)

    async def _remove(self, user: str, room: Any, name: Any) -> None:
        """Raises ``notAllowed``, ``notJoined``, ``noRoom``, ``noUser``, ``invalidName``."""
        check_name(name, MAX_USER_NAME)
        run = self._service.exec_user_command
        [owner] = await run(user, "roomGetOwner", room)
        [admins] = await run(user, "roomGetAccessList", room, "adminlist")
        if not may_remove(user, name, owner, admins):
            raise ChatServiceError("notAllowed")
        [sockets] = await run(name, "listOwnSockets")
        joined = [socket_id for socket_id, rooms in sockets.items() if room in rooms]
        if joined:
            self._service.transport.emit_to_channel(user_channel(name), "roomUserRemoved", room, user)
        for socket_id in joined:
            await self._leave(name, socket_id, room)

    async def _leave(self, name: str, socket_id: str, room: str) -> None:
        try:
            await self._service.exec_user_command({"user_name": name, "id": socket_id}, "roomLeave", room)
        except ChatServiceError as error:
            # Disconnected meanwhile, and therefore no longer in the room.
            if error.code != "invalidSocket":
                raise
