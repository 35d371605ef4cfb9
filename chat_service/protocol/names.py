"""The rule for user and room names, and the bridge between wire names and Python names."""

import re
from typing import Any

from chat_service.errors import ChatServiceError

# protocol.md, Connection: control characters, ":" and braces would break keys and channels.
# Unpaired surrogates cannot be written as UTF-8.
_find_forbidden = re.compile("[\x00-\x1f\x7f:{}\ud800-\udfff]").search
_split_numbers = re.compile("([0-9]+)").split
_CAPITAL = re.compile("([A-Z])")


def is_valid_name(name: Any, length_limit: int) -> bool:
    """Whether a value is a usable name of a user or a room, of 1 to ``length_limit`` characters."""
    return isinstance(name, str) and 0 < len(name) <= length_limit and _find_forbidden(name) is None


def check_name(name: str, length_limit: int) -> None:
    """Raise ``invalidName`` for a string that cannot name a user or a room."""
    if not is_valid_name(name, length_limit):
        raise ChatServiceError("invalidName", name)


def natural_key(name: str) -> list[tuple[int, str]]:
    """What names are sorted by for people: numbers by their size, so that room2 is before room10."""
    key = []
    for position, part in enumerate(_split_numbers(name)):
        # Every second part is a number. Of two without leading zeros the longer one is the greater.
        digits = part.lstrip("0")
        key.append((len(digits), digits) if position % 2 else (0, part))
    # Names that differ in zeros alone have an order, too.
    return [*key, (0, name)]


def snake_case(wire_name: str) -> str:
    """``roomHistoryGet`` → ``room_history_get``."""
    return _CAPITAL.sub(r"_\1", wire_name).lower()


def camel_case(python_name: str) -> str:
    """``room_history_get`` → ``roomHistoryGet``."""
    head, *rest = python_name.split("_")
    return head + "".join(part.capitalize() for part in rest)
