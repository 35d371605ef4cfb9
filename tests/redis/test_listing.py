"""Lists of the Redis store: cursors over nodes, foreign keys and disappearing nodes."""

import pytest

from chat_service.contracts.records import RoomConfig
from chat_service.errors import StoreError
from chat_service.stores.redis import RedisStore
from chat_service.stores.redis import scanning as listing
from chat_service.testing.store_suite.base import Recorder
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from tests.support.redis_servers import RedisCluster, RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
async def store(server: RedisServer):
    made = RedisStore({"url": server.url, "prefix": "[own]*"})
    await made.open(Recorder())
    yield made
    await made.close()


async def _names(store: RedisStore, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await store.list_rooms(limit, cursor)
        found += [room.name for room in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


async def test_prefix_is_not_a_pattern(store: RedisStore, server: RedisServer) -> None:
    with server.client() as client:
        client.hset("other:room:{strange}", "epoch", "x")
        client.hset("o:room:{strange}", "epoch", "x")
    await store.room_create(RoomName("room"), RoomConfig())
    await store.socket_connect(UserName("alice"), SocketId("s1"), InstanceId("i1"))
    assert await _names(store, 10) == ["room"]
    assert [user.name for user in (await store.list_users(10)).items] == ["alice"]


async def test_few_rooms_among_many_keys_need_few_scans(
    store: RedisStore, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.client() as client:
        client.mset({f"other:{number}": "" for number in range(5000)})
        await store.room_create(RoomName("room"), RoomConfig())
        client.config_resetstat()
        assert await _names(store, 10) == ["room"]
        assert client.info("commandstats")["cmdstat_scan"]["calls"] < 20
        monkeypatch.setattr(listing, "SCANS_PER_PAGE", 1)
        assert set(await _names(store, 10)) == {"room"}


@pytest.mark.parametrize("cursor", ["", "5", "x@127.0.0.1:1", "5@127.0.0.1", "0@:x"])
async def test_invalid_cursors(store: RedisStore, cursor: str) -> None:
    with pytest.raises(ValueError, match="is not a cursor of a list"):
        await store.list_rooms(10, cursor)


async def test_cursor_of_a_removed_node_has_expired(store: RedisStore) -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1 no longer holds keys: start the list again"):
        await store.list_users(10, "0@127.0.0.1:1")


async def test_pages_span_the_nodes_of_a_cluster(cluster_servers: RedisCluster) -> None:
    store = RedisStore({"url": cluster_servers.url, "cluster": True, "prefix": "lists"})
    await store.open(Recorder())
    try:
        names = {f"room{number}" for number in range(40)}
        for name in names:
            await store.room_create(RoomName(name), RoomConfig())
        assert set(await _names(store, 7)) == names
        nodes, cursor = set(), None
        while True:
            cursor = (await store.list_rooms(1, cursor)).cursor
            if cursor is None:
                break
            nodes.add(cursor.partition("@")[2])
        assert len(nodes) == 3
    finally:
        for server in cluster_servers.servers:
            with server.client() as client:
                for key in client.scan_iter("lists:*"):
                    client.delete(key)
        await store.close()


async def test_corrupt_heartbeats(store: RedisStore, server: RedisServer) -> None:
    with server.client() as client:
        client.zadd(store.keys.instances, {"i1": float("inf")})
    with pytest.raises(StoreError, match="corrupt heartbeat"):
        await store.list_instances()
