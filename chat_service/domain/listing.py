"""Information for operators: rooms, users and instances, read from a store. Nothing here makes changes.

It does not need a running service, so the command line can use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chat_service.contracts.records import (
    SYSTEM,
    InstanceRecord,
    MemberStatus,
    Page,
    RoomSummary,
    UserSummary,
)
from chat_service.contracts.store import Store
from chat_service.domain import member_details
from chat_service.domain.remote import PulseWatch
from chat_service.protocol.names import natural_key
from chat_service.types import InstanceId, RoomName, UserName

#: Maximum number of items per page.
MAX_LIMIT = 10_000


class InstanceState(StrEnum):
    """The state of an instance as the store sees it."""

    ALIVE = "alive"
    #: No heartbeat for ``heartbeat_timeout``: it is dead or cut off, and will be recovered.
    LAPSED = "lapsed"
    #: Another instance has claimed it and is recovering it.
    RECOVERING = "recovering"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStatus:
    """An instance at one moment."""

    id: InstanceId
    state: InstanceState
    #: Seconds since its last heartbeat or, during recovery, since the last claim.
    age: float
    #: Seconds until it counts as dead, or its recovery as abandoned, without another heartbeat; negative if
    #: overdue.
    expires_in: float
    #: The number of its sockets, now or when it died.
    sockets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomStatus:
    """A room and its members. ``members``: the number of joined sockets of each user."""

    room: RoomSummary
    members: Mapping[UserName, int]
    #: When each member joined, in ms of Unix time; None if the store does not know it.
    joined_at: Mapping[UserName, int | None]
    #: The details of the members who have some, with all that clients may not see.
    details: Mapping[UserName, Any]
    enable_userlist_updates: bool
    enable_access_lists_updates: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomMember:
    """A joined user."""

    user_name: UserName
    #: Unix time in ms at which the first of the sockets joined; None if the store does not know it.
    joined_at: int | None
    #: Number of joined sockets.
    sockets: int
    #: The details set last for one of them, including parts hidden from clients; None if there are none.
    details: Any = None


async def members(store: Store, room: RoomName, limit: int, cursor: str | None) -> Page[RoomMember]:
    """A page of a room's members. Raises ``noRoom``, ``ValueError``."""
    page = await store.room_members_page(room, SYSTEM, *_checked(limit, cursor))
    found = [
        RoomMember(
            user_name=member.user_name,
            joined_at=member.joined_at,
            sockets=member.sockets,
            details=None if member.details is None else member_details.parse(member.details),
        )
        for member in page.members
    ]
    return Page(items=found, cursor=page.cursor)


async def rooms(store: Store, limit: int, cursor: str | None) -> Page[RoomSummary]:
    """A page of rooms, sorted by name. Raises ``ValueError``."""
    page = await store.list_rooms(*_checked(limit, cursor))
    return Page(items=sorted(page.items, key=lambda room: natural_key(room.name)), cursor=page.cursor)


async def users(store: Store, limit: int, cursor: str | None, *, online: bool) -> Page[UserSummary]:
    """A page of users, sorted by name. Raises ``ValueError``."""
    page = await store.list_users(*_checked(limit, cursor), online=online)
    return Page(items=sorted(page.items, key=lambda user: natural_key(user.name)), cursor=page.cursor)


async def room_status(store: Store, room: RoomName) -> RoomStatus:
    """Raises ``noRoom``."""
    settings = await store.room_settings(room, SYSTEM)
    members = await _all_members(store, room)
    return RoomStatus(
        room=await store.room_summary(room),
        members={user: member.sockets for user, member in members.items()},
        joined_at={user: member.joined_at for user, member in members.items()},
        details={
            user: member_details.parse(member.details)
            for user, member in members.items()
            if member.details is not None
        },
        enable_userlist_updates=settings.enable_userlist_updates,
        enable_access_lists_updates=settings.enable_access_lists_updates,
    )


async def _all_members(store: Store, room: RoomName) -> dict[UserName, MemberStatus]:
    """The members of a room in their natural order."""
    page = await store.room_members_page(room, SYSTEM, MAX_LIMIT)
    found = {member.user_name: member for member in page.members}
    while page.cursor is not None:
        page = await store.room_members_page(room, SYSTEM, MAX_LIMIT, page.cursor)
        found |= {member.user_name: member for member in page.members}
    return {user: found[user] for user in sorted(found, key=natural_key)}


async def instances(
    store: Store, now: int, heartbeat_timeout: float, watch: PulseWatch | None = None
) -> list[InstanceStatus]:
    """``now``: ms since the epoch; ``heartbeat_timeout``: seconds.

    ``watch``: a running service's observations; without them, ages are computed from the machines' clocks.
    """
    found = await store.list_instances()
    return [_status(record, now, heartbeat_timeout, watch) for record in sorted(found, key=lambda it: it.id)]


def _status(
    record: InstanceRecord, now: int, heartbeat_timeout: float, watch: PulseWatch | None
) -> InstanceStatus:
    silence = None if watch is None else watch.silence(record.id)
    last = record.claimed if record.heartbeat is None else record.heartbeat
    age = max(now - (last or 0), 0) / 1000 if silence is None else silence
    if record.heartbeat is None:
        state = InstanceState.RECOVERING
    else:
        state = InstanceState.ALIVE if age <= heartbeat_timeout else InstanceState.LAPSED
    return InstanceStatus(
        id=record.id, state=state, age=age, expires_in=heartbeat_timeout - age, sockets=record.sockets
    )


def _checked(limit: Any, cursor: Any) -> tuple[int, str | None]:
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"limit: expected a whole number from 1 to {MAX_LIMIT}, got {limit!r}")
    if cursor is not None and not isinstance(cursor, str):
        raise ValueError(f"cursor: expected that of another page, or None, got {cursor!r}")
    return limit, cursor
