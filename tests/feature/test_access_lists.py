"""Access lists and the mode of a room: permissions, limits and notifications."""

from typing import Any

import pytest

from tests.support.backends import ONE_STORE
from tests.support.markers import room_marker, told, user_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import Instance, World

LISTS = ("adminlist", "blacklist", "whitelist")
CHANGES = ("roomAddToList", "roomRemoveFromList")


async def start_room(world: World, **options: Any) -> Instance:
    instance = await world.start(**options)
    await instance.service.add_room("room", owner="alice", adminlist=["admin"])
    return instance


@pytest.mark.covers("command:roomAddToList", "command:roomRemoveFromList", "command:roomGetAccessList")
@pytest.mark.parametrize("list_name", LISTS)
async def test_the_owner_changes_every_list(world: World, list_name: str) -> None:
    instance = await world.start()
    await instance.service.add_room("room", owner="alice")
    alice = await instance.login("alice")

    async def names() -> list:
        return sorted(await alice.call("roomGetAccessList", "room", list_name))

    assert await alice.emit("roomAddToList", "room", list_name, ["b", "a", "b"]) == [None, None]
    assert await names() == ["a", "b"]
    await alice.call("roomAddToList", "room", list_name, ["a", "c"])
    assert await names() == ["a", "b", "c"]
    assert await alice.emit("roomRemoveFromList", "room", list_name, ["b", "x", "b"]) == [None, None]
    assert await names() == ["a", "c"]
    await alice.call("roomRemoveFromList", "room", list_name, ["b"])
    await alice.call("roomAddToList", "room", list_name, [])
    await alice.call("roomRemoveFromList", "room", list_name, [])
    assert await names() == ["a", "c"]
    for other in set(LISTS) - {list_name}:
        assert await alice.call("roomGetAccessList", "room", other) == []


@pytest.mark.covers("command:roomAddToList", "command:roomRemoveFromList", "error:notAllowed")
@pytest.mark.parametrize("command", CHANGES)
@pytest.mark.parametrize("list_name", LISTS)
async def test_admins_change_the_lists_but_not_the_adminlist(
    world: World, command: str, list_name: str
) -> None:
    instance = await start_room(world)
    alice, admin = await instance.login("alice"), await instance.login("admin")
    if list_name == "adminlist":
        assert await admin.error(command, "room", list_name, ["bob"]) == wire_error("notAllowed")
    else:
        assert await admin.call(command, "room", list_name, ["bob"]) is None
    # The owner's name anywhere among the names.
    assert await admin.error(command, "room", list_name, ["carol", "alice"]) == wire_error("notAllowed")
    expected = {"adminlist": ["admin"]}.get(list_name, ["bob"] if command == "roomAddToList" else [])
    assert await alice.call("roomGetAccessList", "room", list_name) == expected
    assert await alice.call(command, "room", list_name, ["alice"]) is None


@pytest.mark.covers("command:roomAddToList", "command:roomRemoveFromList", "error:notAllowed")
@pytest.mark.parametrize("command", CHANGES)
@pytest.mark.parametrize("list_name", LISTS)
async def test_others_cannot_change_lists_unless_permissions_are_bypassed(
    world: World, command: str, list_name: str
) -> None:
    instance = await start_room(world)
    service = instance.service
    for client in (await instance.joined("bob", "room"), await instance.login("stranger")):
        assert await client.error(command, "room", list_name, ["x"]) == wire_error("notAllowed")
    for context in (True, {"user_name": "stranger", "bypass_permissions": True}):
        assert await service.exec_user_command(context, command, "room", list_name, ["x", "alice"]) == [None]
        is_there = await service.room_has_in_list("room", list_name, "x")
        assert is_there is (command == "roomAddToList")
    as_bob = service.exec_user_command("bob", command, "room", list_name, ["x"])
    assert await raised(as_bob) == ("notAllowed",)


@pytest.mark.covers("command:roomAddToList", "command:roomRemoveFromList", "error:notAllowed", "error:noList")
@pytest.mark.parametrize("command", CHANGES)
async def test_the_userlist_cannot_be_changed(world: World, command: str) -> None:
    instance = await start_room(world)
    alice, admin = await instance.joined("alice", "room"), await instance.joined("admin", "room")
    for client in (alice, admin):
        assert await client.error(command, "room", "userlist", ["x"]) == wire_error("notAllowed")
    by_server = instance.service.exec_user_command(True, command, "room", "userlist", ["alice"])
    assert await raised(by_server) == ("notAllowed",)
    assert sorted(await alice.call("roomGetAccessList", "room", "userlist")) == ["admin", "alice"]


