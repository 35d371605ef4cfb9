"""The cost of commands: round trips and commands executed by Redis (table in docs/redis.md)."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chat_service.contracts.bus import Bus
from chat_service.stores.redis.permits import Permits
from chat_service.testing import InProcessClient, wait_until
from tests.redis.conftest import MakeWorld
from tests.redis.costs import Cost, CostMeter, counting_trips, documented
from tests.support.backends import InRedis
from tests.support.parts import parts_of
from tests.support.redis_servers import RedisCluster, RedisServer
from tests.support.world import Instance, World

pytestmark = pytest.mark.redis

_numbers = itertools.count(1)
TEXT = {"textMessage": "hello"}
#: Rooms that alice owns.
MANY = [f"room{number}" for number in range(1000)]
#: No heartbeats or probes during the test.
QUIET = {"heartbeat_rate": 3600.0, "heartbeat_timeout": 7200.0}


class Scene:
    """Alice with one socket in a room, and bob online. Optional notifications are off."""

    def __init__(self, world: World, instance: Instance, alice: InProcessClient) -> None:
        self.world = world
        self.instance = instance
        self.alice = alice

    @property
    def bus(self) -> Bus:
        return parts_of(self.instance.service).store.bus

    def call(self, command: str, *args: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: self.alice.call(command, *args)

    async def in_and_out(self, *rooms: str) -> None:
        client = await self.instance.joined("carol", *rooms)
        await client.disconnect()


def command(name: str, *args: Any) -> Any:
    async def prepare(scene: Scene) -> Any:
        return scene.call(name, *args)

    return prepare


async def joining(scene: Scene) -> Any:
    await scene.alice.emit("roomLeave", "other")
    return scene.call("roomJoin", "other")


async def joining_with_a_cursor(scene: Scene) -> Any:
    """The answer has 100 messages."""
    service, info = scene.instance.service, {"lastMessageId": 0}
    while info["lastMessageId"] < 200:
        await service.exec_user_command(True, "roomMessage", "other", TEXT)
        [info] = await service.exec_user_command(True, "roomHistoryInfo", "other")
    await scene.alice.emit("roomLeave", "other")
    return scene.call("roomJoin", "other", {"after": 100, "epoch": info["epoch"]})


async def leaving(scene: Scene) -> Any:
    await scene.alice.emit("roomJoin", "other")
    return scene.call("roomLeave", "other")


async def logging_in(scene: Scene) -> Any:
    name = f"user{next(_numbers)}"
    return lambda: scene.instance.login(name)


async def keyed(scene: Scene) -> Any:
    return scene.call("roomMessage", "room", TEXT, {"idempotencyKey": f"k{next(_numbers)}"})


async def sending_five(scene: Scene) -> Any:
    async def send() -> None:
        await asyncio.gather(*(scene.alice.call("roomMessage", "room", TEXT) for _ in range(5)))

    return send


async def again(scene: Scene) -> Any:
    key = {"idempotencyKey": f"k{next(_numbers)}"}
    await scene.alice.call("roomMessage", "room", TEXT, key)
    return scene.call("roomMessage", "room", TEXT, key)


async def expecting(scene: Scene) -> Any:
    info = await scene.alice.call("roomHistoryInfo", "room")
    return scene.call("roomMessage", "room", TEXT, {"expectedLastId": info["lastMessageId"]})


async def reacting(scene: Scene) -> Any:
    message_id = await scene.alice.call("roomMessage", "room", TEXT)
    return scene.call("roomMessage", "room", TEXT, {"reactsTo": message_id, "reaction": "+1"})


async def creating(scene: Scene) -> Any:
    return scene.call("roomCreate", f"new{next(_numbers)}", False)


async def limited(scene: Scene) -> InProcessClient:
    """A client of another instance, which has rate limits that are never reached."""
    rates = {"room_message_rate": 1000, "room_create_rate": 1000}
    instance = await scene.world.start(**QUIET, **rates)
    return await instance.joined(f"user{next(_numbers)}", "room")


async def sending_within_a_rate(scene: Scene) -> Any:
    client = await limited(scene)
    return lambda: client.call("roomMessage", "room", TEXT)


async def creating_within_a_rate(scene: Scene) -> Any:
    client = await limited(scene)
    return lambda: client.call("roomCreate", f"new{next(_numbers)}", False)


async def creating_within_a_limit(scene: Scene) -> Any:
    instance = await scene.world.start(**QUIET, rooms_owned_limit=1000)
    client = await instance.login(f"user{next(_numbers)}")
    return lambda: client.call("roomCreate", f"new{next(_numbers)}", False)


async def marking(scene: Scene) -> Any:
    """A mark that moves."""
    message_id = await scene.alice.call("roomMessage", "room", TEXT)
    return scene.call("roomMarkRead", "room", message_id)


async def conversing(scene: Scene) -> InProcessClient:
    """A client with an open conversation with bob, whom nothing keeps online."""
    instance = await scene.world.start(**QUIET, enable_direct_conversations=True, own_rooms_limit=100)
    client = await instance.login(f"user{next(_numbers)}")
    await client.call("roomJoin", await client.call("directOpen", "bob"))
    return client


async def opening(scene: Scene) -> Any:
    instance = await scene.world.start(**QUIET, enable_direct_conversations=True)
    client = await instance.login(f"user{next(_numbers)}")
    return lambda: client.call("directOpen", "bob")


async def opening_again(scene: Scene) -> Any:
    client = await conversing(scene)
    return lambda: client.call("directOpen", "bob")


async def sending_to_one(scene: Scene) -> Any:
    client = await conversing(scene)
    [room] = (await client.call("listOwnRooms"))["rooms"]
    return lambda: client.call("roomMessage", room["roomName"], TEXT)


async def listing(scene: Scene) -> Any:
    client = await conversing(scene)
    await client.call("roomJoin", "other")
    return lambda: client.call("listOwnRooms")


async def joining_into_the_list(scene: Scene) -> Any:
    client = await conversing(scene)
    return lambda: client.call("roomJoin", "other")


async def leaving_for_good(scene: Scene) -> Any:
    client = await conversing(scene)
    await client.call("roomJoin", "other")
    return lambda: client.call("roomLeave", "other")


def disconnecting(*rooms: str) -> Any:
    async def prepare(scene: Scene) -> Any:
        client = await scene.instance.joined(f"user{next(_numbers)}", *rooms)
        return client.disconnect

    return prepare


#: Row of the table: how to prepare the measurement, and the maximum number of round trips.
CASES: dict[str, tuple[Any, int]] = {
    "roomMessage": (command("roomMessage", "room", TEXT), 1),
    "roomMessage, with a key": (keyed, 1),
    "roomMessage, with a key, again": (again, 1),
    "roomMessage, with an expected last id": (expecting, 1),
    "roomMessage, with a shared rate limit": (sending_within_a_rate, 1),
    "roomHistoryGet, from the start": (command("roomHistoryGet", "room", 0, 10), 1),
    "roomHistoryGet, after an id": (command("roomHistoryGet", "room", 1, 10), 1),
    "roomRecentHistory": (command("roomRecentHistory", "room"), 1),
    "roomRecentHistory, with its epoch": (command("roomRecentHistory", "room", {"epoch": True}), 1),
    "roomHistoryInfo": (command("roomHistoryInfo", "room"), 1),
    "roomUserSeen": (command("roomUserSeen", "room", "bob"), 1),
    "roomGetAccessList": (command("roomGetAccessList", "room", "userlist"), 1),
    "roomGetOwner": (command("roomGetOwner", "room"), 1),
    "roomCreate": (creating, 2),
    "roomCreate, with a shared rate limit": (creating_within_a_rate, 2),
    "roomCreate, with a limit of owned rooms": (creating_within_a_limit, 2),
    "roomAddToList": (command("roomAddToList", "room", "whitelist", ["bob"]), 1),
    "roomEvent": (command("roomEvent", "room", "typing", True), 1),
    "roomMarkRead": (marking, 2),
    "roomMarkRead, not beyond the mark": (command("roomMarkRead", "room", 0), 1),
    "roomGetUnread, 1 room": (command("roomGetUnread", ["room"]), 1),
    "roomGetUnread, 1,000 rooms": (command("roomGetUnread", MANY), 1),
    "directMessage": (command("directMessage", "bob", TEXT), 2),
    "directAddToList": (command("directAddToList", "whitelist", ["bob"]), 1),
    "listOwnSockets": (command("listOwnSockets"), 1),
    "systemMessage": (command("systemMessage", "data"), 1),
    "roomJoin": (joining, 2),
    "roomJoin, with a cursor and 100 messages": (joining_with_a_cursor, 2),
    "roomLeave": (leaving, 2),
    "login": (logging_in, 2),
    "disconnect": (disconnecting(), 2),
    "disconnect, joined to 1 room": (disconnecting("room"), 3),
    "disconnect, joined to 3 rooms": (disconnecting("room", "other", "third"), 3),
    "roomGetStatus": (command("roomGetStatus", "room"), 1),
    "roomGetStatus, number of members": (command("roomGetStatus", "room", {"countOnly": True}), 1),
    "roomSetDetails": (command("roomSetDetails", "room", {"x": 1}), 1),
    "roomMessage, 5 from one socket at once": (sending_five, 2),
    "roomMessage, with a reaction": (reacting, 1),
    "roomMessage, with a reply": (command("roomMessage", "room", TEXT, {"replyTo": 1}), 1),
    "directOpen": (opening, 5),
    "directOpen, again": (opening_again, 3),
    "roomMessage, in a conversation": (sending_to_one, 1),
    "listOwnRooms, 2 rooms": (listing, 2),
    "roomJoin, into the list": (joining_into_the_list, 2),
    "roomLeave, out of the list": (leaving_for_good, 3),
    "roomRecentHistory, folded": (command("roomRecentHistory", "room", {"fold": True}), 1),
}


@pytest.fixture
async def scene(at: MakeWorld, server: RedisServer) -> Scene:
    world = at(server.url, probe_interval=3600.0)
    instance = await world.start(**QUIET)
    for room in ("room", "other", "third"):
        await instance.service.add_room(room, owner="alice")
    await asyncio.gather(*(instance.service.add_room(room, owner="alice") for room in MANY))
    alice = await instance.joined("alice", "room")
    await instance.login("bob")
    return Scene(world, instance, alice)


async def _measure(scene: Scene, meter: CostMeter, name: str) -> Cost:
    prepare, _ = CASES[name]
    # First run to load the scripts, then measure.
    await (await prepare(scene))()
    return await meter.measure((await prepare(scene))())


async def test_documented_costs_are_correct(scene: Scene, server: RedisServer) -> None:
    await scene.in_and_out("room", "other")
    with server.client() as client:
        meter = CostMeter(client, scene.bus)
        costs = {name: await _measure(scene, meter, name) for name in CASES}
    for name, (_, most) in CASES.items():
        assert costs[name].trips <= most, (name, costs[name])
    assert documented() == {name: cost.row(name) for name, cost in costs.items()}


async def test_details_cost_no_round_trip(at: MakeWorld, server: RedisServer) -> None:
    world = at(server.url, probe_interval=3600.0)
    instance = await world.start(**QUIET, hooks={"member_details": lambda *_: {"mood": "fine"}})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    await alice.call("roomLeave", "room")
    with server.client() as client:
        meter = CostMeter(client, parts_of(instance.service).store.bus)
        cost = await meter.measure(alice.call("roomJoin", "room"))
    assert cost.sent == ("EVALSHA", "EVALSHA")
    [status] = await instance.service.exec_user_command(True, "roomGetStatus", "room")
    assert status["members"][0]["details"] == {"mood": "fine"}


async def test_each_message_costs_one_script(scene: Scene, server: RedisServer) -> None:
    await scene.alice.call("roomMessage", "room", TEXT)

    async def many() -> None:
        for _ in range(10):
            await scene.alice.call("roomMessage", "room", TEXT)

    with server.client() as client:
        cost = await CostMeter(client, scene.bus).measure(many())
    assert cost.sent == ("EVALSHA",) * 10


async def test_unread_messages_of_many_rooms_take_one_round_trip_per_node(
    cluster_servers: RedisCluster,
) -> None:
    world = World(InRedis(cluster_servers))
    try:
        instance = await world.start(**QUIET)
        await asyncio.gather(*(instance.service.add_room(room, owner="alice") for room in MANY))
        alice = await instance.login("alice")
        # The first time, nodes may not have the script.
        assert list(await alice.call("roomGetUnread", MANY)) == MANY
        with counting_trips() as trips:
            assert list(await alice.call("roomGetUnread", MANY)) == MANY
        assert len(trips) == len(cluster_servers.servers) > 1
        assert set(trips.values()) == {1}
    finally:
        await world.close()


async def test_round_trips_in_a_cluster(
    cluster_servers: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers in docs/redis.md."""
    # Nobody waits for this.
    monkeypatch.setattr(Permits, "_give_back", lambda self, permit: None)
    world = World(InRedis(cluster_servers))
    try:
        instance = await world.start(**QUIET)
        await instance.service.add_room("own", owner="alice")
        await instance.service.add_room("hall")
        alice, _ = await instance.joined("alice", "hall"), await instance.login("bob")
        found: dict[str, int] = {}
        # The first time, nodes may not have the scripts.
        for again in range(4):
            for room in ("own", "hall"):
                await instance.service.exec_user_command(True, "roomMessage", room, TEXT)
            for what, arguments in {
                "roomCreate": (f"mine{again}", False),
                "roomAddToList": ("own", "adminlist", [f"carol{again}"]),
                "roomDelete": (f"mine{again}",),
                "directMessage": ("bob", TEXT),
                "roomMarkRead": ("hall", again + 1),
                "roomMarkRead of an owner": ("own", again + 1),
            }.items():
                with counting_trips() as trips:
                    await alice.call(what.partition(" ")[0], *arguments)
                found[what] = min(trips.total(), found.get(what, 99))
        assert found == {
            "roomCreate": 2,
            "roomAddToList": 2,
            "roomDelete": 2,
            "directMessage": 2,
            "roomMarkRead": 2,
            "roomMarkRead of an owner": 4,
        }
    finally:
        await world.close()


