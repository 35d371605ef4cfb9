"""Bans of users."""

from functools import partial

from chat_service.contracts.bus import DisconnectUser
from chat_service.contracts.records import SYSTEM, Actor, Ban, RoomConfig, RoomQuota, UserConfig
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
from chat_service.types import RoomName

OWN = RoomName("own")
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

    async def test_a_banned_user_cannot_change_their_lists(self, peer: Peer) -> None:
        store = peer.store
        await store.user_create(ALICE, UserConfig(blacklist=[BOB]))
        await store.user_ban(ALICE, SPAM, NOW)
        for change in (
            partial(store.user_add_to_list, ALICE, "whitelist", [CAROL], 10),
            partial(store.user_remove_from_list, ALICE, "blacklist", [BOB]),
            partial(store.user_set_mode, ALICE, True),
        ):
            with raises_error("banned", None, "spam: é"):
                await change(check_ban=True)
        assert await store.user_get_list(ALICE, "whitelist") == []
        assert await store.user_get_list(ALICE, "blacklist") == [BOB]
        assert await store.user_get_mode(ALICE) is False
        # The server's calls go on, and so do those of others.
        await store.user_set_mode(ALICE, True)
        assert await store.user_get_mode(ALICE) is True
        await store.user_create(BOB, UserConfig())
        await store.user_set_mode(BOB, True, check_ban=True)

    async def test_a_banned_user_cannot_change_rooms(self, peer: Peer) -> None:
        store = peer.store
        await store.room_create(OWN, RoomConfig(owner=ALICE, adminlist=[BOB], whitelist=[CAROL]))
        await store.room_message(OWN, SYSTEM, {})
        await store.user_ban(ALICE, SPAM, NOW)
        await store.user_ban(BOB, SPAM, NOW)
        for user in (ALICE, BOB):
            client = Actor(user, check_ban=True)
            for change in (
                store.room_change_list(OWN, client, "blacklist", NOW, add=[CAROL], limit=10),
                store.room_change_list(OWN, client, "whitelist", NOW, remove=[CAROL], limit=10),
                store.room_set_mode(OWN, client, NOW, True),
                store.room_delete(OWN, client),
                store.room_mark_read(OWN, user, 1, check_ban=True),
            ):
                with raises_error("banned", None, "spam: é"):
                    await change
        assert (await store.rooms_unread([OWN], ALICE))[OWN].read_id == 0
        assert await store.room_get_list(OWN, SYSTEM, "blacklist") == []
        assert await store.room_get_list(OWN, SYSTEM, "whitelist") == [CAROL]
        assert (await store.room_settings(OWN, SYSTEM)).whitelist_only is False
        # The server's calls go on, and after the ban those of the user.
        await store.room_change_list(OWN, Actor(ALICE), "whitelist", NOW, add=[BOB], limit=10)
        await store.user_unban(ALICE)
        await store.room_set_mode(OWN, Actor(ALICE, check_ban=True), NOW, True)
        assert (await store.room_mark_read(OWN, ALICE, 1, check_ban=True)).id == 1
        await store.room_delete(OWN, Actor(ALICE, check_ban=True))
        assert await store.room_exists(OWN) is False
        # The ban of the other is none of the room's keys.
        assert await store.user_get_ban(BOB) == SPAM

    async def test_a_banned_user_cannot_create_a_room(self, peer: Peer) -> None:
        await peer.store.user_ban(ALICE, SPAM, NOW)
        with raises_error("banned", None, "spam: é"):
            await peer.store.room_create(OWN, RoomConfig(owner=ALICE), RoomQuota(None))
        assert await peer.store.room_exists(OWN) is False
        assert await peer.store.user_get_ban(ALICE) == SPAM

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
