"""Named events with plain or coroutine listeners, and the events that report failures."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NamedTuple

from chat_service.concurrency.deadlines import Deadlines
from chat_service.concurrency.running import RunningWork
from chat_service.errors import ConfigurationError
from chat_service.hooks import Hook, call_hook
from chat_service.option_group import refuse_unknown
from chat_service.types import RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")


class EventEmitter:
    """Calls the listeners of an event. ``known``: the allowed names; None allows any name."""

    def __init__(self, running: RunningWork, known: Collection[str] | None = None) -> None:
        self._running = running
        self._known = known
        self._listeners: dict[str, list[Hook]] = {}

    def add(self, event: str, listener: Hook) -> None:
        if self._known is not None:
            refuse_unknown("event", {event: None}, list(self._known))
        if not callable(listener):
            raise ConfigurationError(f"event {event}: expected a function, got {listener!r}")
        self._listeners.setdefault(event, []).append(listener)

    def remove(self, event: str, listener: Hook) -> None:
        """Forget a listener. Unknown ones are ignored."""
        listeners = self._listeners.get(event, [])
        if listener in listeners:
            listeners.remove(listener)

    def emit(self, event: str, *args: Any) -> None:
        """Start every listener of an event in order, without waiting. Their exceptions are logged."""
        listeners = self._listeners.get(event)
        if listeners:
            self._running.spawn(self.emit_and_wait(event, *args), f"listeners of {event}")

    async def emit_and_wait(self, event: str, *args: Any) -> None:
        """Call every listener of an event, one after another. Their exceptions are logged."""
        for listener in tuple(self._listeners.get(event, ())):
            try:
                await call_hook(listener, *args)
            except Exception:
                logger.exception("a listener of event %s failed", event)


class Operation(NamedTuple):
    """An operation that can fail when there is no caller to report to."""

    #: The name in the npm package, None if it has no counterpart.
    npm_name: str | None
    doc: str


#: The values of ``FailureInfo.op_type``.
OPERATIONS: Final[Mapping[str, Operation]] = {
    "heartbeat": Operation(None, "The instance could not renew its lease."),
    "instance_recovery": Operation(None, "A socket of a dead instance could not be removed."),
    "room_join": Operation("userRooms", "A join failed, and the store may have the socket in the room."),
    "room_leave": Operation(
        "roomUserlist", "A leave failed, and the store may still have the socket in the room."
    ),
    "socket_disconnect": Operation(
        "userSockets", "The store may still have a socket that has gone, or that was not let in."
    ),
    "transport_channel": Operation(
        "transportChannel", "A socket may still be in a channel of the transport."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureInfo:
    """Details of a failed operation, as far as they apply. ``op_type``: which operation."""

    op_type: str
    user_name: UserName | None = None
    room_name: RoomName | None = None
    id: SocketId | None = None

    def __post_init__(self) -> None:
        if self.op_type not in OPERATIONS:
            raise ValueError(f"op_type: expected one of {', '.join(OPERATIONS)}, got {self.op_type!r}")


class LockStay:
    """A watched block of code that others wait for."""

    __slots__ = ("_stays", "describe", "op_type")

    def __init__(
        self, stays: "Deadlines[LockStay]", describe: Callable[[str], FailureInfo], op_type: str
    ) -> None:
        self._stays = stays
        #: Makes the details for ``op_type``, which are hardly ever needed.
        self.describe = describe
        self.op_type = op_type

    def __enter__(self) -> None:
        self._stays.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stays.discard(self)


class FailureReports:
    """Sends the failure events of a service."""

    def __init__(self, events: EventEmitter, lock_ttl: float) -> None:
        self._events = events
        #: Seconds after which such a block is reported.
        self._lock_ttl = lock_ttl
        self._stays: Deadlines[LockStay] = Deadlines(lock_ttl, self._lock_exceeded)
        #: The number of times each event was sent.
        self.counts: Counter[str] = Counter()
        #: Whether the store may contain leftovers of this instance, and whether they are being removed.
        self.has_leftovers = False
        self.is_cleaning = False

    def store(self, error: Exception, info: FailureInfo) -> None:
        """The store may contain leftovers, which are removed when it answers again."""
        self.has_leftovers = True
        logger.error("store consistency failure in %s: %r", info, error)
        self._emit("store_consistency_failure", error, info)

    def suspect_leftovers(self) -> None:
        """The store's data about this instance's sockets may be wrong."""
        self.has_leftovers = True

    def transport(self, error: Exception, info: FailureInfo) -> None:
        """A socket may still be in a channel that it should have left."""
        logger.error("transport consistency failure in %s: %r", info, error)
        self._emit("transport_consistency_failure", error, info)

    def _emit(self, event: str, *args: Any) -> None:
        self.counts[event] += 1
        self._events.emit(event, *args)

    def watch_lock(self, describe: Callable[[str], FailureInfo], op_type: str) -> "LockStay":
        """A context manager that reports if the block, which others wait for, takes too long.

        ``describe`` makes the details from ``op_type``.
        """
        return LockStay(self._stays, describe, op_type)

    def _lock_exceeded(self, stay: "LockStay") -> None:
        info = stay.describe(stay.op_type)
        lock_id = f"{info.id}:{info.room_name}"
        logger.warning("lock %s is held for more than %s s by %s", lock_id, self._lock_ttl, info)
        self._emit("lock_time_exceeded", lock_id, info)
