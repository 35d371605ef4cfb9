"""Subscriptions by interest: a topic is subscribed while somebody here needs it."""

from collections.abc import Callable

from chat_service.concurrency.serial import SerialQueue
from chat_service.contracts.bus import Bus, Topic


class Interest:
    """Counts who needs a topic. ``bus`` is called at each use, since a bus exists only in an open store."""

    def __init__(self, bus: Callable[[], Bus]) -> None:
        self._bus = bus
        self._counts: dict[Topic, int] = {}
        self._subscribed: set[Topic] = set()
        self._changing = SerialQueue()

    def topics(self) -> set[Topic]:
        """The topics that are subscribed now."""
        return set(self._subscribed)

    async def acquire(self, topic: Topic) -> None:
        """Need a topic: on return, every envelope that is published from now on arrives."""
        self._counts[topic] = self._counts.get(topic, 0) + 1
        if topic in self._subscribed and self._counts[topic] > 1:
            return
        try:
            async with self._changing.hold(topic):
                if topic not in self._subscribed:
                    await self._bus().subscribe(topic)
                    self._subscribed.add(topic)
        except BaseException:
            self._discount(topic)
            raise

    async def release(self, topic: Topic) -> None:
        """Stop needing a topic; the last one to do so unsubscribes."""
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
