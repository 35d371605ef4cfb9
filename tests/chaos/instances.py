"""Instances of the service as processes that a run kills, pauses and restarts."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from tests.chaos.record import CURRENT, PREVIOUS
from tests.support.earlier_version import ROOT, unpack

#: Seconds for a process to serve.
READY_IN = 120.0
#: How often an instance is started until Redis answers it, and what its log says when Redis does not.
ATTEMPTS = 20
REDIS_IS_LATE = "cannot be reached: no answer in"
#: Seconds for a process to end that was asked to.
END_IN = 40.0


class InstanceProcess:
    """One running process. ``number``: it is the n-th of its run."""

    def __init__(
        self, process: asyncio.subprocess.Process, port: int, instance_id: str, number: int, version: str
    ) -> None:
        self.process = process
        self.port = port
        self.first_id = instance_id
        self.number = number
        self.version = version
        #: Whether it takes clients, as far as the run knows.
        self.is_up = True

    def __repr__(self) -> str:
        return f"<instance {self.first_id[:6]} pid={self.process.pid} up={self.is_up}>"

    @property
    def is_running(self) -> bool:
        return self.process.returncode is None

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)

    def set_clock(self, seconds: float) -> None:
        """Make the wall clock of the process wrong by this number of seconds."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(f"clock {seconds}\n".encode())

    def limit_descriptors(self, spare: int | None) -> None:
        """Let the process open only so many files more than it has now; None: as many as ever."""
        with contextlib.suppress(OSError):
            _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)
            used = len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))
            limit = hard if spare is None else used + spare
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (limit, hard))

    async def terminate(self) -> None:
        """SIGTERM, and wait for the end. Raises ``RuntimeError`` when it does not come, or with an error."""
        self.is_up = False
        self.process.terminate()
        try:
            async with asyncio.timeout(END_IN):
                code = await self.process.wait()
        except TimeoutError:
            raise RuntimeError(f"{self!r} does not end on SIGTERM") from None
        if code != 0:
            raise RuntimeError(f"{self!r} ended on SIGTERM with {code}")

    async def kill(self) -> None:
        self.is_up = False
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


class Instances:
    """All instances of a run; their logs go to files of ``folder``."""

    def __init__(self, options: dict[str, Any], folder: Path) -> None:
        self._options = options
        self._folder = folder
        self.all: list[InstanceProcess] = []
        self._count = 0
        #: Where the files of the previous version are, once they were needed.
        self._previous: Path | None = None

    def up(self) -> list[InstanceProcess]:
        return [instance for instance in self.all if instance.is_up]

    async def start(self, version: str = CURRENT) -> InstanceProcess:
        """Start one more, as a supervisor does: again, if Redis does not answer in time on a busy machine.

        Raises ``RuntimeError`` with the log of one that does not serve.
        """
        if version == PREVIOUS and self._previous is None:
            self._previous = await asyncio.to_thread(unpack, self._folder / "previous")
        root = ROOT if version == CURRENT else self._previous
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._start(version, root)
            except RuntimeError as error:
                if REDIS_IS_LATE not in str(error):
                    raise
        return await self._start(version, root)

    async def _start(self, version: str, root: Path | None) -> InstanceProcess:
        self._count += 1
        number = self._count
        log = self._folder / f"instance{number}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.chaos.instance", json.dumps(self._options),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=output,
                cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
            )  # fmt: skip
        assert process.stdout is not None
        try:
            async with asyncio.timeout(READY_IN):
                line = await process.stdout.readline()
            ready = json.loads(line)
        except (TimeoutError, ValueError):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise RuntimeError(f"an instance did not start:\n{log.read_text()[-3000:]}") from None
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        instance = InstanceProcess(process, ready["port"], ready["id"], number, version)
        self.all.append(instance)
        return instance

    async def stop(self) -> None:
        """End all processes, by their ids."""
        for instance in self.all:
            await instance.kill()
            transport = getattr(instance.process, "_transport", None)
            if transport is not None:
                transport.close()
