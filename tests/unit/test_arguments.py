"""Argument types: accepted values and the order of errors."""

import math
from typing import Any

import pytest

from chat_service import ChatServiceError
from chat_service.protocol import arguments as types
from chat_service.protocol.arguments import Argument, Limits, check_types

LIMITS = Limits(name_length=10, message_depth=3, attachments=2)
HUGE = 2**53


def error_of(kind: types.ArgumentType, value: Any, *, custom: bool = False) -> str | None:
    try:
        check_types([Argument("it", kind)], [value], LIMITS, custom)
    except ChatServiceError as error:
        return error.code
    return None


NAMES: dict[str, list[Any]] = {
    "good": ["a", "a" * 10, "ä b"],
    "badArgument": [None, 1, True, ["a"], {"a": 1}, b"a"],
    "invalidName": ["", "a" * 11, "a:b", "\x00", "\ud800"],
}
CASES: list[tuple[types.ArgumentType, dict[str, list[Any]]]] = [
    (types.ROOM_NAME, NAMES),
    (types.USER_NAME, NAMES),
    (
        types.USER_NAMES,
        {
            "good": [[], ["a"], ["a", "a"], ("a", "b")],
            "badArgument": [None, "a", {"a": 1}, [1], ["a", None], [["a"]], [b"a"]],
            "invalidName": [[""], ["a", "b:"], ["a" * 11]],
        },
    ),
    (types.LIST_NAME, {"good": ["whitelist", "anything", ""], "badArgument": [None, 1, ["whitelist"], True]}),
    (types.MODE, {"good": [True, False], "badArgument": [None, 0, 1, "true", [], {}]}),
    (
        types.MESSAGE_ID,
        {
            "good": [0, 1, 5.0, HUGE - 1],
            "badArgument": [-1, -0.5, 0.5, HUGE, 1e300, math.nan, math.inf, True, None, "1", [1], 10**400],
        },
    ),
    (
        types.LIMIT,
        {"good": [1, 2.0, HUGE - 1], "badArgument": [0, -1, 1.5, HUGE, math.nan, False, None, "1"]},
    ),
    (
        types.IDEMPOTENCY_KEY,
        {"good": ["a", "a" * 128, ":{}\n"], "badArgument": ["", "a" * 129, "\ud800", None, 1, ["a"], b"a"]},
    ),
    (types.FLAG, {"good": [True, False], "badArgument": [None, 0, 1, "true", [], {}]}),
    (
        types.MESSAGE,
        {
            "good": [{"textMessage": ""}, {"textMessage": "hi"}],
            "badArgument": [
                None,
                "hi",
                [],
                {},
                {"textMessage": 1},
                {"textMessage": None},
                {"textMessage": "a", "more": 1},
                {"text": "a"},
                {"textMessage": "\ud800"},
                [{"textMessage": "a"}],
            ],
        },
    ),
    (
        types.ANY_DATA,
        {
            "good": [None, 0, "", [[[1]]], {"a": {"b": b"c"}}],
            "badArgument": [math.nan, [[[[1]]]], {1: 2}, object(), "\ud800"],
        },
    ),
]


@pytest.mark.parametrize(("kind", "cases"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_accepted_values(kind: types.ArgumentType, cases: dict[str, list[Any]]) -> None:
    for outcome, values in cases.items():
        for value in values:
            assert (error_of(kind, value) or "good") == outcome, repr(value)[:80]


@pytest.mark.parametrize("value", [{}, {"a": b"1"}, {"textMessage": 1}, {"a": {"b": []}}])
def test_checker_hook_permits_any_object(value: Any) -> None:
    assert error_of(types.MESSAGE, value, custom=True) is None


@pytest.mark.parametrize("value", [None, "a", [1], {"a": {"b": {"c": []}}}, {"a": math.inf}, {1: 2}])
def test_custom_message_must_still_be_an_object_of_plain_data(value: Any) -> None:
    assert error_of(types.MESSAGE, value, custom=True) == "badArgument"


def test_first_invalid_argument_is_named() -> None:
    declared = [Argument("roomName", types.ROOM_NAME), Argument("mode", types.MODE)]
    with pytest.raises(ChatServiceError) as caught:
        check_types(declared, ["room", "yes"], LIMITS, False)
    assert (caught.value.code, caught.value.arguments) == ("badArgument", (1, "yes"))
    with pytest.raises(ChatServiceError) as caught:
        check_types(declared, ["a:b", "yes"], LIMITS, False)
    assert caught.value.code == "invalidName"


def test_too_few_arguments() -> None:
    declared = [Argument("roomName", types.ROOM_NAME), Argument("mode", types.MODE)]
    check_types(declared, ["a", True], LIMITS, False)
    check_types(declared, ["a", True, "more"], LIMITS, False)
    with pytest.raises(ChatServiceError) as caught:
        check_types(declared, ["a"], LIMITS, False)
    assert (caught.value.code, caught.value.arguments) == ("wrongArgumentsCount", (2, 1))
