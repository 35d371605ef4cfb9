"""A limit in time that holds for work that ignores its cancellation, too."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Final

logger = logging.getLogger("chat_service")

#: Seconds that cancelled work has to end. After that nobody waits for it.
GRACE: Final = 1.0
#: Work that nobody waits for: the event loop keeps only weak references to tasks.
_abandoned: set["asyncio.Future[Any]"] = set()


class TimeLimit:
    """Waits for work, for ``seconds`` at most."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the time has ended before the work."""
        return self._expired is not None and self._expired.done()

    def expire(self) -> None:
        """Nobody needs the work any longer."""
        if self._expired is not None and not self._expired.done():
            self._expired.set_result(None)

    async def wait_for(self, work: Awaitable[Any]) -> Any:
        """The result of the work, which runs in a task of its own. Raises ``TimeoutError``.

        When the time is over, or the caller is cancelled, the work is cancelled. If it does not end then,
        it is left to itself, and logged.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        self._expired = expired = loop.create_future()
        timer = loop.call_later(self._seconds, self.expire)
        try:
            await asyncio.wait((task, expired), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _stop(task)
            raise
        finally:
            timer.cancel()
        if task.done():
            return task.result()
        await _stop(task)
        if task.done() and not task.cancelled():
            # It used the cancellation to come to an end of its own.
            return task.result()
        raise TimeoutError


async def _stop(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    await asyncio.wait((task,), timeout=GRACE)
    if not task.done():
        _abandoned.add(task)
        task.add_done_callback(_ended)
        logger.error("%r was cancelled and does not end; nobody waits for it any longer", task)


def _ended(task: "asyncio.Future[Any]") -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()
