"""Counts the requests of a service to Redis."""

import re
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client

from chat_service.contracts.bus import Bus, Topic, TopicKind
from chat_service.stores.redis.link import Link

DOCS = Path(__file__).resolve().parents[2] / "docs" / "redis.md"
#: Commands on the bus connection.
BUS = frozenset({"SSUBSCRIBE", "SUNSUBSCRIBE"})
#: Commands of the measurement itself.
SETTLED = Topic(TopicKind.ROOM, "settled")
OWN = frozenset({"info", "config|resetstat", "echo", "monitor", "client|setinfo", "select", "hello"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of a client's command in Redis."""

    #: How often something was sent: commands that are sent together are one round trip.
    trips: int
    #: Commands and scripts sent and awaited, in the order of sending.
    sent: tuple[str, ...]
    #: Subscriptions, sent on another connection.
    bus: tuple[str, ...]
    #: Number of commands that Redis executes, including those in scripts.
    executed: int

    def row(self, name: str) -> str:
        """The row for the table in the docs."""
        cells = [f"`{name}`", str(self.trips), _shown(self.sent), _shown(self.bus), str(self.executed)]
        return f"| {' | '.join(cells)} |"


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(names).items()) or "–"


@contextmanager
def counting_trips() -> Iterator[Counter[str]]:
    """Counts the writes to each node on the connections for commands."""
    trips: Counter[str] = Counter()
    flush = Link._flush

    def counted(link: Link) -> None:
        if link._unsent and link._on_push is None:
            trips[link.name] += 1
        flush(link)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Link, "_flush", counted)
        yield trips


class CostMeter:
    """Reads ``INFO commandstats``, and ``MONITOR``, which shows what came from scripts."""

    def __init__(self, client: "redis_client.Redis", bus: Bus) -> None:
        self._client = client
        self._bus = bus

    async def measure(self, work: Any) -> Cost:
        """Await the work and return its cost. Resets all counters of the server."""
        self._client.ping()
        with self._client.monitor() as monitor:
            self._client.config_resetstat()
            with counting_trips() as trips:
                await work
            # When this is done, everything sent on the bus connection before has arrived.
            await self._bus.subscribe(SETTLED)
            stats = self._client.info("commandstats")
            marker = uuid.uuid4().hex
            self._client.echo(marker)
            sent, inside = self._read(monitor, marker)
        counted = {
            name.removeprefix("cmdstat_"): fields["calls"]
            for name, fields in stats.items()
            if name.removeprefix("cmdstat_") not in OWN
        }
        await self._bus.unsubscribe(SETTLED)
        counted["ssubscribe"] -= 1
        counted = {name: calls for name, calls in counted.items() if calls}
        # Two independent sources must agree.
        assert counted == Counter(name.lower() for name in sent + inside)
        return Cost(
            trips=trips.total(),
            sent=tuple(name for name in sent if name not in BUS),
            bus=tuple(name for name in sent if name in BUS),
            executed=sum(counted.values()),
        )

    def _read(self, monitor: Any, marker: str) -> tuple[list[str], list[str]]:
        sent: list[str] = []
        inside: list[str] = []
        in_transaction = False
        while marker not in (line := monitor.next_command())["command"]:
            name = line["command"].split(" ")[0].upper()
            if SETTLED.name in line["command"] or name.lower() in OWN or name in ("CONFIG", "CLIENT"):
                continue
            # A transaction is sent in one piece and answered at its end.
            (inside if line["client_type"] == "lua" or in_transaction else sent).append(name)
            in_transaction = name == "MULTI" or (in_transaction and name != "EXEC")
        return sent, inside


def documented() -> dict[str, str]:
    """The rows of the table in the docs, by command name."""
    text = DOCS.read_text("utf-8")
    _, _, part = text.partition("<!-- costs -->")
    rows = re.findall(r"^\| `([^`]+)` \|.*\|$", part.partition("<!-- end of costs -->")[0], re.MULTILINE)
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return dict(zip(rows, lines, strict=False))
