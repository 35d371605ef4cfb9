"""Changes that remove so many users that stores do part of the work afterwards, in slices."""

import asyncio
from collections.abc import Iterable, Sequence

from chat_service.contracts.bus import RoomEvent
from chat_service.contracts.records import SYSTEM, Removal, RoomConfig, UserSeen
from chat_service.errors import ChatServiceError
from chat_service.testing.store_suite.base import (
    LIMIT,
    NOW,
    ROOM,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
    room_topic,
    told,
    user_topic,
)
from chat_service.testing.waiting import wait_until
from chat_service.types import SocketId, UserName

#: Number of users, of whom the first ones stay.
MANY, STAYING = 230, 3
CROWD = [UserName(f"u{number}") for number in range(MANY)]
STAYERS, LEAVERS = CROWD[:STAYING], CROWD[STAYING:]
#: Time in ms of the change that removes the others.
LATER = NOW + 50


def socket_of(user: UserName) -> SocketId:
    return SocketId(f"{user}'s socket")


async def fill(peer: Peer, users: Sequence[UserName] = CROWD, *, quiet: Sequence[UserName] = ()) -> None:
    """Connect and join users, and take what this publishes. ``quiet``: who is not announced."""
    for start in range(0, len(users), 100):
        part = users[start : start + 100]
        await asyncio.gather(*(peer.connect(user, socket_of(user)) for user in part))
        await asyncio.gather(*(peer.join(user, socket_of(user), announce=user not in quiet) for user in part))
    await peer.room_events()


def removed_in(events: Iterable[RoomEvent], user: UserName) -> RoomEvent:
    """The first event that removes a user."""
    return next(event for event in events if event.is_removal and event.removes(user))


def comings_and_goings(events: Iterable[RoomEvent], user: UserName) -> str:
    """What the room is told of a user: + for each ``roomUserJoined``, - for each ``roomUserLeft``."""
    signs = ""
    for event in events:
        if event.event == "roomUserJoined":
            signs += "+" * (event.args[1] == user)
        signs += "-" * (user in event.announced)
    return signs


def leaving_sockets(removal: Removal | None) -> dict[str, set[str]]:
    assert removal is not None
    return {instance_id: set(sockets) for instance_id, sockets in removal.sockets.items()}


