"""The texts of errors as ActionHero's clients know them. An option replaces each of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from chat_service.errors import ERROR_TEXTS, format_text

#: By the names of ActionHero's configuration of errors, in snake case.
HERO_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "connection_already_in_room": "connection already in this room (%s)",
        "connection_not_in_room": "connection not in this room (%s)",
        "connection_room_and_message": "both room and message are required",
        "connection_room_exists": "room exists",
        "connection_room_has_been_deleted": "this room has been deleted",
        "connection_room_not_exist": "room does not exist",
        "connection_room_required": "a room is required",
        "data_length_too_long": "DATA_LENGTH_TOO_LONG",
        "file_not_found": "that file is not found",
        "missing_params": "%s is a required parameter for this action",
        "server_shutting_down": "the server is shutting down",
        "too_many_pending_actions": "you have too many pending requests",
        "too_many_params": "you have too many parameters",
        "unknown_action": "unknown action or invalid apiVersion",
        "verb_not_found": "verb not found or not allowed (%s)",
    }
)

#: The texts for error codes of the service.
_BY_CODE: Final = {
    "noCommand": "unknown_action",
    "noRoom": "connection_room_not_exist",
    "notJoined": "connection_not_in_room",
    "roomExists": "connection_room_exists",
}
#: What the text of an error begins with, besides its own words.
_PREFIX: Final = "ChatServiceError: "


class Failure(NamedTuple):
    """An error of an ack."""

    #: One of the codes that have texts of their own here, or "".
    code: str
    #: What the error is about, such as the name of a room.
    fact: str
    text: str


def read_failure(error: Any) -> Failure:
    """Read the error of an ack: a text, or with ``use_raw_error_objects`` a code and its arguments."""
    if isinstance(error, Mapping):
        code, facts = str(error.get("code")), tuple(error.get("args") or ())
        text = format_text(ERROR_TEXTS.get(code, code), facts)
    else:
        text = str(error).removeprefix(_PREFIX)
    for code in _BY_CODE:
        before, _, after = ERROR_TEXTS[code].partition("%s")
        if text.startswith(before) and text.endswith(after):
            return Failure(code, text[len(before) : len(text) - len(after)], text)
    return Failure("", "", text)


class HeroTexts:
    """The texts of one transport."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        """``own``: texts that replace those of ``HERO_TEXTS``, by their names; ``%s`` is the fact."""
        self._texts = {**HERO_TEXTS, **(own or {})}

    def text(self, name: str, *facts: Any) -> str:
        """One of the texts. ``facts``: the room, the parameter or the verb that it is about."""
        return format_text(self._texts[name], facts)

    def of(self, failure: Failure) -> str:
        """The text of an error of the service."""
        name = _BY_CODE.get(failure.code)
        return failure.text if name is None else self.text(name, failure.fact)
