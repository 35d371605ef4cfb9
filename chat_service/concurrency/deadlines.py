"""Many equally long timeouts on a single timer, and how long a command may still wait for the store."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds by which an item may be due early.
RESOLUTION = 0.001
#: Seconds by which an item may be late, so that one wake-up handles several.
LONGEST_WAIT = 0.25


class Deadlines(Generic[T]):
    """Calls ``on_due(item)`` a fixed time after ``add(item)``, unless the item was discarded before.

    Since all timeouts are equally long, items become due in the order of addition: each takes one dictionary
    entry, and all share one timer.
    """

    def __init__(self, seconds: float, on_due: Callable[[T], None], *, is_exact: bool = False) -> None:
        """``is_exact``: no item is late so that others can share its wake-up. For items that are nearly
        always restarted in time."""
        #: Change this only while there are no items.
        self.seconds = seconds
        self._on_due = on_due
        self._is_exact = is_exact
        self._due: dict[T, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def add(self, item: T) -> None:
        """Add an item, or restart the timeout of a known one."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        self._due.pop(item, None)
        due = self._due[item] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._look)

    def discard(self, item: T) -> None:
        """Remove an item if present."""
        # The timer stays: letting it fire in vain is cheaper than creating a new one for the next item.
        self._due.pop(item, None)

    def items(self) -> list[T]:
        """The current items."""
        return list(self._due)

    def close(self) -> None:
        """Remove all items and cancel the timer."""
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
            # Timers may fire early by the clock's resolution.
            if due > now + RESOLUTION:
                break
            due_now.append(item)
        for item in due_now:
            # An earlier callback may have discarded it.
            if self._due.pop(item, None) is not None:
                self._on_due(item)
        if self._due and self._timer is None:
            # Wait a little to handle many items in one wake-up.
            earliest = now if self._is_exact else now + min(self.seconds / 20, LONGEST_WAIT)
            self._timer = loop.call_at(max(next(iter(self._due.values())), earliest), self._look)


class Patience:
    """The time left for a command. ``seconds``: from now on."""

    __slots__ = ("excused", "until")

    def __init__(self, seconds: float) -> None:
        #: ``monotonic()`` at the end.
        self.until = monotonic() + seconds
        #: Excluded time in seconds.
        self.excused = 0.0

    @property
    def left(self) -> float:
        """The remaining time in seconds; negative after the end."""
        return self.until - monotonic()

    def suspend(self) -> float:
        """Stop counting while the application's code runs. Returns the argument for ``resume``."""
        current_patience.set(None)
        return monotonic()

    def resume(self, suspended: float) -> None:
        """Continue counting after the application's code."""
        self.excuse(monotonic() - suspended)
        current_patience.set(self)

    def excuse(self, seconds: float) -> None:
        """Exclude time from this command and from those that wait for its end."""
        self.until += seconds
        self.excused += seconds


#: The patience of the running command. None: each operation has the store's full timeout.
current_patience: ContextVar[Patience | None] = ContextVar("chat_service_patience", default=None)
