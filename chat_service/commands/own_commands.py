"""Commands of the application itself: rows that ``service.command`` adds to those of the command table."""

import inspect
import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from chat_service.commands.spec import Command
from chat_service.commands.table import COMMANDS, RESERVED_NAMES
from chat_service.domain.context import Context
from chat_service.errors import ConfigurationError
from chat_service.hooks import CommandCall, Hook, call_hook
from chat_service.option_group import refuse_unknown
from chat_service.protocol.arguments import (
    ANY_DATA,
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    ROOM_NAME,
    TEXT,
    USER_NAME,
    USER_NAMES,
    Argument,
    ArgumentType,
)
from chat_service.protocol.names import snake_case
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.protocol.values import MAX_DEPTH, count_binary

#: The types of arguments and results by the names that applications use.
TYPES: Final[Mapping[str, ArgumentType]] = {
    "boolean": FLAG,
    "data": ANY_DATA,
    "integer": INTEGER,
    "number": NUMBER,
    "object": OBJECT,
    "room": ROOM_NAME,
    "text": TEXT,
    "user": USER_NAME,
    "users": USER_NAMES,
}
#: Event names reserved by Socket.IO.
RESERVED_EVENTS: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
_EVENTS: Final = frozenset(row.name for row in NOTIFICATIONS)
# Names become methods and parameters in both clients.
_is_camel_case = re.compile("[a-z][a-zA-Z0-9]{0,63}").fullmatch


def make_row(
    name: str,
    function: Hook,
    arguments: Mapping[str, str | ArgumentType],
    *,
    result: str | ArgumentType = "data",
    doc: str | None = None,
    errors: Sequence[str] = (),
) -> Command:
    """The row of a command that calls ``function(call, *args)``.

    ``result``, ``doc`` and ``errors`` only describe it. Raises ``ConfigurationError``.
    """
    _check_name("command", name)
    if name in RESERVED_EVENTS:
        raise ConfigurationError(f"command {name}: the name is reserved by Socket.IO")
    if name in _EVENTS:
        raise ConfigurationError(f"command {name}: the service sends an event of this name")
    if name in RESERVED_NAMES:
        raise ConfigurationError(f"command {name}: the name is reserved for a later version")
    declared = tuple(_argument(name, argument, kind) for argument, kind in arguments.items())
    returned = _type(f"command {name}, result", result)
    if not callable(function):
        raise ConfigurationError(f"command {name}: expected a function, got {function!r}")
    _check_parameters(name, function, declared)
    text = doc or inspect.getdoc(function) or "A command of the application."
    return Command(
        name=name,
        arguments=declared,
        result=returned.doc,
        result_type=returned.typescript,
        result_python=returned.python,
        who="decided by the application",
        doc=" ".join(text.split()),
        errors=tuple(errors),
        handler=_handler(name, function),
    )


def add(context: Context, row: Command) -> None:
    """Add a row to the commands of a service. Raises ``ConfigurationError`` if its name is taken."""
    taken = {known.python_name: known.name for known in context.commands.values()}
    other = taken.get(row.python_name)
    if other is not None:
        raise ConfigurationError(f"command {row.name}: there is a command {other} already")
    context.commands[row.name] = row
    context.hooks.add_command(row.name)
    context.counters.client_commands.add(row.name)
    context.counters.server_commands.add(row.name)


def own_rows(context: Context) -> tuple[Command, ...]:
    """The rows that the application has added, by name."""
    return tuple(row for name, row in sorted(context.commands.items()) if name not in COMMANDS)


def _check_name(what: str, name: Any) -> None:
    if not isinstance(name, str) or not _is_camel_case(name) or keyword.iskeyword(snake_case(name)):
        raise ConfigurationError(
            f"{what} {name!r}: expected a name in camel case, of up to 64 letters and digits, that is not a "
            "keyword of Python"
        )


def _argument(command: str, name: str, kind: str | ArgumentType) -> Argument:
    what = f"command {command}, argument"
    _check_name(what, name)
    return Argument(name, _type(f"{what} {name}", kind))


def _type(what: str, kind: str | ArgumentType) -> ArgumentType:
    if isinstance(kind, ArgumentType):
        return kind
    if not isinstance(kind, str):
        raise ConfigurationError(f"{what}: expected the name of a type or an ArgumentType, got {kind!r}")
    refuse_unknown(f"type ({what})", {kind: None}, list(TYPES))
    return TYPES[kind]


def _check_parameters(name: str, function: Hook, declared: Sequence[Argument]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some built-in functions have no signature.
        return
    try:
        signature.bind(None, *declared)
    except TypeError as error:
        raise ConfigurationError(
            f"command {name}: {function!r} does not take the call and {len(declared)} arguments: {error}"
        ) from None


def _handler(name: str, function: Hook) -> Any:
    async def run(context: Context, call: CommandCall, *args: Any) -> Any:
        result = await call_hook(function, call, *args, limit=context.hooks.timeout)
        found, limit = count_binary(result, MAX_DEPTH), context.limits.attachments
        if found is None:
            raise TypeError(f"the command {name} returned a value that cannot be sent: {result!r}")
        if found > limit:
            raise TypeError(f"the command {name} returned {found} binary values; max_attachments is {limit}")
        return result

    return run
