"""The bytes of histories.

An answer with 100 messages of 990 KB took 733 MB and blocked the loop for 5.6 s.
"""

import logging
from typing import Any

import pytest

from chat_service.contracts.records import SYSTEM
from chat_service.stores.redis import RedisStore
from chat_service.testing import InProcessClient
from chat_service.types import RoomName
from tests.conftest import BACKENDS
from tests.support.backends import Backend
from tests.support.parts import parts_of
from tests.support.wire_errors import raised
from tests.support.world import Instance, World

KB = 1000


def size_of(answer: Any) -> int:
    return sum(len(message["textMessage"]) for message in answer)


def ids(answer: Any) -> list[int]:
    return [message["id"] for message in answer]


async def filled(world: World, count: int, size: int, **options: Any) -> tuple[Instance, InProcessClient]:
    instance = await world.start(**options)
    await instance.service.add_room("room")
    for _ in range(count):
        await instance.service.exec_user_command(True, "roomMessage", "room", {"textMessage": "x" * size})
    return instance, await instance.joined("alice", "room")


@pytest.mark.covers("option:history_max_get_bytes", "command:roomHistoryGet", "command:roomRecentHistory")
async def test_a_client_that_pages_by_ids_gets_everything_in_bounded_answers(world: World) -> None:
    instance, alice = await filled(world, 23, 10 * KB, history_max_get_bytes=45 * KB)
    found: list[int] = []
    sizes: list[int] = []
    # As clients of the npm package do: from the last id that they have, until nothing comes.
    while page := await alice.call("roomHistoryGet", "room", found[-1] if found else 0, 100):
        sizes.append(size_of(page))
        found += ids(page)[::-1]
    assert found == list(range(1, 24))
    assert sizes == [40 * KB] * 5 + [30 * KB]
    for options in ((), ({"epoch": True},)):
        assert ids(await alice.call("roomRecentHistory", "room", *options)) == [23, 22, 21, 20]
        assert ids(await alice.call("roomHistoryGet", "room", 19, 100, *options)) == [23, 22, 21, 20]
    [everything] = await instance.service.exec_user_command(True, "roomHistoryGet", "room", 0, 100)
    assert len(everything) == 23


@pytest.mark.covers("option:history_max_get_bytes", "command:roomJoin")
async def test_a_join_with_a_cursor_is_bounded_and_says_that_there_is_more(world: World) -> None:
    instance, _ = await filled(world, 12, 10 * KB, history_max_get_bytes=45 * KB)
    epoch = (await parts_of(instance.service).store.room_history_info(RoomName("room"), SYSTEM)).cursor.epoch
    bob = await instance.login("bob")
    [error, _, history] = await bob.emit("roomJoin", "room", {"after": 2, "epoch": epoch})
    assert error is None
    assert (ids(history["messages"]), history["more"]) == ([3, 4, 5, 6], True)
    rest = await bob.call("roomHistoryGet", "room", 6, 100)
    assert ids(rest) == [10, 9, 8, 7]
    [_, _, newest] = await bob.emit("roomJoin", "room", {"recent": 10})
    assert (ids(newest["messages"]), newest["recovered"]) == ([9, 10, 11, 12], False)
    # Asked for by server code, on another instance than the socket's.
    other = await world.start(history_max_get_bytes=45 * KB)
    call = {"user_name": "bob", "id": bob.id}
    answer = await other.service.exec_user_command(
        call, "roomJoin", "room", options={"after": 2, "epoch": epoch}
    )
    assert (ids(answer[1]["messages"]), answer[1]["more"]) == ([3, 4, 5, 6], True)


@pytest.mark.covers("option:history_max_get_bytes")
async def test_by_default_an_answer_has_about_a_megabyte(world: World) -> None:
    _, alice = await filled(world, 12, 250 * KB)
    assert ids(await alice.call("roomRecentHistory", "room")) == [12, 11, 10, 9]
    assert ids(await alice.call("roomHistoryGet", "room", 0, 100)) == [4, 3, 2, 1]


