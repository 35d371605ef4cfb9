"""The ``Store`` contract: atomic operations on users, rooms and instances.

An operation checks permissions, changes the state and publishes the change on the store's bus in one atomic
step; events are published in the order of the steps. Unless its docstring says otherwise, a method that
raises has changed nothing. Every method may raise ``StoreError`` if the store cannot be reached,
``StoreTimeoutError`` if it does not answer in time (the outcome is then unknown), and ``StoreRefusedError``
if it currently refuses changes and has made none. Reads, and joins of already joined sockets, must keep
working in that case.

Names passed to a store are valid (protocol.md, Connection). Lists of names may contain duplicates. An echo
for a user's other sockets must reach the instances that have such sockets; other instances may miss it.
"""

# The records are a part of this interface: they can be imported from here, too.
# isort: off
from collections.abc import Mapping, Sequence
from typing import Protocol

from chat_service.contracts.bus import Bus, BusListener, RoomCursor, RoomEvent
from chat_service.contracts.records import (
    SYSTEM as SYSTEM,
    Actor as Actor,
    Departure as Departure,
    HistoryInfo as HistoryInfo,
    InstanceRecord as InstanceRecord,
    JoinResult as JoinResult,
    LeaveResult as LeaveResult,
    Page as Page,
    Removal as Removal,
    RoomConfig as RoomConfig,
    RoomSettings as RoomSettings,
    RoomSummary as RoomSummary,
    SocketInfo as SocketInfo,
    StoreStatistics as StoreStatistics,
    UserConfig as UserConfig,
    UserSeen as UserSeen,
    UserSummary as UserSummary,
)
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName


