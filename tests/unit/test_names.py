"""Valid names, and the two spellings of commands."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_service import ChatServiceError
from chat_service.commands.table import COMMANDS
from chat_service.protocol.names import camel_case, check_name, is_valid_name, natural_key, snake_case
from chat_service.types import RoomName, room_channel, user_channel

FORBIDDEN = [*map(chr, range(0x20)), "\x7f", ":", "{", "}", "\ud800", "\udfff"]


def test_forbidden_characters() -> None:
    for character, place in itertools.product(FORBIDDEN, ("{}", "{}b", "a{}b", "a{}")):
        name = place.format(character)
        assert not is_valid_name(name, 256), repr(name)
        with pytest.raises(ChatServiceError) as caught:
            check_name(name, 256)
        assert (caught.value.code, caught.value.arguments) == ("invalidName", (name,))


def test_permitted_characters() -> None:
    for name in ["a", " ", "a b", "ä", "日本", "😀", "a/b", "a%b", "<b>", "'", '"', "\x80", "a,b", "0"]:
        assert is_valid_name(name, 256), name
        check_name(name, 256)


def test_values_that_are_not_names() -> None:
    for value in ["", None, 5, b"a", ["a"], True]:
        assert not is_valid_name(value, 256), repr(value)


@pytest.mark.covers("option:name_length_limit", "better:length limit of names")
def test_length_counts_characters() -> None:
    assert is_valid_name("😀" * 256, 256)
    assert not is_valid_name("😀" * 257, 256)
    assert is_valid_name("a", 1)


@given(st.text())
def test_valid_names_differ_from_user_channels(name: str) -> None:
    if is_valid_name(name, 256):
        assert room_channel(RoomName(name)) != user_channel(name)
        assert ":" not in room_channel(RoomName(name))


def test_spellings_round_trip() -> None:
    for name in COMMANDS:
        assert camel_case(snake_case(name)) == name
        assert snake_case(name) == snake_case(name).lower()


def test_spellings() -> None:
    assert snake_case("roomHistoryGet") == "room_history_get"
    assert camel_case("room_history_get") == "roomHistoryGet"
    assert snake_case("room_history_get") == "room_history_get"


@pytest.mark.parametrize(
    "names",
    [
        ["room2", "room10"],
        ["room", "room1", "room2", "room2b", "room10", "room10a", "rooms"],
        ["1", "2", "9", "010", "10", "11", "100"],
        ["a1b2", "a1b10", "a2b1"],
        ["9" * 5000, "1" + "0" * 5000],
        ["", "2", "A", "a", "é"],
    ],
)
def test_natural_order(names: list[str]) -> None:
    shuffled = names[::-1]
    shuffled.sort(key=natural_key)
    assert shuffled == names


@given(st.lists(st.text(alphabet="a0129-")))
def test_natural_order_is_total(names: list[str]) -> None:
    """Different names never have equal keys, so sorting does not depend on the previous order."""
    assert len({tuple(natural_key(name)) for name in names}) == len(set(names))