@pytest.mark.covers("option:history_max_bytes", "api:change_room_history_max_bytes", "command:roomCreate")
async def test_a_room_keeps_a_bounded_number_of_bytes(world: World) -> None:
    instance, alice = await filled(world, 9, 10 * KB, history_max_bytes=45 * KB)
    service = instance.service
    info = await alice.call("roomHistoryInfo", "room")
    assert (info["historySize"], info["historyMaxSize"], info["lastMessageId"]) == (4, 10_000, 9)
    assert ids(await alice.call("roomRecentHistory", "room")) == [9, 8, 7, 6]
    # What follows an id that is dropped begins with the oldest one.
    assert ids(await alice.call("roomHistoryGet", "room", 2, 2)) == [7, 6]
    await service.change_room_history_max_bytes("room", 25 * KB)
    assert ids(await alice.call("roomHistoryGet", "room", 0, 9)) == [9, 8]
    await alice.call("roomCreate", "mine", False)
    await service.add_room("small", history_max_bytes=15 * KB)
    for room in ("mine", "small"):
        for _ in range(5):
            await service.exec_user_command(True, "roomMessage", room, {"textMessage": "x" * 10 * KB})
        [history] = await service.exec_user_command(True, "roomRecentHistory", room)
        assert ids(history) == ([5, 4, 3, 2] if room == "mine" else [5])
    assert await raised(service.change_room_history_max_bytes("nowhere", 1)) == ("noRoom", "nowhere")
    for size in (0, -1, 1.5, True, None):
        with pytest.raises(ValueError, match="history_max_bytes: expected a whole number, 1 or more"):
            await service.change_room_history_max_bytes("room", size)  # type: ignore[arg-type]


# Entries that somebody else has written: nobody else writes to the memory of this process.

OUTSIDE = pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "memory"], indirect=True)


async def corrupt(backend: Backend, position: int, entry: bytes) -> None:
    """Overwrite a stored message. The newest one is at 0."""
    store = backend.new_store()
    assert isinstance(store, RedisStore)
    key = store.keys.history(RoomName("room"))
    await store.client.open()
    await store.client.call(key, "LSET", key, position, entry)
    await store.client.close()


BAD = [b"", b"{", b"\x01\xc1", b"[1]", b'{"no":"id"}', b'"text"', b"\x01\x05\x05", b'{"id":"five"}']


@OUTSIDE
@pytest.mark.covers("command:roomHistoryGet", "command:roomRecentHistory", "command:roomJoin")
async def test_a_corrupt_entry_is_left_out_and_logged_once(
    world: World, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    instance, alice = await filled(world, 12, 10)
    for position, entry in enumerate(BAD):
        # Messages 3 to 10.
        await corrupt(backend, 2 + position, entry)
    epoch = (await alice.call("roomHistoryInfo", "room"))["epoch"]
    with caplog.at_level(logging.ERROR, "chat_service"):
        for _ in range(3):
            assert ids(await alice.call("roomRecentHistory", "room")) == [12, 11, 2, 1]
            assert ids(await alice.call("roomHistoryGet", "room", 1, 4)) == [2]
            # A client that asks for one message after the other comes past them.
            assert ids(await alice.call("roomHistoryGet", "room", 2, 1)) == [11]
            [history] = await instance.service.exec_user_command(True, "roomHistoryGet", "room", 0, 100)
            assert ids(history) == [12, 11, 2, 1]
        [_, _, joined] = await alice.emit("roomJoin", "room", {"after": 10, "epoch": epoch})
        assert (joined["recovered"], ids(joined["messages"])) == (True, [11, 12])
        # Something was missed that nobody can tell: not recovered.
        [_, _, joined] = await alice.emit("roomJoin", "room", {"after": 1, "epoch": epoch})
        assert (joined["recovered"], ids(joined["messages"])) == (False, [1, 2, 11, 12])
    told = [record.getMessage() for record in caplog.records if "corrupt" in record.getMessage()]
    assert len(told) == len(BAD)
    assert all("room room" in text and len(text) < 400 and text.isprintable() for text in told)
    assert await alice.call("roomMessage", "room", {"textMessage": "goes on"}) == 13


@OUTSIDE
async def test_the_log_of_corrupt_entries_is_bounded(
    world: World, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    _, alice = await filled(world, 120, 10, history_max_get_messages=200)
    for position in range(110):
        await corrupt(backend, position, b"%d" % position)
    with caplog.at_level(logging.ERROR, "chat_service"):
        assert ids(await alice.call("roomRecentHistory", "room")) == list(range(10, 0, -1))
    told = [record.getMessage() for record in caplog.records if "corrupt" in record.getMessage()]
    assert len(told) == 100
    assert "further corrupt messages are not logged" in told[-1]
