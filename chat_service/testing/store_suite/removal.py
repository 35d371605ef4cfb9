"""Lost access: which change removes whom, and how it is published."""

from collections.abc import Sequence

from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    HALL,
    LIMIT,
    NOW,
    ROOM,
    S1,
    S2,
    S3,
    S4,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
    room_topic,
    told,
    user_topic,
)
from chat_service.types import SocketId, UserName


async def change(peer: Peer, list_name: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
    await peer.store.room_change_list(ROOM, SYSTEM, list_name, NOW, add=add, remove=remove, limit=LIMIT)


class RemovalSuite(StoreTests):
    """A change that takes access away removes the affected users in the same step."""

    # Notifications

    async def test_list_change_removes_and_notifies(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await other.hear(room_topic(ROOM), user_topic(ALICE))
        await peer.enter(ALICE, S1)
        await other.enter(ALICE, S2)
        await other.connect(ALICE, S3)
        await other.enter(BOB, S4)
        for each in (peer, other):
            await each.room_told()
            await each.user_told(ALICE)
        await peer.user_told(BOB)
        await change(peer, "blacklist", add=[ALICE, CAROL])
        for each in (peer, other):
            assert await each.room_told() == [
                told("roomAccessListAdded", ROOM, "blacklist", [ALICE, CAROL]),
                told(removed={ALICE: [S1, S2]}, announced=[ALICE]),
            ]
            assert await each.user_told(ALICE) == [told("roomAccessRemoved", ROOM, exclude=[S1, S2])]
        assert await peer.user_told(BOB) == []
        assert await peer.members() == {BOB: {S4}}
        assert await peer.indexed(ALICE) == {S1: set(), S2: set(), S3: set()}
        assert await peer.store.room_user_seen(ROOM, SYSTEM, ALICE) == await other.store.room_user_seen(
            ROOM, actor(BOB), ALICE
        )

    async def test_the_sockets_that_have_left_are_returned(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await peer.enter(ALICE, S1)
        await other.enter(ALICE, S2)
        await other.connect(ALICE, S3)
        await other.enter(BOB, S4)
        await peer.room_told()
        store = peer.store
        # Nobody loses anything by these.
        unchanged = [
            await store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=[CAROL], limit=LIMIT),
            await store.room_set_mode(ROOM, SYSTEM, NOW, False),
            await store.room_set_owner(ROOM, NOW, DAVE),
            await store.room_remove_users(ROOM, [CAROL], NOW),
        ]
        assert unchanged == [None] * 4
        removals = [
            (
                await store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=[ALICE], limit=LIMIT),
                {peer.instance_id: [S1], other.instance_id: [S2]},
            ),
            (await store.room_remove_users(ROOM, [BOB], NOW), {other.instance_id: [S4]}),
        ]
        for removal, sockets in removals:
            assert removal is not None
            assert {name: list(ids) for name, ids in removal.sockets.items()} == sockets
        # The places are those of the events.
        cursor = (await store.room_history_info(ROOM, SYSTEM)).cursor
        first, second = (removal.cursor for removal, _ in removals if removal is not None)
        assert second == cursor
        assert (first.epoch, first.seq) == (cursor.epoch, cursor.seq - 1)

    async def test_every_change_that_removes_says_who_has_left(self, peer: Peer) -> None:
        store, expected = peer.store, {peer.instance_id: [S1]}
        await peer.connect(ALICE, S1)

        async def enter_again() -> None:
            await store.room_set_mode(ROOM, SYSTEM, NOW, False)
            await store.room_join(ROOM, ALICE, S1, peer.instance_id, NOW, announce=False)

        await enter_again()
        await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=[BOB], limit=LIMIT)
        by_mode = await store.room_set_mode(ROOM, SYSTEM, NOW, True)
        await enter_again()
        await store.room_set_owner(ROOM, NOW, ALICE)
        await store.room_set_mode(ROOM, SYSTEM, NOW, True)
        by_owner = await store.room_set_owner(ROOM, NOW, None)
        await enter_again()
        epoch = (await store.room_history_info(ROOM, SYSTEM)).cursor.epoch
        assert await store.room_renew(ROOM, "another epoch", NOW) is None
        by_renewal = await store.room_renew(ROOM, epoch, NOW)
        await enter_again()
        by_deletion = await store.room_delete(ROOM, SYSTEM)
        for removal in (by_mode, by_owner, by_renewal, by_deletion):
            assert removal is not None
            assert {name: list(ids) for name, ids in removal.sockets.items()} == expected

    async def test_several_users_are_removed_in_one_event(self, peer: Peer) -> None:
        await peer.hear(user_topic(CAROL))
        await peer.enter(ALICE, S1, S2)
        await peer.enter(BOB, S3)
        await peer.enter(CAROL, S4)
        for user in (ALICE, BOB, CAROL):
            await peer.user_told(user)
        await peer.room_told()
        await peer.store.room_remove_users(ROOM, [BOB, ALICE, DAVE, BOB], NOW)
        assert await peer.room_told() == [
            told(removed={ALICE: [S1, S2], BOB: [S3]}, announced=[ALICE, BOB]),
        ]
        assert await peer.user_told(ALICE) == [told("roomAccessRemoved", ROOM, exclude=[S1, S2])]
        assert await peer.user_told(BOB) == [told("roomAccessRemoved", ROOM, exclude=[S3])]
        assert await peer.user_told(CAROL) == []
        assert await peer.members() == {CAROL: {S4}}
        assert await peer.indexed(BOB) == {S3: set()}

    async def test_without_removed_users_there_is_no_event(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.connect(BOB, S2)
        await peer.room_told()
        await peer.user_told(BOB)
        await peer.store.room_remove_users(ROOM, [BOB, DAVE], NOW)
        await peer.store.room_remove_users(ROOM, [], NOW)
        assert await peer.room_told() == []
        assert await peer.user_told(BOB) == []
        await change(peer, "blacklist", add=[BOB])
        assert await peer.room_told() == [told("roomAccessListAdded", ROOM, "blacklist", [BOB])]
        assert await peer.user_told(BOB) == []

    async def test_only_announced_users_are_announced_as_leaving(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.connect(BOB, S2)
        await peer.join(BOB, S2, announce=False)
        await peer.room_told()
        await peer.store.room_remove_users(ROOM, [ALICE, BOB], NOW)
        assert await peer.room_told() == [told(removed={ALICE: [S1], BOB: [S2]}, announced=[ALICE])]

    async def test_removals_are_published_even_without_updates(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.store.room_set_updates(ROOM, userlist=False, access_lists=False)
        await peer.room_told()
        await peer.user_told(ALICE)
        await change(peer, "blacklist", add=[ALICE])
        assert await peer.room_told() == [told(removed={ALICE: [S1]})]
        assert await peer.user_told(ALICE) == [told("roomAccessRemoved", ROOM, exclude=[S1])]

    async def test_removed_users_lose_all_permissions(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.store.room_message(ROOM, actor(ALICE), {"textMessage": "hello"})
        await change(peer, "blacklist", add=[ALICE])
        with raises_error("notJoined", ROOM):
            await peer.store.room_message(ROOM, actor(ALICE), {"textMessage": "again"})
        with raises_error("notJoined", ROOM):
            await peer.store.room_recent_history(ROOM, actor(ALICE), 10)
        with raises_error("notAllowed"):
            await peer.join(ALICE, S1)
        await change(peer, "blacklist", remove=[ALICE])
        result = await peer.join(ALICE, S1)
        assert (result.njoined, result.changed) == (1, True)

    # Causes

    async def _joined(self, peer: Peer, config: RoomConfig) -> None:
        """A room ``hall`` joined by alice, bob and carol, with a subscription."""
        await peer.store.room_create(HALL, config)
        await peer.hear(room_topic(HALL))
        users: list[tuple[UserName, SocketId]] = [(ALICE, S1), (BOB, S2), (CAROL, S3)]
        for user, socket_id in users:
            await peer.enter(user, socket_id, room=HALL)
        await peer.room_told(HALL)

    async def test_whitelist_mode_removes_users_not_in_the_whitelist(self, peer: Peer) -> None:
        await self._joined(peer, RoomConfig(owner=ALICE, whitelist=[BOB], enable_access_lists_updates=True))
        await peer.store.room_set_mode(HALL, actor(ALICE), NOW + 5, True)
        assert await peer.room_told(HALL) == [
            told("roomModeChanged", HALL, True),
            told(removed={CAROL: [S3]}),
        ]
        # The owner is not in the whitelist but stays.
        assert await peer.members(HALL) == {ALICE: {S1}, BOB: {S2}}
        assert (await peer.store.room_user_seen(HALL, SYSTEM, CAROL)).timestamp == NOW + 5
        assert await peer.indexed(CAROL) == {S3: set()}

    async def test_whitelist_removal_in_whitelist_mode(self, peer: Peer) -> None:
        await self._joined(
            peer, RoomConfig(adminlist=[ALICE], whitelist=[ALICE, BOB, CAROL], whitelist_only=True)
        )
        await peer.store.room_change_list(
            HALL, SYSTEM, "whitelist", NOW, remove=[ALICE, BOB, DAVE], limit=LIMIT
        )
        assert await peer.room_told(HALL) == [told(removed={BOB: [S2]})]

    async def test_whitelist_removal_without_whitelist_mode_removes_nobody(self, peer: Peer) -> None:
        await self._joined(peer, RoomConfig(whitelist=[ALICE, BOB]))
        await peer.store.room_change_list(HALL, SYSTEM, "whitelist", NOW, remove=[ALICE, BOB], limit=LIMIT)
        assert await peer.room_told(HALL) == []
        assert await peer.members(HALL) == {ALICE: {S1}, BOB: {S2}, CAROL: {S3}}

    async def test_adminlist_removal_takes_admin_access_away(self, peer: Peer) -> None:
        await self._joined(peer, RoomConfig(adminlist=[ALICE, BOB], blacklist=[ALICE]))
        await peer.store.room_change_list(HALL, SYSTEM, "adminlist", NOW, remove=[ALICE, BOB], limit=LIMIT)
        assert await peer.room_told(HALL) == [told(removed={ALICE: [S1]})]

    async def test_blacklist_spares_owner_and_admins(self, peer: Peer) -> None:
        await self._joined(peer, RoomConfig(owner=ALICE, adminlist=[BOB]))
        names = [ALICE, BOB, CAROL]
        await peer.store.room_change_list(HALL, SYSTEM, "blacklist", NOW, add=names, limit=LIMIT)
        assert await peer.room_told(HALL) == [told(removed={CAROL: [S3]})]

    async def test_former_owner_is_removed_if_only_ownership_gave_access(self, peer: Peer) -> None:
        await self._joined(peer, RoomConfig(owner=ALICE, whitelist=[BOB, CAROL], whitelist_only=True))
        await peer.user_told(ALICE)
        await peer.store.room_set_owner(HALL, NOW, BOB)
        assert await peer.room_told(HALL) == [told(removed={ALICE: [S1]})]
        assert await peer.user_told(ALICE) == [told("roomAccessRemoved", HALL, exclude=[S1])]
        await peer.store.room_set_owner(HALL, NOW, BOB)
        await peer.store.room_set_owner(HALL, NOW, None)
        assert await peer.room_told(HALL) == []
        assert await peer.members(HALL) == {BOB: {S2}, CAROL: {S3}}

    # Deletion

    async def test_deletion_removes_all_users(self, peer: Peer) -> None:
        await peer.store.room_set_owner(ROOM, NOW, ALICE)
        await peer.enter(ALICE, S1, S2)
        await peer.enter(BOB, S3)
        await peer.connect(BOB, S4)
        await peer.room_told()
        for user in (ALICE, BOB):
            await peer.user_told(user)
        await peer.store.room_delete(ROOM, actor(ALICE))
        assert await peer.room_told() == [
            told(removed={ALICE: [S1, S2], BOB: [S3]}, announced=[ALICE, BOB]),
        ]
        assert await peer.user_told(ALICE) == [told("roomAccessRemoved", ROOM, exclude=[S1, S2])]
        assert await peer.user_told(BOB) == [told("roomAccessRemoved", ROOM, exclude=[S3])]
        assert await peer.indexed(ALICE) == {S1: set(), S2: set()}
        assert await peer.indexed(BOB) == {S3: set(), S4: set()}
        assert await peer.store.room_exists(ROOM) is False
        # Former members have nothing left to leave.
        result = await peer.leave(ALICE, S1)
        assert (result.changed, result.room_exists) == (False, False)

    # Renewal

    async def test_renewed_room_keeps_messages_but_no_members(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1, S2)
        await peer.enter(BOB, S3)
        await peer.store.room_message(ROOM, SYSTEM, {"text": "kept"})
        former = (await peer.store.room_history_info(ROOM, SYSTEM)).cursor.epoch
        await peer.room_events()
        await peer.store.room_renew(ROOM, former, NOW)
        events = await peer.room_events()
        assert [event.removed for event in events] == [{}, {ALICE: (S1, S2), BOB: (S3,)}]
        info = await peer.store.room_history_info(ROOM, SYSTEM)
        assert {event.epoch for event in events} == {info.cursor.epoch} != {former}
        assert [event.seq for event in events] == [1, 2] == [1, info.cursor.seq]
        assert await peer.members(ROOM) == {}
        assert await peer.indexed(ALICE) == {S1: set(), S2: set()}
        assert (info.size, info.last_message_id) == (1, 1)
        # Only the first of several instances that detect the loss renews the room.
        await peer.enter(ALICE, S1)
        await peer.store.room_renew(ROOM, former, NOW)
        assert await peer.members(ROOM) == {ALICE: {S1}}
        assert (await peer.store.room_history_info(ROOM, SYSTEM)).cursor.epoch == info.cursor.epoch

    async def test_renewing_an_empty_room_is_published(self, peer: Peer) -> None:
        former = (await peer.store.room_history_info(ROOM, SYSTEM)).cursor.epoch
        await peer.store.room_renew(ROOM, former, NOW)
        [event] = await peer.room_events()
        assert event.epoch != former
        with raises_error("noRoom", HALL):
            await peer.store.room_renew(HALL, former, NOW)

    async def test_only_the_owner_deletes(self, peer: Peer) -> None:
        await self._joined(peer, RoomConfig(owner=ALICE, adminlist=[BOB]))
        for user in (BOB, CAROL, DAVE):
            with raises_error("notAllowed"):
                await peer.store.room_delete(HALL, actor(user))
        assert await peer.members(HALL) == {ALICE: {S1}, BOB: {S2}, CAROL: {S3}}
        assert await peer.room_told(HALL) == []
        await peer.store.room_delete(HALL, actor(ALICE))
        assert await peer.store.room_exists(HALL) is False

    async def test_deletion_of_an_empty_room(self, peer: Peer) -> None:
        await peer.store.room_delete(ROOM, SYSTEM)
        assert [event for event in await peer.room_told() if event.removed] == []
        assert await peer.store.room_exists(ROOM) is False
