"""Joins with a cursor: one step returns the socket's position and the missed messages."""

import asyncio
from typing import Any

import pytest

from chat_service import MembershipInfo, rules
from chat_service.testing import InProcessClient, wait_until
from tests.support.backends import ONE_STORE
from tests.support.faults import FaultyStore, as_store
from tests.support.markers import room_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import wire_error
from tests.support.world import Instance, World

TEXT = {"textMessage": "tea"}

pytestmark = pytest.mark.covers("command:roomJoin")


async def post(instance: Instance, count: int, room: str = "room", message: dict[str, Any] = TEXT) -> None:
    for _ in range(count):
        await instance.service.exec_user_command(True, "roomMessage", room, message)


async def epoch_of(instance: Instance, room: str = "room") -> str:
    [info] = await instance.service.exec_user_command(True, "roomHistoryInfo", room)
    return str(info["epoch"])


async def join(client: InProcessClient, options: dict[str, Any], room: str = "room") -> dict[str, Any]:
    error, njoined, history = await client.emit("roomJoin", room, options)
    assert (error, njoined) == (None, 1)
    return dict(history)


def ids(history: dict[str, Any]) -> list[int]:
    return [message["id"] for message in history["messages"]]


def heard(client: InProcessClient) -> list[int]:
    return [message["id"] for _, message in client.received("roomMessage")]


@pytest.mark.parametrize("again", [False, True], ids=["first join", "joined already"])
async def test_the_answer_to_a_join_with_a_cursor(world: World, again: bool) -> None:
    """Nine messages were sent, the last six are stored, and four are read at once."""
    instance = await world.start(history_max_get_messages=4)
    await instance.service.add_room("room", history_max_size=6)
    await post(instance, 9)
    epoch = await epoch_of(instance)
    client = await instance.login("alice")
    if again:
        await client.call("roomJoin", "room")
    cases: list[tuple[dict[str, Any], bool, list[int], bool]] = [
        ({"after": 9, "epoch": epoch}, True, [], False),
        ({"after": 8, "epoch": epoch}, True, [9], False),
        ({"after": 5, "epoch": epoch}, True, [6, 7, 8, 9], False),
        ({"after": 4, "epoch": epoch}, True, [5, 6, 7, 8], True),
        ({"after": 3, "epoch": epoch}, True, [4, 5, 6, 7], True),
        # Message 3 is no longer stored.
        ({"after": 2, "epoch": epoch}, False, [6, 7, 8, 9], False),
        ({"after": 2, "epoch": epoch, "recent": 2}, False, [8, 9], False),
        ({"after": 10, "epoch": epoch}, False, [6, 7, 8, 9], False),
        ({"after": 8, "epoch": "another"}, False, [6, 7, 8, 9], False),
        ({"after": 0}, False, [6, 7, 8, 9], False),
        ({"recent": 3}, False, [7, 8, 9], False),
        ({"recent": 99}, False, [6, 7, 8, 9], False),
    ]
    for options, recovered, messages, more in cases:
        history = await join(client, options)
        found = (history["recovered"], ids(history), history["more"])
        assert found == (recovered, messages, more), options
        assert (history["epoch"], history["lastMessageId"]) == (epoch, 9)
        if not again:
            await client.call("roomLeave", "room")


async def test_everything_from_the_beginning(world: World) -> None:
    instance = await world.start(history_max_get_messages=2)
    await instance.service.add_room("room")
    client = await instance.login("alice")
    history = await join(client, {"after": 0})
    assert (history["recovered"], history["messages"], history["more"]) == (True, [], False)
    await client.call("roomLeave", "room")
    await post(instance, 3)
    history = await join(client, {"after": 0})
    assert (history["recovered"], ids(history), history["more"]) == (True, [1, 2], True)
    following = await client.call("roomHistoryGet", "room", 2, 2)
    assert [message["id"] for message in following] == [3]


