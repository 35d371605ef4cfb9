"""Bans of users."""

from chat_service.contracts.bus import DisconnectUser
from chat_service.contracts.records import Ban, UserConfig
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    ROOM,
    S1,
    S2,
    Peer,
    Peers,
    StoreTests,
    raises_error,
    user_topic,
)
from chat_service.testing.waiting import wait_until

SPAM = Ban(reason="spam: é")


class BanSuite(StoreTests):
    """Bans, which depend on no user."""

    async def test_a_ban_is_kept_for_all_instances(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        assert await one.store.user_get_ban(ALICE) is None
        assert await one.store.banned_users([ALICE, BOB]) == []
        assert await one.store.banned_users([]) == []
        later = Ban(until=NOW + 3_600_000, reason="")
        await one.store.user_ban(ALICE, SPAM, NOW)
        await one.store.user_ban(CAROL, later, NOW)
        assert await other.store.user_get_ban(ALICE) == SPAM
        assert await other.store.user_get_ban(CAROL) == later
        assert sorted(await other.store.banned_users([CAROL, BOB, ALICE])) == [ALICE, CAROL]
        assert await one.store.user_exists(ALICE) is False

    async def test_a_new_ban_replaces_the_earlier_one(self, peer: Peer) -> None:
        await peer.store.user_ban(ALICE, Ban(until=NOW + 1, reason="soon over"), NOW)
        await peer.store.user_ban(ALICE, SPAM, NOW)
        assert await peer.store.user_get_ban(ALICE) == SPAM
        assert await peer.store.user_unban(ALICE) is True
        assert await peer.store.user_unban(ALICE) is False
        assert await peer.store.user_get_ban(ALICE) is None
        await peer.connect(ALICE, S1)

    async def test_a_ban_ends_by_itself(self, peer: Peer) -> None:
        await peer.store.user_ban(ALICE, Ban(until=NOW + 20), NOW)

        async def is_over() -> bool:
            return await peer.store.user_get_ban(ALICE) is None

        await wait_until(is_over, "the end of the ban")
        assert await peer.store.banned_users([ALICE]) == []
        assert await peer.store.user_unban(ALICE) is False
        await peer.connect(ALICE, S1)

    async def test_all_sockets_are_told_to_go(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        for peer in (one, other):
            await peer.hear(user_topic(ALICE))
        await one.store.user_ban(ALICE, SPAM, NOW)
        for peer in (one, other):
            await wait_until(
                lambda peer=peer: (user_topic(ALICE), DisconnectUser()) in peer.recorder.heard,
                "the disconnect",
            )

    async def test_a_banned_user_can_neither_connect_nor_join(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.store.user_ban(ALICE, SPAM, NOW)
        for socket_id in (S1, S2):
            with raises_error("banned", None, "spam: é"):
                await peer.store.socket_connect(ALICE, socket_id, peer.instance_id)
        with raises_error("banned", None, "spam: é"):
            await peer.store.room_join(ROOM, ALICE, S1, peer.instance_id, NOW, announce=True)
        assert await peer.store.room_members(ROOM) == {}
        assert await peer.indexed(ALICE) == {S1: set()}
        assert await peer.store.instance_sockets(peer.instance_id) == {S1: ALICE}

    async def test_a_refused_connect_makes_no_user(self, peer: Peer) -> None:
        await peer.store.user_ban(ALICE, SPAM, NOW)
        with raises_error("banned", None, "spam: é"):
            await peer.store.socket_connect(ALICE, S1, peer.instance_id)
        assert await peer.store.user_exists(ALICE) is False
        assert await peer.store.instance_sockets(peer.instance_id) == {}

    async def test_a_ban_outlives_the_user(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig())
        await peer.store.user_ban(ALICE, SPAM, NOW)
        await peer.store.user_delete(ALICE)
        assert await peer.store.user_get_ban(ALICE) == SPAM
        await peer.store.socket_connect(BOB, S1, peer.instance_id, ephemeral=True)
        await peer.store.user_ban(BOB, SPAM, NOW)
        await peer.store.socket_disconnect(BOB, S1, peer.instance_id, [])
        assert await peer.store.user_exists(BOB) is False
        assert await peer.store.user_get_ban(BOB) == SPAM

    async def test_a_member_stays_until_removed(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.store.user_ban(ALICE, SPAM, NOW)
        assert set(await peer.store.room_members(ROOM)) == {ALICE}
        with raises_error("banned", None, "spam: é"):
            await peer.store.room_join(ROOM, ALICE, S1, peer.instance_id, NOW, announce=True)
        assert await peer.store.room_remove_users(ROOM, [ALICE], NOW) is not None
        assert await peer.store.room_members(ROOM) == {}
        assert await peer.indexed(ALICE) == {S1: set()}
