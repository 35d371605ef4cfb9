"""The application's hooks, given as a mapping, an object or by decorators (server-api.md, Hooks)."""

import asyncio
import inspect
import logging
import math
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from chat_service.concurrency.deadlines import current_patience
from chat_service.concurrency.eager import in_task, is_being_cancelled
from chat_service.concurrency.time_limit import TimeLimit
from chat_service.errors import ChatServiceError, ConfigurationError
from chat_service.option_group import refuse_unknown
from chat_service.protocol.arguments import NO_OPTIONS
from chat_service.protocol.names import snake_case
from chat_service.types import Message, RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")

#: Hears what has been decided: the kind of event, and its facts by the names of the wire. Returns at once and
#: does not raise.
Witness = Callable[[str, Mapping[str, Any]], None]

#: A hook is a plain function or a coroutine function.
Hook = Callable[..., Any]

#: The priority of a command's hook that was given none.
PRIORITY: Final = 100


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments of a hook or listener, and when it is called."""

    arguments: str
    doc: str


#: Hooks that can be set only once.
SERVICE_HOOKS: Final[Mapping[str, Signature]] = {
    "on_connect": Signature(
        "service, socket_id",
        "Names the user of a new socket: returns `name`, `(name, auth_data)` or a `Login`. Raising rejects "
        "the login.",
    ),
    "on_refresh": Signature(
        "service, socket_id, credentials",
        "Answers `loginRefresh`: returns the new end of the login in seconds of Unix time, or a `Login` of "
        "the same user. Raising refuses the refresh; the login keeps its expiry.",
    ),
    "on_disconnect": Signature("service, info", "A socket has disconnected; `info` is a `DisconnectInfo`."),
    "on_start": Signature(
        "service", "The store and transport are up, but no client is accepted yet. Raising aborts the start."
    ),
    "on_close": Signature(
        "service, error",
        "All clients are disconnected and the store is still up. `error` is the failure so far, or None.",
    ),
    "on_join": Signature(
        "service, info",
        "A socket joined a room; `info` is a `MembershipInfo`. Raising undoes the join. Join and leave of "
        "the same socket and room never overlap.",
    ),
    "on_leave": Signature(
        "service, info",
        "A socket left a room, also by a disconnect or by lost access; `info` is a `MembershipInfo`.",
    ),
    "member_details": Signature(
        "service, user, socket_id",
        "Returns the details that a joining socket has in the room, or None. A hook that raises, or returns "
        "what `roomSetDetails` would refuse, is logged, and the socket joins without details.",
    ),
    "public_member_details": Signature(
        "details",
        "Returns what clients may see of the details of a member, or None. By default they see everything. "
        "If it raises, they see nothing, and it is logged.",
    ),
    "on_message_receive": Signature(
        "service, user, socket_id, room, message",
        "Decides what one recipient gets of a room's message, live and in histories: returns a message, or "
        "None to hide it. Raising hides it. Costly: every recipient's message is made and encoded by itself.",
    ),
    "room_messages_checker": Signature(
        "message",
        "Checks the format of room messages: raise to reject one. By default only `{textMessage}` passes.",
    ),
    "direct_messages_checker": Signature(
        "message",
        "Checks the format of direct messages: raise to reject one. By default only `{textMessage}` passes.",
    ),
}

#: Events of ``service.on`` (server-api.md, Recovery API).
EVENTS: Final[Mapping[str, Signature]] = {
    "ready": Signature("", "The service has started and clients can connect."),
    "closed": Signature(
        "error",
        "Everything is closed, also after a failed start. `error` is the failure, or None.",
    ),
    "store_consistency_failure": Signature(
        "error, info",
        "A failure may have left data in the store, which recovery removes. `info` is a `FailureInfo`.",
    ),
    "transport_consistency_failure": Signature(
        "error, info",
        "A socket may still receive from a channel it should have left. `info` is a `FailureInfo`.",
    ),
    "lock_time_exceeded": Signature(
        "lock_id, info",
        "A join or leave that others wait for takes longer than `lock_ttl`. `info` is a `FailureInfo`.",
    ),
}


@dataclass(frozen=True, slots=True)
class Login:
    """The richer return value of ``on_connect``: the user of a socket, and how long the login is valid."""

    #: The user's name.
    name: str
    #: Sent to the client with ``loginConfirmed``.
    data: Mapping[str, Any] | None = None
    #: Expiry time of the login in seconds of Unix time, or None if it does not expire. See the option
    #: ``login_expiry_notice``.
    expires_at: float | None = None
    #: Whether a new user of this name is deleted when the last socket disconnects.
    ephemeral: bool = False


def login_of(answer: Any) -> Login:
    """The result of ``on_connect``, as a ``Login``.

    Raises ``noLogin`` if it names nobody, and ``TypeError`` for anything that it may not return.
    """
    match answer:
        case None | (None, _):
            raise ChatServiceError("noLogin")
        case Login():
            return answer
        case str() as name:
            return Login(name)
        case (str() as name, None | dict() as data):
            return Login(name, data)
    raise TypeError(
        f"the on_connect hook returned {answer!r}; expected a user name, a user name and a dict, or a Login"
    )


@dataclass(slots=True)  # keywords would cost as much as the rest of its creation
class CommandCall:
    """One run of a command, as passed to its hooks."""

    #: The ``ChatService``.
    service: Any
    #: The command's wire name.
    command: str
    #: None for a server call without a user.
    user_name: str | None
    #: None for a server call without a socket.
    id: SocketId | None
    #: The declared arguments. A before hook may change them.
    args: list[Any]
    #: Arguments beyond the declared ones. The first may be an object with options.
    rest_args: list[Any]
    #: The command's options given by the caller, by their wire names; empty if none were given.
    options: Mapping[str, Any] = field(default_factory=lambda: NO_OPTIONS)
    bypass_permissions: bool = False
    bypass_hooks: bool = False
    #: True when server code made the call.
    is_local_call: bool = False
    #: Additional results requested by options; they follow the result in the ack.
    extra: tuple[Any, ...] = ()
    #: The command's results, for after hooks.
    results: list[Any] | None = None
    #: The exception that the command raised, for after hooks.
    error: Exception | None = None
    #: The message as sent, including the fields the server sets, for after hooks; None if nothing was sent.
    message: Message | None = None
    #: Whether a message was not stored because its idempotency key is remembered, for after hooks.
    duplicate: bool = False
    #: The digest of a message as the client sent it, if it has a key. For the service itself.
    digest: bytes = field(default=b"", repr=False)
    #: Called when the answer to the client is about to go out. For the service itself.
    answered: Callable[[], None] | None = field(default=None, repr=False)
    #: Free for hooks to pass data to each other.
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectInfo:
    """The argument of ``on_disconnect``."""

    id: SocketId
    user_name: UserName
    #: Number of the user's sockets still connected.
    nconnected: int
    #: Rooms that the socket was joined to.
    rooms_removed: list[RoomName]
    #: Number of the user's sockets still joined, for each of those rooms.
    joined_sockets: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipInfo:
    """The argument of ``on_join`` and ``on_leave``."""

    id: SocketId
    user_name: UserName
    #: Number of the user's sockets joined after the change.
    njoined: int
    room_name: RoomName


class CommandHooks(dict[str, list[Hook]]):
    """The before or after hooks of each command, in the order in which they run."""

    def __init__(self) -> None:
        self._priorities: dict[str, list[float]] = {}

    def insert(self, command: str, hook: Hook, priority: float) -> None:
        """Put a hook behind those with the same or a lower priority."""
        priorities = self._priorities.setdefault(command, [])
        position = bisect_right(priorities, priority)
        priorities.insert(position, priority)
        former = self.get(command, [])
        # A new list, because a command may be running through the former one.
        self[command] = [*former[:position], hook, *former[position:]]


class Hooks:
    """The hooks of one service. ``commands``: the wire names of all commands."""

    def __init__(self, source: Mapping[str, Hook | None] | object | None, commands: Iterable[str]) -> None:
        self._commands = {snake_case(name): name for name in commands}
        self._service: dict[str, Hook] = {}
        #: Seconds that a hook may take, for ``call_hook``; None for no limit.
        self.timeout: float | None = None
        #: Hears what happens, if anybody wants to know.
        self.witness: Witness | None = None
        #: Wrappers of service hooks: each takes the application's hook, or None, and returns the one to call.
        self._around: dict[str, Callable[[Hook | None], Hook | None]] = {}
        self.before = CommandHooks()
        self.after = CommandHooks()
        for name, hook in self._named(source):
            self._set(name, hook)

    def get(self, name: str) -> Hook | None:
        """One of ``SERVICE_HOOKS``, None if it is not set."""
        hook = self._service.get(name)
        return self._around[name](hook) if name in self._around else hook

    def has_own(self, name: str) -> bool:
        """Whether the application has set one of ``SERVICE_HOOKS``."""
        return name in self._service

    def checkers(self) -> dict[str, object]:
        """The application's message checkers by their names, as it has set them."""
        return {name: hook for name, hook in self._service.items() if name.endswith("_messages_checker")}

    def wrap(self, name: str, make: Callable[[Hook | None], Hook | None]) -> None:
        """Let ``make(hook)`` be called instead of one of ``SERVICE_HOOKS``, set now or later, or None.

        A later wrapper gets what the earlier one has made.
        """
        inner = self._around.get(name)
        self._around[name] = make if inner is None else lambda hook: make(inner(hook))

    def set_last_before(self, command: str, hook: Hook) -> None:
        """Add a before hook of a command that runs after all others, also those that are added later."""
        self.before.insert(command, hook, math.inf)

    def set(self, name: str, hook: Hook) -> None:
        """Set one of ``SERVICE_HOOKS``. Each can be set once."""
        refuse_unknown("event or hook", {name: None}, [*EVENTS, *SERVICE_HOOKS])
        if name in self._service:
            raise ConfigurationError(f"the {name} hook is already set")
        self._service[name] = _checked(name + " hook", hook)

    def add_command(self, command: str) -> None:
        """Hooks of this command may be added from now on. ``command``: its wire name."""
        self._commands[snake_case(command)] = command

    def has_command_hooks(self, command: str) -> bool:
        """Whether the command has hooks, which may have replaced its results."""
        return command in self.before or command in self.after

    def add_before(self, command: str, hook: Hook, priority: int = PRIORITY) -> None:
        """Add a before hook of a command, named as on the wire or in Python."""
        self._add(self.before, command, hook, f"{command} before hook", priority)

    def add_after(self, command: str, hook: Hook, priority: int = PRIORITY) -> None:
        """Add an after hook of a command, named as on the wire or in Python."""
        self._add(self.after, command, hook, f"{command} after hook", priority)

    def _add(self, hooks: CommandHooks, command: str, hook: Hook, what: str, priority: int) -> None:
        name = self._command(command)
        if type(priority) is not int:
            raise ConfigurationError(f"{what}: expected a whole number as priority, got {priority!r}")
        hooks.insert(name, _checked(what, hook), priority)

    def _command(self, name: str) -> str:
        python_name = snake_case(name)
        refuse_unknown("command", {python_name: None}, list(self._commands))
        return self._commands[python_name]

    def _known(self) -> list[str]:
        suffixes = ("_before", "_after")
        return [*SERVICE_HOOKS, *(name + suffix for name in self._commands for suffix in suffixes)]

    def _named(self, source: Mapping[str, Hook | None] | object | None) -> list[tuple[str, Any]]:
        if source is None:
            return []
        if isinstance(source, Mapping):
            mapping = cast(Mapping[str, Any], source)
            refuse_unknown("hook", mapping, self._known())
            return [(name, hook) for name, hook in mapping.items() if hook is not None]
        if isinstance(source, str | bytes | int | float | list | tuple | set):
            raise ConfigurationError(f"option hooks: expected a mapping or an object, got {source!r}")
        # An object may have other attributes, but a misspelt command hook would silently never run.
        command_like = [
            name for name in dir(source) if name.endswith(("_before", "_after")) and name[0] != "_"
        ]
        refuse_unknown("hook", dict.fromkeys(command_like), self._known())
        found = ((name, getattr(source, name, None)) for name in self._known())
        return [(name, hook) for name, hook in found if hook is not None]

    def _set(self, name: str, hook: Any) -> None:
        if name in SERVICE_HOOKS:
            self._service[name] = _checked(name + " hook", hook)
        elif name.endswith("_before"):
            self.add_before(name.removesuffix("_before"), hook)
        else:
            self.add_after(name.removesuffix("_after"), hook)


