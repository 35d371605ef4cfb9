"""Value types of the ``Store`` contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from chat_service.contracts.bus import RoomCursor
from chat_service.errors import ChatServiceError
from chat_service.interactions import Folds, Relation
from chat_service.telemetry import Durations
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName

T = TypeVar("T")


class Actor(NamedTuple):  # created for each command, at half the cost of a frozen data class
    """The caller on whose behalf an operation runs. ``bypass`` skips permission checks; with the name None
    they fail. ``check_ban``: changes and direct messages of a banned user are refused.
    """

    name: UserName | None
    bypass: bool = False
    check_ban: bool = False


#: The argument of ``limitExceeded`` for a user with too many sockets.
SOCKETS: Final = "sockets of a user"
SOCKETS_AND_ROOMS: Final = "sockets of a user and their rooms"

#: The argument of ``limitExceeded`` for a user who owns too many rooms.
OWNED_ROOMS: Final = "rooms of a user"

#: Default number of users per room for whom it remembers when they last joined or left.
SEEN_LIMIT: Final = 10_000

#: Default number of users per room for whom it remembers how far they have read.
MARKS_LIMIT: Final = 10_000

#: The server itself.
SYSTEM = Actor(name=None, bypass=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """Initial lists and mode of a user. ``ttl``: as for ``UserStore.socket_connect``."""

    whitelist: Sequence[str] = ()
    blacklist: Sequence[str] = ()
    whitelist_only: bool = False
    ttl: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """A ban of a user. ``until``: its end in ms of Unix time; None for a permanent ban."""

    until: int | None = None
    reason: str | None = None

    def error(self) -> ChatServiceError:
        """The error ``banned`` with which a login is rejected."""
        return ChatServiceError("banned", self.until, self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """Initial owner, lists and settings of a room.

    ``history_max_size`` is a number of messages, ``history_max_bytes`` their total size as stored. None
    means unlimited. ``history_ttl``: see ``room_set_history_ttl``. ``empty_ttl``: see ``room_set_empty_ttl``.
    """

    owner: UserName | None = None
    adminlist: Sequence[str] = ()
    whitelist: Sequence[str] = ()
    blacklist: Sequence[str] = ()
    whitelist_only: bool = False
    history_max_size: int = 10000
    history_max_bytes: int | None = 16 * 1024 * 1024
    history_ttl: float | None = None
    empty_ttl: float | None = None
    enable_userlist_updates: bool = False
    enable_access_lists_updates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """The settings of a room that members may see."""

    owner: UserName | None
    whitelist_only: bool
    enable_userlist_updates: bool
    enable_access_lists_updates: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryInfo:
    """State of a room's history. ``size``: number of stored messages; ``cursor``: the position it
    describes.
    """

    size: int
    max_size: int
    last_message_id: int
    cursor: RoomCursor


class HistoryPage(NamedTuple):
    """Messages, newest first, and the epoch that their ids belong to."""

    messages: Sequence[Message]
    epoch: str


class Rate(NamedTuple):
    """A rate limit that the store keeps for all instances (GCRA: the generic cell rate algorithm).

    Stored is one number: until when, in µs, what was done so far takes at the allowed rate.
    """

    #: Time in µs that one takes at the allowed rate.
    interval: int
    #: Time in µs by which one may be ahead of the rate.
    tolerance: int

    @classmethod
    def of(cls, rate: float | None, burst: int) -> "Rate | None":
        """``rate``: how many a second, None for no limit; ``burst``: as many may come at once."""
        if rate is None:
            return None
        interval = max(1, round(1_000_000 / rate))
        return cls(interval, min((burst - 1) * interval, MAX_TOLERANCE))

    def take(self, due: int, now: int) -> int:
        """The number to store for one more. ``due``: what is stored, 0 if nothing is; ``now``: in µs.

        Raises ``rateLimited`` with the ms to wait.
        """
        # A clock that was set back must not lock anybody out.
        due = min(max(due, now), now + self.tolerance + self.interval)
        ahead = due - now - self.tolerance
        if ahead > 0:
            raise ChatServiceError("rateLimited", -(-ahead // 1000))
        return due + self.interval


#: Maximum ``Rate.tolerance``: about 31 years. Stores may count in floating-point numbers of 53 bits.
MAX_TOLERANCE: Final = 10**15


class RoomQuota(NamedTuple):
    """What the owner of a new room may do.

    ``rate``: how fast they may create rooms; ``limit``: how many rooms they may own. None: any number.
    """

    rate: Rate | None = None
    limit: int | None = None


class SendConditions(NamedTuple):
    """When to store a message. ``expected_last_id``: only after this message; None: after any.

    ``key``: the idempotency key, None without one. It is remembered for ``window`` seconds with ``digest``,
    the digest of the message that it stands for. ``rate``: how fast this sender may send to this room.
    ``relation``: what the message says about another one, as its field ``relatesTo`` does. ``recipient``: the
    other user of a conversation, whose lists must let the sender write, and who must not have left it.
    """

    key: str | None = None
    digest: bytes = b""
    window: float = 300.0
    expected_last_id: int | None = None
    rate: Rate | None = None
    relation: Relation | None = None
    recipient: UserName | None = None


class SendResult(NamedTuple):
    """The id of a message. ``is_duplicate``: it was already stored with the same idempotency key, or another
    one has said the same about its target. If it is 0 and no duplicate, nothing was stored, because the
    recipient has left the conversation: ``direct_open`` has to come first.
    """

    id: int
    is_duplicate: bool


class ReadMark(NamedTuple):
    """The id up to which a user has read a room. ``moved``: whether the call has changed it."""

    id: int
    moved: bool


class ReadState(NamedTuple):
    """The id of a room's last message, 0 before the first one, and the one up to which a user has read."""

    last_message_id: int
    read_id: int

    @property
    def unread(self) -> int:
        """Number of messages after the mark. Ids have no gaps."""
        return self.last_message_id - self.read_id


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSeen:
    """A user's presence in a room. ``timestamp``: Unix time in ms of the last join or leave, or None."""

    joined: bool
    timestamp: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatus:
    """A joined user. ``sockets``: the number of joined sockets.

    ``joined_at``: Unix time in ms at which the first socket joined; None if the store does not know it.
    ``details``: the JSON text that was last set for one of the joined sockets; None without one.
    """

    user_name: UserName
    joined_at: int | None
    sockets: int
    details: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersPage:
    """The state of a room, and a page of its members. ``cursor``: gets the next page; None after the last."""

    owner: UserName | None
    epoch: str
    last_message_id: int
    #: Number of all joined users.
    members_count: int
    members: Sequence[MemberStatus]
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """The messages that a join also reads: those after a known one, otherwise the newest."""

    #: The last known message; None if none is known.
    after: int | None = None
    #: The epoch of ``after``; None for any.
    epoch: str | None = None
    #: Maximum number of messages after the known one.
    limit: int
    #: Maximum number of messages if those after the known one cannot be read.
    recent: int
    #: Maximum size of all messages in bytes, as for ``RoomStore.room_history``; None for any.
    max_bytes: int | None = None
    #: Also read what is needed to fold the messages.
    fold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinHistory:
    """The messages read by a join. ``messages``: oldest first, none later than the join.

    ``recovered``: these are the messages after the known one. ``more``: further messages follow.
    ``folds``: if the query asks for it.
    """

    recovered: bool
    messages: Sequence[Message]
    more: bool = False
    folds: Folds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinResult:
    """``changed``: False if the socket was already joined. ``cursor``: the position of the join.

    ``history``: the answer to the query of the join, None without a query.
    """

    njoined: int
    changed: bool
    cursor: RoomCursor
    last_message_id: int
    history: JoinHistory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveResult:
    """``njoined``: number of the user's sockets still joined. ``changed``: whether this socket was joined.

    ``room_exists``: False if the room does not exist.
    """

    njoined: int
    changed: bool
    room_exists: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Sockets that a change has removed from a room. ``cursor``: the position of the event that reports it.

    ``sockets``: by the instances that hold them.
    """

    cursor: RoomCursor
    sockets: Mapping[InstanceId, Sequence[SocketId]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketInfo:
    """A socket in a user's index: its instance and a superset of the rooms it is joined to."""

    instance_id: InstanceId
    rooms: frozenset[RoomName] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A room left by a disconnecting socket, and how many sockets of its user remain joined."""

    room: RoomName
    njoined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Part of a list. ``cursor`` gets the next page; None marks the last one."""

    items: Sequence[T]
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSummary:
    """A room as shown in lists of rooms."""

    name: RoomName
    owner: UserName | None
    #: Number of joined users.
    members_count: int
    #: Id of the last message, 0 before the first one.
    last_message_id: int
    #: Number of stored messages, and its maximum.
    history_size: int
    history_max_size: int
    whitelist_only: bool
    #: Message ids are comparable only within the same epoch.
    epoch: str

    def as_object(self) -> dict[str, Any]:
        """The fields by the names used in JSON."""
        return {
            "name": self.name,
            "owner": self.owner,
            "membersCount": self.members_count,
            "lastMessageId": self.last_message_id,
            "historySize": self.history_size,
            "historyMaxSize": self.history_max_size,
            "whitelistOnly": self.whitelist_only,
            "epoch": self.epoch,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSummary:
    """A user as shown in lists of users. ``sockets``: the number connected to any instance."""

    name: UserName
    sockets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """An instance as stored. ``sockets``: how many it has, or had when it died."""

    id: InstanceId
    #: Unix time in ms of the last heartbeat; None once another instance has claimed this one.
    heartbeat: int | None
    #: Unix time in ms of the last claim; None while the instance is alive.
    claimed: int | None
    sockets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatistics:
    """Counters of a store since its creation, for metrics."""

    #: Duration in seconds of round trips to the storage.
    durations: Durations
    #: Operations that timed out or could not reach the storage.
    timeouts: int = 0
    #: Operations to which the storage responded with an error.
    errors: int = 0
    #: Failures of the store's background tasks, by task.
    background_failures: Mapping[str, int] = field(default_factory=dict)
