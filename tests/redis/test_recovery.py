"""Recovery of dead and suspended instances, and repair of corrupted state."""

import asyncio
import time
from collections import Counter
from typing import Any

import msgpack
import pytest

from chat_service.stores.redis import RedisStore
from chat_service.stores.redis.keys import Keys
from chat_service.testing import InProcessClient, wait_until
from chat_service.types import InstanceId
from tests.e2e.clients import PythonClients
from tests.redis.conftest import At, MakeWorld
from tests.redis.ghosts import DEAD, write_ghosts
from tests.redis.processes import ServiceProcess
from tests.support.faults import FaultyStore, as_store
from tests.support.markers import room_marker, told, user_marker
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisServer
from tests.support.world import Instance, World

pytestmark = [pytest.mark.redis, pytest.mark.cluster]

TEXT = {"textMessage": "hello"}
RATE, TIMEOUT = 0.5, 2.0
LEASE = {"heartbeat_rate": RATE, "heartbeat_timeout": TIMEOUT}
#: No heartbeats during the test.
STILL = {"heartbeat_rate": 3600.0, "heartbeat_timeout": 7200.0}


def options_of(world: World) -> dict[str, Any]:
    assert isinstance(world.backend, At)
    return world.backend.options


def keys_of(world: World) -> Keys:
    return Keys(options_of(world)["prefix"])


def count(client: InProcessClient, name: str, *args: Any) -> int:
    return sum(found[: len(args)] == list(args) for found in client.received(name))


# Death


@pytest.mark.covers(
    "option:auto_recovery", "option:heartbeat_rate", "option:heartbeat_timeout",
    "notification:roomUserLeft", "notification:roomLeftEcho", "notification:socketDisconnectEcho",
    "hook:on_leave", "api:get_instance_heartbeat", "api:get_instance_sockets",
)  # fmt: skip
@pytest.mark.parametrize("survivors", [2, 5])
async def test_killed_instance_is_recovered_once_and_in_time(
    at: MakeWorld, server: RedisServer, survivors: int
) -> None:
    world = at(server.url)
    left: Counter[tuple[str | None, str]] = Counter()

    def on_leave(service: Any, info: Any) -> None:
        left[info.user_name, info.room_name] += 1

    hooks = {"on_leave": on_leave}
    living = [await world.start(enable_userlist_updates=True, hooks=hooks, **LEASE) for _ in range(survivors)]
    service = living[0].service
    rooms = [f"room{number}" for number in range(5)]
    for room in rooms:
        await service.add_room(room)
    clients = PythonClients()
    with ServiceProcess(store_options=options_of(world), enable_userlist_updates=True, **LEASE) as victim:
        await victim.ready()
        watchers = [await peer.joined(f"watcher{n}", *rooms) for n, peer in enumerate(living)]
        near = await living[-1].joined("carol", *rooms)
        for user in ("bob", "bob", "carol"):
            client = await clients.connect(victim.url, user, transports=["websocket"])
            await client.wait_for("loginConfirmed", user)
            for room in rooms:
                await client.call("roomJoin", room)
        for watcher in watchers:
            await wait_until(lambda watcher=watcher: count(watcher, "roomUserJoined") >= 5, "joins")
        assert len(await service.get_instance_sockets(victim.uid)) == 3
        for watcher in (*watchers, near):
            watcher.clear()
        killed_at = time.time() * 1000
        victim.kill()
    await clients.close()

    async def is_gone() -> bool:
        return await service.get_instance_sockets(victim.uid) == {}

    await wait_until(is_gone, "the dead instance is gone")
    for room in rooms:
        seen = await watchers[0].call("roomUserSeen", room, "bob")
        assert seen["joined"] is False
        assert killed_at < seen["timestamp"] <= killed_at + (TIMEOUT + RATE) * 1000
        await room_marker(service, room, *watchers, near)
        for watcher in (*watchers, near):
            assert count(watcher, "roomUserLeft", room, "bob") == 1
            assert count(watcher, "roomUserLeft", room, "carol") == 0
    await user_marker(service, "carol", near)
    [(gone, left_connected)] = near.received("socketDisconnectEcho")
    assert left_connected == 1
    echoes = near.received("roomLeftEcho")
    assert sorted(echoes) == [[room, gone, 1] for room in rooms]
    assert left == {("bob", room): 2 for room in rooms} | {("carol", room): 1 for room in rooms}
    assert await service.get_instance_heartbeat(victim.uid) is None
    assert set(await parts_of(service).store.instances()) == {peer.service.instance_uid for peer in living}
    assert await service.exec_user_command("bob", "listOwnSockets") == [{}]
    await service.delete_user("bob")


