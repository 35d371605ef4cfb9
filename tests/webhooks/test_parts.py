"""Parts of webhooks that decide without I/O: the circuit, the outbox, signatures, options."""

import hashlib
import hmac
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service import ChatServiceError, ConfigurationError, Options
from chat_service.cli.assembly import find_faults
from chat_service.cli.public_config import check_public
from chat_service.cli.settings import Settings
from chat_service.cli.toml_text import as_toml
from chat_service.hooks import Login
from chat_service.webhooks.back_end import BackEndError, RejectedError, sign
from chat_service.webhooks.circuit import Circuit, CircuitState
from chat_service.webhooks.outbox import Batch, LaneKey, Outbox
from chat_service.webhooks.questions import decide_login, decide_message, decide_refresh
from chat_service.webhooks.webhook_options import WebhookOptions, check_times
from tests.cli.conftest import invoke
from tests.redis.certificates import Certificates
from tests.webhooks.back_ends import SECRET

# The circuit


def opened(circuit: Circuit) -> Circuit:
    for _ in range(3):
        ticket = circuit.admit(0)
        assert ticket is not None
        circuit.failed(ticket, 0)
    assert circuit.state is CircuitState.OPEN
    return circuit


def test_a_circuit_opens_after_failures_in_a_row() -> None:
    circuit = Circuit(3, 10)
    ticket = circuit.admit(0)
    assert ticket is not None
    assert [circuit.failed(ticket, 0) for _ in range(2)] == [False, False]
    assert not circuit.succeeded(ticket)
    assert [circuit.failed(ticket, 0) for _ in range(3)] == [False, False, True]
    assert (circuit.admit(9.9), circuit.wait(4)) == (None, 6)
    assert "open" in repr(circuit)


def test_one_request_tries_an_open_circuit() -> None:
    circuit = opened(Circuit(3, 10))
    trial = circuit.admit(10)
    assert trial is not None and repr(circuit) == "<Circuit half open, 3 failures>"
    assert (circuit.admit(11), circuit.wait(11)) == (None, None)
    assert circuit.succeeded(trial) and circuit.state is CircuitState.CLOSED
    assert circuit.admit(11) is not None


def test_a_failed_trial_opens_the_circuit_again_without_telling_it_twice() -> None:
    circuit = opened(Circuit(3, 10))
    trial = circuit.admit(10)
    assert trial is not None and not circuit.failed(trial, 12)
    assert circuit.state is CircuitState.OPEN and circuit.wait(12) == 10


def test_an_abandoned_trial_leaves_the_next_one_to_others() -> None:
    circuit = opened(Circuit(3, 10))
    trial = circuit.admit(10)
    assert trial is not None
    circuit.abandoned(trial)
    assert circuit.admit(10) is not None


def test_outcomes_of_requests_from_before_do_not_count() -> None:
    circuit = Circuit(3, 10)
    early = circuit.admit(0)
    assert early is not None
    opened(circuit)
    assert not circuit.succeeded(early) and not circuit.failed(early, 5)
    circuit.abandoned(early)
    assert circuit.state is CircuitState.OPEN and circuit.wait(0) == 10


# The outbox


def outbox(**options: Any) -> Outbox:
    given = {
        "max_events": 100,
        "max_bytes": 1000,
        "max_lane": 50,
        "batch_events": 3,
        "batch_bytes": 20,
        "backoff_first": 1.0,
        "backoff_longest": 4.0,
    }
    return Outbox(**{**given, **options})


A, B = ("room", "a"), ("room", "b")


def taken(box: Outbox, now: float = 0) -> Batch:
    batch = box.take(now)
    assert batch is not None
    return batch


def test_a_batch_has_events_of_one_lane_in_order() -> None:
    box = outbox()
    for number in range(4):
        assert box.add(A, b"a%d" % number)
    assert box.add(B, b"b")
    first, second = taken(box), taken(box)
    assert (first.events, second.events) == ([b"a0", b"a1", b"a2"], [b"b"])
    # No events are taken from a lane while some of its events are being delivered.
    assert box.take(0) is None
    box.delivered(first)
    assert taken(box).events == [b"a3"]
    assert "5" not in repr(box) and "2 events in 2 lanes" in repr(box)


def test_a_batch_is_bounded_in_bytes_but_a_large_event_goes_alone() -> None:
    box = outbox()
    for size in (15, 5, 30):
        box.add(A, b"x" * size)
    sizes = []
    while (batch := box.take(0)) is not None:
        sizes.append([len(event) for event in batch.events])
        box.delivered(batch)
    assert sizes == [[15, 5], [30]]
    assert (box.waiting, box.size, box.has_more) == (0, 0, False)


