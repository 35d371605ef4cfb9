"""Direct messages: recipients, permissions, and the fields that the server sets."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatServiceError
from chat_service.testing import FakeClock
from tests.support.markers import told, user_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World

TEXT = {"textMessage": "hello"}
QUIET = {"heartbeat_rate": 1000.0, "heartbeat_timeout": 3000.0}


@pytest.mark.covers("command:directMessage", "notification:directMessage", "notification:directMessageEcho")
async def test_all_sockets_of_the_recipient_and_the_senders_others(spread: StartSpread) -> None:
    nodes = await spread(clock=FakeClock(start_ms=6_000), **QUIET)
    senders = [await nodes[place].login("alice") for place in range(3)]
    hearers = [await nodes[place].login("bob") for place in range(3)]
    third = await nodes[1].login("carol")
    for name, clients in [("alice", senders), ("bob", hearers)]:
        await user_marker(nodes.service, name, *clients)
        for client in clients:
            client.clear()
    sent = {"textMessage": "hello", "timestamp": 6_000, "author": "alice"}
    assert await senders[0].emit("directMessage", "bob", TEXT) == [None, sent]
    for client in hearers:
        await user_marker(nodes.service, "bob", client)
        assert told(client) == [("directMessage", [sent])]
    for client in senders[1:]:
        await user_marker(nodes.service, "alice", client)
        assert told(client) == [("directMessageEcho", ["bob", sent])]
    for client, name in [(senders[0], "alice"), (third, "carol")]:
        await user_marker(nodes.service, name, client)
        assert told(client) == []


@pytest.mark.covers("error:noUser", "error:noUserOnline", "command:directMessage")
async def test_the_recipient_must_exist_and_be_online(spread: StartSpread) -> None:
    nodes = await spread()
    alice = await nodes[0].login("alice")
    assert await alice.error("directMessage", "bob", TEXT) == wire_error("noUser", "bob")
    await nodes[1].service.add_user("bob")
    assert await alice.error("directMessage", "bob", TEXT) == wire_error("noUserOnline", "bob")
    bobs = [await nodes[1].login("bob"), await nodes[2].login("bob")]
    await bobs[0].disconnect()
    await alice.call("directMessage", "bob", TEXT)
    await bobs[1].wait_for("directMessage")
    await bobs[1].disconnect()
    assert await alice.error("directMessage", "bob", TEXT) == wire_error("noUserOnline", "bob")
    for context in (True, {"user_name": "alice", "bypass_permissions": True}):
        by_server = nodes.service.exec_user_command(context, "directMessage", "bob", TEXT)
        assert await raised(by_server) == ("noUserOnline", "bob")
        by_server = nodes.service.exec_user_command(context, "directMessage", "ghost", TEXT)
        assert await raised(by_server) == ("noUser", "ghost")


@pytest.mark.covers("command:directMessage", "error:notAllowed")
async def test_users_cannot_write_to_themselves(world: World) -> None:
    instance = await world.start()
    alice, second = await instance.login("alice"), await instance.login("alice")
    assert await alice.error("directMessage", "alice", TEXT) == wire_error("notAllowed")
    bypassing = {"user_name": "alice", "bypass_permissions": True}
    by_server = instance.service.exec_user_command(bypassing, "directMessage", "alice", TEXT)
    assert await raised(by_server) == ("notAllowed",)
    await user_marker(instance.service, "alice", second)
    assert told(second) == []


@pytest.mark.covers("option:enable_direct_messages", "command:directMessage")
async def test_direct_messages_can_be_off(world: World) -> None:
    instance = await world.start(enable_direct_messages=False)
    alice, bob = await instance.login("alice"), await instance.login("bob")
    assert await alice.error("directMessage", "bob", TEXT) == wire_error("notAllowed")
    as_alice = {"user_name": "alice", "bypass_permissions": True}
    [sent] = await instance.service.exec_user_command(as_alice, "directMessage", "bob", TEXT)
    assert await bob.wait_for("directMessage") == [sent]
    assert await alice.wait_for("directMessageEcho") == ["bob", sent]
    as_user = instance.service.exec_user_command("alice", "directMessage", "bob", TEXT)
    assert await raised(as_user) == ("notAllowed",)


@pytest.mark.covers("command:directMessage", "api:exec_user_command")
async def test_the_server_cannot_send_without_a_user(spread: StartSpread) -> None:
    nodes = await spread(clock=FakeClock(start_ms=6_000), **QUIET)
    bob = await nodes[1].login("bob")
    await bob.call("directSetWhitelistMode", True)
    await nodes.service.exec_user_command(True, "directMessage", "bob", TEXT)
    assert await bob.wait_for("directMessage") == [{**TEXT, "timestamp": 6_000}]
    signed = {**TEXT, "author": "the press"}
    await nodes.service.exec_user_command(True, "directMessage", "bob", signed)
    assert await bob.wait_for("directMessage") == [{**signed, "timestamp": 6_000}]


@pytest.mark.covers("command:directMessage", "command:directSetWhitelistMode", "error:notAllowed")
@pytest.mark.parametrize("blacklisted", [False, True])
@pytest.mark.parametrize("whitelisted", [False, True])
@pytest.mark.parametrize("mode", [False, True])
async def test_the_recipients_lists_decide(
    world: World, blacklisted: bool, whitelisted: bool, mode: bool
) -> None:
    instance = await world.start()
    service = instance.service
    alice, bob = await instance.login("alice"), await instance.login("bob")
    await bob.call("directSetWhitelistMode", mode)
    for name, listed in [("blacklist", blacklisted), ("whitelist", whitelisted)]:
        if listed:
            await bob.call("directAddToList", name, ["carol", "alice"])
    allowed = not blacklisted and (whitelisted or not mode)
    assert await service.has_direct_access("bob", "alice") is allowed
    if allowed:
        await alice.call("directMessage", "bob", TEXT)
        await bob.wait_for("directMessage")
    else:
        assert await alice.error("directMessage", "bob", TEXT) == wire_error("notAllowed")
        await bob.disconnect()
        # Blocked senders must not learn whether the recipient is online.
        assert await alice.error("directMessage", "bob", TEXT) == wire_error("notAllowed")
        bob = await instance.login("bob")
    as_alice = {"user_name": "alice", "bypass_permissions": True}
    await service.exec_user_command(as_alice, "directMessage", "bob", TEXT)
    await bob.wait_for("directMessage")
    # The opposite direction is allowed.
    await bob.call("directMessage", "alice", TEXT)


@pytest.mark.covers("command:directMessage")
async def test_messages_of_one_socket_arrive_in_order(spread: StartSpread) -> None:
    nodes = await spread()
    alice, bob = await nodes[0].login("alice"), await nodes[1].login("bob")
    texts = [str(number) for number in range(50)]
    for text in texts:
        await alice.call("directMessage", "bob", {"textMessage": text})
    await user_marker(nodes.service, "bob", bob)
    assert [message["textMessage"] for [message] in bob.received("directMessage")] == texts


@pytest.mark.covers("hook:direct_messages_checker", "command:directMessage")
async def test_a_checker_opens_the_format(world: World) -> None:
    async def check(message: dict[str, Any]) -> None:
        if "refuse" in message:
            raise ChatServiceError("refused")

    instance = await world.start(
        hooks={"direct_messages_checker": check}, clock=FakeClock(start_ms=6_000), **QUIET
    )
    alice, bob = await instance.login("alice"), await instance.login("bob")
    message = {"blob": b"\x00\xff", "nested": [{"blob": b""}], "id": 7, "author": "eve", "timestamp": 1}
    sent = {"blob": b"\x00\xff", "nested": [{"blob": b""}], "author": "alice", "timestamp": 6_000}
    assert await alice.call("directMessage", "bob", message) == sent
    assert await bob.wait_for("directMessage") == [sent]
    assert await alice.error("directMessage", "bob", {"refuse": 1}) == "ChatServiceError: refused"
    # The format of room messages is as it was.
    await instance.service.add_room("room")
    await alice.call("roomJoin", "room")
    assert await alice.error("roomMessage", "room", {"a": 1}) == wire_error("badArgument", 1, {"a": 1})
    await user_marker(instance.service, "bob", bob)
    assert told(bob) == []


@pytest.mark.covers("command:directMessage", "error:badArgument")
@pytest.mark.parametrize("message", [{}, {"textMessage": 1}, {"textMessage": "x", "author": "alice"}])
async def test_without_a_checker_a_message_is_a_text(world: World, message: Any) -> None:
    instance = await world.start()
    alice, _ = await asyncio.gather(instance.login("alice"), instance.login("bob"))
    assert await alice.error("directMessage", "bob", message) == wire_error("badArgument", 1, message)
