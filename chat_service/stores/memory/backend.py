"""The state that all memory stores of one process share."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from chat_service import rules
from chat_service.contracts.bus import Notify, Topic, TopicKind
from chat_service.contracts.records import (
    SOCKETS,
    Departure,
    Rate,
    Removal,
    RoomConfig,
    RoomQuota,
    UserConfig,
)
from chat_service.errors import ChatServiceError
from chat_service.stores.memory.ban_table import Bans
from chat_service.stores.memory.expiry import Expiry
from chat_service.stores.memory.history import SentKeys
from chat_service.stores.memory.leaving import Leaving
from chat_service.stores.memory.memory_bus import Hub
from chat_service.stores.memory.own_rooms import OwnedRooms, OwnRooms
from chat_service.stores.memory.paces import Paces
from chat_service.stores.memory.room import MemoryRoom
from chat_service.types import InstanceId, RoomName, SocketId, UserName

NameT = TypeVar("NameT", UserName, RoomName)

#: How many users, rooms and histories are looked after with each heartbeat of an instance.
SLICE_PER_HEARTBEAT = 1000


@dataclass(slots=True)
class UserSocket:
    """A connected socket of a user, and a superset of its rooms."""

    instance_id: InstanceId
    rooms: set[RoomName] = field(default_factory=set)


class MemoryUser:
    """One user's lists and sockets."""

    def __init__(self, config: UserConfig, *, is_ephemeral: bool = False) -> None:
        #: Whether the user goes with the last socket.
        self.is_ephemeral = is_ephemeral
        #: Time in seconds after which the user goes when nothing is left of them; None: never.
        self.ttl = config.ttl
        self.whitelist_only = config.whitelist_only
        self.lists: dict[str, dict[str, None]] = {
            "blacklist": dict.fromkeys(config.blacklist),
            "whitelist": dict.fromkeys(config.whitelist),
        }
        self.sockets: dict[SocketId, UserSocket] = {}
        #: Identifies this life of the user.
        self.birth = object()
        self.own_rooms = OwnRooms()

    @property
    def is_idle(self) -> bool:
        """Whether nothing but the name is left."""
        return not (self.sockets or self.whitelist_only or any(self.lists.values()))

    def lets_write(self, sender: str) -> bool:
        return rules.has_direct_access(
            in_blacklist=sender in self.lists["blacklist"],
            in_whitelist=sender in self.lists["whitelist"],
            whitelist_only=self.whitelist_only,
        )


class MemoryInstance:
    """One instance's last heartbeat (ms) and sockets."""

    def __init__(self) -> None:
        #: None before the first heartbeat and after a claim.
        self.heartbeat: int | None = None
        #: When another instance claimed the recovery of this one (ms).
        self.claimed: int | None = None
        #: Changes with each heartbeat and each claim.
        self.pulse = 0
        self.sockets: dict[SocketId, UserName] = {}

    def beat(self, now: int) -> None:
        """It is alive: no claim of it counts any longer."""
        self.heartbeat, self.claimed = now, None
        self.pulse += 1

    def claim(self, now: int) -> int:
        """Another instance recovers it. Returns the pulse."""
        self.heartbeat, self.claimed = None, now
        self.pulse += 1
        return self.pulse

    @property
    def is_listed(self) -> bool:
        """Whether the instance is alive or claimed. Otherwise only its sockets are known."""
        return self.heartbeat is not None or self.claimed is not None


