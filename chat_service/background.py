"""Background tasks that survive what goes wrong in them.

A task that ends by an exception ends silently: nobody awaits it, and what it looked after is looked after no
longer. So every long-running task of the service is kept by a ``Background``.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from chat_service.eager import is_being_cancelled

logger = logging.getLogger("chat_service")

#: Makes the work of a task, once for each time that it begins.
Work = Callable[[], Awaitable[None]]

#: Seconds until failed work begins again: the first time, and the longest.
RESTART_FIRST, RESTART_LONGEST = 0.1, 5.0
#: Seconds after which a task that was cancelled and has not ended is cancelled again.
CANCEL_AGAIN = 1.0


class Background:
    """Owns tasks, and the counts of what went wrong in them.

    Tasks do not inherit the context of the code that starts them: they outlive the command it may be part of.
    """

    def __init__(self) -> None:
        #: How often the work of a name has failed.
        self.failures: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Background {sorted(task.get_name() for task in self._tasks)}>"

    def keep(self, name: str, work: Work) -> "asyncio.Task[None]":
        """Run ``work()`` in a task until it returns. After an exception it is run again, a little later."""
        return self._start(name, self.persist(name, work))

    def once(self, name: str, work: Work) -> "asyncio.Task[None]":
        """Run ``work()`` once in a task. An exception is logged and counted, and nobody else sees it."""
        return self._start(name, self._try(name, work))

    async def persist(self, name: str, work: Work) -> None:
        """Await ``work()`` until it returns, in whatever task this runs; again after each exception.

        The pauses grow, and begin anew after work that went well for longer than the longest pause. A
        ``CancelledError`` that nobody has asked this task for is an exception like any other.
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
                # Not all instances at the same moment.
                delay = pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                self._failed(name, error, f"begins again in {delay:.2f} s")
            pause = min(pause * 2, RESTART_LONGEST)
            await asyncio.sleep(delay)

    async def close(self) -> None:
        """Cancel every task and wait until it has ended. Idempotent."""
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
    """Cancel tasks and wait until they have ended; None is none. What they end by is nobody's concern."""
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        # Again for one that a cancellation was lost in, as in a library that catches too much.
        ended, left = await asyncio.wait(left, timeout=CANCEL_AGAIN)
        for task in ended:
            if not task.cancelled() and task.exception() is not None:
                logger.warning("%r ended by an error when it was cancelled", task)
