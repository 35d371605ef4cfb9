"""Runs rounds: each runs every workload on every server, in rotating order."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks import curves, workloads
from benchmarks.servers import Server
from benchmarks.stats import Measurement


@dataclass(slots=True, kw_only=True)
class Results:
    """All measurements, and failures as "workload on server: why"."""

    measurements: list[Measurement] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def rounds(
    servers: Sequence[Server],
    names: Sequence[str],
    sizes: workloads.Sizes,
    count: int,
    results: Results,
) -> Iterator[int]:
    """Run the workloads. Yields the number of each finished round."""
    for number in range(count):
        for name in names:
            for server in turned(servers, number):
                label = f"round {number + 1}/{count}: {name} on {server.title}"
                _run(label, partial(workloads.ALL[name], server, sizes), results)
        yield number


def curve_rounds(
    servers: Sequence[Server], points: curves.Points, count: int, results: Results
) -> Iterator[int]:
    """Run the curves, as ``rounds`` runs the workloads.

    After the first round only for our servers, since the others take most of the time.
    """
    for number in range(count):
        measured = [server for server in servers if number == 0 or server.original]
        for name, curve in curves.ALL.items():
            for server in turned(measured, number):
                label = f"round {number + 1}/{count}: {name} on {server.title}"
                _run(label, partial(curve, server, points), results)
        yield number


def turned(servers: Sequence[Server], by: int) -> list[Server]:
    """The servers, rotated by one in each round."""
    by %= max(1, len(servers))
    return [*servers[by:], *servers[:by]]


def _run(label: str, measure: Callable[[], list[Measurement]], results: Results) -> None:
    since = time.monotonic()
    try:
        found = measure()
    except Exception as error:
        # A failure must not lose the other results; the run ends with an exit code.
        results.failures.append(f"{label}: {error}")
        _say(f"{label}: FAILED: {error}")
        return
    results.measurements += found
    if found:
        _say(f"{label}: {time.monotonic() - since:.1f} s; {'; '.join(map(_short, found))}")


def _short(item: Measurement) -> str:
    value = item.cpu_us if item.cpu_us is not None else item.memory_kb
    unit = "µs" if item.cpu_us is not None else "KB"
    at = "" if item.x is None else f" at {item.x}"
    return f"{item.workload}{at} {value:.1f} {unit}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
