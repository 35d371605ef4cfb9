"""Lists of names: their maximum length, and the notifications about them."""

from typing import Any

import pytest

from tests.support.backends import ONE_STORE
from tests.support.markers import room_marker
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World

TOO_MANY = wire_error("listLimitExceeded", "userNames")
#: The commands that take a list of names, with what comes before it.
COMMANDS = {
    "directAddToList": ("blacklist",),
    "directRemoveFromList": ("blacklist",),
    "roomAddToList": ("room", "blacklist"),
    "roomRemoveFromList": ("room", "blacklist"),
}


class Untouchable(list[Any]):
    """A list of names that nobody may walk."""

    def __iter__(self) -> Any:
        raise AssertionError("the names were walked")


@ONE_STORE
@pytest.mark.covers("option:names_per_command_limit", "error:listLimitExceeded")
@pytest.mark.parametrize("command", COMMANDS)
async def test_a_list_is_refused_by_its_length_before_anything_walks_it(world: World, command: str) -> None:
    """150,000 copies of one name have blocked Redis for 1.4 s."""
    instance = await world.start(names_per_command_limit=3)
    await instance.service.add_room("room", owner="alice")
    alice = await instance.login("alice")
    for names in (["bob"] * 4, [5] * 4, ["bad:name"] * 4, ["bob"] * 150_000):
        assert await alice.error(command, *COMMANDS[command], names) == TOO_MANY
    assert await alice.call(command, *COMMANDS[command], ["bob", "carol", "dave"]) is None
    check = instance.service.check_arguments
    too_many = Untouchable(["bob"] * 4)
    assert await raised(check(command, *COMMANDS[command], too_many)) == ("listLimitExceeded", "userNames")
    with pytest.raises(AssertionError, match="walked"):
        await check(command, *COMMANDS[command], Untouchable(["bob"] * 3))


@pytest.mark.covers("option:names_per_command_limit")
async def test_the_default_lets_lists_grow_in_parts(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room", owner="alice")
    alice = await instance.login("alice")
    names = [f"user{number}" for number in range(1001)]
    assert await alice.error("roomAddToList", "room", "whitelist", names) == TOO_MANY
    assert await alice.call("roomGetAccessList", "room", "whitelist") == []
    await alice.call("roomAddToList", "room", "whitelist", names[:1000])
    await alice.call("roomAddToList", "room", "whitelist", names[1000:])
    assert sorted(await alice.call("roomGetAccessList", "room", "whitelist")) == sorted(names)


@ONE_STORE
@pytest.mark.covers("option:names_per_command_limit")
async def test_server_code_without_permission_checks_is_not_limited(world: World) -> None:
    service = (await world.start(names_per_command_limit=2)).service
    await service.add_room("room")
    await service.add_user("alice")
    run = service.exec_user_command
    await run(True, "roomAddToList", "room", "whitelist", ["a", "b", "c"])
    await run({"user_name": "alice", "bypass_permissions": True}, "directAddToList", "whitelist", list("abc"))
    assert await raised(run("alice", "directAddToList", "whitelist", list("abc"))) == (
        "listLimitExceeded",
        "userNames",
    )


@pytest.mark.covers("notification:roomAccessListAdded", "notification:roomAccessListRemoved")
async def test_names_that_change_nothing_are_not_sent_to_the_room(world: World) -> None:
    """Adding a list again, a small command for its sender, was sent as a whole to every member."""
    instance = await world.start(enable_access_lists_updates=True)
    service = instance.service
    await service.add_room("room", owner="alice")
    alice = await instance.joined("alice", "room")
    bob = await instance.joined("bob", "room")
    names = [f"user{number}" for number in range(100)]
    for _ in range(3):
        await alice.call("roomAddToList", "room", "whitelist", names * 3)
    await alice.call("roomAddToList", "room", "whitelist", [*names, "new", *names])
    for _ in range(2):
        await alice.call("roomRemoveFromList", "room", "whitelist", ["missing", *names, *names])
    await room_marker(service, "room", bob)
    assert [(name, args) for name, args in bob.events if name.startswith("roomAccess")] == [
        ("roomAccessListAdded", ["room", "whitelist", names]),
        ("roomAccessListAdded", ["room", "whitelist", ["new"]]),
        ("roomAccessListRemoved", ["room", "whitelist", names]),
    ]
