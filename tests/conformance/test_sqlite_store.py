"""The sample plugin passes the suite, reports broken data and runs a service."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from chat_service import ChatService
from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.errors import StoreError, StoreTimeoutError
from chat_service.testing import InProcessTransport
from chat_service.testing.store_suite import MakeStore, Peers, StoreSuite
from chat_service.testing.store_suite.base import Recorder
from chat_service.types import RoomName
from tests.plugins.sqlite_bus import Hub
from tests.plugins.sqlite_store import SqliteStore
from tests.support.world import name_by_query

ROOM = RoomName("room")

pytestmark = pytest.mark.unmeasured  # it is the sample store that is under test


class TestFile(StoreSuite):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        hub = Hub()
        return lambda: SqliteStore(str(tmp_path / "state.db"), hub)

    async def test_state_outlives_the_process(self, peers: Peers) -> None:
        first = await peers.open()
        await first.store.room_create(ROOM, RoomConfig())
        await first.store.room_message(ROOM, SYSTEM, {"textMessage": "kept"})
        await first.store.close()
        second = await peers.open()
        (message,) = await second.store.room_recent_history(ROOM, SYSTEM, 5)
        assert message["textMessage"] == "kept"

    async def test_corrupt_message_is_an_error(self, peers: Peers, tmp_path: Path) -> None:
        peer = await peers.open()
        await peer.store.room_create(ROOM, RoomConfig())
        await peer.store.room_message(ROOM, SYSTEM, {})
        for body in (b"\xc1", b"\x01", b""):
            database = sqlite3.connect(tmp_path / "state.db")
            with database:
                database.execute("update messages set body = ?", (body,))
            database.close()
            with pytest.raises(StoreError, match="corrupt"):
                await peer.store.room_history(ROOM, SYSTEM, 0, 5)
        assert await peer.store.room_message(ROOM, SYSTEM, {"textMessage": "goes on"}) == 2

    async def test_locked_database_is_a_timeout(self, tmp_path: Path) -> None:
        store = SqliteStore(str(tmp_path / "state.db"), timeout=0.01)
        await store.open(Recorder())
        database = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        database.execute("begin immediate")
        with pytest.raises(StoreTimeoutError):
            await store.room_create(ROOM, RoomConfig())
        database.close()
        await store.room_create(ROOM, RoomConfig())
        await store.close()


async def test_a_database_in_memory_is_shared() -> None:
    path = "file:conformance?mode=memory&cache=shared"
    # The database lives as long as a connection to it.
    keeper, hub = sqlite3.connect(path, uri=True), Hub()
    stores = [SqliteStore(path, hub) for _ in range(2)]
    for store in stores:
        await store.open(Recorder())
    await stores[0].room_create(ROOM, RoomConfig())
    await stores[0].room_message(ROOM, SYSTEM, {"textMessage": "shared"})
    [message] = await stores[1].room_recent_history(ROOM, SYSTEM, 5)
    assert message["textMessage"] == "shared"
    for store in stores:
        await store.close()
    keeper.close()


async def test_invalid_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is not a database" * 100)
    service = ChatService(store=SqliteStore(str(tmp_path / "state.db")), transport=InProcessTransport())
    with pytest.raises(StoreError, match="not a database"):
        await service.start()


@pytest.mark.covers("option:store", "option:transport")
async def test_service_runs_on_the_plugin(tmp_path: Path) -> None:
    hub = Hub()
    transports = [InProcessTransport(), InProcessTransport()]
    services = [
        ChatService(
            store=SqliteStore(str(tmp_path / "state.db"), hub),
            transport=transport,
            hooks={"on_connect": name_by_query},
            enable_userlist_updates=True,
            enable_direct_messages=True,
        )
        for transport in transports
    ]
    async with services[0], services[1]:
        await services[0].add_room("room", owner="alice")
        alice = await transports[0].login("alice")
        bob = await transports[1].login("bob")
        await alice.call("roomJoin", "room")
        await bob.call("roomJoin", "room")
        await alice.wait_for("roomUserJoined", "room", "bob")
        ids = await asyncio.gather(
            *(client.call("roomMessage", "room", {"textMessage": "hi"}) for client in (alice, bob) * 10)
        )
        assert sorted(ids) == list(range(1, 21))
        for client in (alice, bob):
            assert [(await client.wait_for("roomMessage"))[1]["id"] for _ in ids] == sorted(ids)
        await bob.call("directMessage", "alice", {"textMessage": "psst"})
        assert (await alice.wait_for("directMessage"))[0]["author"] == "bob"
        await alice.call("roomAddToList", "room", "blacklist", ["bob"])
        await bob.wait_for("roomAccessRemoved", "room")
        await alice.wait_for("roomUserLeft", "room", "bob")
        assert "notAllowed" not in await bob.error("roomMessage", "room", {"textMessage": "still here?"})
        assert len(await alice.call("roomRecentHistory", "room")) == 20
