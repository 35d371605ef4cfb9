"""How many connections a limit of open files allows, and the log line when none are left."""

import errno
import logging

import pytest

from chat_service.open_files import AcceptFailures, connections_within
from chat_service.transports.network.admissions import Admissions, ConnectionLimits
from chat_service.transports.socketio.socketio_options import SocketIOOptions


@pytest.mark.parametrize(
    ("files", "connections"),
    [(None, None), (20, 1), (64, 32), (1024, 922), (20_000, 19_000), (1_000_000, 999_000)],
)
def test_connections_within_a_limit_of_files(files: int | None, connections: int | None) -> None:
    assert connections_within(files) == connections


@pytest.mark.covers("transport_option:max_connections")
@pytest.mark.parametrize(
    ("given", "files", "most"), [(None, 1024, 922), (5000, 1024, 922), (5, 1024, 5), (5, None, 5)]
)
def test_the_lower_limit_counts(
    monkeypatch: pytest.MonkeyPatch, given: int | None, files: int | None, most: int
) -> None:
    monkeypatch.setattr("chat_service.transports.network.connection_options.open_files_limit", lambda: files)
    options = SocketIOOptions(max_connections=given, max_pending_connections=7)
    both = None if files is None else (1024 + 922) // 2
    assert options.connection_limits == ConnectionLimits(connections=most, pending=7, files=both)


def test_connections_that_send_nothing_leave_files_too() -> None:
    admissions = Admissions(ConnectionLimits(connections=10, pending=5, files=7))
    assert admissions.unread_refusal(4) is None
    assert admissions.unread_refusal(5) == "pending"
    for number in range(4):
        admissions.enter(number, None)
    assert admissions.unread_refusal(2) is None
    assert admissions.unread_refusal(3) == "connections"
    assert admissions.refused == {"connections": 1, "address": 0, "pending": 1, "pending_address": 0}


def test_failed_accepts_are_counted_and_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    failures = AcceptFailures()
    logger = logging.getLogger("tests.accepting")
    logger.addFilter(failures)
    for _ in range(200):
        try:
            raise OSError(errno.EMFILE, "Too many open files")
        except OSError:
            logger.exception("socket.accept() out of system resource\nsocket: <socket>")
    logger.error("Exception in callback BaseSelectorEventLoop._start_serving(<bound method>)")
    logger.error("Exception in callback something()")
    assert failures.count == 200
    first, *_, last = caplog.records
    assert first.getMessage() == (
        "new connections have to wait, because the system is out of resources "
        "([Errno 24] Too many open files): 1 attempts to accept failed"
    )
    assert first.exc_info is None and last.getMessage() == "Exception in callback something()"
    # The next line comes only after a second.
    assert len(caplog.records) <= 4
