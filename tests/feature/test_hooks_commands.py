"""Before and after hooks of commands: what they see, change, stop and replace."""

from typing import Any

import pytest

from chat_service import ChatService, ChatServiceError, CommandCall, ConfigurationError
from chat_service.commands.table import COMMANDS
from chat_service.testing import InProcessClient
from tests.support.backends import ONE_STORE
from tests.support.wire_errors import wire_error
from tests.support.world import Instance, World, name_by_query

INTERNAL = "ChatServiceError: Internal server error, incident "


@pytest.fixture
async def instance(world: World) -> Instance:
    made = await world.start()
    await made.service.add_room("room", owner="alice")
    return made


@pytest.fixture
async def alice(instance: Instance) -> InProcessClient:
    return await instance.joined("alice", "room")


# Ways to set hooks


def hooks_of(kind: str, calls: list[str]) -> dict[str, Any]:
    """The same hooks as plain functions and as coroutine functions."""

    def before(call: CommandCall) -> None:
        calls.append(f"before {call.command}")

    def after(call: CommandCall) -> None:
        calls.append(f"after {call.command}")

    async def before_later(call: CommandCall) -> None:
        before(call)

    async def after_later(call: CommandCall) -> None:
        after(call)

    if kind == "plain":
        return {"room_get_owner_before": before, "room_get_owner_after": after}
    return {"room_get_owner_before": before_later, "room_get_owner_after": after_later}


@pytest.mark.covers("option:hooks", "hook:before", "hook:after", "api:before", "api:after")
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
@pytest.mark.parametrize("given", ["mapping", "object", "decorators"])
@ONE_STORE
async def test_ways_to_pass_hooks(world: World, kind: str, given: str) -> None:
    calls: list[str] = []
    hooks = hooks_of(kind, calls)
    instance = world.make(hooks=hooks if given == "mapping" else {})
    if given == "object":

        class Application:
            on_connect = staticmethod(name_by_query)
            anything_else = 5
            room_get_owner_before = staticmethod(hooks["room_get_owner_before"])
            room_get_owner_after = staticmethod(hooks["room_get_owner_after"])
            room_join_before = None

        world.instances.remove(instance)
        transport = instance.transport
        service = ChatService(store=world.backend.new_store(), transport=transport, hooks=Application())
        instance = Instance(service, transport)
        world.instances.append(instance)
    elif given == "decorators":
        assert instance.service.before("roomGetOwner")(hooks["room_get_owner_before"])
        assert instance.service.after("room_get_owner")(hooks["room_get_owner_after"])
    await instance.service.start()
    await instance.service.add_room("room", owner="alice")
    alice = await instance.joined("alice", "room")
    assert await alice.call("roomGetOwner", "room") == "alice"
    assert calls == ["before roomGetOwner", "after roomGetOwner"]


@pytest.mark.covers("option:hooks", "hook:before", "hook:after", "hook:call.command")
@pytest.mark.parametrize("name", COMMANDS)
@ONE_STORE
async def test_every_command_has_hooks(world: World, name: str) -> None:
    """Hooks around every command: the before hook ends it, so that no arguments have to make sense."""
    command, calls = COMMANDS[name], []

    def before(call: CommandCall) -> str:
        calls.append(call.command)
        return "ended"

    instance = await world.start(
        hooks={f"{command.python_name}_before": before, f"{command.python_name}_after": calls.append}
    )
    good = {
        "room name": "room",
        "user name": "bob",
        "user names": ["bob"],
        "list name": "whitelist",
        "mode": True,
        "message id": 0,
        "limit": 1,
        "message": {"textMessage": "hi"},
        "data": 5,
        "details": 5,
        "room names": ["room"],
        "event name": "typing",
        "event data": 5,
    }
    client = await instance.login("alice")
    assert await client.emit(name, *[good[item.type.name] for item in command.arguments]) == [None, "ended"]
    assert calls == [name]


