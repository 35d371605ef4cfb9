"""Joining and leaving: results, presence and the users' index."""

from chat_service.contracts.records import SYSTEM, Departure, LeaveResult, RoomConfig, UserSeen
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    HALL,
    LIMIT,
    NOW,
    ROOM,
    S1,
    S2,
    S3,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
)
from chat_service.types import InstanceId

LEFT_NOTHING = LeaveResult(njoined=0, changed=False)


class MemberSuite(StoreTests):
    """Joined users and their sockets."""

    # Joining

    async def test_join_counts_the_users_sockets(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await peer.connect(ALICE, S1)
        await other.connect(ALICE, S2)
        await other.connect(BOB, S3)
        results = [await peer.join(ALICE, S1), await other.join(ALICE, S2), await other.join(BOB, S3)]
        assert [(result.njoined, result.changed) for result in results] == [(1, True), (2, True), (1, True)]
        members = await peer.store.room_members(ROOM)
        assert {user: dict(sockets) for user, sockets in members.items()} == {
            ALICE: {S1: peer.instance_id, S2: other.instance_id},
            BOB: {S3: other.instance_id},
        }

    async def test_join_again_changes_nothing(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1, S2)
        await peer.room_told()
        await peer.user_told(ALICE)
        result = await peer.store.room_join(ROOM, ALICE, S1, peer.instance_id, NOW + 9, announce=True)
        assert (result.njoined, result.changed) == (2, False)
        assert await peer.members() == {ALICE: {S1, S2}}
        assert await peer.indexed(ALICE) == {S1: {ROOM}, S2: {ROOM}}
        assert (await peer.store.room_user_seen(ROOM, SYSTEM, ALICE)).timestamp == NOW
        assert await peer.room_told() == []
        assert await peer.user_told(ALICE) == []

    async def test_join_returns_its_position(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1, S2)
        first = await peer.join(ALICE, S1)
        await peer.store.room_message(ROOM, actor(ALICE), {"textMessage": "one"})
        second = await peer.join(ALICE, S2)
        await peer.store.room_message(ROOM, actor(ALICE), {"textMessage": "two"})
        again = await peer.join(ALICE, S1)
        announcement, one, two = await peer.room_events()
        # The socket receives everything after this position, including the announcement of its own user.
        assert first.cursor.epoch == second.cursor.epoch == announcement.epoch
        assert (first.cursor.seq, first.last_message_id) == (announcement.seq - 1, 0)
        assert (second.cursor.seq, second.last_message_id) == (one.seq, 1)
        assert (again.cursor, again.last_message_id) == (two.cursor, 2)
        info = await peer.store.room_history_info(ROOM, SYSTEM)
        assert (info.cursor, info.last_message_id) == (two.cursor, 2)

    async def test_refused_join_changes_nothing(self, peer: Peer) -> None:
        await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=[ALICE], limit=LIMIT)
        await peer.connect(ALICE, S1)
        await peer.room_told()
        await peer.user_told(ALICE)
        for announce in (True, False):
            with raises_error("notAllowed"):
                await peer.join(ALICE, S1, announce=announce)
        assert await peer.members() == {}
        assert await peer.indexed(ALICE) == {S1: set()}
        assert await peer.store.room_user_seen(ROOM, SYSTEM, ALICE) == UserSeen(joined=False, timestamp=None)
        assert await peer.room_told() == []
        assert await peer.user_told(ALICE) == []

    async def test_index_has_the_rooms_of_each_socket(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig())
        await peer.enter(ALICE, S1)
        await peer.enter(ALICE, S1, S2, room=HALL)
        assert await peer.indexed(ALICE) == {S1: {ROOM, HALL}, S2: {HALL}}
        await peer.leave(ALICE, S1, HALL)
        assert await peer.indexed(ALICE) == {S1: {ROOM}, S2: {HALL}}

    # Leaving

    async def test_leave_counts_the_remaining_sockets(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1, S2)
        await peer.enter(BOB, S3)
        assert await peer.leave(ALICE, S1) == LeaveResult(njoined=1, changed=True)
        assert await peer.members() == {ALICE: {S2}, BOB: {S3}}
        assert await peer.leave(ALICE, S2) == LeaveResult(njoined=0, changed=True)
        assert await peer.members() == {BOB: {S3}}
        assert await peer.indexed(ALICE) == {S1: set(), S2: set()}

    async def test_leave_without_a_join_changes_nothing(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        assert await peer.leave(ALICE, S1) == LEFT_NOTHING
        await peer.enter(ALICE, S2)
        await peer.room_told()
        await peer.user_told(ALICE)
        assert await peer.leave(ALICE, S1) == LeaveResult(njoined=1, changed=False)
        assert await peer.leave(BOB, S3) == LEFT_NOTHING
        # Another user's socket.
        assert await peer.leave(BOB, S2) == LEFT_NOTHING
        assert await peer.members() == {ALICE: {S2}}
        assert await peer.room_told() == []
        assert await peer.user_told(ALICE) == []
        assert await peer.user_told(BOB) == []

    async def test_leave_of_a_missing_room(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.user_told(ALICE)
        result = await peer.leave(ALICE, S1, HALL)
        assert result == LeaveResult(njoined=0, changed=False, room_exists=False)
        assert await peer.user_told(ALICE) == []

    async def test_leave_that_keeps_the_index(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1, S2)
        result = await peer.store.room_leave(ROOM, ALICE, S1, NOW, echo=False, keep_index=True)
        assert result == LeaveResult(njoined=1, changed=True)
        assert await peer.members() == {ALICE: {S2}}
        # The kept entry is removed with the socket, or by a later leave.
        departures = [Departure(room=ROOM, njoined=1)]
        await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, departures)
        assert await peer.indexed(ALICE) == {S2: {ROOM}}
        await peer.store.room_leave(ROOM, ALICE, S2, NOW, echo=False, keep_index=True)
        await peer.leave(ALICE, S2)
        assert await peer.indexed(ALICE) == {S2: set()}

    async def test_joined_again_after_leaving(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.leave(ALICE, S1)
        result = await peer.join(ALICE, S1)
        assert (result.njoined, result.changed) == (1, True)
        assert await peer.indexed(ALICE) == {S1: {ROOM}}

    # Presence

    async def test_seen_has_the_last_join_or_leave(self, peer: Peer) -> None:
        async def seen() -> tuple[bool, int | None]:
            found = await peer.store.room_user_seen(ROOM, SYSTEM, ALICE)
            return found.joined, found.timestamp

        store = peer.store
        assert await seen() == (False, None)
        await peer.connect(ALICE, S1)
        await store.room_join(ROOM, ALICE, S1, peer.instance_id, NOW, announce=True)
        assert await seen() == (True, NOW)
        await store.room_leave(ROOM, ALICE, S1, NOW + 10, echo=True)
        assert await seen() == (False, NOW + 10)
        await store.room_join(ROOM, ALICE, S1, peer.instance_id, NOW + 20, announce=False)
        assert await seen() == (True, NOW + 20)
        await store.room_remove_users(ROOM, [ALICE], NOW + 30)
        assert await seen() == (False, NOW + 30)
        await store.room_leave(ROOM, ALICE, S1, NOW + 40, echo=True)
        assert await seen() == (False, NOW + 30)

    async def test_readers_may_ask_about_any_user(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        assert await peer.store.room_user_seen(ROOM, actor(ALICE), BOB) == UserSeen(
            joined=False, timestamp=None
        )
        with raises_error("notJoined", ROOM):
            await peer.store.room_user_seen(ROOM, actor(BOB), ALICE)

    # Inconsistent data, which must be repairable

    async def test_stale_sockets_can_leave(self, peer: Peer) -> None:
        dead = InstanceId("dead")
        await peer.store.socket_connect(ALICE, S1, dead)
        await peer.store.room_join(ROOM, ALICE, S1, dead, NOW, announce=True)
        # The socket's instance died between the two steps of the disconnect.
        await peer.store.socket_disconnect(ALICE, S1, dead, [])
        assert await peer.members() == {ALICE: {S1}}
        await peer.store.user_delete(ALICE)
        assert await peer.leave(ALICE, S1, echo=False) == LeaveResult(njoined=0, changed=True)
        assert await peer.members() == {}
        assert await peer.store.user_exists(ALICE) is False

    async def test_stale_sockets_can_be_removed(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, [])
        await peer.connect(ALICE, S2)
        await peer.store.room_remove_users(ROOM, [ALICE], NOW)
        assert await peer.members() == {}
        assert await peer.indexed(ALICE) == {S2: set()}
