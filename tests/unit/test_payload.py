"""The packets in one body of a polling client, and in the answer to a poll."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.transports.socketio.engine.session import SEPARATOR, read_payload, write_payload

packets = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=SEPARATOR), max_size=20).map(
    "4".__add__
) | st.binary(max_size=20)


@given(st.lists(packets, min_size=1, max_size=20))
def test_packets_are_read_as_they_were_written(sent: list[str | bytes]) -> None:
    assert list(read_payload(write_payload(sent))) == sent


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"4hello", ["4hello"]),
        (b"4a\x1e4b\x1ebAQIDBA==\x1e3", ["4a", "4b", b"\x01\x02\x03\x04", "3"]),
        (b"b", [b""]),
    ],
)
def test_bodies(body: bytes, expected: list[str | bytes]) -> None:
    assert list(read_payload(body)) == expected


@pytest.mark.parametrize("body", [b"\x1e", b"4a\x1e", b"\x1e4a", b"4a\x1e\x1e4b", b"b=", b"b!!!!", b"4\xff"])
def test_invalid_bodies(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(read_payload(body))


@given(st.binary(max_size=100))
def test_garbage_is_read_or_refused(body: bytes) -> None:
    try:
        for packet in read_payload(body):
            assert packet or isinstance(packet, bytes)
    except ValueError:
        pass


def test_many_packets_are_read_one_by_one() -> None:
    found = read_payload(SEPARATOR.join(["3"] * 100_000).encode())
    assert next(found) == "3" and sum(1 for _ in found) == 99_999
