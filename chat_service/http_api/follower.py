"""Decides without I/O what the reader of a room's events gets next.

Messages are taken from the bus as long as none is missing, and from the store otherwise. All other events
come only from the bus; if some may be missing, the reader is notified.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from chat_service.contracts.bus import Notify, RoomCursor, RoomEvent
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.types import Message

_NAMES: Final = {row.name: [name for name, _ in row.arguments] for row in NOTIFICATIONS}


class Line(NamedTuple):
    """One event for the reader. ``id``: of a message, as ``epoch:id``, otherwise None."""

    event: str
    data: dict[str, Any]
    id: str | None = None


class Waiting:
    """The ``Tap`` of one reader: keeps events that the reader has not got yet, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[RoomEvent | Notify] = deque()
        #: Called when an event arrives.
        self.wake: Any = lambda: None
        #: More events arrived than the reader read in time.
        self.is_over = False
        #: Events may have been missed.
        self.is_interrupted = False

    def hear(self, event: RoomEvent | Notify) -> None:
        """Part of ``Tap``."""
        if len(self._items) >= self._limit:
            self.is_over = True
            self._items.clear()
        if not self.is_over:
            self._items.append(event)
        self.wake()

    def interrupt(self) -> None:
        """Part of ``Tap``."""
        self.is_interrupted = True
        self.wake()

    @property
    def is_empty(self) -> bool:
        """Whether no event is waiting."""
        return not (self._items or self.is_over or self.is_interrupted)

    def take(self) -> RoomEvent | Notify | None:
        """The oldest event, None if there is none."""
        return self._items.popleft() if self._items else None


class Follower:
    """The position of a reader in a room's events: the last message and the last event it got."""

    def __init__(self, room: str, cursor: RoomCursor, last_id: int) -> None:
        """``last_id``: the last message that the reader has."""
        self._room = room
        self.epoch = cursor.epoch
        self._seq = cursor.seq
        self.last_id = last_id

    # From the bus

    def is_gap(self, event: RoomEvent) -> bool:
        """Whether the room has to be read before this event can be delivered."""
        if event.epoch != self.epoch:
            return True
        return event.last_message_id > self.last_id + event.is_message

    def take(self, event: RoomEvent) -> Iterator[Line]:
        """The event for the reader. No earlier event is missing."""
        if event.epoch != self.epoch:
            return
        if event.is_message:
            if event.last_message_id == self.last_id + 1:
                self.last_id += 1
                yield self._message(event.last_message_id, event.args[1])
        elif event.seq > self._seq:
            for user in event.announced:
                yield Line("roomUserLeft", {"roomName": self._room, "userName": user})
            if event.event:
                yield as_line(event.event, event.args)
        self._seq = max(self._seq, event.seq)

    # From the store

    def resume(self, messages: Sequence[Message], up_to: int) -> Iterator[Line]:
        """The events for messages read after the last one, oldest first, with everything stored up to an
        id.
        """
        for message in messages:
            if message["id"] > self.last_id:
                yield from self._missing(message["id"] - 1)
                self.last_id = message["id"]
                yield self._message(self.last_id, message)
        yield from self._missing(up_to)

    def catch_up(self, cursor: RoomCursor, last_id: int, known: int) -> Iterator[Line]:
        """The room was read at a position, with messages up to ``last_id``. ``known``: the previous one."""
        if cursor.seq - self._seq > last_id - known:
            # Each message is an event of its own; messages without one are gone.
            yield Line("roomStateGap", {"roomName": self._room})
        self._seq = max(self._seq, cursor.seq)

    def start_over(self, cursor: RoomCursor, last_id: int) -> Line:
        """The room has started over, or has lost messages: continue from its last message."""
        self.epoch, self._seq, self.last_id = cursor.epoch, cursor.seq, last_id
        return self.position(last_id, recovered=False)

    def position(self, last_id: int, *, recovered: bool) -> Line:
        """The position of the reader. ``last_id``: the room's last message."""
        data = {"epoch": self.epoch, "lastMessageId": last_id, "recovered": recovered}
        return Line("position", data, f"{self.epoch}:{self.last_id}")

    def _missing(self, up_to: int) -> Iterator[Line]:
        if up_to > self.last_id:
            told = {"epoch": self.epoch, "from": self.last_id + 1, "to": up_to}
            self.last_id = up_to
            yield Line("roomHistoryGap", {"roomName": self._room, "gap": told}, f"{self.epoch}:{up_to}")

    def _message(self, message_id: int, message: Message) -> Line:
        data = {"roomName": self._room, "message": message}
        return Line("roomMessage", data, f"{self.epoch}:{message_id}")


def as_line(event: str, args: Sequence[Any]) -> Line:
    """An event with its arguments by name; those of an application's event as a list."""
    names = _NAMES.get(event)
    if names is None or len(names) != len(args):
        return Line(event, {"args": list(args)})
    return Line(event, dict(zip(names, args, strict=True)))
