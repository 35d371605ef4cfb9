"""Creating and deleting rooms, and reading what a room is."""

import pytest

from tests.support.markers import told, user_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World

# Creating


@pytest.mark.covers("command:roomCreate", "command:roomGetOwner", "command:roomGetWhitelistMode")
@pytest.mark.parametrize("whitelist_only", [False, True])
async def test_the_creator_owns_the_room(world: World, whitelist_only: bool) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    assert await alice.emit("roomCreate", "room", whitelist_only) == [None, None]
    assert await alice.call("roomGetOwner", "room") == "alice"
    assert await alice.call("roomGetWhitelistMode", "room") is whitelist_only
    assert await alice.call("roomGetAccessList", "room", "userlist") == []
    for name in ("adminlist", "blacklist", "whitelist"):
        assert await alice.call("roomGetAccessList", "room", name) == []


@pytest.mark.covers("command:roomCreate", "error:roomExists")
async def test_a_room_is_created_once(spread: StartSpread) -> None:
    nodes = await spread()
    alice, bob = await nodes[0].login("alice"), await nodes[1].login("bob")
    await alice.call("roomCreate", "room", False)
    assert await bob.error("roomCreate", "room", True) == wire_error("roomExists", "room")
    assert await alice.call("roomGetOwner", "room") == "alice"
    assert await alice.call("roomGetWhitelistMode", "room") is False


@pytest.mark.covers("command:roomCreate", "command:roomDelete", "option:enable_rooms_management")
async def test_without_rooms_management_only_the_server_creates_and_deletes_rooms(world: World) -> None:
    instance = await world.start(enable_rooms_management=False)
    service = instance.service
    alice = await instance.login("alice")
    assert await alice.error("roomCreate", "room", False) == wire_error("notAllowed")
    assert not await service.has_room("room")
    as_alice = {"user_name": "alice", "bypass_permissions": True}
    assert await service.exec_user_command(as_alice, "roomCreate", "room", False) == [None]
    assert await alice.call("roomGetOwner", "room") == "alice"
    assert await alice.error("roomDelete", "room") == wire_error("notAllowed")
    assert await service.has_room("room")
    assert await service.exec_user_command(True, "roomDelete", "room") == [None]
    assert not await service.has_room("room")


@pytest.mark.covers("command:roomCreate", "command:roomGetOwner")
async def test_a_room_that_nobody_created_has_no_owner(world: World) -> None:
    instance = await world.start()
    await instance.service.exec_user_command(True, "roomCreate", "room", False)
    alice = await instance.joined("alice", "room")
    assert await alice.call("roomGetOwner", "room") is None
    assert await alice.error("roomDelete", "room") == wire_error("notAllowed")


@pytest.mark.covers(
    "command:roomNotificationsInfo", "option:enable_userlist_updates", "option:enable_access_lists_updates"
)
@pytest.mark.parametrize("users", [False, True])
@pytest.mark.parametrize("lists", [False, True])
async def test_new_rooms_take_the_options(world: World, users: bool, lists: bool) -> None:
    instance = await world.start(
        enable_userlist_updates=users, enable_access_lists_updates=lists, history_max_size=7
    )
    alice = await instance.login("alice")
    await alice.call("roomCreate", "room", False)
    info = await alice.call("roomNotificationsInfo", "room")
    assert info == {"enableUserlistUpdates": users, "enableAccessListsUpdates": lists}
    assert (await alice.call("roomHistoryInfo", "room"))["historyMaxSize"] == 7


# Deleting


