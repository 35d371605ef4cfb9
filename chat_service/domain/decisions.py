"""What the feed of a room is told, and what it decides. Values only."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from chat_service.contracts.bus import Notify, RoomCursor, RoomEvent
from chat_service.types import SocketId

NOBODY: Final[frozenset[SocketId]] = frozenset()


class Verdict(Enum):
    """What a feed makes of an event that came in."""

    NEXT = "next"
    SEEN = "seen"
    GAP = "gap"
    NEW_EPOCH = "new epoch"


class Decision(NamedTuple):
    """What is to be done with an event."""

    #: Give it to the sockets that are joined, but not to those in ``deaf``.
    is_given: bool
    deaf: frozenset[SocketId] = NOBODY
    #: Something is missing: read the room, since the feed holds its events until ``catch_up``.
    is_gap: bool = False


TO_ALL: Final = Decision(True)
TO_NOBODY: Final = Decision(False)
A_GAP: Final = Decision(False, is_gap=True)


class Given(NamedTuple):
    """An event that is due now, and the joined sockets that do not get it."""

    event: RoomEvent
    deaf: frozenset[SocketId]


@dataclass(frozen=True, slots=True)
class DecidedJoin:
    """Where in the room's events a socket was joined."""

    cursor: RoomCursor
    last_message_id: int

    def precedes(self, event: RoomEvent) -> bool:
        """Whether the join comes before an event. Messages go by their ids, since those read from the
        history have no sequence number."""
        if self.cursor.epoch != event.epoch:
            return False
        if event.is_message:
            return self.last_message_id < event.last_message_id
        return self.cursor.seq < event.seq

    def due(self, items: "Sequence[Happened]") -> "list[Happened]":
        """Those that the join comes before; of a gap, the part after it."""
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
        """The first place that follows the join."""
        return RoomCursor(epoch=self.cursor.epoch, seq=self.cursor.seq + 1)


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that no socket here can get, because the history no longer has them."""

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
    """Events other than messages are missing, and no longer known: what they changed has to be read again."""

    epoch: str
    #: The place up to which they are missing.
    last_seq: int

    def after(self, join: DecidedJoin) -> "StateGap | None":
        """None for a socket that joined after the missing events."""
        is_later = join.cursor.epoch != self.epoch or join.cursor.seq >= self.last_seq
        return None if is_later else self


#: What comes to a room's sockets in its order.
Happened = RoomEvent | Gap | StateGap
#: What a socket gets after the answer to its join.
Kept = Happened | Notify


@dataclass(slots=True)
class UnansweredJoin:
    """A join that was decided, and what came since then; the client does not know of it yet."""

    join: DecidedJoin
    kept: list[Kept] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Missed:
    """What these sockets miss, to be told now, before the next event."""

    gaps: Mapping[SocketId, Gap | StateGap]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The state of a feed at the moment when the reading of its room begins."""

    #: The last event that was given.
    epoch: str | None
    seq: int | None
    last_message_id: int
    #: How many events are held already.
    held: int
    #: The sockets that are joined, with their joins.
    joins: Mapping[SocketId, DecidedJoin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A room as it was read for a catch-up.

    ``events``: those that it kept, in their order. Messages among them have no sequence number, and are those
    past ``RoomFeed.known_message``.
    """

    cursor: RoomCursor
    last_message_id: int
    events: Sequence[RoomEvent]
    #: The sockets that are joined, read after the messages.
    joined: Collection[SocketId]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """What follows from a snapshot."""

    #: What is due now, in this order.
    given: Sequence[Given | Missed] = ()
    #: Sockets that turned out to be no longer joined; forget them before giving anything. Each with
    #: a place at which it was not joined; when exactly it was removed is not known.
    lost: Mapping[SocketId, RoomCursor]
    #: Whether nothing is missing. If not, the room has to be read again.
    is_complete: bool
    #: The store has lost changes that were given here.
    has_gone_back: bool = False


def given_besides(given: Sequence[Given | Missed], lost: Container[SocketId]) -> Sequence[Given | Missed]:
    """What is due, without what sockets miss that are no longer joined: they are told nothing more."""
    if not any(isinstance(item, Missed) for item in given):
        return given
    return [
        item
        if isinstance(item, Given)
        else Missed({socket_id: gap for socket_id, gap in item.gaps.items() if socket_id not in lost})
        for item in given
    ]


def are_same(event: RoomEvent, other: RoomEvent) -> bool:
    """Whether one of two events was read from the history, or came twice."""
    if event.epoch != other.epoch or event.is_message != other.is_message:
        return False
    # A message that was filled in has no sequence number of its own.
    return event.last_message_id == other.last_message_id if event.is_message else event.seq == other.seq
