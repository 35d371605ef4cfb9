"""The workloads: each starts a server, prepares it and measures.

A workload is a function of (server, sizes) that returns its measurements.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.loadgen import Done, Load
from benchmarks.plan import STAMP, TEXT, Client, joined_client
from benchmarks.processes import cpu_seconds, memory_kb, peak_kb, reset_peak
from benchmarks.servers import Running, Server, running
from benchmarks.stats import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of the workloads."""

    commands: int = 20_000
    command_clients: int = 50
    members: int = 1_000
    messages: int = 300
    #: Enough long messages to exceed what a server buffers for a member who does not read.
    long_messages: int = 700
    windows: tuple[int, ...] = (1, 4, 16)
    mixed_rooms: int = 20
    mixed_messages: int = 10_000
    joins: int = 2_000
    stored: int = 10_000
    reads: int = 2_000
    #: Maximum time in seconds for which a phase sends; a slower server then handles fewer messages.
    seconds: float = 3.0


FULL = Sizes()
QUICK = Sizes(
    commands=2_000,
    members=200,
    messages=100,
    long_messages=100,
    windows=(4,),
    mixed_messages=1_000,
    joins=200,
    stored=500,
    reads=200,
    seconds=0.7,
)

#: Warm-up commands before a measurement, so that all code is loaded and compiled by Node.js.
WARM_UP = 2_000
#: Warm-up deliveries, for messages with many.
WARM_UP_DELIVERIES = 20_000
#: Warm-up clients that join before the measured ones.
WARM_UP_JOINS = 400
#: Members per room in the mixed workload.
MIXED_MEMBERS = 10
#: Members who stop reading, and the length of long messages as a multiple of the usual text.
STOPPED = 10
LONG = 32
#: Clients that read the history concurrently.
READERS = 10
#: Clients that fill the history beforehand.
WRITERS = 4

Workload = Callable[[Server, Sizes], list[Measurement]]


class Meter:
    """Measures the CPU time of the servers and of Redis during a phase."""

    def __init__(self, instances: Running, processes: slice = slice(None)) -> None:
        """Measure the running instances or a selection."""
        self._running = instances
        self._processes = instances.processes[processes]

    def measure(
        self, workload: str, phase: Callable[[], Done], *, deliveries: bool = False, x: int | None = None
    ) -> Measurement:
        """Run a phase. The operations are its requests or its ``deliveries``."""
        watch = self._running.server.watch
        server, redis = self._cpu()
        with watch(self._processes[0].pid) if watch else nullcontext():
            done = phase()
        server_after, redis_after = self._cpu()
        operations = done.deliveries if deliveries else done.operations
        return Measurement(
            workload=workload,
            server=self._running.server.key,
            operations=operations,
            cpu_us=(server_after - server) / operations * 1e6,
            redis_us=(redis_after - redis) / operations * 1e6 if self._running.redis else None,
            rate=operations / done.seconds,
            p50_ms=done.p50_us / 1e3,
            p99_ms=done.p99_us / 1e3,
            load_share=done.load_cpu / done.seconds,
            x=x,
        )

    def _cpu(self) -> tuple[float, float]:
        redis = self._running.redis
        servers = sum(cpu_seconds(process.pid) for process in self._processes)
        return servers, cpu_seconds(redis.pid) if redis else 0.0


def own_rooms(instances: Running, count: int) -> list[Client]:
    """Clients with one room each."""
    port = instances.ports[0]
    return [joined_client(instances.server.dialect, port, n, f"room{n}") for n in range(count)]


def one_room(instances: Running, count: int) -> list[Client]:
    """Clients in a single room, spread over the instances."""
    ports = instances.ports
    return [joined_client(instances.server.dialect, ports[n % len(ports)], n, "room0") for n in range(count)]


def command(server: Server, sizes: Sizes) -> list[Measurement]:
    """Messages to rooms of one member, one in flight per client."""
    with (
        running(server, rooms=sizes.command_clients) as instances,
        Load(server.dialect, own_rooms(instances, sizes.command_clients)) as load,
    ):
        load.open()
        load.loop(WARM_UP, deliveries=1)
        meter = Meter(instances)
        return [
            meter.measure("command", partial(load.loop, sizes.commands, deliveries=1, seconds=sizes.seconds))
        ]


