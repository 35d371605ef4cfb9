"""The feed of one room: puts a room's events in order for the sockets of this instance.

It decides without I/O and returns what to do. Its rules (architecture.md, Invariants): every socket gets
the events after its join, each once, in the order of the room, and after the answer to the join. Missing
events are detected.
"""

from collections.abc import Collection, Sequence
from typing import Final

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.domain.audience import Audience
from chat_service.domain.decisions import (
    A_GAP,
    TO_ALL,
    TO_NOBODY,
    CaughtUp,
    DecidedJoin,
    Decision,
    Gap,
    Given,
    Kept,
    Missed,
    Reading,
    Snapshot,
    StateGap,
    Verdict,
    given_besides,
)
from chat_service.types import SocketId, UserName

#: Marks a lost subscription between two held events.
INTERRUPTION: Final = None


class RoomFeed:
    """The order of one room's events on this instance, and the sockets that get them."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        #: The last delivered event. None: the next one may be any.
        self.last_seq: int | None = None
        self.last_message_id = 0
        # The last delivered message with its epoch: the store may have lost it, and reuse its id.
        self._last_message: RoomEvent | None = None
        self.audience = Audience()
        # Joins that started the feed, until the first event: the position may have to go back.
        self._first: dict[SocketId, DecidedJoin] = {}
        # Finished epochs, so that late events of them start nothing.
        self._ended: set[str] = set()
        # Events that wait until missing ones are filled in; None if nothing is missing. ``INTERRUPTION``
        # marks a lost subscription: it is unknown whether events were missed there.
        self._held: list[RoomEvent | None] | None = None

    def __repr__(self) -> str:
        state = "ok" if self._held is None else f"filling, {len(self._held)} held"
        return f"<RoomFeed {self.epoch}:{self.last_seq} {self.audience!r} {state}>"

    @property
    def is_holding(self) -> bool:
        """Whether events wait for a catch-up."""
        return self._held is not None

    # Joins

    def forget(self, socket_id: SocketId) -> bool:
        """The socket is no longer joined. Returns whether it was.

        A requested join is a different one, and is not affected.
        """
        self._first.pop(socket_id, None)
        return self.audience.forget(socket_id)

    def forget_all(self, socket_ids: Collection[SocketId]) -> tuple[list[SocketId], set[SocketId]]:
        """``forget`` for many. Returns those who were joined, and who of them had no answer yet."""
        for socket_id in self._first.keys() & socket_ids if self._first else ():
            del self._first[socket_id]
        return self.audience.forget_all(socket_ids)

    def decide_join(self, socket_id: SocketId, user: UserName, join: DecidedJoin) -> RoomCursor | None:
        """The store joined the socket. It gets later events after ``answer_join``.

        Returns the position at which access was lost again, if it was; then it gets nothing.
        """
        cursor = join.cursor
        asked = self.audience.take_asked(socket_id)
        missed = join.due(asked) if asked else []
        if self.is_over(cursor):
            return join.after
        events = [item for item in missed if isinstance(item, RoomEvent)] if missed else []
        if self.epoch is None or (self.last_seq is None and self._held is None):
            self.epoch, self.last_seq = cursor.epoch, cursor.seq
            self.last_message_id = max(self.last_message_id, join.last_message_id)
            self._first[socket_id] = join
        elif self._first:
            self._go_back(events[-1] if events else None, join)
            self._first[socket_id] = join
        for event in events:
            if event.removes(user):
                self.forget(socket_id)
                return event.cursor
        self.audience.decide(socket_id, join, missed)
        return None

    def repeat_join(self, socket_id: SocketId) -> int | None:
        """A joined socket asked for its position: hold back events until ``answer_join``.

        Returns the id of the last message before that, None if the socket is not joined.
        """
        return self.audience.hold(socket_id, self.epoch, self.last_message_id)

    def answer_join(self, socket_id: SocketId) -> Sequence[Kept]:
        """The client knows of its join. Returns the events that the socket has to get now."""
        return self.audience.answer(socket_id, self._is_ahead)

    def _go_back(self, last: RoomEvent | None, join: DecidedJoin) -> None:
        """A join was decided before the one with which the feed began, although its answer came later: go
        back to its position, or to the last event that it has got.
        """
        seq, message_id = (
            (last.seq, last.last_message_id) if last else (join.cursor.seq, join.last_message_id)
        )
        if join.cursor.epoch != self.epoch or self.last_seq is None or seq >= self.last_seq:
            return
        self.last_seq, self.last_message_id = seq, message_id
        self.audience.send_back(self._first, self._is_ahead)

    def _is_ahead(self, cursor: RoomCursor) -> bool:
        if cursor.epoch != self.epoch:
            return True
        return self.last_seq is None or cursor.seq > self.last_seq

    def is_over(self, cursor: RoomCursor) -> bool:
        """Whether a position belongs to a finished epoch."""
        return cursor.epoch in self._ended

    # Events

    def take(self, event: RoomEvent) -> Decision:
        """An event arrived: return what to do with it."""
        if self._held is not None:
            self._held.append(event)
            return TO_NOBODY
        if event.epoch == self.epoch and event.seq - 1 == self.last_seq:
            # The verdict on nearly every event.
            return self._go_on(event)
        verdict = self.judge(event)
        if verdict is Verdict.NEXT:
            return self._go_on(event)
        if verdict is Verdict.SEEN:
            self._pass_over(event)
            return TO_NOBODY
        self._held = [event]
        return A_GAP

    def judge(self, event: RoomEvent) -> Verdict:
        """Return the verdict on an event, without changing anything."""
        if event.epoch in self._ended:
            return Verdict.SEEN
        if self.epoch is not None and event.epoch != self.epoch:
            return Verdict.NEW_EPOCH
        if self.last_seq is None:
            return Verdict.NEXT
        if event.seq <= self.last_seq:
            return Verdict.SEEN
        return Verdict.NEXT if event.seq == self.last_seq + 1 else Verdict.GAP

    def interrupt(self) -> bool:
        """The subscription was lost and restored. Returns whether a catch-up has to be started."""
        if self._held is not None:
            self._held.append(INTERRUPTION)
            return False
        self._held = []
        return True

    def _go_on(self, event: RoomEvent) -> Decision:
        """Accept an event as the next one."""
        self.epoch = event.epoch
        self.last_seq = event.seq
        self.last_message_id = event.last_message_id
        if self._first:
            self._first.clear()
        if event.event == "roomMessage":
            self._last_message = event
        deaf = self.audience.give(event)
        if deaf:
            self.audience.admit(self._is_ahead)
            return Decision(True, deaf)
        return TO_ALL

    def _give(self, event: RoomEvent) -> frozenset[SocketId]:
        """Returns the sockets that do not get the event now."""
        if event.is_message:
            self._last_message = event
        return self.audience.give(event)

    def _pass_over(self, event: RoomEvent) -> None:
        if event.epoch not in self._ended:
            self.audience.pass_over(event)

    # Catching up

    def begin_reading(self) -> Reading:
        """The room is about to be read, because something is missing."""
        held = self._held or []
        # Events before the first one are now read, too.
        while held and held[0] is INTERRUPTION:
            del held[0]
        return Reading(
            epoch=self.epoch,
            seq=self.last_seq,
            last_message_id=self.last_message_id,
            held=len(held),
            joins=self.audience.joins(),
        )

    def known_message(self, epoch: str) -> int:
        """The id after which messages have to be read. The last delivered message is read again to check
        that it is still the same.
        """
        if epoch != self.epoch:
            return 0
        known = self.last_message_id
        return known if self._given_message is None else max(0, known - 1)

    def place_in(self, epoch: str) -> RoomCursor | None:
        """The position of the last delivered event, None if none of this epoch was delivered."""
        if self.last_seq is None or epoch != self.epoch:
            return None
        return RoomCursor(epoch=epoch, seq=self.last_seq)

    def catch_up(self, reading: Reading, snapshot: Snapshot | None) -> CaughtUp:
        """The room was read: fill in missing events, and continue with the held ones.

        ``snapshot``: None if the room does not exist.
        """
        current = None if snapshot is None else snapshot.cursor.epoch
        self._end_epochs(reading, current)
        lost = self._find_lost(reading, snapshot)
        if snapshot is None:
            return CaughtUp(lost=lost, is_complete=self._settle(reading.held))
        if self._has_gone_back(reading, snapshot):
            return CaughtUp(lost=lost, is_complete=False, has_gone_back=True)
        given: list[Given | Missed] = []
        is_complete = self._resume(reading.held, snapshot, given)
        return CaughtUp(lost=lost, given=given_besides(given, lost), is_complete=is_complete)

    def _end_epochs(self, reading: Reading, current: str | None) -> None:
        """Mark the epochs known when the room was read as finished, except for ``current``."""
        over = {event.epoch for event in (self._held or [])[: reading.held] if event}
        if reading.epoch is not None:
            over.add(reading.epoch)
        if current is not None:
            over.discard(current)
        self._ended |= over
        if self.epoch in over:
            self._first.clear()
            self.epoch, self.last_seq, self.last_message_id = None, None, 0

    def _find_lost(self, reading: Reading, snapshot: Snapshot | None) -> dict[SocketId, RoomCursor]:
        """The sockets that are no longer joined. Those that joined after the reading began stay."""
        lost = {}
        for socket_id, join in self.audience.joins().items():
            is_over = self.is_over(join.cursor)
            if not is_over and snapshot is not None and reading.joins.get(socket_id) is join:
                is_over = socket_id not in snapshot.joined or join.cursor.epoch != snapshot.cursor.epoch
            if is_over:
                lost[socket_id] = join.after
        return lost

    def _has_gone_back(self, reading: Reading, snapshot: Snapshot) -> bool:
        """Whether the store does not know what was delivered here, because it has lost its last changes."""
        if reading.seq is None or not snapshot.cursor.epoch == reading.epoch == self.epoch:
            return False
        # A first join may have been decided since then, so the feed may know more than the snapshot.
        if snapshot.cursor.seq < reading.seq or snapshot.last_message_id < reading.last_message_id:
            return True
        given = self._given_message
        return given is not None and any(
            event.is_message and event.last_message_id == given.last_message_id and event.args != given.args
            for event in snapshot.events
        )

    @property
    def _given_message(self) -> RoomEvent | None:
        """The message of ``last_message_id``, if it was delivered here."""
        given = self._last_message
        if given is None or (given.epoch, given.last_message_id) != (self.epoch, self.last_message_id):
            return None
        return given

    def _settle(self, known: int) -> bool:
        """The room did not exist when ``known`` events were held: stop holding. False if events of another
        epoch arrived since then, or may have.
        """
        self._held = [
            event
            for position, event in enumerate(self._held or ())
            if (position >= known if event is INTERRUPTION else event.epoch not in self._ended)
        ] or None
        return self._held is None

    def _resume(self, known: int, snapshot: Snapshot, given: list[Given | Missed]) -> bool:
        """Append what is due to ``given``. Returns whether nothing is missing any longer."""
        cursor = snapshot.cursor
        held, self._held = self._held or [], None
        self._first.clear()
        if self.epoch != cursor.epoch:
            self.epoch, self.last_seq = cursor.epoch, None
        # An event published before the room was read, in another epoch, belongs to an earlier one.
        self._ended.update(event.epoch for event in held[:known] if event and event.epoch != cursor.epoch)
        first = next((event for event in held if event and self._is_missing(event)), None)
        seq, message_id = cursor.seq, snapshot.last_message_id
        if first is not None and first.seq <= seq:
            seq, message_id = first.seq - 1, first.last_message_id - first.is_message
        self._fill(snapshot, seq, message_id, given)
        if self.last_seq is None or seq > self.last_seq:
            # Do not go back: the first join may have been decided after the room was read.
            self.last_seq, self.last_message_id = seq, message_id
        for position, event in enumerate(held):
            if event is INTERRUPTION:
                # The room has to be read again after that.
                self._held = held[position + 1 :]
                return False
            verdict = self.judge(event)
            if verdict is Verdict.NEXT:
                given.append(Given(event, self._go_on(event).deaf))
            elif verdict is Verdict.SEEN:
                self._pass_over(event)
            else:
                self._held = held[position:]
                return False
        self.audience.admit(self._is_ahead)
        return True

    def _fill(self, snapshot: Snapshot, seq: int, message_id: int, given: list[Given | Missed]) -> None:
        """Append the events of the snapshot up to a position to ``given``, and permanent gaps."""
        last_id, changes = self.last_message_id, 0
        for kept in snapshot.events:
            if kept.is_message:
                if not last_id < kept.last_message_id <= message_id:
                    continue
                self._miss(last_id + 1, kept.last_message_id - 1, given)
                last_id = kept.last_message_id
            elif self.last_seq is None or not self.last_seq < kept.seq <= seq:
                continue
            else:
                changes += 1
            given.append(Given(kept, self._give(kept)))
        self._miss(last_id + 1, message_id, given)
        # Each event has a number, and each message also has an id; the other events are changes.
        if self.epoch is None or self.last_seq is None:
            return
        if seq - self.last_seq > message_id - self.last_message_id + changes:
            told = self.audience.miss_state(StateGap(self.epoch, seq))
            if told:
                given.append(Missed(told))

    def _miss(self, first: int, last: int, given: list[Given | Missed]) -> None:
        """Messages from ``first`` to ``last``, if any, are permanently missing."""
        if first <= last and self.epoch is not None:
            told = self.audience.miss(Gap(self.epoch, first, last))
            if told:
                given.append(Missed(told))

    def _is_missing(self, event: RoomEvent) -> bool:
        return event.epoch == self.epoch and (self.last_seq is None or event.seq > self.last_seq)
