"""What goes into a ``Store`` and comes out of it: frozen records without behaviour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from chat_service.contracts.bus import RoomCursor
from chat_service.telemetry import Durations
from chat_service.types import InstanceId, RoomName, SocketId, UserName

T = TypeVar("T")


class Actor(NamedTuple):  # made for each command, at half the cost of a frozen data class
    """Who asks. ``bypass``: permissions do not matter. Without a name only ``bypass`` gets anywhere."""

    name: UserName | None
    bypass: bool = False


#: The server itself.
SYSTEM = Actor(name=None, bypass=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """The lists and the mode that a user starts with."""

    whitelist: Sequence[str] = ()
    blacklist: Sequence[str] = ()
    whitelist_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """What a room starts with. ``history_max_size``: messages."""

    owner: UserName | None = None
    adminlist: Sequence[str] = ()
    whitelist: Sequence[str] = ()
    blacklist: Sequence[str] = ()
    whitelist_only: bool = False
    history_max_size: int = 10000
    enable_userlist_updates: bool = False
    enable_access_lists_updates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """The settings of a room that readers may see."""

    owner: UserName | None
    whitelist_only: bool
    enable_userlist_updates: bool
    enable_access_lists_updates: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryInfo:
    """The state of a room's history. ``size``: messages stored; ``cursor``: the place of the answer."""

    size: int
    max_size: int
    last_message_id: int
    cursor: RoomCursor


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSeen:
    """A user's presence in a room. ``timestamp``: ms of the last join or leave, None when never seen."""

    joined: bool
    timestamp: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinResult:
    """``changed`` is False when the socket was joined already. ``cursor``: the place of the join."""

    njoined: int
    changed: bool
    cursor: RoomCursor
    last_message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveResult:
    """``njoined``: sockets of the user that are still joined. ``changed``: whether this one was.

    ``room_exists``: False when there is no such room.
    """

    njoined: int
    changed: bool
    room_exists: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Sockets that a change has taken out of a room. ``cursor``: the place of the event that tells of it.

    ``sockets``: by the instances that have them.
    """

    cursor: RoomCursor
    sockets: Mapping[InstanceId, Sequence[SocketId]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketInfo:
    """One socket in a user's index: where it is, and a superset of the rooms it is joined to."""

    instance_id: InstanceId
    rooms: frozenset[RoomName] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A room that a socket has left by disconnecting, and how many sockets of its user stayed."""

    room: RoomName
    njoined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list. ``cursor`` asks for the next part; None says that this is the last one."""

    items: Sequence[T]
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSummary:
    """A room at one moment, as lists of rooms show it."""

    name: RoomName
    owner: UserName | None
    #: Users who are joined.
    members_count: int
    #: 0 before the first message.
    last_message_id: int
    #: Messages stored now, and at most.
    history_size: int
    history_max_size: int
    whitelist_only: bool
    #: Which life of the room this is: ids of messages compare within one epoch only.
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSummary:
    """A user at one moment. ``sockets``: those that are connected, on all instances."""

    name: UserName
    sockets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """What is stored of an instance. ``sockets``: those that it has, or had when it died."""

    id: InstanceId
    #: The last heartbeat, ms since the epoch; None once another instance has claimed it.
    heartbeat: int | None
    #: The last claim, ms since the epoch; None while it is alive.
    claimed: int | None
    sockets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatistics:
    """What a store has counted since it was made, for metrics.

    A store may have a method ``statistics()`` that returns it; one that has none is not measured.
    """

    #: Seconds until the storage answered, per round trip.
    durations: Durations
    #: Operations that were not answered in time, or for which the storage could not be reached.
    timeouts: int = 0
    #: Operations that the storage answered with an error.
    errors: int = 0
    #: How often background tasks of the store have failed, by task.
    background_failures: Mapping[str, int] = field(default_factory=dict)
