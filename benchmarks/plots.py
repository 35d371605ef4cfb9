"""Plots of the results, as PNG and SVG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.report import TITLES
from benchmarks.servers import ALL
from benchmarks.stats import Spread, Summary

mpl.use("agg")
# Makes the files reproducible.
mpl.rcParams["svg.hashsalt"] = "chat_service"
mpl.rcParams["svg.fonttype"] = "none"  # a tenth of the size of text as paths

Summaries = Mapping[tuple[str, str, int | None], Summary]

COLORS = {
    "service": "#1b6ca8",
    "service-redis": "#7fb2d9",
    "npm": "#c8553d",
    "npm-redis": "#e5a796",
    "socket.io": "#8a8a8a",
    "python-socketio": "#c9b037",
    "socketioxide": "#7a4b94",
    "centrifuge": "#3d9a8b",
}

#: Bars: workload, metric, unit.
BARS = (
    ("command", "cpu_us", "µs of server CPU"),
    ("fanout-1", "cpu_us", "µs of server CPU"),
    ("fanout-4", "cpu_us", "µs of server CPU"),
    ("fanout-16", "cpu_us", "µs of server CPU"),
    ("fanout-one-sender-4", "cpu_us", "µs of server CPU"),
    ("fanout-two-instances", "cpu_us", "µs of server CPU"),
    ("fanout-10-stopped", "cpu_us", "µs of server CPU"),
    ("mixed", "cpu_us", "µs of server CPU"),
    ("join", "cpu_us", "µs of server CPU"),
    ("memory", "memory_kb", "KB"),
    ("history-oldest", "cpu_us", "µs of server CPU"),
    ("history-newest", "cpu_us", "µs of server CPU"),
    ("command", "p99_ms", "p99 in ms"),
    ("mixed", "p99_ms", "p99 in ms"),
)
CURVES = ("by-members", "by-rooms", "by-stored", "by-in-flight")
_COLUMNS = 3


def draw(summaries: Summaries, folder: Path) -> list[Path]:
    """Write the plots into a folder. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    if any(key[0] == bar[0] for key in summaries for bar in BARS):
        written += _save(_bars(summaries), folder / "workloads")
    if any(workload in CURVES for workload, _, _ in summaries):
        written += _save(_curves(summaries), folder / "curves")
    return written


def _bars(summaries: Summaries) -> Any:
    wanted = [
        bar for bar in BARS if any(key[0] == bar[0] and bar[1] in found for key, found in summaries.items())
    ]
    rows = -(-len(wanted) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(12, 2.6 * rows), squeeze=False)
    for place in axes.flat[len(wanted) :]:
        place.axis("off")
    for place, (workload, metric, unit) in zip(axes.flat, wanted, strict=False):
        found = [
            (key, summary[metric])
            for key in ALL
            if metric in (summary := summaries.get((workload, key, None), {}))
        ]
        medians = [spread.median for _, spread in found]
        place.barh(
            [ALL[key].title for key, _ in found],
            medians,
            xerr=_errors([spread for _, spread in found]),
            color=[COLORS[key] for key, _ in found],
            error_kw={"elinewidth": 1, "capsize": 2, "ecolor": "#333333"},
        )
        place.invert_yaxis()
        place.set_title(TITLES[workload].replace(": ", "\n", 1), fontsize=8, loc="left")
        place.set_xlabel(f"{unit} (less is better)", fontsize=7)
        place.tick_params(labelsize=7)
        place.spines[["top", "right"]].set_visible(False)
    return figure


def _curves(summaries: Summaries) -> Any:
    figure, axes = plt.subplots(2, 2, figsize=(12, 8))
    for place, curve in zip(axes.flat, CURVES, strict=True):
        for key, server in ALL.items():
            points = sorted(
                (x, found["cpu_us"])
                for (workload, of, x), found in summaries.items()
                if workload == curve and of == key and x is not None
            )
            if not points:
                continue
            place.errorbar(
                [x for x, _ in points],
                [spread.median for _, spread in points],
                yerr=_errors([spread for _, spread in points]),
                label=server.title,
                color=COLORS[key],
                marker="o",
                markersize=3,
                capsize=2,
            )
        # The points include 0.
        place.set_xscale("symlog")
        place.set_ylim(bottom=0)
        place.set_title(TITLES[curve], fontsize=10, loc="left")
        place.set_ylabel("µs of server CPU", fontsize=8)
        place.tick_params(labelsize=8)
        place.grid(alpha=0.3)
        place.spines[["top", "right"]].set_visible(False)
    axes.flat[0].legend(fontsize=8)
    return figure


def _errors(spreads: list[Spread]) -> list[list[float]]:
    """Distances from the median to the extremes."""
    return [[item.median - item.min for item in spreads], [item.max - item.median for item in spreads]]


def _save(figure: Any, path: Path) -> list[Path]:
    figure.tight_layout()
    png, svg = path.with_suffix(".png"), path.with_suffix(".svg")
    figure.savefig(png, dpi=90)
    figure.savefig(svg, metadata={"Date": None})
    plt.close(figure)
    return [png, svg]