@pytest.mark.parametrize(("stored", "read_at_once"), [(0, 10), (10, 0)])
async def test_rooms_and_services_without_history(world: World, stored: int, read_at_once: int) -> None:
    instance = await world.start(history_max_get_messages=read_at_once)
    await instance.service.add_room("room", history_max_size=stored)
    await post(instance, 2)
    epoch = await epoch_of(instance)
    client = await instance.login("alice")
    for after, recovered in ((2, True), (1, False), (0, False)):
        history = await join(client, {"after": after, "epoch": epoch})
        assert (history["recovered"], history["messages"], history["more"]) == (recovered, [], False)
        assert history["lastMessageId"] == 2


@ONE_STORE
@pytest.mark.covers("error:badArgument")
@pytest.mark.parametrize(
    "options",
    [
        {"after": 1},
        {"epoch": "x"},
        {"epoch": "x", "recent": 1},
        {"after": -1},
        {"after": "1"},
        {"after": 0, "recent": 0},
        {"recent": True},
        {"after": 1, "epoch": 5},
    ],
)
async def test_bad_options(world: World, options: dict[str, Any]) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    client = await instance.login("alice")
    assert await client.error("roomJoin", "room", options) == wire_error("badArgument", 1, options)
    assert await client.call("listOwnSockets") == {client.id: []}


async def test_epoch_of_an_earlier_life(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    await post(instance, 3)
    epoch = await epoch_of(instance)
    await instance.service.delete_room("room")
    await instance.service.add_room("room")
    await post(instance, 5)
    client = await instance.login("alice")
    history = await join(client, {"after": 3, "epoch": epoch})
    assert (history["recovered"], ids(history)) == (False, [1, 2, 3, 4, 5])
    assert history["epoch"] == await epoch_of(instance) != epoch


async def test_refused_joins_reveal_nothing(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room", whitelist_only=True)
    await post(instance, 1)
    client = await instance.login("alice")
    assert await client.emit("roomJoin", "room", {"after": 0}) == [wire_error("notAllowed"), None]
    assert await client.emit("roomJoin", "none", {"after": 0}) == [wire_error("noRoom", "none"), None]


async def test_the_answer_precedes_later_messages(world: World) -> None:
    """Also while ``on_join`` is slow: messages in the meantime follow the answer, each once."""
    entered, goes_on = asyncio.Event(), asyncio.Event()

    async def on_join(_: Any, info: MembershipInfo) -> None:
        if info.user_name == "alice":
            entered.set()
            await goes_on.wait()

    instance = await world.start(hooks={"on_join": on_join})
    await instance.service.add_room("room")
    bob = await instance.joined("bob", "room")
    await post(instance, 2)
    alice = await instance.login("alice")
    joining = asyncio.create_task(join(alice, {"after": 0}))
    await entered.wait()
    await post(instance, 2)
    await wait_until(lambda: heard(bob) == [1, 2, 3, 4], "bob has all")
    assert heard(alice) == []
    goes_on.set()
    history = await joining
    assert (ids(history), history["lastMessageId"]) == ([1, 2], 2)
    await room_marker(instance.service, "room", alice)
    assert heard(alice) == [3, 4, 5]


async def test_a_joined_socket_is_held_until_its_answer(world: World) -> None:
    goes_on = asyncio.Event()
    instance = await world.start()

    @instance.service.after("roomJoin")
    async def slow(call: Any) -> None:
        if call.options:
            await goes_on.wait()

    await instance.service.add_room("room")
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    await post(instance, 2)
    await wait_until(lambda: heard(alice) == [1, 2], "alice has all")
    epoch = await epoch_of(instance)
    joining = asyncio.create_task(join(alice, {"after": 1, "epoch": epoch}))
    await asyncio.sleep(0)
    await post(instance, 2)
    await wait_until(lambda: heard(bob) == [1, 2, 3, 4], "bob has all")
    assert heard(alice) == [1, 2]
    goes_on.set()
    history = await joining
    assert ids(history) == list(range(2, history["lastMessageId"] + 1))
    await room_marker(instance.service, "room", alice)
    assert heard(alice) == [1, 2, *range(history["lastMessageId"] + 1, 6)]


@pytest.mark.parametrize("stored", [0, 1], ids=["without history", "short history"])
async def test_a_joined_socket_that_has_everything_misses_nothing(world: World, stored: int) -> None:
    """Messages are stored, and rotated away, between the beginning of the join and its step in the store."""
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store))
    await instance.service.add_room("room", history_max_size=stored)
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    await post(instance, 2)
    await wait_until(lambda: heard(alice) == [1, 2], "alice has all")
    epoch = await epoch_of(instance)
    gate = store.faults.gate("room_join")
    joining = asyncio.create_task(join(alice, {"after": 2, "epoch": epoch}))
    await wait_until(lambda: store.faults.waiting == 1, "the join")
    await post(instance, 3)
    await wait_until(lambda: heard(bob) == [1, 2, 3, 4, 5], "bob has all")
    gate.set()
    history = await joining
    found = (history["lastMessageId"], history["recovered"], history["messages"], history["more"])
    assert found == (2, True, [], False)
    await room_marker(instance.service, "room", alice)
    assert heard(alice) == [1, 2, 3, 4, 5, 6]


