"""A bus between the SQLite stores of one process: envelopes arrive in the next turns of the event loop."""

import asyncio
import logging
from collections import defaultdict

from chat_service.contracts.bus import Bus, BusListener, Envelope, Topic

logger = logging.getLogger(__name__)


class Hub:
    """Connects the buses of the stores over one database. Every store of it must get the same one."""

    def __init__(self) -> None:
        self._subscribers: dict[Topic, list[SqliteBus]] = defaultdict(list)

    def add(self, topic: Topic, bus: "SqliteBus") -> None:
        if bus not in self._subscribers[topic]:
            self._subscribers[topic].append(bus)

    def remove(self, topic: Topic, bus: "SqliteBus") -> None:
        if bus in self._subscribers[topic]:
            self._subscribers[topic].remove(bus)

    def send(self, topic: Topic, envelope: Envelope) -> None:
        """Deliver soon; the loop keeps the order of the calls."""
        loop = asyncio.get_running_loop()
        for bus in self._subscribers[topic]:
            loop.call_soon(bus.deliver, topic, envelope, bus.subscription(topic))


class SqliteBus:
    """One store's end of a hub."""

    def __init__(self, hub: Hub, listener: BusListener) -> None:
        self._hub = hub
        self._listener = listener
        # A number per subscription, so that nothing sent to an old one arrives at a new one.
        self._subscriptions: dict[Topic, int] = {}
        self._count = 0

    def subscription(self, topic: Topic) -> int:
        return self._subscriptions[topic]

    def deliver(self, topic: Topic, envelope: Envelope, subscription: int) -> None:
        if self._subscriptions.get(topic) != subscription:
            return
        try:
            self._listener.on_envelope(topic, envelope)
        except Exception:
            logger.exception("a listener failed on %s", topic)

    async def subscribe(self, topic: Topic) -> None:
        if topic not in self._subscriptions:
            self._count += 1
            self._subscriptions[topic] = self._count
            self._hub.add(topic, self)

    async def unsubscribe(self, topic: Topic) -> None:
        if self._subscriptions.pop(topic, None) is not None:
            self._hub.remove(topic, self)

    async def publish(self, topic: Topic, envelope: Envelope) -> None:
        self._hub.send(topic, envelope)

    def close(self) -> None:
        for topic in self._subscriptions:
            self._hub.remove(topic, self)
        self._subscriptions.clear()


def _conforms(bus: SqliteBus) -> Bus:
    return bus
