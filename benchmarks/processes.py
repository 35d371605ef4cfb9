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
#: Number of open files per process: 10,000 clients and some reserve. ``benchmarks.scale`` needs more.
OPEN_FILES = 20_000

_CPUCLOCK_SCHED = 2


def cores() -> tuple[int, int]:
    """The core for the server and the core for everything else."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with all its threads so far, in nanosecond resolution.

    /proc/PID/stat has a resolution of just 10 ms. The clock id is computed as by clock_getcpuclockid(3).
    """
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def memory_kb(pid: int) -> float:
    """Resident memory of a process not shared with others, in KB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return float(line.split()[1])
    raise RuntimeError(f"process {pid} has ended")


def reset_peak(pid: int) -> None:
    """Reset the peak of a process's memory."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_kb(pid: int) -> float:
    """Peak resident memory of a process since ``reset_peak``, in KB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1])
    raise RuntimeError(f"process {pid} has ended")


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A program pinned to one core."""

    def __init__(
        self, command: Sequence[str], *, core: int, ready: str | None = None, files: int | None = None
    ) -> None:
        """Start it. ``ready``: wait for a line with this prefix. Raises ``RuntimeError``.

        ``files``: its limit of open files, even if that is more than this process may have (as root).
        """

        def prepare() -> None:
            os.sched_setaffinity(0, {core})
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files) if files else (limit, hard))

        self._name = Path(command[-2] if len(command) > 1 else command[0]).name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop
        self.process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            preexec_fn=prepare,
        )
        # Both pipes were requested.
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
        """Write a line and return the program's response line."""
        with contextlib.suppress(BrokenPipeError):
            self._input.write(line.encode() + b"\n")
            self._input.flush()
        return self.read_line(timeout)

    def read_line(self, timeout: float) -> str:
        """The next line of output. Raises ``RuntimeError`` if none arrives within ``timeout`` seconds."""
        # One line per request, so nothing stays in the pipe's buffer.
        if not select.select([self._output], [], [], timeout)[0]:
            raise RuntimeError(f"{self._name} printed nothing for {timeout:g} s; {self._complaints()}")
        line = self._output.readline().decode().rstrip("\n")
        if not line:
            self.process.wait()
            raise RuntimeError(f"{self._name} ended: {self._complaints()}")
        return line

    def collect_garbage(self) -> None:
        """Make a server collect its garbage."""
        self.process.send_signal(signal.SIGUSR2)

    def stop(self) -> None:
        """Kill it."""
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
    """A private, empty Redis server without persistence."""

    def __init__(self, core: int) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is not installed")
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
    """The running interpreter."""
    return sys.executable
