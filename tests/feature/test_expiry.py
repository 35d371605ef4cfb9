"""Users, rooms and messages that expire."""

from typing import Any

import pytest

from chat_service.contracts.bus import Envelope, RoomEvent, Topic
from chat_service.testing import InProcessClient, wait_until
from tests.support.faults import FaultyStore, as_store
from tests.support.wire_errors import raised
from tests.support.world import Instance, World

#: Times in seconds: soon over, and never over in a test.
SOON, LATER = 0.05, 3600.0


def ids(messages: Any) -> list[int]:
    return [message["id"] for message in messages]


async def post(client: InProcessClient, count: int, room: str = "room") -> None:
    for number in range(count):
        await client.call("roomMessage", room, {"textMessage": str(number)})


async def gone(instance: Instance, room: str) -> None:
    async def is_gone() -> bool:
        return not await instance.service.has_room(room)

    await wait_until(is_gone, f"the end of {room}")


async def emptied(client: InProcessClient, room: str = "room") -> None:
    async def is_empty() -> bool:
        return bool((await client.call("roomHistoryInfo", room))["historySize"] == 0)

    await wait_until(is_empty, "the end of the messages")


@pytest.mark.covers("option:user_ttl")
async def test_users_of_whom_nothing_is_left_are_forgotten(world: World) -> None:
    instance = await world.start(user_ttl=SOON)
    service = instance.service
    await service.add_user("added")
    await service.add_user("listed", blacklist=["eve"])
    for name in ("passes", "keeps"):
        client = await instance.login(name)
        if name == "keeps":
            await client.call("directAddToList", "whitelist", ["bob"])
        await client.disconnect()

    async def are_forgotten() -> bool:
        return not (await service.has_user("added") or await service.has_user("passes"))

    await wait_until(are_forgotten, "the end of the users")
    assert await service.has_user("listed")
    assert await service.user_has_in_list("keeps", "whitelist", "bob")
    # They can return.
    again = await instance.login("passes")
    assert await again.call("directGetAccessList", "blacklist") == []
    assert await service.has_user("passes")


@pytest.mark.covers("option:empty_ttl", "command:roomCreate")
async def test_a_room_of_a_client_goes_when_all_have_left(world: World) -> None:
    one = await world.start(empty_ttl=SOON, enable_rooms_management=True)
    other = await world.start(empty_ttl=SOON)
    for way in ("leave", "disconnect", "removal"):
        alice, bob = await one.login("alice"), await other.login("bob")
        await one.service.add_room("room", owner="alice", empty_ttl=LATER)
        for client in (alice, bob):
            await client.call("roomJoin", "room")
        await one.service.change_room_empty_ttl("room", SOON)
        await alice.call("roomLeave", "room")
        # A room that was made later is gone: time enough for this one, had it been empty.
        await alice.call("roomCreate", "short", False)
        await gone(one, "short")
        assert await bob.call("roomGetAccessList", "room", "userlist") == ["bob"]
        match way:
            case "leave":
                await bob.call("roomLeave", "room")
            case "disconnect":
                await bob.disconnect()
            case "removal":
                await alice.call("roomAddToList", "room", "blacklist", ["bob"])
        await gone(other, "room")
        assert "No such room" in await alice.error("roomJoin", "room")
        for client in (alice, bob):
            await client.disconnect()


@pytest.mark.covers("api:change_room_empty_ttl", "api:add_room")
async def test_a_room_without_a_limit_of_time_stays(world: World) -> None:
    instance = await world.start(empty_ttl=SOON)
    service = instance.service
    await service.add_room("stays", empty_ttl=0)
    await service.add_room("changed", empty_ttl=LATER)
    await service.change_room_empty_ttl("changed", None)
    await service.add_room("by default")
    await gone(instance, "by default")
    assert await service.has_room("stays")
    assert await service.has_room("changed")
    assert await raised(service.change_room_empty_ttl("nowhere", 1)) == ("noRoom", "nowhere")


