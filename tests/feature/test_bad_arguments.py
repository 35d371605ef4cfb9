"""Bad input for every command, derived from the command table. The service keeps working after each.

Arguments are refused before a store is asked. Unusual values that pass the checks are tried on every store.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest

from chat_service import Login
from chat_service.commands.spec import Command
from chat_service.commands.table import TABLE
from chat_service.testing import InProcessClient
from tests.support.backends import ONE_STORE
from tests.support.wire_errors import raised, wire_error
from tests.support.world import Instance, World

#: A good value for each type of argument.
GOOD: dict[str, Any] = {
    "room name": "room",
    "user name": "bob",
    "user names": ["carol"],
    "list name": "whitelist",
    "mode": False,
    "message id": 0,
    "limit": 5,
    "message": {"textMessage": "x"},
    "data": {"any": ["data"]},
    "details": {"role": "guest"},
    "credentials": "a token",
    "room names": ["room"],
    "event name": "typing",
    "event data": {"any": ["data"]},
}
LISTS = ("user names", "room names")
NAMES = ("room name", "user name", *LISTS)

#: One value or more of every kind that a client can send.
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    5,
    -1,
    0.5,
    -0.5,
    1e300,
    2**53,
    2**63,
    -(2**63),
    10**400,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "text",
    "5",
    "\ud800",
    b"",
    b"bytes",
    [],
    ["text"],
    [["text"]],
    [None],
    [1],
    [math.nan],
    {"a": ["\ud800"]},
    {},
    {"textMessage": "x"},
    {"textMessage": 1},
    {"textMessage": None},
    {"textMessage": "\udc00"},
    {"textMessage": "x", "more": 1},
    {"0": "text", "length": 1},
]


def _is_whole(value: Any, least: int) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return least <= value < 2**53 and value == math.floor(value)


def _is_utf8(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _is_data(value: Any) -> bool:
    if isinstance(value, str):
        return _is_utf8(value)
    if isinstance(value, list):
        return all(_is_data(item) for item in value)
    if isinstance(value, dict):
        return all(_is_data(item) for item in value.values())
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, float) or math.isfinite(value)


#: The values that have the right type.
RIGHT: dict[str, Callable[[Any], bool]] = {
    "room name": lambda value: isinstance(value, str),
    "user name": lambda value: isinstance(value, str),
    "user names": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "list name": lambda value: isinstance(value, str),
    "mode": lambda value: isinstance(value, bool),
    "message id": lambda value: _is_whole(value, 0),
    "limit": lambda value: _is_whole(value, 1),
    "message": lambda value: value == {"textMessage": "x"},
    "data": _is_data,
    "details": lambda value: _is_data(value) and not isinstance(value, bytes),
    "credentials": _is_data,
    "room names": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "event name": lambda value: isinstance(value, str) and 0 < len(value) <= 128 and _is_utf8(value),
    "event data": _is_data,
}


def good_args(command: Command) -> list[Any]:
    args = [GOOD[argument.type.name] for argument in command.arguments]
    return ["new room", False] if command.name == "roomCreate" else args


def case(command: Command, *values: Any) -> Any:
    name = " ".join([command.name, *(command.arguments[value].name for value in values)])
    return pytest.param(command, *values, marks=pytest.mark.covers(f"command:{command.name}"), id=name)


EACH_COMMAND = pytest.mark.parametrize("command", [case(command) for command in TABLE])
EACH_ARGUMENT = pytest.mark.parametrize(
    ("command", "position"),
    [case(command, position) for command in TABLE for position in range(len(command.arguments))],
)
#: Where names are, in all commands.
PLACES_OF_NAMES = [
    (command, position)
    for command in TABLE
    for position, argument in enumerate(command.arguments)
    if argument.type.name in NAMES
]


class Scene:
    """ "alice" owns "room", and both she and "bob" are joined. No attempt may change that."""

    def __init__(self, instance: Instance, alice: InProcessClient, bob: InProcessClient) -> None:
        self.instance = instance
        self.alice = alice
        self.bob = bob

    @classmethod
    async def set(cls, world: World, **options: Any) -> "Scene":
        hooks = {"on_refresh": lambda *_: Login("alice"), **options.pop("hooks", {})}
        instance = await world.start(hooks=hooks, **options)
        await instance.service.add_room("room", owner="alice")
        return cls(instance, await instance.joined("alice", "room"), await instance.joined("bob", "room"))

    async def refuse(self, code: str, text: str, command: Command, *args: Any) -> None:
        """Clients and server code get the error with this code and text. Then everything continues."""
        ack = await self.alice.emit(command.name, *args)
        assert ack[1:] == [None]
        assert ack[0].startswith("ChatServiceError: " + text), (command.name, args)
        service = self.instance.service
        assert (await raised(service.check_arguments(command.name, *args)))[0] == code
        bypassing = {"user_name": "alice", "id": self.alice.id, "bypass_permissions": True}
        work = service.exec_user_command(bypassing, command.name, *args)
        assert (await raised(work))[0] == code
        await self.serves()

    async def serves(self) -> None:
        """This client and others are still served."""
        assert await self.alice.call("directGetWhitelistMode") is False
        assert await self.bob.call("listOwnSockets") == {self.bob.id: ["room"]}

    async def is_unchanged(self) -> None:
        service = self.instance.service
        assert await self.bob.call("roomGetOwner", "room") == "alice"
        assert (await self.bob.call("roomHistoryInfo", "room"))["lastMessageId"] == 0
        assert await self.bob.call("roomGetWhitelistMode", "room") is False
        assert await self.alice.call("directGetWhitelistMode") is False
        for list_name in ("blacklist", "whitelist"):
            assert await self.bob.call("roomGetAccessList", "room", list_name) == []
            assert await self.alice.call("directGetAccessList", list_name) == []
        assert sorted(await self.bob.call("roomGetAccessList", "room", "userlist")) == ["alice", "bob"]
        assert not await service.has_room("new room")
        assert self.bob.events == []
        assert await self.bob.call("roomMessage", "room", {"textMessage": "x"}) == 1
        await self.alice.wait_for("roomMessage", "room")


@ONE_STORE
@EACH_COMMAND
@pytest.mark.covers("error:wrongArgumentsCount", "api:check_arguments")
async def test_too_few_arguments(world: World, command: Command) -> None:
    scene = await Scene.set(world)
    args, count = good_args(command), len(command.arguments)
    for given in range(count):
        text = f"Expected {count} arguments, got {given}"
        await scene.refuse("wrongArgumentsCount", text, command, *args[:given])
    await scene.is_unchanged()


@ONE_STORE
@EACH_ARGUMENT
@pytest.mark.covers("error:badArgument", "api:check_arguments")
async def test_each_argument_of_each_wrong_type(world: World, command: Command, position: int) -> None:
    scene = await Scene.set(world)
    kind = command.arguments[position].type.name
    wrong = [value for value in VALUES if not RIGHT[kind](value)]
    assert len(wrong) >= 6
    for value in wrong:
        args = good_args(command)
        args[position] = value
        text = f"Bad argument at position {position}, value "
        await scene.refuse("badArgument", text, command, *args)
    await scene.is_unchanged()


@ONE_STORE
@EACH_ARGUMENT
@pytest.mark.covers("error:badArgument")
async def test_the_first_bad_argument_is_named(world: World, command: Command, position: int) -> None:
    scene = await Scene.set(world)
    args = [*good_args(command)[:position], *[math.nan] * (len(command.arguments) - position)]
    await scene.refuse("badArgument", f"Bad argument at position {position}, value NaN", command, *args)
    await scene.is_unchanged()


@ONE_STORE
@EACH_COMMAND
async def test_extra_arguments_are_allowed(world: World, command: Command) -> None:
    rest: list[Any] = []
    scene = await Scene.set(
        world, hooks={f"{command.python_name}_before": lambda call: rest.append(call.rest_args)}
    )
    further = [None, math.nan, "\ud800", {"deep": nested(100)}, b"\x00"]
    ack = await scene.alice.emit(command.name, *good_args(command), *further)
    assert ack[0] is None
    assert repr(rest[-1]) == repr(further)
    await scene.alice.call("directGetWhitelistMode")
    await scene.bob.call("directGetWhitelistMode")


# Names


def as_argument(command: Command, position: int, name: str) -> list[Any]:
    args = good_args(command)
    args[position] = ["fine", name] if command.arguments[position].type.name in LISTS else name
    return args


@ONE_STORE
@pytest.mark.parametrize(("command", "position"), [case(*place) for place in PLACES_OF_NAMES])
@pytest.mark.covers("error:invalidName", "better:list names checked")
async def test_invalid_names(world: World, command: Command, position: int) -> None:
    scene = await Scene.set(world)
    controls = [chr(code) for code in (*range(0x20), 0x7F)]
    names = ["", *":{}", *controls, "a:b", "{a}", "a\nb", "x" * 257, "🙂" * 257, "x" * 2**20]
    surrogates = ["\ud800", "a\udfff", "\udc00\ud800"]
    for name in [*names, *surrogates]:
        await scene.refuse("invalidName", "String ", command, *as_argument(command, position, name))
    await scene.is_unchanged()


@pytest.mark.covers("option:name_length_limit")
async def test_names_at_the_limit(world: World) -> None:
    """In every command. Rooms of these names are made last: the others say that there are none."""
    scene = await Scene.set(world)
    names = ("x" * 256, "🙂" * 256, "\x80", "\u2028", " ", "é", "\uffff", "%s", "../..", "$where")
    codes = ("noRoom", "noUser", "notAllowed")
    for command, position in sorted(PLACES_OF_NAMES, key=lambda place: place[0].name == "roomCreate"):
        for name in names:
            args = as_argument(command, position, name)
            await scene.instance.service.check_arguments(command.name, *args)
            error, *_ = await scene.alice.emit(command.name, *args)
            expected = tuple(wire_error(code, "") for code in codes)
            assert error is None or str(error).startswith(expected), (command.name, name)
        await scene.serves()


# Large and deep values


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.covers("command:systemMessage", "option:message_depth_limit", "error:badArgument")
@pytest.mark.parametrize(("options", "limit"), [({}, 32), ({"message_depth_limit": 3}, 3)])
async def test_maximum_nesting_of_data(world: World, options: dict[str, Any], limit: int) -> None:
    instance = await world.start(hooks={"room_messages_checker": lambda message: None}, **options)
    await instance.service.add_room("room")
    alice, second = await instance.joined("alice", "room"), await instance.joined("alice", "room")
    bob = await instance.joined("bob", "room")
    assert await alice.call("systemMessage", nested(limit)) is None
    assert await second.wait_for("systemMessage") == [nested(limit)]
    assert await alice.call("roomMessage", "room", {"a": nested(limit - 1)}) == 1
    assert (await bob.wait_for("roomMessage"))[1]["a"] == nested(limit - 1)
    assert (await bob.call("roomRecentHistory", "room"))[0]["a"] == nested(limit - 1)
    for levels in (limit + 1, limit + 2, 200):
        assert "Bad argument at position 0" in await alice.error("systemMessage", nested(levels))
        message = {"a": nested(levels - 1)}
        assert "Bad argument at position 1" in await alice.error("roomMessage", "room", message)
    assert (await bob.call("roomHistoryInfo", "room"))["lastMessageId"] == 1


async def give_deep_and_large_values(scene: Scene, command: Command, position: int) -> None:
    large = "x" * 2**20
    for value in (nested(200), {"a": nested(200)}, [nested(200)], [large] * 3, {"a": large}, large):
        args = good_args(command)
        args[position] = value
        error, *_ = await scene.alice.emit(command.name, *args)
        assert error is None or len(error) < 400
    await scene.serves()


@ONE_STORE
@EACH_ARGUMENT
async def test_deep_and_large_values(world: World, command: Command, position: int) -> None:
    await give_deep_and_large_values(await Scene.set(world), command, position)


async def test_deep_and_large_values_that_a_store_may_get(world: World) -> None:
    """Values of free form. All others are refused earlier."""
    scene = await Scene.set(world, hooks={"room_messages_checker": lambda message: None})
    given = 0
    for command in TABLE:
        for position, argument in enumerate(command.arguments):
            if argument.type.name in ("message", "data", "details", "credentials"):
                await give_deep_and_large_values(scene, command, position)
                given += 1
    assert given >= 4


@pytest.mark.covers("command:roomMessage", "command:directMessage", "command:systemMessage")
async def test_messages_of_a_megabyte(world: World) -> None:
    scene = await Scene.set(world, message_size_limit=2**22)
    message = {"textMessage": "é" * 2**20}
    assert await scene.alice.call("roomMessage", "room", message) == 1
    assert (await scene.bob.wait_for("roomMessage"))[1]["textMessage"] == message["textMessage"]
    [stored] = await scene.bob.call("roomRecentHistory", "room")
    assert stored["textMessage"] == message["textMessage"]
    await scene.alice.call("directMessage", "bob", message)
    assert (await scene.bob.wait_for("directMessage"))[0]["textMessage"] == message["textMessage"]
    second = await scene.instance.login("alice")
    await scene.alice.call("systemMessage", message)
    assert await second.wait_for("systemMessage") == [message]


@pytest.mark.covers("command:roomAddToList", "command:directAddToList", "error:listLimitExceeded")
async def test_lists_of_very_many_names(world: World) -> None:
    scene = await Scene.set(world, names_per_command_limit=20_000)
    names = [f"user{number}" for number in range(10_001)]
    expected = wire_error("listLimitExceeded", "whitelist")
    assert await scene.alice.error("roomAddToList", "room", "whitelist", names) == expected
    assert await scene.alice.error("directAddToList", "whitelist", names[:1001]) == expected
    assert await scene.alice.call("roomRemoveFromList", "room", "whitelist", names) is None
    await scene.is_unchanged()
