"""Runs commands, for clients and for server code alike.

``Execution`` surrounds a command with logging, counters and a span. Inside it, ``run_command`` checks the
arguments and calls before hooks, handler and after hooks (server-api.md, Hooks).
"""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, Final

from chat_service.commands.conversations import check_party
from chat_service.commands.spec import Command
from chat_service.concurrency.deadlines import Patience, current_patience
from chat_service.concurrency.eager import is_being_cancelled
from chat_service.concurrency.serial import Hold, Party
from chat_service.domain.context import Context
from chat_service.domain.sessions import Session
from chat_service.errors import ChatServiceError, StoreTimeoutError
from chat_service.hooks import CommandCall, Hook, as_results, call_hook
from chat_service.protocol.arguments import NO_OPTIONS, Limits, check_types, parse_options
from chat_service.telemetry import CommandCounters, scope
from chat_service.types import SocketId

#: What ``Execution.end`` gets of a command that ended neither with a result nor with an error of its own.
UNFINISHED: Final[BaseException | None] = asyncio.CancelledError()


class Execution:
    """A running command or custom event of a client or of server code, from its creation until ``end``.

    Log records in between are attributed to the command. At the end the command is counted, and with tracing
    it has a span. ``owner``: the name of the user, or the session that knows it.
    """

    __slots__ = ("_context", "_counters", "_name", "_span", "_token", "begun")

    def __init__(
        self,
        context: Context,
        counters: CommandCounters,
        name: str,
        owner: Session | str | None,
        socket_id: SocketId | None,
        args: Sequence[Any],
    ) -> None:
        self._context = context
        self._counters = counters
        self._name = name
        self._span: Any = None
        #: Start time, by ``perf_counter``.
        self.begun = perf_counter()
        known = (context, owner, socket_id, name, args)
        self._token = scope.set(known)
        if context.tracing is not None:
            is_client = counters is context.counters.client_commands
            self._span = context.tracing.start(known, is_client=is_client)

    def end(self, error: BaseException | None) -> None:
        """``error``: None after a success."""
        if self._span is not None:
            self._span.end(error)
        scope.reset(self._token)
        if error is None:
            self._counters.succeeded(self._name, self.begun)
        elif isinstance(error, Exception) or not (error is UNFINISHED or is_being_cancelled()):
            self._counters.failed(self._name, self.begun, error)

    def __enter__(self) -> "Execution":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(error)


def find_command(context: Context, name: Any) -> Command:
    """Raises ``noCommand``."""
    command: Command | None = context.commands.get(name) if isinstance(name, str) else None
    if command is None:
        raise ChatServiceError("noCommand", name)
    return command


def make_call(
    context: Context,
    command: Command,
    args: Sequence[Any],
    user_name: str | None,
    socket_id: SocketId | None,
    *,
    bypass_permissions: bool = False,
    bypass_hooks: bool = False,
    is_local_call: bool = False,
) -> CommandCall:
    """Split arguments into the declared ones and the rest."""
    count = len(command.arguments)
    return CommandCall(
        context.service,
        command.name,
        user_name,
        socket_id,
        list(args[:count]),
        list(args[count:]),
        NO_OPTIONS,
        bypass_permissions,
        bypass_hooks,
        is_local_call,
    )


async def run_command(context: Context, command: Command, call: CommandCall) -> list[Any]:
    """Run a command and return its results: the ack's data, and further values from hooks.

    Raises what the command or a hook raised. Commands of one socket for one room run in the order in which
    this function is called. The time for the store counts from the call and includes any waiting.
    """
    mine = outer = hold = party = None
    if context.store_timeout is not None:
        outer, mine = current_patience.get(), Patience(context.store_timeout)
        current_patience.set(mine)
    work = context.running.begin(command.name)
    try:
        if command.takes_room and call.id is not None and call.args and isinstance(call.args[0], str):
            hold = Hold(context.serial, (call.id, call.args[0]))
            if not hold.enter_at_once():
                excused, party = await hold.enter(is_sociable=_may_run_together(context, command, call))
                if mine is not None:
                    mine.until += excused
                    if mine.left <= 0:
                        raise StoreTimeoutError(f"{command.name} has waited too long for its turn")
            elif hold.key in context.serial.sociable and _may_run_together(context, command, call):
                party = context.serial.open_party(hold.key)
        return await _run(context, command, call, hold, party)
    finally:
        if hold is not None:
            hold.leave(0.0 if mine is None else mine.excused)
        context.running.finish(command.name, work)
        if mine is not None:
            current_patience.set(outer)


