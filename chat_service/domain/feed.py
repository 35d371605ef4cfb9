"""The feed of one room: puts a room's events in order in front of the sockets of this instance.

Decides without I/O. The rules it keeps (architecture.md, Invariants): every socket sees the events after
its join, each once, in the order of the room; missing ones are noticed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.types import SocketId

#: Between two events that are held.
INTERRUPTION = None


class Verdict(Enum):
    """What a feed makes of an event that came in."""

    NEXT = "next"
    SEEN = "seen"
    GAP = "gap"
    NEW_EPOCH = "new epoch"


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


class RoomFeed:
    """The order of one room's events on this instance.

    ``admit(socket_id)`` lets a socket hear the broadcasts, ``dismiss(socket_id)`` takes that back;
    ``replay(socket_id, event)`` gives one event to one socket; ``broadcast(event)`` gives an event to all who
    were admitted.
    """

    def __init__(
        self,
        admit: Callable[[SocketId], None],
        dismiss: Callable[[SocketId], None],
        replay: Callable[[SocketId, RoomEvent], None],
        broadcast: Callable[[RoomEvent], None],
    ) -> None:
        self._admit = admit
        self._dismiss = dismiss
        self._replay = replay
        self._broadcast = broadcast
        self.epoch: str | None = None
        #: The last event that was broadcast. None: the next one may be any.
        self.last_seq: int | None = None
        self.last_message_id = 0
        # The last message that was given, with its epoch: the store may have lost it, and reuse its id.
        self._last_message: RoomEvent | None = None
        # Joins that are asked for, with what came since then: it may come before the answer.
        self._asked: dict[SocketId, list[RoomEvent]] = {}
        # Joins that were decided at a place which the feed has not reached.
        self._ahead: dict[SocketId, DecidedJoin] = {}
        # Sockets whose joins started the feed, until the first event: the place may have to go back.
        self._first: dict[SocketId, DecidedJoin] = {}
        # Epochs that are over, so that late events of them start nothing.
        self._ended: set[str] = set()
        #: Events that wait until missing ones are filled in; None when nothing is missing. ``INTERRUPTION``
        #: stands where the subscription was lost: what came there is unknown, maybe nothing.
        self.held: list[RoomEvent | None] | None = None

    def __repr__(self) -> str:
        state = "ok" if self.held is None else f"filling, {len(self.held)} held"
        joins = f"asked={len(self._asked)} ahead={len(self._ahead)}"
        return f"<RoomFeed {self.epoch}:{self.last_seq} {joins} {state}>"

    @property
    def has_joins(self) -> bool:
        """Whether a socket waits to be admitted."""
        return bool(self._asked or self._ahead)

    def joined_ahead(self) -> list[SocketId]:
        """The sockets that are joined, and wait to be admitted until the feed is where they joined."""
        return list(self._ahead)

    # Joins

    def begin_join(self, socket_id: SocketId) -> None:
        """A join was asked for; keep what comes until it is decided."""
        self._asked[socket_id] = []

    def abort_join(self, socket_id: SocketId) -> None:
        """The join that was begun changes nothing: it was refused, or the socket is joined already."""
        self._asked.pop(socket_id, None)

    def forget(self, socket_id: SocketId) -> None:
        """The socket has left: a join of it that waits is void."""
        self._asked.pop(socket_id, None)
        self._ahead.pop(socket_id, None)
        self._first.pop(socket_id, None)

    def complete_join(self, socket_id: SocketId, cursor: RoomCursor, last_message_id: int) -> None:
        """The join was decided at ``cursor``: give the socket what came after it."""
        events = self._asked.pop(socket_id, None)
        if events is None:
            return
        join = DecidedJoin(cursor, last_message_id)
        missed = [event for event in events if join.precedes(event)]
        if self.epoch is None or (self.last_seq is None and self.held is None):
            self.epoch = cursor.epoch
            self.last_seq = cursor.seq
            self.last_message_id = max(self.last_message_id, last_message_id)
            self._first[socket_id] = join
        elif self._first:
            self._go_back(missed[-1] if missed else None, join)
            self._first[socket_id] = join
        if not missed and self._is_ahead(cursor):
            self._ahead[socket_id] = join
            return
        self._ahead.pop(socket_id, None)
        self._admit(socket_id)
        for event in missed:
            self._replay(socket_id, event)

    def _go_back(self, last: RoomEvent | None, join: DecidedJoin) -> None:
        """A join was decided before the one that the feed began with, though its answer came later: begin
        at its place, or at the last event that it has got."""
        seq, message_id = (
            (last.seq, last.last_message_id) if last else (join.cursor.seq, join.last_message_id)
        )
        if join.cursor.epoch != self.epoch or self.last_seq is None or seq >= self.last_seq:
            return
        self.last_seq = seq
        self.last_message_id = message_id
        for socket_id, other in self._first.items():
            if socket_id not in self._ahead and self._is_ahead(other.cursor):
                self._dismiss(socket_id)
                self._ahead[socket_id] = other

    def _is_ahead(self, cursor: RoomCursor) -> bool:
        if cursor.epoch != self.epoch:
            return True
        return self.last_seq is None or cursor.seq > self.last_seq

    # Events

    def judge(self, event: RoomEvent) -> Verdict:
        """Say what an event is to this feed, without doing anything."""
        if event.epoch in self._ended:
            return Verdict.SEEN
        if self.epoch is not None and event.epoch != self.epoch:
            return Verdict.NEW_EPOCH
        if self.last_seq is None:
            return Verdict.NEXT
        if event.seq <= self.last_seq:
            return Verdict.SEEN
        return Verdict.NEXT if event.seq == self.last_seq + 1 else Verdict.GAP

    def apply(self, event: RoomEvent) -> None:
        """Take an event as the next one: admit who joined before it, then give it to all."""
        self.epoch = event.epoch
        self.last_seq = event.seq
        self.last_message_id = event.last_message_id
        self._first.clear()
        self._give(event)
        if self._ahead:
            self._admit_reached()

    def interrupt(self) -> bool:
        """The subscription was lost and is there again. Returns whether a catch-up has to be started."""
        if self.held is not None:
            self.held.append(INTERRUPTION)
            return False
        self.held = []
        return True

    def begin_fill(self) -> int:
        """The room is going to be read. Returns how many events are held."""
        held = self.held or []
        # What comes before the first event is read now, too.
        while held and held[0] is INTERRUPTION:
            del held[0]
        return len(held)

    def pass_over(self, event: RoomEvent) -> None:
        """An event that was seen: only joins that are asked for may lack it."""
        if event.epoch in self._ended:
            return
        for events in self._asked.values():
            if not any(_are_same(event, other) for other in events):
                events.append(event)

    def resume(
        self, cursor: RoomCursor, last_message_id: int, stored: Sequence[RoomEvent], known: int
    ) -> bool:
        """Fill in what is missing before the held events, then go on with them. False: there is another gap,
        or there may be one.

        ``cursor`` and ``last_message_id`` are the room's, ``stored`` the events that it kept, in their order;
        messages among them have no sequence number. All was read when ``known`` events were held already, as
        ``begin_fill`` has said.
        """
        held, self.held = self.held or [], None
        self._first.clear()
        if self.epoch != cursor.epoch:
            self.epoch, self.last_seq = cursor.epoch, None
        # What was published before the room was read, and in another life, is of an earlier one.
        self._ended.update(event.epoch for event in held[:known] if event and event.epoch != cursor.epoch)
        first = next((event for event in held if event and self._is_missing(event)), None)
        seq, message_id = cursor.seq, last_message_id
        if first is not None and first.seq <= seq:
            seq, message_id = first.seq - 1, first.last_message_id - first.is_message
        for kept in stored:
            if kept.is_message:
                is_missed = self.last_message_id < kept.last_message_id <= message_id
            else:
                is_missed = self.last_seq is not None and self.last_seq < kept.seq <= seq
            if is_missed:
                self._give(kept)
        if self.last_seq is None or seq > self.last_seq:
            # Not back: the first join may have been decided after the room was read.
            self.last_seq, self.last_message_id = seq, message_id
        for position, event in enumerate(held):
            if event is INTERRUPTION:
                # The room has to be read as it was after that.
                self.held = held[position + 1 :]
                return False
            verdict = self.judge(event)
            if verdict is Verdict.NEXT:
                self.apply(event)
            elif verdict is Verdict.SEEN:
                self.pass_over(event)
            else:
                self.held = held[position:]
                return False
        self._admit_reached()
        return True

    def _is_missing(self, event: RoomEvent) -> bool:
        """Whether an event is of this life, and was not given."""
        return event.epoch == self.epoch and (self.last_seq is None or event.seq > self.last_seq)

    def end_epochs(
        self, epoch: str | None, known: int, current: str | None = None
    ) -> dict[SocketId, RoomCursor]:
        """The room was read, and is not there or is in its life ``current``: those that were known before
        are over. Returns the sockets that were joined to one of them and not admitted yet.

        ``epoch``: the feed's when the reading began; ``known`` events were held then.
        """
        over = {event.epoch for event in (self.held or [])[:known] if event}
        if epoch is not None:
            over.add(epoch)
        if current is not None:
            over.discard(current)
        self._ended |= over
        ended = {
            socket_id: join.cursor for socket_id, join in self._ahead.items() if self.is_over(join.cursor)
        }
        for socket_id in ended:
            del self._ahead[socket_id]
        if self.epoch in over:
            self._first.clear()
            self.epoch = None
            self.last_seq = None
            self.last_message_id = 0
        return ended

    def is_over(self, cursor: RoomCursor) -> bool:
        """Whether a place is in a life of the room that has ended."""
        return cursor.epoch in self._ended

    def went_back(self, cursor: RoomCursor, last_message_id: int, messages: Sequence[RoomEvent]) -> bool:
        """Whether the store does not know what was given here, since it has lost its last changes.

        ``cursor`` and ``last_message_id`` are the room's, ``messages`` those from the last given one on.
        """
        if self.last_seq is None or cursor.epoch != self.epoch:
            return False
        if cursor.seq < self.last_seq or last_message_id < self.last_message_id:
            return True
        given = self.given_message
        return given is not None and any(
            message.last_message_id == given.last_message_id and message.args != given.args
            for message in messages
        )

    @property
    def given_message(self) -> RoomEvent | None:
        """The message of ``last_message_id``, when it was given here."""
        given = self._last_message
        if given is None or (given.epoch, given.last_message_id) != (self.epoch, self.last_message_id):
            return None
        return given

    def settle(self, known: int) -> bool:
        """No room was there when ``known`` events were held: stop holding. False when events of another life
        came meanwhile, or may have come."""
        self.held = [
            event
            for position, event in enumerate(self.held or ())
            if (position >= known if event is INTERRUPTION else event.epoch not in self._ended)
        ] or None
        return self.held is None

    def _give(self, event: RoomEvent) -> None:
        if event.is_message:
            self._last_message = event
        # Nobody is joining at most events.
        if self._asked:
            for events in self._asked.values():
                events.append(event)
        if self._ahead:
            for socket_id, join in list(self._ahead.items()):
                if join.precedes(event):
                    del self._ahead[socket_id]
                    self._admit(socket_id)
        self._broadcast(event)

    def _admit_reached(self) -> None:
        for socket_id, join in list(self._ahead.items()):
            if not self._is_ahead(join.cursor):
                del self._ahead[socket_id]
                self._admit(socket_id)


def _are_same(event: RoomEvent, other: RoomEvent) -> bool:
    if event.epoch != other.epoch or event.is_message != other.is_message:
        return False
    # A message that was filled in has no sequence number of its own.
    return event.last_message_id == other.last_message_id if event.is_message else event.seq == other.seq
