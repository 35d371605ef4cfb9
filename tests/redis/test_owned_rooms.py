"""The limit of owned rooms in Redis: expired rooms, and leftovers of a crash."""

from collections.abc import Iterator
from typing import Any

import pytest

from chat_service.contracts.records import SYSTEM, RoomConfig, RoomQuota
from chat_service.errors import ChatServiceError
from chat_service.testing.store_suite import Peer
from chat_service.testing.store_suite.base import ALICE, actor, raises_error
from chat_service.types import RoomName
from tests.redis.conftest import At
from tests.support.redis_servers import RedisServer

pytestmark = [pytest.mark.redis, pytest.mark.covers("option:rooms_owned_limit")]

DAY_MS = 86_400_000


class Keys:
    """The entries in Redis of Alice's rooms."""

    def __init__(self, client: Any, prefix: str) -> None:
        self.client = client
        self.owned = f"{prefix}:user:{{{ALICE}}}:owned"
        self._prefix = prefix

    def room(self, name: str) -> str:
        return f"{self._prefix}:room:{{{name}}}"

    def entries(self) -> dict[str, float]:
        """By room."""
        found = self.client.zrange(self.owned, 0, -1, withscores=True)
        return {entry.decode().partition(":")[2]: at for entry, at in found}

    def wait_a_minute(self) -> None:
        """Age all entries so that they are checked."""
        for entry, at in self.client.zrange(self.owned, 0, -1, withscores=True):
            self.client.zadd(self.owned, {entry: at - 60_001})

    def lose(self, *rooms: str) -> None:
        """Delete rooms as if they had expired."""
        for room in rooms:
            self.client.delete(self.room(room))


@pytest.fixture
def keys(server: RedisServer, alone: At) -> Iterator[Keys]:
    with server.client() as client:
        yield Keys(client, alone.prefix)


async def create(peer: Peer, *names: str, limit: int = 2, empty_ttl: float | None = None) -> None:
    config = RoomConfig(owner=ALICE, empty_ttl=empty_ttl)
    for name in names:
        await peer.store.room_create(RoomName(name), config, RoomQuota(limit=limit))


async def test_rooms_that_went_by_themselves_are_found_at_the_limit(peer: Peer, keys: Keys) -> None:
    await create(peer, "one", "two")
    keys.lose("one")
    # The entry could belong to a room that is being created.
    with raises_error("limitExceeded", "rooms of a user"):
        await create(peer, "three")
    keys.wait_a_minute()
    await create(peer, "three")
    assert set(keys.entries()) == {"two", "three"}
    with raises_error("limitExceeded", "rooms of a user"):
        await create(peer, "four")
    # A room of the same name that another user created is a different room.
    keys.lose("two")
    await peer.store.room_create(RoomName("two"), RoomConfig(owner=ALICE))
    keys.wait_a_minute()
    await create(peer, "four")
    assert set(keys.entries()) == {"three", "four"}


async def test_what_a_crash_leaves_is_found_at_the_limit(peer: Peer, keys: Keys) -> None:
    await create(peer, "one")
    # After the first step of a creation, and before the second one of a deletion and of a new owner.
    keys.client.zadd(keys.owned, {"cafe:never": 1})
    await create(peer, "deleted", "given", limit=9)
    before = keys.client.zrange(keys.owned, 0, -1)
    await peer.store.room_delete(RoomName("deleted"), actor(ALICE))
    await peer.store.room_set_owner(RoomName("given"), 0, None)
    assert set(keys.entries()) == {"one", "never"}
    keys.client.zadd(keys.owned, dict.fromkeys(before, 1))
    assert set(keys.entries()) == {"one", "never", "deleted", "given"}
    await create(peer, "two")
    assert set(keys.entries()) == {"one", "two"}
    with raises_error("limitExceeded", "rooms of a user"):
        await create(peer, "three")


async def test_each_room_is_checked_once_a_minute(peer: Peer, keys: Keys) -> None:
    """No matter how often a user tries, or how many rooms the limit allows."""
    limit = 101
    await create(peer, *(f"room{number}" for number in range(limit)), limit=limit)
    keys.wait_a_minute()
    keys.client.config_resetstat()
    for _ in range(3):
        with raises_error("limitExceeded", "rooms of a user"):
            await create(peer, "more", limit=limit)
    assert keys.client.info("commandstats")["cmdstat_hmget"]["calls"] == limit
    keys.wait_a_minute()
    # The missing room is the last one to be checked.
    (last, *_) = sorted(keys.entries(), key=lambda room: -keys.entries()[room])
    keys.lose(last)
    await create(peer, "more", limit=limit)
    assert last not in keys.entries()
    assert len(keys.entries()) == limit


async def test_a_room_that_exists_already_by_a_repeated_command_counts(peer: Peer, keys: Keys) -> None:
    """As after a lost answer: the second attempt finds the room of the first."""
    store: Any = peer.store
    config, quota = RoomConfig(owner=ALICE), RoomQuota(limit=1)
    await store._quotas.create(RoomName("one"), "cafe", config, quota)
    with raises_error("roomExists", "one"):
        await store._quotas.create(RoomName("one"), "cafe", config, quota)
    assert set(keys.entries()) == {"one"}
    with raises_error("limitExceeded", "rooms of a user"):
        await create(peer, "two", limit=1)


async def test_entries_of_users_who_never_return_expire_if_their_rooms_do(peer: Peer, keys: Keys) -> None:
    await create(peer, "one", "two", limit=9, empty_ttl=1000.0)
    assert 29 * DAY_MS < keys.client.pttl(keys.owned) <= 30 * DAY_MS
    # Existing rooms keep their entries.
    await create(peer, "three", limit=9)
    assert keys.client.pttl(keys.owned) == -1
    await create(peer, "four", limit=9, empty_ttl=1000.0)
    assert keys.client.pttl(keys.owned) == -1
    for name in ("one", "two", "three", "four"):
        await peer.store.room_delete(RoomName(name), SYSTEM)
    assert not keys.client.exists(keys.owned)
    await create(peer, "five", limit=9, empty_ttl=20 * 86400.0)
    assert 39 * DAY_MS < keys.client.pttl(keys.owned) <= 40 * DAY_MS


async def test_without_the_limit_nothing_is_kept(peer: Peer, keys: Keys) -> None:
    for number in range(3):
        with_rate = RoomQuota() if number else None
        await peer.store.room_create(RoomName(f"room{number}"), RoomConfig(owner=ALICE), with_rate)
    with pytest.raises(ChatServiceError):
        await peer.store.room_create(RoomName("room1"), RoomConfig(owner=ALICE), RoomQuota(limit=1))
    assert keys.entries() == {}


async def test_a_step_that_fails_afterwards_does_not_fail_the_change(
    peer: Peer, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    await create(peer, "one")
    # Keys of another type make commands fail that need the right one.
    keys.client.set(keys.room("text"), "x")
    with raises_error("roomExists", "text"):
        await create(peer, "text")
    assert set(keys.entries()) == {"one", "text"}
    keys.client.delete(keys.room("text"), keys.owned)
    keys.client.set(keys.owned, "x")
    await peer.store.room_delete(RoomName("one"), actor(ALICE))
    assert not await peer.store.room_exists(RoomName("one"))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert all("counts for up to a minute too long: " in text and "WRONGTYPE" in text for text in told)
    keys.client.delete(keys.owned)
