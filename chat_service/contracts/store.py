"""The ``Store`` contract: whole, atomic steps over users, rooms and instances.

A store decides and changes in one step, and publishes on its bus what it changed, in the order of its
decisions. A method that raises has changed nothing, except where its text says otherwise. All methods may
raise ``StoreError`` when the store cannot be reached and ``StoreTimeoutError`` when it does not answer
in time; then nothing is known of the step. ``StoreRefusedError``: it takes no changes for now, and has made
none; reads, and joins of sockets that are joined already, work all the time.

Names given to a store are valid (protocol.md, Connection); lists of names may repeat a name.
An echo for a user's other sockets reaches the instances that have some of them; no other one need hear it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from chat_service.contracts.bus import Bus, BusListener, RoomCursor, RoomEvent
from chat_service.contracts.records import (
    SYSTEM,
    Actor,
    Departure,
    HistoryInfo,
    InstanceRecord,
    JoinResult,
    LeaveResult,
    Page,
    Removal,
    RoomConfig,
    RoomSettings,
    RoomSummary,
    SocketInfo,
    StoreStatistics,
    UserConfig,
    UserSeen,
    UserSummary,
)
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName

__all__ = [  # noqa: RUF022 - sorted as the root's
    "Actor",
    "Departure",
    "HistoryInfo",
    "InstanceRecord",
    "JoinResult",
    "LeaveResult",
    "Page",
    "Removal",
    "RoomConfig",
    "RoomSettings",
    "RoomSummary",
    "SYSTEM",
    "SocketInfo",
    "Store",
    "StoreStatistics",
    "UserConfig",
    "UserSeen",
    "UserSummary",
]


class Store(Protocol):
    """The state of the service. One object serves one instance; several share what is behind it.

    A class with the attribute ``runs_without_task = True`` promises that its methods, until they first wait,
    do without ``asyncio.current_task()``, which ``asyncio.timeout`` and some drivers ask for; or that they
    await ``chat_service.concurrency.eager.in_task()`` first. Commands that never wait get no task then.

    A store with an attribute ``command_timeout`` (seconds) bounds all that one command asks of it together:
    ``chat_service.concurrency.patience.current`` says how much of that time is left.
    """

    @property
    def bus(self) -> Bus:
        """The bus that this store publishes on. Usable from ``open`` until ``close``."""
        ...

    async def open(self, listener: BusListener) -> None:
        """Connect, and pass what arrives on the bus to ``listener`` from now on.

        Raises ``ConfigurationError`` or ``StoreError`` with one clear message when it cannot.
        """
        ...

    async def close(self) -> None:
        """Release everything that ``open`` took. Idempotent."""
        ...

    # Users. All state of a user changes in single steps.

    async def user_create(self, user: UserName, config: UserConfig) -> None:
        """Create a user, with nothing of a former one. Raises ``userExists``."""
        ...

    async def user_delete(self, user: UserName) -> None:
        """Delete a user and the lists. Raises ``noUser``, or ``userOnline`` while a socket is connected."""
        ...

    async def user_exists(self, user: UserName) -> bool:
        """Whether the user is known: created, or logged in once."""
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
        """Add names. Raises ``noUser``, ``listLimitExceeded`` when distinct names would pass ``limit``."""
        ...

    async def user_remove_from_list(self, user: UserName, list_name: str, names: Sequence[str]) -> None:
        """Remove names; missing ones are no error. Raises ``noUser``."""
        ...

    async def user_get_mode(self, user: UserName) -> bool:
        """Whether the whitelist alone gives access to direct messages. Raises ``noUser``."""
        ...

    async def user_set_mode(self, user: UserName, whitelist_only: bool) -> None:
        """Set the mode. Raises ``noUser``."""
        ...

    async def user_check_direct_access(self, user: UserName, sender: UserName) -> bool:
        """Whether the lists of ``user`` let ``sender`` write. Raises ``noUser``. Nobody writes to oneself."""
        ...

    async def direct_message(self, user: UserName, sender: Actor, message: Message) -> None:
        """Check and publish ``directMessage(message)`` on the recipient's topic, in one step.

        Raises, in this order: ``noUser``; ``notAllowed`` for the sender's own name, and when the lists forbid
        it and ``sender`` does not bypass; ``noUserOnline``.
        """
        ...

    # Sockets.

    async def socket_connect(self, user: UserName, socket_id: SocketId, instance_id: InstanceId) -> int:
        """Add a socket to the user, who is created when missing, and to the instance.

        Publishes ``socketConnectEcho(id, nconnected)`` for the user's other sockets. Returns nconnected,
        the number of the user's sockets. A socket that is there already changes and publishes nothing.
        """
        ...

    async def socket_disconnect(
        self, user: UserName, socket_id: SocketId, instance_id: InstanceId, departures: Sequence[Departure]
    ) -> int:
        """Remove a socket that has left its rooms from the user and from the instance.

        Publishes ``roomLeftEcho`` of each departure, then ``socketDisconnectEcho(id, nconnected)``, for
        the user's other sockets. Returns nconnected. A socket that is not there changes and publishes
        nothing.
        """
        ...

    async def user_sockets(self, user: UserName) -> Mapping[SocketId, SocketInfo]:
        """The user's sockets on all instances. Raises ``noUser``."""
        ...

    # Rooms. All state of a room changes in single steps, and its events are published from inside them.

    async def room_create(self, room: RoomName, config: RoomConfig) -> None:
        """Create a room with its own epoch, and nothing of a former one. Raises ``roomExists``."""
        ...

    async def room_delete(self, room: RoomName, actor: Actor) -> Removal | None:
        """Remove everybody (see ``room_change_list``), then the room. Raises ``noRoom``, ``notAllowed``
        for anyone but the owner."""
        ...

    async def room_renew(self, room: RoomName, epoch: str, now: int) -> Removal | None:
        """Begin another life of a room that has lost its last changes: under a new epoch, with its messages,
        lists and settings, and with nobody in it (see ``room_change_list``).

        ``epoch``: the life that ends; nothing is changed when it has ended already. ``now``: ms since the
        epoch. Raises ``noRoom``.
        """
        ...

    async def room_exists(self, room: RoomName) -> bool:
        """Whether there is such a room."""
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
        """Join a socket to a room if the rules allow it. ``now``: ms since the epoch.

        Raises ``noRoom``, ``notAllowed``. With ``announce`` it does in the same step what ``room_announce``
        does, after the place of the join. The user's index names the room before the room names the socket,
        never the other way round. For a socket that is joined already nothing changes and nothing is
        published, but the index is written again.
        """
        ...

    async def room_announce(
        self, room: RoomName, user: UserName, socket_id: SocketId, *, echo_all: bool = False
    ) -> None:
        """Tell of a join that ``room_join`` did not announce.

        Publishes ``roomUserJoined`` in the room when its ``enable_userlist_updates`` is on and this presence
        of the user (from its first join to its last leave) was not announced yet, and
        ``roomJoinedEcho(room, id, njoined)`` for the user's other sockets; for all of them with
        ``echo_all``. When the socket is not joined it does nothing.
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
        """Remove a socket from a room, then the room from the user's index. A missing room is no error.

        ``keep_index``: leave the index to the ``socket_disconnect`` that follows.

        Publishes ``roomUserLeft`` when the last socket of an announced user has left (not to that socket),
        and with ``echo`` ``roomLeftEcho(room, id, njoined)`` for the user's other sockets; for all of them
        with ``echo_all``. A socket that was not joined changes and publishes nothing.
        """
        ...

    async def room_message(self, room: RoomName, actor: Actor, message: Message) -> int:
        """Give the message the room's next ``id``, store it, rotate the oldest ones out, and publish
        ``roomMessage(room, message)``. Returns the id. Raises ``noRoom``, ``notJoined``."""
        ...

    async def room_history(self, room: RoomName, actor: Actor, after: int, limit: int) -> Sequence[Message]:
        """The oldest ``limit`` stored messages with an id larger than ``after``, newest first.

        A list, or ``EncodedMessages`` of a store that keeps JSON texts. Raises ``noRoom``, ``notJoined`` for
        anyone who is neither joined nor an admin.
        """
        ...

    async def room_recent_history(self, room: RoomName, actor: Actor, limit: int) -> Sequence[Message]:
        """The newest ``limit`` messages, as in ``room_history``. Raises ``noRoom``, ``notJoined``."""
        ...

    async def room_history_info(self, room: RoomName, actor: Actor) -> HistoryInfo:
        """The state of the history. Raises ``noRoom``, ``notJoined``."""
        ...

    async def room_settings(self, room: RoomName, actor: Actor) -> RoomSettings:
        """The settings. Raises ``noRoom``, ``notJoined``."""
        ...

    async def room_get_list(self, room: RoomName, actor: Actor, list_name: str) -> list[str]:
        """The names in an access list or ``userlist``, in any order. Raises ``noRoom``, ``notJoined``."""
        ...

    async def room_user_seen(self, room: RoomName, actor: Actor, user: UserName) -> UserSeen:
        """A user's presence. Raises ``noRoom``, ``notJoined``."""
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
        """Add names to an access list and remove names from it; users who lose access by it are removed.

        Raises ``noRoom``; ``notAllowed`` by ``rules.may_change_list``; ``listLimitExceeded``. Publishes
        ``roomAccessListAdded`` or ``roomAccessListRemoved`` when ``enable_access_lists_updates`` is on and
        names were given. Removed users: in the same step their sockets leave the room, and after those events
        one ``RoomEvent`` with ``removed`` and without a name is published; then the users' indexes are
        cleaned and ``roomAccessRemoved(room)`` is published on each user's topic for the sockets that were
        not joined. Returns the sockets that have left, None when nobody was removed.
        """
        ...

    async def room_set_mode(
        self, room: RoomName, actor: Actor, now: int, whitelist_only: bool
    ) -> Removal | None:
        """Set the mode; users who lose access by it are removed as in ``room_change_list``.

        Raises ``noRoom``, ``notAllowed`` for anyone but owner and admins. Publishes ``roomModeChanged`` when
        ``enable_access_lists_updates`` is on.
        """
        ...

    async def room_set_owner(self, room: RoomName, now: int, owner: UserName | None) -> Removal | None:
        """Change the owner; the old one is removed as in ``room_change_list`` when access depended on it.

        Raises ``noRoom``.
        """
        ...

    async def room_set_history_max_size(self, room: RoomName, size: int) -> None:
        """Change how many messages are kept; the oldest ones past it go at once. Raises ``noRoom``."""
        ...

    async def room_set_updates(
        self, room: RoomName, *, userlist: bool | None = None, access_lists: bool | None = None
    ) -> None:
        """Switch notifications of a room; None leaves one as it is. Raises ``noRoom``."""
        ...

    async def room_has_in_list(self, room: RoomName, list_name: str, name: str) -> bool:
        """Whether a name is in a list, ``userlist`` included. Raises ``noRoom``."""
        ...

    async def room_check_access(self, room: RoomName, user: UserName) -> bool:
        """Whether the rules let the user join. Raises ``noRoom``."""
        ...

    async def room_members(self, room: RoomName) -> Mapping[UserName, Mapping[SocketId, InstanceId]]:
        """The joined users with their joined sockets. Raises ``noRoom``."""
        ...

    async def room_changes(self, room: RoomName, cursor: RoomCursor) -> Sequence[RoomEvent]:
        """The events after ``cursor`` that are not messages, oldest first. Raises ``noRoom``.

        A store keeps a bounded number of them for a while, for instances whose subscription broke.
        """
        ...

    async def room_remove_users(self, room: RoomName, users: Sequence[UserName], now: int) -> Removal | None:
        """Remove users as in ``room_change_list``; who is not joined is passed over. Raises ``noRoom``."""
        ...

    # Instances.

    async def instance_heartbeat(self, instance_id: InstanceId, now: int) -> None:
        """Say that an instance is alive, known or not; a claim of it ends. ``now``: ms since the epoch by its
        own clock, for operators; nothing is decided by it."""
        ...

    async def instance_renew(self, instance_id: InstanceId, now: int) -> bool:
        """As ``instance_heartbeat``, for an instance that is known. False: it is not, or was claimed."""
        ...

    async def instance_pulses(self) -> Mapping[InstanceId, int]:
        """The instances that are alive or claimed, with their pulses: numbers that every heartbeat and claim
        changes. An instance whose pulse others see unchanged for ``heartbeat_timeout`` is dead."""
        ...

    async def instance_claim(self, instance_id: InstanceId, now: int, pulse: int) -> int | None:
        """Take the right to recover an instance that still has this pulse, in one step; it is not alive then.

        Returns its new pulse. Claim it again with that one to say that the recovery goes on, else others may
        claim it. None: it was heard of, claimed by another one or forgotten meanwhile."""
        ...

    async def instance_get_heartbeat(self, instance_id: InstanceId) -> int | None:
        """The last heartbeat in ms since the epoch, None for an instance that is unknown or was claimed."""
        ...

    async def instance_sockets(self, instance_id: InstanceId) -> Mapping[SocketId, UserName]:
        """The sockets that an instance has, or had when it died."""
        ...

    async def instances(self) -> Mapping[InstanceId, int]:
        """The instances that were not claimed, with their last heartbeats (ms since the epoch)."""
        ...

    async def instance_forget(self, instance_id: InstanceId) -> None:
        """Remove an instance that has no sockets any more; one that has some stays."""
        ...

    # Lists, for operators.

    async def room_summary(self, room: RoomName) -> RoomSummary:
        """A room at one moment. Raises ``noRoom``."""
        ...

    async def list_rooms(self, limit: int, cursor: str | None = None) -> Page[RoomSummary]:
        """A page of all rooms, in any order. See ``list_users`` on pages."""
        ...

    async def list_users(
        self, limit: int, cursor: str | None = None, *, online: bool = True
    ) -> Page[UserSummary]:
        """A page of the users who have sockets, or with ``online=False`` of all that are known.

        A page has about ``limit`` items in any order: a store that cannot count exactly may give some more
        or fewer, even none; only a page whose ``cursor`` is None is the last one. A name that is there all
        the time is on some page, perhaps on two; one that comes or goes meanwhile may be on none. ``cursor``:
        None for the first page, then that of the page before; one that this store did not give raises
        ``ValueError``, one that is not valid any more ``StoreError``.
        """
        ...

    async def list_instances(self) -> list[InstanceRecord]:
        """The instances that are alive or claimed, in any order."""
        ...
