"""Rate limits that all instances share: of messages, logins and new rooms."""

import asyncio
from typing import Any

import pytest

from chat_service.contracts.records import (
    SYSTEM,
    Actor,
    Ban,
    Rate,
    RoomConfig,
    RoomQuota,
    SendConditions,
    SendResult,
)
from chat_service.errors import ChatServiceError
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    HALL,
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
)
from chat_service.testing.waiting import wait_until
from chat_service.types import RoomName, UserName

#: Three at once, and then one in an hour.
SLOW = Rate(3_600_000_000, 7_200_000_000)
#: One at once, and then one in 50 ms.
QUICK = Rate(50_000, 0)
HOUR = 3_600_000


async def send(
    peer: Peer, rate: Rate | None = SLOW, who: Actor | None = None, room: RoomName = ROOM, **more: Any
) -> SendResult:
    message = {"textMessage": "hello", "timestamp": NOW, "author": ALICE}
    conditions = SendConditions(rate=rate, **more)
    return await peer.store.room_send(room, who or actor(ALICE), message, conditions)


async def create(peer: Peer, name: str, owner: UserName | None = ALICE, rate: Rate | None = SLOW) -> None:
    await peer.store.room_create(RoomName(name), RoomConfig(owner=owner), RoomQuota(rate=rate))


def wait_of(error: pytest.ExceptionInfo[ChatServiceError]) -> int:
    """The ms to wait that an error tells."""
    assert error.value.code == "rateLimited"
    (wait,) = error.value.arguments
    assert isinstance(wait, int)
    return wait


