"""Notifications about joins and leaves: announced once, with echoes to the right sockets."""

from chat_service.contracts.records import SYSTEM
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
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
    room_topic,
    told,
    user_topic,
)

JOINED = told("roomUserJoined", ROOM, ALICE)


class PresenceSuite(StoreTests):
    """Announcements and echoes."""

    # Joins

    async def test_first_join_is_announced(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1, S2)
        await peer.user_told(ALICE)
        await peer.join(ALICE, S1)
        await peer.join(ALICE, S2)
        assert await peer.room_told() == [JOINED]
        assert await peer.user_told(ALICE) == [
            told("roomJoinedEcho", ROOM, S1, 1, exclude=[S1]),
            told("roomJoinedEcho", ROOM, S2, 2, exclude=[S2]),
        ]

    async def test_announcement_reaches_every_instance(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await other.connect(ALICE, S2)
        await other.hear(room_topic(ROOM), user_topic(ALICE))
        await peer.enter(ALICE, S1)
        await peer.leave(ALICE, S1)
        assert await other.room_told() == [JOINED, told("roomUserLeft", ROOM, ALICE, exclude=[S1])]
        assert [words.words[0] for words in await other.user_told(ALICE)] == [
            "socketConnectEcho",
            "roomJoinedEcho",
            "roomLeftEcho",
        ]

    async def test_echo_to_all(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1, S2)
        await peer.user_told(ALICE)
        store, instance_id = peer.store, peer.instance_id
        await store.room_join(ROOM, ALICE, S1, instance_id, NOW, announce=True, echo_all=True)
        await store.room_join(ROOM, ALICE, S2, instance_id, NOW, announce=False, echo_all=True)
        await store.room_announce(ROOM, ALICE, S2, echo_all=True)
        await store.room_leave(ROOM, ALICE, S1, NOW, echo=True, echo_all=True)
        assert await peer.user_told(ALICE) == [
            told("roomJoinedEcho", ROOM, S1, 1),
            told("roomJoinedEcho", ROOM, S2, 2),
            told("roomLeftEcho", ROOM, S1, 1),
        ]

    async def test_announcement_can_be_deferred(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.user_told(ALICE)
        await peer.join(ALICE, S1, announce=False)
        assert await peer.room_told() == []
        assert await peer.user_told(ALICE) == []
        assert await peer.members() == {ALICE: {S1}}
        await peer.store.room_announce(ROOM, ALICE, S1)
        assert await peer.room_told() == [JOINED]
        assert await peer.user_told(ALICE) == [told("roomJoinedEcho", ROOM, S1, 1, exclude=[S1])]

    async def test_user_is_announced_with_the_first_announced_socket(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1, S2, S3)
        await peer.join(ALICE, S1, announce=False)
        await peer.join(ALICE, S2, announce=True)
        assert await peer.room_told() == [JOINED]
        await peer.user_told(ALICE)
        await peer.store.room_announce(ROOM, ALICE, S1)
        await peer.join(ALICE, S3, announce=True)
        assert await peer.room_told() == []
        assert await peer.user_told(ALICE) == [
            told("roomJoinedEcho", ROOM, S1, 2, exclude=[S1]),
            told("roomJoinedEcho", ROOM, S3, 3, exclude=[S3]),
        ]

    async def test_announcing_a_user_who_is_not_joined_does_nothing(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1, S2)
        await peer.join(ALICE, S2, announce=False)
        await peer.user_told(ALICE)
        await peer.store.room_announce(ROOM, ALICE, S1)
        await peer.store.room_announce(ROOM, BOB, S3)
        await peer.store.room_announce(HALL, ALICE, S1)
        await peer.leave(ALICE, S2, echo=False)
        await peer.store.room_announce(ROOM, ALICE, S2)
        assert await peer.room_told() == []
        assert await peer.user_told(ALICE) == []
        assert await peer.user_told(BOB) == []
        assert await peer.store.room_exists(HALL) is False

    # Leaves

    async def test_last_leave_is_announced(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1, S2)
        await peer.room_told()
        await peer.user_told(ALICE)
        await peer.leave(ALICE, S1)
        assert await peer.room_told() == []
        await peer.leave(ALICE, S2)
        assert await peer.room_told() == [told("roomUserLeft", ROOM, ALICE, exclude=[S2])]
        assert await peer.user_told(ALICE) == [
            told("roomLeftEcho", ROOM, S1, 1, exclude=[S1]),
            told("roomLeftEcho", ROOM, S2, 0, exclude=[S2]),
        ]

    async def test_leave_without_echo(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.room_told()
        await peer.user_told(ALICE)
        await peer.leave(ALICE, S1, echo=False)
        assert await peer.room_told() == [told("roomUserLeft", ROOM, ALICE, exclude=[S1])]
        assert await peer.user_told(ALICE) == []

    async def test_unannounced_user_leaves_silently(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.join(ALICE, S1, announce=False)
        await peer.leave(ALICE, S1)
        assert await peer.room_told() == []

    async def test_user_is_announced_again_after_rejoining(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        for _ in range(2):
            await peer.join(ALICE, S1)
            await peer.leave(ALICE, S1)
        left = told("roomUserLeft", ROOM, ALICE, exclude=[S1])
        assert await peer.room_told() == [JOINED, left, JOINED, left]
        await peer.join(ALICE, S1, announce=False)
        assert await peer.room_told() == []

    async def test_user_is_announced_again_after_a_removal(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.store.room_remove_users(ROOM, [ALICE], NOW)
        await peer.room_told()
        await peer.join(ALICE, S1)
        assert await peer.room_told() == [JOINED]

    async def test_echoes_keep_their_order(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1, S2)
        await peer.user_told(ALICE)
        for _ in range(10):
            await peer.join(ALICE, S1)
            await peer.leave(ALICE, S1)
        assert [words.words[0] for words in await peer.user_told(ALICE)] == [
            "roomJoinedEcho",
            "roomLeftEcho",
        ] * 10

    # Turned off

    async def test_without_userlist_updates_nothing_is_announced(self, peer: Peer) -> None:
        await peer.store.room_set_updates(ROOM, userlist=False)
        await peer.connect(ALICE, S2)
        await peer.user_told(ALICE)
        await peer.enter(ALICE, S1)
        await peer.store.room_announce(ROOM, ALICE, S1)
        await peer.leave(ALICE, S1)
        assert await peer.room_told() == []
        # Echoes go to the user regardless of the room's setting.
        assert [words.words[0] for words in await peer.user_told(ALICE)] == [
            "socketConnectEcho",
            "roomJoinedEcho",
            "roomJoinedEcho",
            "roomLeftEcho",
        ]

    async def test_userlist_updates_can_be_switched_while_users_are_joined(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.room_told()
        await peer.store.room_set_updates(ROOM, userlist=False)
        await peer.leave(ALICE, S1)
        assert await peer.room_told() == []
        await peer.join(ALICE, S1)
        await peer.store.room_set_updates(ROOM, userlist=True)
        await peer.leave(ALICE, S1)
        assert await peer.room_told() == [told("roomUserLeft", ROOM, ALICE, exclude=[S1])]

    async def test_reads_publish_nothing(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.room_told()
        await peer.user_told(ALICE)
        await peer.store.room_members(ROOM)
        await peer.store.room_check_access(ROOM, ALICE)
        await peer.store.room_history_info(ROOM, SYSTEM)
        await peer.store.user_sockets(ALICE)
        await peer.store.user_exists(ALICE)
        assert await peer.room_told() == []
        assert await peer.user_told(ALICE) == []

    # Limits, and users who go with their last socket

    async def test_a_user_has_a_limited_number_of_sockets(self, peer: Peer) -> None:
        store, instance_id = peer.store, peer.instance_id
        await peer.connect(ALICE, S1)
        with raises_error("limitExceeded", "sockets of a user"):
            await store.socket_connect(ALICE, S2, instance_id, limit=1)
        assert set(await store.user_sockets(ALICE)) == {S1}
        # A known socket is none more.
        assert await store.socket_connect(ALICE, S1, instance_id, limit=1) == 1
        assert await store.socket_connect(ALICE, S2, instance_id, limit=2) == 2

    async def test_an_ephemeral_user_goes_with_the_last_socket(self, peer: Peer) -> None:
        store, instance_id = peer.store, peer.instance_id
        await store.socket_connect(ALICE, S1, instance_id, ephemeral=True)
        await store.socket_connect(ALICE, S2, instance_id, ephemeral=True)
        await store.user_add_to_list(ALICE, "blacklist", ["eve"], 10)
        await store.socket_disconnect(ALICE, S1, instance_id, [])
        assert await store.user_exists(ALICE)
        await store.socket_disconnect(ALICE, S2, instance_id, [])
        assert not await store.user_exists(ALICE)
        await store.socket_connect(ALICE, S1, instance_id)
        assert await store.user_get_list(ALICE, "blacklist") == []
        await store.socket_disconnect(ALICE, S1, instance_id, [])
        assert await store.user_exists(ALICE)

    async def test_a_login_that_is_not_ephemeral_keeps_the_user(self, peer: Peer) -> None:
        store, instance_id = peer.store, peer.instance_id
        await store.socket_connect(ALICE, S1, instance_id, ephemeral=True)
        await store.socket_connect(ALICE, S2, instance_id)
        for socket_id in (S1, S2):
            await store.socket_disconnect(ALICE, socket_id, instance_id, [])
        assert await store.user_exists(ALICE)
