"""WebSocket frames without a network: valid and invalid frames of clients, and the frames of a server."""

import os
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol
from websockets.protocol import State as ProtocolState

from chat_service.transports.network import framing
from chat_service.transports.network.framing import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameError,
    FrameReader,
    Message,
)


def frame(first: int, payload: bytes, *, mask: bytes = b"mask", size: bytes | None = None) -> bytes:
    """A client's frame, valid or not."""
    if size is None:
        length = len(payload)
        if length < 126:
            size = bytes((0x80 | length,))
        elif length < 65536:
            size = b"\xfe" + length.to_bytes(2, "big")
        else:
            size = b"\xff" + length.to_bytes(8, "big")
    return bytes((first,)) + size + mask + framing.unmask(payload, mask)


def read(data: bytes, *, step: int = 0, max_size: int = 100_000, compressed: bool = False) -> list[Message]:
    reader = FrameReader(max_size, framing.decompress if compressed else None)
    found: list[Message] = []
    for start in range(0, len(data), step or len(data)):
        reader.feed(data[start : start + (step or len(data))])
        while (message := reader.take()) is not None:
            found.append(message)
    assert reader.unread == 0
    return found


@given(
    st.lists(st.text(max_size=300) | st.binary(max_size=300), min_size=1, max_size=6),
    st.integers(0, 50),
    st.integers(1, 40),
)
def test_messages_come_whole_however_they_are_cut(
    messages: list[str | bytes], step: int, fragment: int
) -> None:
    data = b""
    for message in messages:
        payload, kind = (message.encode(), TEXT) if isinstance(message, str) else (message, BINARY)
        parts = [payload[at : at + fragment] for at in range(0, len(payload), fragment)] or [b""]
        for number, part in enumerate(parts):
            final = 0x80 if number == len(parts) - 1 else 0
            data += frame(final | (kind if number == 0 else 0), part, mask=os.urandom(4))
    expected = [(TEXT if isinstance(message, str) else BINARY, message) for message in messages]
    assert read(data, step=step) == expected


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("step", [0, 1000])
def test_messages_of_all_sizes(size: int, step: int) -> None:
    text = "x" * size
    assert read(frame(0x81, text.encode()) * 2, step=step) == [(TEXT, text)] * 2
    assert read(frame(0x82, text.encode()), step=step) == [(BINARY, text.encode())]


@given(st.binary(max_size=140), st.booleans())
def test_one_whole_text_is_read_at_once(payload: bytes, is_text: bool) -> None:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = None
    data = frame(0x81 if is_text else 0x82, payload)
    reader = FrameReader(130)
    if is_text and text is None and len(payload) <= 130:
        with pytest.raises(FrameError):
            reader.single(data)
        return
    expected = text if is_text and len(payload) <= 130 else None
    assert reader.single(data) == expected
    # Any other data must be fed.
    assert reader.single(data + b"\x81") is None and reader.single(data[:-1]) is None
    reader.feed(frame(0x89, b"")[:3])
    assert reader.single(data) is None


def test_a_text_behind_a_fragment_is_not_read_at_once() -> None:
    reader = FrameReader(1000)
    reader.feed(frame(0x01, b"a"))
    assert reader.take() is None
    assert reader.single(frame(0x81, b"b")) is None


def test_control_frames_may_come_between_fragments() -> None:
    data = frame(0x01, b"a") + frame(0x89, b"ping") + frame(0x00, b"b") + frame(0x8A, b"") + frame(0x80, b"c")
    assert read(data) == [(PING, b"ping"), (PONG, b""), (TEXT, "abc")]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", 1005),
        (b"\x03\xe8", 1000),
        (b"\x03\xe9bye", 1001),
        (b"\x0b\xb8", 3000),
        (b"\x13\x87", 4999),
        (b"\x03\xf6", 1014),
    ],
)
def test_closes(payload: bytes, code: int) -> None:
    assert read(frame(0x88, payload)) == [(CLOSE, code)]


BAD: dict[str, tuple[bytes, int]] = {
    "no mask": (b"\x81\x02hi", 1002),
    "reserved bit 2": (frame(0xA1, b""), 1002),
    "reserved bit 3": (frame(0x91, b""), 1002),
    "compressed without agreement": (frame(0xC1, b"x"), 1002),
    "unknown kind 3": (frame(0x83, b""), 1002),
    "unknown kind 15": (frame(0x8F, b""), 1002),
    "continuation of nothing": (frame(0x80, b"x"), 1002),
    "text inside a text": (frame(0x01, b"a") + frame(0x81, b"b"), 1002),
    "fragments of a ping": (frame(0x09, b""), 1002),
    "ping of 126 bytes": (frame(0x89, b"x" * 126), 1002),
    "ping of 126 bytes that is not there": (frame(0x89, b"x" * 126)[:20], 1002),
    "compressed ping": (frame(0xC9, b""), 1002),
    # At once, since the rest may never come.
    "reserved bit without the rest": (frame(0xA1, b"x" * 9)[:8], 1002),
    "unknown kind without the rest": (frame(0x8E, b"x" * 86)[:13], 1002),
    "fragment of a ping without the rest": (frame(0x09, b"x" * 9)[:8], 1002),
    "continuation of nothing without the rest": (frame(0x80, b"x" * 9)[:8], 1002),
    "text inside a text without the rest": (frame(0x01, b"a") + frame(0x81, b"b" * 9)[:8], 1002),
    "broken text": (frame(0x81, b"4\xff"), 1007),
    "surrogate": (frame(0x81, b"\xed\xa0\x80"), 1007),
    "text broken off": (frame(0x81, "ü".encode()[:1]), 1007),
    "broken text in fragments": (frame(0x01, b"\xc3") + frame(0x80, b"\xff"), 1007),
    "close of one byte": (frame(0x88, b"\x03"), 1002),
    "close with 999": (frame(0x88, b"\x03\xe7"), 1002),
    "close with 1005": (frame(0x88, b"\x03\xed"), 1002),
    "close with 1006": (frame(0x88, b"\x03\xee"), 1002),
    "close with 2000": (frame(0x88, b"\x07\xd0"), 1002),
    "close with 5000": (frame(0x88, b"\x13\x88"), 1002),
    "close with a broken reason": (frame(0x88, b"\x03\xe8\xff"), 1007),
    "too large": (frame(0x81, b"x" * 1001), 1009),
    "too large before it is there": (frame(0x81, b"x" * 1001)[:8], 1009),
    "too large by far": (frame(0x82, b"", size=b"\xff" + b"\xff" * 8), 1009),
    "too large in fragments": (frame(0x01, b"x" * 600) + frame(0x80, b"x" * 600), 1009),
}


