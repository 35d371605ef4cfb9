"""The rows of the command table, and helpers shared by handlers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat_service.contracts.records import Actor
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.protocol.arguments import (
    LIST_NAME,
    MESSAGE,
    MODE,
    NEW_ROOM_NAME,
    ROOM_NAME,
    USER_NAME,
    USER_NAMES,
    Argument,
    CommandOption,
)
from chat_service.protocol.names import snake_case
from chat_service.types import UserName

#: ``handler(context, call, *args)``; its parameters are named like the command's arguments, in snake case.
Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraResult:
    """A value that follows the result in the ack if the caller's options request it."""

    name: str
    #: Its TypeScript type.
    type: str
    #: What it contains, and when it is present.
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: the single definition of its name, arguments, result, errors and documentation."""

    name: str
    arguments: tuple[Argument, ...]
    #: The ack's data in words, and as a TypeScript type ("null" if there is no result).
    result: str
    result_type: str
    who: str
    doc: str
    #: Error codes of this command besides those of every command (``COMMON_ERRORS``).
    errors: tuple[str, ...]
    handler: Handler
    #: A handler for a command that runs together with the next ones of its socket and room. It has the
    #: ``Party`` as its third argument.
    together: Handler | None = None
    #: Fields of the optional options object after the declared arguments.
    options: tuple[CommandOption, ...] = ()
    #: Called before hooks; it may raise an error that refuses the call, such as ``rateLimited``.
    admit: Callable[[Any, CommandCall], None] | None = None
    #: Called before hooks if the caller passed options.
    prepare: Callable[[CommandCall], None] | None = None
    #: The values that the handler puts into ``call.extra`` if an option requests them.
    extra: ExtraResult | None = None
    #: The command requires a user.
    needs_user: bool = False
    #: Server calls must name a socket.
    needs_socket: bool = False
    #: The hook that checks the format of the message argument, if set.
    checker: str | None = None
    #: The result as a Python type, of an application's own command.
    result_python: str = "Any"
    #: The position of that argument.
    format_at: int = field(init=False)
    #: The position of the first argument that is a room's name, -1 if there is none.
    room_at: int = field(init=False)
    #: Whether the first argument is a room's name, so that commands are ordered per socket and room.
    takes_room: bool = field(init=False)

    def __post_init__(self) -> None:
        kinds = [argument.type for argument in self.arguments]
        object.__setattr__(self, "format_at", kinds.index(MESSAGE) if MESSAGE in kinds else -1)
        rooms = [at for at, kind in enumerate(kinds) if kind in (ROOM_NAME, NEW_ROOM_NAME)]
        object.__setattr__(self, "room_at", rooms[0] if rooms else -1)
        object.__setattr__(self, "takes_room", self.room_at == 0)

    def room_in(self, args: Sequence[Any]) -> str | None:
        """The name of the room that a call is about, None if there is none. ``args``: as they were sent."""
        room = args[self.room_at] if 0 <= self.room_at < len(args) else None
        return room if isinstance(room, str) else None

    @property
    def python_name(self) -> str:
        """The name in snake case, as in hook names."""
        return snake_case(self.name)

    @property
    def options_type(self) -> str:
        """The name of the TypeScript type of its options object."""
        return f"{self.name[0].upper()}{self.name[1:]}Options"


#: Error codes of every command.
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
    """The caller of the command, for the store."""
    name = None if call.user_name is None else UserName(call.user_name)
    # Calls of the server on behalf of a user go on after a ban.
    # Half the cost of a call of the class.
    return tuple.__new__(Actor, (name, call.bypass_permissions, not call.is_local_call))


def user_of(call: CommandCall) -> UserName:
    """The user of a command that requires one. Raises ``noLogin``."""
    if call.user_name is None:
        raise ChatServiceError("noLogin")
    return UserName(call.user_name)


BODY = Argument("message", MESSAGE)
LIST = Argument("listName", LIST_NAME)
NEW_ROOM = Argument("roomName", NEW_ROOM_NAME)
ROOM = Argument("roomName", ROOM_NAME)
USER = Argument("userName", USER_NAME)
USERS = Argument("userNames", USER_NAMES)
WHITELIST_MODE = Argument("mode", MODE)

NOTHING = "nothing"
READERS = "joined users and admins"
READ_ERRORS = ("invalidName", "noRoom", "notJoined")
