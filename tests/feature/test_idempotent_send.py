"""Messages with an idempotency key are stored once, no matter how often they are sent."""

import asyncio
from typing import Any

import pytest

from chat_service import StoreTimeoutError
from chat_service.hooks import CommandCall
from chat_service.testing import InProcessClient, wait_until
from tests.support.backends import ONE_STORE
from tests.support.faults import FaultyStore, as_store
from tests.support.wire_errors import raised, wire_error
from tests.support.world import Instance, World

TEA, MILK = {"textMessage": "tea"}, {"textMessage": "milk"}
KEY = {"idempotencyKey": "k"}
AGAIN = {"duplicate": True}
CONFLICT = wire_error("idempotencyConflict", "k")


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = await world.start()
    await instance.service.add_room("room", owner="owner")
    return instance


@pytest.fixture
async def alice(instance: Instance) -> InProcessClient:
    return await instance.joined("alice", "room")


async def texts(instance: Instance, room: str = "room") -> list[str]:
    """The stored messages of the room, oldest first."""
    [found] = await instance.service.exec_user_command(True, "roomRecentHistory", room)
    return [message["textMessage"] for message in reversed(found)]


@pytest.mark.covers("command:roomMessage")
async def test_a_repeat_gets_the_first_id(instance: Instance, alice: InProcessClient) -> None:
    bob = await instance.joined("bob", "room")
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1]
    assert await alice.emit("roomMessage", "room", MILK) == [None, 2]
    for _ in range(2):
        assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1, AGAIN]
    assert await alice.emit("roomMessage", "room", MILK, {"idempotencyKey": "k2"}) == [None, 3]
    assert await texts(instance) == ["tea", "milk", "milk"]
    for number in (1, 2, 3):
        assert (await bob.wait_for("roomMessage"))[1]["id"] == number
    assert bob.received("roomMessage") == []


async def test_a_repeat_through_another_instance_and_socket(
    world: World, instance: Instance, alice: InProcessClient
) -> None:
    other = await world.start()
    phone = await other.login("alice")
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1]
    # It has not even joined.
    assert await phone.emit("roomMessage", "room", TEA, KEY) == [None, 1, AGAIN]
    carol = await other.joined("carol", "room")
    assert await carol.emit("roomMessage", "room", MILK, KEY) == [None, 2]
    assert await texts(instance) == ["tea", "milk"]


@pytest.mark.covers("error:idempotencyConflict")
async def test_a_key_belongs_to_one_message(instance: Instance, alice: InProcessClient) -> None:
    await alice.call("roomMessage", "room", TEA, KEY)
    assert await alice.error("roomMessage", "room", MILK, KEY) == CONFLICT
    assert await texts(instance) == ["tea"]


@ONE_STORE
async def test_equal_messages_match_in_every_encoding(world: World) -> None:
    instance = await world.start(hooks={"room_messages_checker": lambda message: None})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    first = {"a": 1, "b": [5.0, b"\x00"], "c": {"x": None, "y": True}}
    second = {"c": {"y": True, "x": None}, "b": (5, bytearray(b"\x00")), "a": 1}
    assert await alice.emit("roomMessage", "room", first, KEY) == [None, 1]
    assert await alice.emit("roomMessage", "room", second, KEY) == [None, 1, AGAIN]
    assert await alice.error("roomMessage", "room", {**first, "a": True}, KEY) == CONFLICT


@pytest.mark.parametrize("loss", ["left", "removed", "banned from the room"])
async def test_a_retry_without_access_still_gets_the_id(
    instance: Instance, alice: InProcessClient, loss: str
) -> None:
    await alice.call("roomMessage", "room", TEA, KEY)
    if loss == "left":
        await alice.call("roomLeave", "room")
    elif loss == "removed":
        await instance.service.exec_user_command(True, "roomSetWhitelistMode", "room", True)
    else:
        await instance.service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1, AGAIN]
    assert await alice.error("roomMessage", "room", MILK, KEY) == CONFLICT
    expected = wire_error("notJoined", "room")
    assert await alice.error("roomMessage", "room", TEA, {"idempotencyKey": "k2"}) == expected


@pytest.mark.covers("error:noRoom")
async def test_a_key_ends_with_its_room(instance: Instance, alice: InProcessClient) -> None:
    await alice.call("roomMessage", "room", TEA, KEY)
    await instance.service.delete_room("room")
    assert await alice.error("roomMessage", "room", TEA, KEY) == wire_error("noRoom", "room")
    await instance.service.add_room("room")
    assert await alice.error("roomMessage", "room", TEA, KEY) == wire_error("notJoined", "room")
    await alice.call("roomJoin", "room")
    assert await alice.emit("roomMessage", "room", MILK, KEY) == [None, 1]


