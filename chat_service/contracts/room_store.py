"""The part of ``Store`` about rooms."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.contracts.records import (
    SEEN_LIMIT,
    Actor,
    HistoryInfo,
    HistoryPage,
    HistoryQuery,
    JoinResult,
    LeaveResult,
    MembersPage,
    Removal,
    RoomConfig,
    RoomQuota,
    RoomSettings,
    SendConditions,
    SendResult,
    UserSeen,
)
from chat_service.interactions import FoldedPage
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName


class RoomStore(Protocol):
    """Rooms. Each change of a room is one atomic step, which also publishes the room's events.

    ``room_delete``, ``room_change_list`` and ``room_set_mode`` raise ``banned`` before other errors if
    ``actor.check_ban`` is set and the actor is banned.
    """

    async def room_create(self, room: RoomName, config: RoomConfig, quota: RoomQuota | None = None) -> None:
        """Create a room with a new epoch, inheriting nothing from a former one. Raises ``roomExists``.

        ``quota``: of the owner; without an owner it means nothing. It is checked in a step before, which
        counts for the rate even if the room exists or the limit is reached. Raises ``banned``,
        ``rateLimited``, ``limitExceeded``.

        The rooms that count for the limit are those created with one, until they are deleted or get another
        owner, whether the owner exists as a user or not. There are never more than the limit. A store may
        need up to a minute to notice that a room is gone, if it went by ``empty_ttl`` or the process that
        created or deleted it was interrupted.
        """
        ...

    async def room_delete(self, room: RoomName, actor: Actor) -> Removal | None:
        """Remove all users (see ``room_change_list``), then delete the room.

        Raises ``noRoom``, ``notAllowed`` for anyone but the owner.
        """
        ...

    async def room_renew(self, room: RoomName, epoch: str, now: int) -> Removal | None:
        """Start a new epoch of a room whose last changes were lost.

        Messages, lists and settings are kept; all users are removed (see ``room_change_list``). ``epoch``:
        the epoch to end; if it has already ended, nothing changes. ``now``: Unix time in ms. Raises
        ``noRoom``.
        """
        ...

    async def room_exists(self, room: RoomName) -> bool:
        """Whether the room exists."""
        ...

    async def room_join(
        self,
        room: RoomName,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        now: int,
        *,
        announce: bool,
        echo_all: bool = False,
        query: HistoryQuery | None = None,
        seen_limit: int = SEEN_LIMIT,
        details: str | None = None,
        own_limit: int = 0,
    ) -> JoinResult:
        """Join a socket to a room if the rules allow it. ``now``: Unix time in ms.

        Raises ``banned``, ``noRoom``, ``notAllowed``. ``announce`` includes ``room_announce`` in the same
        step; the result's cursor is the position before the announcement. The room is added to the user's
        index before the socket is added to the room, never after. If the socket is already joined, nothing
        is changed or published, except that the index entry is written again.

        ``query``: also read messages as specified by ``rules.select_history``, in the same step. If its
        ``max_bytes`` does not allow all of them, recovered messages are the oldest ones, with ``more``;
        otherwise they are the newest.

        ``seen_limit``: the number of users for whom the room remembers when they last joined or left, for
        ``room_user_seen``. Beyond it, users who left longest ago are forgotten. With 0 this user is not
        remembered, neither now nor when they leave, unless an earlier join was.

        ``details``: the details of the socket, as for ``room_set_details``, without a notification. The
        service passes this argument only if its application uses details.

        ``own_limit``: also add the room to the list of the user (``own_rooms``), unless it has so many rooms
        that are no conversations. It stays there until ``own_room_remove``, a ban, a removal of the user from
        the room other than by ``room_leave``, or the end of the room. A refused join takes it from the list.
        The service passes this argument only with ``own_rooms_limit``.
        """
        ...

    async def room_announce(
        self, room: RoomName, user: UserName, socket_id: SocketId, *, echo_all: bool = False
    ) -> None:
        """Announce a join that ``room_join`` did not announce.

        Publishes ``roomUserJoined`` in the room if its ``enable_userlist_updates`` is on and the user has not
        been announced since their first socket joined. Publishes ``roomJoinedEcho(room, id, njoined)`` for
        the user's other sockets, or for all of them with ``echo_all``. Does nothing if the socket is not
        joined.
        """
        ...

    async def room_leave(
        self,
        room: RoomName,
        user: UserName,
        socket_id: SocketId,
        now: int,
        *,
        echo: bool,
        echo_all: bool = False,
        keep_index: bool = False,
    ) -> LeaveResult:
        """Remove a socket from a room, then the room from the user's index. The room may be missing.

        ``keep_index``: leave the index to the ``socket_disconnect`` that follows.

        Publishes ``roomUserLeft``, except to this socket, if it was the last socket of an announced user.
        With ``echo`` it publishes ``roomLeftEcho(room, id, njoined)`` for the user's other sockets, with
        ``echo_all`` for all of them. For a socket that is not joined it changes and publishes nothing.
        """
        ...

    async def room_message(self, room: RoomName, actor: Actor, message: Message) -> int:
        """Store a message and publish ``roomMessage(room, message)``.

        Returns the ``id`` assigned to the message, the next one of the room. Drops the oldest messages
        beyond the history's maximum number of messages or bytes. The newest message is kept, whatever its
        size, unless the room does not keep messages. Raises ``noRoom``, ``notJoined``.
        """
        ...

    async def room_send(
        self, room: RoomName, actor: Actor, message: Message, conditions: SendConditions
    ) -> SendResult:
        """``room_message`` with conditions, which are checked in the same step.

        If a key is remembered for this room and ``actor.name`` (None counts as a separate sender), nothing
        is stored or published: the result is the id of the first message, or ``idempotencyConflict`` is
        raised if the digest differs. This check precedes the rules, so it also applies to senders who are
        no longer joined. Otherwise the message is stored, and the key is remembered for ``window`` seconds.
        A key belongs to one life of the room: ``room_renew`` keeps it, and after ``room_delete`` it is not
        valid.

        ``relation`` is decided by ``interactions.judge`` for the stored message that it refers to. If it says
        nothing new, nothing is stored or published, and the result is a duplicate. Otherwise the room keeps
        what it says for as long as the message that it refers to, and ``message`` has the field ``relatesTo``
        as its first one. The last field of a message is its author, if it has one.

        ``recipient`` is checked like the recipient of ``direct_message`` unless the actor bypasses it, after
        ``notJoined``: ``noUser``, ``notAllowed``. A store that cannot look at both in one step checks it in a
        step before.

        Raises, checked in this order: ``noRoom``, ``idempotencyConflict``, ``notJoined``, ``conflict`` with
        the id of the last message (0 before the first) if it is not ``expected_last_id``, ``noMessage``,
        ``notAllowed`` and ``limitExceeded`` of a relation, ``rateLimited``.
        Only what is stored counts for the rate, which survives the room. It is measured by the clock of the
        storage, so that all instances agree, and without an actor's name it means nothing.
        """
        ...

    async def room_history(
        self, room: RoomName, actor: Actor, after: int, limit: int, *, max_bytes: int | None = None
    ) -> Sequence[Message]:
        """The oldest ``limit`` stored messages with an id greater than ``after``, newest first.

        ``max_bytes``: maximum total size as stored, None for no limit. Only the oldest messages that fit
        are returned, but at least one. The store applies it in the same step and does not read all the
        others. Messages that the store cannot decode may be left out; it logs each once.

        Returns a list, or ``EncodedMessages`` if the store keeps JSON texts. Raises ``noRoom``, and
        ``notJoined`` for anyone who is neither joined nor an admin.
        """
        ...

    async def room_recent_history(
        self, room: RoomName, actor: Actor, limit: int, *, max_bytes: int | None = None
    ) -> Sequence[Message]:
        """The newest ``limit`` messages, like ``room_history``; with ``max_bytes`` the newest ones that
        fit.

        Raises ``noRoom``, ``notJoined``.
        """
        ...

    async def room_history_page(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, *, max_bytes: int | None = None
    ) -> HistoryPage:
        """``room_history``, or ``room_recent_history`` if ``after`` is None, with the epoch in the same step.

        Raises ``noRoom``, ``notJoined``.
        """
        ...

    async def room_history_folded(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, *, max_bytes: int | None = None
    ) -> FoldedPage:
        """``room_history_page`` with what ``interactions.fold`` needs for the actor, in the same step.

        ``max_bytes`` also counts the last edit of each message. Raises ``noRoom``, ``notJoined``.
        """
        ...

    async def room_replace(self, room: RoomName, messages: Sequence[Message]) -> None:
        """Replace stored messages by others with the same ids, in one step, without telling anybody.

        Those that are not stored are ignored. Raises ``noRoom``.
        """
        ...

    async def room_history_info(self, room: RoomName, actor: Actor) -> HistoryInfo:
        """The size and position of the history. Raises ``noRoom``, ``notJoined``."""
        ...

    async def room_settings(self, room: RoomName, actor: Actor) -> RoomSettings:
        """The room's settings. Raises ``noRoom``, ``notJoined``."""
        ...

    async def room_get_list(self, room: RoomName, actor: Actor, list_name: str) -> list[str]:
        """The names in an access list or ``userlist``, in any order. Raises ``noRoom``, ``notJoined``."""
        ...

    async def room_user_seen(self, room: RoomName, actor: Actor, user: UserName) -> UserSeen:
        """A user's presence in the room. Raises ``noRoom``, ``notJoined``."""
        ...

    async def room_change_list(
        self,
        room: RoomName,
        actor: Actor,
        list_name: str,
        now: int,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        limit: int,
    ) -> Removal | None:
        """Add names to an access list, remove others, and remove the users who lose access.

        Raises ``noRoom``; ``notAllowed`` according to ``rules.may_change_list``; ``listLimitExceeded``.
        If ``enable_access_lists_updates`` is on, publishes ``roomAccessListAdded`` with the names that were
        not in the list, and ``roomAccessListRemoved`` with those that were, each once in the given order.
        Neither is published without names. Many names may be published in several such events.

        The sockets of removed users leave the room in the same step, which publishes, after those events,
        one ``RoomEvent`` with ``removed`` and an empty name. Afterwards the users' indexes are cleaned, and
        ``roomAccessRemoved(room)`` is published on each user's topic for the sockets that were not joined.
        Returns the sockets that have left, or None if nobody was removed.

        Many names may take effect in parts, but every operation that reads or changes the room, and begins
        after the first part, comes after the last one. If this operation is interrupted after its decision,
        the next one about the room does the rest.

        If many users are removed, that event may announce none of them, and have ``stayed`` instead of
        ``removed``, or ``removed`` without sockets; several such events may have parts of the users. Until
        the operation ends, further events follow with parts of the removed users, and who of them are
        announced. None of these may come after an event that shows that the user has joined again. After a
        deletion none follow.
        """
        ...

    async def room_set_mode(
        self, room: RoomName, actor: Actor, now: int, whitelist_only: bool
    ) -> Removal | None:
        """Set the mode, and remove users who lose access as in ``room_change_list``.

        Raises ``noRoom``, ``notAllowed`` for anyone but the owner and admins. Publishes ``roomModeChanged``
        if ``enable_access_lists_updates`` is on.
        """
        ...

    async def room_set_owner(self, room: RoomName, now: int, owner: UserName | None) -> Removal | None:
        """Change the owner, and remove the former one as in ``room_change_list`` if they lose access.

        Raises ``noRoom``.
        """
        ...

    async def room_set_history_max_size(self, room: RoomName, size: int) -> None:
        """Set how many messages are kept, and immediately drop older ones. Raises ``noRoom``."""
        ...

    async def room_set_history_max_bytes(self, room: RoomName, size: int) -> None:
        """Set how many bytes of messages are kept, and immediately drop the oldest messages beyond it.

        The newest message is kept. Raises ``noRoom``.
        """
        ...

    async def room_set_history_ttl(self, room: RoomName, ttl: float | None) -> None:
        """Set the age in seconds at which messages are dropped; None: at no age. Raises ``noRoom``.

        From that age on by the store's clock, no method returns or counts a message, as if others had taken
        its place. The space comes back at the latest when the room has been without a new message for as
        long again. Messages that were stored without a limit of age count from this call on.
        """
        ...

    async def room_set_empty_ttl(self, room: RoomName, ttl: float | None) -> None:
        """Set the time in seconds after which the room is deleted if no user is joined; None: never.

        It counts, by the store's clock, from the step in which the last user leaves, from the creation of
        the room, or from this call. A join begins it anew. The room is then gone, as after ``room_delete``.
        Raises ``noRoom``.
        """
        ...

    async def room_set_updates(
        self, room: RoomName, *, userlist: bool | None = None, access_lists: bool | None = None
    ) -> None:
        """Turn optional notifications of a room on or off; None changes nothing. Raises ``noRoom``."""
        ...

    async def room_has_in_list(self, room: RoomName, list_name: str, name: str) -> bool:
        """Whether a name is in a list, including ``userlist``. Raises ``noRoom``."""
        ...

    async def room_joined(self, room: RoomName, names: Sequence[UserName]) -> Collection[UserName]:
        """Those of the names that belong to joined users. Raises ``noRoom``."""
        ...

    async def room_check_access(self, room: RoomName, user: UserName) -> bool:
        """Whether the rules allow the user to join. Raises ``noRoom``."""
        ...

    async def room_members(self, room: RoomName) -> Mapping[UserName, Mapping[SocketId, InstanceId]]:
        """The joined users with their joined sockets. Raises ``noRoom``."""
        ...

    async def room_members_page(
        self, room: RoomName, actor: Actor, limit: int, cursor: str | None = None
    ) -> MembersPage:
        """The state of a room and up to ``limit`` of its members, in any order; all of one moment.

        ``limit`` 0: no members and no cursor. A page may have fewer, only one without a cursor is the last.
        A user who is joined all the time is on at least one page; a store says whether it may be on two if
        users join and leave in between. Raises ``noRoom``, ``notJoined``, and ``ValueError`` for a text that
        is not a cursor.
        """
        ...

    async def room_set_details(
        self, room: RoomName, user: UserName, socket_id: SocketId, details: str | None, shown: Any
    ) -> None:
        """Set the details of a joined socket; None removes them. ``details``: a JSON text, kept as it is.

        They end when the socket leaves the room, in whatever way. If the room's ``enable_userlist_updates``
        is on and the user was announced, publishes ``roomMemberUpdated(room, user, shown)``. Raises
        ``noRoom``, and ``notJoined`` if this socket of the user is not joined.
        """
        ...

    async def room_changes(self, room: RoomName, cursor: RoomCursor) -> Sequence[RoomEvent]:
        """The events after ``cursor`` other than messages, oldest first. Raises ``noRoom``.

        A store keeps a limited number of them for a limited time, for instances whose subscription broke.
        """
        ...

    async def room_remove_users(self, room: RoomName, users: Sequence[UserName], now: int) -> Removal | None:
        """Remove users as in ``room_change_list``, ignoring those not joined. Raises ``noRoom``.

        Also finishes a removal that was interrupted, which no users at all can ask for.
        """
        ...
