"""Changes of rooms that one short script decides, and that whoever needs the room next makes in slices."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from chat_service.concurrency.eager import in_task
from chat_service.errors import StoreTimeoutError
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import EnvelopeCodec
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.link import Encodable
from chat_service.stores.redis.scripts import checked
from chat_service.types import RoomName

#: How many names a command stages.
STAGED_AT_ONCE: Final = 200
#: Time in seconds for which names stay staged: only those of a change that was not decided expire.
STAGED_TTL: Final = 600
#: Precedes a staged name that is removed from its list. No name contains it.
REMOVED_SIGN: Final = "\0"


class PendingChanges:
    """Stages the names of long changes before their decision, and does the slices after it.

    A decided change is unfinished until its last slice. Until then every script about the room fails with
    ``UNFINISHED``, and ``RedisClient.run`` calls ``finish`` before it repeats the script.
    """

    def __init__(self, client: RedisClient, keys: Keys, codec: EnvelopeCodec) -> None:
        self._client = client
        self._keys = keys
        self._slice = scripts.load("room_pending", codec.signing)
        # Commands of this process that wait for the same room do its slices only once.
        self._finishing: dict[str, asyncio.Event] = {}

    async def stage_names(self, room: RoomName, add: Sequence[str], remove: Sequence[str]) -> str:
        """Stage names to add to a list, and others to remove. Returns the key that they are at."""
        key = self._keys.staged(room, uuid.uuid4().hex)
        names = [*add, *(REMOVED_SIGN + name for name in dict.fromkeys(remove))]
        scored: list[Encodable] = [part for number, name in enumerate(names) for part in (number, name)]
        await self._stage(key, "ZADD", scored, 2 * STAGED_AT_ONCE)
        return key

    async def stage_lists(self, room: RoomName, lists: Mapping[str, Sequence[str]]) -> str:
        """Stage the lists of a new room. Returns what their keys begin with, before the name of the list."""
        start = self._keys.staged(room, uuid.uuid4().hex) + ":"
        for list_name, names in lists.items():
            await self._stage(start + list_name, "SADD", names, STAGED_AT_ONCE)
        return start

    async def _stage(self, key: str, command: str, parts: Sequence[Encodable], most: int) -> None:
        for start in range(0, len(parts), most):
            await self._client.call(key, command, key, *parts[start : start + most])
            if start == 0:
                await self._client.call(key, "EXPIRE", key, STAGED_TTL)

    async def finish(self, room_key: str) -> None:
        """Do the slices of an unfinished change. Another process may be doing some of them.

        It may still be unfinished afterwards if somebody else in this process was at it and has failed.
        Raises ``StoreError``.
        """
        # Timeouts need a task.
        await in_task()
        others = self._finishing.get(room_key)
        if others is not None:
            try:
                async with asyncio.timeout(self._client.seconds_left()):
                    await others.wait()
            except TimeoutError:
                raise StoreTimeoutError("a change of the room takes too long") from None
            return
        done = self._finishing[room_key] = asyncio.Event()
        keys, left = self._keys.all_of(room_key), 1
        try:
            while left:
                (left,) = checked(await self._client.run(self._slice, keys))
        finally:
            del self._finishing[room_key]
            done.set()
