"""Typed methods for the scripts that concern rooms."""

from collections.abc import Sequence
from typing import Any

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.contracts.records import (
    SYSTEM,
    Actor,
    HistoryInfo,
    HistoryPage,
    HistoryQuery,
    JoinHistory,
    JoinResult,
    LeaveResult,
    RoomConfig,
    RoomSettings,
    SendConditions,
    SendResult,
    UserSeen,
)
from chat_service.errors import StoreRefusedError
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import BadEnvelopeError, EnvelopeCodec, decode_room_event, pack
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.link import Encodable
from chat_service.stores.redis.room_values import (
    Cleared,
    CorruptMessages,
    Removed,
    UnfinishedRemovalError,
    cleared_users,
    member_sockets,
    message_form,
    query_arguments,
    removed_users,
    stored_messages,
)
from chat_service.stores.redis.scripts import checked, flag, pairs, texts, ttl_ms
from chat_service.types import USERLIST, InstanceId, Message, RoomName, SocketId, UserName

#: Index of each list's key in the scripts' KEYS; 0 stands for the members.
LIST_KEYS = {"adminlist": 2, "blacklist": 3, "whitelist": 4, USERLIST: 0}

#: How many removed users a slice deals with, and up to how many bytes of their members.
CLEARED_AT_ONCE, CLEARED_SIZE = 200, 32768

_MESSAGE = scripts.load("room_message")


