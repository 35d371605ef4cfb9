"""Typed methods for the scripts that concern rooms."""

from collections.abc import Sequence

from chat_service.contracts.bus import RoomCursor
from chat_service.contracts.records import (
    Actor,
    HistoryQuery,
    JoinResult,
    LeaveResult,
    RoomConfig,
    SendConditions,
    SendResult,
)
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import EnvelopeCodec, pack
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.link import Encodable
from chat_service.stores.redis.pending_changes import PendingChanges
from chat_service.stores.redis.room_reads import LIST_KEYS, RoomReads
from chat_service.stores.redis.room_values import (
    Cleared,
    Removed,
    cleared_users,
    message_form,
    query_arguments,
    relation_arguments,
    removed_users,
    stored_form,
)
from chat_service.stores.redis.scripts import checked, flag, ttl_ms
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName

#: How many removed users a slice deals with, and up to how many bytes of their members.
CLEARED_AT_ONCE, CLEARED_SIZE = 200, 32768

#: Maximum number of names in a change of a list that one script makes. Longer ones it only decides.
NAMES_AT_ONCE = 250


class RoomScripts(RoomReads):
    """Atomic operations on one room."""

    def __init__(self, client: RedisClient, keys: Keys, codec: EnvelopeCodec) -> None:
        super().__init__(client, keys, codec)
        self.pending = PendingChanges(client, keys, codec)

    async def create(
        self, room: RoomName, epoch: str, config: RoomConfig, is_counted: bool, ban_keys: Sequence[str]
    ) -> Removed:
        """Returns the members of a former room of that name whose main key was evicted."""
        removed, _ = await self._create(room, epoch, config, is_counted, "", ban_keys)
        return removed

    async def open(
        self, room: RoomName, epoch: str, config: RoomConfig, pair: str, ban_keys: Sequence[str]
    ) -> tuple[Removed, int]:
        """Create a conversation, or add the two users to its whitelist. ``pair``: identifies the two.

        Returns those removed from a conversation of other users, and how many names the whitelist gained.
        """
        return await self._create(room, epoch, config, False, pair, ban_keys)

    async def _create(
        self,
        room: RoomName,
        epoch: str,
        config: RoomConfig,
        is_counted: bool,
        pair: str,
        ban_keys: Sequence[str],
    ) -> tuple[Removed, int]:
        lists = [
            list(dict.fromkeys(names)) for names in (config.adminlist, config.blacklist, config.whitelist)
        ]
        staged = ""
        if sum(map(len, lists)) > NAMES_AT_ONCE:
            names = dict(zip(("adminlist", "blacklist", "whitelist"), lists, strict=True))
            staged = await self.pending.stage_lists(room, names)
            lists = [[], [], []]
        *removed, added = await self._run(
            "room_create",
            room,
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
            pair,
            staged,
            *map(len, lists),
            *(name for names in lists for name in names),
            more_keys=ban_keys,
        )
        return removed_users(*removed), added

    async def leave_conversation(self, room: RoomName, user: UserName, now: int) -> Removed:
        removed = await self._run("direct_leave", room, user, now)
        return removed_users(*removed)

    async def delete(self, room: RoomName, actor: Actor, ban_keys: Sequence[str]) -> Removed:
        who = actor.name or "", flag(actor.bypass)
        removed = await self._run("room_delete", room, *who, more_keys=ban_keys)
        return removed_users(*removed)

    async def renew(self, room: RoomName, epoch: str, new_epoch: str, now: int) -> Removed:
        removed = await self._run("room_renew", room, epoch, new_epoch, now)
        return removed_users(*removed)

    async def clear(self, room: RoomName, leaving: str) -> Cleared:
        """Do a slice of the removal of many users."""
        found = await self._run("room_clear", room, leaving, CLEARED_AT_ONCE, CLEARED_SIZE)
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
        ban_keys: Sequence[str],
    ) -> JoinResult:
        njoined, changed, epoch, seq, last_id, *read = await self._run(
            "room_join",
            room,
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
            more_keys=ban_keys,
        )
        return JoinResult(
            njoined=njoined,
            changed=changed == 1,
            cursor=RoomCursor(epoch=epoch.decode(), seq=seq),
            last_message_id=last_id,
            history=await self._join_history(room, user, read, query, last_id),
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
            history=await self._join_history(room, user, read, query, last_id),
        )

    async def announce(self, room: RoomName, user: UserName, socket_id: SocketId) -> int:
        """Returns the number of the user's joined sockets, 0 if this one is not joined."""
        (njoined,) = await self._run("room_announce", room, user, socket_id, pack([room, user]))
        return int(njoined)

    async def leave(self, room: RoomName, user: UserName, socket_id: SocketId, now: int) -> LeaveResult:
        njoined, changed, exists = await self._run(
            "room_leave", room, user, socket_id, now, pack([room, user])
        )
        return LeaveResult(njoined=njoined, changed=changed == 1, room_exists=exists == 1)

    async def message(self, room: RoomName, actor: Actor, message: Message) -> int:
        answer = await self._client.run(
            self._message,
            self._keys.message_keys(room),
            actor.name or "",
            "1" if actor.bypass else "0",
            *message_form(room, message),
        )
        (message_id,) = checked(answer, noRoom=room, notJoined=room)
        return int(message_id)

    async def messages(self, room: RoomName, actor: Actor, messages: Sequence[Message]) -> int:
        """Returns the id of the first message; the others have the ids that follow."""
        answer = await self._client.run(
            scripts.load("room_messages", self._signing),
            self._keys.message_keys(room),
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
        keys += (self._keys.interactions(room), self._keys.room_list(room, "adminlist"))
        direct = self._direct_keys(room, actor, conditions.recipient)
        keys += direct
        if key is not None:
            keys.append(self._keys.sent(room, actor.name, key))
        rate = None if actor.name is None else conditions.rate
        if rate is not None and actor.name is not None:
            keys.append(self._keys.message_pace(room, actor.name))
        answer = await self._client.run(
            scripts.load("room_send", self._signing),
            keys,
            actor.name or "",
            flag(actor.bypass),
            *message_form(room, message),
            "" if expected is None else str(expected),
            conditions.digest,
            max(1, round(conditions.window * 1000)),
            *(rate or ("", "")),
            len(direct),
            conditions.recipient or "",
            *relation_arguments(actor.name, conditions.relation),
        )
        codes = {"idempotencyConflict": key, "noUser": conditions.recipient}
        found = checked(answer, noRoom=room, notJoined=room, **codes)
        return SendResult(id=found[0], is_duplicate=found[1] == 1)

    def _direct_keys(self, room: RoomName, actor: Actor, recipient: UserName | None) -> list[str]:
        """The keys with which a message in a conversation is checked: in a cluster only those of the room."""
        if recipient is None:
            return []
        keys = self._keys
        found = [keys.room_list(room, "whitelist")]
        if not actor.bypass and not self._client.is_cluster:
            found += keys.user_keys(recipient)[:3]
        return found

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
        names: list[Encodable]
        script, names = "room_change_list", [len(add), *add, *remove]
        if len(add) + len(remove) > NAMES_AT_ONCE:
            add = list(dict.fromkeys(add))
            staged = await self.pending.stage_names(room, add, remove)
            script, names = "room_change_names", [staged, len(add)]
        removed = await self._run(
            script,
            room,
            actor.name or "",
            flag(actor.bypass),
            LIST_KEYS[list_name],
            now,
            limit,
            room,
            list_name,
            *names,
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
        removed = await self._run("room_set", room, *who, now, what, *args, more_keys=ban_keys)
        return removed_users(*removed)

    async def replace(self, room: RoomName, messages: Sequence[Message]) -> None:
        changes = [part for message in messages for part in (message["id"], stored_form(message))]
        await self._run("room_replace", room, *changes)
