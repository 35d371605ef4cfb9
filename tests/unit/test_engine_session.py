"""The life of an Engine.IO session, without an event loop: polls, upgrades, closing and limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chat_service.transports.network.lines import PACKET_OVERHEAD, Waiting
from chat_service.transports.socketio.engine.session import (
    NOOP,
    POLL_PACKETS,
    PROBE,
    UPGRADE,
    Kind,
    Poll,
    ProbeStep,
    Session,
    Stage,
    kind_of,
)


def put(session: Session, packet: str) -> None:
    assert session.waiting is not None
    session.waiting.put(packet)


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        ("4", Kind.MESSAGE),
        ("4hello", Kind.MESSAGE),
        (b"", Kind.MESSAGE),
        ("3", Kind.PONG),
        ("3late", Kind.PONG),
        ("1", Kind.CLOSE),
        *((text, Kind.BAD) for text in ("", "0{}", "2", "2probe", "5", "6", "7", "x", "٤")),
    ],
)
def test_kinds_of_packets(packet: str | bytes, kind: Kind) -> None:
    assert kind_of(packet) is kind


def test_a_poll_gets_the_backlog_in_order_and_in_parts() -> None:
    session = Session(1_000_000)
    packets = [f"4{number}" for number in range(POLL_PACKETS + 3)]
    for packet in packets:
        put(session, packet)
    assert session.poll() == packets[:POLL_PACKETS]
    assert session.poll() == packets[POLL_PACKETS:]
    assert session.waiting is not None and session.waiting.bytes == 0
    assert session.poll() is Poll.WAIT and session.is_polled
    assert session.answer() == []
    put(session, "4late")
    assert session.answer() == ["4late"] and not session.is_polled


def test_a_second_poll_and_an_abandoned_one() -> None:
    session = Session(1000)
    assert session.poll() is Poll.WAIT
    assert session.poll() is Poll.SECOND
    session.leave_poll()
    assert session.poll() is Poll.WAIT


def test_a_poll_that_waits_ends_with_the_session() -> None:
    session = Session(1000)
    assert session.poll() is Poll.WAIT
    put(session, "4last")
    assert session.close() == ["4last", NOOP]
    assert session.poll() is Poll.REFUSE
    assert session.close() == []


def test_a_session_without_a_poll_closes_silently() -> None:
    session = Session(1000)
    put(session, "4last")
    assert session.close() == [] and session.waiting is None


def test_an_upgrade() -> None:
    session = Session(1000)
    assert session.poll() is Poll.WAIT
    assert session.admit()
    assert session.probe(PROBE) is ProbeStep.ANSWER
    # This poll ends immediately; the next one does not.
    assert session.answer() == [NOOP]
    assert session.poll() is Poll.WAIT
    put(session, "4waits")
    assert session.probe(UPGRADE) is ProbeStep.UPGRADE
    assert session.stage is Stage.WEBSOCKET and session.take_over() == ["4waits"]
    assert session.poll() is Poll.REFUSE
    assert not session.admit()


def test_a_poll_after_the_probe_ends_at_once() -> None:
    session = Session(1000)
    session.admit()
    session.remind()
    session.probe(PROBE)
    assert session.poll() == [NOOP]
    assert session.poll() is Poll.WAIT
    session.remind()
    assert session.answer() == [NOOP]
    session.probe(UPGRADE)
    session.remind()
    assert session.answer() == []


@pytest.mark.parametrize("first", ["", "2", "3probe", "2other", "5", "4x", b"2probe"])
def test_an_invalid_probe(first: str | bytes) -> None:
    session = Session(1000)
    session.admit()
    assert session.probe(first) is ProbeStep.FAIL
    assert session.stage is Stage.POLLING and session.poll() is Poll.WAIT
    assert session.admit()


@pytest.mark.parametrize("second", ["", "5x", PROBE, "4x", "1", b"5"])
def test_a_probe_without_a_confirmation(second: str | bytes) -> None:
    session = Session(1000)
    session.admit()
    session.probe(PROBE)
    assert session.probe(second) is ProbeStep.FAIL
    assert session.stage is Stage.POLLING
    assert session.poll() is Poll.WAIT


def test_only_one_websocket_may_request_an_upgrade() -> None:
    session = Session(1000)
    session.admit()
    assert not session.admit()
    session.end_probe()
    assert session.admit()


def test_the_limit() -> None:
    waiting = Waiting(1000)
    # A single packet may be larger.
    waiting.put("x" * 5000)
    assert waiting.is_full and not waiting.is_over_limit
    waiting.put("x")
    assert waiting.is_over_limit
    waiting.drop()
    assert not waiting.is_full and len(waiting) == 0
    # Requested answers do not make a client slow, but it cannot request more.
    for _ in range(10):
        waiting.put("x" * 900, is_answer=True)
    assert waiting.is_full and not waiting.is_over_limit
    waiting.put("x" * 800)
    assert not waiting.is_over_limit
    waiting.put("x" * 800)
    assert waiting.is_over_limit
    # Until most of the backlog is read.
    waiting.take(10)
    assert waiting.is_full and waiting.is_over_limit
    waiting.take(1)
    assert waiting.is_full
    waiting.take(1)
    assert not waiting.is_full
    waiting.put("x" * 800)
    assert not waiting.is_full


@given(st.lists(st.text(max_size=20) | st.binary(max_size=20), max_size=40), st.integers(1, 7))
def test_nothing_is_lost_or_counted_wrong(packets: list[str | bytes], most: int) -> None:
    waiting = Waiting(100)
    for packet in packets:
        waiting.put(packet)
    assert waiting.bytes == sum(PACKET_OVERHEAD + len(packet) for packet in packets)
    found: list[str | bytes] = []
    while part := waiting.take(most):
        found += part
    assert found == packets and waiting.bytes == 0


class Life(RuleBasedStateMachine):
    """With arbitrary actions of a client, packets arrive once and in order, and no poll is left waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(1_000_000)
        self.sent = 0
        self.got: list[str | bytes] = []
        self.polls = 0

    def deliver(self, packets: list[str | bytes]) -> None:
        self.got += [packet for packet in packets if packet != NOOP]

    @precondition(lambda self: self.session.stage is not Stage.CLOSED)
    @rule()
    def send(self) -> None:
        session = self.session
        packet = f"4{self.sent}"
        self.sent += 1
        if session.waiting is None:
            self.deliver([packet])
            return
        session.waiting.put(packet)
        if session.is_polled:
            self.deliver(session.answer())
            self.polls -= 1

    @rule()
    def poll(self) -> None:
        answer = self.session.poll()
        if answer is Poll.WAIT:
            self.polls += 1
        elif isinstance(answer, list):
            assert answer
            self.deliver(answer)
        elif answer is Poll.SECOND:
            assert self.polls == 1
            self.session.leave_poll()
            self.polls -= 1

    @rule()
    def open_websocket(self) -> None:
        before = self.session.stage
        assert self.session.admit() == (before is Stage.POLLING)

    @precondition(lambda self: self.session.stage in (Stage.OPENED, Stage.PROBED))
    @rule(packet=st.sampled_from([PROBE, UPGRADE, PROBE, UPGRADE, "4x", ""]))
    def probe(self, packet: str) -> None:
        session = self.session
        match session.probe(packet):
            case ProbeStep.ANSWER:
                if session.is_polled and (packets := session.answer()):
                    self.deliver(packets)
                    self.polls -= 1
                assert not session.is_polled
            case ProbeStep.UPGRADE:
                if session.is_polled:
                    session.leave_poll()
                    self.polls -= 1
                self.deliver(session.take_over())
            case ProbeStep.FAIL:
                assert session.stage is Stage.POLLING

    @precondition(lambda self: self.session.stage in (Stage.OPENED, Stage.PROBED))
    @rule()
    def lose_probe(self) -> None:
        self.session.end_probe()
        assert self.session.stage is Stage.POLLING

    @precondition(lambda self: self.session.stage is not Stage.CLOSED and self.sent > 5)
    @rule()
    def close(self) -> None:
        packets = self.session.close()
        assert bool(packets) == (self.polls == 1)
        self.deliver(packets)
        self.polls = 0

    @invariant()
    def packets_arrive_in_order(self) -> None:
        assert self.got == [f"4{number}" for number in range(len(self.got))]
        assert self.polls == self.session.is_polled
        if self.session.stage is Stage.WEBSOCKET:
            assert len(self.got) == self.sent and self.session.waiting is None


TestLife = Life.TestCase
