"""Read marks and unread counts, on all devices of a user."""

import asyncio

import pytest

from tests.support.backends import ONE_STORE
from tests.support.markers import told, user_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World

TEXT = {"textMessage": "hello"}
MARKS = pytest.mark.covers("command:roomMarkRead", "command:roomGetUnread")


@pytest.mark.covers("command:roomMarkRead", "command:roomGetUnread", "notification:roomReadEcho")
async def test_a_mark_is_known_on_every_device(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room")
    desk = await nodes[0].joined("alice", "room")
    phone, tablet = await nodes[1].joined("alice", "room"), await nodes[2].login("alice")
    bob = await nodes[1].joined("bob", "room")
    for _ in range(5):
        await bob.call("roomMessage", "room", TEXT)
    unread = {"room": {"lastMessageId": 5, "readId": 0, "unread": 5}}
    assert await phone.call("roomGetUnread", ["room"]) == unread
    for client in (desk, phone, tablet):
        client.clear()
    assert await desk.call("roomMarkRead", "room", 3) == 3
    for client in (phone, tablet):
        assert await client.wait_for("roomReadEcho") == ["room", 3]
    # It does not move back, and what does not move is not told.
    assert await phone.call("roomMarkRead", "room", 2) == 3
    assert await phone.call("roomMarkRead", "room", 3) == 3
    # An id from a program that counts on, or from a room's former life, means all messages.
    assert await phone.call("roomMarkRead", "room", 2**53 - 1) == 5
    assert await desk.wait_for("roomReadEcho") == ["room", 5]
    await user_marker(nodes.service, "alice", desk, phone, tablet)
    # Besides what was waited for.
    assert told(tablet) == [("roomReadEcho", ["room", 5])]
    for client in (desk, phone, bob):
        assert client.received("roomReadEcho") == []
    state = {"lastMessageId": 5, "readId": 5, "unread": 0}
    for client in (desk, tablet):
        assert await client.call("roomGetUnread", ["room"]) == {"room": state}
    assert (await bob.call("roomGetUnread", ["room"]))["room"]["unread"] == 5


@MARKS
async def test_rooms_that_one_may_not_read(world: World) -> None:
    instance = await world.start()
    for room in ("mine", "theirs", "former"):
        await instance.service.add_room(room, owner="bob", adminlist=["alice"] if room == "mine" else [])
        await instance.service.exec_user_command(True, "roomMessage", room, TEXT)
    alice = await instance.joined("alice", "former")
    assert await alice.call("roomMarkRead", "former", 1) == 1
    await alice.call("roomLeave", "former")
    for room in ("theirs", "former"):
        assert await alice.error("roomMarkRead", room, 1) == wire_error("notJoined", room)
    assert await alice.error("roomMarkRead", "nowhere", 1) == wire_error("noRoom", "nowhere")
    asked = ["theirs", "former", "nowhere", "mine", "mine"]
    state = {"lastMessageId": 1, "readId": 0, "unread": 1}
    assert await alice.call("roomGetUnread", asked) == {"mine": state}
    assert await alice.call("roomMarkRead", "mine", 1) == 1
    await alice.call("roomJoin", "former")
    read = {"lastMessageId": 1, "readId": 1, "unread": 0}
    assert await alice.call("roomGetUnread", asked) == {"mine": read, "former": read}
    # The server may do it for a user, who is told on all sockets.
    run = instance.service.exec_user_command
    for_alice = {"user_name": "alice", "bypass_permissions": True}
    assert await run(for_alice, "roomMarkRead", "theirs", 1) == [1]
    assert await alice.wait_for("roomReadEcho") == ["theirs", 1]
    assert await run(for_alice, "roomGetUnread", ["theirs"]) == [{"theirs": read}]
    assert await raised(run("alice", "roomMarkRead", "theirs", 1)) == ("notJoined", "theirs")


@pytest.mark.covers("api:mark_read", "api:get_unread", "error:noUser")
async def test_the_server_marks_and_counts_for_a_user(world: World) -> None:
    service = (instance := await world.start(names_per_command_limit=2)).service
    rooms = [f"room{number}" for number in range(4)]
    for room in rooms:
        await service.add_room(room)
        await service.broadcast(room, TEXT)
    alice = await instance.login("alice")
    assert await service.mark_read("alice", "room1", 5) == 1
    assert await alice.wait_for("roomReadEcho") == ["room1", 1]
    assert await service.mark_read("alice", "room1", 0) == 1
    found = await service.get_unread("alice", [*rooms, "nowhere"])
    assert {room: state.unread for room, state in found.items()} == {room: room != "room1" for room in rooms}
    assert await raised(service.mark_read("bob", "room1", 1)) == ("noUser", "bob")
    assert await raised(service.get_unread("bob", rooms)) == ("noUser", "bob")
    assert await raised(service.mark_read("alice", "nowhere", 1)) == ("noRoom", "nowhere")
    assert await raised(service.get_unread("alice", ["a:b"])) == ("invalidName", "a:b")


@pytest.mark.covers("command:roomGetUnread", "option:names_per_command_limit", "error:listLimitExceeded")
@ONE_STORE
async def test_more_rooms_than_allowed_are_refused_at_once(world: World) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    names = [f"room{number}" for number in range(150_000)]
    error = wire_error("listLimitExceeded", "roomNames")
    assert await alice.error("roomGetUnread", names) == error
    assert await alice.error("roomGetUnread", names[:1001]) == error
    assert await alice.call("roomGetUnread", names[:1000]) == {}
    assert await alice.error("roomGetUnread", [*names[:5], "a:b"]) == wire_error("invalidName", "a:b")


@pytest.mark.covers("command:roomGetUnread", "option:command_rate", "error:rateLimited")
@ONE_STORE
async def test_many_rooms_count_as_several_commands(world: World) -> None:
    instance = await world.start(command_rate=0.001, command_burst=100)
    alice, bob = await instance.login("alice"), await instance.login("bob")
    names = [f"room{number}" for number in range(1000)]
    answers = await asyncio.gather(*(alice.emit("roomGetUnread", names) for _ in range(10)))
    assert [answer[0] for answer in answers[:5]] == [None] * 5
    assert all("Rate limit exceeded" in answer[0] for answer in answers[5:])
    for _ in range(90):
        assert await bob.call("roomGetUnread", names[:10]) == {}


@pytest.mark.covers("command:roomGetUnread")
async def test_a_thousand_rooms_at_once(world: World) -> None:
    instance = await world.start()
    names = [f"room{number}" for number in range(1000)]
    await asyncio.gather(*(instance.service.add_room(name, owner="alice") for name in names))
    await instance.service.exec_user_command(True, "roomMessage", "room7", TEXT)
    found = await (await instance.login("alice")).call("roomGetUnread", names)
    assert list(found) == names
    assert [name for name, state in found.items() if state["unread"]] == ["room7"]


@pytest.mark.covers("option:read_marks_limit", "command:roomMarkRead")
async def test_marks_of_a_room_are_limited(world: World) -> None:
    instance = await world.start(read_marks_limit=3)
    await instance.service.add_room("room")
    for _ in range(9):
        await instance.service.exec_user_command(True, "roomMessage", "room", TEXT)
    for number in range(1, 9):
        guest = await instance.joined(f"guest{number}", "room")
        await guest.call("roomMarkRead", "room", number)
        await guest.disconnect()
    run, read = instance.service.exec_user_command, []
    for number in range(1, 9):
        who = {"user_name": f"guest{number}", "bypass_permissions": True}
        [found] = await run(who, "roomGetUnread", ["room"])
        read.append(found["room"]["readId"])
    assert sum(mark > 0 for mark in read) == 3
    assert read[-1] == 8
