"""Conversations of two users, which last, and the list of a user's rooms."""

import asyncio
from typing import Any

import pytest

from chat_service.protocol.names import conversation_name
from chat_service.testing import InProcessClient, wait_until
from tests.support.backends import ONE_STORE
from tests.support.spread import Spread, StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import Instance, World

TEXT = {"textMessage": "hello"}
ON = {"enable_direct_conversations": True}
COMMANDS = pytest.mark.covers("command:directOpen", "command:listOwnRooms")
PAIR = conversation_name("alice", "bob")


async def rooms_of(client: InProcessClient) -> list[str]:
    return [room["roomName"] for room in (await client.call("listOwnRooms"))["rooms"]]


async def met(nodes: Spread, *users: str) -> None:
    """Let users have logged in before."""
    for user in users:
        client = await nodes[0].login(user)
        await client.disconnect()


@pytest.mark.covers(
    "command:directOpen",
    "command:listOwnRooms",
    "notification:directOpened",
    "option:enable_direct_conversations",
)
async def test_a_conversation_with_somebody_who_is_away(spread: StartSpread) -> None:
    nodes = await spread(**ON, own_rooms_limit=10)
    await met(nodes, "bob")
    alice, tablet = await nodes[0].login("alice"), await nodes[1].login("alice")
    room = await alice.call("directOpen", "bob")
    assert room == PAIR
    assert await tablet.wait_for("directOpened") == [room, "bob"]
    await alice.call("roomJoin", room)
    message_id = await alice.call("roomMessage", room, TEXT)
    await alice.call("roomMessage", room, {"textMessage": "hallo"}, {"edits": message_id})
    assert alice.received("directOpened") == []
    bob = await nodes[2].login("bob")
    page = await bob.call("listOwnRooms")
    [entry] = page["rooms"]
    at = entry.pop("lastMessageAt")
    assert isinstance(at, int)
    assert entry == {
        "roomName": room,
        "kind": "direct",
        "userName": "alice",
        "lastMessageId": 2,
        "readId": 0,
        "unread": 2,
    }
    assert page["cursor"] is None
    await bob.call("roomJoin", room)
    [edited, _] = reversed(await bob.call("roomRecentHistory", room, {"fold": True}))
    assert (edited["textMessage"], edited["author"], edited["id"]) == ("hallo", "alice", 1)
    await bob.call("roomMarkRead", room, 2)
    await bob.call("roomMessage", room, {"textMessage": "hi"}, {"replyTo": 1})
    assert (await alice.wait_for("roomMessage"))[1]["textMessage"] == "hello"
    await wait_until(lambda: len(alice.received("roomMessage")) == 2, "the answer")
    # A new device shows everything.
    [entry] = (await (await nodes[1].login("bob")).call("listOwnRooms"))["rooms"]
    assert (entry["readId"], entry["unread"], entry["userName"]) == (2, 1, "alice")
    assert await bob.call("directOpen", "alice") == room


@COMMANDS
async def test_nobody_else_has_any_part_in_it(world: World) -> None:
    instance = await world.start(**ON, enable_rooms_management=True)
    alice, bob, carol = [await instance.login(name) for name in ("alice", "bob", "carol")]
    await alice.call("directOpen", "bob")
    for client in (alice, bob):
        await client.call("roomJoin", PAIR)
    await alice.call("roomMessage", PAIR, TEXT)
    missing = wire_error("noRoom", PAIR)
    for command in (
        ("roomJoin", PAIR),
        ("roomMessage", PAIR, TEXT),
        ("roomRecentHistory", PAIR),
        ("roomGetAccessList", PAIR, "whitelist"),
        ("roomUserSeen", PAIR, "bob"),
        ("roomEvent", PAIR, "typing", 1),
        ("roomLeave", PAIR),
        ("roomDelete", PAIR),
    ):
        assert await carol.error(*command) == missing
    assert await carol.call("roomGetUnread", [PAIR]) == {}
    assert await rooms_of(carol) == []
    # One that does not exist looks the same.
    for client in (alice, carol):
        assert await client.error("roomJoin", "direct:bob:dave") == wire_error("noRoom", "direct:bob:dave")
    # Neither of the two can let others in, or delete it.
    for forbidden in (
        ("roomAddToList", PAIR, "whitelist", ["carol"]),
        ("roomRemoveFromList", PAIR, "whitelist", ["bob"]),
        ("roomSetWhitelistMode", PAIR, False),
        ("roomDelete", PAIR),
    ):
        assert await alice.error(*forbidden) == wire_error("notAllowed")
    # The names are reserved, in every form.
    for name in (PAIR, "direct:carol:dave", "direct:carol", "direct:"):
        assert await carol.error("roomCreate", name, False) == wire_error("invalidName", name)
    for name in ("direct:bob:alice", "direct:bob:bob", "direct:a:b:c", "direct:a", "direct::a", "other:a:b"):
        assert await alice.error("roomJoin", name) == wire_error("invalidName", name)
    assert await raised(instance.service.add_room("direct:x:y")) == ("invalidName", "direct:x:y")


