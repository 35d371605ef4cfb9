"""Measures for how long scripts hold up Redis when many users are removed from a room.

    python -m benchmarks.large_rooms [runs]

Prints a table: for each change and number of members the time in ms of the decision, of its slices (the
median), and of the whole change. Times of scripts are those of SLOWLOG. Of several runs the shortest times
count, since whatever else runs on the machine only adds to them.
"""

import asyncio
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.stores.redis import RedisStore, scripts
from chat_service.types import RoomName, UserName
from tests.redis.ghosts import write_ghosts
from tests.support.redis_servers import RedisServer

MEMBERS = (100, 1000, 3000, 10_000)
ROOM = RoomName("room")
NOW = 1_700_000_000_000
LIMIT = 100_000
#: Scripts that do a part of a change.
SLICES = ("room_pending", "room_clear")


class Times(NamedTuple):
    """Times in ms; ``slice``: None if everything was done at once."""

    decision: float
    slice: float | None
    change: float


class Silent:
    """A bus listener that hears nothing, since it subscribes to nothing."""

    def on_envelope(self, topic: Any, envelope: Any) -> None:
        """Part of ``BusListener``."""

    def on_interruption(self, topic: Any) -> None:
        """Part of ``BusListener``."""


def names(count: int) -> list[UserName]:
    return [UserName(f"ghost{number}") for number in range(count)]


def mode(staying: Callable[[int], int]) -> tuple[Callable[[int], list[UserName]], Any]:
    """Whitelist mode with so many of the members in the whitelist."""
    return (
        lambda members: names(staying(members)),
        lambda store, members: store.room_set_mode(ROOM, SYSTEM, NOW, True),
    )


def blacklist(most: int) -> tuple[Callable[[int], list[UserName]], Any]:
    """A list of at most so many names, all of members."""
    return (
        lambda members: [],
        lambda store, members: store.room_change_list(
            ROOM, SYSTEM, "blacklist", NOW, add=names(min(members, most)), limit=LIMIT
        ),
    )


#: The names in the whitelist, and the change.
CHANGES: dict[str, tuple[Callable[[int], list[UserName]], Callable[[RedisStore, int], Awaitable[Any]]]] = {
    "whitelist mode, 10 stay": mode(lambda members: 10),
    "whitelist mode, half stay": mode(lambda members: members // 2),
    "deletion": (lambda members: [], lambda store, members: store.room_delete(ROOM, SYSTEM)),
    "blacklist, up to 100 names": blacklist(100),
    "blacklist, up to 1,000 names": blacklist(1000),
    "blacklist, names of all members": blacklist(LIMIT),
}


async def measure(server: RedisServer, change: str, members: int) -> Times:
    """Make the change once, in a new room."""
    prefix = f"large{uuid.uuid4().hex[:8]}"
    store = RedisStore({"url": server.url, "prefix": prefix, "command_timeout": 60.0})
    await store.open(Silent())
    whitelist, make = CHANGES[change]
    try:
        with server.client() as client:
            config = RoomConfig(whitelist=whitelist(members), enable_userlist_updates=True)
            await store.room_create(ROOM, config)
            write_ghosts(client, prefix, members, [ROOM])
            for name in SLICES:
                client.script_load(scripts.load(name).text)
            client.config_set("slowlog-log-slower-than", 0)
            client.config_set("slowlog-max-len", 1_000_000)
            client.slowlog_reset()
            begun = time.perf_counter()
            await make(store, members)
            taken = time.perf_counter() - begun
            client.config_set("slowlog-log-slower-than", -1)
            decision, slices = _times(client.slowlog_get(1_000_000), prefix)
            client.flushall()
    finally:
        await store.close()
    return Times(decision, statistics.median(slices) if slices else None, taken * 1000)


def _times(entries: list[Any], prefix: str) -> tuple[float, list[float]]:
    """The longest script about the room but slices, and the times of these."""
    decisions: list[float] = [0.0]
    slices: list[float] = []
    # They are loaded before.
    sliced = {scripts.load(name).digest.encode() for name in SLICES}
    for entry in entries:
        words = entry["command"].split(b" ")
        if words[0] in (b"EVAL", b"EVALSHA") and b"%s:room:{%s}" % (prefix.encode(), ROOM.encode()) in words:
            (slices if words[1] in sliced else decisions).append(entry["duration"] / 1000)
    return max(decisions), slices


async def run(server: RedisServer, runs: int) -> None:
    print("| change | members | decision | slice | whole change |")
    print("| --- | --- | --- | --- | --- |")
    for change in CHANGES:
        for members in MEMBERS:
            found = [await measure(server, change, members) for _ in range(runs)]
            slices = [times.slice for times in found if times.slice is not None]
            cells = [
                change,
                f"{members:,}",
                f"{min(times.decision for times in found):.1f}",
                f"{min(slices):.1f}" if slices else "–",
                f"{min(times.change for times in found):.0f}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with RedisServer() as server:
        asyncio.run(run(server, runs))


if __name__ == "__main__":
    main()
