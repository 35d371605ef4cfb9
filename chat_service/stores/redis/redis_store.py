"""The ``Store`` over Redis. Each operation is a script in the slot of a room or user."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

from chat_service.contracts.bus import Bus, BusListener, RoomCursor, RoomEvent
from chat_service.contracts.records import (
    SEEN_LIMIT,
    SYSTEM,
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
    StoreStatistics,
    UserSeen,
    UserSummary,
)
from chat_service.contracts.store import Store
from chat_service.errors import StoreError
from chat_service.interactions import FoldedPage
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import EnvelopeCodec, pack
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.member_scripts import MemberScripts
from chat_service.stores.redis.memberships import Memberships
from chat_service.stores.redis.permits import Permits
from chat_service.stores.redis.redis_activity import RedisActivity
from chat_service.stores.redis.redis_bus import RedisBus
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.stores.redis.redis_own_rooms import RedisOwnRooms
from chat_service.stores.redis.redis_users import RedisUsers
from chat_service.stores.redis.removals import Removals
from chat_service.stores.redis.rights import RightsCheck
from chat_service.stores.redis.room_quotas import RoomQuotas
from chat_service.stores.redis.room_scripts import RoomScripts
from chat_service.stores.redis.room_values import Removed, new_epoch
from chat_service.stores.redis.scanning import RedisLists
from chat_service.stores.redis.scripts import flag, ttl_ms
from chat_service.stores.redis.user_scripts import InstanceCommands, UserScripts
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName


class RedisStore(RedisUsers, RedisActivity, RedisOwnRooms):
    """State in Redis: a single server, Sentinel or a cluster. The methods are described in ``Store``."""

    runs_without_task = True

    def __init__(
        self, options: Mapping[str, Any] | RedisOptions | None = None, *, needs_all_rights: bool = True
    ) -> None:
        """``options``: as in ``store_options``. Raises ``ConfigurationError``.

        ``needs_all_rights``: whether ``open`` raises if the Redis user lacks permissions that a service
        needs.
        """
        if not isinstance(options, RedisOptions):
            options = RedisOptions.from_mapping(options or {})
        self.options, self.command_timeout = options, options.command_timeout
        self.keys = Keys.of(self.options.prefix, self.options.parsed_url.db)
        self.client = RedisClient(self.options)
        self._codec = codec = EnvelopeCodec(self.options.secret, has_stamps=self.options.bus_stamps != "none")
        self._rooms = RoomScripts(self.client, self.keys, codec)
        self.client.finish_change = self._rooms.pending.finish
        self._members = MemberScripts(self.client, self.keys, codec)
        timeout = self.options.command_timeout
        self._permits = permits = Permits(self.client, self.keys, timeout)
        self._users = UserScripts(self.client, self.keys, codec, permits)
        self._instances = InstanceCommands(self.client, self.keys)
        self._quotas = RoomQuotas(self.client, self.keys, self._rooms, self._users, permits, timeout)
        self._removals = Removals(self._rooms, self._users, self.client.background)
        self._memberships = Memberships(self._rooms, self._users, permits, lambda: self._open_bus)
        self._lists = RedisLists(self.client, self.keys)
        self._needs_all_rights = needs_all_rights
        self._bus: RedisBus | None = None

    def __repr__(self) -> str:
        return f"<RedisStore {self.client.topology.connector.address} cluster={self.options.cluster}>"

    @property
    def title(self) -> str:
        """Shown in start messages and status output; without credentials."""
        return self.options.title(str(self.client.topology.connector.address))

    @property
    def bus(self) -> Bus:
        return self._open_bus

    @property
    def _open_bus(self) -> RedisBus:
        if self._bus is None:
            raise StoreError("the Redis store is not open")
        return self._bus

    def statistics(self) -> StoreStatistics:
        """Counters of the requests to Redis."""
        return StoreStatistics(
            durations=self.client.topology.durations,
            timeouts=self.client.timeouts,
            errors=self.client.errors,
            background_failures=self.client.background.failures,
        )

    async def open(self, listener: BusListener) -> None:
        self._memberships.begin()
        scripts.load_all(self._codec.signing)
        try:
            await self.client.open()
            self._bus = RedisBus(self.client, self.keys, self._codec, self.options, listener)
            await self._bus.open()
            if self._needs_all_rights:
                await self.check_rights()
        except BaseException:
            await self.close()
            raise

    async def check_rights(self) -> None:
        """Raises ``StoreError`` that names the permissions the Redis user lacks."""
        await RightsCheck(self.client, self.keys, self._open_bus, self.options.parsed_url.username).run()

    async def close(self) -> None:
        await self._removals.close()
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()
        await self.client.close()

    # Rooms

    async def room_create(self, room: RoomName, config: RoomConfig, quota: RoomQuota | None = None) -> None:
        await self._removals.finish(room, await self._quotas.create(room, new_epoch(), config, quota))

    async def room_delete(self, room: RoomName, actor: Actor) -> Removal | None:
        removed = await self._changed(room, actor, lambda ban_keys: self._rooms.delete(room, actor, ban_keys))
        await self._quotas.free(room, removed)
        return await self._removals.finish(room, removed)

    async def room_renew(self, room: RoomName, epoch: str, now: int) -> Removal | None:
        return await self._removals.finish(room, await self._rooms.renew(room, epoch, new_epoch(), now))

    async def room_exists(self, room: RoomName) -> bool:
        return bool(await self.client.call(self.keys.room(room), "EXISTS", self.keys.room(room)))

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
        return await self._memberships.join(
            room,
            user,
            socket_id,
            instance_id,
            now,
            announce=announce,
            echo_all=echo_all,
            query=query,
            seen_limit=seen_limit,
            details=details,
            own_limit=own_limit,
        )

    async def room_announce(
        self, room: RoomName, user: UserName, socket_id: SocketId, *, echo_all: bool = False
    ) -> None:
        await self._memberships.announce(room, user, socket_id, echo_all=echo_all)

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
        return await self._memberships.leave(
            room, user, socket_id, now, echo=echo, echo_all=echo_all, keep_index=keep_index
        )

    # Without a coroutine of its own: this is what most commands do.
    def room_message(self, room: RoomName, actor: Actor, message: Message) -> Coroutine[Any, Any, int]:
        return self._rooms.message(room, actor, message)

    async def room_messages(self, room: RoomName, actor: Actor, messages: Sequence[Message]) -> int:
        """See ``SendsTogether``."""
        if len(messages) == 1:
            return await self._rooms.message(room, actor, messages[0])
        return await self._rooms.messages(room, actor, messages)

    async def room_send(
        self, room: RoomName, actor: Actor, message: Message, conditions: SendConditions
    ) -> SendResult:
        await self.check_recipient(actor, conditions.recipient)
        return await self._rooms.send(room, actor, message, conditions)

    async def room_history(
        self, room: RoomName, actor: Actor, after: int, limit: int, *, max_bytes: int | None = None
    ) -> Sequence[Message]:
        return (await self._rooms.history(room, actor, after, limit, max_bytes)).messages

    async def room_recent_history(
        self, room: RoomName, actor: Actor, limit: int, *, max_bytes: int | None = None
    ) -> Sequence[Message]:
        return (await self._rooms.history(room, actor, None, limit, max_bytes)).messages

    async def room_history_page(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, *, max_bytes: int | None = None
    ) -> HistoryPage:
        return await self._rooms.history(room, actor, after, limit, max_bytes)

    async def room_history_folded(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, *, max_bytes: int | None = None
    ) -> FoldedPage:
        return await self._rooms.folded(room, actor, after, limit, max_bytes)

    async def room_replace(self, room: RoomName, messages: Sequence[Message]) -> None:
        await self._rooms.replace(room, messages)

    async def room_history_info(self, room: RoomName, actor: Actor) -> HistoryInfo:
        return await self._rooms.history_info(room, actor)

    async def room_settings(self, room: RoomName, actor: Actor) -> RoomSettings:
        return await self._rooms.settings(room, actor)

    async def room_get_list(self, room: RoomName, actor: Actor, list_name: str) -> list[str]:
        return await self._rooms.get_list(room, actor, list_name)

    async def room_user_seen(self, room: RoomName, actor: Actor, user: UserName) -> UserSeen:
        return await self._rooms.user_seen(room, actor, user)

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
        def change(ban_keys: Sequence[str]) -> Awaitable[Removed]:
            return self._rooms.change_list(room, actor, list_name, now, add, remove, limit, ban_keys)

        return await self._removals.finish(room, await self._changed(room, actor, change))

    async def room_set_mode(
        self, room: RoomName, actor: Actor, now: int, whitelist_only: bool
    ) -> Removal | None:
        notice = pack([room, whitelist_only])

        def change(ban_keys: Sequence[str]) -> Awaitable[Removed]:
            return self._rooms.set(room, actor, now, "mode", flag(whitelist_only), notice, ban_keys=ban_keys)

        return await self._removals.finish(room, await self._changed(room, actor, change))

    def _changed(
        self, room: RoomName, actor: Actor, change: Callable[[Sequence[str]], Awaitable[Removed]]
    ) -> Awaitable[Removed]:
        """Make a change of a room unless the actor is banned. ``change``: gets the key to check."""

        def run(ban_keys: Sequence[str]) -> Awaitable[Removed]:
            return self._removals.make(room, lambda: change(ban_keys))

        return self._permits.change(actor, self.keys.room(room), run)

    async def room_set_owner(self, room: RoomName, now: int, owner: UserName | None) -> Removal | None:
        removed = await self._rooms.set(room, SYSTEM, now, "owner", owner or "")
        await self._quotas.free(room, removed)
        return await self._removals.finish(room, removed)

    async def room_set_history_max_size(self, room: RoomName, size: int) -> None:
        await self._rooms.set(room, SYSTEM, 0, "history", size)

    async def room_set_history_max_bytes(self, room: RoomName, size: int) -> None:
        await self._rooms.set(room, SYSTEM, 0, "bytes", size)

    async def room_set_history_ttl(self, room: RoomName, ttl: float | None) -> None:
        await self._rooms.set(room, SYSTEM, 0, "age", ttl_ms(ttl))

    async def room_set_empty_ttl(self, room: RoomName, ttl: float | None) -> None:
        await self._rooms.set(room, SYSTEM, 0, "empty", ttl_ms(ttl))

    async def room_set_updates(
        self, room: RoomName, *, userlist: bool | None = None, access_lists: bool | None = None
    ) -> None:
        values = ["" if value is None else flag(value) for value in (userlist, access_lists)]
        await self._rooms.set(room, SYSTEM, 0, "updates", *values)

    async def room_has_in_list(self, room: RoomName, list_name: str, name: str) -> bool:
        return await self._rooms.has_in_list(room, list_name, name)

    async def room_joined(self, room: RoomName, names: Sequence[UserName]) -> Collection[UserName]:
        return await self._rooms.among(room, names)

    async def room_check_access(self, room: RoomName, user: UserName) -> bool:
        return await self._rooms.check_access(room, user)

    async def room_members(self, room: RoomName) -> Mapping[UserName, Mapping[SocketId, InstanceId]]:
        return await self._rooms.members(room)

    async def room_members_page(
        self, room: RoomName, actor: Actor, limit: int, cursor: str | None = None
    ) -> MembersPage:
        """Pages are in the order of the hash. While it grows or shrinks, a user may be on two pages."""
        return await self._members.page(room, actor, limit, cursor)

    async def room_set_details(
        self, room: RoomName, user: UserName, socket_id: SocketId, details: str | None, shown: Any
    ) -> None:
        await self._members.set_details(room, user, socket_id, details, shown)

    async def room_changes(self, room: RoomName, cursor: RoomCursor) -> Sequence[RoomEvent]:
        return await self._rooms.changes(room, cursor)

    async def room_remove_users(self, room: RoomName, users: Sequence[UserName], now: int) -> Removal | None:
        return await self._removals.run(room, lambda: self._rooms.set(room, SYSTEM, now, "remove", *users))

    # Instances

    async def instance_heartbeat(self, instance_id: InstanceId, now: int) -> None:
        self._memberships.here = instance_id
        await self._instances.heartbeat(instance_id, now)

    async def instance_renew(self, instance_id: InstanceId, now: int) -> bool:
        return await self._instances.renew(instance_id, now)

    async def instance_pulses(self) -> Mapping[InstanceId, int]:
        return await self._instances.pulses()

    async def instance_claim(self, instance_id: InstanceId, now: int, pulse: int) -> int | None:
        return await self._instances.claim(instance_id, now, pulse)

    async def instance_get_heartbeat(self, instance_id: InstanceId) -> int | None:
        return await self._instances.get_heartbeat(instance_id)

    async def instance_sockets(self, instance_id: InstanceId) -> Mapping[SocketId, UserName]:
        return await self._instances.sockets(instance_id)

    async def instances(self) -> Mapping[InstanceId, int]:
        return await self._instances.all()

    async def instance_forget(self, instance_id: InstanceId) -> None:
        await self._instances.forget(instance_id)

    # Lists

    async def room_summary(self, room: RoomName) -> RoomSummary:
        return await self._lists.room(room)

    async def list_rooms(self, limit: int, cursor: str | None = None) -> Page[RoomSummary]:
        return await self._lists.rooms(limit, cursor)

    async def list_users(
        self, limit: int, cursor: str | None = None, *, online: bool = True
    ) -> Page[UserSummary]:
        return await self._lists.users(limit, cursor, online=online)

    async def list_instances(self) -> list[InstanceRecord]:
        return await self._lists.instances()


def _conforms(store: RedisStore) -> Store:
    return store
