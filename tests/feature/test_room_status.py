"""The status of a room, its members page by page, and what is told about them."""

import json
import logging
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.support.backends import ONE_STORE
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import Instance, World

TEXT = {"textMessage": "hello"}
BAD_OPTIONS = "ChatServiceError: Bad argument at position 1, value "
PROTO = {"__proto__": {"admin": True}, "constructor": [None, "é"]}


def by_handshake(service: ChatService, user: str, socket_id: str) -> Any:
    """The details that the client gave in the query of its handshake."""
    return service.transport.get_handshake_data(socket_id).query.get("mood")


def without_secret(details: Any) -> Any:
    """Filters in place, as hooks may."""
    details.pop("secret", None)
    return details


async def members(instance: Instance) -> dict[str, Any]:
    """What server code is told of each member."""
    [status] = await instance.service.exec_user_command(True, "roomGetStatus", "room")
    return {member["userName"]: member.get("details") for member in status["members"]}


# Status


@pytest.mark.covers("command:roomGetStatus")
async def test_the_status_of_a_room(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room", owner="alice")
    alice = await nodes[0].joined("alice", "room")
    bob, phone = [await nodes[1].joined("bob", "room") for _ in range(2)]
    carol = await nodes[0].login("carol")
    await bob.call("roomMessage", "room", TEXT)
    times = {name: (await alice.call("roomUserSeen", "room", name))["timestamp"] for name in ("alice", "bob")}
    expected = {
        "roomName": "room",
        "owner": "alice",
        "epoch": (await alice.call("roomHistoryInfo", "room"))["epoch"],
        "lastMessageId": 1,
        "membersCount": 2,
        "members": [
            {"userName": "alice", "joinedAt": times["alice"], "sockets": 1},
            {"userName": "bob", "joinedAt": times["bob"], "sockets": 2},
        ],
        "cursor": None,
    }
    for client in (alice, bob, phone):
        status = await client.call("roomGetStatus", "room")
        status["members"].sort(key=lambda member: member["userName"])
        assert status == expected
    assert await carol.error("roomGetStatus", "room") == wire_error("notJoined", "room")
    assert await carol.error("roomGetStatus", "none") == wire_error("noRoom", "none")
    counted = await alice.call("roomGetStatus", "room", {"countOnly": True})
    assert counted == {**expected, "members": []}
    # The owner need not have joined. What is not an option is left to hooks.
    await alice.call("roomLeave", "room")
    [member] = (await alice.call("roomGetStatus", "room", {"other": 1}, "x"))["members"]
    assert (member["userName"], member["joinedAt"]) == ("bob", times["bob"])


@pytest.mark.covers("command:roomGetStatus", "option:members_per_page_limit")
async def test_pages_of_members(world: World) -> None:
    instance = await world.start(members_per_page_limit=3)
    await instance.service.add_room("room")
    names = ["__proto__", "constructor", "toString", "0", "bob", "é", "x y"]
    clients = [await instance.joined(name, "room") for name in names]
    for limit, pages in ((2, 4), (3, 3), (1000, 3)):
        found, cursor, count = [], None, 0
        while count == 0 or cursor is not None:
            page = await clients[4].call("roomGetStatus", "room", {"limit": limit, "cursor": cursor})
            assert isinstance(page["members"], list)
            found += [member["userName"] for member in page["members"]]
            cursor, count = page["cursor"], count + 1
        assert (sorted(found), count) == (sorted(names), pages)
    # Server code may ask for more.
    run = instance.service.exec_user_command
    [status] = await run(True, "roomGetStatus", "room", options={"limit": 1000})
    assert len(status["members"]) == 7


@pytest.mark.covers("api:list_members", "api:room_status")
async def test_members_for_server_code(world: World) -> None:
    instance = await world.start()
    service = instance.service
    await service.add_room("room")
    names = [f"user{number}" for number in range(5)]
    clients = [await instance.joined(name, "room") for name in names]
    await clients[3].call("roomSetDetails", "room", PROTO)
    first = await service.list_members("room", 2)
    found, cursor = [*first.items], first.cursor
    while cursor is not None:
        page = await service.list_members("room", 2, cursor)
        assert len(page.items) <= 2
        found, cursor = [*found, *page.items], page.cursor
    assert sorted(member.user_name for member in found) == names
    status = await service.room_status("room")
    for member in found:
        assert (member.joined_at, member.sockets) == (status.joined_at[member.user_name], 1)
        assert member.details == (PROTO if member.user_name == "user3" else None)
    bad: list[tuple[Any, Any]] = [(0, None), (10_001, None), (True, None), (5, 7)]
    for limit, place in bad:
        with pytest.raises(ValueError, match=": expected "):
            await service.list_members("room", limit, place)
    assert await raised(service.list_members("none")) == ("noRoom", "none")


@pytest.mark.covers("command:roomGetStatus", "error:badArgument")
async def test_bad_options_of_a_status(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    bad: list[Any] = [{"limit": value} for value in (0, -1, 1.5, "5", None, True, 2**60)]
    bad += [{"countOnly": value} for value in (1, "yes", None)]
    bad += [{"cursor": value} for value in (5, "", ["0"], {"a": 1}, "\ud800", "x" * 1000)]
    for options in bad:
        assert (await alice.error("roomGetStatus", "room", options)).startswith(BAD_OPTIONS), options
    for cursor in ("x", "-1::", "0:0:", "9" * 30, "1:2:" + "x" * 200, "0:\x00:", "*", "0 COUNT 9"):
        # A text that a store could have made gets some page, and never anybody twice.
        error, page = (await alice.emit("roomGetStatus", "room", {"cursor": cursor}))[:2]
        assert page["membersCount"] == 1 if error is None else error.startswith(BAD_OPTIONS)


@pytest.mark.covers("command:roomGetStatus", "error:noRoom")
async def test_a_room_that_goes_between_two_pages(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    clients = [await instance.joined(f"user{number}", "room") for number in range(4)]
    first = await clients[0].call("roomGetStatus", "room", {"limit": 2})
    following = {"limit": 2, "cursor": first["cursor"]}
    await instance.service.delete_room("room")
    assert await clients[0].error("roomGetStatus", "room", following) == wire_error("noRoom", "room")
    await instance.service.add_room("room", owner="user0")
    later = await clients[0].call("roomGetStatus", "room", following)
    assert (later["members"], later["cursor"], later["membersCount"]) == ([], None, 0)
    assert later["epoch"] != first["epoch"]


# Details


@pytest.mark.covers("command:roomSetDetails", "notification:roomMemberUpdated", "hook:member_details")
async def test_details_of_members(spread: StartSpread) -> None:
    nodes = await spread(hooks={"member_details": by_handshake}, enable_userlist_updates=True)
    await nodes.service.add_room("room")
    alice = await nodes[0].joined("alice", "room")
    bob = await nodes[1].login("bob", query={"mood": "fine"})
    phone = await nodes[1].login("bob")
    for client in (bob, phone):
        await client.call("roomJoin", "room")
    assert await members(nodes[0]) == {"alice": None, "bob": "fine"}
    assert await phone.call("roomSetDetails", "room", PROTO) is None
    for client in (alice, bob, phone):
        assert await client.wait_for("roomMemberUpdated") == ["room", "bob", PROTO]
    assert await members(nodes[0]) == {"alice": None, "bob": PROTO}
    # Joining again changes nothing. Details go with their socket.
    await bob.call("roomJoin", "room")
    assert await members(nodes[0]) == {"alice": None, "bob": PROTO}
    await phone.call("roomLeave", "room")
    assert await members(nodes[0]) == {"alice": None, "bob": "fine"}
    assert await phone.error("roomSetDetails", "room", 1) == wire_error("notJoined", "room")
    await bob.call("roomSetDetails", "room", None)
    assert await alice.wait_for("roomMemberUpdated", "room", "bob", None)
    assert await members(nodes[0]) == {"alice": None, "bob": None}
    await bob.call("roomSetDetails", "room", 0)
    assert await members(nodes[0]) == {"alice": None, "bob": 0}


@pytest.mark.covers("command:roomSetDetails", "error:messageTooLarge", "option:details_size_limit")
async def test_details_that_are_refused(world: World) -> None:
    instance = await world.start(enable_userlist_updates=True)
    await instance.service.add_room("room")
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    most = "x" * 1022
    await alice.call("roomSetDetails", "room", most)
    for large in (most + "x", "é" * 512, {"a": most}, ["x"] * 300, "x" * 2**20):
        error = await alice.error("roomSetDetails", "room", large)
        size = len(json.dumps(large, ensure_ascii=False, separators=(",", ":")).encode())
        assert error == wire_error("messageTooLarge", size, 1024)
    for bad in (b"x", {"a": [b""]}, "\ud800", {"\ud800": 1}, float("nan"), 2**70):
        error = await alice.error("roomSetDetails", "room", bad)
        assert error.startswith("ChatServiceError: Bad argument at position 1")
    assert await alice.error("roomSetDetails", "none", 1) == wire_error("noRoom", "none")
    # Server code names the socket of the user, and nobody else's.
    run = instance.service.exec_user_command
    context = {"user_name": "alice", "bypass_permissions": True}
    assert await raised(run(context, "roomSetDetails", "room", 1)) == ("noSocket", "roomSetDetails")
    as_bob = {**context, "id": bob.id}
    assert await raised(run(as_bob, "roomSetDetails", "room", 1)) == ("notJoined", "room")
    assert (await raised(run({**context, "id": alice.id}, "roomSetDetails", "room", most * 2)))[0] == (
        "messageTooLarge"
    )
    assert await members(instance) == {"alice": most, "bob": None}
    await run({**context, "id": alice.id}, "roomSetDetails", "room", "by the server")
    assert await bob.wait_for("roomMemberUpdated", "room", "alice", "by the server")
    # Nothing was told of what was refused.
    assert bob.received("roomMemberUpdated") == [["room", "alice", most]]


@pytest.mark.covers("hook:public_member_details")
async def test_what_clients_see_of_details(world: World) -> None:
    hooks = {"public_member_details": without_secret}
    instance = await world.start(hooks=hooks, enable_userlist_updates=True)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    everything = {"name": "Alice", "secret": "address"}
    await alice.call("roomSetDetails", "room", everything)
    assert await alice.wait_for("roomMemberUpdated") == ["room", "alice", {"name": "Alice"}]
    [member] = (await alice.call("roomGetStatus", "room"))["members"]
    assert member["details"] == {"name": "Alice"}
    [status] = await instance.service.exec_user_command("alice", "roomGetStatus", "room")
    assert status["members"] == [member]
    # Code that may do everything sees everything.
    assert await members(instance) == {"alice": everything}
    assert (await instance.service.room_status("room")).details == {"alice": everything}


@ONE_STORE
@pytest.mark.covers("hook:public_member_details")
@pytest.mark.parametrize("answer", [RuntimeError("no"), object(), "x" * 2000, b"x", None])
async def test_details_are_hidden_if_the_filter_fails(
    world: World, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def public(details: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    instance = await world.start(hooks={"public_member_details": public}, enable_userlist_updates=True)
    await instance.service.add_room("room")
    clients = [await instance.joined(f"user{number}", "room") for number in range(3)]
    for client in clients:
        await client.call("roomSetDetails", "room", {"secret": 1})
        assert (await client.wait_for("roomMemberUpdated"))[2] is None
    caplog.clear()
    status = await clients[0].call("roomGetStatus", "room")
    assert [member.get("details") for member in status["members"]] == [None] * 3
    hidden = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert hidden == ([] if answer is None else ["the details of 3 members are hidden"])


@ONE_STORE
@pytest.mark.covers("hook:member_details")
@pytest.mark.parametrize("answer", [RuntimeError("no"), object(), "x" * 2**20, {1: 2}, [b"x"], float("inf")])
async def test_a_socket_joins_without_details_that_are_refused(
    world: World, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def details(service: ChatService, user: str, socket_id: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    instance = await world.start(hooks={"member_details": details})
    await instance.service.add_room("room")
    await instance.joined("alice", "room")
    assert await members(instance) == {"alice": None}
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message.startswith("the details of user alice are left out: ")
    assert len(record.message) < 200


@pytest.mark.covers("hook:member_details")
@pytest.mark.parametrize("way", ["disconnect", "ban", "list", "delete"])
async def test_details_end_with_the_membership(world: World, way: str) -> None:
    # Nobody has details but the first socket of bob.
    moods = iter(["fine"])
    hooks = {"member_details": lambda service, user, socket_id: next(moods, None) if user == "bob" else None}
    instance = await world.start(hooks=hooks)
    service = instance.service
    await service.add_room("room")
    await instance.joined("bob", "room")
    assert await members(instance) == {"bob": "fine"}
    match way:
        case "disconnect":
            await service.disconnect_user_sockets("bob")
        case "ban":
            await service.ban_user("bob")
            await service.unban_user("bob")
        case "list":
            for command in ("roomAddToList", "roomRemoveFromList"):
                await service.exec_user_command(True, command, "room", "blacklist", ["bob"])
        case _:
            await service.delete_room("room")
            await service.add_room("room")

    async def is_empty() -> bool:
        return await members(instance) == {}

    await wait_until(is_empty, "the end of the membership")
    await instance.joined("bob", "room")
    assert await members(instance) == {"bob": None}
