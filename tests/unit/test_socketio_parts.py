"""The parts of the Socket.IO transport that need no network: frames, writes, timers, requests, JSON."""

import asyncio
import json
from typing import Any

import orjson
import pytest

from chat_service.concurrency.deadlines import Deadlines
from chat_service.protocol.encoded import EncodedMessages
from chat_service.testing import wait_until
from chat_service.transports.socketio import frames
from chat_service.transports.socketio.connection import WebSocketConnection
from chat_service.transports.socketio.encoding import Encoder
from chat_service.transports.socketio.events import EventReader
from chat_service.transports.socketio.frames import text_frame
from chat_service.transports.socketio.front import read_opening
from chat_service.transports.socketio.outbox import Outbox
from chat_service.transports.socketio.packets import NotPlainJson, encode_json, packet_class


class FakeTransport(asyncio.Transport):
    def __init__(self, unsent: int = 0) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.unsent = unsent
        self.end = ""

    def write(self, data: Any) -> None:
        if self.end:
            raise RuntimeError("closed")
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        self.end = "close"

    def abort(self) -> None:
        self.end = "abort"


class Receiver:
    """Writes down what comes."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[Any] = []
        self._error = error

    def take_text(self, text: str) -> None:
        self.calls.append(text)
        if self._error is not None:
            raise self._error

    def take_binary(self, data: bytes) -> None:
        self.calls.append(data)

    def full(self) -> None:
        self.calls.append("full")

    def drained(self) -> None:
        self.calls.append("drained")

    def slow(self, unsent: int) -> None:
        self.calls.append(("slow", unsent))

    def lost(self) -> None:
        self.calls.append("lost")


def connect(
    outbox: Outbox, *, limit: int = 1000, error: Exception | None = None
) -> tuple[WebSocketConnection, FakeTransport, Receiver]:
    transport, receiver = FakeTransport(), Receiver(error)
    connection = WebSocketConnection(
        transport, receiver, outbox, max_message_size=100_000, send_buffer_limit=limit
    )
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


# Frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_frames_of_all_sizes(size: int) -> None:
    text = "x" * size
    data = frames.text_frame(text.encode()) + frames.binary_frame(text.encode())
    assert parsed(data) == [text, text.encode()]


def test_control_frames() -> None:
    assert frames.close_frame(1000) == b"\x88\x02\x03\xe8"
    assert frames.pong_frame(b"abc") == b"\x8a\x03abc"


# Joined writes


async def test_frames_of_a_turn_leave_in_one_write_each() -> None:
    outbox = Outbox()
    (one, first, _), (two, second, _) = connect(outbox), connect(outbox)
    for number in range(3):
        one.send(str(number))
        outbox.put_all([one, two], frames.text_frame(f"all {number}".encode()))
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


async def test_a_connection_that_cannot_be_written_costs_the_others_nothing() -> None:
    outbox = Outbox()
    (broken, transport, _), (whole, other, _) = connect(outbox), connect(outbox)
    transport.end = "broken"
    outbox.put_all([broken, whole], frames.text_frame(b"x"))
    await asyncio.sleep(0)
    assert transport.end == "abort" and len(other.writes) == 1


# Limits of what is unsent


async def test_limit_of_unsent_bytes() -> None:
    outbox = Outbox()
    connection, transport, receiver = connect(outbox, limit=1000)
    # A packet that is larger by itself passes when nothing else waits,
    connection.send("x" * 5000)
    outbox.flush()
    assert len(transport.writes) == 1
    transport.unsent = 5004
    connection.pause_writing()
    assert not transport.end
    # and the limit is that of what comes after it.
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
        connection.answer(text_frame(b"x" * 2000))
        outbox.flush()
        transport.unsent += 2004
        connection.pause_writing()
    assert set(receiver.calls) == {"full"} and connection.is_full
    connection.send("y" * 990)
    outbox.flush()
    assert len(transport.writes) == 4
    transport.unsent += 994
    # Its own limit is full, too.
    connection.send("y" * 10)
    outbox.flush()
    assert transport.end == "abort"


async def test_what_was_drained_is_told() -> None:
    outbox = Outbox()
    connection, transport, receiver = connect(outbox, limit=1000)
    connection.answer(text_frame(b"x" * 2000))
    outbox.flush()
    transport.unsent = 2004
    connection.pause_writing()
    assert connection.drained_bytes == 0
    connection.send("y")
    outbox.flush()
    transport.unsent = 1007
    assert connection.drained_bytes == 1000
    transport.unsent = 0
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
    from tests.e2e.stopped import masked_frame

    connection, transport, receiver = connect(Outbox(), error=RuntimeError("broken"))
    connection.data_received(masked_frame("a") + masked_frame("b"))
    assert transport.end == "abort" and receiver.calls == ["a"]
    assert "broken" in caplog.text
    caplog.clear()


async def test_a_close_sends_what_waits_and_waits_for_the_client() -> None:
    connection, transport, receiver = connect(Outbox())
    connection.send("last")
    connection.close()
    connection.close()
    connection.send("too late")
    await asyncio.sleep(0)
    assert transport.writes == [frames.text_frame(b"last") + frames.close_frame(1000)]
    waiting = asyncio.create_task(connection.wait_closed())
    connection.data_received(b"\x88\x82mask" + bytes(a ^ b for a, b in zip(b"\x03\xe8", b"ma", strict=True)))
    assert transport.end == "close" and len(transport.writes) == 1
    connection.connection_lost(None)
    await waiting
    assert receiver.calls == ["lost"]


# Timers


async def test_deadlines_come_in_order_and_can_be_discarded_or_begun_anew() -> None:
    due: list[str] = []
    deadlines: Deadlines[str] = Deadlines(0.05, due.append)
    begun = asyncio.get_running_loop().time()
    for name in "abc":
        deadlines.add(name)
    deadlines.discard("b")
    deadlines.discard("nobody")
    await asyncio.sleep(0.02)
    deadlines.add("a")
    await wait_until(lambda: len(due) == 2, "both")
    assert due == ["c", "a"] and len(deadlines) == 0
    assert asyncio.get_running_loop().time() - begun >= 0.069
    deadlines.add("d")
    deadlines.close()
    await asyncio.sleep(0.06)
    assert due == ["c", "a"] and deadlines.items() == []


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


def request(target: str = "/socket.io/?EIO=4&transport=websocket", **changes: str | None) -> bytes:
    headers = {**HEAD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode()


def test_a_request_for_a_websocket_is_read() -> None:
    data = request("/socket.io/?EIO=4&transport=websocket&userName=a%26b+c&empty=&EIO=5", X_Any="  a:b ")
    found = read_opening(data + b"rest", "/socket.io/")
    assert found is not None
    opening, rest = found
    assert rest == b"rest"
    assert opening.query == {"EIO": "4", "transport": "websocket", "userName": "a&b c", "empty": ""}
    assert opening.headers["x-any"] == "a:b"
    # The example of RFC 6455.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in opening.accept()
    environ = opening.environ()
    assert environ["HTTP_X_ANY"] == "a:b" and environ["QUERY_STRING"] == opening.query_string


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n",
        request().replace(b"GET", b"POST", 1),
        request().replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        request().replace(b"Host: x", b"Host: x\r\n folded", 1),
        request().replace(b"Host:", b"Host :", 1),
        request("/other/?EIO=4&transport=websocket"),
        request("/socket.io?EIO=4&transport=websocket"),
        request("/socket.io/?EIO=3&transport=websocket"),
        request("/socket.io/?EIO=4&transport=polling"),
        request("/socket.io/?EIO=4&transport=websocket&sid=x"),
        request("/socket.io/?EIO=4&transport=websocket&j=0"),
        request(Upgrade=None),
        request(Upgrade="h2c"),
        request(Connection="close"),
        request(Host=None),
        request(Content_Length="5"),
        request(Transfer_Encoding="chunked"),
        request(Sec_WebSocket_Version="8"),
        request(Sec_WebSocket_Protocol="chat"),
        request(Sec_WebSocket_Key=None),
        request(Sec_WebSocket_Key="AAAA"),
        request(Sec_WebSocket_Key="!"),
        request(X_Any="ü"),
        request(X_Any="a\x00b"),
        request(X_Any="x" * 9000),
        request(**{"Bad name": "x"}),
    ],
    ids=range(27),
)
def test_everything_else_is_left_to_the_http_server(data: bytes) -> None:
    assert read_opening(data, "/socket.io/") is None


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
def test_values_are_what_the_standard_library_makes_of_them(value: Any) -> None:
    assert json.loads(encode_json([value])) == json.loads(json.dumps([value]))


@pytest.mark.parametrize("value", [b"x", bytearray(b"x"), "\ud800", {1: 2}, 2**64, {"a": [b""]}, object()])
def test_what_is_no_plain_json_is_left_to_the_packets_of_the_library(value: Any) -> None:
    with pytest.raises(NotPlainJson):
        encode_json(["event", value])


def test_what_the_library_has_to_encode_is_as_before() -> None:
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
    assert [item.encode() for item in event.packets()] == [f'42{name}["e",1,"ü"]']
    # They are shared by all queues.
    assert event.packets() is event.packets()
    long = make.ack(12, (None, "x" * 70_000))
    assert [item.encode() for item in long.packets()] == parsed(long.frame)
    assert parsed(long.frame)[0].startswith(f'43{name}12[null,"x')


def test_binary_packets_are_not_shared() -> None:
    event = encoder().event("e", [b"x"])
    first, second = event.packets(), event.packets()
    assert [item.encode() for item in first][1] == b"x"
    assert first[1] is not second[1]
    assert encoder("msgpack").event("e", [1]).frame[0] == 0x82


def test_messages_that_are_json_already_are_written_as_they_are() -> None:
    messages = EncodedMessages([b'{"id":2}', b'{"id":1}'])
    assert parsed(encoder().ack(1, (None, messages)).frame) == [
        f'43{NAMESPACE},1[null,[{{"id":2}},{{"id":1}}]]'
    ]
    assert orjson.loads(encode_json([messages])) == [[{"id": 2}, {"id": 1}]]


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


def test_other_namespaces_are_no_events_of_the_root() -> None:
    assert read('42/other,["a"]', "/") is None
