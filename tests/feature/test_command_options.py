"""The options object that may follow a command's arguments, and what it adds to the ack."""

from typing import Any

import pytest

from chat_service import ConfigurationError
from chat_service.commands.table import RESERVED_NAMES
from chat_service.hooks import CommandCall
from chat_service.testing import InProcessClient
from tests.support.backends import ONE_STORE
from tests.support.wire_errors import raised, wire_error
from tests.support.world import Instance, World

pytestmark = ONE_STORE
TEA = {"textMessage": "tea"}


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = await world.start()
    await instance.service.add_room("room")
    return instance


@pytest.fixture
async def alice(instance: Instance) -> InProcessClient:
    return await instance.joined("alice", "room")


def recorded(instance: Instance, command: str) -> list[CommandCall]:
    """The calls of a command that reach its before hooks."""
    calls: list[CommandCall] = []
    instance.service.before(command)(calls.append)
    return calls


@pytest.mark.covers("hook:call.options", "hook:call.rest_args")
@pytest.mark.parametrize(
    ("further", "options"),
    [
        ([], {}),
        ([{"epoch": True}], {"epoch": True}),
        ([{"epoch": False, "mine": [1]}, "more"], {"epoch": False}),
        ([{"mine": 1}], {}),
        ([{}], {}),
        ([[{"epoch": True}]], {}),
        (["more", {"epoch": True}], {}),
        (["epoch"], {}),
        ([None], {}),
    ],
)
async def test_an_object_with_a_known_field_holds_options(
    instance: Instance, alice: InProcessClient, further: list[Any], options: dict[str, Any]
) -> None:
    calls = recorded(instance, "roomHistoryGet")
    assert (await alice.emit("roomHistoryGet", "room", 0, 5, *further))[:2] == [None, []]
    [call] = calls
    assert (call.options, call.args, call.rest_args) == (options, ["room", 0, 5], further)


async def test_a_command_without_options_leaves_objects_alone(
    instance: Instance, alice: InProcessClient
) -> None:
    calls = recorded(instance, "roomGetOwner")
    assert await alice.emit("roomGetOwner", "room", {"epoch": 5}) == [None, None]
    assert (calls[0].options, calls[0].rest_args) == ({}, [{"epoch": 5}])


@pytest.mark.covers("error:badArgument")
@pytest.mark.parametrize(
    "options",
    [
        {"idempotencyKey": ""},
        {"idempotencyKey": "x" * 129},
        {"idempotencyKey": 5},
        {"idempotencyKey": None},
        {"idempotencyKey": "k", "expectedLastId": -1},
        {"expectedLastId": "1"},
        {"expectedLastId": True},
    ],
)
async def test_a_known_field_of_a_wrong_type_is_a_bad_argument(
    instance: Instance, alice: InProcessClient, options: dict[str, Any]
) -> None:
    calls = recorded(instance, "roomMessage")
    assert await alice.error("roomMessage", "room", TEA, options) == wire_error("badArgument", 2, options)
    service = instance.service
    expected = ("badArgument", 2, options)
    assert await raised(service.check_arguments("roomMessage", "room", TEA, options)) == expected
    assert (
        await raised(service.exec_user_command(True, "roomMessage", "room", TEA, options=options)) == expected
    )
    assert calls == []


async def test_arguments_are_checked_before_options(alice: InProcessClient) -> None:
    error = await alice.error("roomMessage", "room", "tea", {"idempotencyKey": 5})
    assert error == wire_error("badArgument", 1, "tea")


@pytest.mark.covers("api:exec_user_command")
async def test_options_of_server_calls(instance: Instance, alice: InProcessClient) -> None:
    calls = recorded(instance, "roomHistoryGet")

    async def run(*args: Any, **keywords: Any) -> list[Any]:
        return await instance.service.exec_user_command(
            "alice", "roomHistoryGet", "room", 0, 5, *args, **keywords
        )

    await run("more", options={"epoch": False})
    await run({"epoch": False}, "more")
    await run(options={})
    assert [(call.options, call.rest_args) for call in calls] == [
        ({"epoch": False}, [{"epoch": False}, "more"]),
        ({"epoch": False}, [{"epoch": False}, "more"]),
        ({}, []),
    ]
    with pytest.raises(
        ConfigurationError, match="unknown option of roomHistoryGet epohc; did you mean epoch"
    ):
        await run(options={"epohc": True})
    with pytest.raises(ConfigurationError, match="roomGetOwner has no options"):
        await instance.service.exec_user_command("alice", "roomGetOwner", "room", options={"epoch": True})
    incomplete = instance.service.exec_user_command(
        "alice", "roomHistoryGet", "room", options={"epoch": True}
    )
    assert await raised(incomplete) == ("wrongArgumentsCount", 3, 1)


@pytest.mark.covers("hook:call.extra")
async def test_extra_values_come_between_the_result_and_values_of_hooks(
    instance: Instance, alice: InProcessClient
) -> None:
    @instance.service.before("roomGetOwner")
    def before(call: CommandCall) -> None:
        call.extra = ("extra",)

    @instance.service.after("roomGetOwner")
    def after(call: CommandCall) -> None:
        assert call.results == [None, "extra"]
        call.results.append("hook")

    assert await alice.emit("roomGetOwner", "room") == [None, None, "extra", "hook"]


@pytest.mark.covers("api:bind_handler")
@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
async def test_names_of_later_versions_cannot_be_bound(
    instance: Instance, alice: InProcessClient, name: str
) -> None:
    with pytest.raises(ValueError, match=f"{name} is reserved for a later version"):
        instance.service.transport.bind_handler(alice.id, name, print)
    assert await alice.error(name) == wire_error("noCommand", name)