async def test_cost_of_a_join_with_other_sockets_elsewhere(at: MakeWorld, server: RedisServer) -> None:
    world = at(server.url, probe_interval=3600.0)
    here, there = await world.start(**QUIET), await world.start(**QUIET)
    await here.service.add_room("room")
    near, far = await here.login("alice"), await there.login("alice")
    for _ in range(2):
        # The first run loads the scripts.
        await near.call("roomJoin", "room")
        await near.call("roomLeave", "room")
    far.clear()
    with server.client() as client:
        meter = CostMeter(client, parts_of(here.service).store.bus)
        cost = await meter.measure(near.call("roomJoin", "room"))
    assert cost.sent == ("EVALSHA", "EVALSHA", "SPUBLISH")
    assert await far.wait_for("roomJoinedEcho") == ["room", near.id, 1]


async def test_idle_instance_sends_only_heartbeats_and_probes(at: MakeWorld, server: RedisServer) -> None:
    world = at(server.url, probe_interval=0.05)
    await world.start(heartbeat_rate=0.05, heartbeat_timeout=5.0)
    with server.client() as client:

        def calls() -> dict[str, int]:
            stats = client.info("commandstats")
            return {name: fields["calls"] for name, fields in stats.items()}

        await wait_until(lambda: calls().get("cmdstat_evalsha", 0) >= 4, "heartbeats")
        client.config_resetstat()
        await wait_until(lambda: calls().get("cmdstat_ping", 0) >= 3, "probes")
        # A heartbeat is one script that renews the lease and another that reads all pulses.
        renewing = {"cmdstat_zscore", "cmdstat_zadd", "cmdstat_zrem", "cmdstat_hincrby"}
        looking = {"cmdstat_hgetall", "cmdstat_zrange"}
        seen = set(calls()) - {"cmdstat_info", "cmdstat_config|resetstat"}
        assert seen <= {"cmdstat_ping", "cmdstat_evalsha"} | renewing | looking
