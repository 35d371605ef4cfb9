"""The binary form of envelopes: round trips, and rejection of invalid or foreign data."""

import hashlib
import hmac
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_service.contracts.bus import (
    ApplicationEvent,
    DisconnectSocket,
    DisconnectUser,
    Envelope,
    Notify,
    NotifySocket,
    Reply,
    Request,
    RoomEvent,
)
from chat_service.stores.redis.envelopes import (
    MAX_SIZE,
    MESSAGE,
    NOTIFY,
    ROOM_EVENT,
    SIGNATURE_SIZE,
    STAMPED,
    VERSION,
    BadEnvelopeError,
    EnvelopeCodec,
    pack,
)
from chat_service.types import SocketId, UserName

pytestmark = pytest.mark.redis

PLAIN, SIGNED = EnvelopeCodec(b""), EnvelopeCodec(b"secret")
CODECS = [PLAIN, SIGNED, EnvelopeCodec(b"x" * 64), EnvelopeCodec(b"x" * 65), EnvelopeCodec(b"x" * 1000)]
CHANNEL = "chat:room:{room}"

# Values that clients and applications can send.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | texts
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
tuples = st.lists(values, max_size=4).map(tuple)
ids = st.lists(texts, max_size=3).map(tuple)
errors = st.none() | st.tuples(texts, tuples)
envelopes: st.SearchStrategy[Envelope] = st.one_of(
    st.builds(Notify, event=texts, args=tuples, exclude=ids),
    st.just(DisconnectUser()),
    st.builds(DisconnectSocket, socket_id=texts),
    st.builds(Request, id=texts, reply_to=texts, operation=texts, args=tuples),
    st.builds(Reply, id=texts, result=values, error=errors),
    st.builds(ApplicationEvent, event=texts, args=tuples),
    st.builds(NotifySocket, socket_id=texts.map(SocketId), event=texts, args=tuples),
)


@pytest.mark.covers("store_option:bus_secret")
@pytest.mark.parametrize("codec", CODECS, ids=range(len(CODECS)))
@given(envelope=envelopes)
@settings(max_examples=40)
def test_round_trip(codec: EnvelopeCodec, envelope: Envelope) -> None:
    assert codec.decode(CHANNEL, codec.encode(CHANNEL, envelope)) == envelope


def test_room_events_cannot_be_encoded_in_python() -> None:
    with pytest.raises(TypeError):
        PLAIN.encode(CHANNEL, RoomEvent(epoch="e", seq=1, last_message_id=0))


def test_room_events_of_scripts_are_decoded() -> None:
    fields = ["epoch", 3, 2, "roomUserLeft", ["s1"], [["bob", "s2", "s3"], ["carol"]], ["bob"]]
    assert PLAIN.decode(CHANNEL, VERSION + pack([ROOM_EVENT, *fields]) + pack(["room", "bob"])) == RoomEvent(
        epoch="epoch",
        seq=3,
        last_message_id=2,
        event="roomUserLeft",
        args=("room", "bob"),
        exclude=(SocketId("s1"),),
        removed={UserName("bob"): (SocketId("s2"), SocketId("s3")), UserName("carol"): ()},
        announced=(UserName("bob"),),
    )
    fields[4:] = [[], [], [], ["bob", "carol"]]
    assert PLAIN.decode(CHANNEL, VERSION + pack([ROOM_EVENT, *fields]) + pack([])) == RoomEvent(
        epoch="epoch",
        seq=3,
        last_message_id=2,
        event="roomUserLeft",
        stayed=frozenset({UserName("bob"), UserName("carol")}),
    )
    packed = pack([MESSAGE, "epoch", 3, 2, "room"]) + pack({"textMessage": "x"})
    for payload in (packed, b'["epoch",3,2,"room",{"id":2,"textMessage":"x"}]'):
        assert PLAIN.decode(CHANNEL, VERSION + payload) == RoomEvent(
            epoch="epoch",
            seq=3,
            last_message_id=2,
            event="roomMessage",
            args=("room", {"textMessage": "x", "id": 2}),
        )


# Invalid data


def refused(codec: EnvelopeCodec, data: bytes, channel: str = CHANNEL) -> str:
    with pytest.raises(BadEnvelopeError) as caught:
        codec.decode(channel, data)
    return str(caught.value)


@given(data=st.binary(max_size=200), has_version=st.booleans())
@settings(max_examples=150)
def test_random_bytes_raise_only_bad_envelope(data: bytes, has_version: bool) -> None:
    for codec in (PLAIN, SIGNED):
        try:
            codec.decode(CHANNEL, VERSION + data if has_version else data)
        except BadEnvelopeError:
            continue
        # Without signatures random bytes can be a valid envelope by chance.
        assert codec is PLAIN and has_version


@given(envelope=envelopes, where=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60)
def test_truncated_envelopes_are_bad(envelope: Envelope, where: float) -> None:
    for codec in (PLAIN, SIGNED):
        data = codec.encode(CHANNEL, envelope)
        refused(codec, data[: int(len(data) * where)])


