"""The part of ``Store`` about the rooms in the lists of users, and the conversations of two users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from chat_service.contracts.records import Actor, Page, Rate, ReadState, Removal, RoomConfig
from chat_service.types import RoomName, UserName

#: The argument of ``limitExceeded`` for a user with too many conversations.
CONVERSATIONS: Final = "conversations of a user"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRoom:
    """A room in the list of a user. ``state``: how far they have read it.

    ``last_message_at``: the timestamp of the last message in ms; None if it is not stored or has none.
    """

    name: RoomName
    state: ReadState
    last_message_at: int | None


class Opened(NamedTuple):
    """An open conversation. ``listed``: the users who did not have it in their lists before.

    ``removal``: the sockets that have left a conversation of former users of the same names.
    """

    listed: Sequence[UserName]
    removal: Removal | None = None


class OwnRoomStore(Protocol):
    """Rooms that stay in the list of a user when their connections end.

    The list belongs to the user and goes with them. A user who is created again begins with an empty one. It
    may lie elsewhere than the rooms: then it is a superset, and what it has too much is left out and removed
    when it is read.

    A conversation is a room for two users, whose name is that of ``names.conversation_name``. Nobody else has
    access. It has no owner and no admins. Its whitelist has those of the two who have not left it; when both
    have, the room is deleted. Only users who have it in their list may join it; for others ``room_join``
    raises ``noRoom``.
    """

    async def direct_open(
        self,
        room: RoomName,
        actor: Actor,
        peer: UserName,
        config: RoomConfig,
        now: int,
        *,
        limit: int,
        rate: Rate | None = None,
    ) -> Opened:
        """Make the conversation of two users, if there is none, and add it to the lists of both.

        ``config``: its settings; the whitelist is ignored. ``now``: Unix time in ms. ``limit``: the number of
        conversations in the list of a user. ``rate``: how fast the actor may add conversations to their list.

        If one of the users was created after an earlier conversation of these names, that one is deleted
        first, with its messages. Nothing is checked or changed if the room exists and both have it.

        Raises ``banned`` as ``user_add_to_list``, ``rateLimited``, ``noUser`` for each of the two,
        ``notAllowed`` for a peer whose lists forbid it unless the actor bypasses them, and ``limitExceeded``
        for each of the two. A call that raises may count for the rate. If it is interrupted, it may have
        changed lists, which has no effect before another call.
        """
        ...

    async def direct_leave(self, room: RoomName, user: UserName, now: int) -> Removal | None:
        """Take a conversation from the list of a user, and remove their sockets (see ``room_change_list``).

        Does nothing if the user has left it before. ``now``: Unix time in ms.
        """
        ...

    async def own_rooms(self, user: UserName, limit: int, cursor: str | None = None) -> Page[OwnRoom]:
        """A page of the rooms in the list of a user, in the order of their names.

        Leaves out rooms that are gone, and those that the user may not join. A page may have fewer items than
        ``limit``; only one without a cursor is the last. Raises ``ValueError`` for an invalid cursor.
        """
        ...

    async def own_room_remove(self, user: UserName, room: RoomName) -> None:
        """Remove a room that is not a conversation from the list of a user, if it is in it."""
        ...
