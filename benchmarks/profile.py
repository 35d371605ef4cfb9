"""Profiles the service in a workload: ``python -m benchmarks.profile WORKLOAD --help``.

cProfile counts every call, which exaggerates the cost of calls. py-spy samples a thousand times a second from
outside without side effects; it is in the extra `bench` and needs permission to inspect processes.
"""

import argparse
import io
import os
import pstats
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import loadgen, workloads
from benchmarks.servers import ALL, SERVICE, SERVICE_REDIS

#: Samples per second of py-spy.
RATE = 1000
WRITTEN_IN = 20.0  # seconds


def main() -> None:
    """Run a workload on a server under a profiler and print the most expensive functions."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("workload", choices=list(workloads.ALL))
    parser.add_argument("--server", choices=[SERVICE.key, SERVICE_REDIS.key], default=SERVICE.key)
    parser.add_argument("--profiler", choices=["cprofile", "py-spy"], default="cprofile")
    parser.add_argument("--native", action="store_true", help="py-spy: C functions too")
    parser.add_argument("--top", type=int, default=30, help="number of functions to print (30)")
    parser.add_argument("--seconds", type=float, default=5.0, help="maximum duration of each measurement (5)")
    options = parser.parse_args()
    loadgen.build()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "profile"

        @contextmanager
        def watch(pid: int) -> Iterator[None]:
            if options.profiler == "py-spy":
                with py_spy(pid, file, native=options.native):
                    yield
                print(sampled(file.read_text().splitlines(), options.top))
            else:
                with c_profile(pid, file):
                    yield
                print(counted(file, options.top))
            file.unlink()

        server = replace(ALL[options.server], watch=watch, profile=str(file))
        sizes = replace(workloads.FULL, seconds=options.seconds)
        for found in workloads.ALL[options.workload](server, sizes):
            print(found)


@contextmanager
def c_profile(pid: int, file: Path) -> Iterator[None]:
    """Profile the service with cProfile; it was started to write to ``file``."""
    os.kill(pid, signal.SIGUSR1)
    yield
    os.kill(pid, signal.SIGUSR1)
    deadline = time.monotonic() + WRITTEN_IN
    while not file.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the service wrote no profile")
        time.sleep(0.05)


@contextmanager
def py_spy(pid: int, file: Path, *, native: bool) -> Iterator[None]:
    """Profile a process with py-spy; returns stacks with their counts."""
    # Prefer the one next to the interpreter.
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        raise RuntimeError("py-spy is not installed; tools/setup.sh bench installs it")
    command = [program, "record", "--pid", str(pid), "--format", "raw", "--output", str(file)]
    command += ["--rate", str(RATE), "--duration", "unlimited", *(["--native"] if native else [])]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=WRITTEN_IN)[1].decode()
    if not file.exists():
        raise RuntimeError(f"py-spy found nothing: {errors.strip()}")


def counted(file: Path, top: int) -> str:
    """The most expensive functions in a cProfile file."""
    out = io.StringIO()
    pstats.Stats(str(file), stream=out).strip_dirs().sort_stats("tottime").print_stats(top)
    return out.getvalue()


def sampled(stacks: Iterable[str], top: int) -> str:
    """The functions and files with most samples, from lines "outer;inner count"."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    files: Counter[str] = Counter()
    samples = 0
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        # Without line numbers, to add up the parts of a function.
        frames = [frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in stack.split(";")]
        samples += int(count)
        own[frames[-1]] += int(count)
        files[frames[-1].partition("(")[2].rstrip(")") or "?"] += int(count)
        for frame in set(frames):
            total[frame] += int(count)
    rows = [
        f"{number / samples:7.1%} {total[name] / samples:7.1%}  {name}"
        for name, number in own.most_common(top)
    ]
    by_file = [f"{number / samples:7.1%}  {name}" for name, number in files.most_common(top)]
    return "\n".join(
        [f"{samples} samples", "    own   total  function", *rows, "", "    own  file", *by_file]
    )


if __name__ == "__main__":
    main()