@given(envelope=envelopes, more=st.binary(min_size=1, max_size=20))
@settings(max_examples=60)
def test_trailing_bytes_make_an_envelope_bad(envelope: Envelope, more: bytes) -> None:
    for codec in (PLAIN, SIGNED):
        refused(codec, codec.encode(CHANNEL, envelope) + more)


@given(envelope=envelopes, data=st.data())
@settings(max_examples=100)
def test_flipped_bits_never_change_the_kind(envelope: Envelope, data: st.DataObject) -> None:
    for codec in (PLAIN, SIGNED):
        spoilt = bytearray(codec.encode(CHANNEL, envelope))
        for bit in data.draw(st.sets(st.integers(0, len(spoilt) * 8 - 1), min_size=1, max_size=4)):
            spoilt[bit // 8] ^= 1 << bit % 8
        try:
            decoded = codec.decode(CHANNEL, bytes(spoilt))
        except BadEnvelopeError:
            continue
        # Without a signature a flipped bit may change a value but not the kind.
        assert codec is PLAIN and isinstance(decoded, Envelope)


@given(payload=values, body=values, kind=st.integers(-1, 9))
@settings(max_examples=100)
def test_arbitrary_values_in_fields(payload: Any, body: Any, kind: int) -> None:
    fields = [kind, *payload] if isinstance(payload, list) else [kind, payload]
    for data in (pack(fields) + pack(body), pack(payload) + pack(body), pack(fields)):
        try:
            decoded = PLAIN.decode(CHANNEL, VERSION + data)
        except BadEnvelopeError:
            continue
        assert isinstance(decoded, Envelope)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(pack([NOTIFY, 5, []]) + pack([]), id="an event that is not text"),
        pytest.param(pack([NOTIFY, "x", [5]]) + pack([]), id="a socket that is not text"),
        pytest.param(pack([NOTIFY, "x", []]) + pack({}), id="arguments that are not a list"),
        pytest.param(pack([NOTIFY, "x"]) + pack([]), id="a field too few"),
        pytest.param(pack([NOTIFY, "x", [], 1]) + pack([]), id="a field too many"),
        pytest.param(pack([MESSAGE, "e", -1, 1, "r"]) + pack({}), id="a negative number"),
        pytest.param(pack([MESSAGE, "e", 1.5, 1, "r"]) + pack({}), id="half a number"),
        pytest.param(pack([MESSAGE, "e", 1, 1, "r"]) + pack(["x"]), id="a message that is not a map"),
        pytest.param(b'["e",3,2,"r",{"id":3}]', id="JSON with another id"),
        pytest.param(b'["e",3,-2,"r",{"id":-2}]', id="JSON with a negative id"),
        pytest.param(b'["e","3",2,"r",{"id":2}]', id="JSON with text for a number"),
        pytest.param(b'[1,3,2,"r",{"id":2}]', id="JSON with a number for the epoch"),
        pytest.param(b'["e",3,2,["r"],{"id":2}]', id="JSON with a list for the room"),
        pytest.param(b'["e",3,2,"r",[2]]', id="JSON without a message"),
        pytest.param(b'["e",3,2,"r"]', id="JSON with a field too few"),
        pytest.param(b'["e",3,2,"r",{"id":2}]x', id="JSON with more after it"),
        pytest.param(b"[" * 100_000, id="JSON without an end"),
        pytest.param(pack([99]), id="an unknown kind"),
        pytest.param(pack([[]]), id="a kind that is a list"),
        pytest.param(pack("text"), id="fields that are not a list"),
        pytest.param(pack([NOTIFY, "x", []]) + pack([{1: 2}]), id="keys that are numbers"),
        pytest.param(pack([NOTIFY, "x", []]) + pack([msgpack.Timestamp(1)]), id="a timestamp"),
        pytest.param(pack([NOTIFY, "x", []]) + pack([msgpack.ExtType(7, b"")]), id="an extension type"),
        pytest.param(pack([NOTIFY, "x", []]) + b"\xa1\xff", id="text that is not UTF-8"),
        pytest.param(pack([NOTIFY, "x", []]) + b"\xc1", id="a byte that msgpack never uses"),
    ],
)
def test_invalid_shapes_are_bad(payload: bytes) -> None:
    refused(PLAIN, VERSION + payload)


# Bounds


def test_too_long_envelope_is_dropped_unread() -> None:
    assert "too long" in refused(PLAIN, VERSION + bytes(MAX_SIZE))


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\xdd\x03\xff\xff\xff", id="a list of 67 million"),
        pytest.param(b"\xdf\x03\xff\xff\xff", id="a map of 67 million"),
        pytest.param(b"\xdb\x7f\xff\xff\xff", id="a text of 2 GB"),
        pytest.param(b"\xc6\xff\xff\xff\xff", id="4 GB of bytes"),
        pytest.param(b"\xc9\xff\xff\xff\xff\x01", id="an extension of 4 GB"),
        pytest.param(b"\x91" * 100_000, id="lists in lists, 100 thousand deep"),
        pytest.param(b"\x81\xa1x" * 50_000, id="maps in maps, 50 thousand deep"),
    ],
)
def test_short_data_cannot_allocate_much_memory(payload: bytes) -> None:
    tracemalloc.start()
    try:
        refused(PLAIN, VERSION + payload)
        refused(PLAIN, VERSION + pack([NOTIFY, "x", []]) + payload)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_other_versions_are_bad() -> None:
    good = PLAIN.encode(CHANNEL, DisconnectUser())
    for version in {bytes([number]) for number in range(256)} - {VERSION}:
        assert "version" in refused(PLAIN, version + good[1:])
    assert "version" in refused(PLAIN, b"")


