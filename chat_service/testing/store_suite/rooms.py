"""Rooms: creation, deletion, settings, access lists and modes, with their notifications."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from chat_service.contracts.records import SYSTEM, Actor, RoomConfig, RoomSettings, SendConditions, UserSeen
from chat_service.contracts.store import Store
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
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
    told,
)
from chat_service.types import InstanceId

Operation = Callable[[Store, Actor], Awaitable[object]]

#: Operations permitted to joined users and admins.
READING: dict[str, Operation] = {
    "room_history": lambda store, who: store.room_history(ROOM, who, 0, 10),
    "room_recent_history": lambda store, who: store.room_recent_history(ROOM, who, 10),
    "room_history_page": lambda store, who: store.room_history_page(ROOM, who, None, 10),
    "room_history_info": lambda store, who: store.room_history_info(ROOM, who),
    "room_settings": lambda store, who: store.room_settings(ROOM, who),
    "room_get_list": lambda store, who: store.room_get_list(ROOM, who, "whitelist"),
    "room_get_list(userlist)": lambda store, who: store.room_get_list(ROOM, who, "userlist"),
    "room_user_seen": lambda store, who: store.room_user_seen(ROOM, who, ALICE),
}

#: Operations that require an existing room.
NEEDS_ROOM: dict[str, Operation] = {
    **READING,
    "room_delete": lambda store, who: store.room_delete(ROOM, who),
    "room_join": lambda store, who: store.room_join(ROOM, ALICE, S1, InstanceId("i"), NOW, announce=True),
    "room_message": lambda store, who: store.room_message(ROOM, who, {"textMessage": "hello"}),
    "room_send": lambda store, who: store.room_send(
        ROOM, who, {"textMessage": "hello"}, SendConditions(key="k")
    ),
    "room_change_list": lambda store, who: store.room_change_list(
        ROOM, who, "blacklist", NOW, add=[BOB], limit=0
    ),
    "room_set_mode": lambda store, who: store.room_set_mode(ROOM, who, NOW, True),
    "room_set_owner": lambda store, who: store.room_set_owner(ROOM, NOW, ALICE),
    "room_set_history_max_size": lambda store, who: store.room_set_history_max_size(ROOM, 5),
    "room_set_updates": lambda store, who: store.room_set_updates(ROOM, userlist=True),
    "room_has_in_list": lambda store, who: store.room_has_in_list(ROOM, "userlist", ALICE),
    "room_check_access": lambda store, who: store.room_check_access(ROOM, ALICE),
    "room_members": lambda store, who: store.room_members(ROOM),
    "room_remove_users": lambda store, who: store.room_remove_users(ROOM, [ALICE], NOW),
}

LISTS = ["adminlist", "blacklist", "whitelist"]


class RoomSuite(StoreTests):
    """Rooms apart from their members."""

    # Creation and deletion

    async def test_room_exists_until_it_is_deleted(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        assert await one.store.room_exists(ROOM) is False
        await one.store.room_create(ROOM, RoomConfig())
        assert await other.store.room_exists(ROOM) is True
        assert await other.store.room_exists(HALL) is False
        await other.store.room_delete(ROOM, SYSTEM)
        assert await one.store.room_exists(ROOM) is False

    async def test_room_starts_with_config(self, peer: Peer) -> None:
        config = RoomConfig(
            owner=ALICE,
            adminlist=[BOB, BOB],
            whitelist=[CAROL, BOB],
            blacklist=[DAVE],
            whitelist_only=True,
            history_max_size=7,
            enable_userlist_updates=True,
            enable_access_lists_updates=False,
        )
        await peer.store.room_create(HALL, config)
        assert await peer.store.room_settings(HALL, SYSTEM) == RoomSettings(
            owner=ALICE,
            whitelist_only=True,
            enable_userlist_updates=True,
            enable_access_lists_updates=False,
        )
        expected = {"adminlist": [BOB], "whitelist": [BOB, CAROL], "blacklist": [DAVE], "userlist": []}
        for list_name, names in expected.items():
            assert sorted(await peer.store.room_get_list(HALL, SYSTEM, list_name)) == names
        info = await peer.store.room_history_info(HALL, SYSTEM)
        assert (info.size, info.max_size, info.last_message_id) == (0, 7, 0)
        assert dict(await peer.store.room_members(HALL)) == {}

    async def test_room_defaults(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig())
        assert await peer.store.room_settings(HALL, SYSTEM) == RoomSettings(
            owner=None,
            whitelist_only=False,
            enable_userlist_updates=False,
            enable_access_lists_updates=False,
        )
        for list_name in (*LISTS, "userlist"):
            assert await peer.store.room_get_list(HALL, SYSTEM, list_name) == []
        assert (await peer.store.room_history_info(HALL, SYSTEM)).max_size == 10000

    async def test_second_creation_changes_nothing(self, peer: Peer) -> None:
        before = await peer.store.room_history_info(ROOM, SYSTEM)
        with raises_error("roomExists", ROOM):
            await peer.store.room_create(ROOM, RoomConfig(owner=ALICE, whitelist=[BOB], history_max_size=1))
        assert (await peer.store.room_settings(ROOM, SYSTEM)).owner is None
        assert await peer.store.room_get_list(ROOM, SYSTEM, "whitelist") == []
        assert await peer.store.room_history_info(ROOM, SYSTEM) == before

    async def test_recreated_room_has_a_new_epoch(self, peer: Peer) -> None:
        await peer.store.room_set_owner(ROOM, NOW, ALICE)
        await peer.enter(ALICE, S1)
        await peer.store.room_message(ROOM, actor(ALICE), {"textMessage": "before"})
        first = (await peer.store.room_history_info(ROOM, SYSTEM)).cursor.epoch
        await peer.store.room_delete(ROOM, actor(ALICE))
        await peer.store.room_create(ROOM, RoomConfig(enable_userlist_updates=True))
        info = await peer.store.room_history_info(ROOM, SYSTEM)
        assert info.cursor.epoch != first
        assert (info.size, info.last_message_id, info.cursor.seq) == (0, 0, 0)
        assert await peer.store.room_recent_history(ROOM, SYSTEM, 10) == []
        assert await peer.store.room_user_seen(ROOM, SYSTEM, ALICE) == UserSeen(joined=False, timestamp=None)
        await peer.room_events()
        result = await peer.join(ALICE, S1)
        assert (result.njoined, result.changed, result.last_message_id) == (1, True, 0)
        (joined,) = await peer.room_events()
        assert (joined.epoch, joined.seq) == (info.cursor.epoch, 1)
        assert await peer.store.room_message(ROOM, actor(ALICE), {"textMessage": "after"}) == 1

    async def test_rooms_are_separate(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig())
        await peer.enter(ALICE, S1)
        await peer.store.room_message(ROOM, SYSTEM, {"textMessage": "hello"})
        await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=[BOB], limit=LIMIT)
        assert await peer.members(HALL) == {}
        assert (await peer.store.room_history_info(HALL, SYSTEM)).last_message_id == 0
        assert await peer.store.room_check_access(HALL, BOB) is True

    @pytest.mark.parametrize("operation", NEEDS_ROOM.values(), ids=NEEDS_ROOM)
    async def test_missing_room(self, peer: Peer, operation: Operation) -> None:
        await peer.connect(ALICE, S1)
        await peer.store.room_delete(ROOM, SYSTEM)
        await peer.user_told(ALICE)
        # Checked before permissions and limits.
        for who in (SYSTEM, actor(ALICE), Actor(name=None)):
            with raises_error("noRoom", ROOM):
                await operation(peer.store, who)
        assert await peer.store.room_exists(ROOM) is False
        assert await peer.room_told() == []
        assert await peer.user_told(ALICE) == []
        assert await peer.indexed(ALICE) == {S1: set()}

    @pytest.mark.parametrize("operation", READING.values(), ids=READING)
    async def test_nameless_reader_needs_bypass(self, peer: Peer, operation: Operation) -> None:
        with raises_error("notJoined", ROOM):
            await operation(peer.store, Actor(name=None))
        await operation(peer.store, SYSTEM)

    # Lists

    @pytest.mark.parametrize("list_name", LISTS)
    async def test_lists_are_sets(self, peer: Peer, list_name: str) -> None:
        async def change(**names: list[str]) -> None:
            await peer.store.room_change_list(ROOM, SYSTEM, list_name, NOW, limit=LIMIT, **names)

        await change(add=[BOB, CAROL, BOB])
        await change(add=[CAROL, "Дейв 🎈"])
        assert sorted(await peer.store.room_get_list(ROOM, SYSTEM, list_name)) == [BOB, CAROL, "Дейв 🎈"]
        for other in LISTS:
            has_it = await peer.store.room_has_in_list(ROOM, other, "Дейв 🎈")
            assert has_it is (other == list_name)
        await change(remove=[BOB, "missing", BOB])
        assert sorted(await peer.store.room_get_list(ROOM, SYSTEM, list_name)) == [CAROL, "Дейв 🎈"]
        assert await peer.store.room_has_in_list(ROOM, list_name, BOB) is False
        await change(add=[DAVE], remove=[CAROL])
        assert sorted(await peer.store.room_get_list(ROOM, SYSTEM, list_name)) == [DAVE, "Дейв 🎈"]

    async def test_userlist_has_the_joined_users(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1, S2)
        assert await peer.store.room_get_list(ROOM, actor(ALICE), "userlist") == [ALICE]
        assert await peer.store.room_has_in_list(ROOM, "userlist", ALICE) is True
        assert await peer.store.room_has_in_list(ROOM, "userlist", BOB) is False

    async def test_list_changes_are_published(self, peer: Peer) -> None:
        await peer.store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=[BOB, CAROL], limit=LIMIT)
        await peer.store.room_change_list(ROOM, SYSTEM, "adminlist", NOW, add=[BOB], limit=LIMIT)
        await peer.store.room_change_list(ROOM, SYSTEM, "adminlist", NOW, remove=[BOB], limit=LIMIT)
        await peer.store.room_change_list(
            ROOM, SYSTEM, "whitelist", NOW, add=[DAVE], remove=[BOB], limit=LIMIT
        )
        await peer.store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, limit=LIMIT)
        assert await peer.room_told() == [
            told("roomAccessListAdded", ROOM, "whitelist", [BOB, CAROL]),
            told("roomAccessListAdded", ROOM, "adminlist", [BOB]),
            told("roomAccessListRemoved", ROOM, "adminlist", [BOB]),
            told("roomAccessListAdded", ROOM, "whitelist", [DAVE]),
            told("roomAccessListRemoved", ROOM, "whitelist", [BOB]),
        ]

    async def test_only_changes_of_lists_are_published(self, peer: Peer) -> None:
        async def change(*, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
            await peer.store.room_change_list(
                ROOM, SYSTEM, "whitelist", NOW, add=add, remove=remove, limit=LIMIT
            )

        await change(add=[BOB, CAROL, BOB])
        await change(add=[CAROL, BOB])
        await change(add=[BOB, DAVE, CAROL, DAVE])
        await change(remove=["missing", ALICE])
        await change(remove=[CAROL, "missing", BOB, CAROL])
        await change(add=[DAVE], remove=[BOB, CAROL])
        assert await peer.room_told() == [
            told("roomAccessListAdded", ROOM, "whitelist", [BOB, CAROL]),
            told("roomAccessListAdded", ROOM, "whitelist", [DAVE]),
            told("roomAccessListRemoved", ROOM, "whitelist", [CAROL, BOB]),
        ]
        cursor = (await peer.store.room_history_info(ROOM, SYSTEM)).cursor
        await change(add=[DAVE])
        assert (await peer.store.room_history_info(ROOM, SYSTEM)).cursor == cursor

    async def test_list_limit_counts_distinct_names(self, peer: Peer) -> None:
        async def add(*names: str, limit: int = 3) -> None:
            await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=names, limit=limit)

        await peer.enter(ALICE, S1)
        await add("a", "a")
        await add("b")
        await peer.room_told()
        with raises_error("listLimitExceeded", "blacklist"):
            await add(ALICE, "d")
        assert sorted(await peer.store.room_get_list(ROOM, SYSTEM, "blacklist")) == ["a", "b"]
        assert await peer.members() == {ALICE: {S1}}
        assert await peer.room_told() == []
        await add("a", "c", "c", "b")
        await add("a", "b", "c")
        await add("a", limit=1)
        with raises_error("listLimitExceeded", "blacklist"):
            await add("d")
        await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, remove=["a", "b"], limit=0)
        assert await peer.store.room_get_list(ROOM, SYSTEM, "blacklist") == ["c"]

    async def test_permissions_are_checked_before_limits(self, peer: Peer) -> None:
        with raises_error("notAllowed"):
            await peer.store.room_change_list(ROOM, actor(ALICE), "blacklist", NOW, add=[BOB], limit=0)
        with raises_error("listLimitExceeded", "blacklist"):
            await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=[BOB], limit=0)
        assert await peer.room_told() == []

    # Mode, owner, notifications

    async def test_mode_change_is_published(self, peer: Peer) -> None:
        for mode in (True, False):
            await peer.store.room_set_mode(ROOM, SYSTEM, NOW, mode)
            assert (await peer.store.room_settings(ROOM, SYSTEM)).whitelist_only is mode
        assert await peer.room_told() == [
            told("roomModeChanged", ROOM, True),
            told("roomModeChanged", ROOM, False),
        ]

    async def test_owner_change_is_not_published(self, peer: Peer) -> None:
        for owner in (ALICE, BOB, None):
            await peer.store.room_set_owner(ROOM, NOW, owner)
            assert (await peer.store.room_settings(ROOM, SYSTEM)).owner == owner
        assert await peer.room_told() == []

    async def test_updates_are_switched_independently(self, peer: Peer) -> None:
        async def switches() -> tuple[bool, bool]:
            settings = await peer.store.room_settings(ROOM, SYSTEM)
            return settings.enable_userlist_updates, settings.enable_access_lists_updates

        await peer.store.room_set_updates(ROOM, userlist=False)
        assert await switches() == (False, True)
        await peer.store.room_set_updates(ROOM, access_lists=False)
        assert await switches() == (False, False)
        await peer.store.room_set_updates(ROOM)
        assert await switches() == (False, False)
        await peer.store.room_set_updates(ROOM, userlist=True, access_lists=True)
        assert await switches() == (True, True)
        assert await peer.room_told() == []

    async def test_without_access_list_updates_nothing_is_published(self, peer: Peer) -> None:
        await peer.store.room_set_updates(ROOM, access_lists=False)
        await peer.store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=[BOB], limit=LIMIT)
        await peer.store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, remove=[BOB], limit=LIMIT)
        await peer.store.room_set_mode(ROOM, SYSTEM, NOW, True)
        assert await peer.room_told() == []
        assert (await peer.store.room_settings(ROOM, SYSTEM)).whitelist_only is True