@pytest.mark.parametrize(
    "options", [{"max_events": 2}, {"max_bytes": 2}, {"max_lane": 2}], ids=lambda options: str(options)
)
def test_a_full_outbox_takes_nothing(options: dict[str, int]) -> None:
    box = outbox(**options)
    assert [box.add(A, b"x") for _ in range(3)] == [True, True, False]
    # Only the limit per lane leaves room for others.
    assert box.add(B, b"x") is ("max_lane" in options)
    box.delivered(taken(box))
    assert box.add(A, b"x")


def test_a_lane_that_failed_waits_longer_each_time_and_others_go_on() -> None:
    box = outbox()
    box.add(A, b"a")
    box.add(B, b"b")
    now, pauses = 0.0, []
    for _ in range(4):
        batch = taken(box, now)
        assert batch.events == [b"a"]
        box.failed(batch, now)
        if now == 0:
            other = taken(box, now)
            assert other.events == [b"b"]
            box.delivered(other)
        due = box.next_due()
        assert due is not None and box.take(due - 0.01) is None
        pauses.append(due - now)
        now = due
    for pause, longest in zip(pauses, (1, 2, 4, 4), strict=True):
        assert longest / 2 <= pause <= longest
    box.hurry()
    assert box.next_due() is None and box.has_more
    box.failed(taken(box, now), now)
    due = box.next_due()
    assert due is not None
    box.delivered(taken(box, due))
    box.add(A, b"a")
    box.failed(taken(box, due), due)
    # After a delivery, pauses start small again.
    assert (box.next_due() or 0) - due <= 1


def test_refused_events_are_found_one_by_one() -> None:
    box = outbox()
    for number in range(3):
        box.add(A, b"%d" % number)
    whole = taken(box)
    assert (box.refused(whole), box.waiting) == (0, 3)
    first = taken(box)
    assert first.events == [b"0"]
    assert (box.refused(first), box.waiting) == (1, 2)
    second = taken(box)
    assert second.events == [b"1"]
    box.delivered(second)
    box.add(A, b"3")
    assert taken(box).events == [b"2", b"3"]


@given(st.lists(st.tuples(st.sampled_from("adfrg"), st.integers(0, 3)), max_size=80))
def test_whatever_happens_events_stay_in_order_and_none_is_lost(steps: list[tuple[str, int]]) -> None:
    box = outbox()
    sent: dict[LaneKey, list[bytes]] = {}
    arrived: dict[LaneKey, list[bytes]] = {}
    under_way: list[Batch] = []
    now = 0.0
    for number, (step, lane) in enumerate([*steps, *[("d", 0)] * 100]):
        now += 1
        key = ("room", str(lane))
        if step == "a":
            event = b"%d" % number
            assert box.add(key, event)
            sent.setdefault(key, []).append(event)
            continue
        if lane % 2 == 0 and (new := box.take(now)) is not None:
            assert new.lane.key not in [batch.lane.key for batch in under_way]
            under_way.append(new)
        if not under_way:
            continue
        batch = under_way.pop(0)
        if step == "f":
            box.failed(batch, now)
        elif step == "g":
            box.give_back(batch)
        elif step == "d" or box.refused(batch):
            arrived.setdefault(batch.lane.key, []).extend(batch.events)
            if step == "d":
                box.delivered(batch)
        now += 10
    assert arrived == sent
    assert (box.waiting, box.size, box.has_more) == (0, 0, False)


# Signatures


def test_a_signature_is_over_the_time_and_the_body() -> None:
    expected = hmac.new(b"secret", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert sign({"k1": b"secret"}, 1_700_000_000, b'{"a":1}') == f"k1={expected}"


def test_two_secrets_sign_while_one_replaces_the_other() -> None:
    both = sign({"old": b"1", "new": b"2"}, 5, b"x")
    assert both == f"{sign({'old': b'1'}, 5, b'x')}, {sign({'new': b'2'}, 5, b'x')}"


# Answers

FIELDS = ["name", "data", "expiresAt", "ephemeral", "message", "reject", "expires_at", ""]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 5.5, 1e300, 2**70, float("nan"), "", "alice", "x" * 1000, "\ud800", [], [{}]),
    *({}, {"code": "x"}, {"code": "x", "text": "y"}, {"code": 5}, {"code": "x", "text": None}, {"text": "x"}),
    *({"code": "x", "more": 1}, {"a": {"b": [1, None]}}),
]
ANSWERS = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES), max_size=3)


def outcome(decide: Callable[[], Any]) -> Any:
    """A decision, the client's error of a rejection, or None for a failure."""
    try:
        return decide()
    except BackEndError as failure:
        return None if failure.outcome == "answer" and len(str(failure)) < 200 else failure
    except RejectedError as rejection:
        return rejection.error


