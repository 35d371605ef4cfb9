"""A room's history: a circular buffer with dense ids, and its reads."""

from typing import Any

import pytest

from chat_service import ChatService
from chat_service.testing import InProcessClient
from tests.support.backends import ONE_STORE
from tests.support.spread import StartSpread
from tests.support.wire_errors import wire_error
from tests.support.world import World


async def post(client: InProcessClient, count: int) -> None:
    for _ in range(count):
        message_id = await client.call("roomMessage", "room", {"textMessage": "x"})
        await client.wait_for("roomMessage", "room")
        assert message_id > 0


def ids(messages: list[dict[str, Any]]) -> list[int]:
    return [message["id"] for message in messages]


async def by_server(service: ChatService, command: str, *args: Any) -> list[int]:
    [messages] = await service.exec_user_command(True, command, "room", *args)
    return ids(messages)


@pytest.mark.covers("command:roomHistoryGet", "command:roomRecentHistory", "command:roomHistoryInfo")
async def test_an_empty_history(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    assert await alice.call("roomRecentHistory", "room") == []
    assert await alice.call("roomHistoryGet", "room", 0, 10) == []
    assert await alice.call("roomHistoryGet", "room", 5, 10) == []
    info = await alice.call("roomHistoryInfo", "room")
    assert len(info.pop("epoch")) >= 16
    assert info == {
        "historySize": 0,
        "historyMaxSize": 10000,
        "historyMaxGetMessages": 100,
        "lastMessageId": 0,
    }


@pytest.mark.covers("command:roomHistoryGet", "better:history after rotation")
@pytest.mark.parametrize(
    ("after", "limit", "expected"),
    [
        # 12 were sent, 8 are kept: 5 to 12.
        (12, 5, []),
        (13, 5, []),
        (10**12, 5, []),
        (11, 5, [12]),
        (7, 3, [10, 9, 8]),
        (4, 8, [12, 11, 10, 9, 8, 7, 6, 5]),
        (4, 1, [5]),
        (4, 100, [12, 11, 10, 9, 8, 7, 6, 5]),
        (5, 2, [7, 6]),
        # The next ones were rotated out: the answer starts at the oldest stored one.
        (3, 2, [6, 5]),
        (1, 2, [6, 5]),
        (0, 1, [5]),
        (0, 100, [12, 11, 10, 9, 8, 7, 6, 5]),
    ],
)
async def test_history_get_after_rotation(
    spread: StartSpread, after: int, limit: int, expected: list[int]
) -> None:
    nodes = await spread(history_max_size=8)
    await nodes.service.add_room("room", owner="owner")
    alice, owner = await nodes[0].joined("alice", "room"), await nodes[1].login("owner")
    await post(alice, 12)
    for client in (alice, owner):
        assert ids(await client.call("roomHistoryGet", "room", after, limit)) == expected
    assert await by_server(nodes[2].service, "roomHistoryGet", after, limit) == expected


@pytest.mark.covers("command:roomHistoryGet")
async def test_paging_by_ids_finds_every_message_once(world: World) -> None:
    instance = await world.start(history_max_get_messages=4)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    await post(alice, 10)
    found: list[int] = []
    while page := await alice.call("roomHistoryGet", "room", max(found, default=0), 100):
        assert len(page) <= 4
        found += reversed(ids(page))
    assert found == list(range(1, 11))


@pytest.mark.covers("command:roomHistoryGet", "command:roomRecentHistory", "option:history_max_get_messages")
async def test_limits_apply_to_users_but_not_to_bypassing_calls(world: World) -> None:
    instance = await world.start(history_max_get_messages=3)
    service = instance.service
    await service.add_room("room", owner="alice")
    alice = await instance.joined("alice", "room")
    await post(alice, 5)
    assert ids(await alice.call("roomHistoryGet", "room", 0, 5)) == [3, 2, 1]
    assert ids(await alice.call("roomHistoryGet", "room", 0, 2)) == [2, 1]
    assert ids(await alice.call("roomRecentHistory", "room")) == [5, 4, 3]
    assert (await alice.call("roomHistoryInfo", "room"))["historyMaxGetMessages"] == 3
    assert await by_server(service, "roomHistoryGet", 0, 5) == [5, 4, 3, 2, 1]
    assert await by_server(service, "roomRecentHistory") == [5, 4, 3]
    [messages] = await service.exec_user_command("alice", "roomHistoryGet", "room", 0, 5)
    assert ids(messages) == [3, 2, 1]


@pytest.mark.covers("command:roomHistoryInfo", "command:roomRecentHistory", "option:history_max_size")
async def test_the_history_is_a_circular_buffer(world: World) -> None:
    instance = await world.start(history_max_size=3)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    for last in range(1, 9):
        await post(alice, 1)
        size = min(last, 3)
        info = await alice.call("roomHistoryInfo", "room")
        assert (info["historySize"], info["historyMaxSize"], info["lastMessageId"]) == (size, 3, last)
        kept = list(range(last, last - size, -1))
        assert ids(await alice.call("roomRecentHistory", "room")) == kept
        assert ids(await alice.call("roomHistoryGet", "room", 0, 100)) == kept


@pytest.mark.covers("option:history_max_size", "command:roomHistoryInfo", "command:roomHistoryGet")
async def test_an_empty_history_still_counts_ids(spread: StartSpread) -> None:
    nodes = await spread(history_max_size=0)
    await nodes.service.add_room("room")
    alice, bob = await nodes[0].joined("alice", "room"), await nodes[1].joined("bob", "room")
    for number in (1, 2, 3):
        assert await alice.call("roomMessage", "room", {"textMessage": "x"}) == number
        assert (await bob.wait_for("roomMessage"))[1]["id"] == number
    assert await bob.call("roomRecentHistory", "room") == []
    assert await bob.call("roomHistoryGet", "room", 0, 10) == []
    info = await bob.call("roomHistoryInfo", "room")
    assert (info["historySize"], info["historyMaxSize"], info["lastMessageId"]) == (0, 0, 3)


@pytest.mark.covers("api:change_room_history_max_size")
async def test_resizing_keeps_the_newest_messages(spread: StartSpread) -> None:
    nodes = await spread()
    service = nodes[1].service
    await service.add_room("room", history_max_size=5)
    alice = await nodes[0].joined("alice", "room")
    await post(alice, 7)

    async def kept() -> list[int]:
        return ids(await alice.call("roomRecentHistory", "room"))

    assert await kept() == [7, 6, 5, 4, 3]
    await service.change_room_history_max_size("room", 2)
    assert await kept() == [7, 6]
    await service.change_room_history_max_size("room", 4)
    assert await kept() == [7, 6]
    await post(alice, 3)
    assert await kept() == [10, 9, 8, 7]
    await service.change_room_history_max_size("room", 0)
    assert await kept() == []
    await post(alice, 1)
    assert await kept() == []
    await service.change_room_history_max_size("room", 2)
    await post(alice, 3)
    assert await kept() == [14, 13]
    info = await alice.call("roomHistoryInfo", "room")
    assert (info["historySize"], info["historyMaxSize"], info["lastMessageId"]) == (2, 2, 14)


@pytest.mark.covers("command:roomHistoryGet", "error:badArgument")
@pytest.mark.parametrize(
    ("args", "position"),
    [((-1, 1), 1), ((0.5, 1), 1), ((2**53, 1), 1), ((0, 0), 2), ((0, -1), 2), ((0, 1.5), 2), ((-1, 0), 1)],
)
@ONE_STORE
async def test_ids_start_at_0_and_limits_at_1(world: World, args: tuple[Any, ...], position: int) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    expected = wire_error("badArgument", position, args[position - 1])
    assert await alice.error("roomHistoryGet", "room", *args) == expected


@pytest.mark.covers("command:roomHistoryGet")
async def test_whole_numbers_may_come_as_floats(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    await post(alice, 4)
    assert ids(await alice.call("roomHistoryGet", "room", 1.0, 2.0)) == [3, 2]


@pytest.mark.covers("option:history_max_get_messages", "error:noRoom", "error:notJoined")
async def test_histories_that_cannot_be_read_are_empty(world: World) -> None:
    instance = await world.start(history_max_get_messages=0)
    service = instance.service
    await service.add_room("room", owner="owner")
    alice, bob = await instance.joined("alice", "room"), await instance.login("bob")
    await post(alice, 2)
    commands: list[list[Any]] = [
        ["roomHistoryGet", "room", 0, 5],
        ["roomHistoryGet", "room", 1, 1],
        ["roomRecentHistory", "room"],
    ]
    for command in commands:
        assert await alice.emit(*command) == [None, []]
        assert await bob.error(*command) == wire_error("notJoined", "room")
        assert await bob.error(command[0], "nowhere", *command[2:]) == wire_error("noRoom", "nowhere")
    assert (await alice.call("roomHistoryInfo", "room"))["historyMaxGetMessages"] == 0
    assert await by_server(service, "roomRecentHistory") == []
    # The limit of the option is for users.
    assert await by_server(service, "roomHistoryGet", 0, 5) == [2, 1]
