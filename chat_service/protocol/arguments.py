"""Argument types of commands: how values from the wire are checked, and their Python and TypeScript types."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from chat_service.errors import ChatServiceError
from chat_service.protocol.encoded import encoded_size
from chat_service.protocol.names import check_name, check_room_name, is_valid_name, is_valid_room_name
from chat_service.protocol.values import count_binary, is_clean_text

_EMPTY_MESSAGE = '{"textMessage":""}'

#: JavaScript's ``Number.MAX_SAFE_INTEGER``.
MAX_SAFE_INTEGER = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Options that limit arguments."""

    name_length: int
    message_depth: int
    #: Maximum number of binary values in one message or in the data of a system message.
    attachments: int
    #: Maximum number of names in one list; None for any.
    names: int | None = None
    #: Maximum size in bytes of the data of an ephemeral event; None for any.
    event_size: int | None = None
    #: Maximum size in bytes of one message or of the data of a system message; None for any.
    message_size: int | None = None
    #: Maximum size in bytes of the details of a member.
    details_size: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentType:
    """A type of argument. A false ``accepts`` means ``badArgument``; it may raise other errors, as ``refine``
    does, which comes after it."""

    name: str
    doc: str
    python: str
    typescript: str
    accepts: Callable[[Any, Limits], bool]
    refine: Callable[[Any, Limits], None] | None = None
    #: Used instead of ``accepts`` when a checker hook decides the message format.
    custom: Callable[[Any, Limits], bool] | None = None


@dataclass(frozen=True, slots=True)
class Argument:
    """One declared argument of a command."""

    name: str
    type: ArgumentType


@dataclass(frozen=True, slots=True)
class CommandOption:
    """One field of the options object that may follow the declared arguments of a command."""

    name: str
    type: ArgumentType
    doc: str


#: The options of a command that was called without any.
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def _is_text(value: Any, limits: Limits) -> bool:
    return isinstance(value, str)


def _is_boolean(value: Any, limits: Limits) -> bool:
    return isinstance(value, bool)


def _is_texts(name: str) -> Callable[[Any, Limits], bool]:
    def accepts(value: Any, limits: Limits) -> bool:
        if not isinstance(value, list | tuple):
            return False
        if limits.names is not None and len(value) > limits.names:
            # Before anything looks at the names, or an error repeats them.
            raise ChatServiceError("listLimitExceeded", name)
        return all(isinstance(item, str) for item in value)

    return accepts


def _is_number(minimum: int) -> Callable[[Any, Limits], bool]:
    def accepts(value: Any, limits: Limits) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        # Comparisons with NaN are false. As in JavaScript, 5.0 is accepted for 5.
        return minimum <= value <= MAX_SAFE_INTEGER and value == int(value)

    return accepts


def _is_message(value: Any, limits: Limits) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    text = value.get("textMessage")
    if not isinstance(text, str) or not (text.isascii() or is_clean_text(text)):
        return False
    # A character takes up to 6 bytes, so that most messages need not be encoded to know that they fit.
    if limits.message_size is not None and len(text) * 6 + len(_EMPTY_MESSAGE) > limits.message_size:
        _check_size(value, limits.message_size)
    return True


def _is_object(value: Any, limits: Limits) -> bool:
    return isinstance(value, dict) and _is_any(value, limits)


def _is_plain(value: Any, limits: Limits) -> bool:
    found = count_binary(value, limits.message_depth)
    return found is not None and found <= limits.attachments


def _is_any(value: Any, limits: Limits) -> bool:
    if not _is_plain(value, limits):
        return False
    _check_size(value, limits.message_size)
    return True


def _is_event_data(value: Any, limits: Limits) -> bool:
    if not _is_plain(value, limits):
        return False
    _check_size(value, limits.event_size)
    return True


def _check_size(value: Any, limit: int | None) -> None:
    if limit is not None and (size := encoded_size(value)) > limit:
        raise ChatServiceError("messageTooLarge", size, limit)


def _is_any_text(value: Any, limits: Limits) -> bool:
    return isinstance(value, str) and _is_any(value, limits)


def _is_any_number(value: Any, limits: Limits) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_any(value, limits)


def _is_key(value: Any, limits: Limits) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_KEY_LENGTH and is_clean_text(value)


def _is_cursor(value: Any, limits: Limits) -> bool:
    # Stores make cursors of the name of a user or room, and of some numbers.
    longest = 2 * limits.name_length + MAX_CURSOR_NUMBERS
    return value is None or (isinstance(value, str) and 0 < len(value) <= longest and is_clean_text(value))


def is_details(value: Any, limits: Limits) -> bool:
    """Whether a value can be the details of a member: what JSON can represent.

    Raises ``messageTooLarge`` if it is too large.
    """
    if count_binary(value, limits.message_depth) != 0:
        return False
    if (size := encoded_size(value)) > limits.details_size:
        raise ChatServiceError("messageTooLarge", size, limits.details_size)
    return True


def _is_name(value: Any, limits: Limits) -> bool:
    if not isinstance(value, str):
        return False
    if not is_valid_name(value, limits.name_length):
        raise ChatServiceError("invalidName", value)
    return True


def _is_room_name(value: Any, limits: Limits) -> bool:
    if not isinstance(value, str):
        return False
    # The first call decides for nearly all.
    if not is_valid_name(value, limits.name_length) and not is_valid_room_name(value, limits.name_length):
        raise ChatServiceError("invalidName", value)
    return True


def _check_room_names(value: Sequence[str], limits: Limits) -> None:
    for name in value:
        check_room_name(name, limits.name_length)


def _check_names(value: Sequence[str], limits: Limits) -> None:
    for name in value:
        check_name(name, limits.name_length)


