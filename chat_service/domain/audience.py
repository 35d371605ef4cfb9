"""The sockets of this instance in one room: which of them get an event now, later, or never.

A socket passes through these states: its join is requested, decided by the store, and acknowledged to the
client. Then it gets the delivered events.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from chat_service.contracts.bus import Notify, RoomCursor, RoomEvent
from chat_service.domain.decisions import (
    NOBODY,
    DecidedJoin,
    Gap,
    Happened,
    Kept,
    StateGap,
    UnansweredJoin,
    are_same,
)
from chat_service.types import SocketId

#: Whether the feed has not reached this position.
IsAhead = Callable[[RoomCursor], bool]


class Audience:
    """Decides without I/O. ``RoomFeed`` determines the order of the events."""

    def __init__(self) -> None:
        # Requested joins, with the events since then, which may arrive before the store's answer.
        self._asked: dict[SocketId, list[Happened]] = {}
        # Joins that the store has decided, until the client has its answer.
        self._unanswered: dict[SocketId, UnansweredJoin] = {}
        # Joins at positions that the feed has not reached.
        self._ahead: dict[SocketId, DecidedJoin] = {}
        # Sockets that get delivered events.
        self._hearing: dict[SocketId, DecidedJoin] = {}

    def __repr__(self) -> str:
        counts = f"asked={len(self._asked)} unanswered={len(self._unanswered)} ahead={len(self._ahead)}"
        return f"<Audience {counts} hearing={len(self._hearing)}>"

    @property
    def is_empty(self) -> bool:
        """Whether no socket is joined or joining."""
        return not (self._hearing or self._asked or self._unanswered or self._ahead)

    def joins(self) -> Mapping[SocketId, DecidedJoin]:
        """The joined sockets, with their joins."""
        unanswered = {socket_id: item.join for socket_id, item in self._unanswered.items()}
        return {**self._hearing, **self._ahead, **unanswered}

    def hearing(self) -> Sequence[SocketId]:
        """The sockets that get delivered events now."""
        return tuple(self._hearing)

    # Joins

    def ask(self, socket_id: SocketId) -> None:
        """A join is requested: keep events until it is decided."""
        self._asked[socket_id] = []

    def take_asked(self, socket_id: SocketId) -> Sequence[Happened]:
        """The join was decided, or cancelled. Returns the events since its request."""
        return self._asked.pop(socket_id, ())

    def decide(self, socket_id: SocketId, join: DecidedJoin, kept: Sequence[Happened]) -> None:
        """The socket gets ``kept``, and later events, after ``answer``."""
        self._unanswered[socket_id] = UnansweredJoin(join, [*kept])

    def hold(self, socket_id: SocketId, epoch: str | None, last_message_id: int) -> int | None:
        """Hold back further events for a joined socket until ``answer``. Returns the last message before
        that.

        ``epoch``, ``last_message_id``: the position of the feed. Returns None if the socket is not joined.
        """
        unanswered = self._unanswered.get(socket_id)
        if unanswered is not None:
            return unanswered.join.last_message_id
        join = self._hearing.pop(socket_id, None) or self._ahead.pop(socket_id, None)
        if join is None:
            return None
        place = join.last_message_id
        if epoch == join.cursor.epoch:
            place = max(place, last_message_id)
        self._unanswered[socket_id] = UnansweredJoin(DecidedJoin(join.cursor, place))
        return place

    def has_kept(self, socket_id: SocketId) -> bool:
        """Whether there are events that the socket has to get after the answer to its join."""
        unanswered = self._unanswered.get(socket_id)
        return unanswered is not None and bool(unanswered.kept)

    def answer(self, socket_id: SocketId, is_ahead: IsAhead) -> Sequence[Kept]:
        """The client knows of its join. Returns the events that the socket has to get now."""
        unanswered = self._unanswered.pop(socket_id, None)
        if unanswered is None:
            return ()
        join, kept = unanswered.join, unanswered.kept
        has_events = bool(kept) and any(isinstance(item, RoomEvent) for item in kept)
        if not has_events and is_ahead(join.cursor):
            self._ahead[socket_id] = join
        else:
            self._hearing[socket_id] = join
        return kept

    def forget(self, socket_id: SocketId) -> bool:
        """The socket is no longer joined. Returns whether it was. A requested join is not affected."""
        places = (self._unanswered, self._ahead, self._hearing)
        found = [joins.pop(socket_id, None) for joins in places]
        return any(found)

    def forget_all(self, socket_ids: Iterable[SocketId]) -> tuple[list[SocketId], set[SocketId]]:
        """``forget`` for many. Returns those who were joined, and who of them had no answer yet."""
        joined: list[SocketId] = []
        unanswered: set[SocketId] = set()
        # Usually all of them get the delivered events.
        for socket_id in socket_ids:
            if self._hearing.pop(socket_id, None) or self._ahead.pop(socket_id, None):
                joined.append(socket_id)
            elif self._unanswered.pop(socket_id, None):
                joined.append(socket_id)
                unanswered.add(socket_id)
        return joined, unanswered

    def send_back(self, sockets: Mapping[SocketId, DecidedJoin], is_ahead: IsAhead) -> None:
        """The feed went back, so some of these sockets are ahead of it again."""
        for socket_id, join in sockets.items():
            if socket_id in self._hearing and is_ahead(join.cursor):
                self._ahead[socket_id] = self._hearing.pop(socket_id)

    def admit(self, is_ahead: IsAhead) -> None:
        """The feed advanced: sockets whose joins it has reached get the following events."""
        for socket_id, join in list(self._ahead.items()):
            if not is_ahead(join.cursor):
                self._hearing[socket_id] = self._ahead.pop(socket_id)

    # Events

    def give(self, event: RoomEvent) -> frozenset[SocketId]:
        """Returns the sockets that do not get the event now: they joined later, or it is kept for them."""
        # Usually no socket is joining.
        if not (self._asked or self._unanswered or self._ahead):
            return NOBODY
        for events in self._asked.values():
            events.append(event)
        for unanswered in self._unanswered.values():
            if unanswered.join.precedes(event):
                unanswered.kept.append(event)
        for socket_id, join in list(self._ahead.items()):
            if join.precedes(event):
                self._hearing[socket_id] = self._ahead.pop(socket_id)
        return frozenset((*self._unanswered, *self._ahead))

    def pass_over(self, event: RoomEvent) -> None:
        """An event was seen that only joining sockets may not have got."""
        for events in self._asked.values():
            if not any(isinstance(other, RoomEvent) and are_same(event, other) for other in events):
                events.append(event)
        for unanswered in self._unanswered.values():
            kept = [item for item in unanswered.kept if isinstance(item, RoomEvent)]
            if unanswered.join.precedes(event) and not any(are_same(event, other) for other in kept):
                unanswered.kept.append(event)

    def notify(self, notice: Notify) -> frozenset[SocketId]:
        """A notification that is not an event of the room. Returns the joined sockets that get it later."""
        if not self._unanswered:
            return NOBODY
        for unanswered in self._unanswered.values():
            unanswered.kept.append(notice)
        return frozenset(self._unanswered)

    def unanswered(self) -> Collection[SocketId]:
        """The joined sockets whose clients do not know of it yet."""
        return self._unanswered

    # Gaps

    def miss(self, gap: Gap) -> Mapping[SocketId, Gap]:
        """Messages are permanently lost. Returns what each socket has to be told now."""
        for events in self._asked.values():
            events.append(gap)
        for unanswered in self._unanswered.values():
            part = gap.after(unanswered.join)
            if part is not None:
                unanswered.kept.append(part)
        told = {}
        for socket_id, join in {**self._hearing, **self._ahead}.items():
            part = gap.after(join)
            if part is not None:
                told[socket_id] = part
        return told

    def miss_state(self, gap: StateGap) -> Mapping[SocketId, StateGap]:
        """Events other than messages are permanently lost. Returns the sockets that have to be told now."""
        for events in self._asked.values():
            events.append(gap)
        for unanswered in self._unanswered.values():
            if gap.after(unanswered.join):
                unanswered.kept.append(gap)
        joins = {**self._hearing, **self._ahead}
        return {socket_id: gap for socket_id, join in joins.items() if gap.after(join)}
