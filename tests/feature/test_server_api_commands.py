"""Commands that server code runs: exec_user_command and check_arguments."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatServiceError, CommandCall, ConfigurationError, StoreTimeoutError
from chat_service.commands.table import COMMANDS
from chat_service.testing import wait_until
from tests.support.backends import ONE_STORE
from tests.support.faults import FaultyStore, as_store
from tests.support.markers import told, user_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised
from tests.support.world import Instance, World


@pytest.fixture
async def instance(world: World) -> Instance:
    made = await world.start()
    await made.service.add_room("room", owner="alice")
    return made


NEED_USER = sorted(name for name, command in COMMANDS.items() if command.needs_user)


# Contexts


@pytest.mark.covers("api:exec_user_command", "error:noUser")
async def test_a_user_must_exist(instance: Instance) -> None:
    run = instance.service.exec_user_command
    assert await raised(run("ghost", "roomGetOwner", "room")) == ("noUser", "ghost")
    assert await raised(run({"user_name": "ghost"}, "roomGetOwner", "room")) == ("noUser", "ghost")
    assert await raised(run({"user_name": "ghost", "bypass_permissions": True}, "roomGetOwner", "room")) == (
        "noUser",
        "ghost",
    )
    # It need not be online.
    await instance.service.add_user("alice")
    assert await run("alice", "roomGetOwner", "room") == ["alice"]


@pytest.mark.covers("api:exec_user_command", "error:noUser")
@pytest.mark.parametrize("name", NEED_USER)
@ONE_STORE
async def test_commands_that_mean_nothing_without_a_user(instance: Instance, name: str) -> None:
    assert await raised(instance.service.exec_user_command(True, name)) == ("noUser", None)
    work = instance.service.exec_user_command({"bypass_permissions": True, "id": "any"}, name)
    assert await raised(work) == ("noUser", None)


def test_which_commands_need_a_user() -> None:
    assert NEED_USER == [
        "directAddToList",
        "directGetAccessList",
        "directGetWhitelistMode",
        "directOpen",
        "directRemoveFromList",
        "directSetWhitelistMode",
        "listOwnRooms",
        "listOwnSockets",
        "loginRefresh",
        "roomGetUnread",
        "roomJoin",
        "roomLeave",
        "roomMarkRead",
        "roomSetDetails",
        "systemMessage",
    ]


@pytest.mark.covers("api:exec_user_command", "error:invalidName")
@pytest.mark.parametrize("name", ["", "a:b", "x" * 257])
async def test_names_of_users_are_checked(instance: Instance, name: str) -> None:
    assert await raised(instance.service.exec_user_command(name, "listOwnSockets")) == ("invalidName", name)


@pytest.mark.covers("api:exec_user_command")
@pytest.mark.parametrize("context", [None, 5, ["alice"], object()])
async def test_invalid_contexts(instance: Instance, context: Any) -> None:
    with pytest.raises(ConfigurationError, match="context: expected a user name, True or a mapping, got"):
        await instance.service.exec_user_command(context, "listOwnSockets")


@pytest.mark.covers("api:exec_user_command")
async def test_unknown_fields_of_a_context(instance: Instance) -> None:
    with pytest.raises(ConfigurationError, match="unknown context field userName; did you mean user_name"):
        await instance.service.exec_user_command({"userName": "alice"}, "listOwnSockets")


@pytest.mark.covers("api:exec_user_command", "error:noCommand")
@pytest.mark.parametrize("command", ["fly", "", "room_join", "constructor"])
async def test_unknown_commands(instance: Instance, command: str) -> None:
    assert await raised(instance.service.exec_user_command(True, command)) == ("noCommand", command)


@pytest.mark.covers("api:exec_user_command", "error:wrongArgumentsCount", "error:badArgument")
async def test_arguments_are_checked_for_the_server_too(instance: Instance) -> None:
    run = instance.service.exec_user_command
    assert await raised(run(True, "roomGetOwner")) == ("wrongArgumentsCount", 1, 0)
    assert await raised(run(True, "roomGetOwner", 5)) == ("badArgument", 0, 5)
    assert await raised(run(True, "roomGetOwner", "a:b")) == ("invalidName", "a:b")
    assert await raised(run(True, "roomMessage", "room", {"text": 1})) == ("badArgument", 1, {"text": 1})


@pytest.mark.covers("api:exec_user_command")
async def test_permissions_hold_unless_they_are_bypassed(instance: Instance) -> None:
    service = instance.service
    for user in ("alice", "bob"):
        await service.add_user(user)
    assert await raised(service.exec_user_command("bob", "roomGetOwner", "room")) == ("notJoined", "room")
    assert await raised(service.exec_user_command("bob", "roomDelete", "room")) == ("notAllowed",)
    bypassing = {"user_name": "bob", "bypass_permissions": True}
    assert await service.exec_user_command(bypassing, "roomGetOwner", "room") == ["alice"]
    [message_id] = await service.exec_user_command(bypassing, "roomMessage", "room", {"textMessage": "hi"})
    [[message]] = await service.exec_user_command(True, "roomHistoryGet", "room", 0, 5)
    assert (message["id"], message["author"]) == (message_id, "bob")
    assert await service.exec_user_command(bypassing, "roomDelete", "room") == [None]
    assert await service.has_room("room") is False


@pytest.mark.covers(
    "api:exec_user_command", "option:enable_rooms_management", "option:enable_direct_messages"
)
async def test_the_server_may_do_what_clients_may_not(world: World) -> None:
    instance = await world.start(enable_rooms_management=False, enable_direct_messages=False)
    service, bob = instance.service, await instance.login("bob")
    await service.add_user("alice")
    hello = {"textMessage": "hi"}
    assert await raised(service.exec_user_command("alice", "roomCreate", "new", False)) == ("notAllowed",)
    assert await raised(service.exec_user_command("alice", "directMessage", "bob", hello)) == ("notAllowed",)
    as_alice = {"user_name": "alice", "bypass_permissions": True}
    await service.exec_user_command(as_alice, "roomCreate", "new", False)
    assert await service.exec_user_command(True, "roomGetOwner", "new") == ["alice"]
    await service.exec_user_command(as_alice, "directMessage", "bob", hello)
    [message] = await bob.wait_for("directMessage")
    assert message["author"] == "alice"


@pytest.mark.covers("api:exec_user_command", "notification:roomMessage", "notification:directMessage")
async def test_messages_without_a_user_keep_their_author(instance: Instance) -> None:
    alice = await instance.joined("alice", "room")
    run = instance.service.exec_user_command
    for message in ({"textMessage": "hi", "author": "the system"}, {"textMessage": "hi"}):
        await run(True, "roomMessage", "room", message)
        _, got = await alice.wait_for("roomMessage")
        assert got.get("author") == message.get("author")
        await run(True, "directMessage", "alice", message)
        [got] = await alice.wait_for("directMessage")
        assert got.get("author") == message.get("author")
    for bad in ({"textMessage": "hi", "author": 5}, {"textMessage": "hi", "title": "x"}):
        assert await raised(run(True, "roomMessage", "room", bad)) == ("badArgument", 1, bad)
    # A user's messages have the user's name.
    bad = {"textMessage": "hi", "author": "somebody else"}
    assert await raised(run("alice", "roomMessage", "room", bad)) == ("badArgument", 1, bad)


@pytest.mark.covers("api:exec_user_command", "command:roomHistoryGet", "option:history_max_get_messages")
async def test_bypassing_calls_get_as_much_history_as_they_ask_for(world: World) -> None:
    service = (await world.start(history_max_get_messages=2)).service
    await service.add_room("room", owner="alice")
    await service.add_user("alice")
    for _ in range(5):
        await service.exec_user_command(True, "roomMessage", "room", {"textMessage": "hi"})
    [everything] = await service.exec_user_command(True, "roomHistoryGet", "room", 0, 100)
    assert [message["id"] for message in everything] == [5, 4, 3, 2, 1]
    [capped] = await service.exec_user_command("alice", "roomHistoryGet", "room", 0, 100)
    assert [message["id"] for message in capped] == [2, 1]


@pytest.mark.covers("api:exec_user_command", "hook:call.bypass_hooks")
async def test_hooks_can_be_bypassed(instance: Instance) -> None:
    calls: list[str] = []
    service = instance.service

    @service.before("roomGetOwner")
    def before(call: CommandCall) -> None:
        calls.append("before")

    @service.after("roomGetOwner")
    def after(call: CommandCall) -> str:
        calls.append("after")
        return "replaced"

    context = {"bypass_permissions": True}
    assert await service.exec_user_command({**context, "bypass_hooks": True}, "roomGetOwner", "room") == [
        "alice"
    ]
    assert calls == []
    assert await service.exec_user_command(context, "roomGetOwner", "room") == ["replaced"]
    assert calls == ["before", "after"]


@pytest.mark.covers("api:exec_user_command")
async def test_all_results_come_back(instance: Instance) -> None:
    instance.service.before("roomGetOwner")(lambda call: ["one", object, 3])
    assert await instance.service.exec_user_command(True, "roomGetOwner", "room") == ["one", object, 3]
    instance.service.before("roomGetWhitelistMode")(lambda call: ())
    assert await instance.service.exec_user_command(True, "roomGetWhitelistMode", "room") == []


# Sockets


@pytest.mark.covers("api:exec_user_command", "error:noSocket", "command:roomJoin", "command:roomLeave")
@pytest.mark.parametrize("command", ["roomJoin", "roomLeave"])
async def test_joins_and_leaves_need_a_socket(instance: Instance, command: str) -> None:
    await instance.service.add_user("alice")
    run = instance.service.exec_user_command
    assert await raised(run("alice", command, "room")) == ("noSocket", command)
    assert await raised(run({"user_name": "alice"}, command, "room")) == ("noSocket", command)


@pytest.mark.covers("api:exec_user_command", "error:invalidSocket")
@pytest.mark.parametrize("command", ["roomJoin", "roomLeave"])
async def test_the_socket_must_be_there_and_the_users(start_spread: StartSpread, command: str) -> None:
    spread = await start_spread()
    await spread.service.add_room("room")
    await spread[0].login("alice")
    bob = await spread[1].login("bob")
    run = spread.service.exec_user_command
    for socket_id in ("nowhere", bob.id):
        work = run({"user_name": "alice", "id": socket_id}, command, "room")
        assert await raised(work) == ("invalidSocket", socket_id)


@pytest.fixture
def start_spread(spread: StartSpread) -> StartSpread:
    return spread


@pytest.mark.covers(
    "api:exec_user_command", "notification:roomJoinedEcho", "notification:roomLeftEcho", "command:roomJoin"
)
async def test_sockets_on_any_instance_are_joined(start_spread: StartSpread) -> None:
    """All sockets of the user get the echoes, that one too."""
    joined: list[tuple[str, str]] = []
    spread = await start_spread(
        enable_userlist_updates=True,
        hooks={"on_join": lambda service, info: joined.append((info.id, info.room_name))},
    )
    await spread.service.add_room("room")
    alice, other = await spread[1].login("alice"), await spread[2].login("alice")
    context = {"user_name": "alice", "id": alice.id}
    for client in (alice, other):
        await user_marker(spread.service, "alice", client)
        client.clear()
    assert await spread.service.exec_user_command(context, "roomJoin", "room") == [1]
    for client in (alice, other):
        assert await client.wait_for("roomJoinedEcho") == ["room", alice.id, 1]
    assert await alice.wait_for("roomUserJoined") == ["room", "alice"]
    assert joined == [(alice.id, "room")]
    assert await alice.call("roomMessage", "room", {"textMessage": "hi"}) == 1
    await alice.wait_for("roomMessage")
    assert await spread.service.exec_user_command(context, "roomLeave", "room") == [0]
    for client in (alice, other):
        assert await client.wait_for("roomLeftEcho") == ["room", alice.id, 0]
    await user_marker(spread.service, "alice", alice, other)
    assert told(alice) == told(other) == []


@pytest.mark.covers("api:exec_user_command", "command:roomJoin")
async def test_permissions_to_join_are_never_bypassed(start_spread: StartSpread) -> None:
    spread = await start_spread()
    await spread.service.add_room("room", blacklist=["alice"])
    alice = await spread[1].login("alice")
    run = spread.service.exec_user_command
    for context in (
        {"user_name": "alice", "id": alice.id},
        {"user_name": "alice", "id": alice.id, "bypass_permissions": True},
    ):
        assert await raised(run(context, "roomJoin", "room")) == ("notAllowed",)
        assert await raised(run(context, "roomJoin", "attic")) == ("noRoom", "attic")
        assert await raised(run(context, "roomLeave", "attic")) == ("noRoom", "attic")


@pytest.mark.covers("api:exec_user_command", "error:internalError")
async def test_errors_of_hooks_on_another_instance(world: World) -> None:
    def full(service: Any, info: Any) -> None:
        raise ChatServiceError("full", info.room_name, 5)

    def broken(service: Any, info: Any) -> None:
        raise RuntimeError("secret")

    first = await world.start()
    await first.service.add_room("room")
    for hook, expected in ((full, ("full", "room", 5)), (broken, None)):
        second = await world.start(hooks={"on_join": hook})
        alice = await second.login("alice")
        error = await raised(
            first.service.exec_user_command({"user_name": "alice", "id": alice.id}, "roomJoin", "room")
        )
        if expected is not None:
            assert error == expected
        else:
            assert error[0] == "internalError"
            assert "secret" not in error[1]


@pytest.mark.covers("option:bus_ack_timeout", "error:timeout", "api:exec_user_command")
async def test_an_instance_that_does_not_answer(world: World) -> None:
    store = FaultyStore(world.backend.new_store())
    first = await world.start(bus_ack_timeout=0.5)
    second = await world.start(store=as_store(store))
    await first.service.add_room("room")
    alice = await second.login("alice")
    context = {"user_name": "alice", "id": alice.id}
    # It hears nothing.
    store.loses = lambda topic, envelope: True
    assert await raised(first.service.exec_user_command(context, "roomJoin", "room")) == ("timeout",)
    # It takes too long; its late answer does no harm.
    store.loses = lambda topic, envelope: False
    gate = store.faults.gate("room_join")
    assert await raised(first.service.exec_user_command(context, "roomJoin", "room")) == ("timeout",)
    gate.set()
    await wait_until(lambda: first.service.room_has_in_list("room", "userlist", "alice"), "the late join")
    assert await first.service.exec_user_command(context, "roomLeave", "room") == [0]


@pytest.mark.covers("api:exec_user_command", "error:invalidSocket")
async def test_a_socket_that_goes_while_it_is_asked_for(world: World) -> None:
    first, second = await world.start(), await world.start()
    await first.service.add_room("room")
    await first.service.add_user("alice")
    alice = await second.login("alice")
    context = {"user_name": "alice", "id": alice.id}
    outcomes = await asyncio.gather(
        first.service.exec_user_command(context, "roomJoin", "room"),
        alice.disconnect(),
        return_exceptions=True,
    )
    assert outcomes[0] == [1] or str(outcomes[0]) == f"Socket {alice.id} is not connected"
    assert await first.service.room_has_in_list("room", "userlist", "alice") is False


@pytest.mark.covers("error:timeout")
async def test_a_store_that_does_not_answer_is_a_timeout(world: World) -> None:
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store))
    await instance.service.add_room("room", owner="alice")
    alice = await instance.joined("alice", "room")
    store.faults.fail("room_message", StoreTimeoutError("slow"))
    hello = {"textMessage": "hi"}
    assert await alice.error("roomMessage", "room", hello) == "ChatServiceError: Server operation timeout"
    with pytest.raises(StoreTimeoutError):
        await instance.service.exec_user_command("alice", "roomMessage", "room", hello)
    store.faults.mend("room_message")
    assert await alice.call("roomMessage", "room", hello) == 1


# check_arguments


@pytest.mark.covers(
    "api:check_arguments", "error:noCommand", "error:wrongArgumentsCount", "error:badArgument"
)
async def test_check_arguments(instance: Instance) -> None:
    check = instance.service.check_arguments
    await check("roomJoin", "room")
    await check("roomJoin", "room", "rest", 5)
    await check("roomMessage", "room", {"textMessage": "hi"})
    assert await raised(check("fly")) == ("noCommand", "fly")
    assert await raised(check("roomJoin")) == ("wrongArgumentsCount", 1, 0)
    assert await raised(check("roomJoin", None)) == ("badArgument", 0, None)
    assert await raised(check("roomJoin", "a:b")) == ("invalidName", "a:b")
    assert await raised(check("roomMessage", "room", {})) == ("badArgument", 1, {})


@pytest.mark.covers("api:check_arguments", "hook:room_messages_checker")
async def test_check_arguments_asks_the_message_checker(world: World) -> None:
    async def check(message: Any) -> None:
        if not message.get("emoji"):
            raise ChatServiceError("noEmoji")

    service = (await world.start(hooks={"room_messages_checker": check})).service
    await service.check_arguments("roomMessage", "room", {"emoji": 1})
    assert await raised(service.check_arguments("roomMessage", "room", {"emoji": 0})) == ("noEmoji",)
    assert await raised(service.check_arguments("directMessage", "bob", {"emoji": 1})) == (
        "badArgument",
        1,
        {"emoji": 1},
    )
