"""Measures how an instance grows, and checks the model that predicts it: ``python -m benchmarks.scale``.

One process with 1,000 to 50,000 sockets, or as many as the limit of open files allows, idle and
with a message a second in rooms of 100; then three instances over a Redis Cluster of three masters with 1,000
rooms. The model is made from the small runs, predicts the large ones, and is printed beside what was
measured. Sockets come from several addresses of 127.0.0.0/8, since an address has ports for some 28,000.
"""

import json
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.framing import SOCKETIO_4
from benchmarks.loadgen import Load
from benchmarks.plan import joined_client
from benchmarks.processes import Process, Redis, cores, cpu_seconds, free_port, memory_kb, python
from chat_service.open_files import connections_within
from tests.support.redis_servers import RedisCluster

SERVICE = Path(__file__).parent / "peers" / "service.py"
#: Open files per process, and the part of them that the service leaves to clients.
FILES = min(120_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
MOST = connections_within(FILES) or FILES
#: Seconds of each phase, and between two pings, as by default.
IDLE, PACED, PING = 60, 20, 25.0
MEMBERS = 100
SIZES = (1_000, 3_000, 10_000, min(50_000, MOST // MEMBERS * MEMBERS))
#: Of the runs over Redis.
ROOMS, ROOM_MEMBERS = 1_000, 10


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured. CPU times of all instances together, in microseconds."""

    sockets: int
    messages: int
    deliveries: int
    kb_per_socket: float
    idle_us: float  # per socket and second
    message_us: float
    redis_us: float
    join_us: float
    p50_ms: float
    p99_ms: float

    @property
    def cpu(self) -> float:
        """The share of a core with a message a second in each room."""
        return self.message_us * self.messages / PACED / 1e6


@contextmanager
def instances(
    count: int, rooms: int, redis: str | None, cluster: bool
) -> Iterator[list[tuple[Process, int]]]:
    """Start instances on the first core."""
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            port = free_port()
            config = {"port": port, "rooms": rooms, "redis": redis, "cluster": cluster, "ping": PING}
            command = [python(), str(SERVICE), json.dumps(config)]
            process = Process(command, core=cores()[0], ready="ready", files=FILES)
            found.append((stack.enter_context(process), port))
        yield found


def measure(
    sockets: int,
    members: int,
    *,
    count: int = 1,
    redis: str | None = None,
    stores: Sequence[int] = (),
    idle: bool = False,
) -> Costs:
    """Measure ``count`` instances. ``stores``: the pids of the servers of Redis."""
    rooms = sockets // members
    with instances(count, rooms, redis, len(stores) > 1) as started:
        processes = [process for process, _ in started]
        ports = [port for _, port in started]
        clients = [
            joined_client(SOCKETIO_4, ports[n % count], n, f"room{n // members}") for n in range(sockets)
        ]

        def cpu(pids: Sequence[int]) -> float:
            return sum(map(cpu_seconds, pids))

        pids = [process.pid for process in processes]
        memory, begun = sum(map(memory_kb, pids)), cpu(pids)
        with Load(SOCKETIO_4, clients, files=FILES) as load:
            load.open(parallel=50)
            joined = cpu(pids) - begun
            for process in processes:
                process.collect_garbage()
            time.sleep(2)
            memory = sum(map(memory_kb, pids)) - memory
            load.pace(members, 2)
            idle_us = 0.0
            if idle:
                begun = cpu(pids)
                load.idle(IDLE)
                idle_us = (cpu(pids) - begun) / IDLE / sockets * 1e6
            begun, stored = cpu(pids), cpu(stores)
            done = load.pace(members, PACED)
            spent = cpu(pids) - begun - idle_us * sockets * PACED / 1e6
            return Costs(
                sockets,
                done.operations,
                done.deliveries,
                memory / sockets,
                idle_us,
                spent / done.operations * 1e6,
                (cpu(stores) - stored) / done.operations * 1e6,
                joined / sockets * 1e6,
                done.p50_us / 1e3,
                done.p99_us / 1e3,
            )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("\n| " + " | ".join(heads) + " |\n| --- |" + " ---: |" * (len(heads) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def deviation(predicted: float, measured: float) -> str:
    return (
        f"{predicted:,.2f} ({(predicted / measured - 1) * 100:+.0f} %)" if measured else f"{predicted:,.2f}"
    )


def one_process() -> None:
    """Predict the larger numbers of sockets from 3,000."""
    found = [measure(size, MEMBERS, idle=True) for size in SIZES]
    heads = (
        "sockets",
        "KB per socket",
        "idle, % of a core",
        "CPU per message to 100, µs",
        "% of a core with a message",
    )
    table(
        (*heads, "CPU per join, µs", "p50, ms", "p99, ms"),
        [
            (
                f"{one.sockets:,}",
                f"{one.kb_per_socket:.2f}",
                f"{one.idle_us * one.sockets / 1e4:.2f}",
                f"{one.message_us:.0f}",
                f"{one.cpu * 100:.1f}",
                f"{one.join_us:.0f}",
                f"{one.p50_ms:.2f}",
                f"{one.p99_ms:.2f}",
            )
            for one in found
        ],
    )
    small = found[1]
    costs: dict[str, Callable[[Costs], float]] = {
        "memory, MB": lambda one: one.kb_per_socket * one.sockets / 1e3,
        "idle, % of a core": lambda one: one.idle_us * one.sockets / 1e4,
        "with messages, % of a core": lambda one: one.cpu * 100,
    }
    for large in found[2:]:
        factor = large.sockets / small.sockets
        titles = (f"{large.sockets:,} sockets", f"predicted from {small.sockets:,}", "measured")
        table(
            titles,
            [
                (name, deviation(cost(small) * factor, cost(large)), f"{cost(large):,.2f}")
                for name, cost in costs.items()
            ],
        )


def many_instances() -> None:
    """Predict three instances on three masters from one and two instances on one server."""
    sockets = ROOMS * ROOM_MEMBERS
    with Redis(cores()[1]) as redis:
        one = measure(sockets, ROOM_MEMBERS, redis=redis.url, stores=[redis.pid])
    with Redis(cores()[1]) as redis:
        wide = measure(sockets, MEMBERS, redis=redis.url, stores=[redis.pid])
    with Redis(cores()[1]) as redis:
        two = measure(sockets, ROOM_MEMBERS, count=2, redis=redis.url, stores=[redis.pid])
    with RedisCluster() as cluster:
        stores = [server.process.pid for server in cluster.servers if server.process]
        for pid in stores:
            os.sched_setaffinity(pid, {cores()[1]})
        three = measure(sockets, ROOM_MEMBERS, count=3, redis=cluster.url, stores=stores)
    delivery = (wide.message_us - one.message_us) / (MEMBERS - ROOM_MEMBERS)
    command = one.message_us - (ROOM_MEMBERS - 1) * delivery
    hop = two.message_us - command - (ROOM_MEMBERS - 2) * delivery
    guess = command + 2 * hop + (ROOM_MEMBERS - 3) * delivery
    runs = (("1 × 1", one), ("1 × 1, rooms of 100", wide), ("2 × 1", two), ("3 × 3", three))
    heads = ("instances × masters", "CPU per message, all instances, µs", "CPU per message, all of Redis, µs")
    table(
        (*heads, "% of a core, all instances", "p50, ms", "p99, ms"),
        [
            (
                name,
                f"{run.message_us:.0f}",
                f"{run.redis_us:.0f}",
                f"{run.cpu * 100:.0f}",
                f"{run.p50_ms:.2f}",
                f"{run.p99_ms:.2f}",
            )
            for name, run in runs
        ],
    )
    print(f"\ncommand {command:.0f} µs, hop {hop:.0f} µs, delivery {delivery:.1f} µs")
    rows = [
        ("CPU per message, all instances, µs", deviation(guess, three.message_us), f"{three.message_us:.0f}")
    ]
    table(("3 × 3", "predicted from 1 × 1 and 2 × 1", "measured"), rows)


if __name__ == "__main__":
    one_process()
    many_instances()