class RoomScripts:
    """Atomic operations on one room."""

    def __init__(self, client: RedisClient, keys: Keys, codec: EnvelopeCodec) -> None:
        self._client = client
        self._keys = keys
        self._signing: tuple[bytes, bytes] = (codec.inner_key, codec.outer_key)
        self._corrupt = CorruptMessages()

    async def _run(
        self, script: str, room: RoomName, *args: Encodable, more_keys: Sequence[str] = (), **arguments: Any
    ) -> list[Any]:
        keys = [*self._keys.room_keys(room), *more_keys]
        answer = await self._client.run(scripts.load(script), keys, *args)
        if answer[:1] == [b"clearing"]:
            raise UnfinishedRemovalError(answer[1].decode())
        return checked(answer, noRoom=room, notJoined=room, roomExists=room, **arguments)

    async def create(
        self, room: RoomName, epoch: str, config: RoomConfig, is_counted: bool, ban_keys: Sequence[str]
    ) -> Removed:
        """Returns the members of a former room of that name whose main key was evicted."""
        lists = [
            list(dict.fromkeys(names)) for names in (config.adminlist, config.blacklist, config.whitelist)
        ]
        removed = await self._run(
            "room_create",
            room,
            *self._signing,
            epoch,
            config.owner or "",
            flag(config.whitelist_only),
            flag(config.enable_userlist_updates),
            flag(config.enable_access_lists_updates),
            config.history_max_size,
            "" if config.history_max_bytes is None else config.history_max_bytes,
            ttl_ms(config.history_ttl),
            ttl_ms(config.empty_ttl),
            flag(is_counted),
            *map(len, lists),
            *(name for names in lists for name in names),
            more_keys=ban_keys,
        )
        return removed_users(*removed)

    async def delete(self, room: RoomName, actor: Actor, ban_keys: Sequence[str]) -> Removed:
        who = actor.name or "", flag(actor.bypass)
        removed = await self._run("room_delete", room, *self._signing, *who, more_keys=ban_keys)
        return removed_users(*removed)

    async def renew(self, room: RoomName, epoch: str, new_epoch: str, now: int) -> Removed:
        removed = await self._run("room_renew", room, *self._signing, epoch, new_epoch, now)
        return removed_users(*removed)

    async def clear(self, room: RoomName, leaving: str) -> Cleared:
        """Do a slice of the removal of many users."""
        found = await self._run("room_clear", room, *self._signing, leaving, CLEARED_AT_ONCE, CLEARED_SIZE)
        return cleared_users(*found)

    async def join(
        self,
        room: RoomName,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        token: str,
        now: int,
        *,
        announce: bool,
        query: HistoryQuery | None,
        seen_limit: int,
        details: str | None,
    ) -> JoinResult:
        njoined, changed, epoch, seq, last_id, *read = await self._run(
            "room_join",
            room,
            *self._signing,
            user,
            socket_id,
            instance_id,
            token,
            now,
            flag(announce),
            pack([room, user]),
            seen_limit,
            details or "",
            *query_arguments(query),
        )
        return JoinResult(
            njoined=njoined,
            changed=changed == 1,
            cursor=RoomCursor(epoch=epoch.decode(), seq=seq),
            last_message_id=last_id,
            history=await self._join_history(room, read, query, last_id),
        )

    async def joined(
        self, room: RoomName, user: UserName, socket_id: SocketId, query: HistoryQuery | None
    ) -> JoinResult | None:
        """The result of joining this socket if it is already joined, else None. Changes nothing."""
        njoined, epoch, seq, last_id, *read = await self._run(
            "room_test", room, "joined", user, socket_id, *query_arguments(query)
        )
        if not njoined:
            return None
        return JoinResult(
            njoined=njoined,
            changed=False,
            cursor=RoomCursor(epoch=epoch.decode(), seq=seq),
            last_message_id=last_id,
            history=await self._join_history(room, read, query, last_id),
        )

    async def _join_history(
        self, room: RoomName, read: list[Any], query: HistoryQuery | None, last_id: int
    ) -> JoinHistory | None:
        if query is None:
            return None
        recovered, more, newest_first = read
        messages = stored_messages(room, newest_first[::-1], self._corrupt)
        if not recovered or len(messages) == len(newest_first):
            return JoinHistory(recovered=recovered == 1, messages=messages, more=more == 1)
        # Something that the client has missed is corrupt, so it cannot be told that nothing is missing.
        recent: Sequence[Message] = ()
        if query.recent:
            recent = (await self.history(room, SYSTEM, None, query.recent, query.max_bytes)).messages
        until_join = [message for message in reversed(recent) if message["id"] <= last_id]
        return JoinHistory(recovered=False, messages=until_join)

    async def announce(self, room: RoomName, user: UserName, socket_id: SocketId) -> int:
        """Returns the number of the user's joined sockets, 0 if this one is not joined."""
        (njoined,) = await self._run(
            "room_announce", room, *self._signing, user, socket_id, pack([room, user])
        )
        return int(njoined)

    async def leave(self, room: RoomName, user: UserName, socket_id: SocketId, now: int) -> LeaveResult:
        njoined, changed, exists = await self._run(
            "room_leave", room, *self._signing, user, socket_id, now, pack([room, user])
        )
        return LeaveResult(njoined=njoined, changed=changed == 1, room_exists=exists == 1)

    async def message(self, room: RoomName, actor: Actor, message: Message) -> int:
        answer = await self._client.run(
            _MESSAGE,
            self._keys.message_keys(room),
            *self._signing,
            actor.name or "",
            "1" if actor.bypass else "0",
            *message_form(room, message),
        )
        (message_id,) = checked(answer, noRoom=room, notJoined=room)
        return int(message_id)

    async def messages(self, room: RoomName, actor: Actor, messages: Sequence[Message]) -> int:
        """Returns the id of the first message; the others have the ids that follow."""
        answer = await self._client.run(
            scripts.load("room_messages"),
            self._keys.message_keys(room),
            *self._signing,
            actor.name or "",
            flag(actor.bypass),
            *(part for message in messages for part in message_form(room, message)),
        )
        (message_id,) = checked(answer, noRoom=room, notJoined=room)
        return int(message_id)

    async def send(
        self, room: RoomName, actor: Actor, message: Message, conditions: SendConditions
    ) -> SendResult:
        keys, key, expected = self._keys.message_keys(room), conditions.key, conditions.expected_last_id
        if key is not None:
            keys.append(self._keys.sent(room, actor.name, key))
        rate = None if actor.name is None else conditions.rate
        if rate is not None and actor.name is not None:
            keys.append(self._keys.message_pace(room, actor.name))
        answer = await self._client.run(
            scripts.load("room_send"),
            keys,
            *self._signing,
            actor.name or "",
            flag(actor.bypass),
            *message_form(room, message),
            "" if expected is None else str(expected),
            conditions.digest,
            max(1, round(conditions.window * 1000)),
            *(rate or ()),
        )
        found = checked(answer, noRoom=room, notJoined=room, idempotencyConflict=key)
        return SendResult(id=found[0], is_duplicate=found[1] == 1)

    async def change_list(
        self,
        room: RoomName,
        actor: Actor,
        list_name: str,
        now: int,
        add: Sequence[str],
        remove: Sequence[str],
        limit: int,
        ban_keys: Sequence[str],
    ) -> Removed:
        removed = await self._run(
            "room_change_list",
            room,
            *self._signing,
            actor.name or "",
            flag(actor.bypass),
            LIST_KEYS[list_name],
            now,
            limit,
            room,
            list_name,
            len(add),
            *add,
            *remove,
            more_keys=ban_keys,
            listLimitExceeded=list_name,
        )
        return removed_users(*removed)

    async def set(
        self,
        room: RoomName,
        actor: Actor,
        now: int,
        what: str,
        *args: Encodable,
        ban_keys: Sequence[str] = (),
    ) -> Removed:
        """``what``: see ``room_set.lua``."""
        who = actor.name or "", flag(actor.bypass)
        removed = await self._run(
            "room_set", room, *self._signing, *who, now, what, *args, more_keys=ban_keys
        )
        return removed_users(*removed)

    # Reading

    async def _read(self, room: RoomName, actor: Actor, what: str, *args: Encodable) -> list[Any]:
        return await self._run("room_read", room, actor.name or "", flag(actor.bypass), what, *args)

    async def history(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, max_bytes: int | None
    ) -> HistoryPage:
        """The messages after an id, or the newest ones if it is None."""
        is_end = after is None or after <= 0
        found = await self._read_end(room, actor, after, limit) if is_end and max_bytes is None else None
        if found is not None:
            return found
        budget = "" if max_bytes is None else max_bytes
        if after is None:
            stored, epoch = await self._read(room, actor, "recent", limit, budget)
            return HistoryPage(stored_messages(room, stored, self._corrupt), epoch.decode())
        while True:
            # Only a script can translate an id to a position atomically.
            stored, epoch, before = await self._read(room, actor, "history", after, limit, budget)
            messages = stored_messages(room, stored, self._corrupt)
            if messages or not stored:
                return HistoryPage(messages, epoch.decode())
            # All of these are corrupt: an empty answer would say that no others follow.
            after = before + len(stored)

    async def _read_end(
        self, room: RoomName, actor: Actor, after: int | None, limit: int
    ) -> HistoryPage | None:
        """Read any number of bytes from one end of the list, which needs no script if the actor is joined.

        Returns None if a script has to tell more: it also lets admins read, tells others why they may not,
        works when memory is full, looks further if all that was read is corrupt, and leaves out what is too
        old.
        """
        key, members = self._keys.room(room), self._keys.members(room)
        asked = ("EXISTS", key) if actor.bypass else ("HEXISTS", members, actor.name or "")
        first, last = (0, limit - 1) if after is None else (-limit, -1)
        try:
            may_read, stored, (epoch, ttl) = await self._client.read(
                key, asked, ("LRANGE", self._keys.history(room), first, last), ("HMGET", key, "epoch", "httl")
            )
        except StoreRefusedError:
            return None
        if may_read != 1 or epoch is None or ttl is not None:
            return None
        messages = stored_messages(room, stored, self._corrupt)
        return HistoryPage(messages, epoch.decode()) if messages or not stored else None

    async def history_info(self, room: RoomName, actor: Actor) -> HistoryInfo:
        size, max_size, last_id, epoch, seq = await self._read(room, actor, "info")
        cursor = RoomCursor(epoch=epoch.decode(), seq=seq)
        return HistoryInfo(size=size, max_size=max_size, last_message_id=last_id, cursor=cursor)

    async def settings(self, room: RoomName, actor: Actor) -> RoomSettings:
        owner, whitelist_only, userlist_updates, lists_updates = await self._read(room, actor, "settings")
        return RoomSettings(
            owner=UserName(owner.decode()) if owner else None,
            whitelist_only=whitelist_only == 1,
            enable_userlist_updates=userlist_updates == 1,
            enable_access_lists_updates=lists_updates == 1,
        )

    async def get_list(self, room: RoomName, actor: Actor, list_name: str) -> list[str]:
        (names,) = await self._read(room, actor, "list", LIST_KEYS[list_name])
        return texts(names)

    async def user_seen(self, room: RoomName, actor: Actor, user: UserName) -> UserSeen:
        joined, timestamp = await self._read(room, actor, "seen", user)
        return UserSeen(joined=joined == 1, timestamp=None if timestamp is None else int(timestamp))

    async def members(self, room: RoomName) -> dict[UserName, dict[SocketId, InstanceId]]:
        (fields,) = await self._read(room, SYSTEM, "members")
        return {
            UserName(user.decode()): {
                SocketId(socket): InstanceId(at) for socket, at, _ in member_sockets(room, packed)
            }
            for user, packed in pairs(fields)
        }

    async def changes(self, room: RoomName, cursor: RoomCursor) -> list[RoomEvent]:
        (stored,) = await self._read(room, SYSTEM, "changes")
        events = []
        for item in reversed(stored):
            try:
                event = decode_room_event(item)
            except BadEnvelopeError:
                # Treated as not kept.
                continue
            if event.epoch == cursor.epoch and event.seq > cursor.seq:
                events.append(event)
        return events

    async def has_in_list(self, room: RoomName, list_name: str, name: str) -> bool:
        (found,) = await self._run("room_test", room, "list", name, LIST_KEYS[list_name])
        return bool(found == 1)

    async def check_access(self, room: RoomName, user: UserName) -> bool:
        (allowed,) = await self._run("room_test", room, "access", user)
        return bool(allowed == 1)
