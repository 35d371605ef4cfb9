"""A bus listener for programs that use a store without taking part in the service."""

from chat_service.contracts.bus import Envelope, Topic


class Deaf:
    """A ``BusListener`` of programs that do not use the bus."""

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        """Does nothing: there are no subscriptions."""

    def on_interruption(self, topic: Topic) -> None:
        """Does nothing: there are no subscriptions."""
