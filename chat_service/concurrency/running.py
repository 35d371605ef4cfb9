"""Tracks running work: commands that a close waits for, and background tasks that nobody awaits."""

import asyncio
import contextvars
import logging
from collections import Counter
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any

from chat_service.concurrency.eager import Begun, current_work, is_being_cancelled

logger = logging.getLogger("chat_service")

#: Maximum time in seconds to wait for cancelled work.
CANCEL_GRACE = 1.0


class RunningWork:
    """Counts running commands and handlers by name, and owns background tasks."""

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()
        self._count = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        # Eager work inside tracked work, with its name.
        self._inline: dict[asyncio.Task[Any] | Begun, str] = {}
        # Waiters for the moment when nothing runs.
        self._waiting: list[asyncio.Future[None]] = []

    def track(self, name: str) -> "Tracked":
        """A context manager for work that a close must wait for."""
        return Tracked(self, name)

    def spawn(
        self, work: Coroutine[Any, Any, Any], name: str, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        """Run work in a task of its own. What it raises is logged.

        ``context``: an empty one when None, so that the work is not part of what the caller does.
        """
        task = asyncio.get_running_loop().create_task(
            self._run(work, name), name=name, context=context or contextvars.Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        try:
            with self.track(name):
                await work
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                raise
            logger.exception("%s failed", name)

    def enter(self, name: str) -> None:
        self._names[name] += 1
        self._count += 1

    def leave(self, name: str) -> None:
        self._names[name] -= 1
        self._count -= 1
        if not self._count and self._waiting:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)
            self._waiting.clear()

    def count(self, names: Iterable[str]) -> int:
        """Number of running pieces of work with these names."""
        return sum(self._names[name] for name in names)

    def names(self) -> str:
        """The names of running work, for messages."""
        return ", ".join(f"{name} ({count})" for name, count in sorted(self._names.items()) if count)

    def __len__(self) -> int:
        return self._count

    async def wait_idle(self) -> None:
        """Wait until nothing runs."""
        while self._count:
            idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(idle)
            await idle

    async def cancel(self, *, spare: str | None = None) -> None:
        """Cancel all running work and wait up to ``CANCEL_GRACE`` seconds for it to end.

        ``spare``: does not cancel tasks inside work with this name.
        """
        current = asyncio.current_task()
        spared = {_task_of(work) for work, name in self._inline.items() if name == spare}
        found = {*self._tasks, *map(_task_of, self._inline)} - spared
        tasks = [task for task in found if task is not None and task is not current]
        for task in tasks:
            task.cancel()
        if tasks:
            _, refused = await asyncio.wait(tasks, timeout=CANCEL_GRACE)
            for task in refused:
                logger.error("%r did not end although it was cancelled", task)


def _task_of(work: "asyncio.Task[Any] | Begun") -> "asyncio.Task[Any] | None":
    return work.task if isinstance(work, Begun) else work


class Tracked:
    """A piece of running work, in whatever task runs it."""

    __slots__ = ("_name", "_running", "_work")

    def __init__(self, running: RunningWork, name: str) -> None:
        self._running = running
        self._name = name
        self._work: asyncio.Task[Any] | Begun | None = None

    def __enter__(self) -> None:
        running = self._running
        running.enter(self._name)
        work = current_work()
        if work is not None and work not in running._inline:
            self._work = work
            running._inline[work] = self._name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._work is not None:
            self._running._inline.pop(self._work, None)
        self._running.leave(self._name)
