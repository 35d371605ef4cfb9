"""Wrong secrets by the addresses that they come from, so that nobody can guess for long."""

from collections import OrderedDict
from typing import Final

#: Addresses whose failures are counted at a time, and seconds until they are forgotten.
MAX_ADDRESSES: Final = 10_000
WINDOW: Final = 60.0


class Failures:
    """Counts wrong tokens or passwords by address, for a minute each. ``limit``: how many one may have."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # When the first failure of the window was, and how many there are; oldest address first.
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str, now: float) -> tuple[int, float]:
        """One more failure at ``now`` (s). Returns their number, and seconds until they are forgotten."""
        begun, count = self._counts.pop(address, (now, 0))
        if now - begun >= WINDOW:
            begun, count = now, 0
        self._counts[address] = (begun, count + 1)
        if len(self._counts) > MAX_ADDRESSES:
            self._counts.popitem(last=False)
        return count + 1, begun + WINDOW - now

    def is_over(self, count: int) -> bool:
        """Whether a number of failures is more than an address may have."""
        return count > self._limit

    def left(self, address: str, now: float) -> float:
        """Seconds for which an address has to wait, 0 while it may try."""
        begun, count = self._counts.get(address, (now, 0))
        return max(0.0, begun + WINDOW - now) if count >= self._limit else 0.0

    def forget(self, address: str) -> None:
        """An address has shown the right one."""
        self._counts.pop(address, None)