@COMMANDS
async def test_the_lists_of_the_other_one_decide(world: World) -> None:
    instance = await world.start(**ON)
    alice, bob = await instance.login("alice"), await instance.login("bob")
    await bob.call("directAddToList", "blacklist", ["alice"])
    refused = wire_error("notAllowed")
    assert await alice.error("directOpen", "bob") == refused
    assert await alice.error("directOpen", "alice") == refused
    assert await alice.error("directOpen", "ghost") == wire_error("noUser", "ghost")
    assert await rooms_of(bob) == []
    await bob.call("directRemoveFromList", "blacklist", ["alice"])
    await alice.call("directOpen", "bob")
    for client in (alice, bob):
        await client.call("roomJoin", PAIR)
    await alice.call("roomMessage", PAIR, TEXT)
    await bob.call("directAddToList", "blacklist", ["alice"])
    assert await alice.error("roomMessage", PAIR, TEXT) == refused
    assert await alice.error("roomMessage", PAIR, {"textMessage": "x"}, {"edits": 1}) == refused
    assert await alice.error("roomMessage", PAIR, TEXT, {"idempotencyKey": "k"}) == refused
    assert await alice.error("roomEvent", PAIR, "typing", 1) == refused
    # What was said stays, and the other one may go on.
    assert len(await alice.call("roomRecentHistory", PAIR)) == 1
    assert await bob.call("roomMessage", PAIR, TEXT) == 2
    await bob.call("directSetWhitelistMode", True)
    await bob.call("directRemoveFromList", "blacklist", ["alice"])
    assert await alice.error("roomMessage", PAIR, TEXT) == refused
    await bob.call("directAddToList", "whitelist", ["alice"])
    assert await alice.call("roomMessage", PAIR, TEXT) == 3
    await alice.call("roomEvent", PAIR, "typing", 1)
    # Server code may do what it wants.
    run = instance.service.exec_user_command
    await bob.call("directSetWhitelistMode", False)
    await bob.call("directAddToList", "blacklist", ["alice"])
    for_alice = {"user_name": "alice", "bypass_permissions": True}
    assert await run(for_alice, "directOpen", "bob") == [PAIR]
    assert await run(for_alice, "roomMessage", PAIR, TEXT) == [4]


@COMMANDS
@ONE_STORE
async def test_conversations_can_be_off(world: World) -> None:
    instance = await world.start(enable_direct_conversations=False)
    alice, _ = await instance.login("alice"), await instance.login("bob")
    assert await alice.error("directOpen", "bob") == wire_error("notAllowed")
    assert await alice.call("listOwnRooms") == {"rooms": [], "cursor": None}


@COMMANDS
async def test_who_leaves_a_conversation_gets_it_back_with_the_next_message(spread: StartSpread) -> None:
    nodes = await spread(**ON)
    alice, bob = await nodes[0].login("alice"), await nodes[1].login("bob")
    phone = await nodes[2].login("bob")
    await alice.call("directOpen", "bob")
    for client in (alice, bob, phone):
        await client.call("roomJoin", PAIR)
    await alice.call("roomMessage", PAIR, TEXT)
    bob.clear()
    phone.clear()
    await bob.call("roomLeave", PAIR)
    assert await phone.wait_for("roomAccessRemoved") == [PAIR]
    assert (await rooms_of(bob), await rooms_of(alice)) == ([], [PAIR])
    assert await phone.error("roomJoin", PAIR) == wire_error("noRoom", PAIR)
    assert await alice.call("roomMessage", PAIR, TEXT) == 2
    for client in (bob, phone):
        assert await client.wait_for("directOpened") == [PAIR, "alice"]
    await bob.call("roomJoin", PAIR)
    assert [message["id"] for message in await bob.call("roomRecentHistory", PAIR)] == [2, 1]
    # When both have left, nothing is left.
    await alice.call("roomLeave", PAIR)
    await bob.call("roomLeave", PAIR)
    assert not await nodes.service.has_room(PAIR)
    assert await bob.call("directOpen", "alice") == PAIR
    await bob.call("roomJoin", PAIR)
    assert await bob.call("roomRecentHistory", PAIR) == []


@pytest.mark.covers("option:conversations_limit", "error:limitExceeded")
async def test_the_number_of_conversations_has_a_limit(world: World) -> None:
    instance = await world.start(**ON, conversations_limit=1, room_create_rate=0.001, room_create_burst=2)
    alice, bob, carol = [await instance.login(name) for name in ("alice", "bob", "carol")]
    await alice.call("directOpen", "bob")
    full = wire_error("limitExceeded", "conversations of a user")
    assert await alice.error("directOpen", "carol") == full
    assert await carol.error("directOpen", "bob") == full
    assert await rooms_of(carol) == []
    await alice.call("roomLeave", PAIR)
    assert "Rate limit" in str(await alice.error("directOpen", "carol"))
    assert await carol.call("directOpen", "alice") == conversation_name("alice", "carol")
    assert await rooms_of(bob) == [PAIR]