@pytest.mark.parametrize(
    ("hooks", "text"),
    [
        ({"room_jion_before": print}, "unknown hook room_jion_before; did you mean room_join_before?"),
        ({"roomJoin_before": print}, "unknown hook roomJoin_before; did you mean room_join_before?"),
        ({"on_conect": print}, "unknown hook on_conect; did you mean on_connect?"),
        ({"on_join": 5}, "on_join hook: expected a function, got 5"),
        ({"room_join_before": "x"}, "before hook: expected a function, got 'x'"),
        (5, "option hooks: expected a mapping or an object, got 5"),
        ("on_connect", "option hooks: expected a mapping or an object, got 'on_connect'"),
        ([print], "option hooks: expected a mapping or an object, got "),
    ],
)
def test_invalid_hooks_are_refused_immediately(hooks: Any, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ChatService(hooks=hooks)
    assert text in str(caught.value)


def test_a_misspelt_command_hook_of_an_object_is_refused() -> None:
    class Application:
        def room_jion_before(self, call: CommandCall) -> None: ...

    with pytest.raises(
        ConfigurationError, match="unknown hook room_jion_before; did you mean room_join_before"
    ):
        ChatService(hooks=Application())


@pytest.mark.covers("api:before", "api:after", "api:on")
def test_decorators_check_names() -> None:
    service = ChatService()
    with pytest.raises(ConfigurationError, match="unknown command room_jion; did you mean room_join"):
        service.before("roomJion")(print)
    with pytest.raises(ConfigurationError, match="unknown command nothing_alike"):
        service.after("nothingAlike")(print)
    with pytest.raises(ConfigurationError, match="unknown event or hook redy; did you mean ready"):
        service.on("redy")(print)
    for priority in ("1", 1.5, True, None):
        with pytest.raises(
            ConfigurationError, match="roomJoin before hook: expected a whole number as priority"
        ):
            service.before("roomJoin", priority)(print)  # type: ignore[arg-type]
    service.on("on_join")(print)
    with pytest.raises(ConfigurationError, match="the on_join hook is already set"):
        service.on("on_join")(print)


# What a call carries


@pytest.mark.covers(
    "hook:call.service",
    "hook:call.user_name",
    "hook:call.id",
    "hook:call.args",
    "hook:call.rest_args",
    "hook:call.bypass_permissions",
    "hook:call.bypass_hooks",
    "hook:call.is_local_call",
    "hook:call.results",
    "hook:call.error",
    "hook:call.data",
)
@ONE_STORE
async def test_the_call_of_a_client(instance: Instance, alice: InProcessClient) -> None:
    seen: list[Any] = []

    @instance.service.before("roomHistoryGet")
    def before(call: CommandCall) -> None:
        call.data["from"] = "before"
        seen.append((call.service, call.user_name, call.id, list(call.args), list(call.rest_args)))
        seen.append(
            (call.bypass_permissions, call.bypass_hooks, call.is_local_call, call.results, call.error)
        )

    @instance.service.after("roomHistoryGet")
    def after(call: CommandCall) -> None:
        seen.append((call.data, call.results, call.error))

    assert await alice.call("roomHistoryGet", "room", 0, 5, "more", {"rest": 1}) == []
    assert seen == [
        (instance.service, "alice", alice.id, ["room", 0, 5], ["more", {"rest": 1}]),
        (False, False, False, None, None),
        ({"from": "before"}, [[]], None),
    ]


@pytest.mark.covers("hook:call.message", "hook:after")
@ONE_STORE
async def test_after_hooks_see_messages_as_they_were_sent(instance: Instance, alice: InProcessClient) -> None:
    seen: list[Any] = []
    bob = await instance.login("bob")

    def after(call: CommandCall) -> None:
        seen.append(call.message)

    instance.service.after("roomMessage")(after)
    instance.service.after("directMessage")(after)
    assert await alice.call("roomMessage", "room", {"textMessage": "one"}) == 1
    assert await bob.error("roomMessage", "room", {"textMessage": "two"}) == wire_error("notJoined", "room")
    await alice.call("directMessage", "bob", {"textMessage": "psst"})

    _, stored = await alice.wait_for("roomMessage")
    (direct,) = await bob.wait_for("directMessage")
    assert seen == [stored, None, direct]
    assert (stored["id"], stored["author"], direct["author"]) == (1, "alice", "alice")


@pytest.mark.covers("hook:call.is_local_call", "hook:call.bypass_permissions", "hook:call.bypass_hooks")
@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("alice", ("alice", None, False, True)),
        (True, (None, None, True, True)),
        ({"user_name": "alice", "bypass_permissions": True}, ("alice", None, True, True)),
        ({"user_name": "alice", "id": "any"}, ("alice", "any", False, True)),
    ],
)
@ONE_STORE
async def test_the_call_of_server_code(
    instance: Instance, alice: InProcessClient, context: Any, expected: tuple[Any, ...]
) -> None:
    seen: list[CommandCall] = []
    instance.service.before("roomGetOwner")(lambda call: seen.append(call))
    assert await instance.service.exec_user_command(context, "roomGetOwner", "room") == ["alice"]
    [call] = seen
    assert (call.user_name, call.id, call.bypass_permissions, call.is_local_call) == expected


