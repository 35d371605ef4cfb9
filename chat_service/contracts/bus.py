"""The ``Bus`` contract: what instances tell each other, and how it is ordered.

A store brings its bus along, because a store publishes from inside its atomic steps: what changes a
room is published on the room's topic in the order in which it was decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from chat_service.types import InstanceId, SocketId, UserName


class TopicKind(StrEnum):
    """What a topic belongs to."""

    # That of Enum is a function in Python, and topics are looked up for every event.
    __hash__ = str.__hash__

    ROOM = "room"
    USER = "user"
    INSTANCE = "instance"
    EVERYONE = "everyone"


class Topic(NamedTuple):
    """A name that envelopes are published under. Instances subscribe to the topics they need."""

    kind: TopicKind
    name: str


#: Every instance is subscribed to it.
EVERYONE = Topic(TopicKind.EVERYONE, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCursor:
    """A place in the events of a room: sequence numbers compare within one epoch only."""

    epoch: str
    seq: int


#: No users were removed.
NOBODY: Mapping[UserName, tuple[SocketId, ...]] = MappingProxyType({})


class RoomEvent(NamedTuple):  # made for each message, at a third of the cost of a frozen data class
    """Something that happened in a room. A store publishes them with dense ``seq`` 1, 2, 3, … per epoch.

    ``event`` and ``args`` make the notification for the sockets that are joined to the room, but not
    for those in ``exclude``. An event without a name notifies nobody.
    """

    epoch: str
    seq: int
    #: The id of the room's last message, its own when the event is ``roomMessage``; dense within an epoch.
    last_message_id: int
    event: str = ""
    args: tuple[Any, ...] = ()
    exclude: tuple[SocketId, ...] = ()
    #: Users who lost access, with their sockets that were joined until now.
    removed: Mapping[UserName, tuple[SocketId, ...]] = NOBODY
    #: Those of the removed users whose going the room is told by ``roomUserLeft``.
    announced: tuple[UserName, ...] = ()

    @property
    def cursor(self) -> RoomCursor:
        """The place of this event."""
        return RoomCursor(epoch=self.epoch, seq=self.seq)

    @property
    def is_message(self) -> bool:
        """Whether this is a message, which has the id ``last_message_id``."""
        return self.event == "roomMessage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """A notification for the sockets of a topic's channel, but not for those in ``exclude``."""

    event: str
    args: tuple[Any, ...] = ()
    exclude: tuple[SocketId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectUser:
    """Disconnect all sockets of the user whose topic it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectSocket:
    """Disconnect one socket, wherever it is."""

    socket_id: SocketId


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call of another instance; the answer goes to the topic of ``reply_to``."""

    id: str
    reply_to: InstanceId
    operation: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to a ``Request``: a result, or the code and arguments of an error."""

    id: str
    result: Any = None
    error: tuple[str, tuple[Any, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationEvent:
    """An event of the application for every instance (server-api.md, Cluster bus)."""

    event: str
    args: tuple[Any, ...]


Envelope = RoomEvent | Notify | DisconnectUser | DisconnectSocket | Request | Reply | ApplicationEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class BusStatus:
    """How well a bus hears, for health checks and metrics.

    A bus may have a method ``status()`` that returns it; one that has none is taken to hear everything.
    """

    #: Whether all that is subscribed arrives, as far as probes tell.
    is_hearing: bool = True
    #: Seconds that the last probe needed, or that one without an answer is under way; None without probes.
    lag: float | None = None
    #: Topics that are subscribed, and those whose subscription is lost at the moment.
    subscriptions: int = 0
    lost_subscriptions: int = 0
    #: Envelopes that were dropped because they were not valid.
    rejected: int = 0


class BusListener(Protocol):
    """Who receives envelopes. Both methods return at once; what they raise is logged by the bus."""

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        """An envelope of a subscribed topic, in the order of publication per topic."""
        ...

    def on_interruption(self, topic: Topic) -> None:
        """The subscription was lost and is back: envelopes may be missing."""
        ...


class Bus(Protocol):
    """Publishes envelopes to the instances that subscribed to a topic, this one too.

    Envelopes of one topic arrive in the order in which they were published. Delivery is at most once:
    what is lost is found by the dense ``seq`` of room events, or by ``on_interruption``.
    """

    async def subscribe(self, topic: Topic) -> None:
        """Receive the topic's envelopes from now on: all that are published after the return.

        A topic that is subscribed already stays so. Raises ``StoreError`` when it cannot be.
        """
        ...

    async def unsubscribe(self, topic: Topic) -> None:
        """Receive the topic's envelopes no more. Without a subscription it does nothing."""
        ...

    async def publish(self, topic: Topic, envelope: Envelope) -> None:
        """Send an envelope. ``RoomEvent`` is for stores alone. Raises ``StoreError`` when it is not sent."""
        ...