@pytest.mark.covers("api:exec_user_command")
async def test_server_calls_join_sockets_anywhere(spread: StartSpread) -> None:
    instances = await spread()
    service = instances.service
    await service.add_room("room")
    await post(instances[0], 3)
    alice = await instances[1].login("alice")
    for _ in range(2):
        njoined, history = await service.exec_user_command(
            {"user_name": "alice", "id": alice.id}, "roomJoin", "room", options={"recent": 2}
        )
        assert (njoined, ids(history), history["lastMessageId"]) == (1, [2, 3], 3)
    await room_marker(service, "room", alice)
    assert heard(alice) == [4]


@pytest.mark.slow
@pytest.mark.unmeasured  # the others have covered it
async def test_ten_thousand_joins_against_a_stream_of_messages(world: World) -> None:
    """100 sockets join 100 times while messages are sent: none is missing and none comes twice."""
    instances = [await world.start(history_max_get_messages=1000) for _ in range(2)]
    await instances[0].service.add_room("room")
    clients = [await instances[number % 2].login(f"user{number}") for number in range(100)]
    is_over = False

    async def send() -> int:
        last = 0
        while not is_over:
            [last] = await instances[0].service.exec_user_command(True, "roomMessage", "room", TEXT)
            await asyncio.sleep(0)
        return last

    async def come_and_go(client: InProcessClient) -> tuple[int, list[int]]:
        """Returns the client's start position, and everything it has received since."""
        first = await join(client, {"recent": 1})
        cursor, got = first["lastMessageId"], list[int]()
        begin = cursor
        for _ in range(99):
            await client.call("roomLeave", "room")
            got += heard(client)
            cursor = max(cursor, *got[-1:], 0)
            client.clear()
            history = await join(client, {"after": cursor, "epoch": first["epoch"]})
            assert history["recovered"]
            got += ids(history)
            while history["more"]:
                page = await client.call("roomHistoryGet", "room", got[-1], 1000)
                page = [message["id"] for message in page if message["id"] <= history["lastMessageId"]]
                got += reversed(page)
                history["more"] = got[-1] < history["lastMessageId"]
        return begin, got

    sending = asyncio.create_task(send())
    results = await asyncio.gather(*map(come_and_go, clients))
    is_over = True
    await sending
    last = await room_marker(instances[0].service, "room", *clients)
    for client, (begin, got) in zip(clients, results, strict=True):
        assert [*got, *heard(client)] == list(range(begin + 1, last + 1)), client


def test_the_selection_has_no_gaps() -> None:
    """The rule itself, over every small history."""
    for last_id in range(5):
        for stored in range(last_id + 1):
            for after in (None, *range(last_id + 2)):
                for limit in range(4):
                    found = rules.select_history(
                        after, is_same=True, limit=limit, recent=limit, last_id=last_id, stored=stored
                    )
                    kept = range(last_id - stored + 1, last_id + 1)
                    selected = range(found.first, found.last + 1)
                    assert set(selected) <= set(kept) and len(selected) <= limit
                    if found.recovered:
                        assert after is not None and found.first == after + 1
                        assert found.more is (found.last < last_id)
                    else:
                        assert not found.more and found.last == last_id
                        assert after != last_id