def _may_run_together(context: Context, command: Command, call: CommandCall) -> bool:
    """Whether a command may run together with the next ones of its socket and room.

    It may wait only for the store, and must not need more of it than the others do.
    """
    hooks = context.hooks
    return (
        command.together is not None
        # Sending to a conversation depends on the other user.
        and ":" not in call.args[0]
        and context.sends_together is not None
        and not (call.rest_args or call.is_local_call or context.rates.messages)
        and not context.options.mentions_limit
        and not hooks.has_command_hooks(command.name)
        and (command.checker is None or hooks.get(command.checker) is None)
    )


async def _run(
    context: Context, command: Command, call: CommandCall, hold: Hold | None, party: Party | None
) -> list[Any]:
    """``hold``: of the room, for the socket of the call. ``party``: the commands with which it is held."""
    anonymous = call.is_local_call and call.user_name is None
    limits = context.trusted_limits if call.bypass_permissions else context.limits
    checker = check_arguments_but_format(context, command, call.args, limits, anonymous)
    if command.takes_room and ":" in call.args[0]:
        check_party(call, call.args[0])
    if command.admit is not None:
        command.admit(context, call)
    if call.rest_args and command.options:
        _take_options(context, command, call)
    if checker is not None:
        await _check_format(context, checker, call.args[command.format_at], anonymous=anonymous)
    hooks, moved = context.hooks, None
    if not call.bypass_hooks and command.name in hooks.before:
        for hook in hooks.before[command.name]:
            answer = await _call_before(context, command, call, hook)
            if answer is not None:
                return as_results(answer)
        if hold is not None and (call.id, call.args[0]) != hold.key:
            # A hook has changed the room.
            moved = Hold(context.serial, (call.id, call.args[0]))
            if not moved.enter_at_once():
                await moved.enter()
    try:
        try:
            if party is None or command.together is None:
                call.results = [await command.handler(context, call, *call.args)]
            else:
                call.results = [await command.together(context, call, party, *call.args)]
            if call.extra:
                call.results += call.extra
        except Exception as error:
            call.error = error
        if not call.bypass_hooks and command.name in hooks.after:
            for hook in hooks.after[command.name]:
                await _call_after(context, call, hook)
    finally:
        if moved is not None:
            moved.leave()
    if call.error is not None:
        raise call.error
    return call.results or [None]


def _take_options(context: Context, command: Command, call: CommandCall) -> None:
    position = len(command.arguments)
    call.options = parse_options(command.options, position, call.rest_args[0], context.limits)
    if command.prepare is not None:
        command.prepare(call)


async def _call_before(context: Context, command: Command, call: CommandCall, hook: Hook) -> Any:
    answer = await call_hook(hook, call, limit=context.hooks.timeout)
    if answer is None:
        try:
            if type(call.args) is not list or len(call.args) != len(command.arguments):
                raise ChatServiceError("wrongArgumentsCount", len(command.arguments), call.args)
            # A hook may send messages in its own format.
            check_types(command.arguments, call.args, context.trusted_limits, True)
        except ChatServiceError as error:
            raise TypeError(f"a before hook of {command.name} left bad arguments: {error}") from error
    return answer


async def _call_after(context: Context, call: CommandCall, hook: Hook) -> None:
    try:
        answer = await call_hook(hook, call, limit=context.hooks.timeout)
    except Exception as error:
        call.error, call.results = error, None
        return
    if answer is not None:
        call.error, call.results = None, as_results(answer)


async def check_arguments(
    context: Context, command: Command, args: Sequence[Any], *, anonymous: bool = False
) -> None:
    """Raise the error for the first invalid argument of a command.

    ``anonymous``: the message may contain its author, because no user sends it.
    """
    checker = check_arguments_but_format(context, command, args, context.limits, anonymous)
    count = len(command.arguments)
    if len(args) > count:
        parse_options(command.options, count, args[count], context.limits)
    if checker is not None:
        await _check_format(context, checker, args[command.format_at], anonymous=anonymous)


async def _check_format(context: Context, checker: Hook, message: Any, *, anonymous: bool) -> None:
    # The author is not part of the format, but may be present if no user sends the message.
    checked = _without_author(message) if anonymous else message
    await call_hook(checker, checked, limit=context.hooks.timeout)


def check_arguments_but_format(
    context: Context,
    command: Command,
    args: Sequence[Any],
    limits: Limits,
    anonymous: bool,
) -> Hook | None:
    """Like ``check_arguments``, but leaves the hook that checks the message's format to the caller."""
    checker = None if command.checker is None else context.hooks.get(command.checker)
    if anonymous and checker is None and command.checker is not None and len(args) > command.format_at:
        args = list(args)
        args[command.format_at] = _without_author(args[command.format_at])
    check_types(command.arguments, args, limits, checker is not None)
    return checker


def _without_author(message: Any) -> Any:
    if isinstance(message, dict) and isinstance(message.get("author"), str):
        return {key: value for key, value in message.items() if key != "author"}
    return message
