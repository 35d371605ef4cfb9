"""Ephemeral events: who gets them, what limits them, and that nothing is left of them."""

from typing import Any

import pytest

from chat_service.hooks import CommandCall
from chat_service.testing import wait_until
from tests.support.backends import ONE_STORE
from tests.support.markers import room_marker, told
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World

COMMAND = pytest.mark.covers("command:roomEvent")


@pytest.mark.covers("command:roomEvent", "notification:roomEvent")
async def test_an_event_reaches_the_other_joined_sockets_everywhere(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room")
    sender = await nodes[0].joined("alice", "room")
    hearers = [
        await nodes[place].joined(name, "room") for place, name in enumerate(("alice", "bob", "carol"))
    ]
    outsider = await nodes[0].login("bob")
    data = {"at": [1, 2.5], "raw": b"\x00\xff", "text": "é🙂", "none": None}
    assert await sender.emit("roomEvent", "room", "cursor", data) == [None, None]
    await room_marker(nodes.service, "room", sender, *hearers)
    sent = ("roomEvent", ["room", {"author": "alice", "name": "cursor", "data": data}])
    for client in hearers:
        assert told(client).count(sent) == 1
    for client in (sender, outsider):
        assert client.received("roomEvent") == []
    # It is no part of the room: a later socket gets nothing, and the marker has the first id.
    late = await nodes[1].joined("dave", "room")
    assert late.received("roomEvent") == []
    assert (await late.call("roomHistoryInfo", "room"))["lastMessageId"] == 1


@COMMAND
async def test_only_joined_users_send(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room", owner="alice", adminlist=["bob"])
    clients = [await instance.login(name) for name in ("alice", "bob", "carol")]
    for client in clients:
        assert await client.error("roomEvent", "room", "typing", True) == wire_error("notJoined", "room")
        assert await client.error("roomEvent", "hall", "typing", True) == wire_error("noRoom", "hall")
    await clients[0].call("roomJoin", "room")
    assert await clients[0].call("roomEvent", "room", "typing", True) is None
    await instance.service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["carol"])
    await clients[0].call("roomLeave", "room")
    assert await clients[0].error("roomEvent", "room", "typing", True) == wire_error("notJoined", "room")


@pytest.mark.covers("command:roomEvent", "api:send_room_event")
async def test_events_of_the_server(world: World) -> None:
    instance = await world.start(room_event_burst=1, room_event_rate=0.001, room_event_size_limit=10)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    run, big = instance.service.exec_user_command, "x" * 20_000
    for author in (None, "alice"):
        for _ in range(3):
            await instance.service.send_room_event("room", "notice", big, author=author)
            event = {"author": author, "name": "notice", "data": big}
            assert await alice.wait_for("roomEvent") == ["room", event]
            alice.clear()
    # With a socket: not to that one.
    await run({"user_name": "alice", "id": alice.id}, "roomEvent", "room", "notice", 1)
    await room_marker(instance.service, "room", alice)
    assert alice.received("roomEvent") == []
    await instance.service.add_user("bob")
    assert await raised(run("bob", "roomEvent", "room", "notice", 1)) == ("notJoined", "room")
    assert await raised(instance.service.send_room_event("hall", "notice")) == ("noRoom", "hall")
    work = instance.service.send_room_event("room", "notice", author="ghost")
    assert await raised(work) == ("noUser", "ghost")


@ONE_STORE
@pytest.mark.covers("command:roomEvent", "option:room_event_size_limit", "error:messageTooLarge")
async def test_large_deep_and_misnamed_events_are_refused(world: World) -> None:
    instance = await world.start(message_depth_limit=3, max_attachments=1)
    await instance.service.add_room("room")
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    largest = "x" * (16 * 1024 - 2)
    assert await alice.call("roomEvent", "room", "n" * 128, largest) is None
    await bob.wait_for("roomEvent", "room")
    bob.clear()
    error = wire_error("messageTooLarge", 16 * 1024 + 1, 16 * 1024)
    assert await alice.error("roomEvent", "room", "typing", largest + "x") == error
    refused: list[tuple[int, Any, Any]] = [
        (1, "", 1),
        (1, "n" * 129, 1),
        (1, "n" * 2**20, 1),
        (1, "\ud800", 1),
        (1, {"toString": "typing"}, 1),
        (2, "typing", [[[[1]]]]),
        (2, "typing", [b"", b""]),
        (2, "typing", float("nan")),
    ]
    for position, name, data in refused:
        text = await alice.error("roomEvent", "room", name, data)
        assert text.startswith(f"ChatServiceError: Bad argument at position {position}"), (name, data)
        assert len(text) < 400
    await room_marker(instance.service, "room", bob)
    assert bob.received("roomEvent") == []


@ONE_STORE
@pytest.mark.covers(
    "command:roomEvent", "option:room_event_rate", "option:room_event_burst", "error:rateLimited"
)
async def test_a_flood_is_cut_off_before_hooks_and_store(world: World) -> None:
    hooked: list[str] = []
    hooks = {"room_event_before": lambda call: hooked.append(call.args[1])}
    instance = await world.start(
        hooks=hooks,
        command_rate=None,
        room_event_rate=0.001,
        room_event_burst=5,
        rate_limit_disconnect=200,
    )
    for room in ("room", "hall"):
        await instance.service.add_room(room)
    alice = await instance.joined("alice", "room", "hall")
    phone = await instance.joined("alice", "hall")
    bob = await instance.joined("bob", "room")
    errors = [(await alice.emit("roomEvent", "room", "typing", 1))[0] for _ in range(200)]
    assert errors[:5] == [None] * 5
    assert all("Rate limit exceeded, retry in" in error for error in errors[5:])
    assert hooked == ["typing"] * 5
    # All rooms and sockets of the user count together; messages and other users do not.
    assert "Rate limit" in await phone.error("roomEvent", "hall", "typing", 1)
    assert await bob.call("roomEvent", "room", "typing", 1) is None
    assert await alice.call("roomMessage", "room", {"textMessage": "x"}) == 1
    assert len(bob.received("roomEvent")) == 5
    # Who never stops is disconnected.
    for _ in range(201):
        if alice.connected:
            await alice.emit("roomEvent", "room", "typing", 1)
    await wait_until(lambda: not alice.connected, "the disconnect")


@ONE_STORE
@COMMAND
async def test_hooks_of_events(world: World) -> None:
    after: list[Any] = []

    def before(call: CommandCall) -> Any:
        if call.args[1] == "secret":
            return ("refused by the application",)
        call.args[2] = {"changed": call.args[2]}
        return None

    hooks = {"room_event_before": before, "room_event_after": lambda call: after.append(call.error)}
    instance = await world.start(hooks=hooks)
    await instance.service.add_room("room")
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    assert await alice.emit("roomEvent", "room", "secret", 1) == [None, "refused by the application"]
    await alice.call("roomEvent", "room", "typing", 1)
    await room_marker(instance.service, "room", bob)
    assert [args[1]["data"] for args in bob.received("roomEvent")] == [{"changed": 1}]
    assert after == [None]


@ONE_STORE
@COMMAND
async def test_events_do_not_pile_up_for_a_socket_whose_join_is_not_answered(world: World) -> None:
    """They are dropped: only what must not be missed is kept until the client knows of its join."""
    sending: list[Any] = []

    async def flood(service: Any, info: Any) -> None:
        if info.user_name == "bob":
            for number in range(50):
                await service.exec_user_command(True, "roomEvent", "room", "typing", number)
            await service.exec_user_command(True, "roomMessage", "room", {"textMessage": "kept"})
            sending.append(info.id)

    instance = await world.start(hooks={"on_join": flood})
    await instance.service.add_room("room")
    alice, bob = await instance.joined("alice", "room"), await instance.login("bob")
    await bob.call("roomJoin", "room")
    message = (await bob.wait_for("roomMessage", "room"))[1]
    assert (message["textMessage"], sending) == ("kept", [bob.id])
    assert bob.received("roomEvent") == []
    assert len(alice.received("roomEvent")) == 50
    await instance.service.exec_user_command(True, "roomEvent", "room", "typing", "now")
    assert (await bob.wait_for("roomEvent"))[1]["data"] == "now"