@given(ANSWERS.map(lambda answer: json.dumps(answer).encode()) | st.binary(max_size=20))
def test_any_answer_is_a_decision_a_rejection_or_a_failure(body: bytes) -> None:
    for own in (None, Login("own")):
        for login in (
            outcome(partial(decide_login, body, own)),
            outcome(partial(decide_refresh, body, "alice", own)),
        ):
            assert login is None or isinstance(login, ChatServiceError | Login)
            if isinstance(login, Login):
                assert {type(login.name), type(login.ephemeral)} == {str, bool}
                assert login.expires_at is None or abs(login.expires_at) < 1e12
    message = outcome(partial(decide_message, body, 32))
    assert message is None or isinstance(message, ChatServiceError | dict)


# Options

URL = "https://example.com/hook"


@pytest.mark.covers(
    "webhook_option:secrets",
    "webhook_option:connect_url",
    "webhook_option:forward_headers",
    "webhook_option:events",
    "option:webhook_options",
)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connect_urll": URL}, "unknown webhook_options connect_urll; did you mean connect_url?"),
        ({"connect_url": URL}, "webhook_options secrets: a secret is required"),
        ({"secrets": 5}, "webhook_options secrets: expected a mapping of ids to secrets or entries"),
        ({"secrets": "k1"}, 'webhook_options secrets: entry 1 is not of the form "id:secret"'),
        ({"secrets": {"k1": "short"}}, "webhook_options secrets k1: expected a text of 32 bytes or more"),
        ({"secrets": {"k=1": SECRET}}, "webhook_options secrets: an id has 1 to 64 letters"),
        ({"secrets": {"a": SECRET, "b": SECRET, "c": SECRET}}, "webhook_options secrets: expected at most 2"),
        (
            {"secrets": f"a:{SECRET} a:{SECRET}"},
            "webhook_options secrets: expected at most 2, with different",
        ),
        (
            {"message_url": "ftp://x"},
            "webhook_options message_url: expected an address that begins with http",
        ),
        ({"message_url": "https://"}, "webhook_options message_url: expected an address"),
        ({"message_url": "https://x:port"}, "webhook_options message_url: expected an address"),
        ({"message_url": "https://x/ y"}, "webhook_options message_url: expected an address"),
        ({"message_url": 5}, "webhook_options message_url: expected an address"),
        (
            {"message_url": f"https://u:{SECRET}@x"},
            "webhook_options message_url: the address must not contain a password",
        ),
        ({"message_url": URL + "#x"}, "webhook_options message_url: the address must not contain a fragment"),
        ({"connect_on_failure": "maybe"}, "webhook_options connect_on_failure: expected 'refuse' or 'allow'"),
        ({"connect_timeout": 0}, "webhook_options connect_timeout: expected seconds, more than 0"),
        ({"retries": -1}, "webhook_options retries: expected a whole number, 0 or more"),
        ({"events_queue": 0}, "webhook_options events_queue: expected a whole number, more than 0"),
        ({"events": ["typing"]}, "webhook_options events: expected a list of message, join"),
        ({"events": []}, "webhook_options events: expected one kind or more"),
        ({"forward_headers": ["Cookie"]}, "webhook_options forward_headers: expected a list of header names"),
        ({"ca_file": "/nowhere"}, "webhook_options ca_file: /nowhere: [Errno 2] No such file or directory"),
        ({"ca_file": __file__}, "webhook_options ca_file: " + __file__ + ": no certificates"),
        ({"ca_file": 5}, "webhook_options ca_file: expected a path, got 5"),
        ({"forward_headers": "cookie"}, "webhook_options forward_headers: expected a list of header names"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        WebhookOptions.from_mapping(options)
    assert message in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("webhooks", "options", "message"),
    [
        (
            {"connect_url": URL},
            {"login_timeout": 5.0},
            "connect_timeout (5 s) must be less than login_timeout",
        ),
        (
            {"refresh_url": URL},
            {"login_timeout": 2.0},
            "refresh_timeout (5 s) must be less than login_timeout",
        ),
        ({"message_url": URL}, {"hook_timeout": 1.0}, "message_timeout (5 s) must be less than hook_timeout"),
        ({"message_url": URL}, {"hook_timeout": None}, None),
        ({"events_url": URL}, {"hook_timeout": 1.0, "login_timeout": 1.0}, None),
    ],
)
def test_hooks_end_before_the_service_cancels_them(
    webhooks: dict[str, Any], options: dict[str, Any], message: str | None
) -> None:
    made = WebhookOptions.from_mapping({"secrets": {"k1": SECRET}, **webhooks})
    if message is None:
        check_times(made, Options(**options))
        return
    with pytest.raises(ConfigurationError) as raised:
        check_times(made, Options(**options))
    assert message in str(raised.value)