@pytest.mark.covers(
    "error:noList", "command:roomAddToList", "command:roomRemoveFromList", "command:roomGetAccessList"
)
@pytest.mark.parametrize("list_name", ["", "lists", "Whitelist", "owner", "__class__", "white\x00list"])
async def test_unknown_lists(world: World, list_name: str) -> None:
    instance = await start_room(world)
    alice = await instance.joined("alice", "room")
    expected = wire_error("noList", list_name)
    for command in CHANGES:
        assert await alice.error(command, "room", list_name, ["x"]) == expected
    assert await alice.error("roomGetAccessList", "room", list_name) == expected
    by_server = instance.service.exec_user_command(True, "roomAddToList", "room", list_name, ["x"])
    assert await raised(by_server) == ("noList", list_name)


@pytest.mark.covers("error:noRoom", "command:roomAddToList", "command:roomSetWhitelistMode")
async def test_changes_of_a_missing_room(world: World) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    for command, args in [
        *((name, ("whitelist", ["x"])) for name in CHANGES),
        ("roomSetWhitelistMode", (True,)),
    ]:
        assert await alice.error(command, "nowhere", *args) == wire_error("noRoom", "nowhere")


# Limits


@pytest.mark.covers(
    "option:room_list_size_limit", "error:listLimitExceeded", "better:distinct-name list limits"
)
@pytest.mark.parametrize("list_name", LISTS)
async def test_a_list_grows_to_its_limit_of_distinct_names(spread: StartSpread, list_name: str) -> None:
    nodes = await spread(room_list_size_limit=3)
    await nodes.service.add_room("room", owner="alice")
    clients = [await nodes[place].login("alice") for place in range(3)]
    alice = clients[0]
    for client, names in zip(clients, (["a", "a", "a", "a"], ["b"], ["b", "a", "c"]), strict=True):
        await client.call("roomAddToList", "room", list_name, names)
    expected = wire_error("listLimitExceeded", list_name)
    assert await clients[1].error("roomAddToList", "room", list_name, ["d"]) == expected
    assert await alice.error("roomAddToList", "room", list_name, ["a", "d"]) == expected
    # A call adds all of its names or none; names that are already listed are always accepted.
    await alice.call("roomAddToList", "room", list_name, ["a", "b", "c"] * 3)
    assert sorted(await alice.call("roomGetAccessList", "room", list_name)) == ["a", "b", "c"]
    await clients[2].call("roomRemoveFromList", "room", list_name, ["b"])
    assert await alice.error("roomAddToList", "room", list_name, ["d", "e"]) == expected
    await alice.call("roomAddToList", "room", list_name, ["d", "d"])
    assert sorted(await alice.call("roomGetAccessList", "room", list_name)) == ["a", "c", "d"]
    by_server = nodes.service.exec_user_command(True, "roomAddToList", "room", list_name, ["e"])
    assert await raised(by_server) == ("listLimitExceeded", list_name)


@pytest.mark.covers("better:list names checked", "error:invalidName")
@pytest.mark.parametrize("command", CHANGES)
@pytest.mark.parametrize("name", ["", "a:b", "a{", "}", "\x00", "tab\t", "\x7f", "x" * 257])
@ONE_STORE
async def test_names_in_lists_are_held_to_the_rule_of_names(world: World, command: str, name: str) -> None:
    instance = await start_room(world)
    alice = await instance.login("alice")
    shown = name if len(name) <= 256 else name[:256] + "…"
    for names in ([name], ["fine", name]):
        assert await alice.error(command, "room", "whitelist", names) == wire_error("invalidName", shown)
    assert await alice.call("roomGetAccessList", "room", "whitelist") == []


# Notifications to the room


@pytest.mark.covers("notification:roomAccessListAdded", "notification:roomAccessListRemoved")
@pytest.mark.parametrize("list_name", LISTS)
async def test_the_room_is_notified_of_changed_lists(spread: StartSpread, list_name: str) -> None:
    nodes = await spread(enable_access_lists_updates=True)
    await nodes.service.add_room("room", owner="alice")
    alice, bob = await nodes[0].joined("alice", "room"), await nodes[1].joined("bob", "room")
    outsider = await nodes[2].login("outsider")
    await alice.call("roomAddToList", "room", list_name, ["x", "y"])
    await alice.call("roomRemoveFromList", "room", list_name, ["y"])
    for client in (alice, bob):
        await room_marker(nodes.service, "room", client)
        assert told(client) == [
            ("roomAccessListAdded", ["room", list_name, ["x", "y"]]),
            ("roomAccessListRemoved", ["room", list_name, ["y"]]),
        ]
    await user_marker(nodes.service, "outsider", outsider)
    assert told(outsider) == []


