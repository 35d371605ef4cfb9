"""Cluster failover: the bus moves to the new master even if the old one still responds."""

import asyncio

import pytest

from chat_service.stores.redis import RedisStore
from chat_service.stores.redis.keys import Keys
from chat_service.testing import InProcessClient, wait_until
from tests.redis.conftest import At, MakeWorld
from tests.support.markers import room_marker
from tests.support.parts import parts_of
from tests.support.redis_servers import RedisCluster
from tests.support.world import Instance

pytestmark = [pytest.mark.redis, pytest.mark.slow]

LEASE = {"heartbeat_rate": 5.0, "heartbeat_timeout": 60.0}
FAST = {"command_timeout": 1.0, "connect_timeout": 1.0, "probe_interval": 0.2}


async def _works(instance: Instance, room: str, *clients: InProcessClient) -> None:
    """Check that a message reaches both users, and that none before it was lost."""
    last = await room_marker(instance.service, room, *clients)
    for client in clients:
        ids = [message["id"] for name, message in client.received("roomMessage") if name == room]
        assert ids == list(range(1, last + 1))


async def test_the_bus_follows_the_master_of_a_shard(at: MakeWorld) -> None:
    with RedisCluster(masters=3, replicas=3) as cluster:
        world = at(cluster.url, cluster=True, **FAST)
        assert isinstance(world.backend, At)
        first, second = await world.start(**LEASE), await world.start(**LEASE)
        await first.service.add_room("room")
        alice, bob = await first.joined("alice", "room"), await second.joined("bob", "room")
        await _works(first, "room", alice, bob)
        channel = Keys(world.backend.prefix).room("room")
        replica = cluster.replica_of(channel)
        await asyncio.to_thread(cluster.fail_over, replica)
        with replica.client() as client:
            # The old master is now a replica and would pass on what it receives from the new one.
            await wait_until(lambda: client.pubsub_shardnumsub(channel) == [(channel.encode(), 2)], "the bus")
        await _works(second, "room", alice, bob)
        await world.close()


async def test_single_channel_moves_to_another_node(at: MakeWorld) -> None:
    """Simulates a moved slot before the node itself reports it."""
    with RedisCluster() as cluster:
        world = at(cluster.url, cluster=True, **FAST)
        instance = await world.start(**LEASE)
        rooms = [f"room{number}" for number in range(6)]
        for room in rooms:
            await instance.service.add_room(room)
        alice = await instance.joined("alice", *rooms)
        store = parts_of(instance.service).store
        assert isinstance(store, RedisStore)
        bus = store._open_bus
        subscriber = max(bus._subscribers.values(), key=lambda item: len(item.channels))
        channels = set(subscriber.channels)
        strayed = next(channel for channel in channels if ":room:" in channel)
        bus._leave(subscriber, {strayed})
        assert subscriber.channels == channels - {strayed}
        await wait_until(lambda: subscriber.channels == channels, "it is subscribed again")
        for room in rooms:
            await _works(instance, room, alice)
        await world.close()
