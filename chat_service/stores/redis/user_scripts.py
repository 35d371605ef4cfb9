"""Typed methods for the scripts and commands that concern users and instances."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from chat_service.contracts.bus import DisconnectUser, Envelope, Notify, Topic, TopicKind
from chat_service.contracts.own_room_store import CONVERSATIONS
from chat_service.contracts.records import (
    SOCKETS,
    SOCKETS_AND_ROOMS,
    Actor,
    Ban,
    Departure,
    Rate,
    RoomQuota,
    SocketInfo,
    UserConfig,
)
from chat_service.errors import ChatServiceError, StoreError
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import EnvelopeCodec
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.link import Encodable
from chat_service.stores.redis.permits import Permit, Permits
from chat_service.stores.redis.scripts import (
    checked,
    flag,
    format_ban,
    pairs,
    parse_ban,
    split_entry,
    texts,
    ttl_ms,
)
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName

#: Index of each list's key in the scripts' KEYS.
LIST_KEYS = {"blacklist": 2, "whitelist": 3}

#: How many rooms of a socket that has disconnected one script deals with.
LEFT_AT_ONCE = 200


class Presence(NamedTuple):
    """The number of a user's sockets, and of those on other instances; of many sockets, lower bounds."""

    sockets: int
    elsewhere: int