async def test_a_deleted_room_leaves_keys_that_expire(instance: Instance, alice: InProcessClient) -> None:
    """The backend checks for leftovers at the end of each test."""
    await alice.call("roomMessage", "room", TEA, KEY)
    await instance.service.delete_room("room")
    assert await alice.error("roomMessage", "room", TEA, KEY) == wire_error("noRoom", "room")


@pytest.mark.covers("option:idempotency_window")
async def test_a_key_is_remembered_for_the_window(world: World) -> None:
    instance = await world.start(idempotency_window=0.05)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1]

    async def is_stored_again() -> bool:
        return await alice.emit("roomMessage", "room", TEA, KEY) == [None, 2]

    await wait_until(is_stored_again, "the key is forgotten")
    assert await texts(instance) == ["tea", "tea"]


@pytest.mark.covers("error:timeout")
async def test_a_store_that_fails_after_its_work(world: World) -> None:
    """If a message was stored although the client got an error, the repeat finds it."""
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store))
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    for number, is_done in enumerate((True, False, True), 1):
        key = {"idempotencyKey": f"k{number}"}
        store.faults.fail("room_send", StoreTimeoutError("the answer was lost"), done=is_done)
        assert await alice.error("roomMessage", "room", TEA, key) == wire_error("timeout")
        store.faults.mend("room_send")
        more = [AGAIN] if is_done else []
        assert await alice.emit("roomMessage", "room", TEA, key) == [None, number, *more]
    assert await texts(instance) == ["tea"] * 3


async def test_repeats_race(world: World, instance: Instance, alice: InProcessClient) -> None:
    clients = [alice, *[await (await world.start()).joined("alice", "room") for _ in range(2)]]
    acks = await asyncio.gather(
        *(clients[number % 3].emit("roomMessage", "room", TEA, KEY) for number in range(12))
    )
    assert sorted(acks, key=len) == [[None, 1], *[[None, 1, AGAIN]] * 11]
    assert await texts(instance) == ["tea"]


# Hooks


@pytest.mark.covers("hook:call.duplicate", "hook:call.message", "hook:call.digest")
@ONE_STORE
async def test_hooks_of_a_repeat(instance: Instance, alice: InProcessClient) -> None:
    seen: list[Any] = []

    @instance.service.before("roomMessage")
    def before(call: CommandCall) -> None:
        # The stored messages differ; those of the client are the same.
        call.args[1]["count"] = len(seen)
        seen.append((call.options, call.duplicate))

    @instance.service.after("roomMessage")
    def after(call: CommandCall) -> None:
        seen.append((call.results, call.duplicate, call.message and call.message["id"]))
        assert call.results is not None
        call.results.append("hook")

    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1, "hook"]
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1, AGAIN, "hook"]
    assert seen[0] == seen[2] == (KEY, False)
    assert [entry[1:] for entry in (seen[1], seen[3])] == [(False, 1), (True, None)]
    [[stored]] = await instance.service.exec_user_command(True, "roomRecentHistory", "room")
    assert stored["count"] == 0


@ONE_STORE
async def test_a_hook_gives_messages_their_keys(instance: Instance, alice: InProcessClient) -> None:
    @instance.service.before("roomMessage")
    def before(call: CommandCall) -> None:
        call.options = {"idempotencyKey": call.rest_args[0]}

    assert await alice.emit("roomMessage", "room", TEA, "k") == [None, 1]
    assert await alice.emit("roomMessage", "room", TEA, "k") == [None, 1, AGAIN]
    assert await alice.error("roomMessage", "room", MILK, "k") == CONFLICT


@ONE_STORE
async def test_a_before_hook_that_ends_the_command_stores_no_key(
    instance: Instance, alice: InProcessClient
) -> None:
    answers = iter([["held back"], None, None])
    instance.service.before("roomMessage")(lambda call: next(answers))
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, "held back"]
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1]
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1, AGAIN]


@ONE_STORE
async def test_an_invalid_message_is_refused_before_the_key(
    instance: Instance, alice: InProcessClient
) -> None:
    bad = {"text": "tea"}
    assert await alice.error("roomMessage", "room", bad, KEY) == wire_error("badArgument", 1, bad)
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 1]
    assert await alice.error("roomMessage", "room", bad, KEY) == wire_error("badArgument", 1, bad)


# Server calls