def command_with_key(server: Server, sizes: Sizes) -> list[Measurement]:
    """``command`` with a different idempotency key for each message."""
    if not server.idempotent:
        return []
    count = sizes.command_clients
    with running(server, rooms=count) as instances:
        port = instances.ports[0]
        clients = []
        for n in range(count):
            message = ("roomMessage", f"room{n}", {"textMessage": TEXT}, {"idempotencyKey": STAMP})
            clients.append(joined_client(server.dialect, port, n, f"room{n}", [message]))
        with Load(server.dialect, clients) as load:
            load.open()
            # A message that is mistaken for a repeat would not be delivered.
            load.loop(WARM_UP, request=1, deliveries=1)
            phase = partial(load.loop, sizes.commands, request=1, deliveries=1, seconds=sizes.seconds)
            return [Meter(instances).measure("command-with-key", phase)]


def fanout(server: Server, sizes: Sizes) -> list[Measurement]:
    """Messages to one large room with several in flight, from different members or from one."""
    with (
        running(server) as instances,
        Load(server.dialect, one_room(instances, sizes.members)) as load,
    ):
        load.open()
        load.fanout(WARM_UP_DELIVERIES // sizes.members, window=4)
        meter = Meter(instances)
        return [
            meter.measure(
                f"{name}-{window}",
                partial(load.fanout, sizes.messages, window=window, senders=senders, seconds=sizes.seconds),
                deliveries=True,
            )
            for name, senders in (("fanout", None), ("fanout-one-sender", 1))
            for window in sizes.windows
            if senders is None or window > 1
        ]


def fanout_two_instances(server: Server, sizes: Sizes) -> list[Measurement]:
    """Fan-out with members on two instances that share a Redis; their CPU times are added."""
    if not server.redis:
        return []
    with (
        running(server, instances=2) as instances,
        Load(server.dialect, one_room(instances, sizes.members)) as load,
    ):
        load.open()
        load.fanout(WARM_UP_DELIVERIES // sizes.members, window=4)
        meter = Meter(instances)
        return [
            meter.measure(
                "fanout-two-instances",
                partial(load.fanout, sizes.messages, window=4, seconds=sizes.seconds),
                deliveries=True,
            )
        ]


def stopped_readers(server: Server, sizes: Sizes) -> list[Measurement]:
    """Fan-out with ten members who stop reading.

    Messages are long and the ten clients have small buffers, so that the server soon has to buffer for them.
    """
    if not server.stops_slow_readers:
        return []
    reading = sizes.members - STOPPED
    with running(server) as instances:
        port, process = instances.ports[0], instances.processes[0]
        long = [("roomMessage", "room0", {"textMessage": TEXT * LONG})]
        clients = [joined_client(server.dialect, port, n, "room0", long) for n in range(sizes.members)]
        with Load(server.dialect, clients) as load:
            load.slow(reading, STOPPED)
            load.open()
            meter = Meter(instances)
            phase = partial(
                load.fanout,
                sizes.long_messages,
                window=4,
                request=1,
                count=reading,
                seconds=2 * sizes.seconds,
            )
            load.fanout(max(4, sizes.long_messages // 10), window=4, request=1)
            found = []
            for name in ("fanout-all-read", "fanout-10-stopped"):
                if name == "fanout-10-stopped":
                    load.stop_reading(reading, STOPPED)
                reset_peak(process.pid)
                before = peak_kb(process.pid)
                measured = meter.measure(name, phase, deliveries=True)
                found.append(replace(measured, memory_kb=peak_kb(process.pid) - before))
            return found


def hop(server: Server, sizes: Sizes) -> list[Measurement]:
    """The cost of a message for an instance with one member that receives it from another instance."""
    if not server.redis:
        return []
    count = sizes.command_clients
    with running(server, rooms=count, instances=2) as instances:
        # The first half of the clients sends and is on the first instance, the other half on the second.
        clients = [
            joined_client(server.dialect, instances.ports[n // count], n, f"room{n % count}")
            for n in range(2 * count)
        ]
        with Load(server.dialect, clients) as load:
            load.open()
            load.loop(WARM_UP, count=count, deliveries=2)
            phase = partial(load.loop, sizes.commands // 4, count=count, deliveries=2, seconds=sizes.seconds)
            return [Meter(instances, slice(1, 2)).measure("hop", phase)]


def mixed(server: Server, sizes: Sizes) -> list[Measurement]:
    """Rooms of ten members who all send messages."""
    with running(server, rooms=sizes.mixed_rooms) as instances:
        clients = [
            joined_client(server.dialect, instances.ports[0], n, f"room{n % sizes.mixed_rooms}")
            for n in range(sizes.mixed_rooms * MIXED_MEMBERS)
        ]
        with Load(server.dialect, clients) as load:
            load.open()
            load.loop(WARM_UP, deliveries=MIXED_MEMBERS)
            meter = Meter(instances)
            return [
                meter.measure(
                    "mixed",
                    partial(load.loop, sizes.mixed_messages, deliveries=MIXED_MEMBERS, seconds=sizes.seconds),
                )
            ]


def join(server: Server, sizes: Sizes) -> list[Measurement]:
    """Connect, log in and join one room, 50 at a time; then the memory of the idle clients."""
    warm = WARM_UP_JOINS
    with running(server) as instances, Load(server.dialect, one_room(instances, warm + sizes.joins)) as load:
        load.open(0, warm)
        before = _settled_memory(instances)
        meter = Meter(instances)
        joined = meter.measure("join", partial(load.open, warm))
        after = _settled_memory(instances)
    memory = Measurement(
        workload="memory",
        server=server.key,
        operations=sizes.joins,
        memory_kb=(after - before) / sizes.joins,
    )
    return [joined, memory]


def _settled_memory(instances: Running) -> float:
    """Memory after two collections: the second frees what the first made collectable."""
    process = instances.processes[0]
    for _ in range(2):
        process.collect_garbage()
        _until_idle(process.pid)
    return memory_kb(process.pid)


def _until_idle(pid: int) -> None:
    """Return when a process has been idle for a while."""
    time.sleep(0.1)
    used = cpu_seconds(pid)
    for _ in range(50):
        time.sleep(0.1)
        used, before = cpu_seconds(pid), used
        if used - before < 0.002:
            return


def history(server: Server, sizes: Sizes) -> list[Measurement]:
    """Read 100 messages of a full history: the oldest and the newest ones, and with a join."""
    if not server.history:
        return []
    names = ["history-oldest", "history-newest"]
    reads: list[tuple[Any, ...]] = [("roomHistoryGet", "room0", 0, 100), ("roomRecentHistory", "room0")]
    if server.idempotent:
        names.append("join-with-history")
        reads.append(("roomJoin", "room0", {"recent": 100}))
    with running(server) as instances:
        port = instances.ports[0]
        clients = [joined_client(server.dialect, port, n, "room0", reads) for n in range(READERS)]
        with Load(server.dialect, clients) as load:
            load.open(0, WRITERS)
            load.loop(sizes.stored, count=WRITERS, deliveries=WRITERS)
            load.open(WRITERS)
            meter = Meter(instances)
            found = []
            for request, name in enumerate(names, 1):
                load.loop(sizes.reads // 5, request=request, seconds=sizes.seconds)
                found.append(
                    meter.measure(
                        name,
                        partial(load.loop, sizes.reads, request=request, seconds=sizes.seconds),
                    )
                )
            return found


#: In the order of the table.
ALL: dict[str, Workload] = {
    "command": command,
    "command-with-key": command_with_key,
    "fanout": fanout,
    "fanout-two-instances": fanout_two_instances,
    "stopped-readers": stopped_readers,
    "hop": hop,
    "mixed": mixed,
    "join": join,
    "history": history,
}