@pytest.mark.covers("option:conversation_ttl")
async def test_a_conversation_without_anybody_ends_in_time(world: World) -> None:
    instance = await world.start(**ON, conversation_ttl=0.2)
    alice, bob = await instance.login("alice"), await instance.login("bob")
    await alice.call("directOpen", "bob")
    await bob.call("roomJoin", PAIR)
    await asyncio.sleep(0.3)
    assert await rooms_of(alice) == [PAIR]
    await bob.disconnect()

    async def is_gone() -> bool:
        return not await rooms_of(alice)

    await wait_until(is_gone, "the end of the conversation")
    assert await alice.call("directOpen", "bob") == PAIR


@pytest.mark.covers("option:own_rooms_limit", "command:listOwnRooms")
async def test_joined_rooms_are_listed_until_they_are_left(spread: StartSpread) -> None:
    nodes = await spread(own_rooms_limit=2)
    for name in ("a", "b", "c"):
        await nodes.service.add_room(name)
    alice = await nodes[0].joined("alice", "b", "a", "c")
    assert await rooms_of(alice) == ["a", "b"]
    await nodes.service.exec_user_command(True, "roomMessage", "b", TEXT)
    await alice.disconnect()
    phone = await nodes[1].login("alice")
    pages = await phone.call("listOwnRooms", {"limit": 1})
    assert [room["roomName"] for room in pages["rooms"]] == ["a"]
    rest = await phone.call("listOwnRooms", {"limit": 1, "cursor": pages["cursor"]})
    [entry] = rest["rooms"]
    assert entry.pop("lastMessageAt") > 0
    assert rest["cursor"] is None
    assert entry == {
        "roomName": "b",
        "kind": "room",
        "userName": None,
        "lastMessageId": 1,
        "readId": 0,
        "unread": 1,
    }
    # Left on one device means left.
    await phone.call("roomJoin", "a")
    await phone.call("roomLeave", "a")
    assert await rooms_of(phone) == ["b"]
    await nodes.service.delete_room("b")
    assert await rooms_of(phone) == []
    # The server takes a user out of a room for good.
    await phone.call("roomJoin", "c")
    assert await rooms_of(phone) == ["c"]
    await nodes.service.remove_member("alice", "c")
    assert await rooms_of(phone) == []


@pytest.mark.covers("option:own_rooms_limit")
@ONE_STORE
async def test_joined_rooms_are_not_listed_by_default(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    assert await rooms_of(alice) == []


@COMMANDS
@ONE_STORE
@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": "1"}, {"cursor": 5}, {"cursor": ""}])
async def test_bad_options_of_a_list(world: World, options: dict[str, Any]) -> None:
    alice = await (await world.start()).login("alice")
    assert await alice.error("listOwnRooms", options) == wire_error("badArgument", 0, options)


@pytest.mark.covers("api:delete_user", "api:ban_user")
async def test_what_becomes_of_conversations_when_a_user_goes(world: World) -> None:
    instance: Instance = await world.start(**ON, own_rooms_limit=5)
    await instance.service.add_room("room")
    bob = await instance.login("bob")
    alice = await instance.joined("alice", "room")
    await alice.call("directOpen", "bob")
    for client in (alice, bob):
        await client.call("roomJoin", PAIR)
    await alice.call("roomMessage", PAIR, TEXT)
    # A ban ends memberships. The conversation is still there afterwards.
    await instance.service.ban_user("alice")
    await wait_until(lambda: not alice.connected, "the ban")
    assert await bob.call("roomMessage", PAIR, TEXT) == 2
    await instance.service.unban_user("alice")
    again = await instance.login("alice")
    assert await rooms_of(again) == [PAIR]
    await again.disconnect()
    await instance.service.delete_user("alice")
    assert await bob.error("roomMessage", PAIR, TEXT) == wire_error("noUser", "alice")
    assert len(await bob.call("roomRecentHistory", PAIR)) == 2
    # Whoever comes by this name now sees nothing of it.
    new = await instance.login("alice")
    assert await rooms_of(new) == []
    assert await new.call("directOpen", "bob") == PAIR
    assert await bob.wait_for("roomAccessRemoved") == [PAIR]
    await new.call("roomJoin", PAIR)
    assert await new.call("roomRecentHistory", PAIR) == []
    await new.call("roomLeave", PAIR)
    await bob.call("roomLeave", PAIR)
    assert not await instance.service.has_room(PAIR)
