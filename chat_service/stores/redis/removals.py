"""What follows the decision that users are out of a room: slices in the room, and the slots of the users."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from chat_service.concurrency.running import Background, end
from chat_service.contracts.bus import Notify
from chat_service.contracts.records import Removal
from chat_service.errors import StoreError, StoreTimeoutError
from chat_service.stores.redis.room_scripts import RoomScripts
from chat_service.stores.redis.room_values import Removed, RemovedUser, UnfinishedRemovalError
from chat_service.stores.redis.user_scripts import UserScripts
from chat_service.types import InstanceId, RoomName, SocketId

logger = logging.getLogger("chat_service")

#: Number of users whose indexes are cleaned concurrently.
CLEANING_AT_ONCE = 100
#: Time in seconds between attempts to reach what could not be reached.
AGAIN = 0.2


class Removals:
    """Finishes removals immediately, or later if Redis does not answer.

    A script removes up to 200 users from a room. When there are more, it only decides that they are out, and
    moves them to another key. Each slice takes some from there, updates what the room remembers of them, and
    tells the room that they have left.
    """

    def __init__(self, rooms: RoomScripts, users: UserScripts, background: Background) -> None:
        self._rooms = rooms
        self._users = users
        self._background = background
        # Removals with slices that failed, and removed users whose indexes are not cleaned yet.
        self._unfinished: deque[tuple[RoomName, str]] = deque()
        self._uncleaned: deque[tuple[RoomName, RemovedUser]] = deque()
        self._working: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop working; recovery finds the rest. Idempotent."""
        await end(self._working)

    async def run(self, room: RoomName, change: Callable[[], Awaitable[Removed]]) -> Removal | None:
        """Make a change that removes users, and finish it."""
        return await self.finish(room, await self.make(room, change))

    async def make(self, room: RoomName, change: Callable[[], Awaitable[Removed]]) -> Removed:
        """Make a change that removes users. An unfinished earlier one comes first."""
        while True:
            try:
                return await change()
            except UnfinishedRemovalError as error:
                # It may also be at work in another process: each slice belongs to one of them.
                await self._clear(room, error.leaving, {})

    async def finish(self, room: RoomName, removed: Removed) -> Removal | None:
        """Clean the indexes of removed users and notify their sockets that were not joined."""
        await self._clean(room, removed.users)
        if removed.leaving is None or removed.removal is None:
            return removed.removal
        sockets: dict[InstanceId, list[SocketId]] = {}
        try:
            await self._clear(room, removed.leaving, sockets)
            if not sockets:
                # None of many names was a member's.
                return None
        except BaseException as error:
            # The decision itself stands, and no removed user gets anything of the room.
            self._unfinished.append((room, removed.leaving))
            self._work_later()
            if not isinstance(error, StoreError):
                raise
            logger.warning("the removal of users from room %s will be finished later: %s", room, error)
        return replace(removed.removal, sockets=_frozen(sockets))

    async def _clear(
        self, room: RoomName, leaving: str, sockets: dict[InstanceId, list[SocketId]], *, is_told: bool = True
    ) -> None:
        """Do all slices of a removal, and collect the removed sockets."""
        left = 1
        while left:
            taken = await self._rooms.clear(room, leaving)
            left = taken.left
            for instance_id, found in taken.sockets.items():
                sockets.setdefault(instance_id, []).extend(found)
            await self._clean(room, taken.users, is_told=is_told)
            await self._clean(room, taken.quiet, is_told=False)

    async def _clean(self, room: RoomName, users: Sequence[RemovedUser], *, is_told: bool = True) -> None:
        for start in range(0, len(users), CLEANING_AT_ONCE):
            part = users[start : start + CLEANING_AT_ONCE]
            await asyncio.gather(*(self._clean_index(room, user, is_told) for user in part))

    async def _clean_index(self, room: RoomName, removed: RemovedUser, is_told: bool) -> None:
        joined = tuple(socket_id for socket_id, _ in removed.sockets)
        notice = Notify(event="roomAccessRemoved", args=(room,), exclude=joined) if is_told else None
        try:
            await self._users.index_remove(removed.user, room, removed.sockets, notice, unlist=is_told)
        except StoreTimeoutError as error:
            # The removal itself has succeeded and must not fail because of this.
            logger.warning("the index of user %s will be cleaned later: %s", removed.user, error)
            self._uncleaned.append((room, removed))
            self._work_later()

    def _work_later(self) -> None:
        if self._working is None or self._working.done():
            self._working = self._background.keep("redis removals", self._finish_later)

    async def _finish_later(self) -> None:
        """Finish without notifying users: they may have joined again."""
        while self._unfinished or self._uncleaned:
            await asyncio.sleep(AGAIN)
            try:
                await self._finish_next()
            except StoreTimeoutError:
                continue

    async def _finish_next(self) -> None:
        if self._unfinished:
            room, leaving = self._unfinished[0]
            try:
                await self._clear(room, leaving, {}, is_told=False)
            except StoreTimeoutError:
                raise
            except Exception:
                logger.exception("the removal of users from room %s cannot be finished", room)
            self._unfinished.popleft()
            return
        room, removed = self._uncleaned[0]
        try:
            await self._users.index_remove(removed.user, room, removed.sockets)
        except StoreTimeoutError:
            raise
        except Exception:
            logger.exception("the index of user %s cannot be cleaned", removed.user)
        self._uncleaned.popleft()


def _frozen(sockets: Mapping[InstanceId, Sequence[SocketId]]) -> Mapping[InstanceId, Sequence[SocketId]]:
    return {instance_id: tuple(found) for instance_id, found in sockets.items()}
