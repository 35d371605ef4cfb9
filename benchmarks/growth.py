"""Measures how the cost of an operation grows with the user, socket or room that it concerns.

    python -m benchmarks.growth [--sizes 10,100,1000,10000] [--stores memory,redis] [--write]

For each operation and size: the CPU time of the service, and of its longest turn of the event loop, in ms.
Clients are in the same process and count what they get, so no network is in the figures. Of several runs the
shortest times count, since whatever else runs on the machine only adds to them. ``--write`` puts the table
and the plot into the documentation.
"""

import argparse
import asyncio
import gc
import itertools
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot as plt

from chat_service import ChatService
from chat_service.testing import InProcessClient, InProcessTransport, wait_until
from chat_service.types import Channel, SocketId
from tests.support.redis_servers import RedisServer

ROOT = Path(__file__).parents[1]
PAGE, PLOT = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance" / "growth"
BEGIN, END = "<!-- growth -->\n", "<!-- end of growth -->\n"
RUNS = 3
#: How many clients connect and join at once while a case is prepared.
TOGETHER = 100
COLORS = {"memory": "#1b6ca8", "redis": "#7fb2d9"}

#: No limit is reached.
OPTIONS: dict[str, Any] = {
    "sockets_per_user_limit": 100_000,
    "rooms_per_socket_limit": 100_000,
    "names_per_command_limit": 100_000,
    "command_rate": None,
    "close_timeout": 60.0,
}


class TimedLoop(asyncio.SelectorEventLoop):
    """Knows the CPU time in s of its longest turn."""

    longest = 0.0

    def _run_once(self) -> None:
        begun = time.thread_time()
        super()._run_once()  # type: ignore[misc]
        self.longest = max(self.longest, time.thread_time() - begun)


class CountingTransport(InProcessTransport):
    """Clients that only count what they get, and leave no more channels than they are in."""

    def __init__(self) -> None:
        super().__init__()
        self.delivered = 0
        self._channels_of: dict[SocketId, set[Channel]] = {}

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        self.delivered += 1
        if event == "loginConfirmed":
            super().emit(socket_id, event, args)

    def join_channel(self, socket_id: SocketId, channel: Channel) -> None:
        super().join_channel(socket_id, channel)
        self._channels_of.setdefault(socket_id, set()).add(channel)

    def leave_channel(self, socket_id: SocketId, channel: Channel) -> None:
        super().leave_channel(socket_id, channel)
        self._channels_of.get(socket_id, set()).discard(channel)

    async def drop(self, socket_id: SocketId, reason: str) -> None:
        for channel in self._channels_of.pop(socket_id, ()):
            self._remove(socket_id, channel)
        everything, self._channels = self._channels, {}
        try:
            # It would look for the client in every channel.
            dropping = asyncio.ensure_future(super().drop(socket_id, reason))
            await asyncio.sleep(0)
        finally:
            everything.update(self._channels)
            self._channels = everything
        await dropping


class Cost(NamedTuple):
    """CPU times in ms: of the operation, and of its longest turn of the loop."""

    whole: float
    turn: float


class Scene:
    """A service with the clients of one case."""

    def __init__(self, service: ChatService, transport: CountingTransport) -> None:
        self.service = service
        self.transport = transport
        self._numbers = itertools.count()

    async def sockets(self, count: int, user: str = "") -> list[InProcessClient]:
        """Sockets of one user, or of as many users."""
        clients: list[InProcessClient] = []
        while len(clients) < count:
            part = min(TOGETHER, count - len(clients))
            names = [user or f"user{next(self._numbers)}" for _ in range(part)]
            clients += await asyncio.gather(*map(self.transport.login, names))
        return clients

    async def join(self, pairs: Sequence[tuple[InProcessClient, str]]) -> None:
        for start in range(0, len(pairs), TOGETHER):
            part = pairs[start : start + TOGETHER]
            await asyncio.gather(*(client.call("roomJoin", room) for client, room in part))

    async def room(self, members: int) -> list[InProcessClient]:
        """A room with so many members, of whom every other one is in the whitelist."""
        clients = await self.sockets(members)
        names = [f"user{number}" for number in range(0, members, 2)]
        await self.service.add_room("room", whitelist=names)
        await self.join([(client, "room") for client in clients])
        return clients