def _text_type(name: str, doc: str, accepts: Callable[[Any, Limits], bool]) -> ArgumentType:
    return ArgumentType(name=name, doc=doc, python="str", typescript="string", accepts=accepts)


ROOM_NAME = _text_type("room name", "the name of a room", _is_room_name)
#: Of a room that is to be created: not the name of a conversation.
NEW_ROOM_NAME = _text_type("room name", "the name of a room", _is_name)
USER_NAME = _text_type("user name", "the name of a user", _is_name)
USER_NAMES = ArgumentType(
    name="user names",
    doc="an array of user names",
    python="list[str]",
    typescript="string[]",
    accepts=_is_texts("userNames"),
    refine=_check_names,
)
ROOM_NAMES = ArgumentType(
    name="room names",
    doc="an array of room names",
    python="list[str]",
    typescript="string[]",
    accepts=_is_texts("roomNames"),
    refine=_check_room_names,
)
LIST_NAME = _text_type("list name", "the name of an access list", _is_text)
MODE = ArgumentType(
    name="mode",
    doc="whether only the whitelist gives access",
    python="bool",
    typescript="boolean",
    accepts=_is_boolean,
)
MESSAGE_ID = ArgumentType(
    name="message id",
    doc="a message id, or 0 for the start of the history",
    python="int",
    typescript="number",
    accepts=_is_number(0),
)
LIMIT = ArgumentType(
    name="limit",
    doc="a number of messages, at least 1",
    python="int",
    typescript="number",
    accepts=_is_number(1),
)
MESSAGE = ArgumentType(
    name="message",
    doc="`{textMessage: string}`, or any object that a message checker hook accepts",
    python="dict[str, Any]",
    typescript="ChatMessage",
    accepts=_is_message,
    custom=_is_object,
)
ANY_DATA = ArgumentType(
    name="data",
    doc="any data",
    python="Any",
    typescript="unknown",
    accepts=_is_any,
)


EVENT_DATA = ArgumentType(
    name="event data",
    doc="any data, up to `room_event_size_limit` bytes as JSON",
    python="Any",
    typescript="unknown",
    accepts=_is_event_data,
)


#: Maximum number of characters of a cursor beside names.
MAX_CURSOR_NUMBERS = 50

DETAILS = ArgumentType(
    name="details",
    doc="any JSON value of up to `details_size_limit` bytes; null for none",
    python="Any",
    typescript="unknown",
    accepts=is_details,
)
PAGE_LIMIT = ArgumentType(
    name="page limit",
    doc="a number of items, at least 1",
    python="int",
    typescript="number",
    accepts=_is_number(1),
)
CURSOR = ArgumentType(
    name="cursor",
    doc="the cursor of the page before, or null for the first page",
    python="str",
    typescript="string | null",
    accepts=_is_cursor,
)

#: Maximum number of characters of an idempotency key, and of the name of an ephemeral event.
MAX_KEY_LENGTH = 128

EVENT_NAME = ArgumentType(
    name="event name",
    doc=f"a string of 1 to {MAX_KEY_LENGTH} characters that the application chooses",
    python="str",
    typescript="string",
    accepts=_is_key,
)

IDEMPOTENCY_KEY = ArgumentType(
    name="idempotency key",
    doc=f"a string of 1 to {MAX_KEY_LENGTH} characters",
    python="str",
    typescript="string",
    accepts=_is_key,
)
EPOCH = ArgumentType(
    name="epoch",
    doc="an epoch, as the server told it",
    python="str",
    typescript="string",
    accepts=_is_key,
)
FLAG = ArgumentType(
    name="flag",
    doc="true or false",
    python="bool",
    typescript="boolean",
    accepts=_is_boolean,
)

TEXT = ArgumentType(
    name="text",
    doc="a string",
    python="str",
    typescript="string",
    accepts=_is_any_text,
)
NUMBER = ArgumentType(
    name="number",
    doc="a finite number",
    python="float",
    typescript="number",
    accepts=_is_any_number,
)
INTEGER = ArgumentType(
    name="integer",
    doc="a whole number that JavaScript represents exactly",
    python="int",
    typescript="number",
    accepts=_is_number(-MAX_SAFE_INTEGER),
)
OBJECT = ArgumentType(
    name="object",
    doc="an object",
    python="dict[str, Any]",
    typescript="Record<string, unknown>",
    accepts=_is_object,
)


def check_types(declared: Sequence[Argument], args: Sequence[Any], limits: Limits, custom: bool) -> None:
    """Raise ``wrongArgumentsCount`` if there are fewer arguments than declared, ``badArgument`` or a more
    specific error for the first invalid one. Arguments beyond the declared ones are not checked.

    ``custom``: a checker hook decides message formats, so any object is accepted as a message here.
    """
    if len(args) < len(declared):
        raise ChatServiceError("wrongArgumentsCount", len(declared), len(args))
    for position, argument in enumerate(declared):
        value, kind = args[position], argument.type
        accepts = kind.custom if custom and kind.custom is not None else kind.accepts
        if not accepts(value, limits):
            raise ChatServiceError("badArgument", position, value)
        if kind.refine is not None:
            kind.refine(value, limits)


def parse_options(
    declared: Sequence[CommandOption], position: int, value: Any, limits: Limits
) -> Mapping[str, Any]:
    """The declared options in a value that follows the declared arguments of a command.

    Only an object with at least one declared field holds options; other values, and other fields, are left to
    hooks. ``position``: of the value among the arguments. Raises ``badArgument`` if a field has a wrong type.
    """
    if not isinstance(value, dict):
        return NO_OPTIONS
    found = {option.name: value[option.name] for option in declared if option.name in value}
    for option in declared:
        if option.name in found and not option.type.accepts(found[option.name], limits):
            raise ChatServiceError("badArgument", position, value)
    return found or NO_OPTIONS
