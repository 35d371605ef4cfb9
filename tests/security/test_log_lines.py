"""What clients write, in what people read: it makes no lines of its own, and not too many characters."""

import io
import json
import logging

import pytest

from chat_service.cli import happenings
from chat_service.cli.happenings import Happening
from chat_service.operations.logging import MAX_MESSAGE, MAX_TRACEBACK, JsonFormatter, TextFormatter

FORGED = "x\n2026-01-01T00:00:00.000Z INFO    chat_service: forged\r\x1b[2K\u2028end"


def record(message: str, error: Exception | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, None)
    return logging.LogRecord("chat_service", logging.ERROR, "", 1, "refused: %s", (message,), info)


def test_a_message_is_one_line() -> None:
    line = TextFormatter().format(record(FORGED))
    assert line.isprintable()
    assert "forged" in line


def test_the_text_of_an_exception_makes_no_line_that_looks_like_a_record() -> None:
    first, *others = TextFormatter().format(record("x", ValueError(FORGED))).split("\n")
    assert first.endswith("refused: x")
    assert len(others) == 2
    assert all(other.startswith("  ") and other.isprintable() for other in others)


def test_the_length_is_bounded() -> None:
    for formatter in (TextFormatter(), JsonFormatter()):
        huge = formatter.format(record("a" * 1_000_000, ValueError("b" * 1_000_000)))
        assert len(huge) < MAX_MESSAGE + MAX_TRACEBACK + 500
    text = TextFormatter().format(record("first" + "a" * 1_000_000 + "last"))
    assert "first" in text and text.endswith("last") and " characters " in text
    assert json.loads(JsonFormatter().format(record(FORGED)))["message"] == f"refused: {FORGED}"


@pytest.mark.parametrize("field", ["textMessage", "author"])
def test_a_message_forges_no_line_of_tail(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr("sys.stdout", printed)
    message = {"id": 1, "timestamp": 0, "author": "alice", "textMessage": "hello", field: f"a{FORGED}"}
    happenings.show("room", Happening(kind="message", message=message), as_json=False)
    event = Happening(kind="event", event="roomUserJoined", args=("room", FORGED))
    happenings.show("room", event, as_json=False)
    lines = printed.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
