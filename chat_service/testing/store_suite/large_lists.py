"""Changes that look at so many names that stores do part of the work in slices."""

import asyncio
from collections.abc import Iterable

from chat_service.contracts.bus import RoomEvent
from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.errors import ChatServiceError
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    HALL,
    LIMIT,
    NOW,
    ROOM,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
)
from chat_service.testing.store_suite.large_rooms import comings_and_goings, fill, leaving_sockets, socket_of
from chat_service.types import UserName

#: Number of names, so many that no store is likely to change them at once.
MANY = 450
NAMES = [UserName(f"name{number}") for number in range(MANY)]
#: Time in ms of the change.
LATER = NOW + 50


def listed(events: Iterable[RoomEvent], event: str, list_name: str) -> list[str]:
    """The names in the notifications of a list, in their order."""
    told = (found.args for found in events if found.event == event)
    return [name for _, its_list, names in told if its_list == list_name for name in names]


class LargeListSuite(StoreTests):
    """The promises of a change hold for any number of names."""

    async def test_many_names_are_added_and_removed(self, peer: Peer) -> None:
        store = peer.store
        await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=NAMES[3:5], limit=LIMIT)
        await peer.room_events()
        names = [*NAMES, NAMES[0], NAMES[7]]
        assert await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=names, limit=LIMIT) is None
        added = [name for name in NAMES if name not in NAMES[3:5]]
        assert listed(await peer.room_events(), "roomAccessListAdded", "whitelist") == added
        assert sorted(await store.room_get_list(ROOM, SYSTEM, "whitelist")) == sorted(NAMES)
        # Nothing changes.
        await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=names, limit=MANY)
        assert listed(await peer.room_events(), "roomAccessListAdded", "whitelist") == []
        removed = ["nobody", *NAMES[9:], NAMES[9]]
        await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, remove=removed, limit=LIMIT)
        assert listed(await peer.room_events(), "roomAccessListRemoved", "whitelist") == NAMES[9:]
        assert sorted(await store.room_get_list(ROOM, SYSTEM, "whitelist")) == NAMES[:9]

    async def test_many_names_are_refused_as_a_whole(self, peer: Peer) -> None:
        store = peer.store
        names, whitelist = [*NAMES, ALICE], NAMES[:2]
        with raises_error("noRoom", HALL):
            await store.room_change_list(HALL, SYSTEM, "whitelist", NOW, add=names, limit=1)
        await store.room_set_owner(ROOM, NOW, ALICE)
        await store.room_change_list(ROOM, SYSTEM, "adminlist", NOW, add=[BOB], limit=LIMIT)
        await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=whitelist, limit=LIMIT)
        await peer.room_events()
        for limit in (1, MANY):
            with raises_error("listLimitExceeded", "whitelist"):
                await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=names, limit=limit)
        for user, list_name in ((BOB, "whitelist"), (BOB, "adminlist"), (NAMES[0], "whitelist")):
            with raises_error("notAllowed"):
                await store.room_change_list(ROOM, actor(user), list_name, NOW, add=names, limit=LIMIT)
            with raises_error("notAllowed"):
                await store.room_change_list(ROOM, actor(user), list_name, NOW, remove=names, limit=LIMIT)
        assert sorted(await store.room_get_list(ROOM, SYSTEM, "whitelist")) == sorted(whitelist)
        assert await peer.room_events() == []
        await store.room_change_list(ROOM, actor(BOB), "whitelist", NOW, add=NAMES, limit=MANY)
        assert sorted(await store.room_get_list(ROOM, SYSTEM, "whitelist")) == sorted(NAMES)

    async def test_a_room_is_created_with_many_names(self, peer: Peer) -> None:
        store = peer.store
        config = RoomConfig(adminlist=NAMES[:1], blacklist=NAMES[1:], whitelist=[*NAMES, *NAMES[:3]])
        await store.room_create(HALL, config)
        for list_name, names in (("adminlist", NAMES[:1]), ("blacklist", NAMES[1:]), ("whitelist", NAMES)):
            assert sorted(await store.room_get_list(HALL, SYSTEM, list_name)) == sorted(names)
        with raises_error("roomExists", HALL):
            await store.room_create(HALL, RoomConfig(blacklist=NAMES))

    async def test_many_members_are_removed_while_many_stay(self, peer: Peer) -> None:
        """By a list that names them all, and by a mode."""
        store, stayers, leavers = peer.store, NAMES[::2], NAMES[1::2]
        await fill(peer, NAMES)
        await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=stayers, limit=LIMIT)
        await peer.room_events()
        for what in ("mode", "list"):
            if what == "mode":
                removal = await store.room_set_mode(ROOM, SYSTEM, LATER, True)
            else:
                removal = await store.room_change_list(
                    ROOM, SYSTEM, "blacklist", LATER, add=leavers, limit=LIMIT
                )
            assert leaving_sockets(removal) == {peer.instance_id: {socket_of(user) for user in leavers}}
            assert await peer.members() == {user: {socket_of(user)} for user in stayers}
            events = await peer.room_events()
            assert not any(event.removes(user) for event in events if event.is_removal for user in stayers)
            assert all(comings_and_goings(events, user) == "-" for user in leavers)
            for user in leavers[::50]:
                assert await peer.indexed(user) == {socket_of(user): set()}
            if what == "mode":
                # They come back.
                await store.room_set_mode(ROOM, SYSTEM, LATER, False)
                await asyncio.gather(*(peer.join(user, socket_of(user)) for user in leavers))
            await peer.room_events()

    async def test_what_comes_after_a_long_change(self, peer: Peer, peers: Peers) -> None:
        """A command that begins after a part of the change, at any instance, sees all of it."""
        other = await peers.open()
        await fill(peer, NAMES[-2:])
        first, last, is_seen, codes = NAMES[0], NAMES[-1], False, list[str]()

        async def look() -> None:
            nonlocal is_seen
            while not is_seen:
                is_seen = await other.store.room_has_in_list(ROOM, "blacklist", first)
                await asyncio.sleep(0)
            assert await other.store.room_has_in_list(ROOM, "blacklist", last)
            with raises_error("notJoined", ROOM):
                await other.store.room_message(ROOM, actor(last), {"textMessage": "still here?"})
            with raises_error("notAllowed"):
                await other.join(last, socket_of(last))

        async def talk() -> None:
            try:
                while not is_seen:
                    await other.store.room_message(ROOM, actor(last), {"author": last})
                    await asyncio.sleep(0)
            except ChatServiceError as error:
                codes.append(error.code)

        change = peer.store.room_change_list(ROOM, SYSTEM, "blacklist", LATER, add=NAMES, limit=LIMIT)
        await asyncio.gather(look(), talk(), change)
        assert codes in ([], ["notJoined"])