class LargeRoomSuite(StoreTests):
    """The promises of a removal hold for any number of users."""

    async def _check_removed(self, peer: Peer, events: list[RoomEvent], removal: Removal | None) -> None:
        """All but the stayers are out, and everybody affected was notified once."""
        assert leaving_sockets(removal) == {peer.instance_id: {socket_of(user) for user in LEAVERS}}
        assert await peer.members() == {user: {socket_of(user)} for user in STAYERS}
        assert [comings_and_goings(events, user) for user in CROWD] == (
            [""] * (STAYING + 1) + ["-"] * (len(LEAVERS) - 1)
        )
        for user in LEAVERS:
            assert await peer.indexed(user) == {socket_of(user): set()}
        assert not any(event.removes(user) for event in events if event.is_removal for user in STAYERS)
        for user in (LEAVERS[0], LEAVERS[-1]):
            assert await peer.store.room_user_seen(ROOM, SYSTEM, user) == UserSeen(
                joined=False, timestamp=LATER
            )
            assert removal is not None
            # Nobody is out later than at the position of the removal.
            assert removed_in(events, user).seq <= removal.cursor.seq
            with raises_error("notJoined", ROOM):
                await peer.store.room_message(ROOM, actor(user), {"textMessage": "still here?"})
        last = LEAVERS[-1]
        assert await peer.user_told(last) == [told("roomAccessRemoved", ROOM, exclude=[socket_of(last)])]
        await peer.store.room_message(ROOM, actor(STAYERS[0]), {"textMessage": "alone"})

    async def test_change_of_the_mode_removes_many(self, peer: Peer) -> None:
        await fill(peer, quiet=[LEAVERS[0]])
        await peer.hear(user_topic(LEAVERS[-1]))
        store, (owner, admin, guest) = peer.store, STAYERS
        await store.room_set_owner(ROOM, NOW, owner)
        for list_name, names in (("adminlist", [admin]), ("whitelist", [guest, UserName("absent")])):
            await store.room_change_list(ROOM, SYSTEM, list_name, NOW, add=names, limit=LIMIT)
        await store.room_set_details(ROOM, LEAVERS[1], socket_of(LEAVERS[1]), '{"at":1}', {"at": 1})
        await peer.room_events()
        removal = await store.room_set_mode(ROOM, SYSTEM, LATER, True)
        first, *events = await peer.room_events()
        assert (first.event, first.args) == ("roomModeChanged", (ROOM, True))
        await self._check_removed(peer, events, removal)
        # They come back as if they had never been there.
        await store.room_set_mode(ROOM, SYSTEM, NOW, False)
        result = await peer.join(LEAVERS[1], socket_of(LEAVERS[1]))
        assert (result.njoined, result.changed) == (1, True)
        assert comings_and_goings(await peer.room_events(), LEAVERS[1]) == "+"
        page = await store.room_members_page(ROOM, SYSTEM, LIMIT)
        assert [member.details for member in page.members if member.user_name == LEAVERS[1]] == [None]

    async def test_change_of_a_list_removes_many(self, peer: Peer) -> None:
        await fill(peer, quiet=[LEAVERS[0]])
        await peer.hear(user_topic(LEAVERS[-1]))
        await peer.store.room_change_list(ROOM, SYSTEM, "adminlist", NOW, add=[STAYERS[1]], limit=LIMIT)
        await peer.room_events()
        names = [STAYERS[1], *LEAVERS, LEAVERS[5]]
        removal = await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", LATER, add=names, limit=LIMIT)
        first, *events = await peer.room_events()
        assert (first.event, first.args[2]) == ("roomAccessListAdded", names[:-1])
        await self._check_removed(peer, events, removal)

    async def test_deletion_and_renewal_remove_all(self, peer: Peer) -> None:
        await fill(peer)
        everybody = {peer.instance_id: {socket_of(user) for user in CROWD}}
        epoch = (await peer.store.room_history_info(ROOM, SYSTEM)).cursor.epoch
        assert leaving_sockets(await peer.store.room_renew(ROOM, epoch, LATER)) == everybody
        assert await peer.members() == {}
        events = await peer.room_events()
        assert {event.epoch for event in events} == {
            (await peer.store.room_history_info(ROOM, SYSTEM)).cursor.epoch
        }
        assert all(removed_in(events, user) for user in CROWD)
        await fill(peer)
        assert leaving_sockets(await peer.store.room_delete(ROOM, SYSTEM)) == everybody
        events = await peer.room_events()
        assert all(removed_in(events, user) for user in CROWD)
        await peer.store.room_create(ROOM, RoomConfig())
        assert await peer.members() == {}
        assert await peer.room_events() == []
        for user in CROWD:
            assert await peer.indexed(user) == {socket_of(user): set()}

    async def test_messages_and_joins_meanwhile(self, peer: Peer, peers: Peers) -> None:
        """No message of a removed user follows the decision, and nobody joins again before having left."""
        other = await peers.open()
        await other.hear(room_topic(ROOM))
        await fill(peer)
        await peer.store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=STAYERS, limit=LIMIT)
        await peer.room_events()

        async def open_again() -> None:
            async def is_closed() -> bool:
                return (await other.store.room_settings(ROOM, SYSTEM)).whitelist_only

            await wait_until(is_closed, "the mode has changed")
            await other.store.room_set_mode(ROOM, SYSTEM, LATER, False)

        async def talk(user: UserName) -> None:
            with raises_error("notJoined", ROOM):
                while True:
                    await other.store.room_message(ROOM, actor(user), {"author": user})
                    await asyncio.sleep(0)

        async def come_back(user: UserName) -> None:
            is_back = False
            while not is_back:
                try:
                    is_back = (await other.join(user, socket_of(user))).changed
                except ChatServiceError:
                    # Not yet.
                    await asyncio.sleep(0)

        talking, back = LEAVERS[1:4], LEAVERS[10 :: len(LEAVERS) // 5]
        await asyncio.gather(
            *map(talk, talking),
            peer.store.room_set_mode(ROOM, SYSTEM, LATER, True),
            open_again(),
            *map(come_back, back),
        )
        for told_to in (peer, other):
            events = await told_to.room_events()
            for user in talking:
                out = removed_in(events, user).seq
                said = [event.seq for event in events if event.is_message and event.args[1]["author"] == user]
                assert all(seq < out for seq in said)
            for user in LEAVERS:
                # The other instance also heard them join at first.
                assert comings_and_goings(events, user).removeprefix("+") == ("-+" if user in back else "-")
        assert set(await peer.members()) == {*STAYERS, *back}
