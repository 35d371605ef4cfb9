"""Expiry: users of whom nothing is left, empty rooms, old messages."""

from collections.abc import Awaitable, Callable

import pytest

from chat_service.contracts.records import SYSTEM, HistoryQuery, RoomConfig, UserConfig
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
    StoreTests,
    raises_error,
)
from chat_service.testing.waiting import wait_until
from chat_service.types import Message, RoomName, UserName

#: Times in seconds: soon over, and never over in a test.
SOON, LATER = 0.05, 3600.0
#: A room that is gone later than what was made before it with SOON.
MARKER = RoomName("marker")

#: The ways in which the last member leaves a room.
DEPARTURES: dict[str, Callable[[Peer], Awaitable[object]]] = {
    "leave": lambda peer: peer.leave(ALICE, S1),
    "removal": lambda peer: peer.store.room_remove_users(ROOM, [ALICE], NOW),
    "blacklist": lambda peer: peer.store.room_change_list(
        ROOM, SYSTEM, "blacklist", NOW, add=[ALICE], limit=LIMIT
    ),
    "mode": lambda peer: peer.store.room_set_mode(ROOM, SYSTEM, NOW, True),
}


async def gone(peer: Peer, room: RoomName) -> None:
    async def is_gone() -> bool:
        return not await peer.store.room_exists(room)

    await wait_until(is_gone, f"the end of {room}")


async def forgotten(peer: Peer, user: UserName) -> None:
    async def is_forgotten() -> bool:
        return not await peer.store.user_exists(user)

    await wait_until(is_forgotten, f"the end of {user}")


async def let_pass(peer: Peer) -> None:
    """Return when what was due in SOON seconds is over."""
    await peer.store.room_create(MARKER, RoomConfig(empty_ttl=2 * SOON))
    await gone(peer, MARKER)


