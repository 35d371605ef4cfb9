"""Summaries of several rounds: medians with their spread, and ratios of two servers."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: The values of a measurement; None if not applicable.
METRICS = ("cpu_us", "redis_us", "memory_kb", "rate", "p50_ms", "p99_ms", "load_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One round of a workload on a server."""

    workload: str
    server: str
    #: Number of operations: commands, deliveries, joins, clients, ...
    operations: int
    #: CPU time of the server and of its Redis per operation, in microseconds.
    cpu_us: float | None = None
    redis_us: float | None = None
    #: Resident memory per client in KB.
    memory_kb: float | None = None
    #: Operations per second of wall time.
    rate: float | None = None
    #: Latency seen by the clients, in milliseconds.
    p50_ms: float | None = None
    p99_ms: float | None = None
    #: CPU time of the load generator divided by wall time; near 1 it was the bottleneck.
    load_share: float | None = None
    #: The position on a curve, else None.
    x: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of several rounds with minimum and maximum."""

    median: float
    min: float
    max: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Raises ``ValueError`` if there are no values."""
        if not values:
            raise ValueError("no values")
        return cls(median=statistics.median(values), min=min(values), max=max(values), rounds=len(values))


#: By metric.
Summary = dict[str, Spread]


def summarize(measurements: Iterable[Measurement]) -> dict[tuple[str, str, int | None], Summary]:
    """Spreads by (workload, server, x), in the order of the first measurement of each."""
    values: dict[tuple[str, str, int | None], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for item in measurements:
        of_metric = values[item.workload, item.server, item.x]
        for metric in METRICS:
            value = getattr(item, metric)
            if value is not None:
                of_metric[metric].append(value)
    return {
        key: {metric: Spread.of(rounds) for metric, rounds in of_metric.items()}
        for key, of_metric in values.items()
    }


def ratio(ours: Summary, theirs: Summary, metric: str) -> float | None:
    """Our median divided by theirs; None if either is missing or theirs is 0."""
    if metric not in ours or metric not in theirs or not theirs[metric].median:
        return None
    return ours[metric].median / theirs[metric].median


def as_json(summaries: dict[tuple[str, str, int | None], Summary]) -> list[dict[str, Any]]:
    """Summaries as a JSON value."""
    return [
        {
            "workload": workload,
            "server": server,
            "x": x,
            **{metric: asdict(spread) for metric, spread in summary.items()},
        }
        for (workload, server, x), summary in summaries.items()
    ]


def from_json(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str, int | None], Summary]:
    """The inverse of ``as_json``."""
    return {
        (row["workload"], row["server"], row["x"]): {
            metric: Spread(**row[metric]) for metric in METRICS if metric in row
        }
        for row in rows
    }
