"""The limit of the rooms that a user owns. Its state lies in two slots: that of the user and of the room."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from chat_service.contracts.records import OWNED_ROOMS, Actor, RoomConfig, RoomQuota
from chat_service.errors import ChatServiceError, StoreError, StoreRefusedError
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.permits import Permit, Permits
from chat_service.stores.redis.room_scripts import RoomScripts
from chat_service.stores.redis.room_values import Removed
from chat_service.stores.redis.user_scripts import UserScripts
from chat_service.types import RoomName, UserName

#: Time in seconds between checks of an entry: a room that is gone may count for so long.
CHECK_AFTER: Final = 60.0
#: Time in seconds for which the entries of a user are kept without a new room, if their rooms can go by
#: themselves. Without it, users who never return would leave them behind.
KEPT: Final = 30 * 86400.0

logger = logging.getLogger("chat_service")


class RoomQuotas:
    """Creates rooms in two steps: an entry in the user's slot, then the room.

    The entry is removed when the room is deleted or gets another owner. So the entries are always a superset,
    and nobody exceeds the limit. What an interruption or the expiry of a room leaves is found when the user
    reaches the limit: entries that have not been checked for a while are compared with their rooms.
    """

    def __init__(
        self,
        client: RedisClient,
        keys: Keys,
        rooms: RoomScripts,
        users: UserScripts,
        permits: Permits,
        command_timeout: float,
    ) -> None:
        """``command_timeout``: time in seconds after which a step is over."""
        self._client = client
        self._keys = keys
        self._rooms = rooms
        self._users = users
        self._permits = permits
        # The room of a younger entry may not have been created yet.
        self._check_after = max(CHECK_AFTER, 2 * command_timeout)

    async def create(
        self, room: RoomName, epoch: str, config: RoomConfig, quota: RoomQuota | None
    ) -> Removed:
        """``RoomScripts.create`` for an owner with a quota. ``epoch``: of the new room.

        Raises ``banned``, ``rateLimited``, ``limitExceeded``.
        """
        owner = config.owner
        if quota is None or owner is None:
            return await self._rooms.create(room, epoch, config, False, ())
        entry = _entry(room, epoch)
        # The user may be banned before the next step.
        actor, place = Actor(owner, check_ban=True), self._keys.room(room)
        permit = self._permits.new(actor, place)
        await self._admit(owner, quota, entry, config.empty_ttl, permit)
        is_counted = quota.limit is not None
        ban_keys = self._permits.keys_at(actor, permit, place)
        try:
            with self._permits.using(permit):
                return await self._rooms.create(room, epoch, config, is_counted, ban_keys)
        except (ChatServiceError, StoreRefusedError):
            if is_counted:
                await self._give_back(owner, entry)
            raise

    async def _admit(
        self, owner: UserName, quota: RoomQuota, entry: str, empty_ttl: float | None, permit: Permit | None
    ) -> None:
        kept = None if empty_ttl is None else max(KEPT, 2 * empty_ttl)
        while True:
            # Each entry is due once in a while only, so this ends.
            due = await self._users.admit(owner, quota, entry, self._check_after, kept, permit)
            if due is None:
                return
            if not due:
                raise ChatServiceError("limitExceeded", OWNED_ROOMS)
            await self._check(owner, due)

    async def _give_back(self, owner: UserName, entry: str) -> None:
        """Remove the entry of a room that was not created."""
        try:
            # A repeated command may have met the room that it created itself.
            await self._check(owner, [entry])
        except StoreError as error:
            logger.warning("a room of user %s counts for up to a minute too long: %s", owner, error)

    async def _check(self, owner: UserName, entries: Sequence[str]) -> None:
        """Remove the entries whose rooms count no longer."""
        counts = await asyncio.gather(*(self._does_count(owner, entry) for entry in entries))
        stale = [entry for entry, does_count in zip(entries, counts, strict=True) if not does_count]
        if stale:
            await self._users.free(owner, stale)

    async def _does_count(self, owner: UserName, entry: str) -> bool:
        birth, _, room = entry.partition(":")
        key = self._keys.room(room)
        found = await self._client.call(key, "HMGET", key, "birth", "counted")
        return bool(found == [birth.encode(), owner.encode()])

    async def free(self, room: RoomName, removed: Removed) -> None:
        """Count a room no longer that was deleted or has another owner."""
        if removed.freed is None:
            return
        owner, birth = removed.freed
        try:
            await self._users.free(owner, [_entry(room, birth)])
        except StoreError as error:
            # The change itself has succeeded.
            logger.warning("room %s of user %s counts for up to a minute too long: %s", room, owner, error)


def _entry(room: RoomName, birth: str) -> str:
    return f"{birth}:{room}"
