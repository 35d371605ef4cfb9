"""Random bytes and packets against a real service; `make fuzz` sends them for as long as one likes."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from chat_service.transports.socketio.engine.hub import Hub
from chat_service.transports.socketio.namespace import ServiceNamespace
from tests.security.fuzz import attack, served
from tests.security.fuzz.attack import ATTACKS, Attack, Attacker, Batch, Bytes, OverWebSocket
from tests.security.fuzz.grammar import Command
from tests.security.fuzz.served import Served

#: Coverage and a busy machine take processor time, too; `make fuzz` judges by 50 ms.
LONGEST_TURN = 0.5

# Not measured: the tracer would be what takes the time.
pytestmark = pytest.mark.unmeasured


@pytest.fixture
def attacker() -> Iterator[Attacker]:
    with Served() as target, Attacker(target, longest_turn=LONGEST_TURN) as made:
        yield made


@settings(
    max_examples=25,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(example=ATTACKS)
def _attack(attacker: Attacker, example: Attack) -> None:
    attacker.run(example)


def test_no_bytes_and_packets_do_harm(attacker: Attacker) -> None:
    _attack(attacker)
    assert attacker.tally.examples == 25
    assert attacker.tally.answered > 10


# The judge


def over_websocket(*commands: str) -> OverWebSocket:
    items = [Command(name, ()) for name in commands]
    return OverWebSocket("json", True, [Batch(items)], b"", True, "frame")


def test_good_examples_are_good(attacker: Attacker) -> None:
    attacker.run(over_websocket("listOwnSockets", "noCommand", "directGetWhitelistMode"))
    attacker.run(Bytes("msgpack", [b"GET / HTTP/1.1\r\n", b"Host: x\r\n\r\n"]))
    assert attacker.tally.answered == 4


def test_a_loop_that_stands_still_is_found(attacker: Attacker, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*args: Any) -> None:
        end = time.thread_time() + 0.06
        while time.thread_time() < end:
            pass
        original(*args)

    original = ServiceNamespace.serve
    monkeypatch.setattr(ServiceNamespace, "serve", busy)
    attacker.longest_turn = 0.05
    with pytest.raises(AssertionError, match="the loop stood still"):
        attacker.run(over_websocket("listOwnSockets"))


def test_a_command_without_an_answer_is_found(attacker: Attacker, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(self: Any, connection: Any, event: str, *rest: Any) -> None:
        if event != "roomCreate":
            original(self, connection, event, *rest)

    original = ServiceNamespace.serve
    monkeypatch.setattr(ServiceNamespace, "serve", silent)
    monkeypatch.setattr(attack, "PATIENCE", 0.3)
    with pytest.raises(AssertionError, match=r"commands \[2\] of 2 were not answered"):
        attacker.run(over_websocket("roomCreate"))


def test_what_is_left_behind_is_found(attacker: Attacker, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Hub.forget
    kept: list[Any] = []

    def lazy(self: Hub, peer: Any) -> None:
        original(self, peer)
        self.sockets[peer.sid] = peer
        kept.append((self, peer))

    monkeypatch.setattr(Hub, "forget", lazy)
    monkeypatch.setattr(served, "PATIENCE", 0.3)
    with pytest.raises(AssertionError, match=r"left behind: json: Engine.IO sessions: 1 -> 2"):
        attacker.run(over_websocket("listOwnSockets"))
    for hub, peer in kept:
        hub.sockets.pop(peer.sid, None)


def test_an_error_in_the_log_is_found(attacker: Attacker, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, connection: Any, event: str, *rest: Any) -> None:
        if event == "roomCreate":
            raise RuntimeError("broken")
        original(self, connection, event, *rest)

    original = ServiceNamespace.serve
    monkeypatch.setattr(ServiceNamespace, "serve", broken)
    monkeypatch.setattr(attack, "PATIENCE", 0.3)
    with pytest.raises(AssertionError, match="logged as errors"):
        attacker.run(over_websocket("roomCreate"))