@pytest.mark.covers("command:roomSetWhitelistMode", "notification:roomModeChanged")
async def test_the_room_is_notified_of_the_mode(spread: StartSpread) -> None:
    nodes = await spread(enable_access_lists_updates=True)
    await nodes.service.add_room("room", owner="alice", adminlist=["admin"], whitelist=["bob"])
    alice, bob = await nodes[0].joined("alice", "room"), await nodes[1].joined("bob", "room")
    admin, outsider = await nodes[2].login("admin"), await nodes[2].login("outsider")
    assert await alice.emit("roomSetWhitelistMode", "room", True) == [None, None]
    assert await bob.call("roomGetWhitelistMode", "room") is True
    assert await admin.call("roomSetWhitelistMode", "room", False) is None
    assert await bob.call("roomGetWhitelistMode", "room") is False
    for client in (alice, bob):
        await room_marker(nodes.service, "room", client)
        assert told(client) == [("roomModeChanged", ["room", True]), ("roomModeChanged", ["room", False])]
    for client, name in [(outsider, "outsider"), (admin, "admin")]:
        await user_marker(nodes.service, name, client)
        assert told(client) == []


@pytest.mark.covers("api:change_access_lists_updates", "notification:roomAccessListAdded")
async def test_the_room_is_notified_only_while_updates_are_on(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room", owner="alice")
    alice, bob = await nodes[0].joined("alice", "room"), await nodes[1].joined("bob", "room")
    for enabled in (False, True, False):
        await nodes[2].service.change_access_lists_updates("room", enabled)
        info = await bob.call("roomNotificationsInfo", "room")
        assert info == {"enableUserlistUpdates": False, "enableAccessListsUpdates": enabled}
        await alice.call("roomAddToList", "room", "whitelist", ["bob"])
        await alice.call("roomSetWhitelistMode", "room", True)
        await alice.call("roomSetWhitelistMode", "room", False)
        await alice.call("roomRemoveFromList", "room", "whitelist", ["bob"])
        for client in (alice, bob):
            await room_marker(nodes.service, "room", client)
            names = [name for name, _ in told(client)]
            client.clear()
            expected = ["roomAccessListAdded", "roomModeChanged", "roomModeChanged", "roomAccessListRemoved"]
            assert names == (expected if enabled else [])


# The mode


@pytest.mark.covers("command:roomSetWhitelistMode", "error:notAllowed")
async def test_only_owner_and_admins_set_the_mode(world: World) -> None:
    instance = await start_room(world)
    service = instance.service
    bob = await instance.joined("bob", "room")
    stranger = await instance.login("stranger")
    for client in (bob, stranger):
        assert await client.error("roomSetWhitelistMode", "room", True) == wire_error("notAllowed")
    assert await bob.call("roomGetWhitelistMode", "room") is False
    for context in (True, {"user_name": "stranger", "bypass_permissions": True}):
        assert await service.exec_user_command(context, "roomSetWhitelistMode", "room", False) == [None]


@pytest.mark.covers(
    "error:noList", "error:noRoom", "error:notAllowed", "error:notJoined", "command:roomAddToList"
)
@pytest.mark.parametrize("list_name", ["userlist", "greylist"])
async def test_a_list_that_rooms_do_not_have_is_the_last_error(world: World, list_name: str) -> None:
    instance = await start_room(world)
    service = instance.service
    alice, admin = await instance.login("alice"), await instance.login("admin")
    bob, stranger = await instance.joined("bob", "room"), await instance.login("stranger")
    # The owner has the most rights, but even the owner cannot change the userlist.
    last = wire_error("notAllowed") if list_name == "userlist" else wire_error("noList", list_name)
    for command in CHANGES:
        assert await stranger.error(command, "nowhere", list_name, ["x"]) == wire_error("noRoom", "nowhere")
        for client in (stranger, bob):
            assert await client.error(command, "room", list_name, ["x"]) == wire_error("notAllowed")
        for client in (alice, admin):
            assert await client.error(command, "room", list_name, ["x"]) == last
        nobody = service.exec_user_command({"bypass_permissions": False}, command, "room", list_name, ["x"])
        assert await raised(nobody) == ("notAllowed",)
    read = "roomGetAccessList"
    assert await stranger.error(read, "nowhere", list_name) == wire_error("noRoom", "nowhere")
    assert await stranger.error(read, "room", list_name) == wire_error("notJoined", "room")
    if list_name == "greylist":
        assert await bob.error(read, "room", list_name) == wire_error("noList", list_name)
        assert await raised(service.room_has_in_list("nowhere", list_name, "x")) == ("noRoom", "nowhere")
        assert await raised(service.user_has_in_list("nobody", list_name, "x")) == ("noUser", "nobody")
