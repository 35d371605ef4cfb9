"""Builds the load generator, a C program, and controls it line by line."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.framing import Dialect
from benchmarks.plan import Client, encode
from benchmarks.processes import Process, cores

SOURCES = Path(__file__).parent / "load"
PROGRAM = Path(__file__).parents[1] / "build" / "benchmarks" / "load"
#: Maximum time in seconds for a phase.
PHASE_TIMEOUT = 180.0


def build() -> Path:
    """Compile the load generator if its sources are newer than the program."""
    sources = sorted(SOURCES.glob("*.c"))
    newest = max(path.stat().st_mtime for path in [*sources, *SOURCES.glob("*.h")])
    if PROGRAM.exists() and PROGRAM.stat().st_mtime >= newest:
        return PROGRAM
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("a C compiler is missing; Debian, Ubuntu: apt-get install gcc libc6-dev")
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", str(PROGRAM), *map(str, sources)], check=True)  # noqa: S603
    return PROGRAM


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The result of a phase. Times in seconds, latencies in microseconds."""

    operations: int
    deliveries: int
    seconds: float
    load_cpu: float
    p50_us: float
    p99_us: float
    max_us: float


class Load:
    """A running load generator with its clients."""

    def __init__(self, dialect: Dialect, clients: Sequence[Client], *, files: int | None = None) -> None:
        self.clients = len(clients)
        with tempfile.NamedTemporaryFile(prefix="load-plan-") as file:
            file.write(encode(dialect, clients))
            file.flush()
            self._process = Process([str(build()), file.name], core=cores()[1], files=files)
            # A response proves that it has read the plan; no client is open yet.
            self._ask(f"close 0 {len(clients)}")

    def open(self, first: int = 0, count: int | None = None, *, parallel: int = 50) -> Done:
        """Open clients with all their steps, ``parallel`` at a time."""
        return self._ask(f"open {first} {self.clients - first if count is None else count} {parallel}")

    def loop(
        self,
        total: int,
        *,
        first: int = 0,
        count: int | None = None,
        in_flight: int | None = None,
        request: int = 0,
        deliveries: int = 0,
        seconds: float = 60.0,
    ) -> Done:
        """Let clients take turns to send a request whenever another one was acknowledged.

        Each client, or ``in_flight`` of them, has one request in flight. Stops sending after ``total``
        requests or ``seconds``, and ends when all acks and ``deliveries`` per request have arrived.
        """
        count = self.clients - first if count is None else count
        in_flight = count if in_flight is None else min(in_flight, count)
        return self._ask(f"loop {first} {count} {in_flight} {request} {total} {deliveries} {seconds}")

    def fanout(
        self,
        total: int,
        *,
        window: int,
        senders: int | None = None,
        request: int = 0,
        count: int | None = None,
        seconds: float = 60.0,
    ) -> Done:
        """Send to all clients, or the first ``count``, of one room, with ``window`` messages in flight.

        They all send in turn, or the first ``senders``. Does not wait for other clients in the room.
        """
        count = self.clients if count is None else count
        return self._ask(f"fanout 0 {count} {request} {total} {window} {senders or count} {seconds}")

    def pace(self, members: int, seconds: int) -> Done:
        """A message a second in each room of ``members`` consecutive clients; they send in turn.

        Latencies are those of deliveries. Fails if a message takes so long that the next one overtakes it.
        """
        total = self.clients // members * seconds
        return self._ask(f"pace 0 {self.clients} {members} 0 {total} {seconds}")

    def idle(self, seconds: int) -> Done:
        """Send nothing but answers to pings."""
        return self._ask(f"pace 0 {self.clients} 1 0 0 {seconds}")

    def slow(self, first: int, count: int) -> None:
        """Give these unopened clients small buffers."""
        self._ask(f"slow {first} {count}")

    def stop_reading(self, first: int, count: int) -> None:
        """Make these clients stop reading while staying connected."""
        self._ask(f"stop {first} {count}")

    def _ask(self, line: str) -> Done:
        return Done(**json.loads(self._process.ask(line, PHASE_TIMEOUT)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()
