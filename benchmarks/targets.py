"""Targets: our median relative to that of the npm package on the same store in the same run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.servers import ALL, SERVICE, SERVICE_REDIS
from benchmarks.stats import Summary, ratio

#: Target for the 99th percentile of latency in all workloads.
P99 = 0.5

#: Workloads compared with another one on the same server, and the limit of their CPU time.
STOPPED, ALL_READ, STOPPED_LIMIT = "fanout-10-stopped", "fanout-all-read", 1.10

#: Limits by workload and server for the CPU time (or memory) of the server and the CPU time of Redis.
_LIMITS: dict[str, dict[str, tuple[float, float | None]]] = {
    "command": {SERVICE.key: (0.40, None), SERVICE_REDIS.key: (0.25, 0.20)},
    "fanout-1": {SERVICE.key: (0.48, None), SERVICE_REDIS.key: (0.46, None)},
    "fanout-4": {SERVICE.key: (0.17, None), SERVICE_REDIS.key: (0.14, None)},
    "fanout-one-sender-4": {SERVICE.key: (0.17, None), SERVICE_REDIS.key: (0.14, None)},
    "mixed": {SERVICE.key: (0.20, None), SERVICE_REDIS.key: (0.20, 0.20)},
    "join": {SERVICE.key: (0.22, None), SERVICE_REDIS.key: (0.18, 0.20)},
    "memory": {SERVICE.key: (0.25, None), SERVICE_REDIS.key: (0.21, None)},
    "history-oldest": {SERVICE.key: (0.11, None), SERVICE_REDIS.key: (0.18, 0.20)},
    "history-newest": {SERVICE.key: (0.12, None), SERVICE_REDIS.key: (0.16, 0.20)},
}

METRIC_TITLES = {
    "cpu_us": "server CPU",
    "redis_us": "Redis CPU",
    "memory_kb": "memory",
    "p99_ms": "p99",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A ratio to the npm package and its upper limit, if there is one."""

    workload: str
    server: str
    metric: str
    ratio: float
    limit: float | None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.limit is None else self.ratio <= self.limit


def limit_of(workload: str, server: str, metric: str) -> float | None:
    """The target for a metric, if any."""
    cost, redis = _LIMITS.get(workload, {}).get(server, (None, None))
    return {"cpu_us": cost, "memory_kb": cost, "redis_us": redis, "p99_ms": P99}[metric]


def compare(summaries: Mapping[tuple[str, str, int | None], Summary]) -> Iterator[Comparison]:
    """The ratios of our servers to the npm package in the order of the summaries, without curves."""
    for (workload, key, x), ours in summaries.items():
        if workload == STOPPED and (reading := summaries.get((ALL_READ, key, None))):
            found = ratio(ours, reading, "cpu_us")
            if found is not None:
                yield Comparison(
                    workload=workload, server=key, metric="cpu_us", ratio=found, limit=STOPPED_LIMIT
                )
            continue
        original = ALL[key].original
        theirs = summaries.get((workload, original, x)) if original and x is None else None
        if theirs is None:
            continue
        for metric in METRIC_TITLES:
            found = ratio(ours, theirs, metric)
            if found is not None:
                yield Comparison(
                    workload=workload,
                    server=key,
                    metric=metric,
                    ratio=found,
                    limit=limit_of(workload, key, metric),
                )
