"""Typed methods for the scripts that concern rooms."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgpack

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.contracts.records import (
    Actor,
    HistoryInfo,
    HistoryPage,
    HistoryQuery,
    JoinHistory,
    JoinResult,
    LeaveResult,
    Removal,
    RoomConfig,
    RoomSettings,
    SendConditions,
    SendResult,
    UserSeen,
)
from chat_service.errors import StoreError, StoreRefusedError
from chat_service.protocol.encoded import EncodedMessages, decode_text, encode_text
from chat_service.stores.redis import scripts
from chat_service.stores.redis.answers import checked, flag, pairs, texts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import BadEnvelopeError, EnvelopeCodec, decode_room_event, pack
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.link import Encodable
from chat_service.types import USERLIST, InstanceId, Message, RoomName, SocketId, UserName

#: Index of each list's key in the scripts' KEYS; 0 stands for the members.
LIST_KEYS = {"adminlist": 2, "blacklist": 3, "whitelist": 4, USERLIST: 0}


#: First byte of a packed message. A JSON text starts with a brace instead.
PACKED = b"\x01"


_MESSAGE = scripts.load("room_message")
_ID = itemgetter("id")


class RemovedUser(NamedTuple):
    """A user removed from a room, with the sockets that were joined and the tokens of their joins."""

    user: UserName
    sockets: tuple[tuple[SocketId, str], ...]


class Removed(NamedTuple):
    """The users who were removed, and where their sockets are."""

    users: list[RemovedUser]
    removal: Removal | None


class RoomScripts:
    """Atomic operations on one room."""

    def __init__(self, client: RedisClient, keys: Keys, codec: EnvelopeCodec) -> None:
        self._client = client
        self._keys = keys
        self._signing: tuple[bytes, bytes] = (codec.inner_key, codec.outer_key)

    async def _run(self, script: str, room: RoomName, *args: Encodable, **arguments: Any) -> list[Any]:
        answer = await self._client.run(scripts.load(script), self._keys.room_keys(room), *args)
        return checked(answer, noRoom=room, notJoined=room, roomExists=room, **arguments)

    async def create(self, room: RoomName, epoch: str, config: RoomConfig) -> Removed:
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
            *map(len, lists),
            *(name for names in lists for name in names),
        )
        return _removed(*removed)

    async def delete(self, room: RoomName, actor: Actor) -> Removed:
        removed = await self._run("room_delete", room, *self._signing, actor.name or "", flag(actor.bypass))
        return _removed(*removed)

    async def renew(self, room: RoomName, epoch: str, new_epoch: str, now: int) -> Removed:
        removed = await self._run("room_renew", room, *self._signing, epoch, new_epoch, now)
        return _removed(*removed)

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
            *_query(query),
        )
        return JoinResult(
            njoined=njoined,
            changed=changed == 1,
            cursor=RoomCursor(epoch=epoch.decode(), seq=seq),
            last_message_id=last_id,
            history=_join_history(room, read),
        )

    async def joined(
        self, room: RoomName, user: UserName, socket_id: SocketId, query: HistoryQuery | None
    ) -> JoinResult | None:
        """The result of joining this socket if it is already joined, else None. Changes nothing."""
        njoined, epoch, seq, last_id, *read = await self._run(
            "room_test", room, "joined", user, socket_id, *_query(query)
        )
        if not njoined:
            return None
        return JoinResult(
            njoined=njoined,
            changed=False,
            cursor=RoomCursor(epoch=epoch.decode(), seq=seq),
            last_message_id=last_id,
            history=_join_history(room, read),
        )

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
            *_form(room, message),
        )
        (message_id,) = checked(answer, noRoom=room, notJoined=room)
        return int(message_id)

    async def send(
        self, room: RoomName, actor: Actor, message: Message, conditions: SendConditions
    ) -> SendResult:
        keys, key, expected = self._keys.message_keys(room), conditions.key, conditions.expected_last_id
        if key is not None:
            keys.append(self._keys.sent(room, actor.name, key))
        answer = await self._client.run(
            scripts.load("room_send"),
            keys,
            *self._signing,
            actor.name or "",
            flag(actor.bypass),
            *_form(room, message),
            "" if expected is None else str(expected),
            conditions.digest,
            max(1, round(conditions.window * 1000)),
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
            pack([room, list_name, list(add)]) if add else "",
            pack([room, list_name, list(remove)]) if remove else "",
            len(add),
            *add,
            *remove,
            listLimitExceeded=list_name,
        )
        return _removed(*removed)

    async def set(self, room: RoomName, actor: Actor, now: int, what: str, *args: Encodable) -> Removed:
        """``what``: see ``room_set.lua``."""
        removed = await self._run(
            "room_set", room, *self._signing, actor.name or "", flag(actor.bypass), now, what, *args
        )
        return _removed(*removed)

    # Reading

    async def _read(self, room: RoomName, actor: Actor, what: str, *args: Encodable) -> list[Any]:
        return await self._run("room_read", room, actor.name or "", flag(actor.bypass), what, *args)

    async def history(self, room: RoomName, actor: Actor, after: int, limit: int) -> Sequence[Message]:
        if after <= 0:
            return (await self._read_end(room, actor, -limit, -1)).messages
        return (await self._read_after(room, actor, after, limit)).messages

    async def recent_history(self, room: RoomName, actor: Actor, limit: int) -> Sequence[Message]:
        return (await self._read_end(room, actor, 0, limit - 1)).messages

    async def history_page(self, room: RoomName, actor: Actor, after: int | None, limit: int) -> HistoryPage:
        if after is None:
            return await self._read_end(room, actor, 0, limit - 1, with_epoch=True)
        if after <= 0:
            return await self._read_end(room, actor, -limit, -1, with_epoch=True)
        return await self._read_after(room, actor, after, limit)

    async def _read_after(self, room: RoomName, actor: Actor, after: int, limit: int) -> HistoryPage:
        # Only a script can translate an id to a position atomically.
        stored, epoch = await self._read(room, actor, "history", after, limit)
        return HistoryPage(_messages(room, stored), epoch.decode())

    async def _read_end(
        self, room: RoomName, actor: Actor, first: int, last: int, *, with_epoch: bool = False
    ) -> HistoryPage:
        """Read from one end of the list, which needs no script if the actor is joined.

        The page has an empty epoch unless ``with_epoch`` asks for it.
        """
        key, members = self._keys.room(room), self._keys.members(room)
        asked = ("EXISTS", key) if actor.bypass else ("HEXISTS", members, actor.name or "")
        more = [("HGET", key, "epoch")] if with_epoch else []
        try:
            may_read, stored, *found = await self._client.read(
                key, asked, ("LRANGE", self._keys.history(room), first, last), *more
            )
        except StoreRefusedError:
            may_read = 0
        if may_read != 1 or found == [None]:
            # The script also lets admins read, tells others why they may not, and works when memory is full.
            stored, *found = await self._read(room, actor, "end", first, last)
        return HistoryPage(_messages(room, stored), found[0].decode() if with_epoch else "")

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
        (fields,) = await self._read(room, Actor(name=None, bypass=True), "members")
        return {
            UserName(user.decode()): {
                SocketId(socket): InstanceId(at) for socket, at, _ in _member(room, packed)
            }
            for user, packed in pairs(fields)
        }

    async def changes(self, room: RoomName, cursor: RoomCursor) -> list[RoomEvent]:
        (stored,) = await self._read(room, Actor(name=None, bypass=True), "changes")
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


def _form(room: RoomName, message: Message) -> tuple[Encodable, ...]:
    """A message as ``room_message.lua`` expects it."""
    if "id" in message:
        # The store assigns the id.
        message = {name: value for name, value in message.items() if name != "id"}
    text, name = encode_text(message), encode_text(room)
    if text is None or name is None:
        return ("0", pack(message), room)
    # The text that follows the id: a comma and the other fields, if any.
    return ("1", b"," + text[1:] if message else text[1:], name)


def _query(query: HistoryQuery | None) -> tuple[Encodable, ...]:
    """The arguments of ``lib/join_history.lua``; none without a query, which then costs nothing."""
    if query is None:
        return ()
    after = "" if query.after is None else query.after
    return after, query.epoch or "", query.limit, query.recent


def _join_history(room: RoomName, read: list[Any]) -> JoinHistory | None:
    if not read:
        return None
    recovered, more, newest_first = read
    messages = _messages(room, newest_first[::-1])
    return JoinHistory(recovered=recovered == 1, messages=messages, more=more == 1)


def _removed(gone: list[list[bytes]], epoch: bytes, seq: int) -> Removed:
    users: list[RemovedUser] = []
    places: dict[InstanceId, list[SocketId]] = {}
    for user, *rest in gone:
        fields = [field.decode() for field in rest]
        sockets = [SocketId(socket) for socket in fields[::3]]
        users.append(RemovedUser(UserName(user.decode()), tuple(zip(sockets, fields[2::3], strict=True))))
        for socket_id, instance in zip(sockets, fields[1::3], strict=True):
            places.setdefault(InstanceId(instance), []).append(socket_id)
    if not users:
        return Removed([], None)
    return Removed(users, Removal(cursor=RoomCursor(epoch=epoch.decode(), seq=seq), sockets=places))


def _messages(room: RoomName, stored: list[bytes]) -> Sequence[Message]:
    """Decode stored messages, each as JSON or packed. Raises ``StoreError``."""
    messages = EncodedMessages(stored)
    try:
        # Check that all of it is valid before it goes to clients: Redis holds data that others could change.
        if len(list(map(_ID, messages.as_list()))) == len(stored):
            return messages
    except (ValueError, TypeError, KeyError):
        # Some are packed or corrupt.
        pass
    return [_stored_message(room, item) for item in stored]


def _stored_message(room: RoomName, item: bytes) -> Message:
    """Decode ``{"id":1,…}``, or the byte 1 followed by the packed id and the packed rest."""
    try:
        if item[:1] == PACKED:
            unpacker = msgpack.Unpacker(max_buffer_size=len(item))
            unpacker.feed(item[1:])
            message_id, message = unpacker.unpack(), unpacker.unpack()
            message["id"] = message_id
        else:
            message = decode_text(item)
        _ID(message)
    except Exception as error:
        raise StoreError(f"corrupt message {item!r} in room {room}: {error}") from error
    found: Message = message
    return found


def _member(room: RoomName, packed: bytes) -> list[tuple[str, str, str]]:
    """The sockets of a packed member, with the instance and token of each."""
    try:
        _, *fields = msgpack.unpackb(packed)
        return list(zip(fields[::3], fields[1::3], fields[2::3], strict=True))
    except Exception as error:
        raise StoreError(f"corrupt member in room {room}: {error}") from error