class Store(Protocol):
    """The state of the service. Each instance has a store object; these share the storage behind them.

    A store may have the optional capabilities ``RunsWithoutTask``, ``BoundsCommands``, ``HasTitle`` and
    ``MeasuredStore`` of ``chat_service.contracts.capabilities``.
    """

    @property
    def bus(self) -> Bus:
        """The bus on which this store publishes. Usable from ``open`` to ``close``."""
        ...

    async def open(self, listener: BusListener) -> None:
        """Connect, and start passing what arrives on the bus to ``listener``.

        Raises ``ConfigurationError`` or ``StoreError`` with a clear message on failure.
        """
        ...

    async def close(self) -> None:
        """Release everything that ``open`` acquired. Idempotent."""
        ...

    # Users. Each change of a user is one atomic step.

    async def user_create(self, user: UserName, config: UserConfig) -> None:
        """Create a user, inheriting nothing from a former user of that name. Raises ``userExists``."""
        ...

    async def user_delete(self, user: UserName) -> None:
        """Delete a user with the lists. Raises ``noUser``, or ``userOnline`` while a socket is connected."""
        ...

    async def user_exists(self, user: UserName) -> bool:
        """Whether the user was created or has ever logged in."""
        ...

    async def user_get_list(self, user: UserName, list_name: str) -> list[str]:
        """The names in ``blacklist`` or ``whitelist``, in any order. Raises ``noUser``."""
        ...

    async def user_has_in_list(self, user: UserName, list_name: str, name: str) -> bool:
        """Whether a name is in the list. Raises ``noUser``."""
        ...

    async def user_add_to_list(
        self, user: UserName, list_name: str, names: Sequence[str], limit: int
    ) -> None:
        """Add names. Raises ``noUser``, ``listLimitExceeded`` if the list would exceed ``limit`` names."""
        ...

    async def user_remove_from_list(self, user: UserName, list_name: str, names: Sequence[str]) -> None:
        """Remove names, ignoring missing ones. Raises ``noUser``."""
        ...

    async def user_get_mode(self, user: UserName) -> bool:
        """Whether only whitelisted senders may write to the user. Raises ``noUser``."""
        ...

    async def user_set_mode(self, user: UserName, whitelist_only: bool) -> None:
        """Set the mode. Raises ``noUser``."""
        ...

    async def user_check_direct_access(self, user: UserName, sender: UserName) -> bool:
        """Whether the lists of ``user`` allow ``sender`` to write; never to themselves. Raises ``noUser``."""
        ...

    async def direct_message(self, user: UserName, sender: Actor, message: Message) -> None:
        """Check access and publish ``directMessage(message)`` on the recipient's topic in one step.

        Raises, checked in this order: ``noUser``; ``notAllowed`` if the sender is the recipient, or if the
        lists forbid it and ``sender`` does not bypass them; ``noUserOnline``.
        """
        ...

    # Sockets.

    async def socket_connect(self, user: UserName, socket_id: SocketId, instance_id: InstanceId) -> int:
        """Add a socket to the instance and to the user, who is created if missing.

        Publishes ``socketConnectEcho(id, nconnected)`` for the user's other sockets. Returns nconnected,
        the number of the user's sockets. For a known socket it changes and publishes nothing.
        """
        ...

    async def socket_disconnect(
        self, user: UserName, socket_id: SocketId, instance_id: InstanceId, departures: Sequence[Departure]
    ) -> int:
        """Remove a socket, which has left its rooms, from the user and the instance.

        Publishes ``roomLeftEcho`` for each departure, then ``socketDisconnectEcho(id, nconnected)``, for the
        user's other sockets. Returns nconnected. For an unknown socket it changes and publishes nothing.
        """
        ...

    async def user_sockets(self, user: UserName) -> Mapping[SocketId, SocketInfo]:
        """The user's sockets on all instances. Raises ``noUser``."""
        ...

    # Rooms. Each change of a room is one atomic step, which also publishes the room's events.

    async def room_create(self, room: RoomName, config: RoomConfig) -> None:
        """Create a room with a new epoch, inheriting nothing from a former one. Raises ``roomExists``."""
        ...

    async def room_delete(self, room: RoomName, actor: Actor) -> Removal | None:
        """Remove all users (see ``room_change_list``), then delete the room.

        Raises ``noRoom``, ``notAllowed`` for anyone but the owner.
        """
        ...

    async def room_renew(self, room: RoomName, epoch: str, now: int) -> Removal | None:
        """Start a new epoch of a room whose last changes were lost.

        Messages, lists and settings stay; all users are removed (see ``room_change_list``). ``epoch``: the
        epoch to end; if it has already ended, nothing changes. ``now``: Unix time in ms. Raises ``noRoom``.
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
    ) -> JoinResult:
        """Join a socket to a room if the rules allow it. ``now``: Unix time in ms.

        Raises ``noRoom``, ``notAllowed``. ``announce`` includes ``room_announce`` in the same step; the
        result's cursor is the position before the announcement. The room is added to the user's index before
        the socket is added to the room, never after. If the socket is already joined, nothing is changed or
        published, except that the index entry is written again.
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

        Returns the ``id`` that the message was given, the room's next one. Drops the oldest messages beyond
        the history's maximum size. Raises ``noRoom``, ``notJoined``.
        """
        ...

    async def room_history(self, room: RoomName, actor: Actor, after: int, limit: int) -> Sequence[Message]:
        """The oldest ``limit`` stored messages with an id greater than ``after``, newest first.

        Returns a list, or ``EncodedMessages`` if the store keeps JSON texts. Raises ``noRoom``, ``notJoined``
        for anyone who is neither joined nor an admin.
        """
        ...

    async def room_recent_history(self, room: RoomName, actor: Actor, limit: int) -> Sequence[Message]:
        """The newest ``limit`` messages, as in ``room_history``. Raises ``noRoom``, ``notJoined``."""
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
        Publishes ``roomAccessListAdded`` and ``roomAccessListRemoved`` for non-empty changes if
        ``enable_access_lists_updates`` is on.

        The sockets of removed users leave the room in the same step, which publishes, after those events, one
        ``RoomEvent`` with ``removed`` and an empty name. Afterwards the users' indexes are cleaned, and
        ``roomAccessRemoved(room)`` is published on each user's topic for the sockets that were not joined.
        Returns the sockets that have left, or None if nobody was removed.
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
        """Set how many messages are kept, dropping older ones immediately. Raises ``noRoom``."""
        ...

    async def room_set_updates(
        self, room: RoomName, *, userlist: bool | None = None, access_lists: bool | None = None
    ) -> None:
        """Turn optional notifications of a room on or off; None changes nothing. Raises ``noRoom``."""
        ...

    async def room_has_in_list(self, room: RoomName, list_name: str, name: str) -> bool:
        """Whether a name is in a list, ``userlist`` included. Raises ``noRoom``."""
        ...

    async def room_check_access(self, room: RoomName, user: UserName) -> bool:
        """Whether the rules allow the user to join. Raises ``noRoom``."""
        ...

    async def room_members(self, room: RoomName) -> Mapping[UserName, Mapping[SocketId, InstanceId]]:
        """The joined users with their joined sockets. Raises ``noRoom``."""
        ...

    async def room_changes(self, room: RoomName, cursor: RoomCursor) -> Sequence[RoomEvent]:
        """The events after ``cursor`` other than messages, oldest first. Raises ``noRoom``.

        A store keeps a limited number of them for a limited time, for instances whose subscription broke.
        """
        ...

    async def room_remove_users(self, room: RoomName, users: Sequence[UserName], now: int) -> Removal | None:
        """Remove users as in ``room_change_list``, ignoring those not joined. Raises ``noRoom``."""
        ...

    # Instances.

    async def instance_heartbeat(self, instance_id: InstanceId, now: int) -> None:
        """Record that an instance is alive, adding it if unknown and ending any claim of it.

        ``now``: Unix time in ms on the instance's clock, shown to operators and not used for decisions.
        """
        ...

    async def instance_renew(self, instance_id: InstanceId, now: int) -> bool:
        """``instance_heartbeat`` of a known instance. Returns False if it is unknown or was claimed."""
        ...

    async def instance_pulses(self) -> Mapping[InstanceId, int]:
        """The pulses of all living and claimed instances.

        A pulse is a number that changes with every heartbeat and claim. An instance whose pulse does not
        change for ``heartbeat_timeout`` is dead.
        """
        ...

    async def instance_claim(self, instance_id: InstanceId, now: int, pulse: int) -> int | None:
        """Claim the recovery of an instance if it still has this pulse. It no longer counts as alive then.

        Returns the new pulse, or None if the instance has sent a heartbeat, was claimed by another or was
        forgotten meanwhile. Claim it again with the new pulse while the recovery continues, else others may
        claim it.
        """
        ...

    async def instance_get_heartbeat(self, instance_id: InstanceId) -> int | None:
        """Unix time in ms of the last heartbeat, None for an unknown or claimed instance."""
        ...

    async def instance_sockets(self, instance_id: InstanceId) -> Mapping[SocketId, UserName]:
        """The sockets of an instance; of a dead one, those it had when it died."""
        ...

    async def instances(self) -> Mapping[InstanceId, int]:
        """The unclaimed instances with the Unix time in ms of their last heartbeats."""
        ...

    async def instance_forget(self, instance_id: InstanceId) -> None:
        """Remove an instance unless it still has sockets."""
        ...

    # Lists, for operators.

    async def room_summary(self, room: RoomName) -> RoomSummary:
        """A consistent summary of a room. Raises ``noRoom``."""
        ...

    async def list_rooms(self, limit: int, cursor: str | None = None) -> Page[RoomSummary]:
        """A page of all rooms, in any order. For pages see ``list_users``."""
        ...

    async def list_users(
        self, limit: int, cursor: str | None = None, *, online: bool = True
    ) -> Page[UserSummary]:
        """A page of the users who have sockets, or of all known users with ``online=False``.

        A page has about ``limit`` items in any order. A store that cannot count exactly may return more or
        fewer, even none; only a page with the ``cursor`` None is the last one. A name that exists during the
        whole listing is on at least one page; names added or removed meanwhile may be missing. Pass None as
        ``cursor`` for the first page, then the cursor of the previous page. A cursor that did not come from
        this store raises ``ValueError``, an expired one ``StoreError``.
        """
        ...

    async def list_instances(self) -> list[InstanceRecord]:
        """All living and claimed instances, in any order."""
        ...
