"""Script results: a list that starts with 0, or with an error code."""

from typing import Any

from chat_service.errors import ChatServiceError, StoreError


def checked(answer: Any, **arguments: Any) -> list[Any]:
    """Return the values after the leading 0. Raises ``ChatServiceError`` for an error code.

    ``arguments``: the error argument for each code that has one. Others have the values after the code.
    """
    if not isinstance(answer, list) or not answer:
        raise StoreError(f"a script answered {answer!r}")
    status, *values = answer
    if isinstance(status, bytes):
        code = status.decode()
        raise (
            ChatServiceError(code, arguments[code]) if code in arguments else ChatServiceError(code, *values)
        )
    return values


def flag(value: bool) -> str:
    """A boolean in the form that scripts expect."""
    return "1" if value else "0"


def texts(values: list[bytes]) -> list[str]:
    """Decode names from Redis. Raises ``StoreError`` for bytes that are not valid text."""
    try:
        return [value.decode() for value in values]
    except (UnicodeDecodeError, AttributeError) as error:
        raise StoreError(f"corrupt names in Redis: {error}") from None


def pairs(values: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Pair up a flat list of fields and values."""
    return list(zip(values[::2], values[1::2], strict=True))
