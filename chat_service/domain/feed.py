"""The feed of one room: puts a room's events in order in front of the sockets of this instance.

Decides without I/O. The rules it keeps (architecture.md, Invariants): every socket sees the events after
its join, each once, in the order of the room; missing ones are noticed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from chat_service.bus.base import RoomCursor, RoomEvent
from chat_service.types import SocketId


class Verdict(Enum):
    """What a feed makes of an event that came in."""

    NEXT = "next"
    SEEN = "seen"
    GAP = "gap"
    NEW_EPOCH = "new epoch"


@dataclass(slots=True)
class PendingJoin:
    """A socket whose join is under way, or is ahead of the feed.

    Until the answer is here ``cursor`` is None and events are kept, for they may come before the answer.
    """

    cursor: RoomCursor | None = None
    last_message_id: int = 0
    events: list[RoomEvent] = field(default_factory=list)

    def precedes(self, event: RoomEvent) -> bool:
        """Whether the join, which was decided, comes before an event. Messages go by their ids, since
        those read from the history have no sequence number."""
        if self.cursor is None or self.cursor.epoch != event.epoch:
            return False
        if event.is_message:
            return self.last_message_id < event.last_message_id
        return self.cursor.seq < event.seq


class RoomFeed:
    """The order of one room's events on this instance.

    ``admit(socket_id)`` lets a socket hear the broadcasts; ``replay(socket_id, event)`` gives one event to
    one socket; ``broadcast(event)`` gives an event to all who were admitted.
    """

    def __init__(
        self,
        admit: Callable[[SocketId], None],
        replay: Callable[[SocketId, RoomEvent], None],
        broadcast: Callable[[RoomEvent], None],
    ) -> None:
        self._admit = admit
        self._replay = replay
        self._broadcast = broadcast
        self.epoch: str | None = None
        #: The last event that was broadcast. None: the next one may be any.
        self.last_seq: int | None = None
        self.last_message_id = 0
        self.pending: dict[SocketId, PendingJoin] = {}
        # Epochs that are over, so that late events of them start nothing.
        self._ended: set[str] = set()
        #: Events that wait until missing ones are filled in; None when nothing is missing.
        self.held: list[RoomEvent] | None = None

    def __repr__(self) -> str:
        state = "ok" if self.held is None else f"filling, {len(self.held)} held"
        return f"<RoomFeed {self.epoch}:{self.last_seq} pending={len(self.pending)} {state}>"

    # Joins

    def begin_join(self, socket_id: SocketId) -> None:
        """A join was asked for; keep what comes until it is decided."""
        self.pending[socket_id] = PendingJoin()

    def abort_join(self, socket_id: SocketId) -> None:
        """The join was refused, or undone before the socket was admitted."""
        self.pending.pop(socket_id, None)

    def complete_join(self, socket_id: SocketId, cursor: RoomCursor, last_message_id: int) -> None:
        """The join was decided at ``cursor``: give the socket what came after it."""
        join = self.pending.pop(socket_id, None)
        if join is None:
            return
        if self.epoch is None or (self.last_seq is None and self.held is None):
            self.epoch = cursor.epoch
            self.last_seq = cursor.seq
            self.last_message_id = max(self.last_message_id, last_message_id)
        join.cursor = cursor
        join.last_message_id = last_message_id
        missed = [event for event in join.events if join.precedes(event)]
        if not missed and self._is_ahead(cursor):
            join.events.clear()
            self.pending[socket_id] = join
            return
        self._admit(socket_id)
        for event in missed:
            self._replay(socket_id, event)

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
        self._give(event)

    def fill(self, event: RoomEvent) -> None:
        """Give all a message that was missed and read from the history."""
        if event.last_message_id > self.last_message_id:
            self.last_message_id = event.last_message_id
            self._give(event)

    def resume(self, cursor: RoomCursor, last_message_id: int) -> bool:
        """All up to ``cursor`` is filled in: go on with what was held. False: there is another gap."""
        held, self.held = self.held or [], None
        self.epoch = cursor.epoch
        self.last_seq = cursor.seq
        self.last_message_id = last_message_id
        for position, event in enumerate(held):
            verdict = self.judge(event)
            if verdict is Verdict.NEXT:
                self.apply(event)
            elif verdict is not Verdict.SEEN:
                self.held = held[position:]
                return False
        for socket_id, join in list(self.pending.items()):
            if join.cursor is not None and not self._is_ahead(join.cursor):
                del self.pending[socket_id]
                self._admit(socket_id)
        return True

    def end_epoch(self) -> list[SocketId]:
        """The room's life is over. Returns the sockets that were joined to it and not admitted yet."""
        ended = [
            socket_id
            for socket_id, join in self.pending.items()
            if join.cursor is not None and join.cursor.epoch == self.epoch
        ]
        for socket_id in ended:
            del self.pending[socket_id]
        if self.epoch is not None:
            self._ended.add(self.epoch)
        self.epoch = None
        self.last_seq = None
        self.last_message_id = 0
        return ended

    def settle(self) -> bool:
        """No room is there any more: stop holding. False when events of another life came meanwhile."""
        self.held = [event for event in self.held or () if event.epoch not in self._ended] or None
        return self.held is None

    def _give(self, event: RoomEvent) -> None:
        for socket_id, join in list(self.pending.items()):
            if join.cursor is None:
                join.events.append(event)
            elif join.precedes(event):
                del self.pending[socket_id]
                self._admit(socket_id)
        self._broadcast(event)
