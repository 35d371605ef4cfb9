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
from typing import Protocol

from chat_service.contracts.activity_store import ActivityStore
from chat_service.contracts.bus import Bus, BusListener
from chat_service.contracts.instance_store import InstanceStore
from chat_service.contracts.records import (
    SYSTEM as SYSTEM,
    Actor as Actor,
    Ban as Ban,
    Departure as Departure,
    HistoryInfo as HistoryInfo,
    HistoryPage as HistoryPage,
    HistoryQuery as HistoryQuery,
    InstanceRecord as InstanceRecord,
    JoinHistory as JoinHistory,
    JoinResult as JoinResult,
    LeaveResult as LeaveResult,
    Page as Page,
    Rate as Rate,
    ReadMark as ReadMark,
    Removal as Removal,
    RoomConfig as RoomConfig,
    RoomQuota as RoomQuota,
    RoomSettings as RoomSettings,
    RoomSummary as RoomSummary,
    SendConditions as SendConditions,
    SendResult as SendResult,
    SocketInfo as SocketInfo,
    StoreStatistics as StoreStatistics,
    ReadState as ReadState,
    UserConfig as UserConfig,
    UserSeen as UserSeen,
    UserSummary as UserSummary,
)
from chat_service.contracts.own_room_store import (
    Opened as Opened,
    OwnRoom as OwnRoom,
    OwnRoomStore,
)
from chat_service.contracts.room_store import RoomStore
from chat_service.contracts.user_store import UserStore
from chat_service.types import RoomName


class Store(UserStore, RoomStore, ActivityStore, OwnRoomStore, InstanceStore, Protocol):
    """The state of the service. Each instance has a store object; these share the storage behind them.

    A store may have the optional capabilities ``RunsWithoutTask``, ``BoundsCommands``, ``HasTitle`` and
    ``MeasuredStore`` of ``chat_service.contracts.capabilities``.
    """

    @property
    def bus(self) -> Bus:
        """The bus on which this store publishes. Usable from ``open`` to ``close``."""
        ...

    async def open(self, listener: BusListener) -> None:
        """Connect, and start to pass envelopes from the bus to ``listener``.

        Raises ``ConfigurationError`` or ``StoreError`` with a clear message on failure.
        """
        ...

    async def close(self) -> None:
        """Release everything that ``open`` acquired. Idempotent."""
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
        """All live and claimed instances, in any order."""
        ...
