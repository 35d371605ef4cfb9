"""Measures the cost of recovering a dead instance with many sockets, and its effect on other users.

    python -m benchmarks.redis_recovery [sockets]

Prints the CPU time and wall time that the surviving process takes, and latency percentiles of a probe command
that runs continuously meanwhile. One core is enough if the machine is otherwise idle.
"""

import asyncio
import sys
import time
import uuid

from chat_service import ChatService
from chat_service.testing import InProcessTransport
from tests.redis.ghosts import DEAD, write_ghosts
from tests.support.redis_servers import RedisServer

ROOMS = 100


async def measure(url: str, server: RedisServer, sockets: int) -> None:
    prefix = f"recovery{uuid.uuid4().hex[:8]}"
    transport = InProcessTransport()
    service = ChatService(
        command_rate=None,
        store="redis",
        store_options={"url": url, "prefix": prefix},
        transport=transport,
        hooks={"on_connect": lambda service, socket_id: "probe"},
        enable_userlist_updates=True,
        heartbeat_rate=3600.0,
        heartbeat_timeout=7200.0,
    )
    async with service:
        rooms = [f"room{number}" for number in range(ROOMS)]
        for room in ("probe", *rooms):
            await service.add_room(room)
        client = await transport.connect()
        await client.wait_for("loginConfirmed")
        await client.call("roomJoin", "probe")
        with server.client() as raw:
            write_ghosts(raw, prefix, sockets, rooms)
        times: list[float] = []
        done = asyncio.Event()

        async def probe() -> None:
            while not done.is_set():
                begun = time.perf_counter()
                await client.call("roomMessage", "probe", {"textMessage": "probe"})
                times.append(time.perf_counter() - begun)
                client.clear()
                # Every 5 ms, like a busy user, without adding significant load.
                await asyncio.sleep(0.005)

        probing = asyncio.create_task(probe())
        cpu, clock = time.process_time(), time.perf_counter()
        await service.instance_recovery(DEAD)
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
        done.set()
        await probing
        with server.client() as raw:
            if any(raw.scan_iter(f"{prefix}:user:{{ghost*}}:*", count=10_000)):
                raise SystemExit("sockets of the dead instance remain")
        times.sort()
        shown = {name: times[int(len(times) * part)] * 1000 for name, part in (("p50", 0.5), ("p99", 0.99))}
        print(f"sockets {sockets}, rooms {ROOMS}")
        print(f"CPU of the survivor {cpu:.1f} s, by the clock {clock:.1f} s")
        print(f"probes {len(times)}, p50 {shown['p50']:.1f} ms, p99 {shown['p99']:.1f} ms", end=", ")
        print(f"longest {times[-1] * 1000:.1f} ms")


def main() -> None:
    sockets = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with RedisServer() as server:
        asyncio.run(measure(server.url, server, sockets))


if __name__ == "__main__":
    main()
