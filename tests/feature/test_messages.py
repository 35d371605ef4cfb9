"""Room messages: ids, order, fields set by the server, permissions and message checkers."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatServiceError
from chat_service.testing import FakeClock, wait_until
from tests.support.backends import ONE_STORE
from tests.support.markers import room_marker, told, user_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World

QUIET = {"heartbeat_rate": 1000.0, "heartbeat_timeout": 3000.0}


def any_object(message: Any) -> None:
    """A message checker that accepts every object."""


# Delivery


@pytest.mark.covers("command:roomMessage", "notification:roomMessage")
async def test_every_joined_socket_gets_the_message(spread: StartSpread) -> None:
    nodes = await spread(clock=FakeClock(start_ms=5_000), **QUIET)
    for room in ("room", "other"):
        await nodes.service.add_room(room)
    alice = await nodes[0].joined("alice", "room")
    hearers = [
        alice,
        await nodes[1].joined("alice", "room"),
        await nodes[1].joined("bob", "room"),
        await nodes[2].joined("bob", "room"),
    ]
    elsewhere, outsider = await nodes[1].joined("bob", "other"), await nodes[2].login("carol")
    assert await alice.emit("roomMessage", "room", {"textMessage": "hello"}) == [None, 1]
    message = {"textMessage": "hello", "id": 1, "timestamp": 5_000, "author": "alice"}
    for client in hearers:
        await room_marker(nodes.service, "room", client)
        assert client.received("roomMessage")[0] == ["room", message]
        assert client.received("roomMessage").count(["room", message]) == 1
    await room_marker(nodes.service, "other", elsewhere)
    await user_marker(nodes.service, "carol", outsider)
    assert elsewhere.received("roomMessage")[0][0] == "other"
    assert (len(elsewhere.received("roomMessage")), told(outsider)) == (1, [])


@pytest.mark.covers("command:roomMessage", "better:id order on every instance")
async def test_ids_are_dense_and_arrive_in_order_everywhere(spread: StartSpread) -> None:
    nodes = await spread()
    for room in ("room", "other"):
        await nodes.service.add_room(room)
    senders = [await nodes[place].joined(f"user{place}", "room", "other") for place in range(6)]
    acked: dict[str, list[int]] = {"room": [], "other": []}

    async def talk(place: int) -> None:
        for number in range(20):
            room = "room" if (number + place) % 3 else "other"
            text = {"textMessage": f"{place}:{number}"}
            acked[room].append(await senders[place].call("roomMessage", room, text))

    await asyncio.gather(*(talk(place) for place in range(6)))
    for room, ids in acked.items():
        assert sorted(ids) == list(range(1, len(ids) + 1))
        for client in senders:
            await room_marker(nodes.service, room, client)
            received = [m for name, m in client.received("roomMessage") if name == room]
            got = [message["id"] for message in received]
            assert got == list(range(1, len(got) + 1))
            assert len(got) > len(ids)


@pytest.mark.covers("command:roomMessage")
async def test_a_socket_gets_messages_after_its_join(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room")
    alice = await nodes[0].joined("alice", "room")
    late = [await nodes[place].login(f"late{place}") for place in range(3)]
    joined_after: dict[str, int] = {}

    async def join_late(place: int) -> None:
        await wait_until(lambda: len(alice.received("roomMessage")) > 10 * place, "some messages")
        joined_after[late[place].id] = len(alice.received("roomMessage"))
        await late[place].call("roomJoin", "room")

    async def talk() -> None:
        for _ in range(60):
            await alice.call("roomMessage", "room", {"textMessage": "x"})
            await asyncio.sleep(0)

    await asyncio.gather(talk(), *(join_late(place) for place in range(3)))
    for client in late:
        last = await room_marker(nodes.service, "room", client)
        ids = [message["id"] for _, message in client.received("roomMessage")]
        assert ids == list(range(ids[0], last + 1))
        assert ids[0] > joined_after[client.id]


# Permission to post


@pytest.mark.covers("command:roomMessage", "error:notJoined", "error:noRoom")
async def test_only_joined_users_post(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room", owner="alice", adminlist=["admin"], whitelist=["bob"])
    listener = await instance.joined("listener", "room")
    for name in ("alice", "admin", "bob", "stranger"):
        client = await instance.login(name)
        error = await client.error("roomMessage", "room", {"textMessage": "x"})
        assert error == wire_error("notJoined", "room")
        as_user = instance.service.exec_user_command(name, "roomMessage", "room", {"textMessage": "x"})
        assert await raised(as_user) == ("notJoined", "room")
    assert await listener.error("roomMessage", "no", {"textMessage": "x"}) == wire_error("noRoom", "no")
    assert await room_marker(instance.service, "room", listener) == 1
    assert told(listener) == []


@pytest.mark.covers("command:roomMessage", "api:exec_user_command")
async def test_the_server_posts_with_or_without_a_user(spread: StartSpread) -> None:
    nodes = await spread(clock=FakeClock(start_ms=9_000), **QUIET)
    service = nodes.service
    await service.add_room("room")
    bob = await nodes[1].joined("bob", "room")
    await nodes[2].login("carol")
    as_carol = {"user_name": "carol", "bypass_permissions": True}
    post = service.exec_user_command
    assert await post(as_carol, "roomMessage", "room", {"textMessage": "one"}) == [1]
    assert await post(True, "roomMessage", "room", {"textMessage": "two"}) == [2]
    assert await post(True, "roomMessage", "room", {"textMessage": "three", "author": "the press"}) == [3]
    assert await post("bob", "roomMessage", "room", {"textMessage": "four"}) == [4]
    expected = [
        {"textMessage": "one", "id": 1, "timestamp": 9_000, "author": "carol"},
        {"textMessage": "two", "id": 2, "timestamp": 9_000},
        {"textMessage": "three", "id": 3, "timestamp": 9_000, "author": "the press"},
        {"textMessage": "four", "id": 4, "timestamp": 9_000, "author": "bob"},
    ]
    for message in expected:
        assert await bob.wait_for("roomMessage") == ["room", message]
    assert await bob.call("roomRecentHistory", "room") == expected[::-1]
    forged = post(as_carol, "roomMessage", "room", {"textMessage": "x", "author": "bob"})
    assert (await raised(forged))[:2] == ("badArgument", 1)


# The format, and what the server overwrites


@pytest.mark.covers("command:roomMessage", "error:badArgument")
@pytest.mark.parametrize(
    "message",
    [
        {},
        {"text": "x"},
        {"textMessage": 1},
        {"textMessage": None},
        {"textMessage": ["x"]},
        {"textMessage": "x", "id": 5},
        {"textMessage": "x", "author": "eve"},
        {"textMessage": "x", "timestamp": 1},
        {"textMessage": "x", "more": None},
    ],
)
@ONE_STORE
async def test_a_message_is_a_text_and_nothing_else(world: World, message: Any) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    assert await alice.error("roomMessage", "room", message) == wire_error("badArgument", 1, message)
    assert (await alice.call("roomHistoryInfo", "room"))["lastMessageId"] == 0


@pytest.mark.covers("hook:room_messages_checker", "command:roomMessage")
async def test_with_a_checker_a_message_is_any_object(spread: StartSpread) -> None:
    nodes = await spread(
        hooks={"room_messages_checker": any_object}, clock=FakeClock(start_ms=7_000), **QUIET
    )
    await nodes.service.add_room("room")
    alice, bob = await nodes[0].joined("alice", "room"), await nodes[1].joined("bob", "room")
    message = {
        "blob": b"\x00\xff\x80",
        "nested": {"list": [1, -2, 2.5, None, True, "é🙂", b"", {"deep": [b"more"]}], "": {}},
        "large": 2**53,
    }
    forged = {**message, "id": 99, "timestamp": 1, "author": "eve"}
    assert await alice.call("roomMessage", "room", forged) == 1
    assert await alice.call("roomMessage", "room", {}) == 2
    stored = {**message, "id": 1, "timestamp": 7_000, "author": "alice"}
    for client in (alice, bob):
        assert await client.wait_for("roomMessage") == ["room", stored]
        empty = {"id": 2, "timestamp": 7_000, "author": "alice"}
        assert await client.wait_for("roomMessage") == ["room", empty]
    assert (await bob.call("roomRecentHistory", "room"))[1] == stored
    assert (await bob.call("roomHistoryGet", "room", 0, 1)) == [stored]


@pytest.mark.covers("hook:room_messages_checker")
@pytest.mark.parametrize("message", [None, "text", 5, [], [{"textMessage": "x"}], True])
@ONE_STORE
async def test_with_a_checker_a_message_is_still_an_object(world: World, message: Any) -> None:
    instance = await world.start(hooks={"room_messages_checker": any_object})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    assert await alice.error("roomMessage", "room", message) == wire_error("badArgument", 1, message)


@pytest.mark.covers("hook:room_messages_checker")
async def test_a_checker_refuses_a_message(world: World) -> None:
    seen = []

    async def check(message: dict[str, Any]) -> None:
        seen.append(message)
        if "url" not in message:
            raise ChatServiceError("needsUrl", message)

    instance = await world.start(hooks={"room_messages_checker": check})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    assert await alice.error("roomMessage", "room", {"textMessage": "x"}) == "ChatServiceError: needsUrl"
    assert await alice.call("roomMessage", "room", {"url": "u"}) == 1
    assert seen == [{"textMessage": "x"}, {"url": "u"}]
    # Messages of the server are checked too.
    by_server = instance.service.exec_user_command(True, "roomMessage", "room", {"a": 1})
    assert await raised(by_server) == ("needsUrl", {"a": 1})


@pytest.mark.covers("command:roomMessage", "command:roomHistoryGet")
async def test_later_changes_do_not_affect_sent_messages(world: World) -> None:
    instance = await world.start(hooks={"room_messages_checker": any_object})
    await instance.service.add_room("room")
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    await alice.call("roomMessage", "room", {"list": [1]})
    _, message = await bob.wait_for("roomMessage")
    message["list"].append("changed")
    [stored] = await bob.call("roomRecentHistory", "room")
    assert stored["list"] == [1]
    stored["list"].append("changed")
    assert (await alice.wait_for("roomMessage"))[1]["list"] == [1]
    [by_server] = await instance.service.exec_user_command(True, "roomRecentHistory", "room")
    by_server[0]["list"].append("changed")
    assert (await bob.call("roomHistoryGet", "room", 0, 1))[0]["list"] == [1]