@pytest.mark.covers("hook:call.error")
@ONE_STORE
async def test_an_after_hook_sees_the_error(instance: Instance) -> None:
    seen: list[Any] = []
    instance.service.after("roomGetOwner")(lambda call: seen.append((call.results, call.error)))
    bob = await instance.login("bob")
    assert await bob.error("roomGetOwner", "room") == wire_error("notJoined", "room")
    [(results, error)] = seen
    assert results is None
    assert (error.code, error.arguments) == ("notJoined", ("room",))


# Before hooks


@pytest.mark.covers("hook:before", "hook:call.args")
@ONE_STORE
async def test_a_before_hook_changes_arguments(instance: Instance, alice: InProcessClient) -> None:
    @instance.service.before("roomMessage")
    async def polite(call: CommandCall) -> None:
        call.args[1] = {"textMessage": call.args[1]["textMessage"].lower(), "polite": True}

    await alice.call("roomMessage", "room", {"textMessage": "HELLO"})
    _, message = await alice.wait_for("roomMessage")
    assert (message["textMessage"], message["polite"]) == ("hello", True)


@pytest.mark.parametrize(
    ("answer", "ack"),
    [
        (["one", 2, None], [None, "one", 2, None]),
        (("one", {"a": b"1"}), [None, "one", {"a": b"1"}]),
        ("one", [None, "one"]),
        ({"a": 1}, [None, {"a": 1}]),
        (False, [None, False]),
        (0, [None, 0]),
        ([], [None, None]),
        ((), [None, None]),
        ([None], [None, None]),
    ],
)
@pytest.mark.covers("hook:before")
@ONE_STORE
async def test_a_before_hook_that_returns_a_value_ends_the_command(
    instance: Instance, alice: InProcessClient, answer: Any, ack: list[Any]
) -> None:
    instance.service.before("roomMessage")(lambda call: answer)
    instance.service.after("roomMessage")(lambda call: "not called")
    assert await alice.emit("roomMessage", "room", {"textMessage": "hi"}) == ack
    assert await alice.call("roomRecentHistory", "room") == []


@pytest.mark.covers("hook:before")
@ONE_STORE
async def test_argument_checks_come_before_hooks(instance: Instance, alice: InProcessClient) -> None:
    calls: list[Any] = []
    instance.service.before("roomMessage")(calls.append)
    instance.service.after("roomMessage")(calls.append)
    assert await alice.error("roomMessage", "room") == wire_error("wrongArgumentsCount", 2, 1)
    assert await alice.error("roomMessage", "room", 5) == wire_error("badArgument", 1, 5)
    assert calls == []


