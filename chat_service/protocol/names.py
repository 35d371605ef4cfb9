"""Valid user and room names, and conversion between wire names and Python names."""

import re
from typing import Any

from chat_service.errors import ChatServiceError

# Control characters, ":" and braces would break keys and channels (protocol.md, Connection).
# Unpaired surrogates cannot be encoded as UTF-8.
_find_forbidden = re.compile("[\x00-\x1f\x7f:{}\ud800-\udfff]").search
_split_numbers = re.compile("([0-9]+)").split
_CAPITAL = re.compile("([A-Z])")


def is_valid_name(name: Any, length_limit: int) -> bool:
    """Whether a value is a valid user or room name of 1 to ``length_limit`` characters."""
    return isinstance(name, str) and 0 < len(name) <= length_limit and _find_forbidden(name) is None


def check_name(name: str, length_limit: int) -> None:
    """Raise ``invalidName`` unless the string is a valid user or room name."""
    if not is_valid_name(name, length_limit):
        raise ChatServiceError("invalidName", name)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key for people: numbers compare by value, so that room2 comes before room10."""
    key = []
    for position, part in enumerate(_split_numbers(name)):
        # Every second part is a number. Without leading zeros, the longer of two numbers is the greater one.
        digits = part.lstrip("0")
        key.append((len(digits), digits) if position % 2 else (0, part))
    # Orders names that differ only in leading zeros.
    return [*key, (0, name)]


def snake_case(wire_name: str) -> str:
    """``roomHistoryGet`` → ``room_history_get``."""
    return _CAPITAL.sub(r"_\1", wire_name).lower()


def camel_case(python_name: str) -> str:
    """``room_history_get`` → ``roomHistoryGet``."""
    head, *rest = python_name.split("_")
    return head + "".join(part.capitalize() for part in rest)
