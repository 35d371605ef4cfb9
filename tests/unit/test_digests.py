"""Digests of messages: equal if and only if the messages are equal."""

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.protocol.encoded import digest
from chat_service.protocol.values import MAX_DEPTH

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
PLAIN = LEAVES.filter(lambda value: value not in (float("inf"), float("-inf"))) | TEXT | st.binary(max_size=5)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def shape(value: Any) -> Any:
    """The value in a form whose ``==`` matches the equality of digests."""
    if isinstance(value, bool) or value is None:
        return ("constant", value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, list):
        return ("list", [shape(item) for item in value])
    if isinstance(value, dict):
        return ("map", {key: shape(item) for key, item in value.items()})
    return (type(value).__name__, value)


@given(VALUES, VALUES)
def test_digests_are_equal_only_for_equal_values(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) is (shape(one) == shape(other))


@given(VALUES)
def test_the_way_of_encoding_does_not_matter(value: Any) -> None:
    assert digest(msgpack.unpackb(msgpack.packb(value), strict_map_key=False)) == digest(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
        ({"a": 5}, {"a": 5.0}),
        ({"a": 0}, {"a": -0.0}),
        ({"a": 2**53}, {"a": float(2**53)}),
        ({"a": b"\x00\xff"}, {"a": bytearray(b"\x00\xff")}),
        ({"a": [1, 2]}, {"a": (1, 2)}),
    ],
)
def test_same(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": None}),
        ({"a": "1"}, {"a": 1}),
        ({"a": "x"}, {"a": b"x"}),
        ({"a": ["b", "c"]}, {"a": ["bc"]}),
        ({"a": [[], "x"]}, {"a": [["x"]]}),
        ({"a": {}}, {"a": []}),
        ({"a": 0.1}, {"a": 0.1 + 2**-54}),
        ({"a": "é"}, {"a": "e\u0301"}),
    ],
)
def test_different(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


def test_the_deepest_data() -> None:
    value = json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert digest(value) == digest(value) != digest(value[0])
