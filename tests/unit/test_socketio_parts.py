"""The parts of the Socket.IO transport that need no network: frames, writes, timers, requests, JSON."""

import asyncio
import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.concurrency.deadlines import Deadlines
from chat_service.protocol.encoded import EncodedMessages
from chat_service.protocol.values import has_more_values
from chat_service.testing import wait_until
from chat_service.transports.network import framing
from chat_service.transports.network.asgi_carrier import AsgiLine
from chat_service.transports.network.lines import Outbox
from chat_service.transports.network.opening import Opening, read_head
from chat_service.transports.network.websocket import WebSocketConnection, make_compressed_frame
from chat_service.transports.socketio.encoding import Encoder, EventReader
from chat_service.transports.socketio.packets import (
    encoded_before,
    packet_class,
)
from tests.e2e.stopped import masked_frame


class FakeTransport(asyncio.Transport):
    def __init__(self, unsent: int = 0) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.unsent = unsent
        self.end = ""
        self.reads = True

    def write(self, data: Any) -> None:
        if self.end:
            raise RuntimeError("closed")
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return bool(self.end)

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True

    def close(self) -> None:
        self.end = "close"

    def abort(self) -> None:
        self.end = "abort"


class Receiver:
    """Records the calls that it receives."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[Any] = []
        self.is_blocked = False
        self._error = error

    def take(self, packet: str | bytes) -> None:
        self.calls.append(packet)
        if self._error is not None:
            raise self._error

    def full(self) -> None:
        self.calls.append("full")

    def drained(self) -> None:
        self.calls.append("drained")

    def slow(self, unsent: int) -> None:
        self.calls.append(("slow", unsent))

    def violated(self, why: str) -> None:
        self.calls.append(("violated", why))

    def lost(self) -> None:
        self.calls.append("lost")


def connect(
    outbox: Outbox, *, limit: int = 1000, error: Exception | None = None, **options: Any
) -> tuple[WebSocketConnection, FakeTransport, Receiver]:
    transport, receiver = FakeTransport(), Receiver(error)
    connection = WebSocketConnection(
        transport,
        outbox,
        b"head ",
        **{"max_message_size": 100_000, "send_buffer_limit": limit, "per_turn": 100, **options},
    )
    connection.receiver = receiver
    return connection, transport, receiver


def parsed(data: bytes) -> list[Any]:
    """Messages as a client reads them."""
    found: list[Any] = []

    class Queue:
        _size = _limit = 0
        _stalled_reader = None

        def feed_data(self, message: Any, size: int) -> None:
            found.append(message.data)

    from aiohttp._websocket.reader_py import WebSocketReader as Reader

    Reader(Queue(), 0, False, True).feed_data(data)  # type: ignore[arg-type]
    return found


# Joined writes


async def test_frames_of_a_turn_leave_in_one_write_each() -> None:
    outbox = Outbox()
    (one, first, _), (two, second, _) = connect(outbox), connect(outbox)
    for number in range(3):
        one.send(str(number))
        outbox.put_all([one, two], framing.text_frame(f"all {number}".encode()))
    assert first.writes == second.writes == []
    await asyncio.sleep(0)
    assert [parsed(data) for data in first.writes] == [["0", "all 0", "1", "all 1", "2", "all 2"]]
    assert [parsed(data) for data in second.writes] == [["all 0", "all 1", "all 2"]]
    one.send("later")
    await asyncio.sleep(0)
    assert parsed(first.writes[1]) == ["later"] and len(second.writes) == 1


async def test_much_is_written_before_the_end_of_the_turn() -> None:
    outbox = Outbox(1000)
    connection, transport, _ = connect(outbox, limit=10_000)
    for _ in range(3):
        connection.send("x" * 600)
    assert [len(data) for data in transport.writes] == [2 * 604]
    assert connection.unsent == 604
    await asyncio.sleep(0)
    assert len(transport.writes) == 2


async def test_a_broken_connection_does_not_affect_the_others() -> None:
    outbox = Outbox()
    (broken, transport, _), (whole, other, _) = connect(outbox), connect(outbox)
    transport.end = "broken"
    outbox.put_all([broken, whole], framing.text_frame(b"x"))
    await asyncio.sleep(0)
    assert transport.end == "abort" and len(other.writes) == 1


# Limits of unsent bytes


async def test_limit_of_unsent_bytes() -> None:
    outbox = Outbox()
    connection, transport, receiver = connect(outbox, limit=1000)
    # A larger packet passes if nothing else waits,
    connection.send("x" * 5000)
    outbox.flush()
    assert len(transport.writes) == 1
    transport.unsent = 5004
    connection.pause_writing()
    assert not transport.end
    # and the limit then applies to later packets.
    connection.send("y" * 990)
    outbox.flush()
    assert len(transport.writes) == 2 and receiver.calls == ["full"]
    transport.unsent += 994
    connection.send("y" * 10)
    outbox.flush()
    assert len(transport.writes) == 2
    assert receiver.calls == ["full", ("slow", 5004 + 994 + 12)]


async def test_answers_do_not_count_against_the_limit() -> None:
    outbox = Outbox()
    connection, transport, receiver = connect(outbox, limit=1000)
    for _ in range(3):
        connection.send("x" * 2000, is_answer=True)
        outbox.flush()
        transport.unsent += 2004
        connection.pause_writing()
    assert set(receiver.calls) == {"full"} and connection.is_full
    connection.send("y" * 990)
    outbox.flush()
    assert not transport.end
    transport.unsent += 994
    # Its own limit is full, too.
    connection.send("y" * 10)
    outbox.flush()
    assert connection.unsent and receiver.calls[-1][0] == "slow"


async def test_whether_something_was_drained() -> None:
    outbox = Outbox()
    connection, transport, receiver = connect(outbox, limit=1000)
    connection.send("x" * 2000, is_answer=True)
    outbox.flush()
    transport.unsent = 2004
    connection.pause_writing()
    assert not connection.has_drained()
    connection.send("y")
    outbox.flush()
    transport.unsent = 1007
    assert connection.has_drained() and not connection.has_drained()
    transport.unsent = 0
    assert connection.has_drained()
    connection.resume_writing()
    assert receiver.calls == ["full", "drained"] and not connection.is_full


async def test_a_connection_recovers_when_its_client_reads_again() -> None:
    outbox = Outbox()
    connection, transport, receiver = connect(outbox, limit=1000)
    connection.send("x" * 5000)
    outbox.flush()
    transport.unsent = 3000
    connection.pause_writing()
    transport.unsent = 0
    connection.resume_writing()
    connection.send("y")
    outbox.flush()
    assert len(transport.writes) == 2 and receiver.calls == ["full", "drained"]
    transport.unsent = 1001
    connection.pause_writing()
    assert transport.end == "abort" and receiver.calls[2:] == [("slow", 1001)]
    connection.pause_writing()
    connection.send("lost")
    outbox.flush()
    assert len(receiver.calls) == 3 and len(transport.writes) == 2
    connection.connection_lost(None)
    assert receiver.calls[3:] == ["lost"] and connection.unsent == 0
    assert "gone" in repr(connection)


async def test_an_error_of_the_receiver_cuts_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    connection, transport, receiver = connect(Outbox(), error=RuntimeError("broken"))
    connection.data_received(masked_frame("a") + masked_frame("b"))
    assert transport.end == "abort" and receiver.calls == ["a"]
    assert "broken" in caplog.text
    caplog.clear()


async def test_a_close_sends_the_backlog_and_waits_for_the_client() -> None:
    connection, transport, receiver = connect(Outbox())
    connection.send("last")
    connection.close()
    connection.close()
    connection.send("too late")
    await asyncio.sleep(0)
    assert transport.writes == [framing.text_frame(b"last") + framing.close_frame(1000)]
    waiting = asyncio.create_task(connection.wait_closed())
    connection.data_received(b"\x88\x82mask" + bytes(a ^ b for a, b in zip(b"\x03\xe8", b"ma", strict=True)))
    assert transport.end == "close" and len(transport.writes) == 1
    connection.connection_lost(None)
    await waiting
    assert receiver.calls == ["lost"]


async def test_the_first_packet_leaves_with_the_answer_to_the_request() -> None:
    connection, transport, _ = connect(Outbox())
    connection.begin("0{}")
    assert transport.writes == [b"head " + framing.text_frame(b"0{}")]


async def test_a_turn_of_the_loop_handles_a_limited_number_of_messages() -> None:
    connection, _, receiver = connect(Outbox(), per_turn=3)
    connection.data_received(b"".join(masked_frame(str(number)) for number in range(7)))
    assert receiver.calls == ["0", "1", "2"]
    # More may arrive in the meantime.
    connection.data_received(masked_frame("7"))
    assert len(receiver.calls) == 3
    await asyncio.sleep(0)
    assert len(receiver.calls) == 6
    await asyncio.sleep(0)
    assert receiver.calls == [str(number) for number in range(8)]


async def test_a_turn_of_the_loop_handles_a_limited_number_of_messages_over_asgi() -> None:
    """Even if the ASGI server has so many messages that receiving the next one never waits."""
    events: list[dict[str, Any]] = [{"type": "websocket.receive", "text": str(number)} for number in range(7)]
    events.append({"type": "websocket.disconnect"})

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(event: Any) -> None:
        assert event["type"] == "websocket.close"

    line, receiver = AsgiLine(receive, send, 1000, 1000), Receiver()
    line.receiver = receiver
    serving = asyncio.create_task(line.serve(None, 3))
    counts: list[int] = []
    while not serving.done():
        await asyncio.sleep(0)
        counts.append(len([call for call in receiver.calls if call != "lost"]))
    assert sorted({*counts} - {0}) == [3, 6, 7]
    assert receiver.calls == [*map(str, range(7)), "lost"]


async def test_nothing_is_read_while_the_receiver_is_blocked() -> None:
    connection, transport, receiver = connect(Outbox())
    receiver.is_blocked = True
    connection.data_received(masked_frame("a"))
    assert receiver.calls == [] and transport.reads
    for _ in range(70):
        connection.data_received(b"".join(masked_frame("x" * 100) for _ in range(10)))
    assert not transport.reads
    receiver.is_blocked = False
    connection.proceed()
    connection.proceed()
    assert receiver.calls == []
    while len(receiver.calls) < 701:
        await asyncio.sleep(0)
    assert receiver.calls[0] == "a" and transport.reads


async def test_pings_are_answered_and_broken_frames_end_the_connection() -> None:
    outbox = Outbox()
    connection, transport, receiver = connect(outbox)
    connection.data_received(b"\x89\x82\0\0\0\0hi" + masked_frame("a"))
    outbox.flush()
    assert transport.writes == [framing.pong_frame(b"hi")] and receiver.calls == ["a"]
    connection.data_received(b"\x81\x01x")
    assert transport.writes[1] == framing.close_frame(1002) and transport.end == ""
    assert receiver.calls == ["a", ("violated", "a frame without a mask")]
    # What it sends meanwhile is dropped; when nothing comes, the connection is closed.
    connection.data_received(masked_frame("b"))
    await wait_until(lambda: transport.end == "close", "the connection to be closed")
    assert len(receiver.calls) == 2
    connection.connection_lost(None)


async def test_compressed_messages() -> None:
    outbox = Outbox()
    connection, transport, _ = connect(outbox, limit=100_000, is_compressed=True)
    connection.send("x" * 5000)
    connection.send("short")
    connection.send(b"y" * 5000)
    outbox.flush()
    (data,) = transport.writes
    assert len(data) < 500
    assert data == b"".join([make_compressed_frame(packet) for packet in ("x" * 5000, "short", b"y" * 5000)])


# Timers


async def test_deadlines_come_in_order_and_can_be_discarded_or_restarted() -> None:
    loop = asyncio.get_running_loop()
    due: dict[str, float] = {}
    deadlines: Deadlines[str] = Deadlines(0.05, lambda name: due.update({name: loop.time()}))
    for name in "abc":
        deadlines.add(name)
    deadlines.discard("b")
    deadlines.discard("nobody")
    # Blocks the loop, too: nothing becomes due before "a" begins anew, however long this takes.
    time.sleep(0.02)
    begun = loop.time()
    deadlines.add("a")
    await wait_until(lambda: len(due) == 2, "both")
    assert list(due) == ["c", "a"] and len(deadlines) == 0
    assert due["a"] - begun >= 0.049
    deadlines.add("d")
    deadlines.close()
    await asyncio.sleep(0.06)
    assert list(due) == ["c", "a"] and deadlines.items() == []


async def test_exact_deadlines_are_not_late_for_the_sake_of_others() -> None:
    due: list[float] = []
    loop = asyncio.get_running_loop()
    deadlines: Deadlines[float] = Deadlines(0.2, lambda begun: due.append(loop.time() - begun), is_exact=True)
    for _ in range(3):
        deadlines.add(loop.time())
        await asyncio.sleep(0.004)
    await wait_until(lambda: len(due) == 3, "all")
    assert min(due) >= 0.198


async def test_a_deadline_may_discard_another_one_that_is_due() -> None:
    due: list[str] = []

    def on_due(name: str) -> None:
        due.append(name)
        deadlines.discard("b")
        if len(due) == 1:
            deadlines.add("again")

    deadlines: Deadlines[str] = Deadlines(0.01, on_due)
    deadlines.add("a")
    deadlines.add("b")
    await wait_until(lambda: len(due) == 2, "the second one")
    assert due == ["a", "again"]


# Requests

HEAD = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def head(target: str = "/socket.io/?EIO=4&transport=websocket", /, **changes: str | None) -> bytes:
    headers = {**HEAD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines]).encode("latin-1")


def read_request(**changes: str | None) -> Opening:
    opening = read_head(head(**changes))
    assert opening is not None
    return opening


def test_a_request_is_read() -> None:
    query = "EIO=4&transport=websocket&userName=a%26b+c&empty=&EIO=5"
    opening = read_head(head(f"/socket.io/?{query}", X_Any="  a:b "))
    assert opening is not None and opening.asks_for_websocket
    assert (opening.method, opening.path, opening.query_string) == ("GET", "/socket.io/", query)
    assert opening.query == {"EIO": "4", "transport": "websocket", "userName": "a&b c", "empty": ""}
    assert opening.headers["x-any"] == "a:b"
    # The example of RFC 6455.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in opening.accept()
    assert opening.accept(("X-More", "1")).endswith(b"\r\nX-More: 1\r\n\r\n")
    environ = opening.environ()
    assert environ["HTTP_X_ANY"] == "a:b" and environ["QUERY_STRING"] == opening.query_string


def test_headers_with_one_name_and_other_letters() -> None:
    data = head(X_Latin="\xfc", X_Utf="\xc3\xbc") + b"\r\nCookie: a=1\r\ncookie: b=2\r\nX-A: 1\r\nx-a: 2"
    opening = read_head(data)
    assert opening is not None
    assert opening.headers["cookie"] == "a=1; b=2" and opening.headers["x-a"] == "1,2"
    assert opening.headers["x-latin"] == opening.headers["x-utf"] == "ü"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /socket.io/",
        head().replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        head().replace(b"Host: x", b"Host: x\r\n folded", 1),
        head().replace(b"Host:", b"Host :", 1),
        head().replace(b"Host: x", b"Host", 1),
        head("/socket io/"),
        head(X_Any="a\x00b"),
        head(X_Any="a\x7fb"),
        head() + b"\r\nBad name: x",
    ],
    ids=range(10),
)
def test_everything_unclear_is_left_to_the_http_server(data: bytes) -> None:
    assert read_head(data) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Connection": "close"},
        {"Host": None},
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": "AAAA"},
        {"Sec_WebSocket_Key": "!"},
        {"Sec_WebSocket_Key": "dGhlIHN\u00b0\u008aBsZSBub25jZQ=="},
    ],
    ids=str,
)
def test_invalid_handshakes(changes: dict[str, str | None]) -> None:
    assert not read_request(**changes).asks_for_websocket
    assert read_request().asks_for_websocket


# JSON

NAMESPACE = "/chat-service"


def encoder(serializer: str = "json", namespace: str = NAMESPACE) -> Encoder:
    return Encoder(namespace, packet_class(serializer, 1000))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        1.5,
        1e300,
        5e-324,
        -0.0,
        2**53 + 1,
        2**63 - 1,
        -(2**63),
        "",
        'äöü\U0001f600\u2028\x00\x7f"\\/',
        [],
        {},
        {"": {"a": [1, [2, (3,)]]}},
        {"duplicate": 1, "Duplicate": 2},
        [["x" * 1000]] * 3,
    ],
    ids=str,
)
def test_values_are_encoded_like_the_standard_library(value: Any) -> None:
    assert json.loads(orjson.dumps([value], encoded_before)) == json.loads(json.dumps([value]))


@pytest.mark.parametrize("value", [b"x", bytearray(b"x"), "\ud800", {1: 2}, 2**64, {"a": [b""]}, object()])
def test_values_that_are_not_plain_json_are_left_to_the_library(value: Any) -> None:
    with pytest.raises(TypeError):
        orjson.dumps(["event", value], encoded_before)


def test_values_encoded_by_the_library_are_unchanged() -> None:
    make = encoder()
    (text,) = parsed(make.event("e", ["\ud800", {1: 2}, 2**64]).frame)
    assert text == f'42{NAMESPACE},["e","\\ud800",{{"1":2}},18446744073709551616]'
    assert parsed(make.event("e", [b"x", {"a": b"y"}]).frame) == [
        f'452-{NAMESPACE},["e",{{"_placeholder":true,"num":0}},{{"a":{{"_placeholder":true,"num":1}}}}]',
        b"x",
        b"y",
    ]
    assert parsed(make.ack(7, [None, b"x"]).frame)[0].startswith(f"461-{NAMESPACE},7[null,")
    with pytest.raises(TypeError):
        make.event("e", [object()])
    with pytest.raises(ValueError, match="JSON"):
        make.event("e", [float("nan"), b"x"])


@pytest.mark.parametrize("namespace", ["/", "/chat"])
def test_events_and_acks(namespace: str) -> None:
    make = encoder(namespace=namespace)
    name = "" if namespace == "/" else namespace + ","
    event = make.event("e", (1, "ü"))
    assert parsed(event.frame) == [f'42{name}["e",1,"ü"]']
    assert event.packets == [f'42{name}["e",1,"ü"]']
    # They are shared by all sessions.
    assert event.packets is event.packets
    long = make.ack(12, (None, "x" * 70_000))
    assert long.packets == parsed(long.frame)
    assert parsed(long.frame)[0].startswith(f'43{name}12[null,"x')


def test_binary_packets() -> None:
    event = encoder().event("e", [b"x", bytearray(b"y")])
    assert event.packets[1:] == [b"x", b"y"] and str(event.packets[0]).startswith("452-")
    assert encoder("msgpack").event("e", [1]).frame[0] == 0x82


def test_frames_for_clients_that_take_compressed_ones() -> None:
    event = encoder().event("e", ["x" * 5000])
    assert len(event.compressed_frame) < 200 and event.compressed_frame is event.compressed_frame
    short = encoder().event("e", ["x"])
    assert short.compressed_frame == short.frame


def test_messages_that_are_json_already_are_written_as_they_are() -> None:
    messages = EncodedMessages([b'{"id":2}', b'{"id":1}'])
    assert parsed(encoder().ack(1, (None, messages)).frame) == [
        f'43{NAMESPACE},1[null,[{{"id":2}},{{"id":1}}]]'
    ]
    assert orjson.loads(orjson.dumps([messages], encoded_before)) == [[{"id": 2}, {"id": 1}]]


# The number of values

NASTY = st.text(st.sampled_from(',[]{}:"\\ü'))
JSON = st.recursive(
    st.none() | st.integers(-9, 9) | NASTY,
    lambda inner: st.lists(inner) | st.dictionaries(NASTY, inner),
    max_leaves=30,
)


def weight(value: Any) -> int:
    """The values in a value, and one more for each that is empty."""
    if not isinstance(value, list | dict):
        return 1
    return 1 + (sum(map(weight, value.values() if isinstance(value, dict) else value)) or 1)


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_values_are_counted_without_decoding(value: Any, is_ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    found = weight(value)
    assert has_more_values(text, found - 1) or found == 1
    assert not has_more_values(text, found)
    assert not has_more_values(text, 10 * found)


# Events


def read(text: str, namespace: str = NAMESPACE) -> Any:
    return EventReader(namespace).read(text)


def test_plain_events_are_read() -> None:
    assert read(f'42{NAMESPACE},["a",1]') == (["a", 1], None)
    assert read(f'42{NAMESPACE},17["a",{{"b":"ü"}}]') == (["a", {"b": "ü"}], 17)
    assert read('42["a"]', "/") == (["a"], None)
    assert read('420["a"]', "/") == (["a"], 0)
    assert read(f'42{NAMESPACE},1["a",18446744073709551616,1e999]') == (["a", 2**64, float("inf")], 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "3",
        f"40{NAMESPACE},",
        f'43{NAMESPACE},1["a"]',
        f"42{NAMESPACE}",
        f"42{NAMESPACE},",
        f"42{NAMESPACE},[]",
        f'42{NAMESPACE},["a"',
        f'42{NAMESPACE},["a"] ',
        f'42{NAMESPACE},x["a"]',
        f'42{NAMESPACE},1-["a"]',
        f'42{NAMESPACE},²["a"]',
        f'42{NAMESPACE},{"1" * 16}["a"]',
        f"42{NAMESPACE},[1]",
        f'42{NAMESPACE},{{"a":["b"]}}',
        f'42{NAMESPACE},["a",NaN]',
        f'42{NAMESPACE},["a",{"[" * 100_000}',
        f'42{NAMESPACE},["a",{{"_placeholder":true,"num":0}}]',
        f'42{NAMESPACE},["a",{{"\\u005fplaceholder":true}}]',
        '42/other,["a"]',
        f'452-{NAMESPACE},["a"]',
    ],
)
def test_everything_unusual_is_left_to_the_library(text: str) -> None:
    assert read(text) is None


def test_events_of_other_namespaces_are_not_taken_for_the_root() -> None:
    assert read('42/other,["a"]', "/") is None
