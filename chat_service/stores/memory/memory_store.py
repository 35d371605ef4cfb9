"""The ``Store`` in memory. Its methods decide without waiting, so each is atomic."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from chat_service import rules
from chat_service.contracts.bus import Bus, BusListener, RoomCursor, RoomEvent
from chat_service.contracts.records import (
    SEEN_LIMIT,
    Actor,
    HistoryInfo,
    HistoryPage,
    HistoryQuery,
    InstanceRecord,
    JoinResult,
    LeaveResult,
    MembersPage,
    Page,
    Removal,
    RoomConfig,
    RoomQuota,
    RoomSettings,
    RoomSummary,
    SendConditions,
    SendResult,
    UserSeen,
    UserSummary,
)
from chat_service.contracts.store import Store
from chat_service.errors import ChatServiceError, StoreError
from chat_service.interactions import FoldedPage
from chat_service.stores.memory.backend import MemoryBackend, next_names
from chat_service.stores.memory.memory_activity import MemoryActivity
from chat_service.stores.memory.memory_bus import LocalBus
from chat_service.stores.memory.memory_own_rooms import MemoryOwnRooms
from chat_service.stores.memory.memory_users import MemoryUsers
from chat_service.stores.memory.room import MemoryRoom
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName


class MemoryStore(MemoryUsers, MemoryActivity, MemoryOwnRooms):
    """State in memory: the fastest store, lost with the process. The methods are described in ``Store``."""

    runs_without_task = True
    #: Shown in start messages and status output.
    title = "memory"

    def __init__(self, backend: MemoryBackend | None = None) -> None:
        """``backend``: state shared with other stores of this process; a new one if None."""
        self.backend = backend or MemoryBackend()
        self._bus: LocalBus | None = None

    def __repr__(self) -> str:
        return f"<MemoryStore users={len(self.backend.users)} rooms={len(self.backend.rooms)}>"

    @property
    def bus(self) -> Bus:
        if self._bus is None:
            raise StoreError("the memory store is not open")
        return self._bus

    async def open(self, listener: BusListener) -> None:
        self._bus = LocalBus(self.backend.hub, listener)

    async def close(self) -> None:
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    # Rooms

    def _readable(self, room: RoomName, actor: Actor) -> MemoryRoom:
        entry = self.backend.room(room)
        entry.check_read(actor)
        return entry

    def _room_to_change(self, room: RoomName, actor: Actor) -> MemoryRoom:
        self.backend.bans.check_actor(actor)
        return self.backend.room(room)

    async def room_create(self, room: RoomName, config: RoomConfig, quota: RoomQuota | None = None) -> None:
        self.backend.create_room(room, config, quota)

    async def room_delete(self, room: RoomName, actor: Actor) -> Removal | None:
        entry = self._room_to_change(room, actor)
        entry.check_owner(actor)
        self.backend.remove_room(room)
        return await self.backend.finish_removal(entry, entry.delete())

    async def room_renew(self, room: RoomName, epoch: str, now: int) -> Removal | None:
        entry = self.backend.room(room)
        if entry.epoch == epoch:
            return await self.backend.finish_removal(entry, entry.renew(now))
        return None

    async def room_exists(self, room: RoomName) -> bool:
        return self.backend.has_room(room)

    async def room_join(
        self,
        room: RoomName,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        now: int,
        *,
        announce: bool,
        echo_all: bool = False,
        query: HistoryQuery | None = None,
        seen_limit: int = SEEN_LIMIT,
        details: str | None = None,
        own_limit: int = 0,
    ) -> JoinResult:
        self.backend.bans.check(user)
        if ":" in room:
            self.check_listed(user, room)
        try:
            entry = self.backend.room(room)
            entry.check_join(user)
        except ChatServiceError:
            self.backend.unlist(user, room)
            raise
        if own_limit:
            self.list_room(user, room, own_limit)
        index = self.backend.index(user, socket_id)
        if index is not None:
            index.rooms.add(room)
        njoined, changed = entry.join(user, socket_id, instance_id, now, seen_limit, details)
        if entry.empty_ttl is not None:
            self.backend.settle_room(entry)
        result = JoinResult(
            njoined=njoined,
            changed=changed,
            cursor=entry.cursor,
            last_message_id=entry.history.last_id,
            history=None if query is None else entry.interactions.read_for_join(user, query, entry.epoch),
        )
        if changed and announce:
            await self.room_announce(room, user, socket_id, echo_all=echo_all)
        return result

    async def room_announce(
        self, room: RoomName, user: UserName, socket_id: SocketId, *, echo_all: bool = False
    ) -> None:
        entry = self.backend.rooms.get(room)
        njoined = entry.announce(user, socket_id) if entry else 0
        if njoined:
            exclude = () if echo_all else (socket_id,)
            self.backend.notify_user(user, "roomJoinedEcho", room, socket_id, njoined, exclude=exclude)

    async def room_leave(
        self,
        room: RoomName,
        user: UserName,
        socket_id: SocketId,
        now: int,
        *,
        echo: bool,
        echo_all: bool = False,
        keep_index: bool = False,
    ) -> LeaveResult:
        if self.backend.empty_rooms.heap:
            self.backend.empty_rooms.look(room)
        entry = self.backend.rooms.get(room)
        njoined, changed = entry.leave(user, socket_id, now) if entry else (0, False)
        if changed and entry is not None and entry.empty_ttl is not None:
            self.backend.settle_room(entry)
        index = self.backend.index(user, socket_id)
        if index is not None and not keep_index:
            index.rooms.discard(room)
        if changed and echo:
            exclude = () if echo_all else (socket_id,)
            self.backend.notify_user(user, "roomLeftEcho", room, socket_id, njoined, exclude=exclude)
        return LeaveResult(njoined=njoined, changed=changed, room_exists=entry is not None)

    async def room_message(self, room: RoomName, actor: Actor, message: Message) -> int:
        return self.backend.room(room).add_message(actor, message)

    async def room_send(
        self, room: RoomName, actor: Actor, message: Message, conditions: SendConditions
    ) -> SendResult:
        return self.backend.room(room).send(
            actor,
            message,
            conditions,
            self.backend.sent_keys,
            self.backend.paces,
            self.check_recipient,
        )

    async def room_history(
        self, room: RoomName, actor: Actor, after: int, limit: int, *, max_bytes: int | None = None
    ) -> Sequence[Message]:
        return self._readable(room, actor).history.after(after, limit, max_bytes)

    async def room_recent_history(
        self, room: RoomName, actor: Actor, limit: int, *, max_bytes: int | None = None
    ) -> Sequence[Message]:
        return self._readable(room, actor).history.recent(limit, max_bytes)

    async def room_history_page(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, *, max_bytes: int | None = None
    ) -> HistoryPage:
        return self._readable(room, actor).page(after, limit, max_bytes)

    async def room_history_folded(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, *, max_bytes: int | None = None
    ) -> FoldedPage:
        entry = self._readable(room, actor)
        found = entry.page(after, limit, max_bytes).messages
        messages, folds = entry.interactions.read(
            actor.name, found, max_bytes, keeps_oldest=after is not None
        )
        return FoldedPage(messages, folds, entry.epoch)

    async def room_replace(self, room: RoomName, messages: Sequence[Message]) -> None:
        history = self.backend.room(room).history
        for message in messages:
            history.replace(message)

    async def room_history_info(self, room: RoomName, actor: Actor) -> HistoryInfo:
        return self._readable(room, actor).history_info()

    async def room_settings(self, room: RoomName, actor: Actor) -> RoomSettings:
        return self._readable(room, actor).settings()

    async def room_get_list(self, room: RoomName, actor: Actor, list_name: str) -> list[str]:
        return list(self._readable(room, actor).names(list_name))

    async def room_user_seen(self, room: RoomName, actor: Actor, user: UserName) -> UserSeen:
        return self._readable(room, actor).user_seen(user)

    async def room_change_list(
        self,
        room: RoomName,
        actor: Actor,
        list_name: str,
        now: int,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        limit: int,
    ) -> Removal | None:
        entry = self._room_to_change(room, actor)
        entry.change_list(actor, list_name, add, remove, limit)
        return await self.backend.finish_removal(entry, entry.remove_without_access([*add, *remove], now))

    async def room_set_mode(
        self, room: RoomName, actor: Actor, now: int, whitelist_only: bool
    ) -> Removal | None:
        entry = self._room_to_change(room, actor)
        entry.set_mode(actor, whitelist_only)
        return await self.backend.finish_removal(entry, entry.remove_all_without_access(now))

    async def room_set_owner(self, room: RoomName, now: int, owner: UserName | None) -> Removal | None:
        entry = self.backend.room(room)
        former, entry.owner = entry.owner, owner
        self.backend.owned_rooms.discard(room, owner)
        if former is None:
            return None
        return await self.backend.finish_removal(entry, entry.remove_without_access((former,), now))

    async def room_set_history_max_size(self, room: RoomName, size: int) -> None:
        self.backend.room(room).history.resize(size)

    async def room_set_history_max_bytes(self, room: RoomName, size: int) -> None:
        self.backend.room(room).history.limit_bytes(size)

    async def room_set_history_ttl(self, room: RoomName, ttl: float | None) -> None:
        entry = self.backend.room(room)
        entry.history.limit_age(ttl)
        self.backend.settle_history(entry)

    async def room_set_empty_ttl(self, room: RoomName, ttl: float | None) -> None:
        entry = self.backend.room(room)
        entry.empty_ttl = ttl
        self.backend.settle_room(entry)

    async def room_set_updates(
        self, room: RoomName, *, userlist: bool | None = None, access_lists: bool | None = None
    ) -> None:
        entry = self.backend.room(room)
        if userlist is not None:
            entry.enable_userlist_updates = userlist
        if access_lists is not None:
            entry.enable_access_lists_updates = access_lists

    async def room_has_in_list(self, room: RoomName, list_name: str, name: str) -> bool:
        return name in self.backend.room(room).names(list_name)

    async def room_joined(self, room: RoomName, names: Sequence[UserName]) -> Collection[UserName]:
        members = self.backend.room(room).members
        return {name for name in names if name in members}

    async def room_check_access(self, room: RoomName, user: UserName) -> bool:
        return rules.has_room_access(self.backend.room(room).facts(user))

    async def room_members(self, room: RoomName) -> Mapping[UserName, Mapping[SocketId, InstanceId]]:
        members = self.backend.room(room).members
        return {user: dict(member.sockets) for user, member in members.items()}

    async def room_members_page(
        self, room: RoomName, actor: Actor, limit: int, cursor: str | None = None
    ) -> MembersPage:
        """Pages are in the order of names, so that nobody is on two of them."""
        entry = self._readable(room, actor)
        names, following = next_names(entry.members, limit, cursor) if limit else ([], None)
        return entry.members_page(names, following)

    async def room_set_details(
        self, room: RoomName, user: UserName, socket_id: SocketId, details: str | None, shown: Any
    ) -> None:
        self.backend.room(room).set_details(user, socket_id, details, shown)

    async def room_changes(self, room: RoomName, cursor: RoomCursor) -> Sequence[RoomEvent]:
        return self.backend.room(room).changes(cursor)

    async def room_remove_users(self, room: RoomName, users: Sequence[UserName], now: int) -> Removal | None:
        entry = self.backend.room(room)
        return await self.backend.finish_removal(entry, entry.remove(users, now))

    # Instances

    async def instance_heartbeat(self, instance_id: InstanceId, now: int) -> None:
        self.backend.look_after()
        self.backend.instance(instance_id).beat(now)

    async def instance_renew(self, instance_id: InstanceId, now: int) -> bool:
        self.backend.look_after()
        instance = self.backend.instances.get(instance_id)
        if instance is None or instance.heartbeat is None:
            return False
        instance.beat(now)
        return True

    async def instance_pulses(self) -> Mapping[InstanceId, int]:
        return {name: it.pulse for name, it in self.backend.instances.items() if it.is_listed}

    async def instance_claim(self, instance_id: InstanceId, now: int, pulse: int) -> int | None:
        instance = self.backend.instances.get(instance_id)
        if instance is None or not instance.is_listed or instance.pulse != pulse:
            return None
        return instance.claim(now)

    async def instance_get_heartbeat(self, instance_id: InstanceId) -> int | None:
        return it.heartbeat if (it := self.backend.instances.get(instance_id)) else None

    async def instance_sockets(self, instance_id: InstanceId) -> Mapping[SocketId, UserName]:
        instance = self.backend.instances.get(instance_id)
        return dict(instance.sockets) if instance else {}

    async def instances(self) -> Mapping[InstanceId, int]:
        return {
            name: instance.heartbeat
            for name, instance in self.backend.instances.items()
            if instance.heartbeat is not None
        }

    async def instance_forget(self, instance_id: InstanceId) -> None:
        instance = self.backend.instances.get(instance_id)
        if instance is not None and not instance.sockets:
            del self.backend.instances[instance_id]

    # Lists

    async def room_summary(self, room: RoomName) -> RoomSummary:
        return self.backend.room(room).summary()

    async def list_rooms(self, limit: int, cursor: str | None = None) -> Page[RoomSummary]:
        self.backend.empty_rooms.look_at_all()
        names, following = next_names(self.backend.rooms, limit, cursor)
        return Page(items=[self.backend.rooms[name].summary() for name in names], cursor=following)

    async def list_users(
        self, limit: int, cursor: str | None = None, *, online: bool = True
    ) -> Page[UserSummary]:
        self.backend.idle_users.look_at_all()
        users = self.backend.users
        shown = (name for name, user in users.items() if user.sockets) if online else users
        names, following = next_names(shown, limit, cursor)
        items = [UserSummary(name=name, sockets=len(users[name].sockets)) for name in names]
        return Page(items=items, cursor=following)

    async def list_instances(self) -> list[InstanceRecord]:
        return [
            InstanceRecord(id=name, heartbeat=it.heartbeat, claimed=it.claimed, sockets=len(it.sockets))
            for name, it in self.backend.instances.items()
            if it.is_listed
        ]


def _conforms(store: MemoryStore) -> Store:
    return store
