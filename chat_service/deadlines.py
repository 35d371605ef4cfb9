"""Many timers of one length as one timer."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds by which an item may be early.
RESOLUTION = 0.001
#: Seconds by which it may be late, for the sake of others that are due soon after it.
LONGEST_WAIT = 0.25


class Deadlines(Generic[T]):
    """Calls ``on_due(item)`` so many seconds after ``add(item)``, unless the item was discarded before.

    All take equally long, so the order in which they were added is that in which they are due: it takes an
    entry of a dictionary per item, and one timer for all of them.
    """

    def __init__(self, seconds: float, on_due: Callable[[T], None]) -> None:
        #: To be changed only while nothing is there.
        self.seconds = seconds
        self._on_due = on_due
        self._due: dict[T, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def add(self, item: T) -> None:
        """Begin anew for an item that is there already."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        self._due.pop(item, None)
        due = self._due[item] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._look)

    def discard(self, item: T) -> None:
        """Forget an item; one that is not there is no error."""
        # The timer stays: it costs less to let it find nothing than to make another one for the next item.
        self._due.pop(item, None)

    def items(self) -> list[T]:
        """What is there now."""
        return list(self._due)

    def close(self) -> None:
        """Forget all items, and the timer."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        due_now: list[T] = []
        for item, due in self._due.items():
            # Timers may come early by the resolution of the clock.
            if due > now + RESOLUTION:
                break
            due_now.append(item)
        for item in due_now:
            # What was called before may have discarded it.
            if self._due.pop(item, None) is not None:
                self._on_due(item)
        if self._due and self._timer is None:
            # Not for each item by itself when there are many.
            earliest = now + min(self.seconds / 20, LONGEST_WAIT)
            self._timer = loop.call_at(max(next(iter(self._due.values())), earliest), self._look)
