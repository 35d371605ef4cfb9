"""Messages and their history: ids, rotation, ranges and unchanged values."""

from collections.abc import Iterator
from typing import Any

import pytest

from chat_service.contracts.records import SYSTEM, Actor, HistoryQuery, RoomConfig
from chat_service.rules import select_history
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
    room_topic,
    told,
)
from chat_service.types import Message

#: Values that a client may send in a message.
VALUES: dict[str, Any] = {
    "text": "plain",
    "unicode": "grüße, мир, 世界, 👩‍👩‍👧, \u0000, \u2028, e\u0301",
    "empty": ["", b"", [], {}],
    "scalars": [None, True, False],
    "integers": [0, -1, 2**31, 2**53, -(2**63), 2**63 - 1],
    "floats": [0.5, -1e-300, 1.7976931348623157e308],
    "binary": [b"\x00\xff\xfe", bytes(range(256))],
    "nested": {"a": [{"b": [[{"c": b"\x80"}]]}, None], "ключ": {"": "empty key"}},
    "deep": [[[[[[[[[[[[[[[["bottom"]]]]]]]]]]]]]]]],
    "long": "x" * 100_000,
    "large": b"\xa5" * 100_000,
    "like a number": {"1": "1", "1.0": "01"},
    "like an id": {"id": 5, "author": None, "timestamp": -1},
}


def text(number: int) -> Message:
    return {"textMessage": f"text {number}", "timestamp": NOW + number, "author": ALICE}


def stored(number: int) -> Message:
    return {**text(number), "id": number}


def newest_first(first: int, last: int) -> list[Message]:
    """The stored messages with these ids."""
    return [stored(number) for number in range(last, first - 1, -1)]


def queries(last_id: int, epoch: str) -> Iterator[HistoryQuery]:
    """Joins with every cursor around a history."""
    for after in (None, *range(last_id + 2)):
        for known in (None, epoch, "another"):
            for limit, recent in ((0, 0), (1, 3), (2, 1), (99, 99)):
                yield HistoryQuery(after=after, epoch=known, limit=limit, recent=recent)


async def fill(peer: Peer, count: int, history_max_size: int) -> None:
    """Create a room ``hall`` and send it ``count`` messages."""
    await peer.store.room_create(HALL, RoomConfig(history_max_size=history_max_size))
    for number in range(1, count + 1):
        assert await peer.store.room_message(HALL, SYSTEM, text(number)) == number