@pytest.mark.covers("option:auto_recovery")
async def test_without_auto_recovery_dead_instances_stay_until_recovered_by_hand(
    at: MakeWorld, server: RedisServer
) -> None:
    world = at(server.url)
    lease = {"heartbeat_rate": 0.05, "heartbeat_timeout": 0.2}
    instance = await world.start(auto_recovery=False, **lease)
    await instance.service.add_room("room")
    with server.client() as client:
        write_ghosts(client, keys_of(world).prefix, 3, ["room"])

        def beats() -> int:
            stats = client.info("commandstats")
            return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])

        begun = beats()
        await wait_until(lambda: beats() > begun + 10, "heartbeats")
    assert len(await instance.service.get_instance_sockets(DEAD)) == 3
    await instance.service.instance_recovery(DEAD)
    assert await instance.service.get_instance_sockets(DEAD) == {}
    [names] = await instance.service.exec_user_command(True, "roomGetAccessList", "room", "userlist")
    assert names == []


async def test_interrupted_recovery_is_finished_by_another_instance(
    at: MakeWorld, server: RedisServer
) -> None:
    """The first claimer dies halfway through."""
    world = at(server.url)
    instance = await world.start(enable_userlist_updates=True, heartbeat_rate=0.1, heartbeat_timeout=0.5)
    await instance.service.add_room("room")
    watcher = await instance.joined("watcher", "room")
    store = parts_of(instance.service).store
    with server.client() as client:
        write_ghosts(client, keys_of(world).prefix, 10, ["room"])
        client.zrem(keys_of(world).instances, DEAD)
        client.zadd(keys_of(world).claimed, {DEAD: time.time() * 1000})
    await store.socket_disconnect("ghost1", "socket of ghost1", DEAD, [])  # type: ignore[arg-type]

    async def is_forgotten() -> bool:
        return list(await store.instance_pulses()) == [instance.service.instance_uid]

    await wait_until(is_forgotten, "the dead instance is forgotten")
    await room_marker(instance.service, "room", watcher)
    gone = Counter(args[1] for args in watcher.received("roomUserLeft"))
    # Recovery cannot find the one whose index was already gone; repairing the room does.
    assert gone == {f"ghost{number}": 1 for number in range(10) if number != 1}
    await instance.service.room_state_sync("room")
    await watcher.wait_for("roomUserLeft", "room", "ghost1")


