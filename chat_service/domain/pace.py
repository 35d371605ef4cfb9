"""How fast clients may send commands (GCRA: the generic cell rate algorithm, a bucket in one number).

Two layers: ``RateLimit`` for everything that a user sends to this instance, ``SharedRates`` for what all
instances count together in the store.
"""

import math
from typing import Final, NamedTuple

from chat_service.contracts.records import Rate, RoomQuota
from chat_service.errors import ChatServiceError
from chat_service.options import Options

#: Tolerance for inaccuracies of clocks and sums, as a fraction of a command.
ROUNDING: Final = 1e-3


class Pace:
    """The recent rate of a user's sockets on this instance. Before the login each socket has its own."""

    __slots__ = ("due", "events", "refused")

    def __init__(self) -> None:
        #: The time (``perf_counter``) until which the commands so far last at the allowed rate.
        self.due = 0.0
        #: That of ephemeral events alone; None before the first one.
        self.events: Pace | None = None
        #: Number of consecutive refused commands.
        self.refused = 0


class RateLimit:
    """``rate``: commands per second, None for no limit; ``burst``: maximum number of commands at once.

    To be inlined as follows, because this precedes every command::

        if pace.due < now:
            pace.due = now
        if pace.due - now > limit.tolerance:
            raise limit.refuse(pace, now)
        pace.due += limit.interval
    """

    __slots__ = ("interval", "tolerance")

    def __init__(self, rate: float | None, burst: int) -> None:
        #: Seconds per command at the allowed rate.
        self.interval = 0.0 if rate is None else 1 / rate
        #: Seconds by which a sender may be ahead.
        self.tolerance = math.inf if rate is None else (burst - 1 + ROUNDING) / rate

    def take(self, pace: Pace, now: float) -> None:
        """The same for rarer commands. Raises ``rateLimited``."""
        pace.due = max(pace.due, now)
        if pace.due - now > self.tolerance:
            raise self.refuse(pace, now)
        pace.due += self.interval

    def refuse(self, pace: Pace, now: float) -> ChatServiceError:
        """The error for a command beyond the limit."""
        wait = pace.due - now - self.tolerance
        return ChatServiceError("rateLimited", max(1, math.ceil(wait * 1000)))


class SharedRates(NamedTuple):
    """The limits that the store keeps; None where there is none."""

    messages: Rate | None
    logins: Rate | None
    #: What clients who create rooms may do.
    rooms: RoomQuota

    @classmethod
    def of(cls, options: Options) -> "SharedRates":
        return cls(
            messages=Rate.of(options.room_message_rate, options.room_message_burst),
            logins=Rate.of(options.login_rate, options.login_burst),
            rooms=RoomQuota(
                rate=Rate.of(options.room_create_rate, options.room_create_burst),
                limit=options.rooms_owned_limit,
            ),
        )
