"""What scripts answer: a list that starts with 0, or with the code of an error."""

from typing import Any

from chat_service.errors import ChatServiceError, StoreError


def checked(answer: Any, **arguments: Any) -> list[Any]:
    """The values after the leading 0. Raises the ``ChatServiceError`` of a code.

    ``arguments``: the argument of each error code that has one.
    """
    if not isinstance(answer, list) or not answer:
        raise StoreError(f"a script answered {answer!r}")
    status, *values = answer
    if isinstance(status, bytes):
        code = status.decode()
        raise ChatServiceError(code, arguments[code]) if code in arguments else ChatServiceError(code)
    return values


def flag(value: bool) -> str:
    """A boolean as scripts take it."""
    return "1" if value else "0"


def texts(values: list[bytes]) -> list[str]:
    """Names that Redis gave back. Raises ``StoreError`` for bytes that are no names."""
    try:
        return [value.decode() for value in values]
    except (UnicodeDecodeError, AttributeError) as error:
        raise StoreError(f"corrupt names in Redis: {error}") from None


def pairs(values: list[bytes]) -> list[tuple[bytes, bytes]]:
    """The fields and values of a hash."""
    return list(zip(values[::2], values[1::2], strict=True))
