"""What the commands of the client take and return, as typed dictionaries."""

from collections.abc import Mapping
from typing import Any, NotRequired, Protocol, TypedDict

from chat_service.types import Message


class HistoryInfo(TypedDict):
    """The state of a room's history. Message ids are comparable only within the same epoch."""

    historySize: int
    historyMaxSize: int
    historyMaxGetMessages: int
    lastMessageId: int
    epoch: NotRequired[str]


class JoinHistory(TypedDict):
    """Where in the room's messages a socket has joined, and what it has missed, oldest first."""

    epoch: str
    lastMessageId: int
    recovered: bool
    messages: list[Message]
    more: bool


class SendOutcome(TypedDict):
    """``duplicate``: the message was stored before, under the id of the answer."""

    duplicate: bool


class EphemeralEvent(TypedDict):
    """An event that is stored nowhere. ``author``: None if the server sent it without a user."""

    author: str | None
    name: str
    data: Any


class ReadState(TypedDict):
    """How far a user has read a room: ``unread`` messages follow ``readId``, up to ``lastMessageId``."""

    lastMessageId: int
    readId: int
    unread: int


class OwnRoom(ReadState):
    """A room in the list of a user. ``kind``: ``direct`` or ``room``.

    ``userName``: the other user of a conversation, else None. ``lastMessageAt``: Unix time in ms, if known.
    """

    roomName: str
    kind: str
    userName: str | None
    lastMessageAt: int | None


class OwnRooms(TypedDict):
    """A page of a list. ``cursor``: of the next page; None after the last one."""

    rooms: list[OwnRoom]
    cursor: str | None


class NotificationsInfo(TypedDict):
    """Which notifications a room sends."""

    enableUserlistUpdates: bool
    enableAccessListsUpdates: bool


class UserSeen(TypedDict):
    """A user's presence in a room. ``timestamp``: Unix time in ms of the last join or leave."""

    joined: bool
    timestamp: int | None


class MemberStatus(TypedDict):
    """A joined user. ``joinedAt``: Unix time in ms of the first socket's join; None if it is unknown.

    ``sockets``: how many have joined. ``details``: what was set last for one of them, if anything was.
    """

    userName: str
    joinedAt: int | None
    sockets: int
    details: NotRequired[Any]


class RoomStatus(TypedDict):
    """The state of a room, with a page of its members. ``cursor``: of the next page; None after the last."""

    roomName: str
    owner: str | None
    epoch: str
    lastMessageId: int
    membersCount: int
    members: list[MemberStatus]
    cursor: str | None


class Caller(Protocol):
    """Sends a command, and returns the values of its answer after the error."""

    async def __call__(self, command: str, *args: Any) -> list[Any]: ...


def options_object(given: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The options object of a command, if any option was given."""
    found = {name: value for name, value in given.items() if value is not None}
    return (found,) if found else ()