def _checked(what: str, hook: Any) -> Hook:
    if not callable(hook):
        raise ConfigurationError(f"{what}: expected a function, got {hook!r}")
    return cast(Hook, hook)


class HookCancelledError(RuntimeError):
    """A hook awaited something that was cancelled, and did not catch the ``CancelledError``."""

    def __init__(self, hook: Hook) -> None:
        super().__init__(hook)
        #: The hook that raised it.
        self.hook = hook

    def __str__(self) -> str:
        return f"something that {self.hook!r} awaited was cancelled"


async def call_hook(hook: Hook, *args: Any, limit: float | None = None) -> Any:
    """Call a plain function or a coroutine function, and return its result.

    ``limit``: seconds that a coroutine may take; then it is cancelled, and ``timeout`` is raised.

    Unless the calling task itself is being cancelled, a ``CancelledError`` from the hook becomes a
    ``HookCancelledError``: it would otherwise end the caller silently.

    Time spent in the hook does not count toward the time that the command has for the store.
    """
    patience = current_patience.get()
    suspended = 0.0 if patience is None else patience.suspend()
    try:
        result = hook(*args)
        if inspect.isawaitable(result):
            # The hook may use timeouts, which need a task.
            await in_task()
            return await (result if limit is None else _within(limit, hook, result))
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        raise HookCancelledError(hook) from error
    finally:
        if patience is not None:
            patience.resume(suspended)
    return result


async def _within(limit: float, hook: Hook, answer: Awaitable[Any]) -> Any:
    waiting = TimeLimit(limit)
    try:
        return await waiting.wait_for(answer)
    except TimeoutError as error:
        if not waiting.is_over:
            raise
        logger.warning("%r was cancelled: it took longer than %s s", hook, limit)
        raise ChatServiceError("timeout") from error


def as_results(value: Any) -> list[Any]:
    """A hook's or handler's return value as ack values: the items of a list or tuple, or a single value."""
    return list(cast(Sequence[Any], value)) if isinstance(value, list | tuple) else [value]
