"""Changes of lists, modes and owners that take the access of joined users away."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chat_service.testing import InProcessClient
from tests.support.markers import room_marker, told, user_marker
from tests.support.spread import Spread, StartSpread
from tests.support.wire_errors import wire_error
from tests.support.world import World

#: Ways in which "bob" can lose access to "room", which "alice" owns, and the settings that "room" needs for
#: each.
Loss = tuple[dict[str, Any], Callable[[Spread], Awaitable[Any]]]


def by_command(command: str, *args: Any) -> Callable[[Spread], Awaitable[Any]]:
    async def run(nodes: Spread) -> None:
        await (await nodes[2].login("alice")).call(command, "room", *args)

    return run


LOSSES: dict[str, Loss] = {
    "blacklisted": ({}, by_command("roomAddToList", "blacklist", ["x", "bob"])),
    "blacklisted though whitelisted": (
        {"whitelist_only": True, "whitelist": ["bob", "carol"]},
        by_command("roomAddToList", "blacklist", ["bob"]),
    ),
    "no longer whitelisted": (
        {"whitelist_only": True, "whitelist": ["bob", "carol"]},
        by_command("roomRemoveFromList", "whitelist", ["bob"]),
    ),
    "no longer admin": (
        {"whitelist_only": True, "whitelist": ["carol"], "adminlist": ["bob"]},
        by_command("roomRemoveFromList", "adminlist", ["bob"]),
    ),
    "whitelist mode": ({"whitelist": ["carol"]}, by_command("roomSetWhitelistMode", True)),
}
EACH_LOSS = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@EACH_LOSS
@pytest.mark.covers(
    "notification:roomAccessRemoved",
    "notification:roomUserLeft",
    "command:roomAddToList",
    "command:roomRemoveFromList",
    "command:roomSetWhitelistMode",
    "better:no reading or posting after a removal",
)
async def test_all_sockets_are_removed(spread: StartSpread, loss: Loss) -> None:
    config, take_away = loss
    nodes = await spread(enable_userlist_updates=True)
    await nodes.service.add_room("room", owner="alice", **config)
    joined = [await nodes[place].joined("bob", "room") for place in range(3)]
    idle = [await nodes[place].login("bob") for place in range(3)]
    carol = await nodes[1].joined("carol", "room")
    assert await carol.call("roomMessage", "room", {"textMessage": "before"}) == 1
    await room_marker(nodes.service, "room", carol, *joined)
    await user_marker(nodes.service, "bob", *joined, *idle)
    for client in (carol, *joined, *idle):
        client.clear()
    await take_away(nodes)
    # The command is acknowledged: from now on all commands fail, on every instance.
    for client in (*joined, *idle):
        for command, args in [
            ("roomMessage", ({"textMessage": "x"},)),
            ("roomRecentHistory", ()),
            ("roomHistoryGet", (0, 5)),
            ("roomHistoryInfo", ()),
            ("roomGetAccessList", ("userlist",)),
        ]:
            assert await client.error(command, "room", *args) == wire_error("notJoined", "room")
        assert await client.error("roomJoin", "room") == wire_error("notAllowed")
    assert await carol.call("roomMessage", "room", {"textMessage": "after"}) == 3
    await room_marker(nodes.service, "room", carol)
    await user_marker(nodes.service, "bob", *joined, *idle)
    for client in (*joined, *idle):
        await client.wait_for("roomAccessRemoved", "room")
        await user_marker(nodes.service, "bob", client)
        assert told(client) == []
    assert [name for name, _ in told(carol)] == ["roomUserLeft", "roomMessage"]
    assert carol.received("roomUserLeft") == [["room", "bob"]]
    assert await carol.call("roomGetAccessList", "room", "userlist") == ["carol"]
    seen = await carol.call("roomUserSeen", "room", "bob")
    assert seen["joined"] is False
    rooms = await idle[0].call("listOwnSockets")
    assert rooms == {client.id: [] for client in (*joined, *idle)}


@EACH_LOSS
async def test_a_removed_user_who_is_let_in_again_joins_anew(spread: StartSpread, loss: Loss) -> None:
    config, take_away = loss
    nodes = await spread()
    service = nodes.service
    await service.add_room("room", owner="alice", **config)
    bobs = [await nodes[place].joined("bob", "room") for place in range(2)]
    await take_away(nodes)
    for client in bobs:
        await client.wait_for("roomAccessRemoved", "room")
    assert not await service.has_room_access("room", "bob")
    await service.exec_user_command(True, "roomRemoveFromList", "room", "blacklist", ["bob"])
    await service.exec_user_command(True, "roomSetWhitelistMode", "room", False)
    first, second = bobs
    assert await first.error("roomRecentHistory", "room") == wire_error("notJoined", "room")
    assert await first.call("roomJoin", "room") == 1
    await room_marker(service, "room", first)
    assert await second.call("roomJoin", "room") == 2
    await room_marker(service, "room", first, second)
    assert len(second.received("roomMessage")) == 1


@pytest.mark.covers("better:owner kept on mode change", "command:roomSetWhitelistMode")
@pytest.mark.parametrize("blacklist", [[], ["alice", "admin"]], ids=["", "blacklisted"])
async def test_owner_and_admins_stay_whatever_the_mode(spread: StartSpread, blacklist: list[str]) -> None:
    nodes = await spread(enable_access_lists_updates=True)
    await nodes.service.add_room("room", owner="alice", adminlist=["admin"], blacklist=blacklist)
    alice, admin = await nodes[0].joined("alice", "room"), await nodes[1].joined("admin", "room")
    await admin.call("roomSetWhitelistMode", "room", True)
    await alice.call("roomSetWhitelistMode", "room", True)
    await room_marker(nodes.service, "room", alice, admin)
    for client in (alice, admin):
        assert told(client) == [("roomModeChanged", ["room", True])] * 2
    for client in (alice, admin):
        await client.call("roomMessage", "room", {"textMessage": "still here"})
    assert sorted(await alice.call("roomGetAccessList", "room", "userlist")) == ["admin", "alice"]


@pytest.mark.covers("command:roomAddToList", "command:roomRemoveFromList")
async def test_owner_and_admins_stay_whatever_the_lists(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room", owner="alice", adminlist=["admin"], whitelist=["alice", "admin"])
    alice, admin = await nodes[0].joined("alice", "room"), await nodes[1].joined("admin", "room")
    await alice.call("roomSetWhitelistMode", "room", True)
    await alice.call("roomAddToList", "room", "blacklist", ["alice", "admin"])
    await alice.call("roomRemoveFromList", "room", "whitelist", ["alice", "admin"])
    await room_marker(nodes.service, "room", alice, admin)
    assert (told(alice), told(admin)) == ([], [])
    assert sorted(await alice.call("roomGetAccessList", "room", "userlist")) == ["admin", "alice"]


@pytest.mark.covers("command:roomSetWhitelistMode", "command:roomAddToList")
async def test_changes_that_leave_everybody_their_access_remove_nobody(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    await nodes.service.add_room("room", owner="alice", whitelist=["bob"])
    alice, bob = await nodes[0].login("alice"), await nodes[1].joined("bob", "room")
    bob.clear()
    for command, args in [
        ("roomSetWhitelistMode", (True,)),
        ("roomAddToList", ("whitelist", ["carol"])),
        ("roomAddToList", ("blacklist", ["dave"])),
        ("roomRemoveFromList", ("blacklist", ["bob"])),
        ("roomSetWhitelistMode", (False,)),
        ("roomRemoveFromList", ("whitelist", ["bob"])),
    ]:
        await alice.call(command, "room", *args)
    await room_marker(nodes.service, "room", bob)
    await user_marker(nodes.service, "bob", bob)
    assert told(bob) == []


@pytest.mark.covers("notification:roomAccessRemoved", "command:roomAddToList")
async def test_a_user_who_is_not_joined_is_not_notified(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room", owner="alice")
    alice, bob = await nodes[0].login("alice"), await nodes[1].login("bob")
    await alice.call("roomAddToList", "room", "blacklist", ["bob"])
    await alice.call("roomSetWhitelistMode", "room", True)
    await user_marker(nodes.service, "bob", bob)
    assert told(bob) == []


@pytest.mark.covers("api:change_room_owner", "notification:roomAccessRemoved")
async def test_a_former_owner_without_access_is_removed(spread: StartSpread) -> None:
    nodes = await spread()
    service = nodes.service
    await service.add_room("room", owner="alice", whitelist_only=True, adminlist=["bob"])
    clients: list[InProcessClient] = [
        await nodes[0].joined("alice", "room"),
        await nodes[1].joined("alice", "room"),
    ]
    bob = await nodes[2].joined("bob", "room")
    await nodes[2].service.change_room_owner("room", "bob")
    for client in clients:
        await client.wait_for("roomAccessRemoved", "room")
        assert await client.error("roomRecentHistory", "room") == wire_error("notJoined", "room")
    assert await bob.call("roomGetOwner", "room") == "bob"
    # Bob is still an admin, so nothing changes for him.
    await service.change_room_owner("room", None)
    await room_marker(service, "room", bob)
    assert told(bob) == []
    assert await bob.call("roomGetOwner", "room") is None


@pytest.mark.covers("better:no reading or posting after a removal", "hook:on_leave")
async def test_on_leave_is_called_for_each_removed_socket(world: World) -> None:
    left = []
    instance = await world.start(hooks={"on_leave": lambda service, info: left.append(info)})
    await instance.service.add_room("room", owner="alice")
    bobs = [await instance.joined("bob", "room") for _ in range(3)]
    alice = await instance.joined("alice", "room")
    await alice.call("roomAddToList", "room", "blacklist", ["bob"])
    for client in bobs:
        await client.wait_for("roomAccessRemoved", "room")
        # A later command of the same socket to the room comes after the leave.
        await client.emit("roomLeave", "room")
    assert sorted((info.id, info.user_name, info.room_name) for info in left) == sorted(
        (client.id, "bob", "room") for client in bobs
    )
