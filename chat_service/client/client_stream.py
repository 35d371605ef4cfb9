"""The messages of a room in order, each once, with the gaps between them. Decides without I/O."""

from collections import deque
from dataclasses import dataclass

from chat_service.types import Message


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that can no longer be read. The gap is before the next message of the stream.

    ``first``, ``last``: their ids. ``epoch_changed``: the room has started over and ids may repeat; then it
    is unknown which messages are missing.
    """

    first: int
    last: int
    epoch_changed: bool = False


class Stream:
    """Puts the messages of a room in order. Decides without I/O.

    Up to ``limit`` messages wait to be read. Later ones stay in the history of the room and are read from
    there (``is_behind``), like messages before one that came too early.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[Message | Gap] = deque()
        self.epoch: str | None = None
        #: The last message received, and the last one that was queued or read.
        self.last_id = 0
        self.queued_id = 0

    @property
    def is_behind(self) -> bool:
        """Whether messages were received that are neither queued nor read."""
        return self.queued_id < self.last_id

    @property
    def has_items(self) -> bool:
        """Whether an item is waiting to be read."""
        return bool(self._items)

    def pop(self) -> Message | Gap | None:
        """The next item, or None if none is waiting."""
        return self._items.popleft() if self._items else None

    def begin(self, epoch: str, last_id: int) -> None:
        """The room was joined after this message, for the first time or in a new epoch."""
        if self.epoch is not None:
            self._items.append(Gap(0, 0, epoch_changed=True))
        self.epoch, self.last_id, self.queued_id = epoch, last_id, last_id

    def take(self, message: Message) -> None:
        """A message was received, live or from the history."""
        message_id = message["id"]
        if message_id <= self.last_id:
            return
        is_next = self.queued_id == message_id - 1
        if is_next and len(self._items) < self._limit:
            self._items.append(message)
            self.queued_id = message_id
        self.last_id = message_id

    def miss(self, last: int) -> None:
        """The messages up to this id, if any are missing, can no longer be read."""
        if last > self.last_id:
            if not self.is_behind:
                self._items.append(Gap(self.queued_id + 1, last))
                self.queued_id = last
            self.last_id = last

    def refill(self, page: list[Message]) -> None:
        """The messages after ``queued_id`` were read from the history, oldest first."""
        first = page[0]["id"] if page else self.last_id + 1
        if first > self.queued_id + 1 and self.is_behind:
            last = min(first - 1, self.last_id)
            self._items.append(Gap(self.queued_id + 1, last))
            self.queued_id = last
        for message in page:
            if message["id"] > self.last_id:
                break
            self._items.append(message)
            self.queued_id = message["id"]
