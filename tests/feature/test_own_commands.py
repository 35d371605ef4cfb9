"""Commands that the application adds: checks, hooks, order, metrics, and names that are refused."""

import asyncio
from typing import Any

import pytest

from chat_service import ArgumentType, ChatService, ChatServiceError, CommandCall, ConfigurationError
from chat_service.commands import declarations
from tests.operations.pages import value
from tests.support.backends import ONE_STORE
from tests.support.wire_errors import wire_error
from tests.support.world import Instance, World

EVEN = ArgumentType(
    name="even number",
    doc="an even number",
    python="int",
    typescript="number",
    accepts=lambda value, limits: isinstance(value, int) and value % 2 == 0,
)


class NoSuchPoll(ChatServiceError):
    """An error of the application."""

    texts = {"noSuchPoll": "There is no poll %s"}  # noqa: RUF012


@pytest.fixture
async def instance(world: World) -> Instance:
    made = await world.start()
    await made.service.add_room("room")
    return made


@pytest.mark.covers("api:command")
@ONE_STORE
async def test_clients_and_the_server_call_it(instance: Instance) -> None:
    service, calls = instance.service, []

    @service.command("pollVote", {"roomName": "room", "choice": "integer"})
    async def vote(call: CommandCall, room: str, choice: int) -> list[int]:
        calls.append((call.command, call.user_name, call.id, call.rest_args, call.is_local_call))
        return [choice, choice + 1]

    alice = await instance.login("alice")
    # A list is one result.
    assert await alice.emit("pollVote", "room", 5, "more") == [None, [5, 6]]
    assert await service.exec_user_command("alice", "pollVote", "room", 7) == [[7, 8]]
    assert await service.exec_user_command(True, "pollVote", "room", 9) == [[9, 10]]
    assert calls == [
        ("pollVote", "alice", alice.id, ["more"], False),
        ("pollVote", "alice", None, [], True),
        ("pollVote", None, None, [], True),
    ]
    # The function itself stays as it was.
    assert vote.__name__ == "vote"


BAD: dict[str, tuple[Any, ...]] = {
    "boolean": (1, "true", None),
    "data": (object(), float("nan")),
    "integer": (1.5, True, "1", 2**53, float("inf"), None),
    "number": (True, "1", float("nan"), float("-inf"), None),
    "object": ([], None, "x", {"a": object()}),
    "text": (1, None, "\ud800"),
}
GOOD: dict[str, tuple[Any, ...]] = {
    "boolean": (True, False),
    "data": (None, [1, {"a": b"b"}]),
    "integer": (-5, 0, 7.0, 2**53 - 1),
    "number": (-1.5, 0, 2),
    "object": ({}, {"a": [b"b"]}),
    "room": ("room",),
    "text": ("", "ä"),
    "user": ("bob",),
    "users": (["bob", "carol"],),
}


@pytest.mark.covers("api:command", "error:badArgument", "error:wrongArgumentsCount")
@pytest.mark.parametrize("kind", GOOD)
@ONE_STORE
async def test_arguments_are_checked(instance: Instance, kind: str) -> None:
    calls = []
    instance.service.command("checkIt", {"first": "data", "it": kind})(
        lambda call, first, it: calls.append(it)
    )
    alice = await instance.login("alice")
    for good in GOOD[kind]:
        assert await alice.call("checkIt", 1, good) is None
    assert calls == list(GOOD[kind])
    for bad in BAD.get(kind, ()):
        with pytest.raises(ChatServiceError) as caught:
            await instance.service.exec_user_command("alice", "checkIt", 1, bad)
        assert (caught.value.code, caught.value.arguments[0]) == ("badArgument", 1)
    assert await alice.error("checkIt", 1) == wire_error("wrongArgumentsCount", 2, 1)
    assert len(calls) == len(GOOD[kind])


@pytest.mark.covers("api:command", "error:invalidName", "error:messageTooLarge", "error:listLimitExceeded")
@ONE_STORE
async def test_limits_hold_and_types_can_be_the_applications(world: World) -> None:
    instance = await world.start(message_size_limit=100, names_per_command_limit=2, max_attachments=1)
    service = instance.service
    for name, kind in {
        "takeText": "text",
        "takeUser": "user",
        "takeUsers": "users",
        "takeData": "data",
    }.items():
        service.command(name, {"it": kind})(lambda call, it: it)
    service.command("takeEven", {"it": EVEN})(lambda call, it: it)
    alice = await instance.login("alice")
    assert await alice.error("takeText", "x" * 200) == wire_error("messageTooLarge", 202, 100)
    assert await alice.error("takeUser", "a:b") == wire_error("invalidName", "a:b")
    assert await alice.error("takeUsers", ["a", "b", "c"]) == wire_error("listLimitExceeded", "userNames")
    assert (await alice.emit("takeData", [b"1", b"2"]))[0] is not None
    assert await alice.call("takeEven", 4) == 4
    assert await alice.error("takeEven", 5) == wire_error("badArgument", 0, 5)


