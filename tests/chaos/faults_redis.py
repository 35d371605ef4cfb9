"""Faults of Redis servers: restarts, refusals, lost data, closed connections."""

import asyncio
import contextlib
import time

import redis as redis_client

from tests.chaos.scene import Scene


async def flush_scripts(scene: Scene) -> None:
    """SCRIPT FLUSH at every server, again and again."""
    for _ in range(scene.rng.randint(1, 5)):
        await scene.everywhere("SCRIPT", "FLUSH")
        await scene.pause(0.05, 0.5)


async def kill_clients(scene: Scene) -> None:
    """CLIENT KILL of the connections that commands take."""
    for _ in range(scene.rng.randint(1, 4)):
        await scene.everywhere("CLIENT", "KILL", "TYPE", "normal")
        await scene.pause(0.0, 0.5)


async def kill_subscribers(scene: Scene) -> None:
    """CLIENT KILL of the connections of the bus."""
    for _ in range(scene.rng.randint(1, 4)):
        await scene.everywhere("CLIENT", "KILL", "TYPE", "pubsub")
        await scene.pause(0.0, 0.7)


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


# Refusals: an answer that says no


async def out_of_memory(scene: Scene) -> None:
    """Redis has no memory left and refuses writes, for longer than the lease."""
    async with scene.configured({"maxmemory-policy": "noeviction", "maxmemory": "1"}):
        await scene.pause(3.5, 5.0)
    await scene.pause(0.5, 1.0)


async def failing_snapshots(scene: Scene) -> None:
    """Snapshots fail, so that Redis refuses writes, for longer than the lease."""
    servers = scene.backend.servers()

    def spoil() -> None:
        for server in servers:
            # The name of the snapshot is taken by a folder; there may be a snapshot from an earlier time.
            (server.folder / "dump.rdb").unlink(missing_ok=True)
            (server.folder / "dump.rdb").mkdir()
            with server.client() as client:
                client.bgsave()
                while client.info("persistence")["rdb_last_bgsave_status"] != "err":
                    time.sleep(0.05)

    def mend() -> None:
        for server in servers:
            with contextlib.suppress(OSError):
                (server.folder / "dump.rdb").rmdir()
            with server.client() as client:
                while client.info("persistence")["rdb_last_bgsave_status"] == "err":
                    with contextlib.suppress(redis_client.ResponseError):
                        client.bgsave()
                    time.sleep(0.05)

    async with scene.configured({"save": "100000 1000000000", "stop-writes-on-bgsave-error": "yes"}):
        try:
            await asyncio.to_thread(spoil)
            await scene.pause(3.5, 5.0)
        finally:
            await asyncio.to_thread(mend)
    await scene.pause(0.5, 1.0)


async def too_few_replicas(scene: Scene) -> None:
    """Redis wants more replicas than there are before it takes writes, for longer than the lease."""
    async with scene.configured({"min-replicas-to-write": "5"}):
        await scene.pause(3.5, 5.0)
    await scene.pause(0.5, 1.0)


async def no_more_clients(scene: Scene) -> None:
    """Connections are lost, and Redis has no place for new ones."""
    async with scene.configured({"maxclients": "1"}, ("CLIENT", "KILL", "TYPE", "normal")):
        await scene.pause(0.5, 2.0)
    await scene.pause(1.0, 2.0)


# Silence, and data that is gone


async def sleep(scene: Scene) -> None:
    """Redis does nothing at all, for longer than a command may take."""
    seconds = scene.rng.uniform(1.0, 4.0)

    def run() -> None:
        server = scene.rng.choice(scene.backend.servers())
        with server.client() as client:
            client.execute_command("DEBUG", "SLEEP", seconds)

    await asyncio.to_thread(run)
    await scene.pause(1.0, 2.0)


async def pause_clients(scene: Scene) -> None:
    """CLIENT PAUSE: no answers, or none to writes, until the time is over."""
    milliseconds = scene.rng.randint(500, 4000)
    await scene.everywhere("CLIENT", "PAUSE", milliseconds, scene.rng.choice(["ALL", "WRITE"]))
    await asyncio.sleep(milliseconds / 1000)
    await scene.pause(0.5, 1.0)


async def small_pubsub_buffers(scene: Scene) -> None:
    """The connections of the bus are closed for what waits in them, again and again."""
    limit = scene.rng.choice(["pubsub 1 0 0", "pubsub 2000 0 0"])
    async with scene.configured({"client-output-buffer-limit": limit}):
        await scene.pause(1.0, 3.0)
    await scene.pause(1.0, 2.0)


async def evict(scene: Scene) -> None:
    """Redis has too little memory, and throws keys away by chance."""
    async with scene.configured({"maxmemory-policy": "allkeys-random", "maxmemory": "1"}):
        await scene.pause(0.2, 1.0)
    await scene.restore_rooms()
    await scene.pause(2.0, 3.0)


async def flush(scene: Scene) -> None:
    """FLUSHALL: everything is gone."""
    await scene.everywhere("FLUSHALL")
    await scene.restore_rooms()
    await scene.pause(2.0, 3.0)


async def step_clock(scene: Scene) -> None:
    """The clock of Redis steps, forward or back, by more than any lease."""
    scene.backend.set_clock(scene.rng.choice([-86400.0, -5.0, 5.0, 86400.0]))
    await scene.pause(3.0, 5.0)
    scene.backend.set_clock(0.0)
    await scene.pause(3.0, 4.0)
