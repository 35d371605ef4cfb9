"""Paged lists of rooms, users and instances."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import pytest

from chat_service.contracts.records import SYSTEM, Page, RoomConfig, RoomSummary, UserConfig, UserSummary
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    NOW,
    ROOM,
    S1,
    S2,
    S3,
    Peer,
    Peers,
    StoreTests,
    raises_error,
)
from chat_service.types import InstanceId, RoomName, UserName

ItemT = TypeVar("ItemT", RoomSummary, UserSummary)


async def _all_pages(ask: Callable[[str | None], Awaitable[Page[ItemT]]]) -> dict[str, ItemT]:
    """All items of all pages, by name."""
    found: dict[str, ItemT] = {}
    cursor = None
    for _ in range(1000):
        page = await ask(cursor)
        found.update((item.name, item) for item in page.items)
        cursor = page.cursor
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


class ListSuite(StoreTests):
    """Lists and summaries for operators."""

    async def test_summary_of_a_room(self, peer: Peer) -> None:
        store = peer.store
        config = RoomConfig(owner=BOB, whitelist_only=True, history_max_size=2, whitelist=[ALICE])
        await store.room_create(HALL, config)
        await peer.enter(ALICE, S1, S2, room=HALL)
        for _ in range(3):
            await store.room_message(HALL, SYSTEM, {"textMessage": "hello"})
        info = await store.room_history_info(HALL, SYSTEM)
        assert await store.room_summary(HALL) == RoomSummary(
            name=HALL,
            owner=BOB,
            members_count=1,
            last_message_id=3,
            history_size=2,
            history_max_size=2,
            whitelist_only=True,
            epoch=info.cursor.epoch,
        )
        summary = await store.room_summary(ROOM)
        assert (summary.owner, summary.members_count, summary.last_message_id) == (None, 0, 0)
        with raises_error("noRoom", "nowhere"):
            await store.room_summary(RoomName("nowhere"))

    async def test_rooms_are_paged(self, peers: Peers, peer: Peer) -> None:
        names = {f"room {number}" for number in range(25)} | {"[x]*?\\^", "ключ", ROOM}
        for name in names - {ROOM}:
            await peer.store.room_create(RoomName(name), RoomConfig())
        await peer.enter(ALICE, S1)
        await peer.enter(BOB, S2)
        other = await peers.open()
        for limit in (1, 7, 1000):
            found = await _all_pages(partial(other.store.list_rooms, limit))
            assert set(found) == names
            assert found[ROOM] == await peer.store.room_summary(ROOM)
            assert found[ROOM].members_count == 2
        await peer.store.room_delete(RoomName("ключ"), SYSTEM)
        assert set(await _all_pages(lambda cursor: other.store.list_rooms(10, cursor))) == names - {"ключ"}

    async def test_pages_have_about_the_requested_size(self, peer: Peer) -> None:
        for number in range(60):
            await peer.store.room_create(RoomName(f"room {number}"), RoomConfig())
            await peer.store.user_create(UserName(f"user {number}"), UserConfig())
        page = await peer.store.list_rooms(20)
        assert page.cursor is not None and len(page.items) <= 40
        users = await peer.store.list_users(20, online=False)
        assert users.cursor is not None and len(users.items) <= 40

    async def test_users_are_paged(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await peer.connect(ALICE, S1)
        await other.connect(ALICE, S2)
        await other.connect(BOB, S3)
        await peer.store.user_create(CAROL, UserConfig(whitelist=[ALICE]))

        async def counts(limit: int, online: bool) -> dict[str, int]:
            found = await _all_pages(lambda cursor: peer.store.list_users(limit, cursor, online=online))
            return {name: user.sockets for name, user in found.items()}

        for limit in (1, 100):
            assert await counts(limit, True) == {ALICE: 2, BOB: 1}
            assert await counts(limit, False) == {ALICE: 2, BOB: 1, CAROL: 0}
        await other.store.socket_disconnect(BOB, S3, other.instance_id, ())
        assert await counts(10, True) == {ALICE: 2}
        assert await counts(10, False) == {ALICE: 2, BOB: 0, CAROL: 0}

    async def test_empty_lists(self, peers: Peers) -> None:
        store = (await peers.open()).store
        assert await _all_pages(lambda cursor: store.list_rooms(10, cursor)) == {}
        assert await _all_pages(lambda cursor: store.list_users(10, cursor)) == {}
        assert await store.list_instances() == []

    async def test_instances(self, peers: Peers) -> None:
        here, there = await peers.open_many(2)
        await here.store.instance_heartbeat(here.instance_id, NOW)
        await there.store.instance_heartbeat(there.instance_id, NOW + 5)
        await here.connect(ALICE, S1, S2)

        async def listed() -> dict[InstanceId, tuple[int | None, int | None, int]]:
            found = await there.store.list_instances()
            return {item.id: (item.heartbeat, item.claimed, item.sockets) for item in found}

        assert await listed() == {here.instance_id: (NOW, None, 2), there.instance_id: (NOW + 5, None, 0)}
        pulse = (await there.store.instance_pulses())[here.instance_id]
        assert await there.store.instance_claim(here.instance_id, NOW + 9, pulse)
        assert await listed() == {here.instance_id: (None, NOW + 9, 2), there.instance_id: (NOW + 5, None, 0)}
        await there.store.instance_forget(there.instance_id)
        assert set(await listed()) == {here.instance_id}

    async def test_reading_changes_nothing(self, peers: Peers) -> None:
        store = (await peers.open()).store
        with pytest.raises(Exception, match="nowhere"):
            await store.room_summary(RoomName("nowhere"))
        await store.list_rooms(10)
        await store.list_users(10, online=False)
        await store.list_instances()
        assert await store.list_instances() == []
        assert await _all_pages(lambda cursor: store.list_rooms(10, cursor)) == {}
        assert await _all_pages(lambda cursor: store.list_users(10, cursor, online=False)) == {}