class MemoryBackend:
    """The users, rooms, instances and hub of one process.

    Pass the same backend to several ``MemoryStore`` objects to run several instances in one process. No
    change spans an ``await``, so each is atomic.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        """``now``: seconds on a clock that never goes back."""
        self.now = now
        self.hub = Hub()
        self.users: dict[UserName, MemoryUser] = {}
        self.rooms: dict[RoomName, MemoryRoom] = {}
        self.instances: dict[InstanceId, MemoryInstance] = {}
        self.sent_keys = SentKeys(now)
        self.bans = Bans(now)
        self.paces = Paces(now)
        #: Users of whom nothing is left, rooms that are empty, and rooms whose old messages are dropped.
        self.idle_users: Expiry[UserName] = Expiry(self._forget_user, now)
        self.empty_rooms: Expiry[RoomName] = Expiry(self._forget_room, now)
        self.ageing_rooms: Expiry[RoomName] = Expiry(self._drop_old_messages, now)
        self.owned_rooms = OwnedRooms(self.empty_rooms)

    def user(self, name: UserName) -> MemoryUser:
        """Raises ``noUser``."""
        if self.idle_users.heap:
            self.idle_users.look(name)
        try:
            return self.users[name]
        except KeyError:
            raise ChatServiceError("noUser", name) from None

    def has_user(self, name: UserName) -> bool:
        """Whether the user exists."""
        if self.idle_users.heap:
            self.idle_users.look(name)
        return name in self.users

    def add_user(self, name: UserName, user: MemoryUser) -> None:
        """Add a user who does not exist."""
        self.users[name] = user
        self.settle_user(name, user)

    def settle_user(self, name: UserName, user: MemoryUser) -> None:
        """Let a user go in time if nothing is left of them; to be called after changes."""
        if user.ttl is not None and user.is_idle:
            if name not in self.idle_users:
                self.idle_users.set(name, user.ttl)
        else:
            self.idle_users.cancel(name)

    def _forget_user(self, name: UserName) -> None:
        del self.users[name]

    def room(self, name: RoomName) -> MemoryRoom:
        """Raises ``noRoom``."""
        if self.empty_rooms.heap:
            self.empty_rooms.look(name)
        try:
            return self.rooms[name]
        except KeyError:
            raise ChatServiceError("noRoom", name) from None

    def has_room(self, name: RoomName) -> bool:
        """Whether the room exists."""
        if self.empty_rooms.heap:
            self.empty_rooms.look(name)
        return name in self.rooms

    def add_room(self, room: MemoryRoom) -> None:
        """Add a room that does not exist."""
        self.rooms[room.name] = room
        self.settle_room(room)
        self.settle_history(room)

    def remove_room(self, name: RoomName) -> MemoryRoom:
        """Remove a room that exists."""
        self.empty_rooms.cancel(name)
        self.ageing_rooms.cancel(name)
        self.owned_rooms.discard(name)
        return self.rooms.pop(name)

    def settle_room(self, room: MemoryRoom) -> None:
        """Let a room go in time if it is empty; to be called when members join, when all have left, and when
        the time changes."""
        if room.empty_ttl is None or room.members:
            self.empty_rooms.cancel(room.name)
        else:
            self.empty_rooms.set(room.name, room.empty_ttl)

    def settle_history(self, room: MemoryRoom) -> None:
        """Have the old messages of a room dropped although nobody reads or sends any."""
        if room.history.ttl is None:
            self.ageing_rooms.cancel(room.name)
        else:
            self.ageing_rooms.set(room.name, room.history.ttl)

    def _forget_room(self, name: RoomName) -> None:
        self.ageing_rooms.cancel(name)
        self.owned_rooms.discard(name)
        del self.rooms[name]

    def _drop_old_messages(self, name: RoomName) -> None:
        room = self.rooms[name]
        room.history.drop_old()
        self.settle_history(room)

    def look_after(self) -> None:
        """Do a slice of what is due although no operation came by."""
        for expiry in (self.idle_users, self.empty_rooms, self.ageing_rooms):
            expiry.look(limit=SLICE_PER_HEARTBEAT)

    def instance(self, name: InstanceId) -> MemoryInstance:
        """The instance, created if missing."""
        return self.instances.setdefault(name, MemoryInstance())

    def index(self, user: UserName, socket_id: SocketId) -> UserSocket | None:
        """A socket in its user's index, None if the user or the socket is missing."""
        entry = self.users.get(user)
        return entry.sockets.get(socket_id) if entry else None

    def unlist(self, user: UserName, room: RoomName) -> None:
        """Remove a room that is not a conversation from the list of a user."""
        entry = self.users.get(user)
        if entry is not None and ":" not in room:
            entry.own_rooms.discard(room)

    def connect(
        self,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        ephemeral: bool,
        limit: int | None,
        ttl: float | None,
        rate: Rate | None,
    ) -> int:
        """``Store.socket_connect``."""
        self.bans.check(user)
        if self.idle_users.heap:
            self.idle_users.look(user)
        entry = self.users.get(user)
        is_new = entry is None or socket_id not in entry.sockets
        if entry and limit and len(entry.sockets) >= limit and is_new:
            raise ChatServiceError("limitExceeded", SOCKETS)
        if rate is not None and is_new:
            self.paces.take(("login", user), rate)
        self.instance(instance_id).sockets[socket_id] = user
        if entry is None:
            entry = self.users[user] = MemoryUser(UserConfig(), is_ephemeral=ephemeral)
        elif not ephemeral:
            entry.is_ephemeral = False
        entry.ttl = ttl
        if socket_id not in entry.sockets:
            entry.sockets[socket_id] = UserSocket(instance_id)
            if self.idle_users.heap:
                self.idle_users.cancel(user)
            self.notify_user(user, "socketConnectEcho", socket_id, len(entry.sockets), exclude=(socket_id,))
        return len(entry.sockets)

    def create_room(self, room: RoomName, config: RoomConfig, quota: RoomQuota | None) -> None:
        """``Store.room_create``."""
        if quota is not None and config.owner is not None:
            self.bans.check(config.owner)
            if quota.rate is not None:
                self.paces.take(("room", config.owner), quota.rate)
            if quota.limit is not None:
                self.owned_rooms.check(config.owner, quota.limit)
        if self.has_room(room):
            raise ChatServiceError("roomExists", room)
        self.add_room(MemoryRoom(room, config, self.hub.send, self.now))
        if quota is not None and quota.limit is not None and config.owner is not None:
            self.owned_rooms.add(room, config.owner)

    def disconnect(
        self, user: UserName, socket_id: SocketId, instance_id: InstanceId, departures: Sequence[Departure]
    ) -> int:
        """``Store.socket_disconnect``."""
        instance = self.instances.get(instance_id)
        if instance is not None:
            instance.sockets.pop(socket_id, None)
        entry = self.users.get(user)
        if entry is None:
            return 0
        nconnected, only = len(entry.sockets), (socket_id,)
        if entry.sockets.pop(socket_id, None) is None:
            return nconnected
        nconnected -= 1
        for left in departures:
            self.notify_user(user, "roomLeftEcho", left.room, socket_id, left.njoined, exclude=only)
        self.notify_user(user, "socketDisconnectEcho", socket_id, nconnected, exclude=only)
        if not nconnected and entry.is_ephemeral:
            del self.users[user]
        elif entry.ttl is not None:
            self.settle_user(user, entry)
        return nconnected

    def notify_user(self, user: UserName, event: str, *args: Any, exclude: Sequence[SocketId] = ()) -> None:
        topic = Topic(TopicKind.USER, user)
        self.hub.send(topic, Notify(event=event, args=args, exclude=tuple(exclude)))

    async def finish_removal(self, room: MemoryRoom, leaving: Leaving | None) -> Removal | None:
        """Clean the indexes of removed users and notify their sockets that were not joined."""
        if leaving is None:
            return None
        if room.empty_ttl is not None and not room.is_deleted:
            self.settle_room(room)
        try:
            while not leaving.is_over:
                if leaving.is_large:
                    await asyncio.sleep(0)
                self._do_slice(room, leaving)
        finally:
            # Nobody else would finish this if the caller is cancelled.
            while not leaving.is_over:
                self._do_slice(room, leaving)
            if leaving in room.leaving:
                room.leaving.remove(leaving)
        return Removal(cursor=leaving.cursor, sockets=leaving.sockets)

    def _do_slice(self, room: MemoryRoom, leaving: Leaving) -> None:
        current = self.rooms.get(room.name)
        for user, (sockets, is_out) in leaving.take().items():
            # The room may have been deleted and created again.
            member = current.members.get(user) if current is not None else None
            for socket_id in sockets:
                if member is not None and socket_id in member.sockets:
                    # It has joined again.
                    continue
                entry = self.index(user, socket_id)
                if entry is not None:
                    entry.rooms.discard(room.name)
            if is_out:
                self.unlist(user, room.name)
                self.notify_user(user, "roomAccessRemoved", room.name, exclude=sockets)


def next_names(names: Iterable[NameT], limit: int, cursor: str | None) -> tuple[list[NameT], str | None]:
    """The first names after the cursor, which is itself a name, and the cursor of the next page."""
    found = heapq.nsmallest(limit + 1, (name for name in names if cursor is None or name > cursor))
    return found[:limit], found[limit - 1] if len(found) > limit else None
