"""Typed methods for the scripts that read rooms."""

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
    RoomSettings,
    UserSeen,
)
from chat_service.errors import StoreRefusedError
from chat_service.interactions import FoldedPage
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import BadEnvelopeError, EnvelopeCodec, decode_room_event
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.link import Encodable
from chat_service.stores.redis.room_values import (
    CorruptMessages,
    UnfinishedRemovalError,
    member_sockets,
    read_folds,
    stored_messages,
)
from chat_service.stores.redis.scripts import checked, flag, pairs, texts
from chat_service.types import USERLIST, InstanceId, Message, RoomName, SocketId, UserName

#: Index of each list's key in the scripts' KEYS; 0 stands for the members.
LIST_KEYS = {"adminlist": 2, "blacklist": 3, "whitelist": 4, USERLIST: 0}


class RoomReads:
    """Reading one room in one step."""

    def __init__(self, client: RedisClient, keys: Keys, codec: EnvelopeCodec) -> None:
        self._client = client
        self._keys = keys
        self._signing = codec.signing
        #: The most frequent script.
        self._message = scripts.load("room_message", codec.signing)
        self._corrupt = CorruptMessages()

    async def _run(
        self, script: str, room: RoomName, *args: Encodable, more_keys: Sequence[str] = (), **arguments: Any
    ) -> list[Any]:
        keys = [*self._keys.room_keys(room), *more_keys]
        answer = await self._client.run(scripts.load(script, self._signing), keys, *args)
        if answer[:1] == [b"clearing"]:
            raise UnfinishedRemovalError(answer[1].decode())
        return checked(answer, noRoom=room, notJoined=room, roomExists=room, **arguments)

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

    async def folded(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, max_bytes: int | None
    ) -> FoldedPage:
        """``history`` with what is needed to fold it for the actor."""
        budget, start = "" if max_bytes is None else max_bytes, "" if after is None else after
        while True:
            items, *lists, newest, epoch, last_id = await self._read(
                room, actor, "fold", start, limit, budget
            )
            messages = stored_messages(room, items, self._corrupt)
            if messages or not items or after is None:
                ids = [newest - number for number in range(len(items))]
                folds = read_folds(room, ids, lists, last_id, self._corrupt)
                return FoldedPage(messages, folds, epoch.decode())
            start = newest

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
            may_read, stored, (epoch, ttl, pending) = await self._client.read(
                key,
                asked,
                ("LRANGE", self._keys.history(room), first, last),
                ("HMGET", key, "epoch", "httl", "pending"),
            )
        except StoreRefusedError:
            return None
        if may_read != 1 or epoch is None or ttl is not None or pending is not None:
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
        fields = await self._read_members(room)
        return {
            UserName(user.decode()): {
                SocketId(socket): InstanceId(at) for socket, at, _ in member_sockets(room, packed)
            }
            for user, packed in pairs(fields)
        }

    async def _read_members(self, room: RoomName) -> list[bytes]:
        key = self._keys.room(room)
        try:
            # A script takes three times as long for a long answer.
            fields, (epoch, pending) = await self._client.read(
                key, ("HGETALL", self._keys.members(room)), ("HMGET", key, "epoch", "pending")
            )
            if epoch is not None and pending is None:
                return list(fields)
        except StoreRefusedError:
            pass
        # It finishes an unfinished change first, tells that there is no room, and works when memory is full.
        (found,) = await self._read(room, SYSTEM, "members")
        return list(found)

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

    async def among(self, room: RoomName, names: Sequence[UserName]) -> set[UserName]:
        """The names of joined users among these."""
        (found,) = await self._run("room_test", room, "among", *names)
        return {name for name, is_joined in zip(names, found, strict=True) if is_joined == 1}

    async def check_access(self, room: RoomName, user: UserName) -> bool:
        (allowed,) = await self._run("room_test", room, "access", user)
        return bool(allowed == 1)

    async def _join_history(
        self, room: RoomName, user: UserName, read: list[Any], query: HistoryQuery | None, last_id: int
    ) -> JoinHistory | None:
        if query is None:
            return None
        recovered, more, newest_first, *lists = read
        messages = stored_messages(room, newest_first[::-1], self._corrupt)
        if not recovered or len(messages) == len(newest_first):
            folds = None
            if query.fold:
                newest = last_id
                if recovered and query.after is not None:
                    newest = query.after + len(newest_first)
                ids = [newest - number for number in range(len(newest_first))]
                folds = read_folds(room, ids, lists, last_id, self._corrupt)
            return JoinHistory(recovered=recovered == 1, messages=messages, more=more == 1, folds=folds)
        # Something that the client has missed is corrupt, so it cannot be told that nothing is missing.
        recent: Sequence[Message] = ()
        folds = None
        if query.recent and query.fold:
            page = await self.folded(room, Actor(user, True), None, query.recent, query.max_bytes)
            recent, folds = page.messages, page.folds
        elif query.recent:
            recent = (await self.history(room, SYSTEM, None, query.recent, query.max_bytes)).messages
        until_join = [message for message in reversed(recent) if message["id"] <= last_id]
        return JoinHistory(recovered=False, messages=until_join, folds=folds)
