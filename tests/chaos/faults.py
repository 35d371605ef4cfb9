"""What can go wrong in a run. Each fault ends healed: what was broken works again when it returns."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.crc import key_slot

from tests.chaos.backends import Backend
from tests.chaos.instances import Instances
from tests.chaos.proxy import Proxy
from tests.chaos.verdict import Rule
from tests.support.redis_servers import RedisCluster, RedisSentinels, RedisServer

#: Events other than messages are not stored: what a bus connection loses with its breaking stays lost.
BUS_LOSES = frozenset({Rule.PRESENCE, Rule.PRESENCE_END})
#: An asynchronous replica may lack the last changes of its master: what was acknowledged may be undone.
FAIL_OVER_LOSES = BUS_LOSES | {
    Rule.ACKED_LOST,
    Rule.CONFLICT,
    Rule.STALE_READ,
    Rule.REMOVED_HEARS,
    Rule.REMOVED_ACTS,
    Rule.MEMBERS,
    Rule.SOCKETS,
    Rule.INDEX,
    Rule.OWN_SOCKETS,
    Rule.USERLIST,
}


class Scene:
    """What a fault can get at."""

    def __init__(self, backend: Backend, instances: Instances, rng: random.Random) -> None:
        self.backend = backend
        self.instances = instances
        self.rng = rng
        if backend.proxy is not None:
            backend.proxy.random = rng

    async def pause(self, shortest: float, longest: float) -> None:
        await asyncio.sleep(self.rng.uniform(shortest, longest))

    async def heal(self) -> None:
        """Undo whatever a fault that failed may have left."""
        for instance in self.instances.all:
            if instance.is_running:
                instance.resume()
        if self.backend.proxy is not None:
            self.backend.proxy.delay = 0.0
            self.backend.proxy.release()
            self.backend.proxy.refuses = False


@dataclass(frozen=True)
class Fault:
    """``allowed``: the rules that it may break, since the contract cannot hold then."""

    run: Callable[[Scene], Awaitable[None]]
    backends: tuple[str, ...] = ("redis",)
    allowed: frozenset[Rule] = frozenset()


# Instances


async def kill_instance(scene: Scene) -> None:
    """kill -9, and another one starts."""
    victim = scene.rng.choice(scene.instances.up())
    await victim.kill()
    await scene.pause(0.0, 1.0)
    await scene.instances.start()
    await scene.pause(1.0, 3.0)


async def pause_instance(scene: Scene) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT."""
    victim = scene.rng.choice(scene.instances.up())
    victim.is_up = False
    victim.pause()
    await scene.pause(3.5, 5.0)
    victim.resume()
    victim.is_up = True
    await scene.pause(1.0, 2.0)


async def blink_instance(scene: Scene) -> None:
    """SIGSTOP for less than the lease."""
    victim = scene.rng.choice(scene.instances.up())
    victim.pause()
    await scene.pause(0.3, 1.2)
    victim.resume()


# Redis: scripts, connections, restarts


async def flush_scripts(scene: Scene) -> None:
    """SCRIPT FLUSH at every server, again and again."""
    for _ in range(scene.rng.randint(1, 5)):
        await _everywhere(scene, "SCRIPT", "FLUSH")
        await scene.pause(0.05, 0.5)


async def kill_clients(scene: Scene) -> None:
    """CLIENT KILL of the connections that commands take."""
    for _ in range(scene.rng.randint(1, 4)):
        await _everywhere(scene, "CLIENT", "KILL", "TYPE", "normal")
        await scene.pause(0.0, 0.5)


async def kill_subscribers(scene: Scene) -> None:
    """CLIENT KILL of the connections of the bus."""
    for _ in range(scene.rng.randint(1, 4)):
        await _everywhere(scene, "CLIENT", "KILL", "TYPE", "pubsub")
        await scene.pause(0.0, 0.7)


async def _everywhere(scene: Scene, *command: str) -> None:
    def run() -> None:
        for server in scene.backend.servers():
            with server.client() as client:
                client.execute_command(*command)

    await asyncio.to_thread(run)


async def restart(scene: Scene) -> None:
    """kill -9 of Redis, and a start from its append-only file a moment later."""
    await _restart(scene, 0.0, 1.5)


async def outage(scene: Scene) -> None:
    """The same, away for longer than the leases of all instances."""
    await _restart(scene, 3.5, 5.0)


async def _restart(scene: Scene, shortest: float, longest: float) -> None:
    server = scene.backend.server
    assert server is not None
    await asyncio.to_thread(server.kill)
    try:
        await scene.pause(shortest, longest)
    finally:
        await asyncio.to_thread(server.start)
    await scene.pause(0.5, 2.0)


# The way to Redis


def _proxy(scene: Scene) -> Proxy:
    assert scene.backend.proxy is not None
    return scene.backend.proxy


async def delay(scene: Scene) -> None:
    """Everything takes long, and one connection longer than another."""
    _proxy(scene).delay = scene.rng.choice([0.02, 0.1, 0.4])
    await scene.pause(1.0, 3.0)


async def cut(scene: Scene) -> None:
    """All connections are reset, and for a moment there are no new ones."""
    for _ in range(scene.rng.randint(1, 3)):
        _proxy(scene).refuses = scene.rng.random() < 0.5
        _proxy(scene).cut()
        await scene.pause(0.0, 1.0)
        _proxy(scene).refuses = False
        await scene.pause(0.0, 1.0)


async def half_open(scene: Scene) -> None:
    """Some connections stay open and carry nothing any more; of some only the answers are lost."""
    _proxy(scene).deafen(scene.rng.choice([0.3, 0.7, 1.0]), answers_only=scene.rng.random() < 0.5)
    await scene.pause(4.0, 6.0)


async def stall(scene: Scene) -> None:
    """Nothing passes, for longer than a command may take; then everything does."""
    _proxy(scene).hold()
    await scene.pause(1.0, 4.0)
    _proxy(scene).release()
    await scene.pause(0.5, 1.0)


# Fail-over


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

    def order() -> None:
        replica = scene.rng.choice(cluster.replicas())
        with replica.client() as client:
            client.execute_command("CLUSTER", "FAILOVER")
        cluster.wait_role(replica, "master")

    await asyncio.to_thread(order)
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


ALL = ("redis", "cluster", "replicas", "sentinel")
CLUSTERS = ("cluster", "replicas")

FAULTS: dict[str, Fault] = {
    "kill": Fault(kill_instance, ALL),
    "pause": Fault(pause_instance, ALL),
    "blink": Fault(blink_instance, ALL),
    "scripts": Fault(flush_scripts, ALL),
    "clients": Fault(kill_clients, ("redis", "cluster")),
    "subscribers": Fault(kill_subscribers, ALL, BUS_LOSES),
    "restart": Fault(restart, ("redis",), BUS_LOSES),
    "outage": Fault(outage, ("redis",), BUS_LOSES),
    "delay": Fault(delay, ("redis",)),
    "cut": Fault(cut, ("redis",), BUS_LOSES),
    "half-open": Fault(half_open, ("redis",), BUS_LOSES),
    "stall": Fault(stall, ("redis",), BUS_LOSES),
    "sentinel": Fault(sentinel_failover, ("sentinel",), FAIL_OVER_LOSES),
    "master": Fault(kill_master, ("sentinel",), FAIL_OVER_LOSES),
    "failover": Fault(shard_failover, ("replicas",), BUS_LOSES),
    "shard": Fault(kill_shard, ("replicas",), FAIL_OVER_LOSES),
    "slots": Fault(move_slots, CLUSTERS, BUS_LOSES),
}
