"""The ``Bus`` contract: what instances publish to each other, and in which order.

The bus belongs to the store because the store publishes inside its atomic steps: the events on a room's topic
are in the order of the changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from chat_service.types import InstanceId, SocketId, UserName


class TopicKind(StrEnum):
    """The kinds of topics."""

    # Enum's own ``__hash__`` is a Python function, which is slow for a look-up per event.
    __hash__ = str.__hash__

    ROOM = "room"
    USER = "user"
    INSTANCE = "instance"
    EVERYONE = "everyone"


class Topic(NamedTuple):
    """An address to publish envelopes to. Instances subscribe to the topics they need."""

    kind: TopicKind
    name: str


#: The topic to which every instance subscribes.
EVERYONE = Topic(TopicKind.EVERYONE, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCursor:
    """A position in the events of a room. Sequence numbers are comparable only within the same epoch."""

    epoch: str
    seq: int


#: The value of ``removed`` if nobody was removed.
NOBODY: Mapping[UserName, tuple[SocketId, ...]] = MappingProxyType({})


class RoomEvent(NamedTuple):  # created for each message, at a third of the cost of a frozen data class
    """Something that happened in a room. The store numbers the events 1, 2, 3, … (``seq``) in each epoch.

    ``event`` and ``args`` are the notification for the sockets joined to the room, except those in
    ``exclude``. An event with an empty name notifies nobody.
    """

    epoch: str
    seq: int
    #: Id of the room's last message (of this one for ``roomMessage``); without gaps within an epoch.
    last_message_id: int
    event: str = ""
    args: tuple[Any, ...] = ()
    exclude: tuple[SocketId, ...] = ()
    #: Users who lost access, with their sockets that were joined before.
    removed: Mapping[UserName, tuple[SocketId, ...]] = NOBODY
    #: The removed users for whom the room receives ``roomUserLeft``.
    announced: tuple[UserName, ...] = ()
    #: If not None, everybody but these users lost access; ``removed`` is empty.
    stayed: frozenset[UserName] | None = None

    @property
    def cursor(self) -> RoomCursor:
        """The position of this event."""
        return RoomCursor(epoch=self.epoch, seq=self.seq)

    @property
    def is_removal(self) -> bool:
        """Whether users lost access."""
        return bool(self.removed) or self.stayed is not None

    def removes(self, user: UserName) -> bool:
        """Whether this user lost access."""
        return user in self.removed if self.stayed is None else user not in self.stayed

    @property
    def is_message(self) -> bool:
        """Whether this is a message, with the id ``last_message_id``."""
        return self.event == "roomMessage"


def message_event(epoch: str, seq: int, message_id: int, args: tuple[Any, ...]) -> RoomEvent:
    """The event of a message in a room: what most events are, made at half the cost."""
    return tuple.__new__(RoomEvent, (epoch, seq, message_id, "roomMessage", args, (), NOBODY, (), None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """A notification for the sockets in the topic's channel, except those in ``exclude``.

    On the topic ``EVERYONE`` it is for every socket with a login.
    """

    event: str
    args: tuple[Any, ...] = ()
    exclude: tuple[SocketId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySocket:
    """A notification for one socket: of the topic's user, or of anybody on the topic ``EVERYONE``."""

    socket_id: SocketId
    event: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectUser:
    """Disconnect all sockets of the topic's user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectSocket:
    """Disconnect a socket."""

    socket_id: SocketId


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call to another instance, which responds on the topic of ``reply_to``."""

    id: str
    reply_to: InstanceId
    operation: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The response to a ``Request``: a result, or the code and arguments of an error."""

    id: str
    result: Any = None
    error: tuple[str, tuple[Any, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationEvent:
    """An application event for every instance (server-api.md, Cluster bus)."""

    event: str
    args: tuple[Any, ...]


Envelope = (
    RoomEvent | Notify | NotifySocket | DisconnectUser | DisconnectSocket | Request | Reply | ApplicationEvent
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusStatus:
    """The condition of a bus, for health checks and metrics."""

    #: Whether all subscriptions work, as far as probes can tell.
    is_hearing: bool = True
    #: Seconds that the last probe took, or that a pending one has been waiting; None without probes.
    lag: float | None = None
    #: Number of subscribed topics, and of those whose subscription is currently lost.
    subscriptions: int = 0
    lost_subscriptions: int = 0
    #: Number of invalid envelopes dropped.
    rejected: int = 0


class BusListener(Protocol):
    """Receives envelopes. Both methods must return immediately; the bus logs what they raise."""

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        """Handle an envelope. The envelopes of a topic arrive in the order of publication."""
        ...

    def on_interruption(self, topic: Topic) -> None:
        """A lost subscription was restored: envelopes may have been missed."""
        ...


class Bus(Protocol):
    """Publishes envelopes to all instances subscribed to a topic, including this one.

    The envelopes of a topic arrive in the order of publication. Delivery is at most once: losses show as gaps
    in the ``seq`` of room events, or are reported by ``on_interruption``.
    """

    async def subscribe(self, topic: Topic) -> None:
        """Subscribe to a topic: everything published after this returns is received.

        Does nothing if already subscribed. Raises ``StoreError`` on failure.
        """
        ...

    async def unsubscribe(self, topic: Topic) -> None:
        """Unsubscribe from a topic. Does nothing if not subscribed."""
        ...

    async def publish(self, topic: Topic, envelope: Envelope) -> None:
        """Publish an envelope. Only stores publish ``RoomEvent``. Raises ``StoreError`` if it is not sent."""
        ...


class Deaf:
    """A ``BusListener`` of programs that do not use the bus."""

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        """Does nothing: there are no subscriptions."""

    def on_interruption(self, topic: Topic) -> None:
        """Does nothing: there are no subscriptions."""