@pytest.mark.parametrize(("data", "code"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("step", [0, 1])
def test_frames_that_clients_must_not_send(data: bytes, code: int, step: int) -> None:
    with pytest.raises(FrameError) as raised:
        read(data, step=step, max_size=1000)
    assert raised.value.code == code


@given(st.binary(max_size=300), st.integers(0, 20))
def test_garbage_is_read_or_refused(data: bytes, step: int) -> None:
    reader = FrameReader(100, framing.decompress)
    codes = []
    try:
        for start in range(0, len(data), step or len(data) or 1):
            reader.feed(data[start : start + (step or len(data))])
            while (message := reader.take()) is not None:
                assert message[0] in (TEXT, BINARY, CLOSE, PING, PONG)
    except FrameError as error:
        codes.append(error.code)
    assert not codes or codes[0] in (1002, 1007, 1009)


# Writing, read by another implementation


def as_client(data: bytes, *, compressed: bool = False) -> list[Frame]:
    extensions: Any = [PerMessageDeflate(True, True, 15, 15)] if compressed else []
    client = Protocol(CLIENT, state=ProtocolState.OPEN, max_size=None)
    client.extensions = extensions
    client.receive_data(data)
    return [event for event in client.events_received() if isinstance(event, Frame)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_frames_are_read_by_others(size: int) -> None:
    message = b"x" * size
    frames = as_client(framing.text_frame(message) + framing.binary_frame(message))
    assert [(item.opcode, bytes(item.data)) for item in frames] == [
        (Opcode.TEXT, message),
        (Opcode.BINARY, message),
    ]


def test_control_frames_are_read_by_others() -> None:
    (pong,) = as_client(framing.pong_frame(b"abc"))
    assert (pong.opcode, pong.data) == (Opcode.PONG, b"abc")
    assert framing.close_frame(1000) == b"\x88\x02\x03\xe8"


# Compression


@pytest.mark.parametrize("message", [b"", b"x", "ü".encode() * 5000, os.urandom(5000)], ids=len)
def test_compressed_messages_both_ways(message: bytes) -> None:
    data = framing.compressed_frame(TEXT, framing.compress(message))
    (found,) = as_client(data, compressed=True)
    assert bytes(found.data) == message
    encoder = PerMessageDeflate(True, True, 15, 15)
    made = encoder.encode(Frame(Opcode.BINARY, message))
    assert read(frame(0xC2, bytes(made.data)), compressed=True) == [(BINARY, message)]
    # Only the first fragment has the bit.
    payload = framing.compress(message)
    data = frame(0x42, payload[:3]) + frame(0x00, b"") + frame(0x80, payload[3:]) + frame(0x81, b"plain")
    assert read(data, compressed=True) == [(BINARY, message), (TEXT, "plain")]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\xff\xff\xff", 1007),
        (framing.compress(b"x" * 100_001), 1009),
        (framing.compress(b"4\xff"), 1007),
        (framing.compress(b"\x00" * 50_000_000), 1009),
    ],
    ids=["damaged", "too large", "no UTF-8", "bomb"],
)
def test_compressed_messages_that_are_refused(payload: bytes, code: int) -> None:
    with pytest.raises(FrameError) as raised:
        read(frame(0xC1, payload), compressed=True)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [
        ("permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", True),
        ("permessage-deflate; client_max_window_bits=12", True),
        ('permessage-deflate; server_max_window_bits="15"', True),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", True),
        ("x-webkit-deflate-frame, permessage-deflate", True),
        ("permessage-deflate; server_max_window_bits=10", False),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        ("permessage-deflate; server_max_window_bits", False),
        ("permessage-deflate; client_max_window_bits=16", False),
        ("permessage-deflate; client_max_window_bits=08", False),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", False),
        ("permessage-deflate; server_no_context_takeover=1", False),
        ("permessage-deflate; unknown", False),
        ("permessage-bzip2", False),
        ("", False),
    ],
)
def test_offers(offered: str, accepted: bool) -> None:
    assert framing.accepts_deflate(offered) is accepted


def test_the_level_makes_messages_smaller() -> None:
    message = b'{"textMessage":"hello"}' * 100
    assert len(framing.compress(message)) < len(message) / 5
    assert zlib.decompressobj(-15).decompress(framing.compress(message) + b"\x00\x00\xff\xff") == message
