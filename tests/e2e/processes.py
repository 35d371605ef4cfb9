"""The service in separate processes, as an operator runs it."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
#: What asyncio logs in its development mode: its servers, and turns of the loop that took long.
DEVELOPMENT_NOISE = (b"> is serving", b"Executing <")


class Process:
    """A running program; its output is collected."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.output = ""
        self.errors = ""
        self._readers = [
            asyncio.create_task(self._read(process.stdout, "output")),
            asyncio.create_task(self._read(process.stderr, "errors")),
        ]

    async def _read(self, stream: asyncio.StreamReader | None, name: str) -> None:
        assert stream is not None
        while line := await stream.readline():
            if any(noise in line for noise in DEVELOPMENT_NOISE):
                continue
            setattr(self, name, getattr(self, name) + line.decode())

    async def wait_for(self, text: str) -> str:
        """Return the first line of the output with this text. Raises ``AssertionError`` if there is none."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for line in self.output.splitlines():
                    if text in line:
                        return line
                ended = all(reader.done() for reader in self._readers)
                assert not ended or text in self.output, f"no {text!r} in:\n{self.output}\n{self.errors}"
                await asyncio.sleep(0.01)

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def write(self, text: str) -> None:
        """Type something; the empty text ends the input."""
        assert self._process.stdin is not None
        if text:
            self._process.stdin.write(text.encode())
            await self._process.stdin.drain()
        else:
            self._process.stdin.close()

    async def wait(self) -> int:
        """Wait for the end, and return the exit code."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._readers)
            return await self._process.wait()


def port_in(line: str) -> int:
    """The port of the first URL in a line that a server has printed."""
    found = re.search(r"http://[^/ ]*:(\d+)/", line)
    assert found is not None, line
    return int(found[1])


@asynccontextmanager
async def run(*command: str | Path, env: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
    """Run a program; one that is still running in the end is killed."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})},
        # Tests that run in the background of a shell would hand on that they ignore Ctrl+C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )
    running = Process(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await running.wait()
        # The loop closes the pipes in a later turn.
        await asyncio.sleep(0)


@asynccontextmanager
async def example_server(*python_options: str) -> AsyncIterator[tuple[Process, int]]:
    """The server of example/ on a free port, and the port."""
    env = {"PORT": "0"}
    async with run(sys.executable, *python_options, "example/server.py", env=env) as process:
        yield process, port_in(await process.wait_for("listens at"))
