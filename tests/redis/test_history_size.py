"""The count of a history's bytes in Redis, alongside instances of an earlier version that do not update
it.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_client

from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.stores.redis import RedisStore
from chat_service.types import RoomName
from tests.redis.conftest import MakeWorld
from tests.support.parts import parts_of
from tests.support.redis_servers import RedisServer

pytestmark = [pytest.mark.redis, pytest.mark.covers("option:history_max_bytes")]

ROOM = RoomName("room")
KB = 1000
#: Maximum number of uncounted messages.
RECOUNT_AFTER = 64


class Scene:
    """A room, and an instance of an earlier version."""

    def __init__(self, store: RedisStore, raw: Any) -> None:
        self.store, self.raw = store, raw
        self.key, self.history = store.keys.room(ROOM), store.keys.history(ROOM)

    async def send(self, size: int, count: int = 1) -> None:
        for _ in range(count):
            await self.store.room_message(ROOM, SYSTEM, {"textMessage": "x" * size})

    def send_earlier(self, size: int, count: int = 1, *, max_size: int = 10_000) -> None:
        """Store messages as the earlier version does."""
        for _ in range(count):
            message_id = int(self.raw.hget(self.key, "last") or 0) + 1
            self.raw.lpush(self.history, f'{{"id":{message_id},"textMessage":"{"x" * size}"}}')
            self.raw.ltrim(self.history, 0, max_size - 1)
            self.raw.hset(self.key, "last", message_id)

    def stored(self) -> tuple[int, int]:
        """Number and bytes of the stored messages."""
        items: list[bytes] = self.raw.lrange(self.history, 0, -1)
        return len(items), sum(map(len, items))

    def counted(self) -> list[int]:
        """The stored count: the limit, the bytes, the last message and the number of messages."""
        return [int(number) for number in (self.raw.hget(self.key, "hb") or b"").split(b":")]

    async def is_counted(self) -> None:
        size, total = self.stored()
        last = int(self.raw.hget(self.key, "last") or 0)
        assert self.counted()[1:] == [total, last, size]
        info = await self.store.room_history_info(ROOM, SYSTEM)
        assert (info.size, info.last_message_id) == (size, last)


@pytest.fixture
def raw(server: RedisServer) -> Iterator["redis_client.Redis"]:
    with server.client() as client:
        yield client


@pytest.fixture
async def scene(at: MakeWorld, server: RedisServer, raw: Any) -> Any:
    instance = await at(server.url).start()
    store: Any = parts_of(instance.service).store
    await store.room_create(ROOM, RoomConfig(history_max_size=500, history_max_bytes=50 * KB))
    return Scene(store, raw)


async def test_the_count_is_exact(scene: Scene) -> None:
    for size in (10, 10 * KB, 500, 30 * KB, 30 * KB, 1, 70 * KB, 5):
        await scene.send(size)
        await scene.is_counted()
    assert scene.counted()[0] == 50 * KB
    await scene.send(10, 600)
    await scene.is_counted()
    assert scene.stored()[0] == 500


async def test_messages_of_an_earlier_version_are_counted_in_time(scene: Scene) -> None:
    await scene.send(KB, 10)
    scene.send_earlier(KB, 70)
    # The earlier version has not dropped any; the next message of this version does.
    assert scene.stored()[0] == 80
    await scene.send(KB)
    assert scene.stored()[0] == 48
    await scene.is_counted()
    # Both versions send: at most this number of messages is not counted.
    for _ in range(RECOUNT_AFTER):
        scene.send_earlier(KB)
        await scene.send(KB)
        assert scene.stored()[0] <= 50 + RECOUNT_AFTER
    await scene.send(KB, RECOUNT_AFTER)
    await scene.is_counted()
    assert scene.stored()[0] == 48


async def test_a_history_that_was_shortened_or_evicted_is_counted_again(scene: Scene) -> None:
    await scene.send(KB, 40)
    scene.raw.ltrim(scene.history, 0, 9)
    await scene.send(KB, RECOUNT_AFTER)
    await scene.is_counted()
    scene.raw.delete(scene.history)
    await scene.send(KB)
    await scene.is_counted()
    assert scene.stored()[0] == 1


async def test_a_room_of_an_earlier_version_has_no_limit_until_one_is_set(scene: Scene) -> None:
    scene.raw.hdel(scene.key, "hb")
    await scene.send(10 * KB, 20)
    assert scene.stored()[0] == 20 and not scene.raw.hexists(scene.key, "hb")
    await scene.store.room_set_history_max_size(ROOM, 15)
    assert scene.stored()[0] == 15 and not scene.raw.hexists(scene.key, "hb")
    await scene.store.room_set_history_max_bytes(ROOM, 50 * KB)
    assert scene.stored()[0] == 4
    await scene.is_counted()
