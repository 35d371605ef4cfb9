"""The limit of the rooms that a user owns."""

import asyncio
from itertools import count

import pytest

from chat_service.contracts.records import SYSTEM, Ban, Rate, RoomConfig, RoomQuota, UserConfig
from chat_service.errors import ChatServiceError
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    ROOM,
    S1,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
)
from chat_service.types import RoomName, UserName

#: The names of rooms that nothing else uses.
_numbers = count(1)


async def create(peer: Peer, name: str, owner: UserName | None = ALICE, limit: int | None = 2) -> None:
    await peer.store.room_create(RoomName(name), RoomConfig(owner=owner), RoomQuota(limit=limit))


async def left(peer: Peer, owner: UserName = ALICE, limit: int = 2) -> int:
    """How many rooms the user may still create; they are deleted again."""
    made: list[RoomName] = []
    with raises_error("limitExceeded", "rooms of a user"):
        while True:
            name = RoomName(f"attempt{next(_numbers)}")
            await create(peer, name, owner, limit)
            made.append(name)
    for name in made:
        await peer.store.room_delete(name, SYSTEM)
    return len(made)


class OwnedRoomSuite(StoreTests):
    """Rooms that count for the limit of their owner."""

    async def test_rooms_of_a_user_are_counted_on_all_instances(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        await create(one, "one")
        await create(other, "two")
        for each in (one, other):
            with raises_error("limitExceeded", "rooms of a user"):
                await create(each, "three")
            # This is checked first.
            with raises_error("limitExceeded", "rooms of a user"):
                await create(each, "one")
        assert not await one.store.room_exists(RoomName("three"))
        # Another limit sees the same rooms.
        await create(other, "three", limit=3)
        with raises_error("limitExceeded", "rooms of a user"):
            await create(one, "four", limit=3)
        assert await left(one, limit=5) == 2
        assert await left(one, BOB) == 2

    async def test_only_rooms_with_a_limit_count(self, peer: Peer) -> None:
        for name in ("one", "two", "three"):
            await peer.store.room_create(RoomName(name), RoomConfig(owner=ALICE))
            await create(peer, f"{name} by a rate", limit=None)
            await create(peer, f"{name} of nobody", owner=None)
        assert await left(peer) == 2
        await create(peer, "four")
        await create(peer, "five")
        # They are not held to the limit either.
        await peer.store.room_create(RoomName("six"), RoomConfig(owner=ALICE))
        await create(peer, "seven", limit=None)
        await create(peer, "eight", owner=None)
        # Rooms among them that are gone change nothing.
        for name in ("one", "two by a rate", "three of nobody", "six", "seven"):
            await peer.store.room_delete(RoomName(name), SYSTEM)
        await peer.store.room_set_owner(RoomName("two"), NOW, BOB)
        assert (await left(peer), await left(peer, BOB)) == (0, 2)

    async def test_a_deleted_room_counts_no_longer(self, peer: Peer) -> None:
        for who in (actor(ALICE), SYSTEM, actor(ALICE)):
            await create(peer, "one")
            await create(peer, "two")
            assert await left(peer) == 0
            with raises_error("notAllowed"):
                await peer.store.room_delete(RoomName("one"), actor(BOB))
            assert await left(peer) == 0
            for number, name in enumerate(("one", "two"), 1):
                await peer.store.room_delete(RoomName(name), who)
                assert await left(peer) == number

    async def test_a_room_counts_until_it_has_another_owner(self, peer: Peer) -> None:
        one, two = RoomName("one"), RoomName("two")
        await create(peer, one)
        await create(peer, two)
        await peer.store.room_set_owner(one, NOW, ALICE)
        await peer.store.room_renew(one, (await peer.store.room_summary(one)).epoch, NOW)
        assert await left(peer) == 0
        await peer.store.room_set_owner(one, NOW, BOB)
        await peer.store.room_set_owner(two, NOW, None)
        assert (await left(peer), await left(peer, BOB)) == (2, 2)
        # The server gives it back, which does not count.
        await peer.store.room_set_owner(one, NOW, ALICE)
        await create(peer, "three")
        assert await left(peer) == 1
        for room in (one, two):
            await peer.store.room_delete(room, SYSTEM)
        assert await left(peer) == 1

    async def test_rooms_that_were_not_created_do_not_count(self, peer: Peer) -> None:
        await create(peer, "one")
        for _ in range(3):
            for taken in (ROOM, "one"):
                with raises_error("roomExists", taken):
                    await create(peer, taken)
        await peer.store.user_ban(ALICE, Ban(), NOW)
        for _ in range(3):
            with raises_error("banned", None, None):
                await create(peer, "two")
        await peer.store.user_unban(ALICE)
        quota = RoomQuota(limit=2, rate=Rate(3_600_000_000, 0))
        await peer.store.room_create(RoomName("two"), RoomConfig(owner=BOB), quota)
        for number in range(3):
            with pytest.raises(ChatServiceError) as caught:
                await peer.store.room_create(RoomName(f"three{number}"), RoomConfig(owner=BOB), quota)
            assert caught.value.code == "rateLimited"
        assert (await left(peer), await left(peer, BOB)) == (1, 1)

    async def test_trying_at_the_limit_counts_for_the_rate(self, peer: Peer) -> None:
        quota = RoomQuota(limit=1, rate=Rate(3_600_000_000, 3_600_000_000))
        await peer.store.room_create(RoomName("one"), RoomConfig(owner=ALICE), quota)
        codes = []
        for _ in range(2):
            with pytest.raises(ChatServiceError) as caught:
                await peer.store.room_create(RoomName("two"), RoomConfig(owner=ALICE), quota)
            codes.append(caught.value.code)
        assert codes == ["limitExceeded", "rateLimited"]

    async def test_rooms_count_although_their_owner_is_deleted(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig())
        await peer.store.socket_connect(BOB, S1, peer.instance_id, ephemeral=True)
        for number, owner in enumerate((ALICE, BOB, CAROL)):
            await create(peer, f"room{number}", owner)
        await peer.store.user_delete(ALICE)
        await peer.store.socket_disconnect(BOB, S1, peer.instance_id, [])
        for user in (ALICE, BOB):
            assert not await peer.store.user_exists(user)
        # They still own the rooms, also as new users of the same name.
        await peer.store.user_create(ALICE, UserConfig())
        assert [await left(peer, owner) for owner in (ALICE, BOB, CAROL)] == [1, 1, 1]
        await peer.store.user_delete(ALICE)
        for number in range(3):
            await peer.store.room_delete(RoomName(f"room{number}"), SYSTEM)
        assert [await left(peer, owner) for owner in (ALICE, BOB, CAROL)] == [2, 2, 2]

    async def test_as_many_rooms_as_allowed_pass_a_race(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        names = [f"room{number % 15}" for number in range(30)]
        work = [create(each, name, limit=5) for name, each in zip(names, (one, other) * 15, strict=True)]
        answers = await asyncio.gather(*work, return_exceptions=True)
        codes = [answer.code for answer in answers if isinstance(answer, ChatServiceError)]
        made = [name for name in set(names) if await one.store.room_exists(RoomName(name))]
        assert answers.count(None) == len(made)
        assert len(codes) == 30 - len(made)
        assert set(codes) <= {"limitExceeded", "roomExists"}
        # Attempts that then failed may have kept others out, but hold no place afterwards.
        assert 1 <= len(made) <= 5
        assert await left(one, limit=5) == 5 - len(made)
