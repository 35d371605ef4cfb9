"""Deadlines of the entries of a table, met by the operations that come by: no task or timer is needed."""

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

NameT = TypeVar("NameT", bound=str)

#: How many entries one operation looks after, beside the one that it is about.
SLICE = 100


class Expiry(Generic[NameT]):
    """The deadlines of some entries of a table.

    Each operation on the table calls ``look`` if ``heap`` is not empty: that ends a bounded number of
    entries that are due, and in any case the one that the operation is about.
    """

    def __init__(self, end: Callable[[NameT], None], now: Callable[[], float]) -> None:
        """``end``: what is done with an entry that is due. ``now``: seconds on a clock."""
        self._end = end
        self._now = now
        self._due: dict[NameT, float] = {}
        #: Deadlines with names, earliest first. Those that no longer count are passed over.
        self.heap: list[tuple[float, NameT]] = []
        #: How many entries have ended.
        self.count = 0

    def __contains__(self, name: NameT) -> bool:
        return name in self._due

    def set(self, name: NameT, seconds: float) -> None:
        """Let an entry end in this number of seconds, instead of when it was due before."""
        at = self._due[name] = self._now() + seconds
        heapq.heappush(self.heap, (at, name))
        if len(self.heap) > 2 * len(self._due) + SLICE:
            # Most of them no longer count.
            self.heap = [(at, name) for name, at in self._due.items()]
            heapq.heapify(self.heap)

    def cancel(self, name: NameT) -> None:
        """Let an entry stay."""
        self._due.pop(name, None)

    def look(self, name: NameT | None = None, limit: int = SLICE) -> bool:
        """End the named entry if it is due, and others, up to a limit. Returns whether more may be due."""
        now = self._now()
        if name is not None and self._due.get(name, now + 1) <= now:
            self._finish(name)
        for _ in range(limit):
            if not self.heap or self.heap[0][0] > now:
                return False
            at, other = heapq.heappop(self.heap)
            if self._due.get(other) == at:
                self._finish(other)
        return True

    def look_at_all(self) -> None:
        """End all entries that are due, for operations that take as long as the table."""
        while self.look():
            pass

    def _finish(self, name: NameT) -> None:
        del self._due[name]
        self.count += 1
        self._end(name)
