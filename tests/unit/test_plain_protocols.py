"""The plain protocols without I/O: lines, words, frames and binary values."""

from typing import Any

import pytest

from chat_service.contracts.transport import Handshake
from chat_service.transports.streams.dialect import Client, Close, LogIn, Run, Send
from chat_service.transports.streams.line_connection import INTERRUPT, INVALID, TEXT, TOO_LONG, LineReader
from chat_service.transports.streams.plain_json import PlainJson
from chat_service.transports.streams.plain_lines import PlainLines, split_words
from chat_service.transports.streams.wire_json import read_json, write_json
from chat_service.types import SocketId

CLIENT = Client(
    socket_id=SocketId("s"), handshake=Handshake(is_connected=True), remote_port=5, connected_at=0.0
)


def lines_of(reader: LineReader, *parts: bytes) -> list[Any]:
    found = []
    for part in parts:
        reader.feed(part)
        while (line := reader.take()) is not None:
            found.append(line)
    return found


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_in_any_parts(step: int) -> None:
    data = "one\r\ntwo\n\n\rthree \xe9\r\n".encode() + b"\xff\xfb\x01four\nb\xffad\n\xff\xf4\xff\xfd\x06x\n"
    parts = [data[at : at + step] for at in range(0, len(data), step)]
    assert lines_of(LineReader(100), *parts) == [
        (TEXT, "one"),
        (TEXT, "two"),
        (TEXT, ""),
        (TEXT, "\rthree \xe9"),
        # What telnet negotiates is left out.
        (TEXT, "four"),
        (INVALID, b"b\xffad"),
        (INTERRUPT, ""),
        (TEXT, "x"),
    ]


@pytest.mark.parametrize("key", [b"\x03", b"\x04", b"\xff\xf4"])
def test_keys_interrupt_a_line(key: bytes) -> None:
    assert lines_of(LineReader(100), b"half a li" + key) == [(INTERRUPT, "")]


def test_other_delimiters() -> None:
    reader = LineReader(100, b"<end>")
    assert lines_of(reader, b"a\r\n<e", b"nd>b<en", b"d>") == [(TEXT, "a\r\n"), (TEXT, "b")]


def test_the_length_of_a_line_is_limited() -> None:
    assert lines_of(LineReader(5), b"12345\r\n", b"12345\n") == [(TEXT, "12345")] * 2
    for data in (b"123456\n", b"123456\r\n", b"123456789\n"):
        assert lines_of(LineReader(5), data + b"next\n") == [(TOO_LONG, ""), (TEXT, "next")]


def test_the_rest_of_a_line_that_is_too_long_is_dropped_as_it_arrives() -> None:
    reader = LineReader(5, b"<end>")
    assert lines_of(reader, b"x" * 11) == [(TOO_LONG, "")]
    for _ in range(3):
        assert lines_of(reader, b"x" * 100_000) == []
        assert reader.unread <= 5
    assert lines_of(reader, b"x<en", b"d>a<end>") == [(TEXT, "a")]
    assert lines_of(reader, b"x" * 11, b"x\x04b<end>") == [(TOO_LONG, ""), (INTERRUPT, ""), (TEXT, "b")]


def test_the_rest_is_a_line() -> None:
    reader = LineReader(5)
    reader.feed(b"a\nb")
    reader.finish()
    assert lines_of(reader, b"") == [(TEXT, "a"), (TEXT, "b")]
    reader.finish()
    assert reader.unread == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("a  b\tc", ["a", "b", "c"]),
        ("5 -1 0.5 true false null", [5, -1, 0.5, True, False, None]),
        ('"5" "a b" "\\""', ["5", "a b", '"']),
        ('room {"a": [1, "} {"]} [ "x" ]', ["room", {"a": [1, "} {"]}, ["x"]]),
        ("5a 007 --5 nulls a{b} 1e5", ["5a", "007", "--5", "nulls", "a{b}", "1e5"]),
        ('{"$base64": "AP8="}', [b"\x00\xff"]),
    ],
)
def test_words(line: str, words: list[Any]) -> None:
    assert list(split_words(line, 100)) == words


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{a}", "not JSON"),
        ('"a', "a quotation mark is missing"),
        ('[1, {"a": 2}', "a bracket is missing"),
        ('"a"b', "JSON is not followed by a space"),
        ("[" * 5000, "a bracket is missing"),
        ("[" * 5000 + "]" * 5000, "not JSON"),
        ("[1,2,3,4,5,6]", "more than 5 values"),
    ],
)
def test_words_that_are_not_understood(line: str, why: str) -> None:
    limit = 5 if why.startswith("more") else 100_000
    with pytest.raises(ValueError, match=why):
        list(split_words(line, limit))