@pytest.mark.covers("hook:before")
@ONE_STORE
async def test_several_hooks_run_in_order_until_one_ends_the_command(
    instance: Instance, alice: InProcessClient
) -> None:
    calls: list[Any] = []
    service = instance.service
    service.before("roomGetOwner")(lambda call: calls.append("first"))

    @service.before("roomGetOwner")
    def second(call: CommandCall) -> str:
        calls.append("second")
        return "ended"

    service.before("roomGetOwner")(lambda call: calls.append("third"))
    assert await alice.call("roomGetOwner", "room") == "ended"
    assert calls == ["first", "second"]


@pytest.mark.covers("hook:before", "hook:after", "api:before", "api:after")
@ONE_STORE
async def test_hooks_run_by_priority(world: World) -> None:
    calls: list[str] = []

    def noted(name: str) -> Any:
        return lambda call: calls.append(name)

    instance = await world.start(hooks={"room_get_owner_before": noted("given, 100")})
    service = instance.service
    await service.add_room("room", owner="alice")
    for name, priority in {"200": 200, "-5": -5, "1": 1, "1 again": 1}.items():
        service.before("roomGetOwner", priority=priority)(noted(name))
        service.after("roomGetOwner", priority)(noted(f"after {name}"))
    service.before("roomGetOwner")(noted("none"))
    alice = await instance.joined("alice", "room")
    await alice.call("roomGetOwner", "room")
    before = ["-5", "1", "1 again", "given, 100", "none", "200"]
    assert calls == [*before, "after -5", "after 1", "after 1 again", "after 200"]


@pytest.mark.covers("hook:before", "hook:after")
@ONE_STORE
async def test_hooks_pass_arguments_and_outcomes_on_by_priority(
    instance: Instance, alice: InProcessClient
) -> None:
    service = instance.service

    def add(letter: str) -> Any:
        def before(call: CommandCall) -> None:
            call.args[1] = {"textMessage": call.args[1]["textMessage"] + letter}

        return before

    service.before("roomMessage", priority=2)(add("b"))
    service.before("roomMessage", priority=1)(add("a"))
    service.after("roomMessage", priority=2)(lambda call: [*call.results, "second"])
    service.after("roomMessage", priority=1)(lambda call: [*call.results, "first"])
    assert await alice.emit("roomMessage", "room", {"textMessage": ""}) == [None, 1, "first", "second"]
    assert (await alice.wait_for("roomMessage"))[1]["textMessage"] == "ab"


@pytest.mark.covers("hook:before")
@ONE_STORE
async def test_a_hook_added_during_a_command_runs_with_the_next_one(
    instance: Instance, alice: InProcessClient
) -> None:
    calls: list[str] = []
    service = instance.service

    @service.before("roomGetOwner")
    def adds(call: CommandCall) -> None:
        calls.append("adds")
        service.before("roomGetOwner", priority=1)(lambda call: calls.append("added"))

    await alice.call("roomGetOwner", "room")
    assert calls == ["adds"]
    await alice.call("roomGetOwner", "room")
    assert calls == ["adds", "added", "adds"]


# After hooks


@pytest.mark.parametrize(
    ("answer", "ack"),
    [
        (["one", 2], [None, "one", 2]),
        (("one",), [None, "one"]),
        ("one", [None, "one"]),
        (None, [None, "alice"]),
        (0, [None, 0]),
        ([], [None, None]),
    ],
)
@pytest.mark.covers("hook:after")
@ONE_STORE
async def test_the_result_of_an_after_hook_replaces_results(
    instance: Instance, alice: InProcessClient, answer: Any, ack: list[Any]
) -> None:
    instance.service.after("roomGetOwner")(lambda call: answer)
    assert await alice.emit("roomGetOwner", "room") == ack


