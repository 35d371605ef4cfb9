"""Checks of the arguments that server code passes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chat_service.commands.spec import Command
from chat_service.errors import ChatServiceError, ConfigurationError
from chat_service.option_checks import MAX_TTL
from chat_service.option_group import is_finite_number, refuse_unknown

#: The context of ``exec_user_command``.
CallContext = str | bool | Mapping[str, Any]

_CONTEXT_KEYS = ["bypass_hooks", "bypass_permissions", "id", "user_name"]


def call_fields(context: CallContext) -> Mapping[str, Any]:
    """The fields of the context of ``exec_user_command``. Raises ``ConfigurationError``."""
    if isinstance(context, bool):
        return {"bypass_permissions": context}
    if isinstance(context, str):
        return {"user_name": context}
    if isinstance(context, Mapping):
        refuse_unknown("context field", context, _CONTEXT_KEYS)
        return context
    raise ConfigurationError(f"context: expected a user name, True or a mapping, got {context!r}")


def with_options(command: Command, args: tuple[Any, ...], options: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arguments as a client would send them."""
    if not command.options:
        raise ConfigurationError(f"{command.name} has no options")
    refuse_unknown(f"option of {command.name}", options, [option.name for option in command.options])
    count = len(command.arguments)
    return (*args[:count], dict(options), *args[count:]) if options and len(args) >= count else args


@contextmanager
def passing(code: str | None) -> Iterator[None]:
    """Suppress errors with the given code."""
    try:
        yield
    except ChatServiceError as error:
        if error.code != code:
            raise


def flag(name: str, value: Any) -> bool:
    """Raises ``TypeError`` unless the value is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return value


def whole_number(name: str, value: Any, minimum: int) -> int:
    """Raises ``ValueError`` unless the value is a whole number of at least ``minimum``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name}: expected a whole number, {minimum} or more, got {value!r}")
    return value


def ttl(name: str, value: Any) -> float | None:
    """A time in seconds, None for 0 and None. Raises ``ValueError`` for anything else."""
    if value is None:
        return None
    if not is_finite_number(value) or not 0 <= value <= MAX_TTL:
        raise ValueError(f"{name}: expected seconds from 0 to {MAX_TTL} or None, got {value!r}")
    return float(value) or None
