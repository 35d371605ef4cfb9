"""A bounded queue of events, without I/O. Events of the same room or user stay in order."""

import heapq
import itertools
import random
from collections import deque
from typing import NamedTuple

#: The room or user whose events stay in order: ("room", name) or ("user", name).
LaneKey = tuple[str, str]


class Lane:
    """The events of one room or user. Only one request at a time takes events from its front."""

    __slots__ = ("events", "failures", "is_split", "key")

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        #: JSON texts, the oldest first.
        self.events: deque[bytes] = deque()
        #: Failed deliveries in a row.
        self.failures = 0
        #: Whether events are sent one by one, because a request with several was refused.
        self.is_split = False


class Batch(NamedTuple):
    """Events of one lane that are being delivered. They stay in the lane until the delivery has succeeded."""

    lane: Lane
    events: list[bytes]


class Outbox:
    """Lanes that take turns. ``batch_bytes``: maximum size of a request with several events.

    A full outbox refuses new events, so that the order of the others is kept.
    """

    def __init__(
        self,
        *,
        max_events: int,
        max_bytes: int,
        max_lane: int,
        batch_events: int,
        batch_bytes: int,
        backoff_first: float,
        backoff_longest: float,
    ) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_lane = max_lane
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._backoff_first = backoff_first
        self._backoff_longest = backoff_longest
        #: Number and bytes of the waiting events, including those being delivered.
        self.waiting = 0
        self.size = 0
        self._lanes: dict[LaneKey, Lane] = {}
        #: Lanes that are ready, in the order of their turns.
        self._ready: deque[Lane] = deque()
        #: Failed lanes by the time of their next attempt.
        self._delayed: list[tuple[float, int, Lane]] = []
        self._numbers = itertools.count()

    def __repr__(self) -> str:
        return f"<Outbox {self.waiting} events in {len(self._lanes)} lanes>"

    def add(self, key: LaneKey, event: bytes) -> bool:
        """Add an event at the end of its lane. Returns False if the outbox or the lane is full."""
        lane = self._lanes.get(key)
        if (
            self.waiting >= self._max_events
            or self.size + len(event) > self._max_bytes
            or (lane is not None and len(lane.events) >= self._max_lane)
        ):
            return False
        if lane is None:
            lane = self._lanes[key] = Lane(key)
            self._ready.append(lane)
        lane.events.append(event)
        self.waiting += 1
        self.size += len(event)
        return True

    def take(self, now: float) -> Batch | None:
        """The next batch to deliver, or None. Its outcome must be reported with one of the four methods
        below.
        """
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])
        if not self._ready:
            return None
        lane = self._ready.popleft()
        return Batch(lane, self._front(lane))

    @property
    def has_more(self) -> bool:
        """Whether a lane is ready, or will be after a pause."""
        return bool(self._ready or self._delayed)

    def next_due(self) -> float | None:
        """When the next failed lane can be tried again; None if no lane has failed."""
        return self._delayed[0][0] if self._delayed else None

    def delivered(self, batch: Batch) -> None:
        """The back end has received the batch."""
        lane = batch.lane
        lane.is_split = False
        self._remove(batch)

    def refused(self, batch: Batch) -> int:
        """The back end refuses the batch for good. Returns how many are dropped: several are first sent
        singly.
        """
        if len(batch.events) > 1:
            batch.lane.is_split = True
            self.give_back(batch)
            return 0
        self._remove(batch)
        return 1

    def failed(self, batch: Batch, now: float) -> None:
        """The delivery has failed. The lane waits, longer after each failure."""
        lane = batch.lane
        # The limit avoids an overflow; the longest pause is reached long before it.
        pause = min(self._backoff_first * 2.0 ** min(lane.failures, 60), self._backoff_longest)
        lane.failures += 1
        # Random, so that lanes are not all tried at the same moment.
        due = now + pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        heapq.heappush(self._delayed, (due, next(self._numbers), lane))

    def give_back(self, batch: Batch) -> None:
        """The batch was not sent: its lane is the next one again."""
        self._ready.appendleft(batch.lane)

    def hurry(self) -> None:
        """Make all lanes ready at once."""
        self._ready.extend(lane for _, _, lane in sorted(self._delayed))
        self._delayed.clear()

    def _front(self, lane: Lane) -> list[bytes]:
        if lane.is_split:
            return [lane.events[0]]
        found: list[bytes] = []
        size = 0
        for event in itertools.islice(lane.events, self._batch_events):
            size += len(event)
            if found and size > self._batch_bytes:
                break
            found.append(event)
        return found

    def _remove(self, batch: Batch) -> None:
        lane = batch.lane
        lane.failures = 0
        for event in batch.events:
            lane.events.popleft()
            self.waiting -= 1
            self.size -= len(event)
        if lane.events:
            self._ready.append(lane)
        else:
            del self._lanes[lane.key]