@pytest.mark.covers("hook:after", "hook:call.error")
@ONE_STORE
async def test_an_after_hook_replaces_an_error(instance: Instance) -> None:
    bob = await instance.login("bob")
    instance.service.after("roomGetOwner")(lambda call: "nobody you know" if call.error else None)
    assert await bob.call("roomGetOwner", "room") == "nobody you know"


@pytest.mark.covers("hook:after")
@ONE_STORE
async def test_after_hooks_follow_each_other(instance: Instance, alice: InProcessClient) -> None:
    service = instance.service

    @service.after("roomGetOwner")
    def first(call: CommandCall) -> None:
        raise ChatServiceError("fromFirst")

    @service.after("roomGetOwner")
    async def second(call: CommandCall) -> Any:
        assert (call.results, str(call.error)) == (None, "fromFirst")
        return ["healed", "more"]

    @service.after("roomGetOwner")
    def third(call: CommandCall) -> None:
        assert (call.results, call.error) == (["healed", "more"], None)

    assert await alice.emit("roomGetOwner", "room") == [None, "healed", "more"]


# Errors of hooks


class Unwell(ChatServiceError):
    texts = {"unwell": "Not today, %s"}  # noqa: RUF012


@pytest.mark.covers("hook:before", "hook:after", "api:ChatServiceError")
@pytest.mark.parametrize("when", ["before", "after"])
@ONE_STORE
async def test_errors_of_hooks_reach_the_client(
    instance: Instance, alice: InProcessClient, when: str
) -> None:
    @getattr(instance.service, when)("roomGetOwner")
    async def hook(call: CommandCall) -> None:
        raise Unwell("unwell", call.user_name)

    assert await alice.error("roomGetOwner", "room") == "ChatServiceError: Not today, alice"
    with pytest.raises(Unwell):
        await instance.service.exec_user_command("alice", "roomGetOwner", "room")


