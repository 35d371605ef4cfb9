"""Processes on chosen cores, their CPU time and memory. Linux only."""

import contextlib
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

READY_IN = 120.0  # seconds; 10,000 rooms take the slowest server a while
#: Sockets of one process at most: 10,000 clients and some more.
OPEN_FILES = 20_000

_CPUCLOCK_SCHED = 2


def cores() -> tuple[int, int]:
    """The core for the server and the one for all else."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with all its threads so far, to the nanosecond.

    /proc/PID/stat has the same in steps of 10 ms. The clock's number is made as clock_getcpuclockid(3) does.
    """
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def memory_kb(pid: int) -> float:
    """Resident memory of a process that no other shares, in KB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return float(line.split()[1])
    raise RuntimeError(f"process {pid} has ended")


def reset_peak(pid: int) -> None:
    """Begin to look for the peak of a process's memory anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_kb(pid: int) -> float:
    """The most resident memory of a process since ``reset_peak``, in KB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1])
    raise RuntimeError(f"process {pid} has ended")


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A program on one core, from its first to its last moment."""

    def __init__(self, command: Sequence[str], *, core: int, ready: str | None = None) -> None:
        """Start it; with ``ready``, wait until it prints a line that begins so. Raises ``RuntimeError``."""

        def prepare() -> None:
            os.sched_setaffinity(0, {core})
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))

        self._name = Path(command[-2] if len(command) > 1 else command[0]).name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop
        self.process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            preexec_fn=prepare,
        )
        # Both are there, as they were asked for.
        self._input = cast(IO[bytes], self.process.stdin)
        self._output = cast(IO[bytes], self.process.stdout)
        if ready is not None:
            try:
                self._wait_for(ready)
            except BaseException:
                self.stop()
                raise

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, line: str, timeout: float) -> str:
        """Write a line, and return the line that the program answers with."""
        with contextlib.suppress(BrokenPipeError):
            self._input.write(line.encode() + b"\n")
            self._input.flush()
        return self.read_line(timeout)

    def read_line(self, timeout: float) -> str:
        """The next line of output. Raises ``RuntimeError`` when none comes in so many seconds."""
        # One line per question: nothing is left in the buffer of the pipe.
        if not select.select([self._output], [], [], timeout)[0]:
            raise RuntimeError(f"{self._name} is silent for {timeout:g} s; {self._complaints()}")
        line = self._output.readline().decode().rstrip("\n")
        if not line:
            self.process.wait()
            raise RuntimeError(f"{self._name} ended: {self._complaints()}")
        return line

    def collect_garbage(self) -> None:
        """Tell a server to collect its garbage."""
        self.process.send_signal(signal.SIGUSR2)

    def stop(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        for pipe in (self._input, self._output, self._errors):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _wait_for(self, ready: str) -> None:
        while not self.read_line(READY_IN).startswith(ready):
            pass

    def _complaints(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-2000:].strip() or "it said nothing"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Redis(Process):
    """A Redis server of its own, empty, that writes nothing to disk."""

    def __init__(self, core: int) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is missing")
        self.port = free_port()
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            tempfile.gettempdir(),
        ]
        super().__init__([program, *options, "--maxclients", "1000"], core=core)
        try:
            self._connect()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _connect(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if time.monotonic() > deadline:
                raise RuntimeError("redis-server does not start")
            time.sleep(0.02)


def python() -> str:
    """The interpreter that runs this."""
    return sys.executable