class UserScripts:
    """Atomic operations on one user."""

    def __init__(self, client: RedisClient, keys: Keys, codec: EnvelopeCodec, permits: Permits) -> None:
        self._client = client
        self._keys = keys
        self._permits = permits
        self._codec = codec
        self._signing = codec.signing

    async def _run(
        self, script: str, user: UserName, *args: Encodable, more_keys: Sequence[str] = (), **arguments: Any
    ) -> list[Any]:
        keys = [*self._keys.user_keys(user), *more_keys]
        answer = await self._client.run(scripts.load(script, self._signing), keys, *args)
        return checked(answer, noUser=user, userExists=user, userOnline=user, noUserOnline=user, **arguments)

    def _encode(self, user: UserName, envelope: Envelope | None) -> bytes:
        channel = self._keys.topic(Topic(TopicKind.USER, user))
        return self._codec.encode(channel, envelope) if envelope is not None else b""

    async def create(self, user: UserName, config: UserConfig) -> None:
        blacklist, whitelist = dict.fromkeys(config.blacklist), dict.fromkeys(config.whitelist)
        await self._run(
            "user_create",
            user,
            flag(config.whitelist_only),
            ttl_ms(config.ttl),
            len(blacklist),
            *blacklist,
            *whitelist,
        )

    async def delete(self, user: UserName) -> None:
        await self._run("user_delete", user)

    async def exists(self, user: UserName) -> bool:
        key = self._keys.user(user)
        return bool(await self._client.call(key, "EXISTS", key))

    async def get_list(self, user: UserName, list_name: str) -> list[str]:
        (names,) = await self._run("user_read", user, "list", LIST_KEYS[list_name])
        return texts(names)

    async def has_in_list(self, user: UserName, list_name: str, name: str) -> bool:
        (found,) = await self._run("user_read", user, "in", LIST_KEYS[list_name], name)
        return bool(found == 1)

    async def get_mode(self, user: UserName) -> bool:
        (mode,) = await self._run("user_read", user, "mode")
        return bool(mode == 1)

    async def set_mode(self, user: UserName, whitelist_only: bool, check_ban: bool) -> None:
        await self._run("user_change", user, flag(check_ban), "mode", flag(whitelist_only))

    async def add_to_list(
        self, user: UserName, list_name: str, names: Sequence[str], limit: int, check_ban: bool
    ) -> None:
        arguments = flag(check_ban), "add", LIST_KEYS[list_name], limit
        given = dict.fromkeys(names)
        await self._run("user_change", user, *arguments, *given, listLimitExceeded=list_name)

    async def remove_from_list(
        self, user: UserName, list_name: str, names: Sequence[str], check_ban: bool
    ) -> None:
        await self._run("user_change", user, flag(check_ban), "remove", LIST_KEYS[list_name], *names)

    async def check_direct_access(self, user: UserName, sender: UserName) -> bool:
        (allowed,) = await self._run("user_read", user, "access", sender)
        return bool(allowed == 1)

    async def direct_message(
        self, user: UserName, sender: Actor, message: Message, ban_keys: Sequence[str]
    ) -> None:
        envelope = self._encode(user, Notify(event="directMessage", args=(message,)))
        name, is_own = sender.name or "", flag(user == sender.name)
        arguments = name, is_own, flag(sender.bypass), envelope
        await self._run("direct_message", user, *arguments, more_keys=ban_keys)

    # Bans

    async def ban(self, user: UserName, ban: Ban, now: int) -> None:
        left = "" if ban.until is None else max(ban.until - now, 1)
        envelope, stored = self._encode(user, DisconnectUser()), format_ban(ban)
        keys = [self._keys.permits(user)] if self._client.is_cluster else []
        found = await self._run("user_ban", user, "set", stored, left, envelope, more_keys=keys)
        if found:
            await self._permits.take_back(stored, *found)

    async def unban(self, user: UserName) -> bool:
        (ended,) = await self._run("user_ban", user, "end")
        return bool(ended == 1)

    async def get_ban(self, user: UserName) -> Ban | None:
        (found,) = await self._run("user_ban", user, "read")
        return None if found is None else parse_ban(found)

    async def banned(self, users: Sequence[UserName]) -> list[UserName]:
        """Those of the users who are banned."""
        keys = [self._keys.ban(user) for user in users]
        if not self._client.is_cluster and not (keys and await self._client.call(keys[0], "EXISTS", *keys)):
            # The common case takes one command.
            return []
        found = await asyncio.gather(*(self._client.call(key, "EXISTS", key) for key in keys))
        return [user for user, is_banned in zip(users, found, strict=True) if is_banned]

    # Sockets

    async def connect(
        self,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        ephemeral: bool,
        limit: int | None,
        ttl: float | None,
        rate: Rate | None,
    ) -> int:
        keys = () if rate is None else (self._keys.user_pace(user, "login"),)
        (count,) = await self._run(
            "socket_connect",
            user,
            socket_id,
            instance_id,
            flag(ephemeral),
            limit or 0,
            ttl_ms(ttl),
            *(rate or ()),
            more_keys=keys,
            limitExceeded=SOCKETS,
        )
        return int(count)

    async def admit(
        self,
        user: UserName,
        quota: RoomQuota,
        entry: str,
        check_after: float,
        kept: float | None,
        permit: Permit | None,
    ) -> list[str] | None:
        """Let a user create a room. Raises ``banned``, ``rateLimited``.

        Returns None, or, if the limit is reached, the entries of the user's rooms that are due for a check.
        ``entry``: of the new room; ``check_after``: age in seconds from which an entry is due; ``kept``: time
        in seconds for which all of them are kept without a new room, None for ever. ``permit``: to give.
        """
        if quota.rate is None and quota.limit is None and permit is None:
            await self._run("user_admit", user)
            return None
        keys = [
            self._keys.owned_rooms(user),
            self._keys.user_pace(user, "room"),
            *self._permits.given_at(permit),
        ]
        limits = (quota.limit or 0, entry, ttl_ms(check_after), ttl_ms(kept), *(quota.rate or ("", "")))
        permitted = self._permits.arguments(permit)
        is_admitted, *due = await self._run("user_admit", user, *limits, *permitted, more_keys=keys)
        return None if is_admitted else texts(due[0])

    async def free(self, user: UserName, entries: Sequence[str]) -> None:
        """Count rooms no longer for the limit of a user."""
        key = self._keys.owned_rooms(user)
        await self._client.call(key, "ZREM", key, *entries)

    async def disconnect(self, user: UserName, socket_id: SocketId, departures: Sequence[Departure]) -> int:
        parts = [
            [
                field
                for left in departures[start : start + LEFT_AT_ONCE]
                for field in (left.room, left.njoined)
            ]
            for start in range(0, len(departures), LEFT_AT_ONCE)
        ] or [[]]
        for rooms in parts[:-1]:
            await self._run("socket_disconnect", user, socket_id, flag(False), *rooms)
        (count,) = await self._run("socket_disconnect", user, socket_id, flag(True), *parts[-1])
        return int(count)

    async def sockets(self, user: UserName, limit: int | None) -> dict[SocketId, SocketInfo]:
        sockets, joined = await self._run(
            "user_read", user, "sockets", limit or 0, limitExceeded=SOCKETS_AND_ROOMS
        )
        rooms: dict[str, set[RoomName]] = {}
        for entry in texts(joined):
            socket_id, room = split_entry(entry)
            rooms.setdefault(socket_id, set()).add(RoomName(room))
        found = {}
        for socket, instance in pairs(sockets):
            socket_id = socket.decode()
            info = SocketInfo(
                instance_id=InstanceId(instance.decode()), rooms=frozenset(rooms.get(socket_id, ()))
            )
            found[SocketId(socket_id)] = info
        return found

    async def list_conversation(
        self,
        user: UserName,
        room: RoomName,
        limit: int,
        birth: str,
        check_ban: bool,
        sender: str,
        is_strict: bool,
        rate: Rate | None,
        permit: Permit | None,
        ban_keys: Sequence[str],
    ) -> tuple[bool, str]:
        """Add a conversation to the list of a user: see ``direct_list.lua``. ``permit``: to give."""
        keys = [] if rate is None else [self._keys.user_pace(user, "room")]
        keys += [*self._permits.given_at(permit), *ban_keys]
        arguments = room, limit, birth, flag(check_ban), sender, flag(is_strict), *(rate or ("", ""))
        arguments += (*self._permits.arguments(permit),)
        was_listed, its_birth = await self._run(
            "direct_list", user, *arguments, more_keys=keys, limitExceeded=CONVERSATIONS
        )
        return was_listed == 1, its_birth.decode()

    async def own_rooms(self, user: UserName) -> tuple[dict[RoomName, int], int]:
        """The rooms in the list of a user, each with the time in ms since when, and the time now."""
        try:
            found, now = await self._run("user_read", user, "own")
        except ChatServiceError:
            return {}, 0
        entries = pairs(found)
        names = texts([name for name, _ in entries])
        return {RoomName(name): int(at) for name, (_, at) in zip(names, entries, strict=True) if name}, now

    async def has_socket(self, user: UserName, socket_id: SocketId) -> bool:
        """Whether the user exists and has the socket."""
        try:
            (is_there,) = await self._run("user_read", user, "socket", socket_id)
        except ChatServiceError:
            return False
        return bool(is_there == 1)

    async def index_add(
        self,
        user: UserName,
        socket_id: SocketId,
        room: RoomName,
        token: str,
        instance_id: InstanceId,
        own_limit: int,
    ) -> Presence:
        entry = (socket_id, room, token, instance_id, own_limit)
        count, elsewhere = await self._run("index_add", user, *entry, noRoom=room)
        return Presence(count, elsewhere)

    async def index_remove(
        self,
        user: UserName,
        room: RoomName,
        sockets: Sequence[tuple[SocketId, str]],
        envelope: Notify | None = None,
        *,
        here: InstanceId | None = None,
        unlist: bool = False,
    ) -> bool:
        """Remove the entries with the given tokens (an empty one matches any), and notify the user.

        ``here``: the caller's instance. Returns True if all the user's sockets are on it; the caller must
        then deliver the envelope itself. ``unlist``: take the room from the list of the user, too.
        """
        fields = [field for socket_and_token in sockets for field in socket_and_token]
        packed = self._encode(user, envelope)
        (deliver,) = await self._run("index_remove", user, room, packed, here or "", flag(unlist), *fields)
        return bool(deliver == 1)


