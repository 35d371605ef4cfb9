"""Hooks of the application, from a mapping, an object or decorators (server-api.md, Hooks)."""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from chat_service.eager import in_task, is_being_cancelled
from chat_service.errors import ConfigurationError
from chat_service.options import refuse_unknown
from chat_service.protocol.names import snake_case
from chat_service.types import Message, RoomName, SocketId, UserName

#: A hook is a plain function or a coroutine function.
Hook = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a hook or a listener is called with, and when."""

    arguments: str
    doc: str


#: Hooks of which there is one at most.
SERVICE_HOOKS: Final[Mapping[str, Signature]] = {
    "on_connect": Signature(
        "service, socket_id",
        "Names the user of a new socket: returns a name, or `(name, auth_data)`. Raising rejects the login.",
    ),
    "on_disconnect": Signature("service, info", "A socket has gone; `info` is a `DisconnectInfo`."),
    "on_start": Signature(
        "service", "Store and transport are up, no client is accepted yet. Raising aborts the start."
    ),
    "on_close": Signature(
        "service, error",
        "The clients are gone, the store is still up. `error` is what went wrong until now, or None.",
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
    "room_messages_checker": Signature(
        "message", "Decides the format of room messages: any object passes that it does not raise for."
    ),
    "direct_messages_checker": Signature(
        "message", "Decides the format of direct messages: any object passes that it does not raise for."
    ),
}

#: Events of ``service.on`` (server-api.md, Recovery API).
EVENTS: Final[Mapping[str, Signature]] = {
    "ready": Signature("", "The service has started, clients can connect."),
    "closed": Signature(
        "error",
        "Everything is closed, also after a start that failed. `error` is what went wrong, or None.",
    ),
    "store_consistency_failure": Signature(
        "error, info",
        "The store may hold leftovers of a socket; recovery removes them. `info` is a `FailureInfo`.",
    ),
    "transport_consistency_failure": Signature(
        "error, info",
        "A socket may still be in a channel that it should not be in. `info` is a `FailureInfo`.",
    ),
    "lock_time_exceeded": Signature(
        "lock_id, info",
        "A join or leave, which others wait for, takes longer than `lock_ttl`. `info` is a `FailureInfo`.",
    ),
}


@dataclass(slots=True, kw_only=True)
class CommandCall:
    """One run of a command, as its hooks see it."""

    #: The ``ChatService``.
    service: Any
    #: The command's wire name.
    command: str
    #: None when the server calls and names no user.
    user_name: str | None
    #: The socket, None for a server call without one.
    id: SocketId | None
    #: The declared arguments; a before hook may change them.
    args: list[Any]
    #: Arguments past the declared ones.
    rest_args: list[Any]
    bypass_permissions: bool = False
    bypass_hooks: bool = False
    #: True when server code made the call.
    is_local_call: bool = False
    #: What the command returned, for after hooks.
    results: list[Any] | None = None
    #: What the command raised, for after hooks.
    error: Exception | None = None
    #: The message as it was sent, with what the server sets, for after hooks of messages that succeeded.
    message: Message | None = None
    #: For hooks to pass data on.
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectInfo:
    """What ``on_disconnect`` gets: the socket that has gone and what it left behind."""

    id: SocketId
    user_name: UserName
    #: Sockets of the user that are still connected.
    nconnected: int
    #: Rooms that the socket was joined to.
    rooms_removed: list[RoomName]
    #: For each of those rooms, the user's sockets that are still joined.
    joined_sockets: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipInfo:
    """What ``on_join`` and ``on_leave`` get: whose socket has joined or left which room."""

    id: SocketId
    user_name: UserName
    #: Sockets of the user that are joined now; a join counts itself.
    njoined: int
    room_name: RoomName


class Hooks:
    """The hooks of one service. ``commands``: the wire names of all commands."""

    def __init__(self, source: Mapping[str, Hook | None] | object | None, commands: Iterable[str]) -> None:
        self._commands = {snake_case(name): name for name in commands}
        self._service: dict[str, Hook] = {}
        self.before: dict[str, list[Hook]] = {}
        self.after: dict[str, list[Hook]] = {}
        for name, hook in self._named(source):
            self._set(name, hook)

    def get(self, name: str) -> Hook | None:
        """One of ``SERVICE_HOOKS``, None when the application has none."""
        return self._service.get(name)

    def set(self, name: str, hook: Hook) -> None:
        """Set one of ``SERVICE_HOOKS`` that is not set yet."""
        refuse_unknown("event or hook", {name: None}, [*EVENTS, *SERVICE_HOOKS])
        if name in self._service:
            raise ConfigurationError(f"the {name} hook is set already")
        self._service[name] = _checked(name + " hook", hook)

    def has_command_hooks(self, command: str) -> bool:
        """Whether a before or after hook may have made the results of a command."""
        return command in self.before or command in self.after

    def add_before(self, command: str, hook: Hook) -> None:
        """Add a before hook of a command, given by its wire name or its Python name."""
        self.before.setdefault(self._command(command), []).append(_checked(command + " before hook", hook))

    def add_after(self, command: str, hook: Hook) -> None:
        """Add an after hook of a command, given by its wire name or its Python name."""
        self.after.setdefault(self._command(command), []).append(_checked(command + " after hook", hook))

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
        # An object may have attributes of its own, but a misspelt command hook would never run.
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
    """Something that a hook waited for was cancelled, and the hook let the ``CancelledError`` out."""

    def __init__(self, hook: Hook) -> None:
        super().__init__(hook)
        #: The hook that the cancellation came out of.
        self.hook = hook

    def __str__(self) -> str:
        return f"something that {self.hook!r} waited for was cancelled"


async def call_hook(hook: Hook, *args: Any) -> Any:
    """Call a plain function or a coroutine function, and return its result.

    A ``CancelledError`` that the hook lets out would end the caller silently: it is raised as
    ``HookCancelledError``. Only the cancellation of the calling task passes as it is.
    """
    try:
        result = hook(*args)
        if inspect.isawaitable(result):
            # It may use time-outs, which need one.
            await in_task()
            return await result
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        raise HookCancelledError(hook) from error
    return result


def as_results(value: Any) -> list[Any]:
    """What a hook or bound handler returned, as ack values: those of a list or tuple, else one value."""
    return list(cast(Sequence[Any], value)) if isinstance(value, list | tuple) else [value]
