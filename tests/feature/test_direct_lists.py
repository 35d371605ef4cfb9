"""A user's own lists and mode."""

import pytest

from tests.support.backends import ONE_STORE
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World

LISTS = ("blacklist", "whitelist")
CHANGES = ("directAddToList", "directRemoveFromList")
EACH_LIST = pytest.mark.parametrize("list_name", LISTS)


@EACH_LIST
@pytest.mark.covers("command:directAddToList", "command:directRemoveFromList", "command:directGetAccessList")
async def test_lists_are_sets_of_names(spread: StartSpread, list_name: str) -> None:
    nodes = await spread()
    clients = [await nodes[place].login("alice") for place in range(3)]
    other = await nodes[0].login("bob")

    async def names() -> list[str]:
        return sorted(await clients[2].call("directGetAccessList", list_name))

    assert await names() == []
    assert await clients[0].emit("directAddToList", list_name, ["b", "a", "b"]) == [None, None]
    assert await names() == ["a", "b"]
    await clients[1].call("directAddToList", list_name, ["a", "c"])
    await clients[1].call("directAddToList", list_name, [])
    assert await names() == ["a", "b", "c"]
    assert await clients[0].emit("directRemoveFromList", list_name, ["b", "x", "b"]) == [None, None]
    await clients[0].call("directRemoveFromList", list_name, ["b"])
    await clients[0].call("directRemoveFromList", list_name, [])
    assert await names() == ["a", "c"]
    [other_list] = set(LISTS) - {list_name}
    assert await clients[0].call("directGetAccessList", other_list) == []
    assert await other.call("directGetAccessList", list_name) == []


@EACH_LIST
@pytest.mark.parametrize("command", CHANGES)
@pytest.mark.covers("error:notAllowed", "command:directAddToList", "command:directRemoveFromList")
async def test_users_cannot_list_themselves(world: World, command: str, list_name: str) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    assert await alice.error(command, list_name, ["bob", "alice"]) == wire_error("notAllowed")
    assert await alice.call("directGetAccessList", list_name) == []


@pytest.mark.covers(
    "error:noList", "command:directAddToList", "command:directRemoveFromList", "command:directGetAccessList"
)
@pytest.mark.parametrize("list_name", ["", "adminlist", "userlist", "Blacklist", "__dict__"])
async def test_lists_that_users_do_not_have(world: World, list_name: str) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    for command in CHANGES:
        assert await alice.error(command, list_name, ["bob"]) == wire_error("noList", list_name)
    assert await alice.error("directGetAccessList", list_name) == wire_error("noList", list_name)


@EACH_LIST
@pytest.mark.covers(
    "option:direct_list_size_limit", "error:listLimitExceeded", "better:distinct-name list limits"
)
async def test_a_list_grows_to_its_limit_of_distinct_names(spread: StartSpread, list_name: str) -> None:
    nodes = await spread(direct_list_size_limit=3)
    first, second, third = [await nodes[place].login("alice") for place in range(3)]
    await first.call("directAddToList", list_name, ["a", "a", "a", "a"])
    await second.call("directAddToList", list_name, ["b", "a"])
    await third.call("directAddToList", list_name, ["c", "b", "a"])
    expected = wire_error("listLimitExceeded", list_name)
    assert await first.error("directAddToList", list_name, ["d"]) == expected
    assert await first.error("directAddToList", list_name, ["a", "d"]) == expected
    await second.call("directAddToList", list_name, ["a", "b", "c"] * 3)
    assert sorted(await first.call("directGetAccessList", list_name)) == ["a", "b", "c"]
    await third.call("directRemoveFromList", list_name, ["a"])
    assert await first.error("directAddToList", list_name, ["d", "e"]) == expected
    await first.call("directAddToList", list_name, ["d"])
    assert sorted(await first.call("directGetAccessList", list_name)) == ["b", "c", "d"]
    # The limit applies to each list separately.
    [other] = set(LISTS) - {list_name}
    await first.call("directAddToList", other, ["x", "y", "z"])


@pytest.mark.parametrize("command", CHANGES)
@pytest.mark.parametrize("name", ["", "a:b", "{", "a}", "\n", "\x1f", "\x7f", "x" * 257])
@pytest.mark.covers("better:list names checked", "error:invalidName")
@ONE_STORE
async def test_names_in_lists_are_held_to_the_rule_of_names(world: World, command: str, name: str) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    shown = name if len(name) <= 256 else name[:256] + "…"
    for names in ([name], ["fine", name]):
        assert await alice.error(command, "whitelist", names) == wire_error("invalidName", shown)
    assert await alice.call("directGetAccessList", "whitelist") == []


@pytest.mark.covers("command:directGetWhitelistMode", "command:directSetWhitelistMode")
async def test_the_mode(spread: StartSpread) -> None:
    nodes = await spread()
    first, second = await nodes[0].login("alice"), await nodes[1].login("alice")
    bob = await nodes[2].login("bob")
    assert await first.call("directGetWhitelistMode") is False
    for mode in (True, True, False):
        assert await first.emit("directSetWhitelistMode", mode) == [None, None]
        assert await second.call("directGetWhitelistMode") is mode
        assert await bob.call("directGetWhitelistMode") is False


@pytest.mark.covers("api:exec_user_command", "error:noUser")
@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("directAddToList", ("whitelist", ["x"])),
        ("directGetAccessList", ("whitelist",)),
        ("directGetWhitelistMode", ()),
        ("directRemoveFromList", ("whitelist", ["y"])),
        ("directSetWhitelistMode", (True,)),
        ("listOwnSockets", ()),
        ("systemMessage", ("data",)),
    ],
)
async def test_commands_about_a_user_need_one(world: World, command: str, args: tuple) -> None:
    instance = await world.start()
    service = instance.service
    assert await raised(service.exec_user_command(True, command, *args)) == ("noUser", None)
    assert await raised(service.exec_user_command("ghost", command, *args)) == ("noUser", "ghost")
    await service.add_user("alice", whitelist=["y"])
    await service.exec_user_command("alice", command, *args)
