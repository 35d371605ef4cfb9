"""Instances in separate processes, controlled by lines of JSON."""

import asyncio
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


class ServiceProcess:
    """An instance. ``options``: options of ``ChatService`` in the form of JSON; ``root``: of its checkout."""

    def __init__(self, root: Path = ROOT, /, **options: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.redis.instance", json.dumps(options)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {0: queue.Queue()}
        #: Reports of hooks and events of the service, in order.
        self.told: list[list[Any]] = []
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._read, self._watch)]
        for thread in self._threads:
            thread.start()
        #: The url for clients; set by ``ready``.
        self.port = 0
        self.uid = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            if "told" in answer:
                self.told.append(answer["told"])
            else:
                self._answers[answer["id"]].put(answer)

    def _watch(self) -> None:
        assert self._process.stderr is not None
        self.errors.extend(self._process.stderr)

    async def _answer(self, number: int) -> Any:
        try:
            answer = await asyncio.to_thread(self._answers[number].get, timeout=PATIENCE)
        except queue.Empty:
            raise TimeoutError("no answer of the instance: " + "".join(self.errors[-50:])) from None
        del self._answers[number]
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    async def ready(self) -> Self:
        """Wait until clients can connect."""
        self.port, self.uid = await self._answer(0)
        return self

    async def call(self, method: str, *args: Any, **keywords: Any) -> Any:
        """Call a method of the service. Raises ``AssertionError`` with the error's ``repr``."""
        number = next(self._numbers)
        self._answers[number] = queue.Queue()
        assert self._process.stdin is not None
        line = {"id": number, "method": method, "args": args, "keywords": keywords}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        return await self._answer(number)

    def count(self, *what: Any) -> int:
        """How often something was reported."""
        return self.told.count(list(what))

    # Signals

    def stop(self) -> None:
        """Suspend the process."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process, like a crash. Idempotent."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def close(self) -> int:
        """Stop it as an operator does and return the exit code. Idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        code = self._process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
