"""The base of option groups: it checks values, and its errors name the group and the option."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from chat_service.errors import ConfigurationError
from chat_service.redaction import repr_of


class OptionGroup:
    """Base of the frozen dataclasses whose fields are the options of one component."""

    __slots__ = ()

    #: The name of the group in error texts.
    group: ClassVar[str]
    #: Options whose values must not appear in error texts.
    hidden: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        return repr_of(self)

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> Self:
        """Create options from a mapping. An unknown name raises ``ConfigurationError``."""
        refuse_unknown(cls.group, options, [item.name for item in fields(cls)])  # type: ignore[arg-type]
        return cls(**options)

    def check(self, name: str, is_good: bool, expected: str) -> None:
        """Raise ``ConfigurationError`` unless the option's value is good."""
        if not is_good:
            shown = "another value" if name in self.hidden else repr(getattr(self, name))
            raise self.error(f"expected {expected}, got {shown}", name)

    def check_seconds(self, *names: str) -> None:
        """Raise ``ConfigurationError`` unless all these options are positive times in seconds."""
        for name in names:
            self.check(name, is_seconds(getattr(self, name)), "seconds, more than 0")

    def check_count(self, expected: str, *names: str) -> None:
        """Raise ``ConfigurationError`` unless all these options are positive whole numbers."""
        for name in names:
            value = getattr(self, name)
            self.check(name, type(value) is int and value > 0, f"{expected}, more than 0")

    def check_numbers(self, *, besides: str = "") -> None:
        """Raise ``ConfigurationError`` unless all fields of type int and float, one aside, are positive."""
        for item in fields(self):  # type: ignore[arg-type]
            if item.type is int and item.name != besides:
                self.check_count("a whole number", item.name)
            elif item.type is float:
                self.check_seconds(item.name)

    def error(self, text: str, name: str = "") -> ConfigurationError:
        """An error about the group or one of its options."""
        return ConfigurationError(f"{self.group} {name}: {text}" if name else f"{self.group}: {text}")


def refuse_unknown(what: str, given: Mapping[str, Any], known: list[str]) -> None:
    """Raise ``ConfigurationError`` for the first unknown name, suggesting the closest known one."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"
            raise ConfigurationError(f"unknown {what} {name}{hint}")


def is_finite_number(value: Any) -> bool:
    """Whether a value is a finite int or float. A bool is not a number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_seconds(value: Any) -> bool:
    """Whether a value is a time in seconds, more than 0."""
    return is_finite_number(value) and value > 0


def is_text(value: Any) -> bool:
    """Whether a value is a non-empty string."""
    return isinstance(value, str) and bool(value)
