"""Plain counters that the hot path writes and the metrics read: an addition here costs tens of nanoseconds.

Prometheus' own counters take a lock and a dictionary look-up per call. These are numbers of one event loop;
``chat_service.operations.metrics`` turns them into metrics when somebody asks.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from chat_service.errors import ERROR_TEXTS, ChatServiceError, StoreTimeoutError

#: Upper bounds of the buckets of all durations, in seconds.
DURATION_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Under this name are counted: events that are no commands, and those that the application handles.
UNKNOWN_COMMAND, CUSTOM_EVENT = "unknown", "custom"
#: Why sockets end. Transports may give other reasons, which are counted as "other".
DISCONNECT_REASONS = (
    "client disconnect",
    "server disconnect",
    "transport close",
    "transport error",
    "ping timeout",
    "slow consumer",
)
#: The outcome of an error whose code is the application's own.
APPLICATION_ERROR = "application"


#: What runs: the instance's id, the user or a session that knows the user, the socket, the command, and its
#: arguments. A plain tuple, since one is made for every command.
Scope = tuple[Callable[[], str], Any, str | None, str, Sequence[Any]]
#: The command that the running code is part of, for logs.
scope: ContextVar[Scope | None] = ContextVar("chat_service_scope", default=None)


class Durations:
    """A histogram of seconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        #: How many fell into each bucket; the last one has no bound.
        self.counts = [0] * (len(DURATION_BOUNDS) + 1)
        #: The sum of all, in seconds.
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(DURATION_BOUNDS, seconds)] += 1
        self.total += seconds

    def __len__(self) -> int:
        return sum(self.counts)


class CommandCounts:
    """What became of the runs of one command."""

    __slots__ = ("durations", "errors")

    def __init__(self) -> None:
        self.durations = Durations()
        #: Failed runs by outcome; all others were successes.
        self.errors: Counter[str] = Counter()


class CommandCounters:
    """Counts commands by name and outcome. Names are bounded, whatever clients send."""

    def __init__(self, names: Iterable[str]) -> None:
        self.by_name = {name: CommandCounts() for name in (*names, CUSTOM_EVENT, UNKNOWN_COMMAND)}

    def succeeded(self, name: str, begun: float) -> None:
        """A command that began at ``perf_counter()`` time ``begun`` has a result."""
        durations = (self.by_name.get(name) or self.by_name[CUSTOM_EVENT]).durations
        # As ``Durations.observe``, without the call.
        seconds = perf_counter() - begun
        durations.counts[bisect_left(DURATION_BOUNDS, seconds)] += 1
        durations.total += seconds

    def failed(self, name: str, begun: float, error: BaseException) -> None:
        """A command that began at ``perf_counter()`` time ``begun`` raised."""
        outcome = outcome_of(error)
        other = UNKNOWN_COMMAND if outcome == "noCommand" else CUSTOM_EVENT
        counts = self.by_name.get(name) or self.by_name[other]
        counts.durations.observe(perf_counter() - begun)
        counts.errors[outcome] += 1


def outcome_of(error: BaseException) -> str:
    """The code of an error as a client sees it; one name for all codes of the application."""
    if isinstance(error, ChatServiceError):
        return error.code if error.code in ERROR_TEXTS else APPLICATION_ERROR
    return "timeout" if isinstance(error, StoreTimeoutError) else "internalError"


class Counters:
    """What one service has counted since it was made."""

    def __init__(self, commands: Iterable[str]) -> None:
        names = tuple(commands)
        #: Commands that clients sent, and that server code ran.
        self.client_commands = CommandCounters(names)
        self.server_commands = CommandCounters(names)
        #: Logins by outcome ("ok" or an error code), and ended sockets by reason.
        self.logins: Counter[str] = Counter()
        self.disconnects: Counter[str] = Counter()
        #: Gaps in a room's events that were noticed; those that were filled; messages read for them; tries
        #: that failed; rooms whose store had lost messages.
        self.gaps = 0
        self.gaps_filled = 0
        self.gap_messages = 0
        self.gap_failures = 0
        self.rooms_lost_messages = 0
        #: Instances that were recovered, by outcome ("ok" or "error"), and own leases that lapsed.
        self.recoveries: Counter[str] = Counter()
        self.leases_lost = 0

    def disconnected(self, reason: str) -> None:
        """A socket is gone."""
        self.disconnects[reason if reason in DISCONNECT_REASONS else "other"] += 1
