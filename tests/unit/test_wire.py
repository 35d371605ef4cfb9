"""Outcomes as acks, and hiding of internal errors."""

import logging

import pytest

from chat_service import ChatServiceError, StoreError, StoreRefusedError, StoreTimeoutError
from chat_service.errors import MAX_VALUE_TEXT
from chat_service.protocol.wire import ErrorEncoder


@pytest.fixture
def encoder() -> ErrorEncoder:
    return ErrorEncoder(raw=False, expose_internal=False)


def test_errors_are_strings(encoder: ErrorEncoder) -> None:
    assert encoder.encode(ChatServiceError("noRoom", "attic"), "it") == "ChatServiceError: No such room attic"


@pytest.mark.covers("option:use_raw_error_objects")
def test_raw_errors_are_objects() -> None:
    encoder = ErrorEncoder(raw=True, expose_internal=False)
    assert encoder.encode(ChatServiceError("badArgument", 0, [1]), "it") == {
        "name": "ChatServiceError",
        "code": "badArgument",
        "args": [0, [1]],
    }


def test_raw_arguments_are_bounded() -> None:
    encoder = ErrorEncoder(raw=True, expose_internal=False)
    long, deep = "x" * 1000, {"a": b"123"}
    args = encoder.encode(ChatServiceError("badArgument", long, deep, float("nan")), "it")["args"]
    assert args == ["x" * MAX_VALUE_TEXT + "…", '{"a":"<3 bytes>"}', "NaN"]


@pytest.mark.covers("better:no leak of internals", "error:internalError")
def test_internal_errors_show_the_incident_id_of_the_log(
    encoder: ErrorEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    text = encoder.encode(RuntimeError("the password is 1234"), "roomJoin of socket s1")
    assert "1234" not in text
    prefix = "ChatServiceError: Internal server error, incident "
    assert text.startswith(prefix)
    incident = text.removeprefix(prefix)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert incident in record.getMessage()
    assert "roomJoin of socket s1" in record.getMessage()
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "the password is 1234"


@pytest.mark.covers("option:expose_internal_errors")
def test_internal_errors_can_be_exposed() -> None:
    encoder = ErrorEncoder(raw=False, expose_internal=True)
    assert encoder.encode(RuntimeError("details"), "it") == "ChatServiceError: details"
    assert encoder.encode(StoreError("lost"), "it") == "ChatServiceError: lost"


@pytest.mark.covers("error:timeout")
def test_unresponsive_store_is_a_timeout(encoder: ErrorEncoder) -> None:
    assert (
        encoder.encode(StoreTimeoutError("no answer"), "it") == "ChatServiceError: Server operation timeout"
    )


@pytest.mark.covers("error:timeout")
def test_refusing_store_is_not_an_incident(encoder: ErrorEncoder) -> None:
    assert encoder.encode(StoreRefusedError("full"), "it") == "ChatServiceError: Server operation timeout"
    assert encoder.incidents == 0


def test_application_errors_are_passed_on(encoder: ErrorEncoder) -> None:
    class MyError(ChatServiceError):
        texts = {"late": "Too late by %s ms"}  # noqa: RUF012

    assert encoder.encode(MyError("late", 5), "it") == "ChatServiceError: Too late by 5 ms"
