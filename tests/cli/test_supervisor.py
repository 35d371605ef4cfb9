"""The parent of workers when resources run out: it and the other workers continue."""

import asyncio
import errno
import signal
import sys
from typing import Any

import pytest

from chat_service.cli import supervisor
from chat_service.cli.supervisor import Supervisor, Worker
from chat_service.testing import wait_until

#: A worker that says that it is ready and ends by a signal.
WORKER = """
import os, socket, time
number, channel, listening = os.environ["CHAT_SERVICE_WORKER"].split(":")
socket.socket(fileno=int(channel)).send(b"r")
time.sleep(600)
"""


class Machine:
    """Starts processes, or fails to."""

    def __init__(self) -> None:
        self._start = supervisor.start_worker
        self.is_short = False
        self.refused = 0
        self.workers: list[Worker] = []

    async def start_worker(self, *args: Any, **keywords: Any) -> Worker:
        if self.is_short:
            self.refused += 1
            raise OSError(errno.EMFILE, "Too many open files")
        worker = await self._start(*args, **keywords)
        self.workers.append(worker)
        return worker


async def test_workers_that_cannot_be_started_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine()
    monkeypatch.setattr(supervisor, "start_worker", machine.start_worker)
    monkeypatch.setattr(supervisor, "BACKOFF_FIRST", 0.01)
    monkeypatch.setattr(supervisor, "BACKOFF_LONGEST", 0.02)
    ready = asyncio.Event()
    parent = Supervisor([sys.executable, "-c", WORKER], [(), ()], ready.set)
    running = asyncio.create_task(parent.run())
    await asyncio.wait_for(ready.wait(), 30)
    machine.is_short = True
    # One dies, and the parent is asked to replace all.
    machine.workers[0].process.kill()
    await wait_until(lambda: machine.refused > 2, "some tries")
    parent._on_hangup()
    await wait_until(lambda: "cannot be replaced" in capsys.readouterr().err, "the refusal")
    assert machine.workers[1].process.returncode is None and not running.done()
    machine.is_short = False
    await wait_until(lambda: len(machine.workers) == 3, "another one")
    parent._on_signal(signal.SIGTERM)
    await asyncio.wait_for(running, 30)
