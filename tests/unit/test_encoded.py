"""Messages kept as JSON text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.protocol.encoded import EncodedMessages, decode_text, encode_text
from chat_service.protocol.values import MAX_INTEGER, MIN_INTEGER

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(MIN_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=10)


@given(st.dictionaries(text, values))
def test_round_trip_keeps_values_and_types(message: dict[str, Any]) -> None:
    encoded = encode_text(message)
    assert encoded is not None
    # repr distinguishes 1 from 1.0 and 0.0 from -0.0.
    assert repr(decode_text(encoded)) == repr(message)


@pytest.mark.parametrize("value", [b"", {"deep": [bytearray(b"a")]}, 2**64, "\ud800"])
def test_values_without_json_form_are_not_encoded(value: Any) -> None:
    assert encode_text({"value": value}) is None


def test_encoded_messages_behave_as_a_list_of_dicts() -> None:
    messages = [{"id": 2, "textMessage": "é"}, {"id": 1, "textMessage": "a"}]
    encoded = EncodedMessages([text for message in messages if (text := encode_text(message))])
    assert encoded == messages
    assert encoded == EncodedMessages([encoded.json[1:-1]])
    assert list(encoded) == messages
    assert (len(encoded), encoded[0], encoded[:1]) == (2, messages[0], messages[:1])
    assert encoded != messages[:1]
    assert encoded.json == '[{"id":2,"textMessage":"é"},{"id":1,"textMessage":"a"}]'.encode()
    assert repr(encoded).startswith("EncodedMessages(b'[{")
    assert EncodedMessages([]) == []