class InstanceCommands:
    """Data of instances: heartbeats and pulses in keys shared by all, sockets in a hash for each."""

    def __init__(self, client: RedisClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def add_socket(self, instance_id: InstanceId, socket_id: SocketId, user: UserName) -> None:
        key = self._keys.instance_sockets(instance_id)
        await self._client.call(key, "HSET", key, socket_id, user)

    async def remove_socket(self, instance_id: InstanceId, socket_id: SocketId) -> None:
        key = self._keys.instance_sockets(instance_id)
        await self._client.call(key, "HDEL", key, socket_id)

    async def sockets(self, instance_id: InstanceId) -> dict[SocketId, UserName]:
        key = self._keys.instance_sockets(instance_id)
        fields = await self._client.call(key, "HGETALL", key)
        return {SocketId(socket.decode()): UserName(user.decode()) for socket, user in pairs(fields)}

    async def _run(self, script: str, *args: Encodable) -> Any:
        # Not retried: a renewal or claim of a lease is only valid at this moment.
        keys = [self._keys.instances, self._keys.claimed, self._keys.pulses]
        return await self._client.run(scripts.load(script), keys, *args, is_patient=False)

    async def heartbeat(self, instance_id: InstanceId, now: int) -> None:
        await self._run("instance_heartbeat", instance_id, now, flag(True))

    async def renew(self, instance_id: InstanceId, now: int) -> bool:
        return bool(await self._run("instance_heartbeat", instance_id, now, flag(False)))

    async def pulses(self) -> dict[InstanceId, int]:
        found = pairs(await self._run("instance_pulses"))
        names = texts([name for name, _ in found])
        return {InstanceId(name): int(pulse) for name, (_, pulse) in zip(names, found, strict=True)}

    async def claim(self, instance_id: InstanceId, now: int, pulse: int) -> int | None:
        answer: int | None = await self._run("instance_claim", instance_id, now, pulse)
        return answer

    async def get_heartbeat(self, instance_id: InstanceId) -> int | None:
        key = self._keys.instances
        score = await self._client.call(key, "ZSCORE", key, instance_id)
        return None if score is None else milliseconds(score)

    async def all(self) -> dict[InstanceId, int]:
        key = self._keys.instances
        found = await self._client.call(key, "ZRANGE", key, 0, -1, "WITHSCORES")
        return {InstanceId(name.decode()): milliseconds(score) for name, score in pairs(found)}

    async def forget(self, instance_id: InstanceId) -> None:
        sockets = self._keys.instance_sockets(instance_id)
        if not await self._client.call(sockets, "EXISTS", sockets):
            await self._run("instance_forget", instance_id)


def milliseconds(score: bytes) -> int:
    """Convert the score of an instance in a sorted set. Raises ``StoreError``."""
    try:
        return int(float(score))
    except (ValueError, OverflowError):
        raise StoreError(f"corrupt heartbeat {score!r}") from None
