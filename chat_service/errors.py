"""Errors: one table of the codes that clients may see, and the exceptions of the Python side."""

import json
from typing import Any, Final

#: Text of each error code, with printf-like places for its arguments (protocol.md, Errors).
ERROR_TEXTS: Final[dict[str, str]] = {
    "badArgument": "Bad argument at position %d, value %j",
    "internalError": "%s",
    "invalidName": "String %s contains invalid characters",
    "invalidSocket": "Socket %s is not connected",
    "listLimitExceeded": "Exceeded %s size limit",
    "noCommand": "No such command %s",
    "noList": "No such list %s",
    "noLogin": "No login provided",
    "noRoom": "No such room %s",
    "noSocket": "Command %s requires a valid socket",
    "noUser": "No such user %s",
    "noUserOnline": "No such user online %s",
    "notAllowed": "Action is not allowed",
    "notJoined": "Not joined to room %s",
    "roomExists": "Room %s already exists",
    "timeout": "Server operation timeout",
    "userExists": "User %s already exists",
    "userOnline": "User %s is online",
    "wrongArgumentsCount": "Expected %s arguments, got %s",
}

#: A value that a client sent is repeated to it in an error up to this many characters.
MAX_VALUE_TEXT: Final = 256


class ChatServiceError(Exception):
    """An error that a client may see: a code and its arguments (protocol.md, Errors).

    Subclass it, or use codes of your own, for errors of an application; a code without a text in
    ``ERROR_TEXTS`` prints as itself. A subclass may bring texts of its own in ``texts``.
    """

    #: Extra texts by code, for subclasses.
    texts: dict[str, str] = {}  # noqa: RUF012 - overridden, never changed

    def __init__(self, code: str, *arguments: Any) -> None:
        if not isinstance(code, str):
            raise TypeError(f"an error code is a string, not {type(code).__name__}")
        super().__init__(code, *arguments)
        self.code = code
        self.arguments = arguments

    def __str__(self) -> str:
        template = self.texts.get(self.code) or ERROR_TEXTS.get(self.code)
        return self.code if template is None else format_text(template, self.arguments)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(repr(a) for a in (self.code, *self.arguments))})"


class ConfigurationError(ValueError):
    """An option, hook or plugin that cannot work: says which one and what was expected."""


class ServiceClosedError(RuntimeError):
    """The service was used before it was started or after it was closed."""


class StoreError(Exception):
    """The store could not do an operation (broken data, a lost server); state is unchanged."""


class StoreTimeoutError(StoreError):
    """The store did not do it in time; clients get ``timeout``."""

    #: Whether the store did answer. It is occupied then, and has done nothing for other instances either.
    is_answered = False


class StoreRefusedError(StoreTimeoutError):
    """The store answers, but takes no changes for now (no memory, no disk, no replicas): nothing was done."""

    is_answered = True


def format_text(template: str, arguments: tuple[Any, ...]) -> str:
    """Fill the ``%s``, ``%d`` and ``%j`` places of a template; missing arguments leave their place."""
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
    """Show a value as JSON, a string as itself unless ``as_json``; cut to a bounded length."""
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
    """Cut a text that a client sent to ``MAX_VALUE_TEXT`` characters, without unpaired surrogates."""
    return clean_text(text if len(text) <= MAX_VALUE_TEXT else text[:MAX_VALUE_TEXT] + "…")


def clean_text(text: str) -> str:
    """A text that can be written as UTF-8: unpaired surrogates become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
