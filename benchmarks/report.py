"""Renders results as Markdown tables, which are also readable in a terminal."""

from collections.abc import Mapping, Sequence

from benchmarks.capacity import capacity_table
from benchmarks.servers import ALL
from benchmarks.stats import Spread, Summary
from benchmarks.targets import METRIC_TITLES, Comparison, compare

Summaries = Mapping[tuple[str, str, int | None], Summary]

TITLES = {
    "command": "Command: per message into a room of one",
    "command-with-key": "Command with an idempotency key: per message into a room of one",
    "fanout-1": "Fan-out: per delivery, 1 message in flight",
    "fanout-4": "Fan-out: per delivery, 4 messages in flight",
    "fanout-16": "Fan-out: per delivery, 16 messages in flight",
    "fanout-one-sender-4": "Fan-out: per delivery, 4 messages of one sender in flight",
    "fanout-one-sender-16": "Fan-out: per delivery, 16 messages of one sender in flight",
    "fanout-two-instances": "Fan-out over two instances: per delivery, both instances together, 4 in flight",
    "fanout-all-read": "Fan-out of 2,048 characters: per delivery, all of 1,000 members read",
    "fanout-10-stopped": "Fan-out of 2,048 characters: per delivery, 10 of 1,000 members do not read",
    "hop": "Hop: per message, CPU of an instance with one member that received it from another instance",
    "mixed": "Mixed: per message with 10 deliveries",
    "join": "Join: per connect, login and join",
    "memory": "Idle memory per joined client",
    "history-oldest": "History: per read of the 100 oldest",
    "history-newest": "History: per read of the 100 newest",
    "join-with-history": "Join with the 100 newest messages: per join of a joined socket",
    "by-members": "Per delivery, by members of the room",
    "by-rooms": "Per command, by rooms",
    "by-stored": "Per command, by messages stored in the room",
    "by-in-flight": "Per command, by commands in flight",
}

Row = Sequence[str]


def table(head: Row, rows: Sequence[Row], texts: int = 1) -> str:
    """A Markdown table with aligned columns, of which the first ``texts`` are text and the others numbers."""
    lines = [head, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]

    def show(line: Row) -> str:
        cells = [
            cell.ljust(width) if n < texts else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    rule = [("-" * width) if n < texts else "-" * (width - 1) + ":" for n, width in enumerate(widths)]
    return "\n".join([show(head), f"| {' | '.join(rule)} |", *map(show, rows)])


def number(value: float) -> str:
    """Format with three significant digits, or all digits before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(value: Spread | None) -> str:
    """Median (min–max)."""
    if value is None:
        return ""
    if value.rounds == 1:
        return number(value.median)
    return f"{number(value.median)} ({number(value.min)}–{number(value.max)})"


def report(summaries: Summaries, machine: Mapping[str, str], rounds: int) -> str:
    """All tables."""
    parts = [
        "### Machine",
        table(("", "version or value"), list(machine.items()), 2),
        f"Medians of {rounds} rounds (minimum–maximum).",
        "### Ratios to the npm package, and targets",
        "Our median divided by that of the npm package on the same store in the same run; smaller is better. "
        "Fan-out with stopped readers is relative to our own fan-out without.",
        comparison_table(list(compare(summaries))),
    ]
    workloads = dict.fromkeys(workload for workload, _, x in summaries if x is None)
    for workload in TITLES:
        if workload in workloads:
            parts += [f"### {TITLES[workload]}", workload_table(workload, summaries)]
    parts += capacity_table(summaries, table)
    for curve in TITLES:
        if any(workload == curve and x is not None for workload, _, x in summaries):
            parts += [f"### {TITLES[curve]}: CPU in µs", curve_table(curve, summaries)]
    return "\n\n".join(parts) + "\n"


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """One row per workload and own server."""
    metrics = tuple(METRIC_TITLES)
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for item in comparisons:
        target = "" if item.limit is None else f" / {item.limit:.2f} {'✓' if item.met else '✗'}"
        cells.setdefault((item.workload, item.server), {})[item.metric] = f"{item.ratio:.2f}{target}"
    rows = [
        (workload, ALL[server].title, *(found.get(metric, "") for metric in metrics))
        for (workload, server), found in sorted(cells.items(), key=lambda item: _position(item[0]))
    ]
    head = ("workload", "server", *(f"{METRIC_TITLES[metric]}: ratio / target" for metric in metrics))
    return table(head, rows, 2)


def _position(key: tuple[str, str]) -> tuple[int, int]:
    workload, server = key
    return list(TITLES).index(workload), list(ALL).index(server)


def workload_table(workload: str, summaries: Summaries) -> str:
    """One row per server."""
    columns = (
        ("cpu_us", "server CPU µs"),
        ("redis_us", "Redis CPU µs"),
        ("memory_kb", "KB"),
        ("rate", "per second"),
        ("p50_ms", "p50 ms"),
        ("p99_ms", "p99 ms"),
        ("load_share", "load generator's share"),
    )
    found = {server.title: summaries.get((workload, key, None)) for key, server in ALL.items()}
    present = {title: summary for title, summary in found.items() if summary}
    used = [(metric, head) for metric, head in columns if any(metric in item for item in present.values())]
    rows = [
        (title, *(spread(summary.get(metric)) for metric, _ in used)) for title, summary in present.items()
    ]
    return table(("server", *(head for _, head in used)), rows)


def curve_table(curve: str, summaries: Summaries) -> str:
    """One row per server, one column per point."""
    points = sorted({x for workload, _, x in summaries if workload == curve and x is not None})
    rows = []
    for key, server in ALL.items():
        cells = [summaries.get((curve, key, x), {}).get("cpu_us") for x in points]
        if any(cells):
            rows.append((server.title, *map(spread, cells)))
    return table(("server", *(f"{x:,}" for x in points)), rows)
