"""Masters that change, in agreement or by force, and slots that move."""

import asyncio

from redis.crc import key_slot

from tests.chaos.scene import Scene
from tests.support.redis_servers import RedisCluster, RedisSentinels, RedisServer


async def sentinel_failover(scene: Scene) -> None:
    """Sentinel is told to make the replica the master."""
    sentinels = _sentinels(scene)

    def order() -> None:
        with sentinels.sentinels[0].client() as client:
            client.execute_command("SENTINEL", "FAILOVER", sentinels.SERVICE)

    before = await asyncio.to_thread(sentinels.master)
    await asyncio.to_thread(order)
    await _wait_master(scene, before)


async def kill_master(scene: Scene) -> None:
    """kill -9 of the master that Sentinel knows; it comes back as a replica."""
    sentinels = _sentinels(scene)
    before = await asyncio.to_thread(sentinels.master)
    await asyncio.to_thread(before.kill)
    try:
        await _wait_master(scene, before, in_step=False)
    finally:
        await asyncio.to_thread(before.start)
    await asyncio.to_thread(sentinels.wait_ready)
    await scene.pause(0.5, 1.0)


def _sentinels(scene: Scene) -> RedisSentinels:
    assert scene.backend.sentinels is not None
    return scene.backend.sentinels


async def _wait_master(scene: Scene, before: RedisServer, *, in_step: bool = True) -> None:
    sentinels = _sentinels(scene)
    async with asyncio.timeout(30):
        while await asyncio.to_thread(sentinels.master) is before:
            await asyncio.sleep(0.1)
    if in_step:
        await asyncio.to_thread(sentinels.wait_ready)
    await scene.pause(0.5, 2.0)


async def shard_failover(scene: Scene) -> None:
    """CLUSTER FAILOVER: a replica takes its master's place in agreement with it."""
    cluster = _cluster(scene)

    replica = scene.rng.choice(await asyncio.to_thread(cluster.replicas))
    await asyncio.to_thread(cluster.fail_over, replica)
    await asyncio.to_thread(cluster.wait_ok)
    await scene.pause(0.5, 2.0)


async def kill_shard(scene: Scene) -> None:
    """kill -9 of a master of the cluster; its replica takes over, and it comes back as a replica."""
    cluster = _cluster(scene)
    victim = scene.rng.choice(await asyncio.to_thread(cluster.masters))
    await asyncio.to_thread(victim.kill)
    try:
        await asyncio.to_thread(cluster.wait_ok)
        await scene.pause(0.5, 1.5)
    finally:
        await asyncio.to_thread(victim.start)
    await asyncio.to_thread(cluster.wait_in_step)
    await scene.pause(0.5, 1.0)


async def move_slots(scene: Scene) -> None:
    """The slots of some rooms and users go to other shards, with their keys, under load."""
    cluster, rng = _cluster(scene), scene.rng
    names = [f"room{number}" for number in range(10)] + [f"user{number}" for number in range(20)]
    for name in rng.sample(names, 6):
        await asyncio.to_thread(cluster.move_slot, key_slot(name.encode()), rng)
        await scene.pause(0.0, 0.5)


def _cluster(scene: Scene) -> RedisCluster:
    assert scene.backend.cluster is not None
    return scene.backend.cluster
