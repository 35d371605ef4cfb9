"""Checks of values from the network."""

import math
from collections import OrderedDict, namedtuple
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service.protocol.values import count_binary, is_clean_text, is_clean_value

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(plain)
def test_plain_data_is_clean(value: Any) -> None:
    assert is_clean_value(value, 128)


@given(
    plain, st.sampled_from([math.nan, math.inf, -math.inf, 2**63, -(2**63) - 1, "\ud800", object(), {1}, 1j])
)
def test_one_invalid_value_makes_the_whole_invalid(value: Any, bad: Any) -> None:
    assert not is_clean_value([value, {"deep": [value, bad]}], 128)
    assert not is_clean_value(bad, 128)


@pytest.mark.parametrize("key", [1, None, b"a", ("a",), "\udc00"])
def test_keys_must_be_clean_strings(key: Any) -> None:
    assert not is_clean_value({key: 1}, 128)


def nested(levels: int) -> Any:
    value: Any = "core"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


@pytest.mark.parametrize("limit", [1, 2, 32, 128])
def test_nesting_levels_are_counted(limit: int) -> None:
    assert is_clean_value(nested(limit), limit)
    assert not is_clean_value(nested(limit + 1), limit)


def test_deep_nesting_does_not_recurse() -> None:
    assert not is_clean_value(nested(5000), 128)


def test_scalars_add_no_depth() -> None:
    assert is_clean_value("text", 0)
    assert not is_clean_value([], 0)


@pytest.mark.parametrize(
    ("text", "clean"), [("", True), ("ä😀", True), ("\ud800", False), ("ä\udfff", False)]
)
def test_clean_text(text: str, clean: bool) -> None:
    assert is_clean_text(text) is clean


class Number(IntEnum):
    SMALL = 1
    LARGE = 2**63


class Word(StrEnum):
    GOOD = "a"
    BAD = "\ud800"


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        (Number.SMALL, True),
        (Number.LARGE, False),
        (Word.GOOD, True),
        (Word.BAD, False),
        (Point(1, 2.5), True),
        (Point(1, float("inf")), False),
        (OrderedDict(a=[None]), True),
        (OrderedDict(a=2**63), False),
        (object(), False),
        ({1}, False),
        (1j, False),
    ],
)
def test_derived_classes_count_as_their_bases(value: Any, clean: bool) -> None:
    assert is_clean_value([value], 3) is clean
    # Derived classes of containers have a depth, too.
    assert is_clean_value(value, 0) is (clean and not isinstance(value, tuple | dict))


def test_binary_values_are_counted_at_any_depth() -> None:
    assert count_binary({"a": b"", "b": [bytearray(b"x"), {"c": (b"y", "z", None)}]}, 128) == 3
    assert count_binary(b"x", 0) == 1
    assert count_binary({"a": 1}, 128) == 0
    assert count_binary([b"x", float("nan")], 128) is None


@pytest.mark.parametrize("key", [5, None, b"x", ("x",), "\ud800"], ids=repr)
@pytest.mark.parametrize("other", ["é", "x", "\U00010000"])
def test_a_key_other_than_text_is_found_among_others(key: Any, other: str) -> None:
    for mapping in ({other: 1, key: 2}, {key: 2, other: 1}):
        assert count_binary([{"outer": mapping}], 5) is None
    assert count_binary([{"outer": {other: b"1", "ü": 2}}], 5) == 1
