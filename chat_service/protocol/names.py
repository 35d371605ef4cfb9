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


#: Begins the names of rooms that are the conversation of two users. No other name contains a colon.
DIRECT = "direct:"


def conversation_name(user: str, other: str) -> str:
    """The name of the room with the conversation of two users. Clients get it from the server."""
    return DIRECT + ":".join(sorted((user, other)))


def conversation_users(room: str) -> tuple[str, str] | None:
    """The two users whose conversation a room is; None for other rooms."""
    if not room.startswith(DIRECT):
        return None
    first, colon, second = room[len(DIRECT) :].partition(":")
    return (first, second) if colon else None


def peer_in(room: str, user: str | None) -> str | None:
    """The other user of a conversation; None if the user is none of the two, and for other rooms."""
    users = conversation_users(room)
    if users is None or user not in users:
        return None
    return users[0] if users[1] == user else users[1]


def is_valid_room_name(name: Any, length_limit: int) -> bool:
    """Whether a value can be the name of an existing room: a valid name, or that of a conversation."""
    if is_valid_name(name, length_limit):
        return True
    users = conversation_users(name) if isinstance(name, str) else None
    return (
        users is not None and users[0] < users[1] and all(is_valid_name(user, length_limit) for user in users)
    )


def check_room_name(name: str, length_limit: int) -> None:
    """Raise ``invalidName`` unless the string can be the name of an existing room."""
    if not is_valid_room_name(name, length_limit):
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
