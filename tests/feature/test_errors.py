"""The error codes as clients see them: strings or raw objects, without internal details."""

import json
import logging
from typing import Any

import msgpack
import pytest

from chat_service import ChatServiceError
from chat_service.errors import ERROR_TEXTS, StoreTimeoutError
from chat_service.hooks import CommandCall
from tests.support.backends import ONE_STORE
from tests.support.wire_errors import TEXTS, wire_error
from tests.support.world import Instance, World

#: How a client gets each code, and with which arguments; None: a hook raises it.
CASES: dict[str, tuple[tuple[Any, ...] | None, tuple[Any, ...]]] = {
    "badArgument": (("roomJoin", {"a": [1]}), (0, {"a": [1]})),
    "banned": (None, (1_700_000_000_000, "spam")),
    "conflict": (None, (5,)),
    "idempotencyConflict": (None, ("key",)),
    "internalError": (None, ("text",)),
    "invalidName": (("roomJoin", "a:b"), ("a:b",)),
    "invalidSocket": (None, ("socket",)),
    "limitExceeded": (None, ("sockets",)),
    "listLimitExceeded": (("directAddToList", "whitelist", ["a", "b", "c"]), ("whitelist",)),
    "messageTooLarge": (None, (101, 100)),
    "noCommand": (("whatever",), ("whatever",)),
    "noList": (("directGetAccessList", "x"), ("x",)),
    "noLogin": (None, ()),
    "noMessage": (None, (7,)),
    "noRoom": (("roomJoin", "nowhere"), ("nowhere",)),
    "noSocket": (None, ("roomJoin",)),
    "noUser": (("directMessage", "ghost", {"textMessage": "x"}), ("ghost",)),
    "noUserOnline": (("directMessage", "away", {"textMessage": "x"}), ("away",)),
    "notAllowed": (("directMessage", "alice", {"textMessage": "x"}), ()),
    "notJoined": (("roomGetOwner", "room"), ("room",)),
    "rateLimited": (None, (5,)),
    "roomExists": (("roomCreate", "room", False), ("room",)),
    "timeout": (None, ()),
    "userExists": (None, ("bob",)),
    "userOnline": (None, ("bob",)),
    "wrongArgumentsCount": (("roomCreate", "new"), (2, 1)),
}
EACH_CODE = pytest.mark.parametrize(
    ("code", "emitted", "args"),
    [pytest.param(code, *case, marks=pytest.mark.covers(f"error:{code}")) for code, case in CASES.items()],
    ids=CASES,
)


async def start(world: World, **options: Any) -> Instance:
    """A service with a hook that raises what ``systemMessage`` carries."""

    def raise_it(call: CommandCall) -> None:
        code, args = call.args[0]
        raise ChatServiceError(code, *args)

    instance = await world.start(
        hooks={"system_message_before": raise_it}, direct_list_size_limit=2, **options
    )
    await instance.service.add_room("room")
    await instance.service.add_user("away")
    return instance


async def provoke(instance: Instance, code: str, emitted: tuple[Any, ...] | None, args: Any) -> Any:
    alice = await instance.login("alice")
    return await alice.error(*(emitted or ("systemMessage", [code, list(args)])))


def test_every_code_is_tried() -> None:
    assert set(CASES) == set(ERROR_TEXTS) == set(TEXTS)
    assert len(CASES) == 26


@EACH_CODE
async def test_an_error_is_a_string(world: World, code: str, emitted: Any, args: tuple[Any, ...]) -> None:
    instance = await start(world)
    assert await provoke(instance, code, emitted, args) == wire_error(code, *args)


@EACH_CODE
@pytest.mark.covers("option:use_raw_error_objects")
@ONE_STORE
async def test_an_error_may_be_a_raw_object(
    world: World, code: str, emitted: Any, args: tuple[Any, ...]
) -> None:
    instance = await start(world, use_raw_error_objects=True)
    error = await provoke(instance, code, emitted, args)
    assert error == {"name": "ChatServiceError", "code": code, "args": list(args)}


def test_an_error_has_a_text_on_the_python_side() -> None:
    for code, (_, args) in CASES.items():
        error = ChatServiceError(code, *args)
        assert (error.code, error.arguments) == (code, args)
        assert f"ChatServiceError: {error}" == wire_error(code, *args)


@pytest.mark.covers("error:badArgument")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (5, "5"),
        (1.5, "1.5"),
        ([], "[]"),
        ([1, "é"], '[1,"é"]'),
        ({"a": {"b": None}}, '{"a":{"b":null}}'),
        (b"\x00\x01", '"<2 bytes>"'),
        ([b"\x00"], '["<1 bytes>"]'),
    ],
)
@ONE_STORE
async def test_a_bad_argument_is_shown_as_json(world: World, value: Any, text: str) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    expected = f"ChatServiceError: Bad argument at position 0, value {text}"
    assert await alice.error("roomJoin", value) == expected


