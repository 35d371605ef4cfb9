"""The conformance suite of the ``Store`` protocol, as pytest classes.

Subclass ``StoreSuite`` under a name that pytest collects, and override its fixture ``make_store``::

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def make_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "state")

The fixture returns a function that makes a new store, not opened yet, over the same state at each call
within a test, and over other state in each test. The parts of the suite (``UserSuite``, ``RoomSuite``, …)
can be run one by one while a store is being written. Needs pytest and pytest-asyncio, in any mode.
"""

import pytest

for _part in (
    "access",
    "base",
    "bus",
    "changes",
    "concurrency",
    "lists",
    "members",
    "messages",
    "presence",
    "removal",
    "rooms",
    "sockets",
    "users",
):
    # So that a failed assert shows its values, as in test modules.
    pytest.register_assert_rewrite(f"{__name__}.{_part}")

from chat_service.testing.store_suite.access import AccessSuite  # noqa: E402
from chat_service.testing.store_suite.base import MakeStore, Peer, Peers  # noqa: E402
from chat_service.testing.store_suite.bus import BusSuite  # noqa: E402
from chat_service.testing.store_suite.changes import ChangeSuite  # noqa: E402
from chat_service.testing.store_suite.concurrency import ConcurrencySuite  # noqa: E402
from chat_service.testing.store_suite.lists import ListSuite  # noqa: E402
from chat_service.testing.store_suite.members import MemberSuite  # noqa: E402
from chat_service.testing.store_suite.messages import MessageSuite  # noqa: E402
from chat_service.testing.store_suite.presence import PresenceSuite  # noqa: E402
from chat_service.testing.store_suite.removal import RemovalSuite  # noqa: E402
from chat_service.testing.store_suite.rooms import RoomSuite  # noqa: E402
from chat_service.testing.store_suite.sockets import SocketSuite  # noqa: E402
from chat_service.testing.store_suite.users import UserSuite  # noqa: E402


class StoreSuite(
    BusSuite,
    UserSuite,
    SocketSuite,
    RoomSuite,
    MemberSuite,
    PresenceSuite,
    RemovalSuite,
    MessageSuite,
    AccessSuite,
    ListSuite,
    ChangeSuite,
    ConcurrencySuite,
):
    """Everything that the ``Store`` protocol promises."""


__all__ = [
    "AccessSuite",
    "BusSuite",
    "ChangeSuite",
    "ConcurrencySuite",
    "ListSuite",
    "MakeStore",
    "MemberSuite",
    "MessageSuite",
    "Peer",
    "Peers",
    "PresenceSuite",
    "RemovalSuite",
    "RoomSuite",
    "SocketSuite",
    "StoreSuite",
    "UserSuite",
]