@pytest.mark.covers("command:roomDelete", "error:notAllowed", "error:noRoom")
async def test_only_the_owner_deletes_a_room(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room", owner="alice", adminlist=["admin"])
    alice = await instance.login("alice")
    for name in ("admin", "bob"):
        client = await instance.joined(name, "room")
        assert await client.error("roomDelete", "room") == wire_error("notAllowed")
    assert await alice.emit("roomDelete", "room") == [None, None]
    assert await alice.error("roomDelete", "room") == wire_error("noRoom", "room")


@pytest.mark.covers("command:roomDelete", "notification:roomAccessRemoved")
async def test_deleting_a_room_removes_everybody(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    await nodes.service.add_room("room", owner="alice", adminlist=["admin"])
    joined = [await nodes[i].joined(name, "room") for i, name in enumerate(["bob", "bob", "admin", "alice"])]
    idle = await nodes[2].login("bob")
    stranger = await nodes[1].login("stranger")
    for client in joined:
        client.clear()
    await joined[3].call("roomDelete", "room")
    for client in [*joined, idle]:
        await client.wait_for("roomAccessRemoved", "room")
    for client, name in [(joined[0], "bob"), (joined[2], "admin"), (idle, "bob"), (stranger, "stranger")]:
        await user_marker(nodes.service, name, client)
        assert told(client) == []
    for client in joined:
        assert await client.error("roomMessage", "room", {"textMessage": "x"}) == wire_error("noRoom", "room")
        assert await client.error("roomRecentHistory", "room") == wire_error("noRoom", "room")
    sockets = await joined[0].call("listOwnSockets")
    assert sockets == {client.id: [] for client in (joined[0], joined[1], idle)}


@pytest.mark.covers("command:roomDelete", "command:roomCreate")
async def test_a_recreated_room_is_another_room(spread: StartSpread) -> None:
    nodes = await spread()
    alice, bob = await nodes[0].login("alice"), await nodes[1].login("bob")
    await alice.call("roomCreate", "room", False)
    await alice.call("roomAddToList", "room", "adminlist", ["bob"])
    for client in (alice, bob):
        await client.call("roomJoin", "room")
    assert [await alice.call("roomMessage", "room", {"textMessage": "old"}) for _ in range(3)] == [1, 2, 3]
    await alice.call("roomDelete", "room")
    for client in (alice, bob):
        await client.wait_for("roomAccessRemoved", "room")
    await bob.call("roomCreate", "room", False)
    assert await alice.error("roomGetOwner", "room") == wire_error("notJoined", "room")
    assert await bob.call("roomGetOwner", "room") == "bob"
    assert await bob.call("roomGetAccessList", "room", "adminlist") == []
    assert await bob.call("roomUserSeen", "room", "alice") == {"joined": False, "timestamp": None}
    for client in (alice, bob):
        assert await client.call("roomJoin", "room") == 1
        client.clear()
    assert await alice.call("roomMessage", "room", {"textMessage": "new"}) == 1
    for client in (alice, bob):
        _, message = await client.wait_for("roomMessage", "room")
        assert (message["id"], message["textMessage"]) == (1, "new")
    assert [m["textMessage"] for m in await bob.call("roomRecentHistory", "room")] == ["new"]


# Permission to read

READS = [
    ("roomGetAccessList", "adminlist"),
    ("roomGetAccessList", "blacklist"),
    ("roomGetAccessList", "userlist"),
    ("roomGetAccessList", "whitelist"),
    ("roomGetOwner",),
    ("roomGetWhitelistMode",),
    ("roomHistoryGet", 0, 10),
    ("roomHistoryInfo",),
    ("roomNotificationsInfo",),
    ("roomRecentHistory",),
    ("roomUserSeen", "alice"),
]
EACH_READ = pytest.mark.parametrize(
    "read",
    [pytest.param(read, marks=pytest.mark.covers(f"command:{read[0]}")) for read in READS],
    ids=[" ".join(map(str, read)) for read in READS],
)


@EACH_READ
@pytest.mark.covers("error:notJoined", "error:noRoom")
async def test_joined_users_and_admins_read_and_nobody_else(world: World, read: tuple[str, ...]) -> None:
    instance = await world.start()
    service = instance.service
    await service.add_room("room", owner="alice", adminlist=["admin"])
    command, *args = read
    readers = [
        await instance.joined("bob", "room"),
        await instance.login("bob"),
        await instance.login("alice"),
        await instance.login("admin"),
    ]
    answers = [await client.call(command, "room", *args) for client in readers]
    stranger = await instance.login("stranger")
    assert await stranger.error(command, "room", *args) == wire_error("notJoined", "room")
    assert await stranger.error(command, "nowhere", *args) == wire_error("noRoom", "nowhere")
    for context in (True, {"user_name": "stranger", "bypass_permissions": True}):
        answers += await service.exec_user_command(context, command, "room", *args)
    assert all(answer == answers[0] for answer in answers)
    as_stranger = service.exec_user_command("stranger", command, "room", *args)
    assert await raised(as_stranger) == ("notJoined", "room")
    nowhere = service.exec_user_command(True, command, "nowhere", *args)
    assert await raised(nowhere) == ("noRoom", "nowhere")


@EACH_READ
async def test_reading_ends_with_the_leave(world: World, read: tuple[str, ...]) -> None:
    instance = await world.start()
    await instance.service.add_room("room")
    bob = await instance.joined("bob", "room")
    command, *args = read
    await bob.call(command, "room", *args)
    await bob.call("roomLeave", "room")
    assert await bob.error(command, "room", *args) == wire_error("notJoined", "room")
