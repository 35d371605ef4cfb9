"""Sending on conditions: idempotency keys and the expected last id; and histories with their epoch."""

import asyncio
from typing import Any

import pytest

from chat_service.contracts.records import SYSTEM, Actor, RoomConfig, SendConditions, SendResult
from chat_service.errors import ChatServiceError
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    HALL,
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
from chat_service.testing.waiting import wait_until
from chat_service.types import Message, RoomName

ONE, OTHER = b"\x00one:\xff\n", b"other"
#: Keys may contain anything.
KEYS = ["k", "x" * 128, "🙂" * 128, "a:b", "{a}", "\x00\n", " "]


def text(number: int) -> Message:
    return {"textMessage": f"text {number}", "timestamp": NOW + number, "author": ALICE}


def keyed(key: str = "k", digest: bytes = ONE, **more: Any) -> SendConditions:
    return SendConditions(key=key, digest=digest, **more)


async def send(
    peer: Peer, number: int, conditions: SendConditions, who: Actor | None = None, room: RoomName = ROOM
) -> SendResult:
    return await peer.store.room_send(room, who or actor(ALICE), text(number), conditions)


class SendSuite(StoreTests):
    """Sends that are stored once per key, or only after a known message."""

    async def test_repeat_stores_and_publishes_nothing(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await peer.enter(ALICE, S1)
        await peer.room_told()
        for number, key in enumerate(KEYS, 1):
            assert await send(peer, number, keyed(key)) == SendResult(number, False)
        assert await peer.store.room_message(ROOM, SYSTEM, text(8)) == 8
        for number, key in enumerate(KEYS, 1):
            for each in (peer, other):
                assert await send(each, 100 + number, keyed(key)) == SendResult(number, True)
        stored = [{**text(number), "id": number} for number in range(1, 9)]
        assert await peer.room_told() == [told("roomMessage", ROOM, message) for message in stored]
        assert await other.store.room_recent_history(ROOM, SYSTEM, 20) == stored[::-1]
        info = await peer.store.room_history_info(ROOM, SYSTEM)
        assert info.last_message_id == 8

    async def test_key_belongs_to_sender_and_room(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig())
        senders = [Actor(ALICE, True), Actor(BOB, True), SYSTEM]
        for number, who in enumerate(senders, 1):
            assert await send(peer, 1, keyed(), who) == SendResult(number, False)
            assert await send(peer, 1, keyed(), who, HALL) == SendResult(number, False)
        for number, who in enumerate(senders, 1):
            assert await send(peer, 1, keyed(), who) == SendResult(number, True)

    async def test_other_message_is_a_conflict(self, peer: Peer) -> None:
        await send(peer, 1, keyed(), SYSTEM)
        with raises_error("idempotencyConflict", "k"):
            await send(peer, 2, keyed(digest=OTHER), SYSTEM)
        assert await send(peer, 2, keyed("another", OTHER), SYSTEM) == SendResult(2, False)

    async def test_key_comes_before_the_rules(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await send(peer, 1, keyed())
        await peer.leave(ALICE, S1)
        assert await send(peer, 1, keyed()) == SendResult(1, True)
        await peer.enter(ALICE, S1)
        await peer.store.room_change_list(ROOM, SYSTEM, "blacklist", NOW, add=[ALICE], limit=5)
        assert await send(peer, 1, keyed()) == SendResult(1, True)
        with raises_error("idempotencyConflict", "k"):
            await send(peer, 1, keyed(digest=OTHER))
        with raises_error("notJoined", ROOM):
            await send(peer, 1, keyed("another"))

    async def test_refused_send_leaves_no_key(self, peer: Peer) -> None:
        with raises_error("notJoined", ROOM):
            await send(peer, 1, keyed())
        await peer.enter(ALICE, S1)
        with raises_error("conflict", 0):
            await send(peer, 1, keyed(expected_last_id=1))
        assert await send(peer, 1, keyed()) == SendResult(1, False)

    async def test_key_belongs_to_one_life_of_the_room(self, peer: Peer) -> None:
        await send(peer, 1, keyed(), SYSTEM)
        await peer.store.room_delete(ROOM, SYSTEM)
        with raises_error("noRoom", ROOM):
            await send(peer, 1, keyed(), SYSTEM)
        await peer.store.room_create(ROOM, RoomConfig())
        assert await send(peer, 2, keyed(digest=OTHER), SYSTEM) == SendResult(1, False)

    async def test_key_outlives_an_epoch(self, peer: Peer) -> None:
        await send(peer, 1, keyed(), SYSTEM)
        epoch = (await peer.store.room_history_info(ROOM, SYSTEM)).cursor.epoch
        await peer.store.room_renew(ROOM, epoch, NOW)
        assert await send(peer, 1, keyed(), SYSTEM) == SendResult(1, True)

    async def test_key_outlives_its_message(self, peer: Peer) -> None:
        for size in (1, 0):
            await peer.store.room_set_history_max_size(ROOM, size)
            key = f"key {size}"
            sent = await send(peer, 1, keyed(key), SYSTEM)
            await peer.store.room_message(ROOM, SYSTEM, text(2))
            assert await send(peer, 1, keyed(key), SYSTEM) == SendResult(sent.id, True)

    async def test_key_expires(self, peer: Peer) -> None:
        conditions = keyed(window=0.05)
        assert await send(peer, 1, conditions, SYSTEM) == SendResult(1, False)
        assert await send(peer, 1, keyed("kept"), SYSTEM) == SendResult(2, False)

        async def is_sent_again() -> bool:
            return not (await send(peer, 1, conditions, SYSTEM)).is_duplicate

        await wait_until(is_sent_again, "the key has expired")
        assert await send(peer, 1, keyed("kept"), SYSTEM) == SendResult(2, True)

    async def test_values_that_json_cannot_hold(self, peer: Peer) -> None:
        message = {"data": b"\x00\xff", "id": 77}
        for duplicate in (False, True):
            sent = await peer.store.room_send(ROOM, SYSTEM, dict(message), keyed())
            assert sent == SendResult(1, duplicate)
        assert await peer.store.room_recent_history(ROOM, SYSTEM, 5) == [{"data": b"\x00\xff", "id": 1}]

    async def test_concurrent_repeats_are_stored_once(self, peers: Peers, peer: Peer) -> None:
        crowd = [peer, *await peers.open_many(2)]
        sends = [send(crowd[at % 3], 1, keyed(f"k{at % 4}"), SYSTEM) for at in range(48)]
        results = await asyncio.gather(*sends)
        first = [result for result in results if not result.is_duplicate]
        assert sorted(result.id for result in first) == [1, 2, 3, 4]
        for at in range(4):
            assert len({result.id for result in results[at::4]}) == 1
        assert len(await peer.store.room_recent_history(ROOM, SYSTEM, 100)) == 4

    # The expected last id

    async def test_expected_last_id(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        assert await send(peer, 1, SendConditions(expected_last_id=0)) == SendResult(1, False)
        assert await send(peer, 2, SendConditions(expected_last_id=1)) == SendResult(2, False)
        for expected in (0, 1, 3, 2**53 - 1):
            with raises_error("conflict", 2):
                await send(peer, 3, SendConditions(expected_last_id=expected))
        assert await send(peer, 3, SendConditions()) == SendResult(3, False)
        with raises_error("notJoined", ROOM):
            await send(peer, 4, SendConditions(expected_last_id=0), actor(BOB))
        assert len(await peer.store.room_recent_history(ROOM, SYSTEM, 100)) == 3

    async def test_remembered_key_comes_before_the_expected_last_id(self, peer: Peer) -> None:
        conditions = keyed(expected_last_id=0)
        assert await send(peer, 1, conditions, SYSTEM) == SendResult(1, False)
        assert await send(peer, 1, conditions, SYSTEM) == SendResult(1, True)

    async def test_only_one_of_many_follows_a_message(self, peers: Peers, peer: Peer) -> None:
        crowd = [peer, *await peers.open_many(2)]
        sends = [send(crowd[at % 3], at, SendConditions(expected_last_id=0), SYSTEM) for at in range(12)]
        results = await asyncio.gather(*sends, return_exceptions=True)
        assert results.count(SendResult(1, False)) == 1
        refused = [error for error in results if isinstance(error, ChatServiceError)]
        assert {(error.code, error.arguments) for error in refused} == {("conflict", (1,))}
        assert len(refused) == 11

    # Histories with their epoch

    @pytest.mark.parametrize("binary", [False, True])
    async def test_page_is_the_history_with_its_epoch(self, peer: Peer, binary: bool) -> None:
        store = peer.store
        await peer.enter(ALICE, S1)
        for number in range(1, 6):
            message = {**text(number), "data": b"\x00"} if binary else text(number)
            await store.room_message(ROOM, SYSTEM, message)
        epochs = set()
        for who in (SYSTEM, actor(ALICE)):
            epoch = (await store.room_history_info(ROOM, SYSTEM)).cursor.epoch
            epochs.add(epoch)
            assert await store.room_history_page(ROOM, who, None, 3) == (
                await store.room_recent_history(ROOM, who, 3),
                epoch,
            )
            for after in (0, 1, 4, 5, 9):
                expected = (await store.room_history(ROOM, who, after, 3), epoch)
                assert await store.room_history_page(ROOM, who, after, 3) == expected
            await store.room_renew(ROOM, epoch, NOW)
            await peer.enter(ALICE, S2)
        assert len(epochs) == 2

    async def test_page_needs_the_right_to_read(self, peer: Peer) -> None:
        for after in (None, 0, 1):
            with raises_error("notJoined", ROOM):
                await peer.store.room_history_page(ROOM, actor(BOB), after, 3)
        await peer.store.room_change_list(ROOM, SYSTEM, "adminlist", NOW, add=[BOB], limit=5)
        for after in (None, 0, 1):
            assert (await peer.store.room_history_page(ROOM, actor(BOB), after, 3)).messages == []
