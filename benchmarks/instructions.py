"""Counts machine instructions per operation: ``python -m benchmarks.instructions [WORKLOAD] [--server KEY]``.

Unlike CPU time, the count hardly depends on what else the machine does: it repeats within a percent, so it
shows small changes of the code. It leaves out the kernel. Needs valgrind, and Python as it is installed here:
compare only counts of one interpreter.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import loadgen, workloads
from benchmarks.servers import ALL, SERVICE, SERVICE_REDIS

#: Operations to count, and before that; valgrind runs them about fifty times slower.
COUNTED, WARM_UP = 2000, 600
CLIENTS = 8


def main() -> None:
    """Run a workload under callgrind and print the instructions per operation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("workload", nargs="?", choices=list(workloads.ALL), default="command")
    parser.add_argument("--server", choices=[SERVICE.key, SERVICE_REDIS.key], default=SERVICE.key)
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed; on Debian and Ubuntu: sudo apt-get install valgrind")
    loadgen.build()
    workloads.WARM_UP = WARM_UP
    sizes = replace(workloads.QUICK, commands=COUNTED, command_clients=CLIENTS, seconds=600.0)
    with tempfile.TemporaryDirectory() as folder:
        server = replace(ALL[options.server], wrapper=wrapper(Path(folder)), watch=watcher())
        phases = workloads.ALL[options.workload](server, sizes)
        # Not every phase is counted: memory has no operations.
        for found, total in zip(phases, totals(Path(folder)), strict=False):
            print(f"{found.workload}: {total / found.operations:,.0f} instructions per operation")


def wrapper(folder: Path) -> tuple[str, ...]:
    """The command line that runs a program under callgrind, which counts only when it is told to."""
    output = f"--callgrind-out-file={folder / 'counts'}"
    return ("valgrind", "--tool=callgrind", "--instr-atstart=no", "-q", output)


def watcher() -> Callable[[int], AbstractContextManager[None]]:
    """Counts during a measurement, and writes the counts at its end."""

    @contextmanager
    def watch(pid: int) -> Iterator[None]:
        control(pid, "--instr=on")
        yield
        control(pid, "--instr=off")
        control(pid, "--dump")

    return watch


def control(pid: int, order: str) -> None:
    """Send an order to callgrind."""
    subprocess.run(["callgrind_control", order, str(pid)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607


def totals(folder: Path) -> Iterator[int]:
    """The totals that callgrind has written to a folder, in the order of the measurements."""
    for file in sorted(folder.glob("counts.*"), key=lambda file: int(file.suffix[1:])):
        for found in re.finditer(r"^totals: (\d+)", file.read_text(), re.MULTILINE):
            yield int(found[1])


if __name__ == "__main__":
    main()