class MessageSuite(StoreTests):
    """Messages of rooms."""

    # Sending

    async def test_message_is_stored_and_published(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await other.hear(room_topic(ROOM))
        await peer.enter(ALICE, S1)
        await peer.room_told()
        await other.room_told()
        assert await peer.store.room_message(ROOM, actor(ALICE), text(1)) == 1
        assert await other.store.room_message(ROOM, SYSTEM, text(2)) == 2
        for each in (peer, other):
            events = await each.room_events()
            assert [event.last_message_id for event in events] == [1, 2]
            assert [[event.event, *event.args] for event in events] == [
                ["roomMessage", ROOM, stored(1)],
                ["roomMessage", ROOM, stored(2)],
            ]
            assert all(event.is_message and not event.exclude and not event.removed for event in events)
            assert await each.store.room_recent_history(ROOM, SYSTEM, 10) == newest_first(1, 2)

    async def test_only_joined_users_send(self, peer: Peer) -> None:
        await peer.store.room_set_owner(ROOM, NOW, BOB)
        await peer.connect(BOB, S1)
        for sender in (actor(BOB), actor(ALICE), Actor(name=None)):
            with raises_error("notJoined", ROOM):
                await peer.store.room_message(ROOM, sender, text(1))
        assert await peer.room_told() == []
        assert (await peer.store.room_history_info(ROOM, SYSTEM)).last_message_id == 0
        await peer.join(BOB, S1)
        assert await peer.store.room_message(ROOM, actor(BOB), text(1)) == 1
        await peer.leave(BOB, S1)
        with raises_error("notJoined", ROOM):
            await peer.store.room_message(ROOM, actor(BOB), text(2))
        assert await peer.store.room_message(ROOM, Actor(name=BOB, bypass=True), text(2)) == 2

    async def test_the_room_assigns_ids(self, peer: Peer) -> None:
        for number in (1, 2):
            assert await peer.store.room_message(ROOM, SYSTEM, {**text(number), "id": 77}) == number
        assert await peer.store.room_recent_history(ROOM, SYSTEM, 10) == newest_first(1, 2)

    @pytest.mark.parametrize("name", VALUES)
    async def test_values_are_returned_unchanged(self, peer: Peer, name: str) -> None:
        message = {name: VALUES[name], "author": ALICE}
        assert await peer.store.room_message(ROOM, SYSTEM, dict(message)) == 1
        expected = {**message, "id": 1}
        assert await peer.room_told() == [told("roomMessage", ROOM, expected)]
        (found,) = await peer.store.room_recent_history(ROOM, SYSTEM, 1)
        assert found == expected
        # Equality alone would accept True for 1 and 1 for 1.0.
        assert repr(sorted(found.items())) == repr(sorted(expected.items()))

    async def test_history_is_safe_from_changes(self, peer: Peer) -> None:
        message: Message = {"list": ["a"], "author": ALICE}
        await peer.store.room_message(ROOM, SYSTEM, message)
        message["list"].append("b")
        message["author"] = BOB
        expected = [{"list": ["a"], "author": ALICE, "id": 1}]
        found = await peer.store.room_recent_history(ROOM, SYSTEM, 1)
        assert found == expected
        found[0]["list"].append("c")
        assert await peer.store.room_history(ROOM, SYSTEM, 0, 1) == expected

    # Reading

    @pytest.mark.parametrize(
        ("count", "max_size"), [(0, 5), (3, 5), (5, 5), (6, 5), (14, 5), (3, 1)], ids=str
    )
    async def test_ranges(self, peer: Peer, count: int, max_size: int) -> None:
        await fill(peer, count, max_size)
        kept = [stored(number) for number in range(1, count + 1)][-max_size:]
        for limit in (1, 2, max_size, max_size + 1, 10_000):
            recent = await peer.store.room_recent_history(HALL, SYSTEM, limit)
            assert recent == kept[-limit:][::-1]
            for after in (*range(count + 2), 2**53):
                following = [message for message in kept if message["id"] > after]
                found = await peer.store.room_history(HALL, SYSTEM, after, limit)
                assert found == following[:limit][::-1], (after, limit)

    async def test_info(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig(history_max_size=3))
        await peer.hear(room_topic(HALL))
        for number in range(1, 6):
            await peer.store.room_message(HALL, SYSTEM, text(number))
            info = await peer.store.room_history_info(HALL, SYSTEM)
            assert (info.size, info.max_size, info.last_message_id) == (min(number, 3), 3, number)
            (event,) = await peer.room_events(HALL)
            assert info.cursor == event.cursor

    async def test_only_joined_users_read(self, peer: Peer) -> None:
        await peer.store.room_message(ROOM, SYSTEM, text(1))
        await peer.enter(ALICE, S1)
        assert await peer.store.room_history(ROOM, actor(ALICE), 0, 5) == [stored(1)]
        for reader in (actor(BOB), Actor(name=None)):
            with raises_error("notJoined", ROOM):
                await peer.store.room_history(ROOM, reader, 0, 5)

    # Rotation

    async def test_size_zero_keeps_nothing(self, peer: Peer) -> None:
        await fill(peer, 3, 0)
        assert await peer.store.room_recent_history(HALL, SYSTEM, 10) == []
        assert await peer.store.room_history(HALL, SYSTEM, 0, 10) == []
        info = await peer.store.room_history_info(HALL, SYSTEM)
        assert (info.size, info.max_size, info.last_message_id) == (0, 0, 3)

    async def test_size_zero_still_publishes(self, peer: Peer) -> None:
        await peer.store.room_set_history_max_size(ROOM, 0)
        for number in (1, 2):
            await peer.store.room_message(ROOM, SYSTEM, text(number))
        assert await peer.room_told() == [told("roomMessage", ROOM, stored(number)) for number in (1, 2)]

    async def test_resizing(self, peer: Peer) -> None:
        await fill(peer, 7, 5)  # The ring has wrapped and holds messages 3 to 7.
        store = peer.store

        async def check(first: int, last: int, max_size: int) -> None:
            assert await store.room_recent_history(HALL, SYSTEM, 100) == newest_first(first, last)
            assert await store.room_history(HALL, SYSTEM, 0, 2) == newest_first(first, min(first + 1, last))
            info = await store.room_history_info(HALL, SYSTEM)
            assert (info.size, info.max_size, info.last_message_id) == (last - first + 1, max_size, last)

        await check(3, 7, 5)
        await store.room_set_history_max_size(HALL, 5)
        await check(3, 7, 5)
        await store.room_set_history_max_size(HALL, 3)
        await check(5, 7, 3)
        await store.room_message(HALL, SYSTEM, text(8))
        await check(6, 8, 3)
        # Dropped messages do not come back.
        await store.room_set_history_max_size(HALL, 10)
        await check(6, 8, 10)
        for number in range(9, 21):
            await store.room_message(HALL, SYSTEM, text(number))
        await check(11, 20, 10)
        await store.room_set_history_max_size(HALL, 0)
        await check(21, 20, 0)
        await store.room_message(HALL, SYSTEM, text(21))
        await store.room_set_history_max_size(HALL, 2)
        await check(22, 21, 2)
        for number in (22, 23, 24):
            await store.room_message(HALL, SYSTEM, text(number))
        await check(23, 24, 2)

    async def test_resizing_publishes_nothing(self, peer: Peer) -> None:
        await peer.store.room_message(ROOM, SYSTEM, text(1))
        await peer.room_told()
        for size in (0, 5):
            await peer.store.room_set_history_max_size(ROOM, size)
        assert await peer.room_told() == []

    async def test_messages_stay_after_their_author_leaves(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.enter(BOB, S2)
        await peer.store.room_message(ROOM, actor(ALICE), text(1))
        await peer.store.room_remove_users(ROOM, [ALICE], NOW)
        assert await peer.store.room_recent_history(ROOM, actor(BOB), 5) == [stored(1)]

    @pytest.mark.parametrize(("sent", "kept"), [(0, 3), (2, 3), (5, 3), (5, 0)])
    async def test_joins_read_what_the_rule_selects(self, peer: Peer, sent: int, kept: int) -> None:
        await fill(peer, sent, kept)
        await peer.connect(ALICE, S1)
        first = await peer.join(ALICE, S1, HALL)
        assert first.history is None
        epoch = first.cursor.epoch
        for query in queries(sent, epoch):
            selected = select_history(
                query.after,
                is_same=query.epoch in (None, epoch),
                limit=query.limit,
                recent=query.recent,
                last_id=sent,
                stored=min(sent, kept),
            )
            joined = await peer.store.room_join(
                HALL, ALICE, S1, peer.instance_id, NOW, announce=True, query=query
            )
            history = joined.history
            assert history is not None
            assert (history.recovered, history.more) == (selected.recovered, selected.more), query
            oldest_first = [stored(number) for number in range(selected.first, selected.last + 1)]
            assert list(history.messages) == oldest_first, query
            assert (joined.changed, joined.last_message_id) == (False, sent)

    async def test_first_join_reads_in_its_step(self, peer: Peer) -> None:
        await fill(peer, 3, 3)
        await peer.connect(ALICE, S1)
        query = HistoryQuery(after=1, limit=1, recent=0)
        joined = await peer.store.room_join(
            HALL, ALICE, S1, peer.instance_id, NOW, announce=True, query=query
        )
        assert joined.history is not None and joined.changed
        assert (list(joined.history.messages), joined.history.more) == ([stored(2)], True)
