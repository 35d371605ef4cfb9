"""Input and output values of a room's feed."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from chat_service.contracts.bus import Notify, RoomCursor, RoomEvent
from chat_service.types import SocketId

NOBODY: Final[frozenset[SocketId]] = frozenset()


class Verdict(Enum):
    """The feed's verdict on an incoming event."""

    NEXT = "next"
    SEEN = "seen"
    GAP = "gap"
    NEW_EPOCH = "new epoch"


class Decision(NamedTuple):
    """What to do with an event."""

    #: Deliver it to the joined sockets, except those in ``deaf``.
    is_given: bool
    deaf: frozenset[SocketId] = NOBODY
    #: Something is missing: read the room. The feed holds back events until ``catch_up``.
    is_gap: bool = False


TO_ALL: Final = Decision(True)
TO_NOBODY: Final = Decision(False)
A_GAP: Final = Decision(False, is_gap=True)


class Given(NamedTuple):
    """An event to deliver now, and the joined sockets that do not get it."""

    event: RoomEvent
    deaf: frozenset[SocketId]


@dataclass(frozen=True, slots=True)
class DecidedJoin:
    """The position in the room's events at which a socket joined."""

    cursor: RoomCursor
    last_message_id: int

    def precedes(self, event: RoomEvent) -> bool:
        """Whether the join precedes an event. Messages are compared by id, because those read from the
        history have no sequence number.
        """
        if self.cursor.epoch != event.epoch:
            return False
        if event.is_message:
            return self.last_message_id < event.last_message_id
        return self.cursor.seq < event.seq

    def due(self, items: "Sequence[Happened]") -> "list[Happened]":
        """The events after the join; of a gap, the part after it."""
        found: list[Happened] = []
        for item in items:
            if isinstance(item, RoomEvent):
                due: Happened | None = item if self.precedes(item) else None
            else:
                due = item.after(self)
            if due is not None:
                found.append(due)
        return found

    @property
    def after(self) -> RoomCursor:
        """The first position after the join."""
        return RoomCursor(epoch=self.cursor.epoch, seq=self.cursor.seq + 1)


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that sockets here can never get, because they are no longer in the history."""

    epoch: str
    #: The first and the last missing id.
    first: int
    last: int

    def after(self, join: DecidedJoin) -> "Gap | None":
        """The part that a joined socket misses."""
        if join.cursor.epoch != self.epoch or join.last_message_id >= self.last:
            return None
        return Gap(self.epoch, max(self.first, join.last_message_id + 1), self.last)


@dataclass(frozen=True, slots=True)
class StateGap:
    """Events other than messages are missing and no longer stored: clients have to read the state again."""

    epoch: str
    #: The position up to which they are missing.
    last_seq: int

    def after(self, join: DecidedJoin) -> "StateGap | None":
        """None for a socket that joined after the missing events."""
        is_later = join.cursor.epoch != self.epoch or join.cursor.seq >= self.last_seq
        return None if is_later else self


#: Deliveries to a room's sockets, in order.
Happened = RoomEvent | Gap | StateGap
#: Deliveries to a socket after the answer to its join.
Kept = Happened | Notify


@dataclass(slots=True)
class UnansweredJoin:
    """A decided join with the events since then; the client has not been told yet."""

    join: DecidedJoin
    kept: list[Kept] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Missed:
    """The gaps of these sockets, to be sent now, before the next event."""

    gaps: Mapping[SocketId, Gap | StateGap]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The state of a feed when the reading of its room begins."""

    #: The last delivered event.
    epoch: str | None
    seq: int | None
    last_message_id: int
    #: The number of events already held.
    held: int
    #: The joined sockets, with their joins.
    joins: Mapping[SocketId, DecidedJoin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a room read for a catch-up.

    ``events``: the stored ones, in order. Messages among them have no sequence number, and are those after
    ``RoomFeed.known_message``.
    """

    cursor: RoomCursor
    last_message_id: int
    events: Sequence[RoomEvent]
    #: The joined sockets, read after the messages.
    joined: Collection[SocketId]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """The consequences of a snapshot."""

    #: What to deliver now, in this order.
    given: Sequence[Given | Missed] = ()
    #: Sockets that are no longer joined; forget them before delivering anything. Each with a position at
    #: which it was not joined; the exact position of the removal is unknown.
    lost: Mapping[SocketId, RoomCursor]
    #: Whether nothing is missing. If False, the room has to be read again.
    is_complete: bool
    #: The store has lost changes that were delivered here.
    has_gone_back: bool = False


def given_besides(given: Sequence[Given | Missed], lost: Container[SocketId]) -> Sequence[Given | Missed]:
    """The due deliveries, without the gaps of sockets that are no longer joined: these get nothing more."""
    if not any(isinstance(item, Missed) for item in given):
        return given
    return [
        item
        if isinstance(item, Given)
        else Missed({socket_id: gap for socket_id, gap in item.gaps.items() if socket_id not in lost})
        for item in given
    ]


def are_same(event: RoomEvent, other: RoomEvent) -> bool:
    """Whether one of two events was read from the history, or is a duplicate."""
    if event.epoch != other.epoch or event.is_message != other.is_message:
        return False
    # A message read from the history has no sequence number.
    return event.last_message_id == other.last_message_id if event.is_message else event.seq == other.seq
