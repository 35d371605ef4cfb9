"""Counters of the hot path.

Prometheus counters take a lock and a dictionary look-up per call; an addition here takes tens of nanoseconds.
``chat_service.operations.metrics`` converts these numbers when metrics are requested.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Protocol

from chat_service.errors import ERROR_TEXTS, ChatServiceError, StoreTimeoutError

#: Upper bounds of the histogram buckets, in seconds.
DURATION_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Names under which unknown events, and events that the application handles, are counted.
UNKNOWN_COMMAND, CUSTOM_EVENT = "unknown", "custom"
#: Reasons for a disconnect. Other reasons that a transport gives are counted as "other".
DISCONNECT_REASONS = (
    "client disconnect",
    "server disconnect",
    "transport close",
    "transport error",
    "ping timeout",
    "slow consumer",
)
#: The outcome of errors whose code belongs to the application.
APPLICATION_ERROR = "application"


class ScopeOwner(Protocol):
    """The service that runs a command."""

    @property
    def instance_id(self) -> Callable[[], str]:
        """Returns the id of the instance."""
        ...

    @property
    def commands(self) -> Mapping[str, Any]:
        """The rows of all its commands, by name."""
        ...


#: The running command: the service, the user or a session that knows the user, the socket, the command's
#: name, its arguments. A plain tuple, since one is created for every command.
Scope = tuple[ScopeOwner, Any, str | None, str, Sequence[Any]]
#: The command that the current code runs for, used in logs.
scope: ContextVar[Scope | None] = ContextVar("chat_service_scope", default=None)


@contextmanager
def in_scope(known: Scope) -> Iterator[None]:
    """Attribute the code in this block to a command, for logs."""
    token = scope.set(known)
    try:
        yield
    finally:
        scope.reset(token)


class Durations:
    """A histogram of seconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        #: Number of values in each bucket; the last bucket has no upper bound.
        self.counts = [0] * (len(DURATION_BOUNDS) + 1)
        #: Sum of all values in seconds.
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(DURATION_BOUNDS, seconds)] += 1
        self.total += seconds

    def __len__(self) -> int:
        return sum(self.counts)


class CommandCounts:
    """Durations and outcomes of one command."""

    __slots__ = ("durations", "errors")

    def __init__(self) -> None:
        self.durations = Durations()
        #: Failed runs by outcome. All others succeeded.
        self.errors: Counter[str] = Counter()


class CommandCounters:
    """Counts commands by name and outcome. Clients cannot add names."""

    def __init__(self, names: Iterable[str]) -> None:
        self.by_name = {name: CommandCounts() for name in (*names, CUSTOM_EVENT, UNKNOWN_COMMAND)}

    def add(self, name: str) -> None:
        """Count a command under its own name from now on."""
        self.by_name.setdefault(name, CommandCounts())

    def succeeded(self, name: str, begun: float) -> None:
        """Count a success of a command that started at ``perf_counter()`` time ``begun``."""
        durations = (self.by_name.get(name) or self.by_name[CUSTOM_EVENT]).durations
        # Inlined ``Durations.observe``.
        seconds = perf_counter() - begun
        durations.counts[bisect_left(DURATION_BOUNDS, seconds)] += 1
        durations.total += seconds

    def failed(self, name: str, begun: float, error: BaseException) -> None:
        """Count a failure of a command that started at ``perf_counter()`` time ``begun``."""
        outcome = outcome_of(error)
        other = UNKNOWN_COMMAND if outcome == "noCommand" else CUSTOM_EVENT
        counts = self.by_name.get(name) or self.by_name[other]
        counts.durations.observe(perf_counter() - begun)
        counts.errors[outcome] += 1


def outcome_of(error: BaseException) -> str:
    """The error code as a client sees it. All of the application's own codes share one name."""
    if isinstance(error, ChatServiceError):
        return error.code if error.code in ERROR_TEXTS else APPLICATION_ERROR
    return "timeout" if isinstance(error, StoreTimeoutError) else "internalError"


class WebhookCounters:
    """Counts requests to a back end."""

    def __init__(self) -> None:
        #: Requests by hook and outcome, and their durations by hook.
        self.requests: Counter[tuple[str, str]] = Counter()
        self.durations: dict[str, Durations] = {}
        #: For each hook, 1 while its circuit is open, else 0.
        self.circuits: dict[str, int] = {}
        #: Events by outcome: "delivered", "dropped" for lack of room or time, "refused" by the back end.
        self.events: Counter[str] = Counter()
        #: Returns the number of events that wait; None while no events are sent.
        self.waiting: Callable[[], int] | None = None

    def requested(self, hook: str, outcome: str, begun: float) -> None:
        """Count a request that started at ``perf_counter()`` time ``begun``."""
        self.requests[hook, outcome] += 1
        self.durations.setdefault(hook, Durations()).observe(perf_counter() - begun)


class Counters:
    """All counters of one service since its creation."""

    def __init__(self, commands: Iterable[str]) -> None:
        names = tuple(commands)
        #: Commands sent by clients, and commands run by server code.
        self.client_commands = CommandCounters(names)
        self.server_commands = CommandCounters(names)
        #: Logins by outcome ("ok" or an error code), and disconnects by reason.
        self.logins: Counter[str] = Counter()
        self.disconnects: Counter[str] = Counter()
        #: Sockets disconnected because too much waited for ``on_message_receive``.
        self.slow_hooks = 0
        #: Subscriptions that were lost and came back.
        self.interruptions = 0
        #: Gaps found in a room's events; gaps filled; messages read to fill them; failed attempts; rooms
        #: whose messages the store has lost.
        self.gaps = 0
        self.gaps_filled = 0
        self.gap_messages = 0
        self.gap_failures = 0
        self.rooms_lost_messages = 0
        #: Recoveries of other instances by outcome ("ok" or "error"), and lapses of this instance's lease.
        self.recoveries: Counter[str] = Counter()
        self.leases_lost = 0
        self.webhooks = WebhookCounters()

    def disconnected(self, reason: str) -> None:
        """Count a disconnect."""
        self.disconnects[reason if reason in DISCONNECT_REASONS else "other"] += 1
