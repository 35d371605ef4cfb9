"""Background tasks that survive their failures.

A task that nobody awaits would die silently of an exception, and its job would stop being done. So a
``Background`` owns every long-running task of the service.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from chat_service.concurrency.eager import is_being_cancelled

logger = logging.getLogger("chat_service")

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
                self._failed(name, error, f"restarts in {delay:.2f} s")
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
            self._failed(name, error, "is given up")

    def _failed(self, name: str, error: BaseException, outcome: str) -> None:
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
