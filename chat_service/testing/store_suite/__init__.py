"""The conformance suite of the ``Store`` protocol, as pytest classes.

Subclass ``StoreSuite`` under a name that pytest collects, and override its fixture ``make_store``::

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def make_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "state")

The fixture returns a function that creates a new, unopened store. All stores of one test share their state;
each test starts with empty state. While you write a store, you can run the parts of the suite (``UserSuite``,
``RoomSuite``, …) separately. Requires pytest and pytest-asyncio in any mode.
"""

import pytest

for _part in (
    "access",
    "banning",
    "base",
    "bus",
    "changes",
    "concurrency",
    "conversing",
    "expiring",
    "history_sizes",
    "large_rooms",
    "lists",
    "members",
    "members_pages",
    "messages",
    "owning",
    "presence",
    "rates",
    "read_marks",
    "relating",
    "removal",
    "rooms",
    "sends",
    "sockets",
    "users",
):
    # Makes failing asserts show their values, as in test modules.
    pytest.register_assert_rewrite(f"{__name__}.{_part}")

from chat_service.testing.store_suite.access import AccessSuite  # noqa: E402
from chat_service.testing.store_suite.banning import BanSuite  # noqa: E402
from chat_service.testing.store_suite.base import MakeStore, Peer, Peers  # noqa: E402
from chat_service.testing.store_suite.bus import BusSuite  # noqa: E402
from chat_service.testing.store_suite.changes import ChangeSuite  # noqa: E402
from chat_service.testing.store_suite.concurrency import ConcurrencySuite  # noqa: E402
from chat_service.testing.store_suite.conversing import OwnRoomSuite  # noqa: E402
from chat_service.testing.store_suite.expiring import ExpirySuite  # noqa: E402
from chat_service.testing.store_suite.history_sizes import HistorySizeSuite  # noqa: E402
from chat_service.testing.store_suite.large_lists import LargeListSuite  # noqa: E402
from chat_service.testing.store_suite.large_rooms import LargeRoomSuite  # noqa: E402
from chat_service.testing.store_suite.lists import ListSuite  # noqa: E402
from chat_service.testing.store_suite.members import MemberSuite  # noqa: E402
from chat_service.testing.store_suite.members_pages import MembersPageSuite  # noqa: E402
from chat_service.testing.store_suite.messages import MessageSuite  # noqa: E402
from chat_service.testing.store_suite.owning import OwnedRoomSuite  # noqa: E402
from chat_service.testing.store_suite.presence import PresenceSuite  # noqa: E402
from chat_service.testing.store_suite.rates import RateSuite  # noqa: E402
from chat_service.testing.store_suite.read_marks import ActivitySuite  # noqa: E402
from chat_service.testing.store_suite.relating import RelationSuite  # noqa: E402
from chat_service.testing.store_suite.removal import RemovalSuite  # noqa: E402
from chat_service.testing.store_suite.rooms import RoomSuite  # noqa: E402
from chat_service.testing.store_suite.sends import SendSuite  # noqa: E402
from chat_service.testing.store_suite.sockets import SocketSuite  # noqa: E402
from chat_service.testing.store_suite.users import UserSuite  # noqa: E402


class StoreSuite(
    BusSuite,
    UserSuite,
    BanSuite,
    SocketSuite,
    RoomSuite,
    MemberSuite,
    MembersPageSuite,
    PresenceSuite,
    RemovalSuite,
    LargeRoomSuite,
    LargeListSuite,
    MessageSuite,
    HistorySizeSuite,
    ExpirySuite,
    SendSuite,
    RelationSuite,
    RateSuite,
    ActivitySuite,
    OwnedRoomSuite,
    OwnRoomSuite,
    AccessSuite,
    ListSuite,
    ChangeSuite,
    ConcurrencySuite,
):
    """The complete suite for the ``Store`` protocol."""


__all__ = [
    "AccessSuite",
    "ActivitySuite",
    "BanSuite",
    "BusSuite",
    "ChangeSuite",
    "ConcurrencySuite",
    "ExpirySuite",
    "HistorySizeSuite",
    "LargeListSuite",
    "LargeRoomSuite",
    "ListSuite",
    "MakeStore",
    "MemberSuite",
    "MembersPageSuite",
    "MessageSuite",
    "OwnRoomSuite",
    "OwnedRoomSuite",
    "Peer",
    "Peers",
    "PresenceSuite",
    "RateSuite",
    "RelationSuite",
    "RemovalSuite",
    "RoomSuite",
    "SendSuite",
    "SocketSuite",
    "StoreSuite",
    "UserSuite",
]
