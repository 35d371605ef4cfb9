"""Sending commands: redirections, moving slots, lost scripts and temporary refusals."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable

import pytest

from chat_service.errors import ConfigurationError, StoreError, StoreTimeoutError
from chat_service.stores.redis import RedisOptions, scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.urls import Address
from chat_service.testing import wait_until
from tests.redis.proxy import Proxy
from tests.redis.slots import slot_move
from tests.support.redis_servers import RedisCluster, RedisServer

pytestmark = pytest.mark.redis

MakeClient = Callable[..., RedisClient]


@pytest.fixture
async def client_of() -> AsyncIterator[MakeClient]:
    clients: list[RedisClient] = []

    def make(url: str, **options: object) -> RedisClient:
        clients.append(RedisClient(RedisOptions.from_mapping({"url": url, **options})))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return f"test:{{{uuid.uuid4().hex}}}"


@pytest.fixture
async def cluster(client_of: MakeClient, cluster_servers: RedisCluster) -> RedisClient:
    client = client_of(cluster_servers.url, cluster=True)
    await client.open()
    return client


@pytest.fixture
async def single(client_of: MakeClient, server: RedisServer) -> RedisClient:
    client = client_of(server.url)
    await client.open()
    return client


# A cluster


@pytest.mark.covers("store_option:cluster", "store_option:url")
async def test_keys_are_spread_over_the_masters(cluster: RedisClient, key: str) -> None:
    keys = [f"{key[:-1]}{number}}}" for number in range(50)]
    await asyncio.gather(*(cluster.call(name, "SET", name, name) for name in keys))
    values = await asyncio.gather(*(cluster.call(name, "GET", name) for name in keys))
    assert values == [name.encode() for name in keys]
    used = {await cluster.topology.address_of(name) for name in keys}
    assert used == cluster.topology.masters() and len(used) == 3
    for name in keys:
        await cluster.call(name, "DEL", name)


async def test_moved_slot_is_followed(cluster: RedisClient, cluster_servers: RedisCluster, key: str) -> None:
    await cluster.call(key, "SET", key, "value")
    before = await cluster.topology.address_of(key)
    with slot_move(cluster_servers, key) as move:
        move.run()
        assert cluster.topology.address_known(key) == before
        assert await cluster.call(key, "GET", key) == b"value"
        after = cluster.topology.address_known(key)
        assert after == ("127.0.0.1", cluster_servers.servers[move.target].port) != before
    assert await cluster.call(key, "GETDEL", key) == b"value"


async def test_a_script_for_keys_on_all_nodes(
    client_of: MakeClient, cluster_servers: RedisCluster, key: str
) -> None:
    """Whether nodes and scripts are known or not, every group of keys has its answer, in order."""
    client = client_of(cluster_servers.url, cluster=True)
    names = [f"{key[:-1]}{number}}}" for number in range(60)]
    for number, name in enumerate(names):
        await client.call(name, "HSET", name, "epoch", "e", "last", number)
    client.topology.forget()
    for server in cluster_servers.servers:
        with server.client() as raw:
            raw.script_flush()
    script = scripts.load("room_unread")
    groups = [[name, f"{name}:a", f"{name}:m", f"{name}:r"] for name in names]
    expected = [[0, number, 0] for number in range(60)]
    assert await client.run_each(script, groups, "ann", "1") == expected
    # One node lacks the script, and another one has given a slot away.
    with cluster_servers.servers[0].client() as raw:
        raw.script_flush()
    with slot_move(cluster_servers, names[7]) as move:
        move.run()
        assert await client.run_each(script, groups, "ann", "1") == expected
    await client.call(names[5], "SET", names[5], "no hash")
    with pytest.raises(StoreError, match="script room_unread: WRONGTYPE"):
        await client.run_each(script, groups, "ann", "1")
    assert await client.run_each(script, [], "ann", "1") == []
    for name in names:
        await client.call(name, "DEL", name)


async def test_ask_is_followed_while_a_slot_moves(
    cluster: RedisClient, cluster_servers: RedisCluster, key: str
) -> None:
    await cluster.call(key, "SET", key, "value")
    before = await cluster.topology.address_of(key)
    with slot_move(cluster_servers, key) as move:
        move.begin()
        assert await cluster.call(key, "GET", key) == b"value"
        move.move_keys()
        # Several at once, each of which is redirected separately.
        assert await asyncio.gather(*(cluster.call(key, "GET", key) for _ in range(20))) == [b"value"] * 20
        new = f"{key}:new"
        await cluster.call(new, "SET", new, "made elsewhere")
        # The target does not own the slot yet.
        assert cluster.topology.address_known(key) == before
        move.end()
        assert await cluster.call(new, "GETDEL", new) == b"made elsewhere"
    assert await cluster.call(key, "GETDEL", key) == b"value"


async def test_tryagain_is_retried_while_keys_are_split(
    cluster: RedisClient, cluster_servers: RedisCluster, key: str
) -> None:
    first, second = f"{key}:1", f"{key}:2"
    await cluster.call(key, "MSET", first, "1", second, "2")
    with slot_move(cluster_servers, key) as move:
        move.begin()
        move.move_keys(first)
        reading = asyncio.create_task(cluster.call(key, "MGET", first, second))
        alone = await cluster.call(key, "GET", second)
        assert alone == b"2" and not reading.done()
        move.move_keys()
        assert await reading == [b"1", b"2"]
        move.end()
    await cluster.call(key, "DEL", first, second)


async def test_a_read_of_several_keys_follows_a_slot(
    cluster: RedisClient, cluster_servers: RedisCluster, key: str
) -> None:
    first, second = f"{key}:1", f"{key}:2"
    await cluster.call(key, "MSET", first, "1", second, "2")
    commands = (("GET", first), ("GET", second))
    with slot_move(cluster_servers, key) as move:
        move.begin()
        assert await cluster.read(key, *commands) == [b"1", b"2"]
        move.move_keys(first)
        reading = asyncio.create_task(cluster.read(key, *commands))
        assert await cluster.call(key, "GET", second) == b"2" and not reading.done()
        move.move_keys()
        assert await reading == [b"1", b"2"]
        move.end()
    assert await cluster.read(key, *commands) == [b"1", b"2"]
    await cluster.call(key, "DEL", first, second)


async def test_a_read_of_several_keys_and_its_errors(single: RedisClient, key: str) -> None:
    await single.call(key, "RPUSH", key, "a", "b")
    answers = await asyncio.gather(
        single.read(key, ("LRANGE", key, 0, -1), ("EXISTS", key)),
        single.call(key, "LLEN", key),
        single.read(key, ("LLEN", key)),
    )
    assert answers == [[[b"a", b"b"], 1], 2, [2]]
    with pytest.raises(StoreError, match="wrong number of arguments"):
        await single.read(key, ("LLEN", key), ("LLEN",))
    with pytest.raises(StoreError, match="WRONGTYPE"):
        await single.read(key, ("LLEN", key), ("GET", key))
    # The link still matches the replies of other commands.
    assert await single.call(key, "LPOP", key) == b"a"
    await single.call(key, "DEL", key)


async def test_script_is_loaded_on_the_new_node(
    cluster: RedisClient, cluster_servers: RedisCluster, key: str
) -> None:
    """The new node does not have the script yet."""
    script = scripts.load("instance_pulses")
    keys = [key, f"{key}:claimed", f"{key}:pulses"]
    await cluster.call(key, "ZADD", key, 1, "one")
    assert await cluster.run(script, keys) == [b"one", b"0"]
    with slot_move(cluster_servers, key) as move:
        with cluster_servers.servers[move.target].client() as target:
            target.script_flush()
        move.run()
        assert await cluster.run(script, keys) == [b"one", b"0"]
        await cluster.call(key, "DEL", key)


async def test_unassigned_slot_times_out_until_it_is_assigned(
    client_of: MakeClient, cluster_servers: RedisCluster, key: str
) -> None:
    client = client_of(cluster_servers.url, cluster=True, command_timeout=0.5)
    await client.open()
    with slot_move(cluster_servers, key) as move:
        move.lose()
        try:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            with pytest.raises(StoreTimeoutError):
                await client.call(key, "GET", key)
            assert loop.time() - begun < 1.5
        finally:
            move.find()

    async def works() -> bool:
        try:
            return await client.call(key, "GET", key) is None
        except StoreTimeoutError:
            return False

    # The nodes need a moment to agree.
    await wait_until(works, "the slot is served again")


async def test_url_may_name_any_node(client_of: MakeClient, cluster_servers: RedisCluster, key: str) -> None:
    for node in cluster_servers.servers:
        client = client_of(node.url, cluster=True)
        await client.open()
        assert len(client.topology.masters()) == 3
        assert await client.call(key, "GET", key) is None


# One server


async def test_lost_script_is_loaded_again(single: RedisClient, server: RedisServer) -> None:
    script = scripts.load("instance_pulses")
    with server.client() as client:
        for _ in range(3):
            assert await single.run(script, ["{a}", "{a}:b", "{a}:c"]) == []
            client.script_flush()
        client.config_resetstat()
        await single.run(script, ["{a}", "{a}:b", "{a}:c"])
        await single.run(script, ["{a}", "{a}:b", "{a}:c"])
        stats = client.info("commandstats")
    # First with its text, then by its digest.
    assert stats["cmdstat_eval"]["calls"] == 1
    assert (stats["cmdstat_evalsha"]["calls"], stats["cmdstat_evalsha"]["failed_calls"]) == (2, 1)


async def test_errors_name_the_script_or_the_command(single: RedisClient) -> None:
    await single.call("key", "SET", "key", "text")
    with pytest.raises(StoreError, match=r"^HGET: WRONGTYPE"):
        await single.call("key", "HGET", "key", "field")
    with pytest.raises(StoreError, match=r"^script instance_pulses: "):
        await single.run(scripts.load("instance_pulses"), ["key", "other", "third"])


async def test_temporary_refusal_is_retried(client_of: MakeClient, server: RedisServer) -> None:
    client = client_of(server.url, command_timeout=5.0)
    await client.open()
    with server.client() as admin:
        admin.config_set("min-replicas-to-write", 1)
        writing = asyncio.create_task(client.call("key", "SET", "key", "value"))
        assert await client.call("key", "GET", "key") is None
        assert not writing.done()
        admin.config_set("min-replicas-to-write", 0)
        assert await writing == b"OK"


async def test_permanent_refusal_times_out(client_of: MakeClient, server: RedisServer) -> None:
    client = client_of(server.url, command_timeout=0.3)
    await client.open()
    with server.client() as admin:
        admin.config_set("min-replicas-to-write", 1)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(StoreTimeoutError, match="did not accept the command in time"):
        await client.call("key", "SET", "key", "value")
    assert loop.time() - begun < 1.0
    assert await client.call("key", "GET", "key") is None


async def test_loading_server_is_waited_for(client_of: MakeClient, server: RedisServer) -> None:
    client = client_of(server.url)
    await client.open()
    with server.client() as admin:
        # While a script runs, other commands are refused with BUSY.
        admin.config_set("busy-reply-threshold", 50)
    other = client_of(server.url)
    await other.open()
    endless = asyncio.create_task(other.call("k", "EVAL", "while true do end", 0))

    async def is_busy() -> bool:
        with server.client() as admin:
            try:
                admin.get("key")
            except Exception as error:
                return "BUSY" in str(error)
        return False

    await wait_until(is_busy, "the server is busy")
    waiting = asyncio.create_task(client.call("key", "SET", "key", "value"))
    await asyncio.sleep(0)
    assert not waiting.done()
    with server.client() as admin:
        admin.script_kill()
    assert await waiting == b"OK"
    with pytest.raises(StoreError):
        await endless


async def test_command_without_a_reply_is_not_repeated(client_of: MakeClient, proxy: Proxy) -> None:
    client = client_of(proxy.url, command_timeout=0.3)
    await client.open()
    proxy.deaf = lambda connection: True
    with pytest.raises(StoreTimeoutError):
        await client.call("counter", "INCR", "counter")
    proxy.mend()
    # It was executed exactly once.
    assert await client.call("counter", "GET", "counter") == b"1"


async def test_lost_connection_is_reopened_by_the_next_command(client_of: MakeClient, proxy: Proxy) -> None:
    client = client_of(proxy.url)
    await client.open()
    for _ in range(3):
        proxy.cut()
        await wait_until(lambda: not proxy.connections, "the cut")
        await asyncio.sleep(0)
        assert await client.call("key", "PING") == b"PONG"


async def test_closed_client_raises_a_clear_error(client_of: MakeClient, redis_servers: RedisServer) -> None:
    client = client_of(redis_servers.url)
    await client.open()
    await client.close()
    await client.close()
    link = client.topology.link_known(Address("127.0.0.1", redis_servers.port))
    assert link is None


@pytest.mark.covers("store_option:url")
async def test_password_and_database_of_the_url(client_of: MakeClient) -> None:
    with RedisServer("--requirepass", "word") as server:
        client = client_of(f"redis://:word@127.0.0.1:{server.port}/3")
        await client.open()
        await client.call("key", "SET", "key", "value")
        with server.client(password="word", db=3) as look:
            assert look.get("key") == b"value"
        with pytest.raises(ConfigurationError):
            await client_of(f"redis://:word@127.0.0.1:{server.port}", cluster=True).open()
