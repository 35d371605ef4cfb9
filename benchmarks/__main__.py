"""The command line: runs everything, prints tables, writes JSON, plots and docs/performance.md."""

import argparse
import datetime
import json
import signal
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from benchmarks import curves, loadgen, machine, runner, workloads
from benchmarks.builds import MissingError
from benchmarks.report import report
from benchmarks.servers import ALL, NPM, NPM_REDIS, SERVICE, SERVICE_REDIS, Server, command_of
from benchmarks.stats import Measurement, as_json, from_json, summarize

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"
#: Results of quick runs and of runs with selected workloads.
SCRATCH = ROOT / "build" / "benchmarks"

BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"

QUICK_ROUNDS = 3
QUICK_WORKLOADS = ("command", "fanout", "mixed", "join", "history")
#: The servers of quick runs and curves.
COMPARED = (SERVICE, SERVICE_REDIS, NPM, NPM_REDIS)


def main() -> int:
    """Returns the exit code: 1 if a measurement failed."""
    options = _options()
    # Exit normally so that the servers are stopped.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if options.from_json:
        found = json.loads(RESULTS.read_text())
        _publish(found)
        return 0
    loadgen.build()
    if options.only_curves:
        return _add_curves(json.loads(RESULTS.read_text()), options.curve_rounds)
    names = options.workloads or (QUICK_WORKLOADS if options.quick else tuple(workloads.ALL))
    chosen = [ALL[key] for key in options.servers or ()]
    servers = _available(chosen or (COMPARED if options.quick else ALL.values()))
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else 5)
    sizes = workloads.QUICK if options.quick else workloads.FULL
    is_whole = not (options.quick or options.workloads or options.servers)
    target = RESULTS if is_whole else SCRATCH / "results.json"

    about = machine.describe()
    results = runner.Results()
    found = {}
    steps = [runner.rounds(servers, names, sizes, rounds, results)]
    if is_whole and options.curve_rounds:
        steps.append(runner.curve_rounds(COMPARED, curves.FULL, options.curve_rounds, results))
    for step in steps:
        # Written after each round, so that an interrupted run keeps its results.
        for _ in step:
            found = _result(results, about, rounds, sizes)
            _write_json(target, found)
    print(report(from_json(found["summaries"]), about, rounds))
    if is_whole:
        _publish(found)
    else:
        _draw(found, SCRATCH)
    return _exit_code(results)


def _available(servers: Iterable[Server]) -> list[Server]:
    """The servers that can be started here. Says why others cannot."""
    found = []
    for server in servers:
        try:
            command_of(server)
            found.append(server)
        except (MissingError, CalledProcessError) as error:
            print(f"{server.title} is left out: {error}", file=sys.stderr)
    return found


def _exit_code(results: runner.Results) -> int:
    for failure in results.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if results.failures else 0


def _add_curves(found: dict[str, Any], rounds: int) -> int:
    """Replace the curves in the last results."""
    rows = [Measurement(**row) for row in found["measurements"] if row["x"] is None]
    results = runner.Results(measurements=rows)
    for _ in runner.curve_rounds(COMPARED, curves.FULL, rounds, results):
        pass
    found["measurements"] = [asdict(item) for item in results.measurements]
    found["summaries"] = as_json(summarize(results.measurements))
    found["failures"] += results.failures
    _write_json(RESULTS, found)
    _publish(found)
    return _exit_code(results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small subset, takes 2 minutes")
    parser.add_argument("--workloads", nargs="+", choices=list(workloads.ALL), metavar="NAME")
    parser.add_argument("--servers", nargs="+", choices=list(ALL), metavar="NAME")
    parser.add_argument("--rounds", type=int, help="rounds of the workloads (5, quick 3)")
    parser.add_argument("--curve-rounds", type=int, default=2, help="rounds of our curves (2)")
    parser.add_argument(
        "--only-curves", action="store_true", help="measure only the curves, and keep the other results"
    )
    parser.add_argument(
        "--from-json",
        action="store_true",
        help="measure nothing; render plots and page from the last results",
    )
    return parser.parse_args()


def _result(
    results: runner.Results, about: dict[str, str], rounds: int, sizes: workloads.Sizes
) -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": about,
        "rounds": rounds,
        "sizes": asdict(sizes),
        "summaries": as_json(summarize(results.measurements)),
        "measurements": [asdict(item) for item in results.measurements],
        "failures": results.failures,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _publish(found: dict[str, Any]) -> None:
    """Draw the plots for the documentation and insert the tables into its page."""
    _draw(found, PLOTS)
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or END not in text:
        raise RuntimeError(f"{PAGE.name} has no markers for the results")
    tables = report(from_json(found["summaries"]), found["machine"], found["rounds"])
    PAGE.write_text(f"{before}{BEGIN}\nMeasured on {found['date']}.\n\n{tables}\n{END}{after}")


def _draw(found: dict[str, Any], folder: Path) -> None:
    try:
        # From the extra `bench`; not needed for measuring.
        from benchmarks.plots import draw
    except ImportError:
        print("no plots: matplotlib is not installed", file=sys.stderr)
        return
    for path in draw(from_json(found["summaries"]), folder):
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
