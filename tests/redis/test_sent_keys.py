"""Idempotency keys in Redis: their expiry, rooms of earlier versions, and a Redis that takes no changes."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from chat_service.contracts.records import SYSTEM, RoomConfig, SendConditions, SendResult
from chat_service.errors import StoreRefusedError
from chat_service.stores.redis import RedisStore
from chat_service.testing.store_suite import Peer, Peers
from chat_service.types import RoomName, UserName
from tests.redis.conftest import At
from tests.redis.refusals import Refusal
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis

ROOM, ALICE = RoomName("room"), UserName("alice")
TEA = {"textMessage": "tea"}
KEY = SendConditions(key="k", digest=b"\x00digest", window=100.0)


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def peer(shared: RedisServer) -> AsyncIterator[Peer]:
    backend = At(shared.url, command_timeout=0.5)
    peers = Peers(lambda: backend.new_store())
    peer = await peers.open()
    await peer.store.room_create(ROOM, RoomConfig())
    yield peer
    await peers.close()


async def redis(peer: Peer, *command: Any) -> Any:
    """Run a command; a key is written as its suffix after that of the room."""
    store = peer.store
    assert isinstance(store, RedisStore)
    key = store.keys.room(ROOM)
    return await store.client.call(key, command[0], key + command[1], *command[2:])


async def send(peer: Peer, conditions: SendConditions = KEY) -> SendResult:
    return await peer.store.room_send(ROOM, SYSTEM, dict(TEA), conditions)


async def test_a_key_is_one_string_that_expires(peer: Peer) -> None:
    await send(peer)
    assert 50_000 < await redis(peer, "PTTL", ":sent::k:id") <= 100_000
    birth = await redis(peer, "HGET", "", "birth")
    assert await redis(peer, "GET", ":sent::k:id") == birth + b":1:" + KEY.digest
    # Repeats do not prolong it.
    await redis(peer, "PEXPIRE", ":sent::k:id", 50_000)
    await send(peer)
    assert 0 < await redis(peer, "PTTL", ":sent::k:id") <= 50_000
    await send(peer, KEY._replace(key="short", window=0.0001))
    assert await redis(peer, "PTTL", ":sent::short:id") <= 1


async def test_a_room_of_an_earlier_version(peer: Peer) -> None:
    """It has no birth: the first key gives it one, which a new epoch leaves alone."""
    epoch = await redis(peer, "HGET", "", "epoch")
    await redis(peer, "HDEL", "", "birth")
    await send(peer, SendConditions(expected_last_id=0))
    assert await redis(peer, "HGET", "", "birth") is None
    assert await send(peer) == SendResult(2, False)
    assert await redis(peer, "HGET", "", "birth") == epoch
    await peer.store.room_renew(ROOM, epoch.decode(), 1)
    assert await send(peer) == SendResult(2, True)


async def test_a_room_that_an_earlier_version_created_again(peer: Peer) -> None:
    await send(peer)
    await peer.store.room_delete(ROOM, SYSTEM)
    await peer.store.room_create(ROOM, RoomConfig())
    await redis(peer, "HDEL", "", "birth")
    assert await send(peer) == SendResult(1, False)
    assert await send(peer) == SendResult(1, True)


async def test_keys_are_not_taken_for_rooms(peer: Peer) -> None:
    for key in ("a}", "{room}", "x}:members", "}{room}"):
        assert not (await send(peer, KEY._replace(key=key))).is_duplicate
    found, cursor = [], None
    while True:
        page = await peer.store.list_rooms(100, cursor)
        found += [room.name for room in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == [ROOM]


async def test_a_damaged_key_is_ignored(peer: Peer) -> None:
    await send(peer)
    await redis(peer, "SET", ":sent::k:id", "damaged")
    assert await send(peer) == SendResult(2, False)
    assert await send(peer) == SendResult(2, True)


@pytest.mark.parametrize("size", [5, 0])
@pytest.mark.parametrize("kind", ["OOM", "NOREPLICAS"])
async def test_while_redis_refuses_changes(peer: Peer, shared: RedisServer, kind: str, size: int) -> None:
    """Repeats are answered. Other sends change nothing, and their keys are free afterwards."""
    await peer.store.room_set_history_max_size(ROOM, size)
    await send(peer)
    refusal = Refusal(kind, [shared])
    await refusal.begin()
    try:
        assert await send(peer) == SendResult(1, True)
        with pytest.raises(StoreRefusedError):
            await send(peer, KEY._replace(key="k2"))
    finally:
        await refusal.end()
    assert await send(peer, KEY._replace(key="k2")) == SendResult(2, False)
    assert await send(peer, KEY._replace(key="k2")) == SendResult(2, True)
