"""The bus in memory: a hub passes envelopes on between the instances of one process."""

import logging

from chat_service.contracts.bus import Bus, BusListener, Envelope, Topic

logger = logging.getLogger("chat_service")


class Hub:
    """Connects the local buses of the instances in one process."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, list[BusListener]] = {}

    def add(self, topic: Topic, listener: BusListener) -> None:
        listeners = self._listeners.setdefault(topic, [])
        if listener not in listeners:
            listeners.append(listener)

    def remove(self, topic: Topic, listener: BusListener) -> None:
        listeners = self._listeners.get(topic, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            self._listeners.pop(topic, None)

    def send(self, topic: Topic, envelope: Envelope) -> None:
        """Pass an envelope to every subscriber of the topic before returning."""
        for listener in tuple(self._listeners.get(topic, ())):
            try:
                listener.on_envelope(topic, envelope)
            except Exception:
                logger.exception("an envelope of topic %s could not be delivered", topic)

    def topics(self) -> list[Topic]:
        """The topics that have subscribers."""
        return list(self._listeners)


class LocalBus:
    """One instance's end of a ``Hub``."""

    def __init__(self, hub: Hub, listener: BusListener) -> None:
        self._hub = hub
        self._listener = listener
        self._topics: set[Topic] = set()

    async def subscribe(self, topic: Topic) -> None:
        self._topics.add(topic)
        self._hub.add(topic, self._listener)

    async def unsubscribe(self, topic: Topic) -> None:
        self._topics.discard(topic)
        self._hub.remove(topic, self._listener)

    async def publish(self, topic: Topic, envelope: Envelope) -> None:
        self._hub.send(topic, envelope)

    def close(self) -> None:
        """Remove all subscriptions."""
        for topic in self._topics:
            self._hub.remove(topic, self._listener)
        self._topics.clear()


def _conforms(bus: LocalBus) -> Bus:
    return bus
