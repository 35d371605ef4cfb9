"""Notifications that are not stored, and how far users have read."""

import asyncio

from chat_service.contracts.bus import Notify
from chat_service.contracts.records import SYSTEM, Actor, ReadMark, ReadState, RoomConfig
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    LIMIT,
    NOW,
    ROOM,
    S1,
    S2,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
    room_topic,
)
from chat_service.types import RoomName, UserName

TYPING = Notify(event="typing", args=(ROOM, {"raw": b"\x00\xff", "text": "é"}), exclude=(S1,))


async def say(peer: Peer, count: int, room: RoomName = ROOM) -> None:
    for _ in range(count):
        await peer.store.room_message(room, SYSTEM, {"textMessage": "hello", "timestamp": NOW})


async def state(peer: Peer, user: UserName = ALICE, room: RoomName = ROOM) -> ReadState | None:
    return (await peer.store.rooms_unread([room], user)).get(room)


class ActivitySuite(StoreTests):
    """What users do in rooms besides sending messages."""

    async def test_a_notification_reaches_every_instance_and_leaves_nothing(
        self, peers: Peers, peer: Peer
    ) -> None:
        other = await peers.open()
        await other.hear(room_topic(ROOM))
        await peer.enter(ALICE, S1)
        before = await peer.store.room_history_info(ROOM, SYSTEM)
        for each in (peer, other):
            await each.take(room_topic(ROOM))
        for who in (actor(ALICE), SYSTEM, Actor(BOB, True)):
            await other.store.room_notify(ROOM, who, TYPING)
        for each in (peer, other):
            assert await each.take(room_topic(ROOM)) == [TYPING] * 3
        assert await peer.store.room_history_info(ROOM, SYSTEM) == before
        assert await peer.store.room_changes(ROOM, before.cursor) == []

    async def test_only_joined_users_notify(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig(owner=ALICE, adminlist=[BOB]))
        await peer.hear(room_topic(HALL))
        for who in (actor(ALICE), actor(BOB), actor(CAROL), Actor(None)):
            with raises_error("notJoined", HALL):
                await peer.store.room_notify(HALL, who, TYPING)
        for who in (actor(ALICE), SYSTEM):
            with raises_error("noRoom", "nowhere"):
                await peer.store.room_notify(RoomName("nowhere"), who, TYPING)
        await peer.enter(ALICE, S1, room=HALL)
        await peer.leave(ALICE, S1, room=HALL)
        with raises_error("notJoined", HALL):
            await peer.store.room_notify(HALL, actor(ALICE), TYPING)
        assert await peer.take(room_topic(HALL)) == []

    async def test_a_mark_moves_forward_only(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await peer.enter(ALICE, S1)
        await say(peer, 5)
        assert await state(peer) == ReadState(5, 0)
        assert await peer.store.room_mark_read(ROOM, ALICE, 0) == ReadMark(0, False)
        assert await peer.store.room_mark_read(ROOM, ALICE, 3) == ReadMark(3, True)
        assert await other.store.room_mark_read(ROOM, ALICE, 2) == ReadMark(3, False)
        assert await other.store.room_mark_read(ROOM, ALICE, 3) == ReadMark(3, False)
        found = await state(other)
        assert found == ReadState(5, 3)
        assert found.unread == 2
        # Beyond the last message: nobody can have read what does not exist.
        assert await other.store.room_mark_read(ROOM, ALICE, 2**53 - 1) == ReadMark(5, True)
        await say(peer, 1)
        assert await state(peer) == ReadState(6, 5)
        assert await state(peer, BOB) is None
        # Nothing of it is an event of the room.
        assert all(event.is_message or event.event for event in await peer.room_events())

    async def test_marks_of_many_at_once_end_at_the_highest(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await peer.enter(ALICE, S1)
        await say(peer, 20)
        marks = [
            each.store.room_mark_read(ROOM, ALICE, at) for at in range(20, 0, -1) for each in (peer, other)
        ]
        results = await asyncio.gather(*marks)
        assert max(mark.id for mark in results) == 20
        assert await state(peer) == ReadState(20, 20)

    async def test_who_may_read_may_mark(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig(owner=ALICE, adminlist=[BOB]))
        await say(peer, 2, HALL)
        for user in (ALICE, BOB):
            assert await peer.store.room_mark_read(HALL, user, 1) == ReadMark(1, True)
            assert await state(peer, user, HALL) == ReadState(2, 1)
        with raises_error("notJoined", HALL):
            await peer.store.room_mark_read(HALL, CAROL, 1)
        assert await state(peer, CAROL, HALL) is None
        assert await peer.store.rooms_unread([HALL], CAROL, bypass=True) == {HALL: ReadState(2, 0)}
        assert await peer.store.room_mark_read(HALL, CAROL, 2, bypass=True) == ReadMark(2, True)
        assert await peer.store.rooms_unread([HALL], CAROL, bypass=True) == {HALL: ReadState(2, 2)}
        for bypass in (False, True):
            with raises_error("noRoom", "nowhere"):
                await peer.store.room_mark_read(RoomName("nowhere"), ALICE, 1, bypass=bypass)

    async def test_a_mark_survives_leaving_losing_access_and_a_new_epoch(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await say(peer, 4)
        await peer.store.room_mark_read(ROOM, ALICE, 3)
        await peer.leave(ALICE, S1)
        assert await state(peer) is None
        await peer.join(ALICE, S1)
        assert await state(peer) == ReadState(4, 3)
        await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=[ALICE], limit=LIMIT)
        assert await state(peer) is None
        await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, remove=[ALICE], limit=LIMIT)
        await peer.join(ALICE, S1)
        assert await state(peer) == ReadState(4, 3)
        info = await peer.store.room_history_info(ROOM, SYSTEM)
        await peer.store.room_renew(ROOM, info.cursor.epoch, NOW)
        await peer.join(ALICE, S1)
        assert await state(peer) == ReadState(4, 3)

    async def test_marks_end_with_the_room(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await say(peer, 4)
        await peer.store.room_mark_read(ROOM, ALICE, 4)
        await peer.store.room_delete(ROOM, SYSTEM)
        assert await state(peer) is None
        await peer.store.room_create(ROOM, RoomConfig(owner=ALICE))
        assert await state(peer) == ReadState(0, 0)
        await say(peer, 1)
        assert await state(peer) == ReadState(1, 0)

    async def test_marks_beyond_the_limit_are_those_of_absent_users(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await say(peer, 30)
        await peer.store.room_mark_read(ROOM, ALICE, 1, limit=5)
        absent = [UserName(f"user{number:02}") for number in range(1, 21)]
        for number, user in enumerate(absent, 2):
            await peer.store.room_mark_read(ROOM, user, number, bypass=True, limit=5)
            kept = [
                name
                for name in absent
                if (await peer.store.rooms_unread([ROOM], name, bypass=True))[ROOM].read_id
            ]
            assert user in kept
            assert len(kept) <= 4
        # Those of joined users are kept, however many they are.
        assert await state(peer) == ReadState(30, 1)
        await peer.enter(BOB, S2)
        await peer.store.room_mark_read(ROOM, BOB, 2, limit=1)
        await peer.store.room_mark_read(ROOM, ALICE, 3, limit=1)
        assert await state(peer, BOB) == ReadState(30, 2)
        assert await state(peer) == ReadState(30, 3)

    async def test_many_rooms_are_looked_at_together(self, peer: Peer) -> None:
        rooms = [RoomName(f"room{number}") for number in range(40)]
        await peer.connect(ALICE, S1)
        for number, room in enumerate(rooms):
            await peer.store.room_create(room, RoomConfig(owner=BOB if number % 2 else ALICE))
            await say(peer, number % 3, room)
            await peer.store.room_mark_read(room, ALICE, 1, bypass=True)
        asked = [RoomName("nowhere"), *rooms, rooms[0]]
        expected = {room: ReadState(number % 3, min(1, number % 3)) for number, room in enumerate(rooms)}
        owned = {room: found for room, found in expected.items() if int(room[4:]) % 2 == 0}
        assert await peer.store.rooms_unread(asked, ALICE) == owned
        assert await peer.store.rooms_unread(asked, ALICE, bypass=True) == expected
        assert await peer.store.rooms_unread([], ALICE) == {}