@pytest.mark.parametrize(
    ("line", "steps"),
    [
        ("login userName=alice token=a=b", [LogIn(None, {"userName": "alice", "token": "a=b"})]),
        ("login secret", [LogIn("secret")]),
        ('login {"token": "x"}', [LogIn({"token": "x"})]),
        ("login a 5", [LogIn(["a", 5])]),
        ("login", [LogIn(None)]),
        ("roomJoin lobby", [LogIn(), Run("roomJoin", ["lobby"], 1)]),
        (
            "  say lobby  hello, you ",
            [LogIn(), Run("roomMessage", ("lobby", {"textMessage": "hello, you"}), 1)],
        ),
        ('{"id": "x", "command": "c"}', [LogIn(), Run("c", [], "x")]),
        ("", []),
    ],
)
def test_lines_become_steps(line: str, steps: list[Any]) -> None:
    assert list(PlainLines().converse(CLIENT).receive(line)) == steps


def test_a_session_of_lines() -> None:
    talk = PlainLines().converse(CLIENT)
    assert list(talk.receive("login bob")) == [LogIn("bob")]
    assert list(talk.receive("a")) == [Run("a", [], 1)]
    assert list(talk.receive("b 5")) == [Run("b", [5], 2)]
    assert list(talk.receive("login bob")) == [
        Send(b'{"id":null,"error":"Malformed frame: a second login","results":[]}')
    ]
    assert list(talk.answered(2, (None, "x"))) == [Send(b'{"id":2,"error":null,"results":["x"]}')]
    assert list(talk.answered(1, ("oh", None))) == [Send(b'{"id":1,"error":"oh","results":[]}')]
    assert [type(step) for word in ("quit", "exit") for step in talk.receive(word)] == [Close, Close]


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ("x", "not JSON"),
        ("[]", "not an object"),
        ("{}", "neither login nor command"),
        ('{"command": 5}', "neither login nor command"),
        ('{"command": "a", "args": {}}', "args is not an array"),
        ('{"command": "a", "id": 1.5}', "id is neither"),
        ('{"command": "a", "id": true}', "id is neither"),
        ('{"command": "a", "id": "%s"}' % ("x" * 129), "id is neither"),
        ('{"command": "a", "id": 9007199254740993}', "id is neither"),
        ('{"login": 1, "query": {"a": 5}}', "query is not"),
        ('{"command": "a", "args": [NaN]}', "not JSON"),
        ('{"command": "a", "args": [{"$base64": "!"}]}', "$base64 is not base64"),
        ('{"command": "a", "args": [{"\\u0024base64": 5}]}', "$base64 is not base64"),
    ],
)
def test_frames_that_are_not_understood(frame: str, why: str) -> None:
    (step,) = PlainJson().converse(CLIENT).receive(frame)
    assert isinstance(step, Send)
    answer = read_json(step.data.decode(), 10)
    assert answer["id"] is None and f"Malformed frame: {why}" in answer["error"]


def test_malformed_frames_without_end_close_the_connection() -> None:
    for talk in (PlainJson().converse(CLIENT), PlainLines().converse(CLIENT)):
        steps = [step for _ in range(99) for step in talk.receive("{")]
        assert [type(step) for step in steps] == [Send] * 99
        # A frame that is understood begins the count anew.
        for text in ('{"login": null}', '{"command": "a"}'):
            assert list(talk.receive(text))
        assert [type(step) for _ in range(99) for step in talk.receive("{")] == [Send] * 99
        assert [type(step) for step in talk.malformed("not text")] == [Send, Close]


def test_binary_values() -> None:
    value = {"a": [b"\x00", {"b": bytearray(b"\xff")}]}
    assert write_json(value) == b'{"a":[{"$base64":"AA=="},{"b":{"$base64":"/w=="}}]}'
    assert read_json(write_json(value).decode(), 100) == {"a": [b"\x00", {"b": b"\xff"}]}
    # Only an object with this key alone stands for one.
    kept = '{"$base64":"AA==","more":1}'
    assert write_json(read_json(kept, 100)).decode() == kept