# Signatures


def test_the_signature_is_the_hmac_of_channel_and_payload() -> None:
    data = SIGNED.encode(CHANNEL, DisconnectUser())
    payload = data[1 + SIGNATURE_SIZE :]
    assert data[1 : 1 + SIGNATURE_SIZE] == hmac.digest(b"secret", CHANNEL.encode() + b"\0" + payload, "sha1")
    assert VERSION + payload == PLAIN.encode(CHANNEL, DisconnectUser())


def test_scripts_get_only_the_digest_of_a_long_secret() -> None:
    """Scripts get their keys as arguments, which MONITOR and SLOWLOG show."""
    secret = b"s" * 65
    codec = EnvelopeCodec(secret)
    known = hashlib.sha1(secret, usedforsecurity=False).digest().ljust(64, b"\0")
    inner, outer, stamps = codec.signing
    assert stamps == b""
    assert bytes(byte ^ 0x36 for byte in inner) == known
    assert bytes(byte ^ 0x5C for byte in outer) == known


FORGERIES: dict[str, Callable[[Envelope], bytes]] = {
    "unsigned": lambda envelope: PLAIN.encode(CHANNEL, envelope),
    "signed with another secret": lambda envelope: EnvelopeCodec(b"other").encode(CHANNEL, envelope),
    "of another room": lambda envelope: SIGNED.encode("chat:room:{other}", envelope),
    "of another prefix": lambda envelope: SIGNED.encode("chat2:room:{room}", envelope),
    "with no signature but room for it": lambda envelope: (
        VERSION + bytes(SIGNATURE_SIZE) + PLAIN.encode(CHANNEL, envelope)[1:]
    ),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
@given(envelope=envelopes)
@settings(max_examples=20)
def test_forgeries_are_bad(forge: Callable[[Envelope], bytes], envelope: Envelope) -> None:
    assert "signature" in refused(SIGNED, forge(envelope))


def test_any_flipped_bit_invalidates_a_signed_envelope() -> None:
    data = SIGNED.encode(CHANNEL, Notify(event="event", args=({"key": [1, "two"]},)))
    for bit in range(len(data) * 8):
        spoilt = bytearray(data)
        spoilt[bit // 8] ^= 1 << bit % 8
        refused(SIGNED, bytes(spoilt))


def stamped(envelope: Envelope, stamp: bytes) -> bytes:
    """As ``lua/lib/bus.lua`` does it."""
    signed = SIGNED.encode(CHANNEL, envelope)
    signature, payload = signed[1 : 1 + SIGNATURE_SIZE], signed[1 + SIGNATURE_SIZE :]
    seal = SIGNED._seal(stamp, signature)
    return STAMPED + seal + stamp + payload


@given(envelope=envelopes, stamp=st.integers(0, 10**16 - 1))
@settings(max_examples=50)
def test_stamped_envelopes(envelope: Envelope, stamp: int) -> None:
    data = stamped(envelope, b"%016d" % stamp)
    assert SIGNED.read(CHANNEL, data) == (envelope, stamp)
    assert SIGNED.decode(CHANNEL, data) == envelope
    assert "signature" in refused(SIGNED, data, "chat:room:{other}")
    assert "signature" in refused(EnvelopeCodec(b"other"), data)
    assert "secret" in refused(PLAIN, data)
    other = b"%016d" % ((stamp + 1) % 10**16)
    assert "signature" in refused(SIGNED, data[:41] + other + data[57:])


def test_any_flipped_bit_invalidates_a_stamped_envelope() -> None:
    data = stamped(Notify(event="event", args=(1,)), b"%016d" % 5)
    for bit in range(len(data) * 8):
        spoilt = bytearray(data)
        spoilt[bit // 8] ^= 1 << bit % 8
        refused(SIGNED, bytes(spoilt))
    for size in range(len(data)):
        refused(SIGNED, data[:size])


def test_a_stamp_cannot_be_taken_away_or_added() -> None:
    """What is known of one version is of no use for the other."""
    plain = SIGNED.encode(CHANNEL, DisconnectUser())
    data = stamped(DisconnectUser(), b"%016d" % 5)
    for start in (1, 21, 41, 57):
        refused(SIGNED, VERSION + data[start:])
    refused(SIGNED, STAMPED + plain[1:])
    refused(SIGNED, STAMPED + plain[1:21].hex().encode() + b"%016d" % 5 + plain[21:])


def test_signed_envelope_is_bad_without_a_secret() -> None:
    for seed in range(50):
        secret = random.Random(seed).randbytes(8)
        refused(PLAIN, EnvelopeCodec(secret).encode(CHANNEL, Notify(event="event")))