@pytest.mark.unmeasured  # as in the tests above, ten thousand times
async def test_recovery_of_ten_thousand_sockets_does_not_block_commands(
    at: MakeWorld, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    world = at(server.url)
    instance = await world.start(heartbeat_rate=0.1, heartbeat_timeout=1.0)
    service = instance.service
    rooms = [f"room{number}" for number in range(100)]
    for room in ("probe", *rooms):
        await service.add_room(room)
    alice = await instance.joined("alice", "probe")
    with server.client() as client:
        write_ghosts(client, keys_of(world).prefix, 10_000, rooms)
    probes = 0

    async def is_gone() -> bool:
        nonlocal probes
        probes += 1
        async with asyncio.timeout(PATIENCE):
            assert await alice.call("roomMessage", "probe", TEXT) == probes
        return await service.get_instance_sockets(DEAD) == {}

    # Each part of the work waits for its turn, which may be a long way off on a busy machine.
    await wait_until(is_gone, "the dead instance is gone", timeout=5 * PATIENCE)
    assert probes > 50
    # Only once, although it took several times as long as a claim is valid.
    assert sum("is dead" in record.getMessage() for record in caplog.records) == 1
    await wait_until(lambda: not len(parts_of(service).running), "nothing runs")
    assert list(await parts_of(service).store.instance_pulses()) == [service.instance_uid]
    with server.client() as client:
        keys = keys_of(world)
        assert not any(client.exists(keys.members(room)) for room in rooms)
        assert list(client.scan_iter(f"{keys.prefix}:user:{{ghost*:*")) == []


# Suspended instances


@pytest.mark.covers("option:heartbeat_timeout", "api:get_instance_heartbeat")
async def test_suspended_instance_starts_over(at: MakeWorld, server: RedisServer) -> None:
    world = at(server.url)
    survivor = await world.start(enable_userlist_updates=True, **LEASE)
    await survivor.service.add_room("room")
    watcher = await survivor.joined("watcher", "room")
    clients = PythonClients()
    with ServiceProcess(store_options=options_of(world), enable_userlist_updates=True, **LEASE) as paused:
        await paused.ready()
        bob = await clients.connect(paused.url, "bob", transports=["websocket"])
        await bob.wait_for("loginConfirmed")
        await bob.call("roomJoin", "room")
        await watcher.wait_for("roomUserJoined", "room", "bob")
        paused.stop()
        await watcher.wait_for("roomUserLeft", "room", "bob")

        async def is_recovered() -> bool:
            return await survivor.service.get_instance_sockets(paused.uid) == {}

        await wait_until(is_recovered, "its sockets are gone")
        await survivor.service.exec_user_command(True, "roomMessage", "room", TEXT)
        paused.go_on()
        await bob.wait_for("disconnect")
        uid = await paused.call("instance_uid")
        assert uid != paused.uid
        assert bob.received("roomMessage") == []
        assert await survivor.service.get_instance_heartbeat(paused.uid) is None
        assert await survivor.service.get_instance_heartbeat(uid) is not None
        # Reconnecting clients are served normally.
        bob = await clients.connect(paused.url, "bob", transports=["websocket"])
        _, data = await bob.wait_for("loginConfirmed")
        assert await bob.call("roomJoin", "room") == 1
        await watcher.wait_for("roomUserJoined", "room", "bob")
        assert await survivor.service.get_instance_sockets(uid) == {data["id"]: "bob"}
        assert await bob.call("roomMessage", "room", TEXT) == 2
        assert count(watcher, "roomUserLeft") == 0
        await clients.close()
        assert paused.close() == 0


async def _lapse(instance: Instance, store: RedisStore) -> None:
    """Act as another instance that has claimed and recovered this one."""
    now = parts_of(instance.service).clock.now_ms()
    uid = InstanceId(instance.service.instance_uid)
    assert await store.instance_claim(uid, now, (await store.instance_pulses())[uid])
    await store.instance_forget(uid)


async def test_clients_that_reconnect_immediately_belong_to_the_new_id(
    at: MakeWorld, server: RedisServer
) -> None:
    world = at(server.url)
    store = RedisStore(options_of(world))
    faulty = FaultyStore(store)
    instance = await world.start(store=as_store(faulty), heartbeat_rate=0.1, heartbeat_timeout=5.0)
    service, former = instance.service, instance.service.instance_uid
    await service.add_room("room")
    old = [await instance.joined(name, "room") for name in ("alice", "bob")]
    # The old sockets are removed slowly, and meanwhile their clients reconnect.
    gate = faulty.faults.gate("socket_disconnect")
    await _lapse(instance, store)
    await wait_until(lambda: not any(client.connected for client in old), "the old sockets are gone")
    assert service.instance_uid != former
    back = [await instance.joined(client.handshake.query["userName"], "room") for client in old]
    gate.set()

    async def is_buried() -> bool:
        sockets = await store.instance_sockets(InstanceId(former))
        return not sockets and len(parts_of(service).sessions) == 2

    await wait_until(is_buried, "the former id is forgotten")
    await wait_until(lambda: not len(parts_of(service).running), "nothing runs")
    for client in back:
        user = client.handshake.query["userName"]
        assert await client.call("listOwnSockets") == {client.id: ["room"]}
        assert (await service.get_instance_sockets())[client.id] == user
        assert await client.call("roomMessage", "room", TEXT)
    assert parts_of(service).delivery.interest.topics() >= {("instance", service.instance_uid)}
    assert ("instance", former) not in parts_of(service).delivery.interest.topics()


async def test_instance_that_cannot_renew_disconnects_once_and_starts_over_later(
    at: MakeWorld, server: RedisServer
) -> None:
    world = at(server.url)
    store = RedisStore(options_of(world))
    faulty = FaultyStore(store)
    instance = await world.start(store=as_store(faulty), heartbeat_rate=0.05, heartbeat_timeout=0.3)
    service, former = instance.service, instance.service.instance_uid
    await service.add_room("room")
    alice = await instance.joined("alice", "room")
    faulty.faults.fail("instance_renew", ConnectionError("lost"))
    await wait_until(lambda: not alice.connected, "the socket is disconnected")
    assert service.instance_uid == former
    faulty.faults.mend("instance_renew")
    await wait_until(lambda: service.instance_uid != former, "a new id")
    fresh = service.instance_uid
    alice = await instance.joined("alice", "room")
    beats = faulty.faults.calls.count("instance_renew")
    await wait_until(lambda: faulty.faults.calls.count("instance_renew") > beats + 5, "heartbeats")
    assert service.instance_uid == fresh and alice.connected
    assert list(await store.instance_pulses()) == [fresh]


# Corrupted state


class Scene:
    """Alice and bob in a room on a healthy instance, with a stopped clock."""

    def __init__(self, instance: Instance, world: World, server: RedisServer) -> None:
        self.instance = instance
        self.service = instance.service
        self.keys = keys_of(world)
        self.raw = server.client()

    async def enter(self) -> None:
        await self.service.add_room("room")
        self.alice = await self.instance.joined("alice", "room")
        self.bob = await self.instance.joined("bob", "room")
        self.alice.clear()

    async def settled(self) -> list[tuple[str, list[Any]]]:
        """The events alice has received so far."""
        await room_marker(self.service, "room", self.alice)
        await user_marker(self.service, "alice", self.alice)
        events = told(self.alice)
        self.alice.clear()
        return events

    def add_ghost(self, user: str, *, announced: bool = True) -> None:
        member = msgpack.packb([int(announced), "ghost", DEAD, "token"])
        self.raw.hset(self.keys.members("room"), user, member)


@pytest.fixture
async def scene(at: MakeWorld, server: RedisServer) -> Any:
    world = at(server.url)
    made = Scene(await world.start(enable_userlist_updates=True, **STILL), world, server)
    await made.enter()
    yield made
    made.raw.close()


@pytest.mark.covers("api:room_state_sync")
async def test_room_sync_removes_a_member_without_a_socket(scene: Scene) -> None:
    scene.add_ghost("carol")
    assert set(await scene.alice.call("roomGetAccessList", "room", "userlist")) == {"alice", "bob", "carol"}
    for expected in ([("roomUserLeft", ["room", "carol"])], [], []):
        await scene.service.room_state_sync("room")
        assert await scene.settled() == expected
    assert set(await scene.alice.call("roomGetAccessList", "room", "userlist")) == {"alice", "bob"}
    assert await scene.bob.call("roomMessage", "room", TEXT)


@pytest.mark.covers("api:room_state_sync")
async def test_room_sync_removes_a_stale_socket_next_to_a_live_one(scene: Scene) -> None:
    packed = msgpack.unpackb(scene.raw.hget(scene.keys.members("room"), "bob"))
    scene.raw.hset(scene.keys.members("room"), "bob", msgpack.packb([*packed, "ghost", DEAD, "t"]))
    for _ in range(2):
        await scene.service.room_state_sync("room")
        assert await scene.settled() == []
        assert msgpack.unpackb(scene.raw.hget(scene.keys.members("room"), "bob")) == packed


@pytest.mark.covers("api:room_state_sync")
async def test_room_sync_removes_a_member_without_any_sockets(scene: Scene) -> None:
    scene.raw.hset(scene.keys.members("room"), "carol", msgpack.packb([1]))
    await scene.service.room_state_sync("room")
    assert await scene.settled() == [("roomUserLeft", ["room", "carol"])]


@pytest.mark.covers("api:room_state_sync", "command:listOwnSockets")
async def test_room_sync_restores_a_lost_index(scene: Scene) -> None:
    scene.raw.delete(scene.keys.user_rooms("bob"))
    assert await scene.bob.call("listOwnSockets") == {scene.bob.id: []}
    for _ in range(2):
        await scene.service.room_state_sync("room")
        assert await scene.bob.call("listOwnSockets") == {scene.bob.id: ["room"]}
        assert await scene.settled() == []
    await scene.bob.disconnect()
    assert not scene.raw.exists(scene.keys.user_rooms("bob"), scene.keys.user_sockets("bob"))


@pytest.mark.covers("api:room_state_sync", "notification:roomAccessRemoved")
async def test_room_sync_removes_members_without_access(scene: Scene) -> None:
    scene.raw.sadd(scene.keys.room_list("room", "blacklist"), "bob")
    await scene.service.room_state_sync("room")
    await scene.bob.wait_for("roomAccessRemoved", "room")
    assert await scene.settled() == [("roomUserLeft", ["room", "bob"])]
    await scene.service.room_state_sync("room")
    assert await scene.settled() == []
    assert await scene.bob.call("listOwnSockets") == {scene.bob.id: []}


@pytest.mark.covers("api:user_state_sync", "notification:socketDisconnectEcho")
async def test_user_sync_removes_stale_sockets(scene: Scene) -> None:
    scene.raw.hset(scene.keys.user_sockets("alice"), mapping={"ghost": DEAD, "lost": "nobody"})
    scene.raw.hset(scene.keys.user_rooms("alice"), mapping={"ghost:room": "t", "ghost:no such room": "t"})
    await scene.service.user_state_sync("alice")
    assert await scene.alice.call("listOwnSockets") == {scene.alice.id: ["room"]}
    gone = [("socketDisconnectEcho", ["ghost", 2]), ("socketDisconnectEcho", ["lost", 1])]
    events = await scene.settled()
    assert sorted(name for name, _ in events) == ["socketDisconnectEcho"] * 2
    assert sorted(args[0] for _, args in events) == [args[0] for _, args in gone]
    assert {args[1] for _, args in events} == {1, 2}
    await scene.service.user_state_sync("alice")
    assert await scene.settled() == []


@pytest.mark.covers("api:user_state_sync")
async def test_user_sync_removes_rooms_not_joined(scene: Scene) -> None:
    await scene.service.add_room("hall")
    fields: dict[Any, Any] = {f"{scene.alice.id}:hall": "t", f"{scene.alice.id}:none": "t"}
    scene.raw.hset(scene.keys.user_rooms("alice"), mapping=fields)
    for _ in range(2):
        await scene.service.user_state_sync("alice")
        assert await scene.alice.call("listOwnSockets") == {scene.alice.id: ["room"]}
        assert await scene.settled() == []


@pytest.mark.covers("api:instance_recovery", "api:user_state_sync", "api:room_state_sync")
async def test_dead_instance_with_a_lost_list_of_sockets(scene: Scene) -> None:
    write_ghosts(scene.raw, scene.keys.prefix, 4, ["room"])
    scene.raw.delete(scene.keys.instance_sockets(DEAD))
    # Its sockets are unknown, so users and rooms are repaired individually.
    await scene.service.instance_recovery(DEAD)
    for number in (0, 1):
        await scene.service.user_state_sync(f"ghost{number}")
    await scene.service.room_state_sync("room")
    events = await scene.settled()
    assert sorted(events) == [("roomUserLeft", ["room", f"ghost{number}"]) for number in range(4)]
    for number in (2, 3):
        await scene.service.user_state_sync(f"ghost{number}")
    assert list(scene.raw.scan_iter(f"{scene.keys.prefix}:user:{{ghost*:*")) == []


@pytest.mark.covers("api:instance_recovery")
async def test_recovery_skips_a_user_with_corrupt_state(scene: Scene) -> None:
    """One corrupt user does not stop the recovery of others, and is retried."""
    write_ghosts(scene.raw, scene.keys.prefix, 40, ["room"])
    scene.raw.set(scene.keys.user_sockets("ghost7"), "garbage")
    failures: list[Any] = []
    scene.service.on("store_consistency_failure", lambda error, info: failures.append(info))
    with pytest.raises(Exception, match="WRONGTYPE"):
        await scene.service.instance_recovery(DEAD)
    assert await scene.service.get_instance_sockets(DEAD) == {"socket of ghost7": "ghost7"}
    assert [(info.op_type, info.user_name) for info in failures] == [("instance_recovery", "ghost7")]
    scene.raw.delete(scene.keys.user_sockets("ghost7"))
    await scene.service.instance_recovery(DEAD)
    assert await scene.service.get_instance_sockets(DEAD) == {}
    assert list(await parts_of(scene.service).store.instance_pulses()) == [scene.service.instance_uid]
    await scene.service.instance_recovery(DEAD)
