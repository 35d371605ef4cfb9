"""Rate limits in memory that the service's instances share."""

from collections.abc import Callable
from time import monotonic
from typing import Final

from chat_service.contracts.records import Rate

#: What is limited, and for whom: one sender in one room, or one user.
Scope = tuple[str, ...]

#: Number of senders from which on those who may send at full rate again are forgotten.
SWEEP_FROM: Final = 1000


class Paces:
    """How far each sender is ahead of the rate. One costs some hundred bytes until it has caught up."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        """``now``: seconds on a clock that never goes back."""
        self._now = now
        #: By sender: ``Rate.take``'s number, in µs on that clock.
        self._due: dict[Scope, int] = {}
        self._sweep_at = SWEEP_FROM

    def __len__(self) -> int:
        return len(self._due)

    def take(self, scope: Scope, rate: Rate) -> None:
        """Count one more. Raises ``rateLimited``."""
        now = round(self._now() * 1_000_000)
        self._due[scope] = rate.take(self._due.get(scope, 0), now)
        if len(self._due) >= self._sweep_at:
            self._due = {scope: due for scope, due in self._due.items() if due > now}
            # Each sweep is paid for by as many additions.
            self._sweep_at = max(SWEEP_FROM, 2 * len(self._due))