@pytest.mark.covers("hook:before", "hook:after", "error:internalError")
@pytest.mark.parametrize("when", ["before", "after"])
@ONE_STORE
async def test_other_exceptions_of_hooks_do_not_leak(
    instance: Instance, alice: InProcessClient, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    @getattr(instance.service, when)("roomGetOwner")
    def hook(call: CommandCall) -> None:
        raise LookupError("table of secrets")

    error = await alice.error("roomGetOwner", "room")
    assert error.startswith(INTERNAL)
    assert error.removeprefix(INTERNAL) in caplog.text
    assert "table of secrets" in caplog.text
    with pytest.raises(LookupError):
        await instance.service.exec_user_command("alice", "roomGetOwner", "room")
    # The service serves on.
    assert await alice.call("roomGetWhitelistMode", "room") is False


@pytest.mark.covers("hook:before", "hook:after")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nonsense", [object(), {1, 2}, float("nan"), [object()], {1: 2}, "\ud800", 1j, len])
@ONE_STORE
async def test_results_that_cannot_be_encoded_are_an_internal_error(
    instance: Instance, alice: InProcessClient, when: str, nonsense: Any, caplog: pytest.LogCaptureFixture
) -> None:
    getattr(instance.service, when)("roomGetOwner")(lambda call: nonsense)
    assert (await alice.error("roomGetOwner", "room")).startswith(INTERNAL)
    assert "a hook or handler of roomGetOwner returned a value that cannot be sent" in caplog.text
    assert await alice.call("roomGetWhitelistMode", "room") is False


@pytest.mark.covers("hook:call.args")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda call: call.args.clear(),
        lambda call: call.args.append("more"),
        lambda call: setattr(call, "args", None),
        lambda call: setattr(call, "args", ("room", {"textMessage": "a"})),
        lambda call: call.args.__setitem__(0, 5),
        lambda call: call.args.__setitem__(0, "a:b"),
        lambda call: call.args.__setitem__(1, "text"),
        lambda call: call.args.__setitem__(1, {"at": object()}),
    ],
    ids=["none", "too many", "no list", "tuple", "number", "bad name", "no message", "no data"],
)
@ONE_STORE
async def test_bad_arguments_of_a_before_hook_are_an_internal_error(
    instance: Instance, alice: InProcessClient, spoil: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @instance.service.before("roomMessage")
    def hook(call: CommandCall) -> None:
        spoil(call)

    assert (await alice.error("roomMessage", "room", {"textMessage": "hi"})).startswith(INTERNAL)
    assert "a before hook of roomMessage left bad arguments" in caplog.text
    assert await alice.call("roomRecentHistory", "room") == []


# Message checkers


@pytest.mark.covers("hook:room_messages_checker")
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
@ONE_STORE
async def test_a_room_message_checker_decides_the_format(world: World, kind: str) -> None:
    def check(message: Any) -> Any:
        if "emoji" not in message:
            raise ChatServiceError("noEmoji")
        return "ignored"

    async def check_later(message: Any) -> Any:
        return check(message)

    instance = await world.start(hooks={"room_messages_checker": check if kind == "plain" else check_later})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    assert await alice.call("roomMessage", "room", {"emoji": [b"\x00", {"deep": 1}]}) == 1
    _, message = await alice.wait_for("roomMessage")
    assert message["emoji"] == [b"\x00", {"deep": 1}]
    assert set(message) == {"emoji", "id", "author", "timestamp"}
    assert await alice.error("roomMessage", "room", {"textMessage": "hi"}) == "ChatServiceError: noEmoji"
    assert await alice.error("roomMessage", "room", "hi") == wire_error("badArgument", 1, "hi")


@pytest.mark.covers("hook:direct_messages_checker")
@ONE_STORE
async def test_a_direct_message_checker_decides_the_format(world: World) -> None:
    def check(message: Any) -> None:
        if message.get("size", 0) > 5:
            raise ValueError("too large")

    instance = await world.start(hooks={"direct_messages_checker": check})
    alice, bob = await instance.login("alice"), await instance.login("bob")
    await alice.call("directMessage", "bob", {"size": 5, "file": b"12345"})
    [message] = await bob.wait_for("directMessage")
    assert (message["file"], message["author"]) == (b"12345", "alice")
    assert (await alice.error("directMessage", "bob", {"size": 6})).startswith(INTERNAL)
    # Room messages keep their format.
    await instance.service.add_room("room")
    await alice.call("roomJoin", "room")
    assert await alice.error("roomMessage", "room", {"size": 1}) == wire_error("badArgument", 1, {"size": 1})


@pytest.mark.covers("hook:room_messages_checker", "hook:direct_messages_checker", "api:exec_user_command")
@pytest.mark.parametrize(
    ("hook", "command", "to"),
    [
        ("room_messages_checker", "roomMessage", "room"),
        ("direct_messages_checker", "directMessage", "alice"),
    ],
)
@ONE_STORE
async def test_a_checker_does_not_see_the_author(world: World, hook: str, command: str, to: str) -> None:
    seen: list[Any] = []

    def check(message: Any) -> None:
        seen.append(dict(message))
        if set(message) != {"emoji"}:
            raise ChatServiceError("badFormat")

    instance = await world.start(hooks={hook: check})
    service = instance.service
    await service.add_room("room")
    alice = await instance.joined("alice", "room")
    await service.exec_user_command(True, command, to, {"emoji": "tea", "author": "the press"})
    [*_, message] = await alice.wait_for(command)
    assert (message["emoji"], message["author"]) == ("tea", "the press")
    await service.check_arguments(command, to, {"emoji": "tea"})
    # An author that is given for a user, or is not a name, is part of the format.
    for context, author in (("alice", "the press"), (True, 5)):
        with pytest.raises(ChatServiceError, match="badFormat"):
            await service.exec_user_command(context, command, to, {"emoji": "tea", "author": author})
    assert seen == [
        {"emoji": "tea"},
        {"emoji": "tea"},
        {"emoji": "tea", "author": "the press"},
        {"emoji": "tea", "author": 5},
    ]
