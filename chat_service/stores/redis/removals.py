"""The second step of a removal: cleaning the indexes of the removed users."""

import asyncio
import logging
from collections import deque

from chat_service.concurrency.background import Background, end
from chat_service.contracts.bus import Notify
from chat_service.contracts.records import Removal
from chat_service.errors import StoreTimeoutError
from chat_service.stores.redis.room_values import Removed, RemovedUser
from chat_service.stores.redis.user_scripts import UserScripts
from chat_service.types import RoomName

logger = logging.getLogger("chat_service")

#: Number of users whose indexes are cleaned concurrently.
CLEANING_AT_ONCE = 100
#: Time in seconds between attempts to clean an unreachable index.
CLEAN_AGAIN = 0.2


class Removals:
    """Cleans indexes immediately, or later if they are unreachable."""

    def __init__(self, users: UserScripts, background: Background) -> None:
        self._users = users
        self._background = background
        # Removed users whose indexes are not cleaned yet.
        self._uncleaned: deque[tuple[RoomName, RemovedUser]] = deque()
        self._cleaning: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop cleaning; recovery finds the rest. Idempotent."""
        await end(self._cleaning)

    async def finish(self, room: RoomName, removed: Removed) -> Removal | None:
        """Clean the indexes of removed users and notify their sockets that were not joined."""
        gone = removed.users
        for start in range(0, len(gone), CLEANING_AT_ONCE):
            await asyncio.gather(
                *(self._clean_index(room, user) for user in gone[start : start + CLEANING_AT_ONCE])
            )
        return removed.removal

    async def _clean_index(self, room: RoomName, removed: RemovedUser) -> None:
        joined = tuple(socket_id for socket_id, _ in removed.sockets)
        notice = Notify(event="roomAccessRemoved", args=(room,), exclude=joined)
        try:
            await self._users.index_remove(removed.user, room, removed.sockets, notice)
        except StoreTimeoutError as error:
            # The removal itself has succeeded and must not fail because of this.
            logger.warning("the index of user %s will be cleaned later: %s", removed.user, error)
            self._uncleaned.append((room, removed))
            if self._cleaning is None or self._cleaning.done():
                self._cleaning = self._background.keep("redis index cleaning", self._clean_later)

    async def _clean_later(self) -> None:
        """Clean the remaining indexes without notifying: a user may have joined again."""
        while self._uncleaned:
            await asyncio.sleep(CLEAN_AGAIN)
            room, removed = self._uncleaned[0]
            try:
                await self._users.index_remove(removed.user, room, removed.sockets)
            except StoreTimeoutError:
                continue
            except Exception:
                logger.exception("the index of user %s cannot be cleaned", removed.user)
            self._uncleaned.popleft()
