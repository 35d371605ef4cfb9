"""Nothing in Redis grows without bounds, and data without an owner is removed."""

import asyncio
import re
from typing import Any

import pytest

from benchmarks.redis_memory import DOCS, measure
from chat_service.stores.redis.keys import Keys
from tests.redis.conftest import At, MakeWorld
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis

TEXT = {"textMessage": "hello"}


def prefix_of(world: Any) -> str:
    assert isinstance(world.backend, At)
    return world.backend.prefix


@pytest.mark.covers("option:history_max_size", "api:change_room_history_max_size")
@pytest.mark.parametrize("size", [1, 10, 150])
async def test_full_history_does_not_grow(at: MakeWorld, server: RedisServer, size: int) -> None:
    world = at(server.url)
    instance = await world.start(history_max_size=size)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    history = Keys(prefix_of(world)).history("room")
    with server.client() as client:
        sizes = set()
        for number in range(1, size + 201):
            assert await alice.call("roomMessage", "room", TEXT) == number
            assert client.llen(history) == min(number, size)
            if number > size + 100:
                sizes.add(client.memory_usage(history, samples=0))
        # The memory is bounded too, up to one node of the list.
        assert max(sizes) - min(sizes) < 20_000
        newest = await alice.call("roomRecentHistory", "room")
        assert newest[0]["id"] == size + 200 and len(newest) == min(size, 100)
        await instance.service.change_room_history_max_size("room", size // 2)
        assert client.llen(history) == size // 2
        await instance.service.change_room_history_max_size("room", 0)
        await alice.call("roomMessage", "room", TEXT)
        assert not client.exists(history)


async def test_deleted_rooms_users_and_instances_leave_nothing_behind(
    at: MakeWorld, server: RedisServer
) -> None:
    world = at(server.url)
    prefix = prefix_of(world)
    first, second = await world.start(), await world.start()
    service = first.service
    for number in range(5):
        await service.add_room(f"room{number}", owner="alice", adminlist=["bob"], blacklist=["carol"])
    clients = [
        await instance.joined(f"user{number}", *(f"room{room}" for room in range(5)))
        for number, instance in enumerate((first, second) * 3)
    ]
    for client in clients:
        await client.call("roomMessage", "room0", TEXT)
        await client.call("directAddToList", "blacklist", ["somebody"])

    def keys(client: Any) -> set[str]:
        return {key.decode() for key in client.scan_iter(f"{prefix}:*")}

    with server.client() as client:
        assert len(keys(client)) > 40
        for number in range(5):
            await service.delete_room(f"room{number}")
            assert not {key for key in keys(client) if f"{{room{number}}}" in key}
        await asyncio.gather(*(one.disconnect() for one in clients))
        for number in range(6):
            await service.delete_user(f"user{number}")
        instances = f"{prefix}:instances:{{all}}"
        assert keys(client) == {instances, f"{instances}:pulses"}
        await world.close()
        assert keys(client) == set()
        assert client.pubsub_shardchannels(f"{prefix}:*") == []


async def test_repeated_activity_uses_no_additional_memory(at: MakeWorld, server: RedisServer) -> None:
    """Repeats logins, joins, messages and leaves of the same users."""
    world = at(server.url)
    instance = await world.start(history_max_size=5)
    await instance.service.add_room("room")

    async def once() -> None:
        client = await instance.joined("alice", "room")
        for _ in range(5):
            await client.call("roomMessage", "room", TEXT)
        await client.call("roomLeave", "room")
        await client.disconnect()

    with server.client() as client:
        counts = set()
        for _ in range(10):
            await once()
            counts.add(client.dbsize())
        assert len(counts) == 1
        for key in client.scan_iter(f"{prefix_of(world)}:*"):
            assert client.type(key) != b"hash" or client.hlen(key) <= 10, key


@pytest.mark.unmeasured  # ordinary commands, thousands of times
async def test_documented_memory_use_is_correct(server: RedisServer) -> None:
    rows = dict(re.findall(r"^\| ([^|]+?) \| (\d+) \|$", DOCS.read_text("utf-8"), re.MULTILINE))
    measured = await measure(server.url)
    assert set(measured) <= set(rows)
    for name, size in measured.items():
        # Other builds of Redis and its allocator differ a little.
        assert int(rows[name]) == pytest.approx(size, rel=0.25), name