def test_secrets_are_not_shown() -> None:
    given: dict[str, Any] = {"secrets": {"k1": SECRET}, "events_url": URL}
    for shown in (repr(WebhookOptions(**given)), repr(Options(webhook_options=given))):
        assert SECRET not in shown and "'k1': '***'" in shown
    assert SECRET not in repr(WebhookOptions(secrets=f"k1:{SECRET}"))
    assert WebhookOptions(secrets=f"k1:{SECRET} k2:{SECRET}").known_secrets().keys() == {"k1", "k2"}


# The file of `serve`

FILE = """
[transport]
allowed_hosts = ["chat.example.com"]
[webhooks]
connect_url = "http://backend.example.com/connect"
events_url = "http://127.0.0.1:8080/events"
events = ["message"]
"""


def settings(
    tmp_path: Any, text: str, environment: dict[str, str] | None = None
) -> tuple[Settings, list[str]]:
    path = tmp_path / "chat.toml"
    path.write_text(text, "utf-8")
    read, faults = Settings.look(str(path), environment or {"CHAT_WEBHOOK_SECRETS": f"k1:{SECRET}"})
    return read, [f"{fault.section}: {fault.text}" for fault in find_faults(read, faults)]


def test_a_file_with_webhooks_needs_no_login(tmp_path: Any) -> None:
    read, faults = settings(tmp_path, FILE)
    assert faults == []
    printed = as_toml(read)
    assert SECRET not in printed + repr(read)
    assert 'secrets = "***"' in printed and "\nevents_queue = 10000\n" in printed
    [finding] = check_public(read)
    assert finding.detail == ("[webhooks] connect_url: without TLS (https://) others can read the traffic")


def test_the_check_connects_to_the_back_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_WEBHOOK_SECRETS", f"k1:{SECRET}")
    path = tmp_path / "chat.toml"

    def check(*addresses: str) -> list[tuple[str, str]]:
        """The verdicts about a back end with these addresses, in the order of the hooks."""
        names = ("connect_url", "message_url", "events_url")
        lines = (f'{name} = "{address}"' for name, address in zip(names, addresses, strict=False))
        path.write_text("[webhooks]\n" + "\n".join(lines), "utf-8")
        result = invoke("check", "--config", str(path), "--json")
        assert result.exit_code == 0
        found = [item for item in json.loads(result.stdout)["checks"] if item["check"] == "webhooks"]
        return [(item["verdict"], item["detail"]) for item in found]

    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        [(verdict, detail)] = check(f"http://{place}/a?key=x", f"http://{place}/b")
        assert verdict == "ok" and re.fullmatch(rf"{place}, \d+ ms", detail)
    [(verdict, detail)] = check(f"http://{place}/a")
    assert verdict == "warning" and detail.startswith(f"{place} cannot be reached: ")
    with serving_tls() as place:
        [(verdict, detail)] = check(f"https://{place}/a")
        assert verdict == "warning" and "CERTIFICATE_VERIFY_FAILED" in detail


@contextmanager
def serving_tls() -> Iterator[str]:
    """The address of a server whose certificate is not trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with Certificates() as files, socket.create_server(("127.0.0.1", 0)) as server:
        context.load_cert_chain(files.certificate, files.key)

        def answer() -> None:
            connection, _ = server.accept()
            with suppress(OSError), connection, context.wrap_socket(connection, server_side=True):
                """The client ends it."""

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[webhooks]\nconect_url = 1", "webhooks: unknown key in [webhooks] conect_url; did you mean"),
        (
            "[webhooks]\nevents_url = 'x'\n[login]\ntype = 'name'",
            "webhooks: webhook_options events_url: expected",
        ),
        ("[webhooks]\nevents_url = 'http://x'", "login: configure how users log in"),
        (
            FILE + "connect_on_failure = 'allow'",
            'webhook_options connect_on_failure: "allow" needs an on_connect',
        ),
        (
            "[webhooks]\nrefresh_url='http://x'\nrefresh_on_failure='allow'\n[login]\ntype='name'",
            'webhook_options refresh_on_failure: "allow" needs an on_refresh',
        ),
        ("[service]\nwebhook_options = 1", "[service] has no webhook: it has the section [webhooks]"),
        (FILE + "connect_timeout = 10", "connect_timeout (10 s) must be less than login_timeout (10 s)"),
    ],
)
def test_faults_of_a_file(tmp_path: Any, text: str, fault: str) -> None:
    _, faults = settings(tmp_path, text)
    assert any(fault in each for each in faults), faults
