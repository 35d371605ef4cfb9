"""Subscriptions by interest: a topic is subscribed as long as something on this instance needs it.

Besides sockets, there are taps: listeners to what the bus delivers for a room, in the order of the bus.
"""

from collections.abc import Callable
from typing import Protocol

from chat_service.concurrency.serial import Hold, SerialQueue
from chat_service.contracts.bus import Bus, Notify, RoomEvent, Topic, TopicKind
from chat_service.types import RoomName


class Interest:
    """Counts the users of each topic. ``bus`` is called at each use, because a bus only exists in an open
    store.
    """

    def __init__(self, bus: Callable[[], Bus]) -> None:
        self._bus = bus
        self._counts: dict[Topic, int] = {}
        self._subscribed: set[Topic] = set()
        self._changing = SerialQueue()

    def topics(self) -> set[Topic]:
        """The currently subscribed topics."""
        return set(self._subscribed)

    async def acquire(self, topic: Topic) -> None:
        """Need a topic: on return, every envelope published from now on arrives."""
        self._counts[topic] = self._counts.get(topic, 0) + 1
        if topic in self._subscribed and self._counts[topic] > 1:
            return
        hold = Hold(self._changing, topic)
        try:
            if not hold.enter_at_once():
                await hold.enter()
            if topic not in self._subscribed:
                await self._bus().subscribe(topic)
                self._subscribed.add(topic)
        except BaseException:
            self._discount(topic)
            raise
        finally:
            hold.leave()

    async def release(self, topic: Topic) -> None:
        """Stop needing a topic. The last user of a topic unsubscribes."""
        if self._discount(topic):
            return
        async with self._changing.hold(topic):
            if topic in self._subscribed and topic not in self._counts:
                self._subscribed.discard(topic)
                await self._bus().unsubscribe(topic)

    def _discount(self, topic: Topic) -> int:
        left = self._counts.get(topic, 0) - 1
        if left > 0:
            self._counts[topic] = left
        else:
            self._counts.pop(topic, None)
        return left


class Tap(Protocol):
    """A listener to one room. Its methods return immediately and do not raise."""

    def hear(self, event: RoomEvent | Notify) -> None:
        """An event arrived on the room's topic. Events may be missing or duplicated."""
        ...

    def interrupt(self) -> None:
        """The subscription was lost and restored: events may have been missed."""
        ...


class Taps:
    """The listeners of this instance by room."""

    def __init__(self, interest: Interest) -> None:
        self._interest = interest
        self.by_room: dict[RoomName, list[Tap]] = {}

    async def open(self, room: RoomName, tap: Tap) -> None:
        """Let a listener hear a room: on return, it gets everything published from now on."""
        self.by_room.setdefault(room, []).append(tap)
        try:
            await self._interest.acquire(Topic(TopicKind.ROOM, room))
        except BaseException:
            self._forget(room, tap)
            raise

    async def close(self, room: RoomName, tap: Tap) -> None:
        """Undo one ``open``."""
        self._forget(room, tap)
        await self._interest.release(Topic(TopicKind.ROOM, room))

    def hear(self, room: RoomName, event: RoomEvent | Notify) -> None:
        """Pass an event to the listeners of a room."""
        self._each(room, lambda tap: tap.hear(event))

    def interrupt(self, room: RoomName) -> None:
        """Tell the listeners of a room that they may have missed events."""
        self._each(room, lambda tap: tap.interrupt())

    def _each(self, room: RoomName, tell: Callable[[Tap], None]) -> None:
        for tap in self.by_room.get(room, ()):
            tell(tap)

    def _forget(self, room: RoomName, tap: Tap) -> None:
        taps = self.by_room[room]
        taps.remove(tap)
        if not taps:
            del self.by_room[room]