#: Prepares a case for a size. Returns the operation.
Case = Callable[[Scene, int], Awaitable[Callable[[], Awaitable[Any]]]]


async def one_more(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    await scene.sockets(size, "alice")
    return lambda: scene.transport.login("alice")


async def one_joins(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    client, *_ = await scene.sockets(size, "alice")
    await scene.service.add_room("room")
    return lambda: client.call("roomJoin", "room")


async def one_leaves(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    clients = await scene.sockets(size, "alice")
    await scene.service.add_room("room")
    await scene.join([(client, "room") for client in clients])
    return lambda: clients[0].call("roomLeave", "room")


async def one_ends(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    clients = await scene.sockets(size, "alice")
    return clients[0].disconnect


async def all_end(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    await scene.sockets(size, "alice")

    async def run() -> None:
        await scene.service.disconnect_user_sockets("alice")
        await wait_until(lambda: not scene.transport.socket_ids(), "all are gone", timeout=600)

    return run


async def rooms_listed(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    client = await _in_rooms(scene, size)
    return lambda: client.call("listOwnSockets")


async def in_rooms_ends(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    return (await _in_rooms(scene, size)).disconnect


async def _in_rooms(scene: Scene, size: int) -> InProcessClient:
    [client] = await scene.sockets(1, "alice")
    rooms = [f"room{number}" for number in range(size)]
    for start in range(0, size, TOGETHER):
        await asyncio.gather(*(scene.service.add_room(room) for room in rooms[start : start + TOGETHER]))
    await scene.join([(client, room) for room in rooms])
    return client


async def mode_changes(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    await scene.room(size)
    return lambda: scene.service.exec_user_command(True, "roomSetWhitelistMode", "room", True)


async def names_added(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    await scene.room(size)
    names = [f"user{number}" for number in range(size)]
    return lambda: scene.service.exec_user_command(True, "roomAddToList", "room", "blacklist", names)


async def room_ends(scene: Scene, size: int) -> Callable[[], Awaitable[Any]]:
    await scene.room(size)
    return lambda: scene.service.delete_room("room")


#: The operations by their titles, with the largest size that is measured.
CASES: dict[str, tuple[Case, int]] = {
    "a user's sockets: one more connects": (one_more, 1000),
    "a user's sockets: one joins": (one_joins, 1000),
    "a user's sockets: one leaves": (one_leaves, 1000),
    "a user's sockets: one disconnects": (one_ends, 1000),
    "a user's sockets: all are disconnected": (all_end, 1000),
    "a socket's rooms: listOwnSockets": (rooms_listed, 10_000),
    "a socket's rooms: it disconnects": (in_rooms_ends, 10_000),
    "a room's members: the mode, half are out": (mode_changes, 10_000),
    "a room's members: all are blacklisted": (names_added, 10_000),
    "a room's members: deletion": (room_ends, 10_000),
}


async def measure(case: Case, size: int, store: dict[str, Any], loop: TimedLoop) -> Cost:
    transport = CountingTransport()

    async def name(service: ChatService, socket_id: str) -> str | None:
        return service.transport.get_handshake_data(socket_id).query.get("userName")

    service = ChatService(transport=transport, hooks={"on_connect": name}, **OPTIONS, **store)
    await service.start()
    try:
        operation = await case(Scene(service, transport), size)
        await _settle(transport, loop)
        gc.collect()
        # Collections depend on what else the process holds.
        gc.disable()
        # The turn that collected does not count.
        await asyncio.sleep(0.01)
        begun, loop.longest = time.process_time(), 0.0
        await operation()
        await _settle(transport, loop)
        return Cost((time.process_time() - begun) * 1000, loop.longest * 1000)
    finally:
        gc.enable()
        # The store closes before the last of the many clients are gone, and says so for each.
        logging.disable(logging.ERROR)
        await service.close()
        logging.disable(logging.NOTSET)


async def _settle(transport: CountingTransport, loop: TimedLoop) -> None:
    """Wait until nothing is delivered any longer."""
    before = -1
    while before != transport.delivered:
        before = transport.delivered
        await asyncio.sleep(0.1)


def run(sizes: Sequence[int], stores: Sequence[str], runs: int) -> dict[tuple[str, str, int], Cost]:
    found: dict[tuple[str, str, int], Cost] = {}
    with RedisServer() if "redis" in stores else nullcontext() as server:
        for title, (case, most), store, size in (
            (title, of, store, size)
            for title, of in CASES.items()
            for store in stores
            for size in sizes
            if size <= of[1]
        ):
            costs = []
            for _ in range(runs):
                options: dict[str, Any] = {}
                if server is not None and store == "redis":
                    url = {
                        "url": server.url,
                        "prefix": f"growth{uuid.uuid4().hex[:8]}",
                        "command_timeout": 60.0,
                    }
                    options = {"store": "redis", "store_options": url}
                loop = TimedLoop()
                asyncio.set_event_loop(loop)
                costs.append(loop.run_until_complete(measure(case, size, options, loop)))
                loop.close()
            cost = Cost(min(cost.whole for cost in costs), min(cost.turn for cost in costs))
            found[title, store, size] = cost
            print(
                f"{title} | {store} | {size:,} of {most:,} | {cost.whole:.1f} | {cost.turn:.1f}", flush=True
            )
    return found


def table(found: dict[tuple[str, str, int], Cost], sizes: Sequence[int], stores: Sequence[str]) -> str:
    """CPU time and longest turn in ms for each size."""
    lines = [f"| operation | store | {' | '.join(f'{size:,}' for size in sizes)} |"]
    lines.append(f"| --- | --- | {' | '.join('---:' for _ in sizes)} |")
    for title in CASES:
        for store in stores:
            costs = [found.get((title, store, size)) for size in sizes]
            cells = ["" if cost is None else f"{cost.whole:,.1f} / {cost.turn:.1f}" for cost in costs]
            lines.append(f"| {title} | {store} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(found: dict[tuple[str, str, int], Cost], stores: Sequence[str]) -> None:
    """Write the plot: solid lines for the whole operation, dashed ones for the longest turn."""
    mpl.use("agg")
    mpl.rcParams.update({"svg.hashsalt": "chat_service", "svg.fonttype": "none"})
    figure, axes = plt.subplots(-(-len(CASES) // 3), 3, figsize=(12, 12), squeeze=False)
    for place in axes.flat[len(CASES) :]:
        place.axis("off")
    for place, title in zip(axes.flat, CASES, strict=False):
        for store in stores:
            points = sorted(
                (size, cost) for (of, at, size), cost in found.items() if (of, at) == (title, store)
            )
            sizes = [size for size, _ in points]
            color = COLORS[store]
            whole, turns = [cost.whole for _, cost in points], [cost.turn for _, cost in points]
            place.plot(sizes, whole, color=color, marker="o", markersize=3, label=f"{store}, whole")
            place.plot(
                sizes,
                turns,
                color=color,
                linestyle="--",
                marker="o",
                markersize=3,
                label=f"{store}, longest turn",
            )
        place.set_xscale("log")
        place.set_yscale("log")
        place.set_title(title.replace(": ", "\n", 1), fontsize=9, loc="left")
        place.set_ylabel("ms of CPU", fontsize=8)
        place.tick_params(labelsize=7)
        place.grid(alpha=0.3)
        place.spines[["top", "right"]].set_visible(False)
    axes.flat[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(PLOT.with_suffix(".png"), dpi=90)
    figure.savefig(PLOT.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10,100,1000,10000")
    parser.add_argument("--stores", default="memory,redis")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    sizes, stores = [int(size) for size in options.sizes.split(",")], options.stores.split(",")
    found = run(sizes, stores, options.runs)
    text = table(found, sizes, stores)
    print(text)
    if options.write:
        page = PAGE.read_text("utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1], "utf-8")
        draw(found, stores)


if __name__ == "__main__":
    main()
