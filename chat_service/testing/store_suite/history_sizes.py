"""The bytes of histories: how many of them an answer has, and how many a room keeps."""

from collections.abc import Sequence

import pytest

from chat_service.contracts.records import SYSTEM, HistoryQuery, RoomConfig
from chat_service.testing.store_suite.base import ALICE, HALL, NOW, S1, Peer, Peers, StoreTests, actor
from chat_service.types import Message

#: Size of a message's text. The other fields, and what a store adds, have far fewer bytes.
KB = 1000


def ids(messages: Sequence[Message]) -> list[int]:
    return [message["id"] for message in messages]


def message(size: int, *, binary: bool = False) -> Message:
    """A message of about this number of bytes."""
    return {"file": b"\xff" * size} if binary else {"textMessage": "x" * size}


class HistorySizeSuite(StoreTests):
    """Limits of bytes."""

    async def _fill(self, peer: Peer, sizes: Sequence[int], *, binary: bool = False) -> None:
        await peer.store.room_create(HALL, RoomConfig())
        for size in sizes:
            await peer.store.room_message(HALL, SYSTEM, message(size, binary=binary))

    @pytest.mark.parametrize("binary", [False, True], ids=["texts", "binary"])
    async def test_an_answer_has_a_limit_of_bytes(self, peer: Peer, binary: bool) -> None:
        store = peer.store
        await self._fill(peer, [10 * KB] * 25, binary=binary)
        for budget, count in ((35 * KB, 3), (19 * KB, 1), (1, 1), (115 * KB, 11), (999 * KB, 25)):
            following = await store.room_history(HALL, SYSTEM, 0, 100, max_bytes=budget)
            assert ids(following) == list(range(count, 0, -1)), budget
            middle = await store.room_history(HALL, SYSTEM, 20, 100, max_bytes=budget)
            assert ids(middle) == list(range(min(20 + count, 25), 20, -1))
            recent = await store.room_recent_history(HALL, SYSTEM, 100, max_bytes=budget)
            assert ids(recent) == list(range(25, 25 - count, -1))
            for after, expected in ((0, following), (20, middle), (None, recent)):
                page = await store.room_history_page(HALL, SYSTEM, after, 100, max_bytes=budget)
                assert ids(page.messages) == ids(expected)
        # The number of messages is still a limit of its own.
        assert ids(await store.room_history(HALL, SYSTEM, 3, 2, max_bytes=35 * KB)) == [5, 4]
        assert ids(await store.room_recent_history(HALL, SYSTEM, 2, max_bytes=35 * KB)) == [25, 24]
        assert await store.room_history(HALL, SYSTEM, 25, 10, max_bytes=1) == []
        assert list(following[0]) == list((await store.room_history(HALL, SYSTEM, 24, 1))[0])

    async def test_large_and_small_messages_are_counted_one_by_one(self, peer: Peer) -> None:
        await self._fill(peer, [100, 30 * KB, 100, 100, 30 * KB, 100])
        store = peer.store

        async def pages(budget: int) -> list[list[int]]:
            found: list[list[int]] = []
            after = 0
            while page := await store.room_history(HALL, SYSTEM, after, 100, max_bytes=budget):
                found.append(ids(page)[::-1])
                after = page[0]["id"]
            return found

        assert await pages(31 * KB) == [[1, 2, 3, 4], [5, 6]]
        assert await pages(20 * KB) == [[1], [2], [3, 4], [5], [6]]
        assert ids(await store.room_recent_history(HALL, SYSTEM, 9, max_bytes=20 * KB)) == [6]
        assert ids(await store.room_recent_history(HALL, SYSTEM, 9, max_bytes=31 * KB)) == [6, 5, 4, 3]

    async def test_a_member_reads_as_the_server_does(self, peer: Peer) -> None:
        await self._fill(peer, [10 * KB] * 5)
        await peer.enter(ALICE, S1, room=HALL)
        for who in (SYSTEM, actor(ALICE)):
            found = await peer.store.room_history(HALL, who, 1, 9, max_bytes=25 * KB)
            assert ids(found) == [3, 2]

    async def test_a_join_reads_within_the_limit(self, peer: Peer) -> None:
        await self._fill(peer, [10 * KB] * 20)
        await peer.connect(ALICE, S1)

        async def join(after: int | None, *, limit: int = 100) -> tuple[bool, list[int], bool]:
            query = HistoryQuery(after=after, limit=limit, recent=100, max_bytes=35 * KB)
            joined = await peer.store.room_join(
                HALL, ALICE, S1, peer.instance_id, NOW, announce=True, query=query
            )
            assert joined.history is not None
            return joined.history.recovered, ids(joined.history.messages), joined.history.more

        assert await join(4) == (True, [5, 6, 7], True)
        assert await join(4, limit=2) == (True, [5, 6], True)
        assert await join(17) == (True, [18, 19, 20], False)
        assert await join(20) == (True, [], False)
        assert await join(None) == (False, [18, 19, 20], False)
        assert await join(99) == (False, [18, 19, 20], False)

    # What a room keeps

    async def _kept(self, peer: Peer) -> list[int]:
        """The ids of the stored messages. All ways to read them agree."""
        store = peer.store
        info = await store.room_history_info(HALL, SYSTEM)
        recent = ids(await store.room_recent_history(HALL, SYSTEM, 1000))
        assert ids(await store.room_history(HALL, SYSTEM, 0, 1000)) == recent
        assert info.size == len(recent) == (await store.room_summary(HALL)).history_size
        for after in range(max(info.last_message_id - 12, 0), info.last_message_id + 1):
            following = ids(await store.room_history(HALL, SYSTEM, after, 2))
            assert following[::-1] == [number for number in recent[::-1] if number > after][:2]
        return recent[::-1]

    async def _send(self, peer: Peer, *sizes: int, binary: bool = False) -> None:
        for size in sizes:
            await peer.store.room_message(HALL, SYSTEM, message(size, binary=binary))

    @pytest.mark.parametrize("binary", [False, True], ids=["texts", "binary"])
    async def test_a_room_keeps_so_many_bytes(self, peer: Peer, binary: bool) -> None:
        config = RoomConfig(history_max_size=8, history_max_bytes=55 * KB)
        await peer.store.room_create(HALL, config)
        await self._send(peer, *[10 * KB] * 4, binary=binary)
        assert await self._kept(peer) == [1, 2, 3, 4]
        await self._send(peer, *[10 * KB] * 9, binary=binary)
        assert await self._kept(peer) == [9, 10, 11, 12, 13]
        await self._send(peer, 100, 100, 100, binary=binary)
        assert await self._kept(peer) == [9, 10, 11, 12, 13, 14, 15, 16]
        await self._send(peer, 100, binary=binary)
        assert await self._kept(peer) == [10, 11, 12, 13, 14, 15, 16, 17]
        # One large message takes the place of many.
        await self._send(peer, 50 * KB, binary=binary)
        assert await self._kept(peer) == [14, 15, 16, 17, 18]
        # The newest one is kept, whatever its size.
        await self._send(peer, 90 * KB, binary=binary)
        assert await self._kept(peer) == [19]
        await self._send(peer, 100, 100, binary=binary)
        assert await self._kept(peer) == [20, 21]

    async def test_the_bytes_of_a_room_can_be_changed(self, peers: Peers, peer: Peer) -> None:
        other = await peers.open()
        await peer.store.room_create(HALL, RoomConfig(history_max_bytes=None))
        await self._send(peer, *[10 * KB] * 30)
        assert len(await self._kept(peer)) == 30
        await other.store.room_set_history_max_bytes(HALL, 125 * KB)
        assert await self._kept(peer) == list(range(19, 31))
        await self._send(peer, 10 * KB)
        await self._send(other, 10 * KB)
        assert await self._kept(peer) == list(range(21, 33))
        await peer.store.room_set_history_max_size(HALL, 5)
        assert await self._kept(peer) == list(range(28, 33))
        await peer.store.room_set_history_max_size(HALL, 100)
        await self._send(peer, *[10 * KB] * 9)
        assert await self._kept(peer) == list(range(30, 42))
        await peer.store.room_set_history_max_bytes(HALL, 999 * KB)
        await self._send(peer, *[10 * KB] * 9)
        assert await self._kept(peer) == list(range(30, 51))
        await peer.store.room_set_history_max_bytes(HALL, 1)
        assert await self._kept(peer) == [50]
        await peer.store.room_set_history_max_size(HALL, 0)
        await self._send(peer, 100)
        assert await self._kept(peer) == []
        await peer.store.room_set_history_max_size(HALL, 9)
        await peer.store.room_set_history_max_bytes(HALL, 15 * KB)
        await self._send(peer, 10 * KB, 4 * KB, 9 * KB)
        assert await self._kept(peer) == [53, 54]
