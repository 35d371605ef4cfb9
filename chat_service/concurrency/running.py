"""Running work: commands that a close waits for, and background tasks that survive their failures."""

import asyncio
import contextvars
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import Context
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

    def begin(self, name: str) -> "asyncio.Task[Any] | Begun | None":
        """``track`` without a context manager, which costs half: ``finish`` takes what this returns."""
        self._names[name] += 1
        self._count += 1
        work = current_work()
        if work is None or work in self._inline:
            return None
        self._inline[work] = name
        return work

    def finish(self, name: str, work: "asyncio.Task[Any] | Begun | None") -> None:
        """The end of what has begun."""
        if work is not None:
            self._inline.pop(work, None)
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
    """Work without a task gets one, if it waits, so that it can be cancelled."""
    return work.as_task() if isinstance(work, Begun) else work


class Tracked:
    """A piece of running work, in whatever task runs it."""

    __slots__ = ("_name", "_running", "_work")

    def __init__(self, running: RunningWork, name: str) -> None:
        self._running = running
        self._name = name
        self._work: asyncio.Task[Any] | Begun | None = None

    def __enter__(self) -> None:
        self._work = self._running.begin(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.finish(self._name, self._work)


#: Called for each (re)start of a task to create its coroutine.
Work = Callable[[], Awaitable[None]]

#: Delay in seconds before failed work restarts: the first and the longest.
RESTART_FIRST, RESTART_LONGEST = 0.1, 5.0
#: Time in seconds after which a task that has ignored a cancellation is cancelled again.
CANCEL_AGAIN = 1.0


class Background:
    """Owns tasks and counts their failures.

    Tasks do not inherit the context of the code that starts them, since they may outlive its command.
    """

    def __init__(self) -> None:
        #: Number of failures by task name.
        self.failures: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Background {sorted(task.get_name() for task in self._tasks)}>"

    def keep(self, name: str, work: Work) -> "asyncio.Task[None]":
        """Run ``work()`` in a task until it returns, restarting it after an exception and a delay."""
        return self._start(name, self.persist(name, work))

    def once(self, name: str, work: Work) -> "asyncio.Task[None]":
        """Run ``work()`` once in a task. An exception is logged and counted, not propagated."""
        return self._start(name, self._try(name, work))

    async def persist(self, name: str, work: Work) -> None:
        """Await ``work()`` in the current task until it returns, restarting it after each exception.

        Delays grow, and start over once work has run for longer than the longest delay. A ``CancelledError``
        counts as an ordinary exception unless this task was cancelled.
        """
        loop = asyncio.get_running_loop()
        pause = RESTART_FIRST
        while True:
            begun = loop.time()
            try:
                await work()
                return
            except (Exception, asyncio.CancelledError) as error:
                if is_being_cancelled():
                    raise
                if loop.time() - begun > RESTART_LONGEST:
                    pause = RESTART_FIRST
                # Random, so that instances do not all restart at the same moment.
                delay = pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                self.failed(name, error, f"restarts in {delay:.2f} s")
            pause = min(pause * 2, RESTART_LONGEST)
            await asyncio.sleep(delay)

    async def close(self) -> None:
        """Cancel all tasks and wait for them to end. Idempotent."""
        await end(*self._tasks)

    def _start(self, name: str, work: Any) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work, name=name, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _try(self, name: str, work: Work) -> None:
        try:
            await work()
        except (Exception, asyncio.CancelledError) as error:
            if is_being_cancelled():
                raise
            self.failed(name, error, "is given up")

    def failed(self, name: str, error: BaseException, outcome: str) -> None:
        """Count and log a failure of what runs in the background. ``outcome``: what happens next."""
        self.failures[name] += 1
        logger.error("background task %s failed and %s: %r", name, outcome, error, exc_info=error)


async def end(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancel tasks, ignoring None, and wait for them to end. Their outcomes are ignored."""
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        # Cancel again: a library that catches too much may have swallowed the cancellation.
        ended, left = await asyncio.wait(left, timeout=CANCEL_AGAIN)
        for task in ended:
            if not task.cancelled() and task.exception() is not None:
                logger.warning("%r raised an error when it was cancelled", task)
