"""How fast clients may send commands (GCRA: the generic cell rate algorithm, a bucket in one number)."""

import math
from typing import Final

from chat_service.errors import ChatServiceError

#: Part of a command that clocks and sums may be off by.
ROUNDING: Final = 1e-3


class Pace:
    """What one user's sockets on this instance have sent lately. Before the login each socket has its own."""

    __slots__ = ("due", "refused")

    def __init__(self) -> None:
        #: Until when (``perf_counter``) the commands so far take at the allowed rate.
        self.due = 0.0
        #: Commands refused in a row.
        self.refused = 0


class RateLimit:
    """``rate``: commands a second, None for no limit; ``burst``: as many may come at once.

    To be used without a call, since this stands before every command::

        if pace.due < now:
            pace.due = now
        if pace.due - now > limit.tolerance:
            raise limit.refuse(pace, now)
        pace.due += limit.interval
    """

    __slots__ = ("interval", "tolerance")

    def __init__(self, rate: float | None, burst: int) -> None:
        #: Seconds that a command takes of the allowed rate.
        self.interval = 0.0 if rate is None else 1 / rate
        #: Seconds by which a sender may be ahead.
        self.tolerance = math.inf if rate is None else (burst - 1 + ROUNDING) / rate

    def refuse(self, pace: Pace, now: float) -> ChatServiceError:
        """The error for one command too many."""
        pace.refused += 1
        wait = pace.due - now - self.tolerance
        return ChatServiceError("rateLimited", max(1, math.ceil(wait * 1000)))