class RateSuite(StoreTests):
    """Rates that the store keeps, by a clock that all instances agree on."""

    async def test_messages_of_a_user_to_a_room_are_counted_together(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await peer.enter(ALICE, S1)
        await other.enter(BOB, S2)
        await peer.store.room_create(HALL, RoomConfig())
        for number, each in enumerate((peer, other, peer), 1):
            assert await send(each) == SendResult(number, False)
        await peer.room_told()
        for each in (peer, other):
            with pytest.raises(ChatServiceError) as caught:
                await send(each)
            assert HOUR - 60_000 < wait_of(caught) <= HOUR
        # Nothing was stored or published.
        assert await peer.room_told() == []
        assert (await peer.store.room_history_info(ROOM, SYSTEM)).last_message_id == 3
        # Another user, another room and those without a limit go on; so does a message that is not counted.
        assert await send(peer, who=actor(BOB)) == SendResult(4, False)
        assert await send(peer, who=Actor(ALICE, True), room=HALL) == SendResult(1, False)
        assert await send(peer, rate=None) == SendResult(5, False)
        for number in range(6, 12):
            assert await send(peer, who=SYSTEM) == SendResult(number, False)

    async def test_repeats_are_answered_whatever_the_rate(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        for number in range(1, 4):
            assert await send(peer, key=f"k{number}", digest=b"d") == SendResult(number, False)
        for number in (1, 2, 3, 1, 2, 3):
            assert await send(peer, key=f"k{number}", digest=b"d") == SendResult(number, True)
        with pytest.raises(ChatServiceError) as caught:
            await send(peer, key="k4", digest=b"d")
        assert wait_of(caught) > HOUR - 60_000
        # A refused message leaves no key: it is stored when it comes again.
        assert await send(peer, rate=None, key="k4", digest=b"d") == SendResult(4, False)

    async def test_only_what_is_stored_counts(self, peer: Peer) -> None:
        for _ in range(5):
            with raises_error("notJoined", ROOM):
                await send(peer)
            with raises_error("noRoom", HALL):
                await send(peer, room=HALL)
        await peer.enter(ALICE, S1)
        for _ in range(5):
            with raises_error("conflict", 0):
                await send(peer, expected_last_id=7)
        for number in range(1, 4):
            assert await send(peer, expected_last_id=number - 1) == SendResult(number, False)
        with raises_error("conflict", 3):
            await send(peer, expected_last_id=7)
        with pytest.raises(ChatServiceError) as caught:
            await send(peer, expected_last_id=3)
        assert wait_of(caught) > 0

    async def test_what_was_refused_works_after_the_wait(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        assert await send(peer, QUICK) == SendResult(1, False)
        with pytest.raises(ChatServiceError) as caught:
            await send(peer, Rate(3_600_000_000, 0))
        # What was sent before took 50 ms, whatever the rate is now.
        assert 0 < wait_of(caught) <= 50

        async def is_stored() -> bool:
            try:
                return (await send(peer, QUICK)).id == 2
            except ChatServiceError:
                return False

        await wait_until(is_stored, "the end of the wait")

    async def test_a_deleted_room_does_not_bring_back_the_allowance(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        for _ in range(3):
            await send(peer)
        await peer.store.room_delete(ROOM, SYSTEM)
        await peer.store.room_create(ROOM, RoomConfig())
        await peer.join(ALICE, S1)
        with pytest.raises(ChatServiceError) as caught:
            await send(peer)
        assert wait_of(caught) > 0

    async def test_as_many_as_allowed_pass_a_race(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await peer.enter(ALICE, S1)
        sends = [send(each) for each in (peer, other) * 10]
        answers = await asyncio.gather(*sends, return_exceptions=True)
        assert sum(isinstance(answer, SendResult) for answer in answers) == 3
        assert (await peer.store.room_history_info(ROOM, SYSTEM)).last_message_id == 3

    async def test_logins_of_a_user_are_counted_together(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        for each, socket_id in ((one, S1), (other, S2), (one, S3)):
            await each.store.socket_connect(ALICE, socket_id, each.instance_id, rate=SLOW)
        for each in (one, other):
            with pytest.raises(ChatServiceError) as caught:
                await each.store.socket_connect(ALICE, S4, each.instance_id, rate=SLOW)
            assert HOUR - 60_000 < wait_of(caught) <= HOUR
            assert S4 not in await each.store.instance_sockets(each.instance_id)
        # A socket that is connected already does not count.
        assert await one.store.socket_connect(ALICE, S1, one.instance_id, rate=SLOW) == 3
        assert set(await one.store.user_sockets(ALICE)) == {S1, S2, S3}
        await one.store.socket_connect(BOB, S4, one.instance_id, rate=SLOW)

    async def test_refused_logins_do_not_count(self, peer: Peer) -> None:
        await peer.store.user_ban(ALICE, Ban(reason="spam"), NOW)
        for _ in range(5):
            with raises_error("banned", None, "spam"):
                await peer.store.socket_connect(ALICE, S1, peer.instance_id, rate=SLOW)
        await peer.store.user_unban(ALICE)
        await peer.store.socket_connect(ALICE, S1, peer.instance_id, rate=SLOW)
        for _ in range(5):
            with raises_error("limitExceeded", "sockets of a user"):
                await peer.store.socket_connect(ALICE, S2, peer.instance_id, limit=1, rate=SLOW)
        for socket_id in (S2, S3):
            await peer.store.socket_connect(ALICE, socket_id, peer.instance_id, rate=SLOW)

    async def test_new_rooms_of_a_user_are_counted_together(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        await create(one, "one")
        # Trying counts.
        with raises_error("roomExists", "one"):
            await create(other, "one")
        await create(other, "two")
        for each in (one, other):
            with pytest.raises(ChatServiceError) as caught:
                await create(each, "three")
            assert HOUR - 60_000 < wait_of(caught) <= HOUR
        assert not await one.store.room_exists(RoomName("three"))
        # Others, rooms without an owner, and those who create without a quota are not held to it.
        await create(one, "three", owner=BOB)
        for name in ("four", "five", "six", "seven"):
            await create(one, name, owner=None)
        await other.store.room_create(RoomName("eight"), RoomConfig(owner=ALICE))
        await create(one, "nine", rate=None)

    async def test_a_banned_user_creates_no_rooms(self, peer: Peer) -> None:
        await peer.store.user_ban(ALICE, Ban(reason="spam"), NOW)
        for rate in (SLOW, None):
            with raises_error("banned", None, "spam"):
                await create(peer, "one", rate=rate)
        assert not await peer.store.room_exists(RoomName("one"))
        await create(peer, "one", owner=None)
        await peer.store.room_create(RoomName("two"), RoomConfig(owner=ALICE))
