"""Time as a dependency, so that tests can control the clock."""

import asyncio
import time
from collections.abc import Callable
from math import inf
from typing import Protocol


class Clock(Protocol):
    """Time as the service uses it. Tests can pass ``chat_service.testing.FakeClock``."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for the given number of seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    # Looked at for each event: without a call in Python.
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Sparing:
    """Counts something that is logged once in some seconds, however often it happens."""

    def __init__(self, seconds: float = 1.0, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._next = -inf
        self._waiting = 0

    def count(self, number: int = 1) -> int:
        """Count some. Returns how many there were since the last line if it is time for one, else 0."""
        self._waiting += number
        now = self._now()
        if now < self._next:
            return 0
        self._next = now + self._seconds
        waiting, self._waiting = self._waiting, 0
        return waiting
