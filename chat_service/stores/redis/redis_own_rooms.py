"""The part of the Redis store about the rooms in the lists of users, and conversations.

A list lies in the slot of its user, a room in its own. So a conversation is opened in steps: it is added to
both lists, then the room is made. It is left in the same order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from chat_service.contracts.own_room_store import Opened, OwnRoom
from chat_service.contracts.records import Actor, Page, Rate, ReadState, Removal, RoomConfig
from chat_service.errors import ChatServiceError
from chat_service.protocol.names import DIRECT, conversation_users
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.permits import Permit, Permits
from chat_service.stores.redis.removals import Removals
from chat_service.stores.redis.room_scripts import RoomScripts
from chat_service.stores.redis.room_values import new_epoch, timestamp_at
from chat_service.stores.redis.scripts import checked
from chat_service.stores.redis.user_scripts import UserScripts
from chat_service.types import RoomName, UserName

#: Age in ms from which an entry without a room is removed. The room of a younger one may be about to be made.
STALE_AFTER: Final = 60_000


class RedisOwnRooms:
    """Lists of rooms. The methods are described in ``OwnRoomStore``."""

    client: RedisClient
    keys: Keys
    _rooms: RoomScripts
    _users: UserScripts
    _removals: Removals
    _permits: Permits

    async def direct_open(
        self,
        room: RoomName,
        actor: Actor,
        peer: UserName,
        config: RoomConfig,
        now: int,
        *,
        limit: int,
        rate: Rate | None = None,
    ) -> Opened:
        user = actor.name
        if user is None or user == peer:
            raise ChatServiceError("notAllowed")
        # The user may be banned between the steps.
        permit = self._permits.new(actor, self.keys.user(peer), self.keys.room(room))
        with self._permits.using(permit):
            return await self._open(room, actor, user, peer, config, permit, limit, rate)

    async def _open(
        self,
        room: RoomName,
        actor: Actor,
        user: UserName,
        peer: UserName,
        config: RoomConfig,
        permit: Permit | None,
        limit: int,
        rate: Rate | None,
    ) -> Opened:
        at_peer, at_room = (
            self._permits.keys_at(actor, permit, place)
            for place in (self.keys.user(peer), self.keys.room(room))
        )
        was_mine, mine = await self._list(
            user, room, limit, check_ban=actor.check_ban, rate=rate, permit=permit
        )
        listed = [] if was_mine else [user]
        try:
            sender = "" if actor.bypass else user
            was_theirs, theirs = await self._list(
                peer, room, limit, sender=sender, is_strict=not was_mine, ban_keys=at_peer
            )
            listed += [] if was_theirs else [peer]
            # In the order of the names, whoever asks.
            pair = f"{mine}:{theirs}" if user < peer else f"{theirs}:{mine}"
            config = replace(config, whitelist=conversation_users(room) or (), whitelist_only=True)
            removed, added = await self._rooms.open(room, new_epoch(), config, pair, at_room)
        except ChatServiceError:
            for name in listed:
                await self._unlist(name, [room])
            raise
        removal = await self._removals.finish(room, removed)
        if added:
            # Whoever was leaving at this moment may have taken it from their list before it was opened.
            if was_mine:
                await self._list(user, room, limit, check_ban=actor.check_ban)
            if was_theirs:
                await self._list(peer, room, limit, ban_keys=at_peer)
        return Opened(listed, removal)

    async def _list(
        self,
        user: UserName,
        room: RoomName,
        limit: int,
        *,
        check_ban: bool = False,
        sender: str = "",
        is_strict: bool = False,
        rate: Rate | None = None,
        permit: Permit | None = None,
        ban_keys: Sequence[str] = (),
    ) -> tuple[bool, str]:
        """Add a conversation to a list. Returns whether it was there, and the birth of the list."""
        return await self._users.list_conversation(
            user, room, limit, new_epoch(), check_ban, sender, is_strict, rate, permit, ban_keys
        )

    async def _unlist(self, user: UserName, rooms: Iterable[RoomName]) -> None:
        key = self.keys.own_rooms(user)
        await self.client.call(key, "HDEL", key, *rooms)

    async def direct_leave(self, room: RoomName, user: UserName, now: int) -> Removal | None:
        await self._unlist(user, [room])
        try:
            removed = await self._rooms.leave_conversation(room, user, now)
        except ChatServiceError:
            # The room is gone.
            return None
        return await self._removals.finish(room, removed)

    async def own_rooms(self, user: UserName, limit: int, cursor: str | None = None) -> Page[OwnRoom]:
        listed, now = await self._users.own_rooms(user)
        names = sorted(name for name in listed if cursor is None or name > cursor)
        page, rest = names[:limit], names[limit:]
        if not page:
            return Page(items=())
        answers = await self.client.run_each(
            scripts.load("room_own"), [self.keys.room_keys(name) for name in page], user
        )
        items, lost = [], []
        for name, answer in zip(page, answers, strict=True):
            try:
                last_id, read_id, end = checked(answer)
            except ChatServiceError:
                if listed[name] < now - STALE_AFTER:
                    lost.append(name)
                continue
            state = ReadState(last_id, read_id)
            items.append(OwnRoom(name=name, state=state, last_message_at=timestamp_at(end)))
        if lost:
            await self._unlist(user, lost)
        return Page(items=items, cursor=page[-1] if rest else None)

    async def own_room_remove(self, user: UserName, room: RoomName) -> None:
        if not room.startswith(DIRECT):
            await self._unlist(user, [room])

    async def check_recipient(self, actor: Actor, recipient: UserName | None) -> None:
        """Raise ``noUser`` or ``notAllowed`` for a message to a user in another slot, as in a cluster."""
        if recipient is None or actor.bypass or not self.client.is_cluster:
            return
        if actor.name is None or not await self._users.check_direct_access(recipient, actor.name):
            raise ChatServiceError("notAllowed")
