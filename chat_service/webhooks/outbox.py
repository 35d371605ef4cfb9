"""Events that wait for their delivery, without I/O: in order per room or user, and bounded."""

import heapq
import itertools
import random
from collections import deque
from typing import NamedTuple

#: Whose order an event is part of: ("room", name) or ("user", name).
LaneKey = tuple[str, str]


class Lane:
    """The events of one room, or of one user. One request at a time takes from its front."""

    __slots__ = ("events", "failures", "is_split", "key")

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        #: JSON texts, the oldest first.
        self.events: deque[bytes] = deque()
        #: Failed deliveries in a row.
        self.failures = 0
        #: Whether events go one by one, since a request with several was refused.
        self.is_split = False


class Batch(NamedTuple):
    """Events of one lane that are being delivered. They stay in their lane until that is done."""

    lane: Lane
    events: list[bytes]


class Outbox:
    """Lanes that wait their turn. ``batch_bytes``: of one request; a single event may have more.

    A full outbox takes no further event: the newest is lost, and the order of the others is kept.
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
        #: Events that wait, those on their way included, and their bytes.
        self.waiting = 0
        self.size = 0
        self._lanes: dict[LaneKey, Lane] = {}
        #: Lanes that can be taken from, in turn.
        self._ready: deque[Lane] = deque()
        #: Lanes that have failed, by the time of the next attempt.
        self._delayed: list[tuple[float, int, Lane]] = []
        self._numbers = itertools.count()

    def __repr__(self) -> str:
        return f"<Outbox {self.waiting} events in {len(self._lanes)} lanes>"

    def add(self, key: LaneKey, event: bytes) -> bool:
        """Add an event behind the others of its lane. Returns False if there is no room for it."""
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
        """The next events to deliver, or None. One of the four methods below has to follow."""
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])
        if not self._ready:
            return None
        lane = self._ready.popleft()
        return Batch(lane, self._front(lane))

    @property
    def has_more(self) -> bool:
        """Whether a lane waits, now or until a time."""
        return bool(self._ready or self._delayed)

    def next_due(self) -> float | None:
        """When a lane that has failed can be tried again; None if there is none."""
        return self._delayed[0][0] if self._delayed else None

    def delivered(self, batch: Batch) -> None:
        """The back end has the events."""
        lane = batch.lane
        lane.is_split = False
        self._remove(batch)

    def refused(self, batch: Batch) -> int:
        """The back end will never take them. Returns how many are dropped: several are tried one by one."""
        if len(batch.events) > 1:
            batch.lane.is_split = True
            self.give_back(batch)
            return 0
        self._remove(batch)
        return 1

    def failed(self, batch: Batch, now: float) -> None:
        """The delivery has failed: the lane waits, longer each time."""
        lane = batch.lane
        # At some point it is the longest.
        pause = min(self._backoff_first * 2.0 ** min(lane.failures, 60), self._backoff_longest)
        lane.failures += 1
        # Random, so that lanes do not all come back at the same moment.
        due = now + pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        heapq.heappush(self._delayed, (due, next(self._numbers), lane))

    def give_back(self, batch: Batch) -> None:
        """Nothing was tried: the lane is the next one again."""
        self._ready.appendleft(batch.lane)

    def hurry(self) -> None:
        """Let all lanes be tried once more at once."""
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