class ExpirySuite(StoreTests):
    """Users, rooms and messages with a limit of time."""

    # Users

    async def _come_and_go(self, peer: Peer, user: UserName, ttl: float | None) -> None:
        await peer.store.socket_connect(user, S1, peer.instance_id, ttl=ttl)
        await peer.store.socket_disconnect(user, S1, peer.instance_id, [])

    async def test_a_user_of_whom_nothing_is_left_is_forgotten(self, peer: Peer) -> None:
        await self._come_and_go(peer, ALICE, SOON)
        await peer.store.user_create(CAROL, UserConfig(ttl=SOON))
        await self._come_and_go(peer, BOB, LATER)
        for user in (ALICE, CAROL):
            await forgotten(peer, user)
            with raises_error("noUser", user):
                await peer.store.user_get_mode(user)
            await peer.store.user_create(user, UserConfig(whitelist=[BOB]))
        assert await peer.store.user_exists(BOB)
        users = await peer.store.list_users(LIMIT, online=False)
        assert {item.name for item in users.items} >= {ALICE, BOB, CAROL}

    async def test_the_last_connect_decides(self, peer: Peer) -> None:
        await self._come_and_go(peer, ALICE, SOON)
        await self._come_and_go(peer, ALICE, None)
        await self._come_and_go(peer, BOB, None)
        await self._come_and_go(peer, BOB, SOON)
        await forgotten(peer, BOB)
        await let_pass(peer)
        assert await peer.store.user_exists(ALICE)

    async def test_a_user_with_a_list_a_mode_or_a_socket_stays(self, peer: Peer) -> None:
        store = peer.store
        await store.user_create(CAROL, UserConfig(whitelist=[BOB], ttl=SOON))
        await store.user_create(BOB, UserConfig(whitelist_only=True, ttl=SOON))
        for socket_id in (S1, S2):
            await store.socket_connect(ALICE, socket_id, peer.instance_id, ttl=SOON)
        await store.socket_disconnect(ALICE, S1, peer.instance_id, [])
        await let_pass(peer)
        for user in (ALICE, BOB, CAROL):
            assert await store.user_exists(user), user
        assert await store.user_get_list(CAROL, "whitelist") == [BOB]
        assert await store.user_get_mode(BOB) is True
        # From now on nothing is left of them.
        await store.socket_disconnect(ALICE, S2, peer.instance_id, [])
        await store.user_remove_from_list(CAROL, "whitelist", [BOB])
        await store.user_set_mode(BOB, False)
        for user in (ALICE, BOB, CAROL):
            await forgotten(peer, user)

    async def test_what_is_added_keeps_the_user(self, peer: Peer) -> None:
        await peer.store.socket_connect(ALICE, S1, peer.instance_id, ttl=SOON)
        await peer.store.user_add_to_list(ALICE, "blacklist", [BOB], LIMIT)
        await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, [])
        await peer.store.user_remove_from_list(ALICE, "blacklist", [CAROL])
        await let_pass(peer)
        assert await peer.store.user_get_list(ALICE, "blacklist") == [BOB]

    # Rooms

    async def test_a_room_in_which_nobody_was_goes(self, peer: Peer) -> None:
        config = RoomConfig(owner=ALICE, adminlist=[BOB], blacklist=[CAROL], empty_ttl=SOON)
        await peer.store.room_create(HALL, config)
        await gone(peer, HALL)
        with raises_error("noRoom", HALL):
            await peer.store.room_message(HALL, SYSTEM, {})
        assert HALL not in [room.name for room in (await peer.store.list_rooms(LIMIT)).items]
        await peer.store.room_create(HALL, RoomConfig())
        for list_name in ("adminlist", "blacklist"):
            assert await peer.store.room_get_list(HALL, SYSTEM, list_name) == []
        await let_pass(peer)
        assert (await peer.store.room_settings(HALL, SYSTEM)).owner is None

    @pytest.mark.parametrize("way", DEPARTURES)
    async def test_a_room_goes_after_its_last_member(self, peer: Peer, way: str) -> None:
        await peer.enter(ALICE, S1)
        await peer.store.room_message(ROOM, SYSTEM, {})
        await peer.store.room_set_empty_ttl(ROOM, SOON)
        await let_pass(peer)
        assert await peer.members() == {ALICE: {S1}}
        await DEPARTURES[way](peer)
        await gone(peer, ROOM)
        # Another room of this name begins with nothing.
        await peer.store.room_create(ROOM, RoomConfig())
        await peer.join(ALICE, S1)
        info = await peer.store.room_history_info(ROOM, SYSTEM)
        assert (info.size, info.last_message_id) == (0, 0)

    async def test_a_room_whose_epoch_ends_is_empty(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.store.room_set_empty_ttl(ROOM, SOON)
        epoch = (await peer.store.room_summary(ROOM)).epoch
        await peer.store.room_renew(ROOM, epoch, NOW)
        await gone(peer, ROOM)

    async def test_a_member_or_no_limit_keeps_the_room(self, peer: Peer) -> None:
        for room in (ROOM, HALL):
            if room == HALL:
                await peer.store.room_create(room, RoomConfig(empty_ttl=LATER))
            await peer.enter(ALICE, S1, room=room)
            await peer.leave(ALICE, S1, room)
        await peer.store.room_set_empty_ttl(ROOM, LATER)
        await peer.store.room_set_empty_ttl(ROOM, None)
        await peer.join(ALICE, S1, HALL)
        await peer.store.room_set_empty_ttl(HALL, SOON)
        await let_pass(peer)
        assert await peer.store.room_exists(ROOM)
        assert await peer.members(HALL) == {ALICE: {S1}}

    # Messages

    async def _say(self, peer: Peer, count: int) -> None:
        for number in range(count):
            message: Message = {"file": b"\xff"} if number % 2 else {"textMessage": "x"}
            await peer.store.room_message(HALL, SYSTEM, message)

    async def _emptied(self, peer: Peer) -> None:
        async def is_empty() -> bool:
            return (await peer.store.room_history_info(HALL, SYSTEM)).size == 0

        await wait_until(is_empty, "the end of the messages")

    async def test_old_messages_are_not_given(self, peer: Peer) -> None:
        store = peer.store
        await store.room_create(HALL, RoomConfig(history_ttl=SOON))
        await self._say(peer, 3)
        await self._emptied(peer)
        assert (await store.room_summary(HALL)).history_size == 0
        assert await store.room_recent_history(HALL, SYSTEM, 9) == []
        for known in (0, 1, 3):
            assert await store.room_history(HALL, SYSTEM, known, 9) == []
            page = await store.room_history_page(HALL, SYSTEM, known, 9, max_bytes=LIMIT)
            assert list(page.messages) == []
        await peer.connect(ALICE, S1)
        cases: list[tuple[int | None, bool]] = [(None, False), (2, False), (3, True)]
        for after, recovered in cases:
            joined = await store.room_join(
                HALL, ALICE, S1, peer.instance_id, NOW, announce=True,
                query=HistoryQuery(after=after, limit=9, recent=9),
            )  # fmt: skip
            assert joined.last_message_id == 3
            assert joined.history is not None
            assert (joined.history.recovered, joined.history.messages) == (recovered, []), after
        # Ids count on.
        assert await store.room_message(HALL, SYSTEM, {}) == 4

    async def test_the_age_can_be_changed(self, peer: Peer) -> None:
        store = peer.store
        await store.room_create(HALL, RoomConfig())
        await self._say(peer, 3)
        await store.room_set_history_ttl(HALL, LATER)
        await self._say(peer, 2)
        assert len(await store.room_recent_history(HALL, SYSTEM, 9)) == 5
        await store.room_set_history_ttl(HALL, SOON)
        await self._emptied(peer)
        # Messages that were too old do not come back.
        await store.room_set_history_ttl(HALL, None)
        await self._say(peer, 1)
        assert [item["id"] for item in await store.room_history(HALL, SYSTEM, 0, 9)] == [6]
        await store.room_set_history_ttl(HALL, SOON)
        await self._emptied(peer)
        await store.room_set_history_ttl(HALL, LATER)
        await self._say(peer, 2)
        assert [item["id"] for item in await store.room_recent_history(HALL, SYSTEM, 9)] == [8, 7]

    async def test_number_and_bytes_are_limits_beside_the_age(self, peer: Peer) -> None:
        config = RoomConfig(history_max_size=5, history_max_bytes=4500, history_ttl=LATER)
        await peer.store.room_create(HALL, config)

        async def send(*sizes: int) -> list[int]:
            for size in sizes:
                await peer.store.room_message(HALL, SYSTEM, {"textMessage": "x" * size})
            found = await peer.store.room_recent_history(HALL, SYSTEM, 99)
            assert len(found) == (await peer.store.room_history_info(HALL, SYSTEM)).size
            return [message["id"] for message in found][::-1]

        assert await send(*[1] * 7) == [3, 4, 5, 6, 7]
        assert await send(1000, 1000, 1000) == [6, 7, 8, 9, 10]
        assert await send(1000, 1000) == [9, 10, 11, 12]
        await peer.store.room_set_history_max_size(HALL, 2)
        assert await send() == [11, 12]
        await peer.store.room_set_history_max_size(HALL, 0)
        assert await send(1) == []
        await peer.store.room_set_history_max_size(HALL, 9)
        assert await send(1, 1) == [14, 15]

    async def test_unknown_rooms(self, peer: Peer) -> None:
        for ttl in (None, LATER):
            with raises_error("noRoom", HALL):
                await peer.store.room_set_history_ttl(HALL, ttl)
            with raises_error("noRoom", HALL):
                await peer.store.room_set_empty_ttl(HALL, ttl)
