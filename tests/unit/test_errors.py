"""Errors as data, and their texts for clients."""

import pickle

import pytest

from chat_service import ChatServiceError
from chat_service.errors import ERROR_TEXTS, MAX_VALUE_TEXT, as_text, format_text

#: Every code with arguments and the text for clients (protocol.md, Errors).
TEXTS = [
    ("badArgument", (1, "x"), 'Bad argument at position 1, value "x"'),
    ("badArgument", (0, None), "Bad argument at position 0, value null"),
    ("badArgument", (2, {"a": [1, 2.5, True]}), 'Bad argument at position 2, value {"a":[1,2.5,true]}'),
    ("badArgument", (0, b"123"), 'Bad argument at position 0, value "<3 bytes>"'),
    ("badArgument", (0, {"file": b"12"}), 'Bad argument at position 0, value {"file":"<2 bytes>"}'),
    ("badArgument", (0, object()), 'Bad argument at position 0, value "<object>"'),
    ("internalError", ("incident 5",), "incident 5"),
    ("invalidName", ("a:b",), "String a:b contains invalid characters"),
    ("invalidName", ("",), "String  contains invalid characters"),
    ("invalidSocket", ("s1",), "Socket s1 is not connected"),
    ("limitExceeded", ("rooms of a socket",), "Exceeded the limit of rooms of a socket"),
    ("listLimitExceeded", ("whitelist",), "Exceeded whitelist size limit"),
    ("messageTooLarge", (101, 100), "Message of 101 bytes exceeds the limit of 100 bytes"),
    ("noCommand", ("fly",), "No such command fly"),
    ("noList", ("redlist",), "No such list redlist"),
    ("banned", (None, None), "Banned until null, reason: null"),
    ("conflict", (7,), "The last message is 7"),
    ("idempotencyConflict", ("k",), "Idempotency key k was used for another message"),
    ("noLogin", (), "No login provided"),
    ("noMessage", (5,), "No such message 5"),
    ("noRoom", ("attic",), "No such room attic"),
    ("noSocket", ("roomJoin",), "Command roomJoin requires a valid socket"),
    ("noUser", ("bob",), "No such user bob"),
    ("noUser", (None,), "No such user null"),
    ("noUserOnline", ("bob",), "No such user online bob"),
    ("notAllowed", (), "Action is not allowed"),
    ("notJoined", ("attic",), "Not joined to room attic"),
    ("rateLimited", (20,), "Rate limit exceeded, retry in 20 ms"),
    ("roomExists", ("attic",), "Room attic already exists"),
    ("timeout", (), "Server operation timeout"),
    ("userExists", ("bob",), "User bob already exists"),
    ("userOnline", ("bob",), "User bob is online"),
    ("wrongArgumentsCount", (3, 1), "Expected 3 arguments, got 1"),
]


@pytest.mark.parametrize(("code", "arguments", "text"), TEXTS)
def test_text(code: str, arguments: tuple[object, ...], text: str) -> None:
    error = ChatServiceError(code, *arguments)
    assert str(error) == text
    assert (error.code, error.arguments) == (code, arguments)


def test_every_code_has_a_tested_text() -> None:
    assert {code for code, _, _ in TEXTS} == set(ERROR_TEXTS)


@pytest.mark.covers("api:ChatServiceError")
def test_code_without_a_text_prints_as_itself() -> None:
    assert str(ChatServiceError("outOfCoffee", 5)) == "outOfCoffee"


class CafeError(ChatServiceError):
    texts = {"outOfCoffee": "No %s before %d", "noRoom": "The %s is closed"}  # noqa: RUF012


@pytest.mark.covers("api:ChatServiceError")
def test_subclass_may_add_texts() -> None:
    error = CafeError("outOfCoffee", "coffee", 9)
    assert str(error) == "No coffee before 9"
    assert str(CafeError("noRoom", "cellar")) == "The cellar is closed"
    assert str(CafeError("noUser", "bob")) == "No such user bob"
    assert str(ChatServiceError("noRoom", "cellar")) == "No such room cellar"


def test_repr_names_class_code_and_arguments() -> None:
    assert repr(ChatServiceError("noRoom", "attic")) == "ChatServiceError('noRoom', 'attic')"
    assert repr(CafeError("closed")) == "CafeError('closed')"


def test_errors_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(ChatServiceError("badArgument", 1, "x")))
    assert (again.code, again.arguments, str(again)) == (
        "badArgument",
        (1, "x"),
        'Bad argument at position 1, value "x"',
    )


def test_code_must_be_a_string() -> None:
    with pytest.raises(TypeError, match="an error code must be a string, not int"):
        ChatServiceError(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("template", "arguments", "text"),
    [
        ("%s and %s", ("a",), "a and %s"),
        ("100%", ("a",), "100%"),
        ("100%% %s", ("a",), "100%% a"),
        ("%s", ("%d",), "%d"),
        ("%j|%s", ("a", "a"), '"a"|a'),
        ("%d", (1.5,), "1.5"),
        ("no places", ("a", "b"), "no places"),
        ("%x %s", ("a",), "%x a"),
    ],
)
def test_placeholders_of_a_template(template: str, arguments: tuple[object, ...], text: str) -> None:
    assert format_text(template, arguments) == text


def test_client_values_are_shortened() -> None:
    assert as_text("x" * MAX_VALUE_TEXT) == "x" * MAX_VALUE_TEXT
    assert as_text("x" * (MAX_VALUE_TEXT + 1)) == "x" * MAX_VALUE_TEXT + "…"
    assert len(as_text(["x"] * 10_000, as_json=True)) == MAX_VALUE_TEXT + 1


def test_unpaired_surrogates_are_replaced() -> None:
    assert as_text("a\ud800b") == "a?b"
    assert as_text("a\ud800b", as_json=True) == '"a?b"'


def test_values_without_json_form_are_named_by_type() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert as_text(deep) == "<list>"
    assert as_text({(1, 2): 3}) == "<dict>"
    # Take it apart, because its destruction would recurse as deeply.
    while deep:
        deep = deep.pop()  # type: ignore[assignment]