@pytest.mark.covers("api:command", "hook:before", "hook:after")
@ONE_STORE
async def test_hooks_and_metrics(instance: Instance) -> None:
    service = instance.service
    service.command("pollVote", {"roomName": "room", "choice": "integer"})(lambda call, room, choice: choice)

    @service.before("pollVote")
    def double(call: CommandCall) -> None:
        call.args[1] *= 2

    service.after("poll_vote")(lambda call: [*call.results, "after"])
    alice = await instance.login("alice")
    assert await alice.emit("pollVote", "room", 5) == [None, 10, "after"]
    await alice.error("pollVote", "room")
    labels = {"command": "pollVote", "origin": "client"}
    assert value(service, "chat_service_commands_total", outcome="ok", **labels) == 1
    assert value(service, "chat_service_commands_total", outcome="wrongArgumentsCount", **labels) == 1


@pytest.mark.covers("api:command", "error:internalError", "error:timeout")
@ONE_STORE
async def test_what_its_function_raises_and_returns(world: World, caplog: pytest.LogCaptureFixture) -> None:
    instance = await world.start(hook_timeout=0.05, max_attachments=1)
    service = instance.service

    @service.command("refuse", {"poll": "text"}, errors=["noSuchPoll"])
    def refuse(call: CommandCall, poll: str) -> None:
        raise NoSuchPoll("noSuchPoll", poll)

    service.command("fail")(lambda call: 1 // 0)
    service.command("garbage")(lambda call: object())
    service.command("binaries")(lambda call: [b"1", b"2"])
    service.command("hang")(lambda call: asyncio.Event().wait())
    alice = await instance.login("alice")
    assert await alice.error("refuse", "tea") == "ChatServiceError: There is no poll tea"
    for name in ("fail", "garbage", "binaries"):
        assert "Internal server error" in await alice.error(name)
    assert "ZeroDivisionError" in caplog.text
    assert "the command garbage returned a value that cannot be sent" in caplog.text
    assert "the command binaries returned 2 binary values; max_attachments is 1" in caplog.text
    assert await alice.error("hang") == wire_error("timeout")
    # It is still there.
    assert await alice.call("listOwnSockets") == {alice.id: []}


@pytest.mark.covers("api:command", "better:order of one socket's commands")
@ONE_STORE
async def test_commands_for_one_room_run_in_order(instance: Instance) -> None:
    begun: list[int] = []
    gate = asyncio.Event()

    @instance.service.command("step", {"place": "room", "number": "integer"})
    async def step(call: CommandCall, room: str, number: int) -> None:
        begun.append(number)
        if number == 1:
            await gate.wait()

    alice, bob = await instance.joined("alice", "room"), await instance.login("bob")
    for number in (1, 2):
        await alice.send("step", "room", number)
    # Behind it, too.
    await alice.send("roomMessage", "room", {"textMessage": "hi"})
    # Of another socket, and for another room.
    await bob.call("step", "room", 3)
    await alice.call("step", "other", 4)
    assert (begun, alice.received("roomMessage")) == ([1, 3, 4], [])
    gate.set()
    await alice.wait_for("roomMessage")
    assert begun == [1, 3, 4, 2]


@pytest.mark.covers("api:command", "option:command_rate")
@ONE_STORE
async def test_a_client_cannot_flood_it(world: World) -> None:
    instance = await world.start(command_rate=1, command_burst=5)
    calls: list[CommandCall] = []
    instance.service.command("cheap")(calls.append)
    alice = await instance.login("alice")
    answers = [await alice.emit("cheap") for _ in range(20)]
    assert len(calls) == 5 == answers.count([None, None])


@pytest.mark.covers("api:command")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("roomCreate", "there is a command roomCreate already"),
        ("pollVote", "there is a command pollVote already"),
        ("roomJoinedEcho", "the service sends an event of this name"),
        ("disconnect", "the name is reserved by Socket.IO"),
        ("roomInvite", "the name is reserved for a later version"),
        ("", "expected a name in camel case"),
        ("PollVote", "expected a name in camel case"),
        ("poll_vote", "expected a name in camel case"),
        ("poll-vote", "expected a name in camel case"),
        ("class", "expected a name in camel case"),
        ("a" * 65, "expected a name in camel case"),
        (5, "expected a name in camel case"),
    ],
)
def test_names_that_are_refused(name: Any, message: str) -> None:
    service = ChatService()
    service.command("pollVote")(lambda call: None)
    with pytest.raises(ConfigurationError, match=message):
        service.command(name)(lambda call: None)
    assert [row.name for row in service.own_commands()] == ["pollVote"]


