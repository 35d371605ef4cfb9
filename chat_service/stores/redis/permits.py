"""Permits for changes in another slot than that of the user, which a ban takes back.

A script that changes something for a user reads the user's ban. In a cluster the two may be in different
slots, so a change has two steps. The first is in the slot of the user: it checks the ban, and gives a permit
that names the place of the change, the first key of a room or of another user. The second makes the change,
unless the permit has been taken back. A ban takes back all permits before it returns: it leaves a key in each
of their places, for which the second step looks in the same script. So whatever is on the way is either done
before the ban returns, or never.

A join needs no permit: its entry in the user's index names the room, and its token does the same service.
Elsewhere than in a cluster the second step reads the ban itself.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from chat_service.contracts.records import Actor
from chat_service.errors import ChatServiceError, StoreError, StoreRefusedError
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.link import Encodable
from chat_service.stores.redis.scripts import checked, pairs, texts
from chat_service.types import InstanceId, RoomName, UserName

#: Minimum time in seconds for which a permit lives that was not given back: its change may be on the way.
LIFETIME = 600.0
_T = TypeVar("_T")

#: Number of permits that are taken back concurrently.
TAKEN_AT_ONCE = 500


class Permit(NamedTuple):
    """Leave for a user to make changes at some places."""

    user: UserName
    id: str
    places: tuple[str, ...]


class Permits:
    """Gives permits in a cluster. Elsewhere there are none: each permit is None."""

    def __init__(self, client: RedisClient, keys: Keys, command_timeout: float) -> None:
        """``command_timeout``: time in seconds after which a change is no longer on the way."""
        self._client = client
        self._keys = keys
        self._lifetime = round(1000 * max(LIFETIME, 2 * command_timeout))

    def new(self, actor: Actor, *places: str) -> Permit | None:
        """A permit that a script has to give, or None if none is needed."""
        if self._client.is_cluster and actor.check_ban and actor.name is not None:
            return Permit(actor.name, uuid.uuid4().hex, places)
        return None

    def arguments(self, permit: Permit | None) -> Sequence[Encodable]:
        """Arguments of the script that gives a permit: it, its lifetime, its places; empty for None."""
        return () if permit is None else (permit.id, self._lifetime, *permit.places)

    def given_at(self, permit: Permit | None) -> Sequence[str]:
        """The key of the script that gives a permit; none for None."""
        return () if permit is None else (self._keys.permits(permit.user),)

    def keys_at(self, actor: Actor, permit: Permit | None, place: str) -> Sequence[str]:
        """The key that holds the ban of the actor if a change at a place must not be made; none if there is
        nothing to look for."""
        if permit is not None:
            return (self._keys.revoked(place, permit.id),)
        if actor.check_ban and actor.name is not None:
            return (self._keys.ban(actor.name),)
        return ()

    def keys_of_join(self, room: RoomName, token: str) -> Sequence[str]:
        """``keys_at`` for a join."""
        return (self._keys.revoked(self._keys.room(room), token),) if self._client.is_cluster else ()

    async def give(self, permit: Permit, here: InstanceId | None = None) -> bool:
        """Give a permit. Returns whether all sockets of the user are on the instance ``here``.

        Raises ``banned``.
        """
        keys = [*self._keys.user_keys(permit.user), self._keys.permits(permit.user)]
        given = permit.id, self._lifetime, here or "", *permit.places
        (is_here,) = checked(await self._client.run(scripts.load("user_permit"), keys, *given))
        return bool(is_here == 1)

    @contextmanager
    def using(self, permit: Permit | None) -> Iterator[None]:
        """Give the permit back after the changes, unless it is unknown whether they will still be made."""
        try:
            yield
        except (ChatServiceError, StoreRefusedError):
            self._give_back(permit)
            raise
        self._give_back(permit)

    async def change(self, actor: Actor, place: str, step: Callable[[Sequence[str]], Awaitable[_T]]) -> _T:
        """Make a change at one place. ``step``: gets the keys of ``keys_at``. Raises ``banned``."""
        permit = self.new(actor, place)
        keys = self.keys_at(actor, permit, place)
        if permit is None:
            return await step(keys)
        await self.give(permit)
        with self.using(permit):
            return await step(keys)

    def _give_back(self, permit: Permit | None) -> None:
        if permit is not None:
            # Nobody waits for this: a permit that stays costs nothing but space for a while.
            self._client.background.once("redis permits", lambda: self._remove(permit))

    async def _remove(self, permit: Permit) -> None:
        key, entries = self._keys.permits(permit.user), [f"{permit.id} {place}" for place in permit.places]
        with suppress(StoreError):
            await self._client.call(key, "ZREM", key, *entries)

    async def take_back(self, ban: str, given: Sequence[bytes], index: Sequence[bytes]) -> None:
        """Take back permits, and the joins in a user's index. ``ban``: as it is stored."""
        revoked: dict[str, None] = {}
        for entry in texts([*given]):
            permit, _, place = entry.partition(" ")
            revoked[self._keys.revoked(place, permit)] = None
        for field, token in pairs([*index]):
            _, room = scripts.split_entry(field.decode())
            revoked[self._keys.revoked(self._keys.room(room), token.decode())] = None
        keys = list(revoked)
        for start in range(0, len(keys), TAKEN_AT_ONCE):
            part = keys[start : start + TAKEN_AT_ONCE]
            await asyncio.gather(*(self._mark(key, ban) for key in part))

    async def _mark(self, key: str, ban: str) -> Any:
        await self._client.call(key, "SET", key, ban, "PX", self._lifetime)