@pytest.mark.covers("api:exec_user_command")
async def test_keys_of_server_calls(instance: Instance, alice: InProcessClient) -> None:
    """Without a user the key belongs to the room; with one to the user, as if the user had sent it."""
    run = instance.service.exec_user_command

    async def send(context: Any, message: Any = TEA) -> list[Any]:
        return await run(context, "roomMessage", "room", message, options=KEY)

    assert await send(True) == [1]
    assert await alice.emit("roomMessage", "room", TEA, KEY) == [None, 2]
    assert await send("alice") == [2, AGAIN]
    assert await send({"user_name": "alice", "bypass_permissions": True}) == [2, AGAIN]
    assert await send(True) == [1, AGAIN]
    assert await raised(send(True, {**TEA, "author": "press"})) == ("idempotencyConflict", "k")
    assert await texts(instance) == ["tea", "tea"]


# Conditional sends


@pytest.mark.covers("error:conflict")
async def test_only_after_the_expected_message(instance: Instance, alice: InProcessClient) -> None:
    bob = await instance.joined("bob", "room")
    assert await alice.emit("roomMessage", "room", TEA, {"expectedLastId": 0}) == [None, 1]
    assert await bob.emit("roomMessage", "room", TEA, {"expectedLastId": 1.0}) == [None, 2]
    for expected in (0, 1, 3):
        options = {"expectedLastId": expected}
        assert await alice.error("roomMessage", "room", MILK, options) == wire_error("conflict", 2)
    stranger = await instance.login("carol")
    error = await stranger.error("roomMessage", "room", MILK, {"expectedLastId": 0})
    assert error == wire_error("notJoined", "room")
    assert await texts(instance) == ["tea", "tea"]


async def test_only_one_of_several_follows(world: World, instance: Instance, alice: InProcessClient) -> None:
    clients = [alice, *[await (await world.start()).joined("alice", "room") for _ in range(2)]]
    acks = await asyncio.gather(
        *(client.emit("roomMessage", "room", TEA, {"expectedLastId": 0}) for client in clients)
    )
    refused = [wire_error("conflict", 1), None]
    assert sorted(acks, key=str) == sorted([[None, 1], refused, refused], key=str)


async def test_a_remembered_key_precedes_the_expected_id(instance: Instance, alice: InProcessClient) -> None:
    options = {**KEY, "expectedLastId": 0}
    assert await alice.emit("roomMessage", "room", TEA, options) == [None, 1]
    assert await alice.emit("roomMessage", "room", TEA, options) == [None, 1, AGAIN]
    options["idempotencyKey"] = "k2"
    assert await alice.error("roomMessage", "room", TEA, options) == wire_error("conflict", 1)
    # A refused send does not use up the key.
    assert await alice.emit("roomMessage", "room", TEA, {"idempotencyKey": "k2"}) == [None, 2]


# The epoch of histories


@pytest.mark.covers("command:roomHistoryGet", "command:roomRecentHistory")
async def test_histories_return_their_epoch(instance: Instance, alice: InProcessClient) -> None:
    for _ in range(3):
        await alice.call("roomMessage", "room", TEA)
    epoch = (await alice.call("roomHistoryInfo", "room"))["epoch"]
    for command in (
        ("roomHistoryGet", "room", 0, 2),
        ("roomHistoryGet", "room", 1, 5),
        ("roomRecentHistory", "room"),
    ):
        found = await alice.emit(*command)
        assert len(found[1]) >= 2
        assert await alice.emit(*command, {"epoch": True}) == [*found, epoch]
        assert await alice.emit(*command, {"epoch": False}) == found
        results = await instance.service.exec_user_command("alice", *command, options={"epoch": True})
        assert results == [found[1], epoch]
    stranger = await instance.login("bob")
    error = await stranger.error("roomRecentHistory", "room", {"epoch": True})
    assert error == wire_error("notJoined", "room")
    owner = await instance.login("owner")
    assert (await owner.emit("roomHistoryGet", "room", 1, 5, {"epoch": True}))[2:] == [epoch]
    assert (await owner.emit("roomRecentHistory", "room", {"epoch": True}))[2:] == [epoch]


@ONE_STORE
async def test_the_epoch_without_messages(world: World) -> None:
    instance = await world.start(history_max_get_messages=0)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    epoch = (await alice.call("roomHistoryInfo", "room"))["epoch"]
    assert await alice.emit("roomRecentHistory", "room", {"epoch": True}) == [None, [], epoch]
    assert await alice.emit("roomHistoryGet", "room", 0, 1, {"epoch": True}) == [None, [], epoch]
