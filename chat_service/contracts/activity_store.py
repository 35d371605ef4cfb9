"""The part of ``Store`` about what users do in rooms besides sending messages."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from chat_service.contracts.bus import Notify
from chat_service.contracts.records import MARKS_LIMIT, Actor, ReadMark, ReadState
from chat_service.types import RoomName, UserName


class ActivityStore(Protocol):
    """Notifications that are not stored, and how far users have read. Each change is one atomic step."""

    async def room_notify(self, room: RoomName, actor: Actor, notice: Notify) -> None:
        """Publish a notification on the room's topic if the actor is joined. Stores nothing.

        It has no place in the order of the room's events, and whoever misses it never gets it.
        Raises ``noRoom``, ``notJoined``.
        """
        ...

    async def room_mark_read(
        self,
        room: RoomName,
        user: UserName,
        message_id: int,
        *,
        bypass: bool = False,
        limit: int = MARKS_LIMIT,
        check_ban: bool = False,
    ) -> ReadMark:
        """Move the mark up to which the user has read the room.

        An id after the last message means the last message. A mark never moves back: an id before it changes
        nothing. It belongs to one life of the room: ``room_renew`` keeps it, ``room_delete`` removes it. It
        stays when the user leaves the room or loses access.

        ``limit``: the number of marks that a room keeps. Beyond it, marks of users who are not joined are
        forgotten, those with low ids first; a store may choose among some of them.
        Raises ``noRoom``, and ``notJoined`` for a user who is neither joined nor an admin, unless ``bypass``
        is set. ``check_ban``: raise ``banned`` for an admin who is banned and not joined.
        """
        ...

    async def rooms_unread(
        self, rooms: Sequence[RoomName], user: UserName, *, bypass: bool = False
    ) -> Mapping[RoomName, ReadState]:
        """How far the user has read each room. A user without a mark has read up to 0.

        Leaves out rooms that do not exist, and, unless ``bypass`` is set, those that the user may not read.
        Each room is looked at in one step. It takes one round trip per node of the storage for thousands of
        rooms.
        """
        ...
