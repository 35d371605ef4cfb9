"""Redis in trouble: commands fail fast, nothing hangs, and only stored messages are acknowledged.

When Redis is back, service resumes without a restart.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chat_service.stores.redis import RedisStore
from chat_service.stores.redis.keys import Keys
from chat_service.testing import wait_until
from tests.redis.conftest import At, MakeWorld
from tests.redis.pairs import FAST, LEASE, TEXT, Pair, ids_of
from tests.redis.proxy import Proxy
from tests.support.markers import room_marker, user_marker
from tests.support.redis_servers import RedisServer
from tests.support.wire_errors import wire_error

pytestmark = pytest.mark.redis

# Redis is down


@pytest.mark.covers("error:timeout", "store_option:command_timeout")
async def test_redis_hangs(pair: Pair, server: RedisServer) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        for call in (
            ("roomMessage", "room", TEXT),
            ("roomRecentHistory", "room"),
            ("directMessage", "bob", TEXT),
            ("listOwnSockets",),
            ("roomLeave", "other"),
            ("roomJoin", "other"),
        ):
            await pair.fails_fast(*call)
        carol = await pair.first.transport.connect(query={"userName": "carol"})
        await carol.wait_for("loginRejected", wire_error("timeout"))
    finally:
        server.process.send_signal(signal.SIGCONT)
    await pair.works_again()


async def test_many_concurrent_commands_fail_in_time(pair: Pair, server: RedisServer) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.gather(*(pair.fails_fast("listOwnSockets") for _ in range(200)))
        # Redis is now known to be down, so even commands that wait for each other finish quickly.
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(*(pair.alice.error("roomMessage", "room", TEXT) for _ in range(5)))
        assert asyncio.get_running_loop().time() - begun < FAST
    finally:
        server.process.send_signal(signal.SIGCONT)
    await pair.works_again()


async def test_redis_restarts_with_its_data(at: MakeWorld) -> None:
    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:
        world = at(server.url, command_timeout=0.5, connect_timeout=0.5, probe_interval=0.2)
        pair = Pair(await world.start(**LEASE), await world.start(**LEASE))
        await pair.enter()
        acked = [await pair.alice.call("roomMessage", "room", TEXT) for _ in range(5)]
        for _ in range(2):
            server.kill()
            # Nothing listens, so there is nothing to wait for.
            await pair.fails_fast()
            await pair.fails_fast("directMessage", "bob", TEXT)
            server.start()
            await pair.works_again()
        history = await pair.bob.call("roomRecentHistory", "room")
        assert {message["id"] for message in history} >= set(acked)
        await world.close()


async def test_redis_restarts_empty(pair: Pair, server: RedisServer) -> None:
    """All data is lost: clients are notified and the service continues."""
    server.kill()
    await pair.fails_fast()
    server.start()
    for client in (pair.alice, pair.bob):
        await client.wait_for("roomAccessRemoved", "room")
        assert await client.error("roomMessage", "room", TEXT) == wire_error("noRoom", "room")
    await pair.service.add_room("room")
    for client in (pair.alice, pair.bob):
        client.clear()
        await client.call("roomJoin", "room")
    assert await pair.alice.call("roomMessage", "room", TEXT) == 1
    assert (await pair.bob.wait_for("roomMessage", "room"))[1]["id"] == 1


async def test_instance_forgotten_by_redis_starts_over(at: MakeWorld, server: RedisServer) -> None:
    world = at(server.url, command_timeout=0.5)
    instance = await world.start(heartbeat_rate=0.1, heartbeat_timeout=30.0)
    former = instance.service.instance_uid
    alice = await instance.login("alice")
    server.kill()
    server.start()
    await wait_until(lambda: not alice.connected, "the socket is disconnected")
    assert instance.service.instance_uid != former
    alice = await instance.login("alice")
    assert await alice.call("listOwnSockets") == {alice.id: []}


# Connections


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
async def test_connections_are_killed(pair: Pair, server: RedisServer, kind: str) -> None:
    with server.client() as admin:
        for _ in range(3):
            admin.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            for _ in range(5):
                await pair.bob.emit("roomMessage", "room", TEXT)
            await pair.works_again()


async def test_messages_missed_by_the_bus_are_filled_in(behind: Pair, proxy: Proxy) -> None:
    for _ in range(3):
        [bus] = [connection for connection in proxy.connections if connection.is_bus]
        proxy.half_open = True
        bus.cut()
        await wait_until(lambda bus=bus: bus not in proxy.connections, "the bus is lost")
        sent = [await behind.bob.call("roomMessage", "room", TEXT) for _ in range(20)]
        assert not set(sent) & set(ids_of(behind.alice))
        proxy.mend()
        proxy.cut()
        await behind.works_again()
        assert set(sent) <= set(ids_of(behind.alice))


async def test_half_open_connection_is_replaced(behind: Pair, proxy: Proxy) -> None:
    proxy.half_open = True
    proxy.cut()
    await behind.fails_fast()
    await behind.fails_fast("roomRecentHistory", "room")
    sent = [await behind.bob.call("roomMessage", "room", TEXT) for _ in range(5)]
    proxy.mend()
    await behind.works_again()
    assert set(sent) <= set(ids_of(behind.alice))


@pytest.mark.covers("store_option:probe_interval")
@pytest.mark.parametrize("way", ["deaf", "mute"])
async def test_silent_bus_is_noticed_in_five_seconds(
    at: MakeWorld, server: RedisServer, proxy: Proxy, way: str
) -> None:
    """With default options."""
    world = at(proxy.url)
    assert isinstance(world.backend, At)
    first = await world.start()
    direct = RedisStore({**world.backend.options, "url": server.url})
    pair = Pair(first, await world.start(store=direct))
    await pair.enter()
    [bus] = [connection for connection in proxy.connections if connection.is_bus]
    setattr(proxy, way, lambda connection: connection is bus)
    begun = asyncio.get_running_loop().time()
    if way == "mute":
        # Data from Redis still arrives; only the probe shows that nothing reaches Redis.
        await wait_until(lambda: bus not in proxy.connections, "it is connected anew")
    sent = [await pair.bob.call("roomMessage", "room", TEXT) for _ in range(3)]
    await wait_until(lambda: set(sent) <= set(ids_of(pair.alice)), "the messages")
    assert asyncio.get_running_loop().time() - begun < 5
    await pair.works_again()


async def test_acknowledged_messages_are_stored(behind: Pair, proxy: Proxy) -> None:
    """With repeated disconnects, each acknowledged message is stored once under its id."""
    acked: dict[int, str] = {}
    done = asyncio.Event()

    async def talk(number: int) -> None:
        count = 0
        while not done.is_set():
            count += 1
            text = f"{number}:{count}"
            error, message_id = await behind.alice.emit("roomMessage", "room", {"textMessage": text})
            if error is None:
                assert message_id not in acked
                acked[message_id] = text
            else:
                assert error == wire_error("timeout")
                await asyncio.sleep(0.01)

    talking = [asyncio.create_task(talk(number)) for number in range(5)]
    for _ in range(10):
        before = len(acked)
        await wait_until(lambda before=before: len(acked) > before + 20, "messages")
        proxy.cut()
    done.set()
    await asyncio.gather(*talking)
    await behind.works_again()
    [history] = await behind.service.exec_user_command(True, "roomHistoryGet", "room", 0, 10**6)
    stored = {message["id"]: message["textMessage"] for message in history}
    assert sorted(stored) == list(range(1, len(history) + 1))
    assert acked.items() <= stored.items()
    texts = [text for text in stored.values() if ":" in text]
    assert len(texts) == len(set(texts))


async def test_scripts_are_flushed_repeatedly(pair: Pair, server: RedisServer) -> None:
    done = asyncio.Event()

    async def flush() -> None:
        with server.client() as admin:
            while not done.is_set():
                admin.script_flush()
                await asyncio.sleep(0)

    flushing = asyncio.create_task(flush())
    try:
        ids = [await pair.alice.call("roomMessage", "room", TEXT) for _ in range(50)]
        assert ids == list(range(ids[0], ids[0] + 50))
        await pair.bob.call("roomLeave", "room")
        await pair.bob.call("roomJoin", "room")
    finally:
        done.set()
        await flushing
    pair.bob.clear()
    await pair.works_again()


async def test_read_only_redis_fails_in_time(pair: Pair, server: RedisServer) -> None:
    with server.client() as admin:
        admin.config_set("min-replicas-to-write", 1)
        await pair.fails_fast()
        # Reads still work.
        assert await pair.alice.call("roomRecentHistory", "room") == []
        admin.config_set("min-replicas-to-write", 0)
    assert await pair.alice.call("roomMessage", "room", TEXT) == 1


async def test_full_redis_stores_nothing_partially(pair: Pair, server: RedisServer) -> None:
    await pair.alice.call("roomMessage", "room", TEXT)
    with server.client() as admin:
        admin.config_set("maxmemory", 1)
        await pair.fails_fast()
        admin.config_set("maxmemory", 0)
    assert await pair.alice.call("roomMessage", "room", TEXT) == 2
    await pair.works_again()


# Corrupt data


class Spoilt(Pair):
    keys: Keys
    raw: Any

    async def is_internal_error(self, *call: Any) -> None:
        error = await self.alice.error(*call)
        assert error.startswith("ChatServiceError: Internal server error, incident "), (call, error)


@pytest.fixture
async def spoilt(at: MakeWorld, server: RedisServer) -> AsyncIterator[Spoilt]:
    world = at(server.url)
    assert isinstance(world.backend, At)
    made = Spoilt(await world.start(**LEASE), await world.start(**LEASE))
    made.keys = Keys(world.backend.prefix)
    made.raw = server.client()
    await made.enter()
    await made.service.add_room("good")
    await made.alice.call("roomJoin", "good")
    await made.alice.call("roomMessage", "room", TEXT)
    yield made
    # A corrupt room cannot be left properly.
    made.raw.flushall()
    made.raw.close()


MESSAGE = ("roomMessage", "room", TEXT)
HISTORY, RECENT = ("roomHistoryGet", "room", 0, 10), ("roomRecentHistory", "room")
AFTER = ("roomHistoryGet", "room", 1, 10)
WRONG_TYPES: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "room": ("", [MESSAGE, AFTER, ("roomHistoryInfo", "room"), ("roomGetOwner", "room")]),
    "members": (":members", [MESSAGE, HISTORY, ("roomGetAccessList", "room", "userlist")]),
    "blacklist": (":blacklist", [("roomJoin", "room")]),
    "history": (":history", [MESSAGE, HISTORY, RECENT, AFTER]),
    "seen": (":seen", [("roomLeave", "room")]),
}


@pytest.mark.covers("error:internalError")
@pytest.mark.parametrize("what", WRONG_TYPES)
async def test_key_of_the_wrong_type(spoilt: Spoilt, what: str) -> None:
    suffix, calls = WRONG_TYPES[what]
    key = spoilt.keys.room("room") + suffix
    spoilt.raw.delete(key)
    spoilt.raw.set(key, "garbage")
    for call in calls:
        await spoilt.is_internal_error(*call)
    assert await spoilt.alice.call("roomMessage", "good", TEXT) == 1
    await spoilt.alice.wait_for("roomMessage", "good")


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({"seq": "x"}, [MESSAGE]),
        ({"last": "x"}, [MESSAGE]),
        ({"last": ""}, [MESSAGE, ("roomHistoryInfo", "room")]),
        ({"hmax": "many"}, [MESSAGE]),
        ({"epoch": b"\xff"}, [("roomHistoryInfo", "room"), ("roomJoin", "room")]),
        ({"owner": b"\xff"}, [("roomGetOwner", "room")]),
    ],
    ids=str,
)
async def test_garbage_in_the_fields_of_a_room(
    spoilt: Spoilt, fields: dict[str, Any], calls: list[tuple[Any, ...]]
) -> None:
    spoilt.raw.hset(spoilt.keys.room("room"), mapping=fields)
    for call in calls:
        await spoilt.is_internal_error(*call)
    assert await spoilt.alice.call("roomMessage", "good", TEXT) == 1


@pytest.mark.parametrize(
    "stored",
    [
        b"", b"garbage", b"\xc1", b"{", b"{}", b'{"id":2}x', b'{"id":2},{"id":3}', b'["id"]', b"null",
        b"\x01", b"\x01\x02", b"\x01\x02\x05", b"\x01\x02\x81\xa1x", b"\x02\x02\x80",
    ],
)  # fmt: skip
async def test_garbage_in_a_message(spoilt: Spoilt, stored: bytes) -> None:
    assert await spoilt.alice.call(*MESSAGE) == 2
    history = spoilt.keys.history("room")
    spoilt.raw.lset(history, 0, stored)
    for call in (HISTORY, RECENT):
        # It is left out of the answer, which contains the others.
        assert [message["id"] for message in await spoilt.alice.call(*call)] == [1]
    assert await spoilt.alice.call(*MESSAGE) == 3
    assert [message["id"] for message in await spoilt.alice.call("roomHistoryGet", "room", 2, 5)] == [3]
    spoilt.raw.delete(history)
    assert await spoilt.alice.call(*RECENT) == []
    assert await spoilt.alice.call(*MESSAGE) == 4
    assert await spoilt.alice.call("roomMessage", "good", TEXT) == 1


@pytest.mark.parametrize("packed", [b"garbage", b"\xc1", b"\x05", b"\x92\x01"])
async def test_garbage_in_a_member(spoilt: Spoilt, packed: bytes) -> None:
    spoilt.raw.hset(spoilt.keys.members("room"), "alice", packed)
    await spoilt.is_internal_error("roomJoin", "room")
    await spoilt.is_internal_error("roomLeave", "room")
    with pytest.raises(Exception, match="corrupt member"):
        await spoilt.service.room_state_sync("room")
    assert await spoilt.bob.call("roomMessage", "room", TEXT) == 2
    assert await spoilt.alice.call("roomMessage", "good", TEXT) == 1


async def test_garbage_in_a_user(spoilt: Spoilt) -> None:
    spoilt.raw.hset(spoilt.keys.user_sockets("alice"), "socket", b"\xff")
    await spoilt.is_internal_error("listOwnSockets")
    spoilt.raw.hdel(spoilt.keys.user_sockets("alice"), "socket")
    spoilt.raw.hset(spoilt.keys.user_rooms("alice"), b"\xff:\xff", "t")
    await spoilt.is_internal_error("listOwnSockets")
    assert await spoilt.alice.call("roomMessage", "good", TEXT) == 1


async def test_room_with_all_keys_lost(spoilt: Spoilt) -> None:
    spoilt.raw.delete(*spoilt.keys.room_keys("room"))
    assert await spoilt.alice.error(*MESSAGE) == wire_error("noRoom", "room")
    assert await spoilt.alice.error(*RECENT) == wire_error("noRoom", "room")
    await user_marker(spoilt.service, "alice", spoilt.alice)
    assert await spoilt.alice.call("roomMessage", "good", TEXT) == 1


# A failover that lost the last writes


async def test_room_that_went_back_in_time_removes_all_users(spoilt: Spoilt) -> None:
    """The new master lacks the last messages: all users are notified and rejoin."""
    for _ in range(4):
        await spoilt.alice.call("roomMessage", "room", TEXT)
    await room_marker(spoilt.service, "room", spoilt.alice, spoilt.bob)
    before = await spoilt.alice.call("roomHistoryInfo", "room")
    room = spoilt.keys.room("room")
    seq = int(spoilt.raw.hget(room, "seq"))
    spoilt.raw.hset(room, mapping={"seq": seq - 3, "last": 3})
    spoilt.raw.ltrim(spoilt.keys.history("room"), 3, -1)
    spoilt.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    for client in (spoilt.alice, spoilt.bob):
        await client.wait_for("roomAccessRemoved", "room")
        client.clear()
    for client in (spoilt.alice, spoilt.bob):
        assert await client.call("roomJoin", "room") == 1
        assert [message["id"] for message in await client.call(*RECENT)] == [3, 2, 1]
    assert await spoilt.bob.call("roomMessage", "room", TEXT) == 4
    last = await room_marker(spoilt.service, "room", spoilt.alice, spoilt.bob)
    for client in (spoilt.alice, spoilt.bob):
        assert ids_of(client) == [4, last] == [4, 5]
    after = await spoilt.alice.call("roomHistoryInfo", "room")
    assert after["epoch"] != before["epoch"]


@pytest.mark.covers("notification:roomAccessRemoved")
async def test_socket_with_a_lost_join_is_notified(spoilt: Spoilt) -> None:
    spoilt.raw.hdel(spoilt.keys.members("room"), "alice")
    spoilt.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await spoilt.alice.wait_for("roomAccessRemoved", "room")
    assert await spoilt.alice.call("roomJoin", "room") == 1
    assert await spoilt.alice.call("roomMessage", "room", TEXT) == 2
    await spoilt.alice.wait_for("roomMessage", "room")
