"""Checks of the values of a service's options: each returns what was expected instead, or None."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from chat_service.errors import ConfigurationError
from chat_service.option_group import is_finite_number

#: The longest time in seconds for which something can be kept before it is dropped: 31 years.
MAX_TTL = 1_000_000_000

#: Checks one value: returns what was expected if the value is invalid, else None.
Check = Callable[[Any], str | None]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def boolean(value: Any) -> str | None:
    """True or False."""
    return None if isinstance(value, bool) else "True or False"


def count(minimum: int, maximum: int = 2**53 - 1) -> Check:
    """A whole number in a range, both ends included."""

    def check(value: Any) -> str | None:
        if _is_int(value) and minimum <= value <= maximum:
            return None
        return f"a whole number from {minimum} to {maximum}"

    return check


def seconds(*, zero: bool = False, maximum: float = math.inf) -> Check:
    """A time in seconds; ``zero``: 0 is valid, too."""

    def check(value: Any) -> str | None:
        if is_finite_number(value) and (value > 0 or (zero and value == 0)) and value <= maximum:
            return None
        limit = "" if maximum == math.inf else f", at most {maximum}"
        return "seconds, " + ("0 or more" if zero else "more than 0") + limit

    return check


#: The slowest and the fastest shared rate: once in 11 days, and once in a microsecond.
SLOWEST, FASTEST = 1e-6, 1e6


def rate(value: Any) -> str | None:
    """How many a second, for a rate that the store keeps."""
    if (_is_int(value) or isinstance(value, float)) and SLOWEST <= value <= FASTEST:
        return None
    return f"a number a second, from {SLOWEST:f} to {FASTEST:.0f}"


def text(value: Any) -> str | None:
    """A non-empty string."""
    return None if isinstance(value, str) and value else "a non-empty string"


def optional_text(value: Any) -> str | None:
    """A non-empty string or None."""
    return None if value is None else text(value)


def optional(check: Check) -> Check:
    """None, or what another check accepts."""
    return lambda value: None if value is None else check(value)


def namespace(value: Any) -> str | None:
    """A Socket.IO namespace."""
    if isinstance(value, str) and value.startswith("/") and "," not in value and "?" not in value:
        return None
    return 'a string that starts with "/" and has no "," or "?"'


def mapping(value: Any) -> str | None:
    """A mapping with string keys."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return None
    return "a mapping of option names to values"


def plugin(*names: str) -> Check:
    """One of the names, or an object of the application."""

    def check(value: Any) -> str | None:
        if isinstance(value, str):
            return None if value in names else " or ".join(map(repr, names)) + ", or an object"
        if value is None or isinstance(value, bool | int | float | bytes | type):
            return " or ".join(map(repr, names)) + ", or an object"
        return None

    return check


def plugins(*names: str) -> Check:
    """What ``plugin`` accepts, or a list of different ones."""
    check_one = plugin(*names)

    def check(value: Any) -> str | None:
        if not isinstance(value, list | tuple):
            return check_one(value)
        is_good = all(check_one(item) is None and not isinstance(item, list | tuple) for item in value)
        is_unique = all(one is not other for at, one in enumerate(value) for other in value[:at])
        return None if value and is_good and is_unique else f"{check_one(None)}, or a list of different ones"

    return check


def tracing(value: Any) -> str | None:
    """A boolean or an OpenTelemetry ``TracerProvider``."""
    if isinstance(value, bool) or callable(getattr(value, "get_tracer", None)):
        return None
    return "True, False or an OpenTelemetry TracerProvider"


def check_option(name: str, value: Any, check: Check) -> None:
    """Raise ``ConfigurationError`` with the option's name, what was expected and what was given."""
    expected = check(value)
    if expected is not None:
        raise ConfigurationError(f"option {name}: expected {expected}, got {value!r}")
