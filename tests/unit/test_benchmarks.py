"""Traffic and calculations of the benchmarks. The measuring itself is tested by running them."""

import json
import struct
from collections.abc import Generator
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from benchmarks import workloads
from benchmarks.capacity import Costs, measured_costs
from benchmarks.framing import CENTRIFUGE, SOCKETIO_2, SOCKETIO_4, text_frame
from benchmarks.plan import encode, joined_client
from benchmarks.profile import sampled
from benchmarks.report import number, report, spread, table
from benchmarks.runner import Results, rounds, turned
from benchmarks.servers import ALL, NPM, SERVICE
from benchmarks.stats import Measurement, Spread, as_json, from_json, ratio, summarize
from benchmarks.targets import compare


def decoded(frame: bytes) -> str:
    """Decode the text in a client's frame by an independent implementation."""
    reader = StreamReader()
    reader.feed_data(frame)
    reader.feed_eof()
    found = outcome(Frame.parse(reader.read_exact, mask=True))
    assert (found.opcode, found.fin) == (Opcode.TEXT, True)
    assert outcome(reader.at_eof()), "more than one frame"
    return found.data.decode()


def outcome(parsing: Generator[None, None, Any]) -> Any:
    """Run a parser that already has all of its input."""
    try:
        next(parsing)
    except StopIteration as done:
        return done.value
    raise AssertionError("the frame is not complete")


@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 65_535, 65_536])
def test_text_frames_with_all_length_encodings(size: int) -> None:
    text = "ö".ljust(size, "x")[:size] if size > 1 else "x" * size
    assert decoded(text_frame(text)) == text


def test_frames_are_masked() -> None:
    assert b"hello" not in text_frame("hello")


@pytest.mark.parametrize("dialect", [SOCKETIO_2, SOCKETIO_4])
def test_requests_and_acks_match(dialect) -> None:
    packet = decoded(dialect.request("roomJoin", 'room "1"'))
    assert packet == '42/chat-service,1["roomJoin","room \\"1\\""]'
    assert b"43/chat-service,1[null,1]".startswith(dialect.ack_prefix)
    assert not b'43/chat-service,1["ChatServiceError: ...'.startswith(dialect.ack_prefix)


def test_centrifuge_has_its_own_commands() -> None:
    publish = json.loads(decoded(CENTRIFUGE.request("roomMessage", "room", {"textMessage": "hi"})))
    assert publish == {"id": 1, "publish": {"channel": "room", "data": {"textMessage": "hi"}}}
    assert json.loads(decoded(CENTRIFUGE.join("room").send)) == {"id": 1, "subscribe": {"channel": "room"}}
    assert not b'{"id":1,"error":{"code":103}}'.startswith(CENTRIFUGE.ack_prefix)


def test_dialects_differ_in_the_handshake() -> None:
    for dialect, version, opened, connect in (
        (SOCKETIO_2, "EIO=3", b"40", "40/chat-service"),
        (SOCKETIO_4, "EIO=4", b"0{", "40/chat-service,"),
    ):
        request = dialect.handshake(80, "user ü").send.decode()
        assert f"GET /socket.io/?{version}&transport=websocket&userName=user%20%C3%BC HTTP/1.1\r\n" in request
        assert request.endswith("\r\n\r\n")
        wait, login = dialect.login()
        assert (wait.send, wait.expect) == (b"", opened)
        assert decoded(login.send) == connect
        assert login.expect == b'42/chat-service,["loginConfirmed"'


def test_plan_round_trip() -> None:
    client = joined_client(SOCKETIO_4, 4321, 7, "room0", [("roomRecentHistory", "room0")])
    plan = encode(SOCKETIO_4, [client, client])
    position = 0

    def take(form: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from(form, plan, position)
        position += struct.calcsize(form)
        return value

    def blob() -> bytes:
        nonlocal position
        size = take("<I")
        position += size
        return plan[position - size : position]

    assert [blob(), blob(), blob()] == [SOCKETIO_4.ack_prefix, SOCKETIO_4.delivery_prefix, b"2"]
    assert decoded(blob()) == "3"
    assert take("<I") == 2
    for _ in range(2):
        port, steps, requests = take("<H"), take("<H"), take("<H")
        assert (port, steps, requests) == (4321, 4, 2)
        assert [(blob(), blob()) for _ in range(steps)] == [(s.send, s.expect) for s in client.steps]
        message, recent = (json.loads(decoded(blob()).partition(",1")[2]) for _ in range(requests))
        assert (message[:2], len(message[2]["textMessage"])) == (["roomMessage", "room0"], 64)
        assert recent == ["roomRecentHistory", "room0"]
    assert position == len(plan)


def of(workload: str, server: str, cpu_us: float, **others) -> Measurement:
    return Measurement(workload=workload, server=server, operations=1, cpu_us=cpu_us, **others)


def test_spread_with_odd_and_even_counts() -> None:
    assert Spread.of([3.0, 1.0, 9.0]) == Spread(median=3.0, min=1.0, max=9.0, rounds=3)
    assert Spread.of([1.0, 4.0]).median == 2.5
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])


