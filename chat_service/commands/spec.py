"""What a row of the command table holds, and what handlers share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from chat_service.contracts.records import Actor
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.protocol.arguments import MESSAGE, Argument, CommandOption
from chat_service.protocol.names import snake_case
from chat_service.types import UserName

#: ``handler(context, call, *args)``; its parameters are named as the command's arguments, in snake case.
Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraResult:
    """A value that follows the result in the ack, for callers whose options asked for it."""

    name: str
    #: Its TypeScript type.
    type: str
    #: What it is, and when it is present.
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: the only place where its name, arguments, result, errors and doc stand."""

    name: str
    arguments: tuple[Argument, ...]
    #: What the ack's data is, in words, and as a TypeScript type ("null" when there is no result).
    result: str
    result_type: str
    who: str
    doc: str
    #: Codes that this command can answer with, besides those that every command can (``COMMON_ERRORS``).
    errors: tuple[str, ...]
    handler: Handler
    #: Fields of the options object that a caller may add after the declared arguments.
    options: tuple[CommandOption, ...] = ()
    #: Called before hooks for a call that has such an object.
    prepare: Callable[[CommandCall], None] | None = None
    #: What the handler puts into ``call.extra`` when an option asks for it.
    extra: ExtraResult | None = None
    #: Means nothing without a user.
    needs_user: bool = False
    #: Server calls must name a socket.
    needs_socket: bool = False
    #: The hook that decides the format of the argument which is a message, if one is set.
    checker: str | None = None
    #: Where that argument is.
    format_at: int = field(init=False)
    #: Whether the first argument is a room's name, so that its order per socket and room matters.
    takes_room: bool = field(init=False)

    def __post_init__(self) -> None:
        kinds = [argument.type for argument in self.arguments]
        object.__setattr__(self, "format_at", kinds.index(MESSAGE) if MESSAGE in kinds else -1)
        takes_room = bool(self.arguments) and self.arguments[0].name == "roomName"
        object.__setattr__(self, "takes_room", takes_room)

    @property
    def python_name(self) -> str:
        """The name in snake case, as in hook names."""
        return snake_case(self.name)

    @property
    def options_type(self) -> str:
        """The name of the TypeScript type of its options object."""
        return f"{self.name[0].upper()}{self.name[1:]}Options"


#: Codes that every command can answer with.
COMMON_ERRORS = (
    "badArgument",
    "internalError",
    "noLogin",
    "noUser",
    "rateLimited",
    "timeout",
    "wrongArgumentsCount",
)


def actor_of(call: CommandCall) -> Actor:
    """Who runs the command, for the store."""
    name = None if call.user_name is None else UserName(call.user_name)
    return Actor(name=name, bypass=call.bypass_permissions)


def user_of(call: CommandCall) -> UserName:
    """The user of a command that needs one. Raises ``noLogin``."""
    if call.user_name is None:
        raise ChatServiceError("noLogin")
    return UserName(call.user_name)
