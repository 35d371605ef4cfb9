"""Error codes that clients see, in one table, and the package's exceptions."""

import json
from typing import Any, Final

#: Text of each error code, with printf-like placeholders for its arguments (protocol.md, Errors).
ERROR_TEXTS: Final[dict[str, str]] = {
    "badArgument": "Bad argument at position %d, value %j",
    "banned": "Banned until %s, reason: %s",
    "conflict": "The last message is %s",
    "idempotencyConflict": "Idempotency key %s was used for another message",
    "internalError": "%s",
    "invalidName": "String %s contains invalid characters",
    "invalidSocket": "Socket %s is not connected",
    "limitExceeded": "Exceeded the limit of %s",
    "listLimitExceeded": "Exceeded %s size limit",
    "messageTooLarge": "Message of %s bytes exceeds the limit of %s bytes",
    "noCommand": "No such command %s",
    "noList": "No such list %s",
    "noLogin": "No login provided",
    "noMessage": "No such message %s",
    "noRoom": "No such room %s",
    "noSocket": "Command %s requires a valid socket",
    "noUser": "No such user %s",
    "noUserOnline": "No such user online %s",
    "notAllowed": "Action is not allowed",
    "notJoined": "Not joined to room %s",
    "rateLimited": "Rate limit exceeded, retry in %s ms",
    "roomExists": "Room %s already exists",
    "timeout": "Server operation timeout",
    "userExists": "User %s already exists",
    "userOnline": "User %s is online",
    "wrongArgumentsCount": "Expected %s arguments, got %s",
}

#: Maximum number of characters of a client's value that an error repeats.
MAX_VALUE_TEXT: Final = 256


class ChatServiceError(Exception):
    """An error sent to clients as a code and its arguments (protocol.md, Errors).

    Applications may subclass it or use their own codes. A code without a text in ``ERROR_TEXTS`` prints
    as itself; a subclass can add texts in ``texts``.
    """

    #: Extra texts by code, for subclasses.
    texts: dict[str, str] = {}  # noqa: RUF012 - overridden, never changed

    def __init__(self, code: str, *arguments: Any) -> None:
        if not isinstance(code, str):
            raise TypeError(f"an error code must be a string, not {type(code).__name__}")
        super().__init__(code, *arguments)
        self.code = code
        self.arguments = arguments

    def __str__(self) -> str:
        template = self.texts.get(self.code) or ERROR_TEXTS.get(self.code)
        return self.code if template is None else format_text(template, self.arguments)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(repr(a) for a in (self.code, *self.arguments))})"


class ConfigurationError(ValueError):
    """An invalid option, hook or plugin. The text names it and says what was expected."""


class ServiceClosedError(RuntimeError):
    """The service was used before it started or after it closed."""


class StoreError(Exception):
    """A store operation failed (corrupt data, a lost server); state is unchanged."""


class StoreTimeoutError(StoreError):
    """The store did not complete the operation in time. Clients get ``timeout``."""

    #: Whether the store answered. If so, it is overloaded and changes nothing for other instances either.
    is_answered = False


class StoreRefusedError(StoreTimeoutError):
    """The store answers but currently refuses changes (no memory, disk or replicas). Nothing was changed."""

    is_answered = True


def format_text(template: str, arguments: tuple[Any, ...]) -> str:
    """Fill the placeholders ``%s``, ``%d`` and ``%j``; those without an argument stay."""
    parts: list[str] = []
    rest = iter(arguments)
    position = 0
    while (place := template.find("%", position)) >= 0:
        kind = template[place + 1 : place + 2]
        parts.append(template[position:place])
        position = place + 2
        if kind not in ("s", "d", "j"):
            parts.append(template[place:position])
            continue
        try:
            parts.append(as_text(next(rest), as_json=kind == "j"))
        except StopIteration:
            parts.append("%" + kind)
    parts.append(template[position:])
    return "".join(parts)


def as_text(value: Any, *, as_json: bool = False) -> str:
    """The value as JSON, cut to a bounded length. A string stands for itself unless ``as_json``."""
    if isinstance(value, str) and not as_json:
        return shorten(value)
    try:
        return shorten(json.dumps(value, separators=(",", ":"), default=_opaque, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return _opaque(value)


def _opaque(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return f"<{type(value).__name__}>"


def shorten(text: str) -> str:
    """Cut a client's text to ``MAX_VALUE_TEXT`` characters and replace unpaired surrogates."""
    return clean_text(text if len(text) <= MAX_VALUE_TEXT else text[:MAX_VALUE_TEXT] + "…")


def clean_text(text: str) -> str:
    """Replace unpaired surrogates, which UTF-8 cannot encode, by question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