def test_summaries_separate_servers_metrics_and_points() -> None:
    found = summarize(
        [
            of("command", "service", 10.0),
            of("command", "npm", 40.0, p99_ms=5.0),
            of("command", "service", 30.0),
            of("by-rooms", "service", 7.0, x=10),
            of("by-rooms", "service", 8.0, x=100),
        ]
    )
    assert found["command", "service", None] == {"cpu_us": Spread(median=20.0, min=10.0, max=30.0, rounds=2)}
    assert set(found["command", "npm", None]) == {"cpu_us", "p99_ms"}
    assert found["by-rooms", "service", 100]["cpu_us"].median == 8.0
    assert from_json(json.loads(json.dumps(as_json(found)))) == found


def test_ratio_needs_both_sides() -> None:
    ours, theirs = {"cpu_us": Spread.of([10.0])}, {"cpu_us": Spread.of([40.0]), "p99_ms": Spread.of([1.0])}
    assert ratio(ours, theirs, "cpu_us") == 0.25
    assert ratio(ours, theirs, "p99_ms") is None
    assert ratio(ours, {"cpu_us": Spread.of([0.0])}, "cpu_us") is None


def test_comparisons_use_the_npm_package_on_the_same_store() -> None:
    found = summarize(
        [
            of("command", "service", 40.0, p99_ms=6.0),
            of("command", "npm", 100.0, p99_ms=10.0),
            of("command", "npm-redis", 1.0),
            of("command", "socket.io", 1.0),
            of("fanout-16", "service", 1.0),
            of("fanout-16", "npm", 2.0),
            of("by-rooms", "service", 1.0, x=1),
            of("by-rooms", "npm", 1.0, x=1),
        ]
    )
    rows = [(c.workload, c.metric, c.ratio, c.limit, c.met) for c in compare(found)]
    assert rows == [
        ("command", "cpu_us", 0.4, 0.4, True),
        ("command", "p99_ms", 0.6, 0.5, False),
        ("fanout-16", "cpu_us", 0.5, None, None),
    ]


def test_stopped_readers_are_compared_with_own_fan_out() -> None:
    found = summarize([of("fanout-all-read", "service", 2.0), of("fanout-10-stopped", "service", 2.1)])
    rows = [(c.workload, c.metric, round(c.ratio, 2), c.limit, c.met) for c in compare(found)]
    assert rows == [("fanout-10-stopped", "cpu_us", 1.05, 1.1, True)]


def test_capacity_calculation() -> None:
    costs = Costs(command=100.0, hop=50.0, delivery=10.0, redis=20.0)
    assert costs.instances_us(members=10, spread=1) == 190
    assert costs.instances_us(members=10, spread=4) == 100 + 3 * 50 + 6 * 10
    # With more instances than members, only instances with members count.
    assert costs.messages_per_second(10, 16) == pytest.approx(16e6 / (100 + 9 * 50))
    assert costs.redis_nodes(100_000) == pytest.approx(2)
    assert measured_costs({}) is None


def test_tables() -> None:
    assert table(("a", "b"), [("x", "10"), ("long", "2")]).splitlines() == [
        "| a    |  b |",
        "| ---- | -: |",
        "| x    | 10 |",
        "| long |  2 |",
    ]
    assert [number(value) for value in (0.123, 12.34, 1234.5)] == ["0.12", "12.3", "1,234"]
    assert spread(None) == ""
    assert spread(Spread.of([5.0])) == "5.00"
    assert spread(Spread.of([5.0, 6.0, 20.0])) == "6.00 (5.00–20.0)"


def test_report_shows_workloads_curves_and_targets() -> None:
    found = summarize(
        [
            of("command", "service", 40.0),
            of("command", "npm", 100.0),
            of("join", "service", 60.0),
            of("join", "npm", 100.0),
            of("by-members", "service", 2.5, x=1_000),
        ]
    )
    lines = report(found, {"CPU": "fast"}, 5).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert ["command", "chat_service, memory", "0.40 / 0.40 ✓", "", "", ""] in cells
    assert ["join", "chat_service, memory", "0.60 / 0.22 ✗", "", "", ""] in cells
    assert ["server", "1,000"] in cells
    assert ["chat_service, memory", "2.50"] in cells


def test_each_round_starts_with_another_server() -> None:
    servers = [SERVICE, NPM]
    assert [turned(servers, n) for n in range(3)] == [servers, [NPM, SERVICE], servers]


def test_failure_is_recorded_and_others_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(server, sizes):
        if server is NPM:
            raise RuntimeError("it ended")
        return [of("command", server.key, 1.0)]

    monkeypatch.setitem(workloads.ALL, "command", measure)
    results = Results()
    assert list(rounds([NPM, SERVICE], ["command"], workloads.QUICK, 2, results)) == [0, 1]
    assert [item.server for item in results.measurements] == ["service", "service"]
    assert results.failures[0] == "round 1/2: command on npm chat-service, memory: it ended"


def test_reference_servers_use_the_same_store() -> None:
    originals = {server.key: ALL[server.original] for server in ALL.values() if server.original}
    assert {key: original.redis == ALL[key].redis for key, original in originals.items()} == {
        "service": True,
        "service-redis": True,
    }


def test_samples_are_summed_by_function() -> None:
    stacks = ["run (a.py:1);step (b.py:5) 3", "run (a.py:2);step (b.py:9) 1", "run (a.py:2) 4"]
    assert sampled(stacks, 2).splitlines() == [
        "8 samples",
        "    own   total  function",
        "  50.0%   50.0%  step (b.py)",
        "  50.0%  100.0%  run (a.py)",
        "",
        "    own  file",
        "  50.0%  b.py",
        "  50.0%  a.py",
    ]