@pytest.mark.covers("option:history_ttl", "api:change_room_history_ttl", "command:roomHistoryInfo")
async def test_old_messages_are_gone_for_everybody(world: World) -> None:
    instance = await world.start(history_ttl=SOON, enable_rooms_management=True)
    service = instance.service
    await service.add_room("room")
    await service.add_room("keeps", history_ttl=0)
    alice = await instance.joined("alice", "room", "keeps")
    for room in ("room", "keeps"):
        await post(alice, 3, room)
    await emptied(alice)
    assert await alice.call("roomRecentHistory", "room") == []
    assert await alice.call("roomHistoryGet", "room", 0, 9) == []
    assert (await alice.call("roomHistoryInfo", "room"))["lastMessageId"] == 3
    epoch = (await alice.call("roomHistoryInfo", "room"))["epoch"]
    bob = await instance.login("bob")
    [_, _, answer] = await bob.emit("roomJoin", "room", {"after": 1, "epoch": epoch})
    assert (answer["recovered"], answer["messages"], answer["lastMessageId"]) == (False, [], 3)
    assert ids(await alice.call("roomRecentHistory", "keeps")) == [3, 2, 1]
    await service.change_room_history_ttl("room", LATER)
    await post(alice, 2)
    await service.change_room_history_ttl("keeps", LATER)
    assert ids(await alice.call("roomHistoryGet", "room", 0, 9)) == [5, 4]
    assert ids(await alice.call("roomHistoryGet", "keeps", 0, 9)) == [3, 2, 1]
    await alice.call("roomCreate", "made", False)
    await alice.call("roomJoin", "made")
    await post(alice, 1, "made")
    await emptied(alice, "made")
    assert await raised(service.change_room_history_ttl("nowhere", 1)) == ("noRoom", "nowhere")


@pytest.mark.covers("notification:roomHistoryGap", "option:history_ttl")
async def test_a_catch_up_tells_of_messages_that_became_too_old(world: World) -> None:
    store = FaultyStore(world.backend.new_store())
    first, second = await world.start(), await world.start(store=as_store(store))
    await first.service.add_room("room")
    alice, bob = await first.joined("alice", "room"), await second.joined("bob", "room")

    def is_early(topic: Topic, envelope: Envelope) -> bool:
        return isinstance(envelope, RoomEvent) and 1 < envelope.last_message_id < 6

    store.loses = is_early
    await post(alice, 4)
    await first.service.change_room_history_ttl("room", SOON)
    await emptied(alice)
    await first.service.change_room_history_ttl("room", LATER)
    await post(alice, 2)
    await wait_until(lambda: ids(m for _, m in bob.received("roomMessage"))[-1:] == [6], "the last message")
    # The fifth is young enough: it was read from the history.
    assert ids(m for _, m in bob.received("roomMessage")) == [1, 5, 6]
    epoch = (await alice.call("roomHistoryInfo", "room"))["epoch"]
    assert bob.received("roomHistoryGap") == [["room", {"epoch": epoch, "from": 2, "to": 4}]]
    assert alice.received("roomHistoryGap") == bob.received("roomStateGap") == []


async def test_times_that_are_none(world: World) -> None:
    service = (await world.start()).service
    await service.add_room("room")
    for seconds in (-1, True, "5", float("nan"), float("inf"), 1e10):
        value: Any = seconds
        with pytest.raises(ValueError, match="empty_ttl: expected seconds from 0 to 1000000000 or None"):
            await service.add_room("other", empty_ttl=value)
        with pytest.raises(ValueError, match="history_ttl: expected seconds from 0 to 1000000000 or None"):
            await service.add_room("other", history_ttl=value)
        for change in (service.change_room_history_ttl, service.change_room_empty_ttl):
            with pytest.raises(ValueError, match="seconds: expected seconds from 0 to 1000000000 or None"):
                await change("room", value)
    assert not await service.has_room("other")