@pytest.mark.covers("api:command")
def test_declarations_that_are_refused() -> None:
    declare = ChatService().command
    with pytest.raises(
        ConfigurationError, match=r"unknown type \(command vote, argument it\) txt; did you mean text"
    ):
        declare("vote", {"it": "txt"})(lambda call, it: None)
    with pytest.raises(ConfigurationError, match=r"unknown type \(command vote, result\) nothing"):
        declare("vote", result="nothing")(lambda call: None)
    with pytest.raises(ConfigurationError, match="expected the name of a type or an ArgumentType, got 5"):
        declare("vote", {"it": 5})(lambda call, it: None)  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="command vote, argument 'two words': expected a name"):
        declare("vote", {"two words": "text"})(lambda call, it: None)
    with pytest.raises(ConfigurationError, match="does not take the call and 1 arguments"):
        declare("vote", {"it": "text"})(lambda call: None)
    with pytest.raises(ConfigurationError, match="command vote: expected a function, got 5"):
        declare("vote")(5)  # type: ignore[type-var]


@pytest.mark.covers("api:command", "api:bind_handler")
@ONE_STORE
async def test_each_service_has_its_own(world: World) -> None:
    one, other = await world.start(), await world.start()
    one.service.command("pollVote")(lambda call: "voted")
    alice, bob = await one.login("alice"), await other.login("bob")
    assert await alice.call("pollVote") == "voted"
    assert await bob.error("pollVote") == wire_error("noCommand", "pollVote")
    with pytest.raises(ValueError, match="pollVote is a command: use its hooks"):
        one.service.transport.bind_handler(alice.id, "pollVote", print)
    hook = other.service.before("pollVote")
    with pytest.raises(ConfigurationError, match="unknown command poll_vote"):
        hook(print)


# Declarations for clients


def declared() -> ChatService:
    service = ChatService()

    @service.command(
        "pollVote", {"roomName": "room", "voters": "users"}, result="integer", errors=["noSuchPoll"]
    )
    def vote(call: CommandCall, room: str, voters: list[str]) -> int:
        """Votes in a poll
        of a room."""
        return 1

    service.command("askIt", result=EVEN, doc='Asks "it" */ \\')(lambda call: 2)
    return service


@pytest.mark.covers("api:own_commands")
def test_typescript_declarations() -> None:
    text = declarations.typescript(declared().own_commands())
    assert "  pollVote(roomName: string, voters: string[]): number;\n" in text
    assert "   * Votes in a poll of a room.\n   * Result: a whole number" in text
    assert "noSuchPoll" in text and text.count("*/") == 3
    assert text.index("askIt") < text.index("pollVote")


@pytest.mark.covers("api:own_commands")
async def test_python_declarations_run() -> None:
    sent: list[Any] = []

    class Client:
        async def command(self, name: str, *args: Any) -> int:
            sent.append((name, *args))
            return 5

    made: dict[str, Any] = {}
    exec(declarations.python(declared().own_commands()), made)
    commands = made["ServiceCommands"](Client())
    assert await commands.poll_vote("room", ["bob"]) == 5
    assert await commands.ask_it() == 5
    assert sent == [("pollVote", "room", ["bob"]), ("askIt",)]
    assert made["ServiceCommands"].ask_it.__doc__.startswith('Asks "it" */ \\ Returns an even number')


@pytest.mark.covers("api:own_commands")
def test_documentation_of_own_commands() -> None:
    text = declarations.markdown(declared().own_commands())
    assert "## pollVote\n\nVotes in a poll of a room.\n" in text
    assert "| `voters` | `string[]` | an array of user names |\n" in text
    assert declarations.LANGUAGES.keys() == {"typescript", "python", "markdown"}