UNUSUAL = [
    "x" * 10_000,
    "\ud800" * 100,
    "\ud800",
    ["\udfff"],
    [1] * 10_000,
    {"k" * 9_999: 1},
    2**70,
    -(2**64),
    float("nan"),
    float("-inf"),
    10**5_000,
]


@pytest.mark.covers("error:badArgument", "error:invalidName", "error:noCommand", "error:noList")
@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("value", UNUSUAL, ids=range(len(UNUSUAL)))
@ONE_STORE
async def test_values_in_errors_are_short_and_can_be_sent(world: World, raw: bool, value: Any) -> None:
    instance = await world.start(use_raw_error_objects=raw)
    alice = await instance.login("alice")
    attempts: list[Any] = [("roomJoin", value), ("roomMessage", "room", {"textMessage": value, "b": 1})]
    if isinstance(value, str):
        attempts += [(value,), ("directGetAccessList", value), ("roomGetAccessList", "room", value)]
    for attempt in attempts:
        error = await alice.error(*attempt)
        # The strictest of both serializers: UTF-8, no NaN, 64-bit integers.
        assert len(json.dumps(error, ensure_ascii=False, allow_nan=False).encode()) < 1200
        assert msgpack.packb(error)


# Errors of the application


@pytest.mark.covers("hook:before", "hook:after")
@pytest.mark.parametrize("when", ["before", "after"])
@ONE_STORE
async def test_errors_of_the_application_pass_as_they_are(world: World, when: str) -> None:
    class AppError(ChatServiceError):
        texts = {"quota": "Quota of %s is %d"}  # noqa: RUF012

    def fail(call: CommandCall) -> None:
        raise AppError(*call.rest_args)

    string = await world.start(hooks={f"list_own_sockets_{when}": fail})
    raw = await world.start(hooks={f"list_own_sockets_{when}": fail}, use_raw_error_objects=True)
    alice, bob = await string.login("alice"), await raw.login("bob")
    error = await alice.error("listOwnSockets", "quota", "rooms", 5)
    assert error == "ChatServiceError: Quota of rooms is 5"
    assert await alice.error("listOwnSockets", "plain", 1) == "ChatServiceError: plain"
    expected = {"name": "ChatServiceError", "code": "quota", "args": ["rooms", 5]}
    assert await bob.error("listOwnSockets", "quota", "rooms", 5) == expected


# No internal details


@pytest.mark.covers("better:no leak of internals", "error:internalError")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("raw", [False, True])
@ONE_STORE
async def test_other_exceptions_become_an_incident(
    world: World, caplog: pytest.LogCaptureFixture, when: str, raw: bool
) -> None:
    def fail(call: CommandCall) -> None:
        raise ValueError("secret")

    instance = await world.start(hooks={f"list_own_sockets_{when}": fail}, use_raw_error_objects=raw)
    alice = await instance.login("alice")
    with caplog.at_level(logging.ERROR, "chat_service"):
        error = await alice.error("listOwnSockets")
    if raw:
        assert (error["name"], error["code"], len(error["args"])) == ("ChatServiceError", "internalError", 1)
    text = error["args"][0] if raw else error.removeprefix("ChatServiceError: ")
    fixed, incident = text.rsplit(" ", 1)
    assert fixed == "Internal server error, incident"
    assert incident in caplog.text and "secret" in caplog.text
    assert await alice.call("directGetWhitelistMode") is False


@pytest.mark.covers("option:expose_internal_errors", "error:internalError")
@ONE_STORE
async def test_internals_may_be_exposed_for_debugging(world: World) -> None:
    def fail(call: CommandCall) -> None:
        raise ValueError("the reason")

    instance = await world.start(hooks={"list_own_sockets_before": fail}, expose_internal_errors=True)
    alice = await instance.login("alice")
    assert await alice.error("listOwnSockets") == "ChatServiceError: the reason"


@pytest.mark.covers("error:timeout")
@ONE_STORE
async def test_a_store_that_does_not_answer_is_a_timeout(world: World) -> None:
    instance = await world.start()
    alice = await instance.login("alice")

    @instance.service.before("directGetWhitelistMode")
    def fail(call: CommandCall) -> None:
        raise StoreTimeoutError("connection to 10.0.0.1 lost")

    assert await alice.error("directGetWhitelistMode") == wire_error("timeout")


@pytest.mark.covers("better:no leak of internals")
@pytest.mark.parametrize("result", [object(), {1: 2}, float("nan"), {"a": {1, 2}}, "\ud800", 2**64])
@ONE_STORE
async def test_a_hooks_result_that_cannot_be_sent_is_an_internal_error(world: World, result: Any) -> None:
    instance = await world.start(hooks={"list_own_sockets_before": lambda call: result})
    alice = await instance.login("alice")
    assert "Internal server error, incident" in await alice.error("listOwnSockets")
    assert await alice.call("directGetWhitelistMode") is False
