"""Runs commands, for clients and for server code alike.

``Execution`` surrounds a command with logging, counters and a span. Inside it, ``run_command`` checks the
arguments and calls before hooks, handler and after hooks (server-api.md, Hooks).
"""

from collections.abc import Sequence
from time import perf_counter
from types import TracebackType
from typing import Any

from chat_service.commands.conversations import check_party
from chat_service.commands.spec import Command
from chat_service.concurrency.deadlines import Patience, current_patience
from chat_service.concurrency.serial import Party
from chat_service.domain.context import Context
from chat_service.domain.sessions import Session
from chat_service.errors import ChatServiceError, StoreTimeoutError
from chat_service.hooks import CommandCall, Hook, as_results, call_hook
from chat_service.protocol.arguments import NO_OPTIONS, Limits, check_count, check_types, parse_options
from chat_service.telemetry import CommandCounters, scope
from chat_service.types import SocketId


class Execution:
    """A context manager around a command or custom event of a client or of server code.

    Log records inside it are attributed to the command. At the end the command is counted, and with tracing
    it has a span. ``owner``: the name of the user, or the session that knows it.
    """

    __slots__ = ("_context", "_counters", "_name", "_scope", "_span", "_token", "begun", "error")

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
        self._scope = (context.instance_id, owner, socket_id, name, args)
        self._span: Any = None
        #: The error, to be set if it is not raised out of the block.
        self.error: BaseException | None = None

    def __enter__(self) -> "Execution":
        #: Start time, by ``perf_counter``.
        self.begun = perf_counter()
        self._token = scope.set(self._scope)
        context = self._context
        if context.tracing is not None:
            is_client = self._counters is context.counters.client_commands
            self._span = context.tracing.start(self._scope, is_client=is_client)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure = error or self.error
        if self._span is not None:
            self._span.end(failure)
        scope.reset(self._token)
        if failure is None:
            self._counters.succeeded(self._name, self.begun)
        elif isinstance(failure, Exception) or self.error is not None:
            self._counters.failed(self._name, self.begun, failure)


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
    *,
    user_name: str | None,
    socket_id: SocketId | None,
    bypass_permissions: bool = False,
    bypass_hooks: bool = False,
    is_local_call: bool = False,
) -> CommandCall:
    """Split arguments into the declared ones and the rest."""
    count = len(command.arguments)
    return CommandCall(
        service=context.service,
        command=command.name,
        user_name=user_name,
        id=socket_id,
        args=list(args[:count]),
        rest_args=list(args[count:]),
        options=NO_OPTIONS,
        bypass_permissions=bypass_permissions,
        bypass_hooks=bypass_hooks,
        is_local_call=is_local_call,
    )


async def run_command(context: Context, command: Command, call: CommandCall) -> list[Any]:
    """Run a command and return its results: the ack's data, and further values from hooks.

    Raises what the command or a hook raised. Commands of one socket for one room run in the order in which
    this function is called. The time for the store counts from the call and includes any waiting.
    """
    mine = outer = None
    if context.store_timeout is not None:
        outer, mine = current_patience.get(), Patience(context.store_timeout)
        current_patience.set(mine)
    try:
        with context.running.track(command.name):
            room = call.args[0] if call.args and command.takes_room else None
            if call.id is None or not isinstance(room, str):
                return await _run(context, command, call, None)
            party = None
            hold = context.serial.hold((call.id, room))
            if not hold.enter_at_once():
                excused, party = await hold.enter(is_sociable=_may_run_together(context, command, call))
                if mine is not None:
                    mine.until += excused
            elif hold.key in context.serial.sociable and _may_run_together(context, command, call):
                party = context.serial.open_party(hold.key)
            try:
                if mine is not None and mine.left <= 0:
                    raise StoreTimeoutError(f"{command.name} has waited too long for its turn")
                return await _run(context, command, call, room, party)
            finally:
                hold.leave(0.0 if mine is None else mine.excused)
    finally:
        if mine is not None:
            current_patience.set(outer)


def _may_run_together(context: Context, command: Command, call: CommandCall) -> bool:
    """Whether a command may run together with the next ones of its socket and room.

    It may wait only for the store, and must not need more of it than the others do.
    """
    hooks = context.hooks
    return (
        command.together is not None
        # What is sent to a conversation depends on the other user.
        and ":" not in call.args[0]
        and context.sends_together is not None
        and not (call.rest_args or call.is_local_call or context.rates.messages)
        and not context.options.mentions_limit
        and not hooks.has_command_hooks(command.name)
        and (command.checker is None or hooks.get(command.checker) is None)
    )


async def _run(
    context: Context, command: Command, call: CommandCall, held: str | None, party: Party | None = None
) -> list[Any]:
    """``held``: the room held for the socket of the call. ``party``: the commands with which it is held."""
    anonymous = call.is_local_call and call.user_name is None
    limits = context.trusted_limits if call.bypass_permissions else context.limits
    checker = check_arguments_but_format(context, command, call.args, limits, anonymous=anonymous)
    if command.takes_room and ":" in call.args[0]:
        check_party(call, call.args[0])
    if command.admit is not None:
        command.admit(context, call)
    if call.rest_args and command.options:
        _take_options(context, command, call)
    if checker is not None:
        await _check_format(context, checker, call.args[command.format_at], anonymous=anonymous)
    if not call.bypass_hooks:
        for hook in context.hooks.before.get(command.name, ()):
            answer = await _call_before(context, command, call, hook)
            if answer is not None:
                return as_results(answer)
    # A before hook may have changed the room.
    is_moved = held is not None and call.args[0] != held
    hold = context.serial.hold((call.id, call.args[0])) if is_moved else None
    if hold is not None and not hold.enter_at_once():
        await hold.enter()
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
        if not call.bypass_hooks:
            for hook in context.hooks.after.get(command.name, ()):
                await _call_after(context, call, hook)
    finally:
        if hold is not None:
            hold.leave()
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
            check_types(command.arguments, call.args, context.trusted_limits, custom=True)
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
    checker = check_arguments_but_format(context, command, args, context.limits, anonymous=anonymous)
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
    context: Context, command: Command, args: Sequence[Any], limits: Limits, *, anonymous: bool
) -> Hook | None:
    """Like ``check_arguments``, but leaves the hook that checks the message's format to the caller."""
    declared = command.arguments
    check_count(declared, args)
    checked = args[: len(declared)] if len(args) > len(declared) else args
    if command.checker is None:
        check_types(declared, checked, limits, custom=False)
        return None
    checker = context.hooks.get(command.checker)
    if anonymous and checker is None:
        checked = list(checked)
        checked[command.format_at] = _without_author(checked[command.format_at])
    check_types(declared, checked, limits, custom=checker is not None)
    return checker


def _without_author(message: Any) -> Any:
    if isinstance(message, dict) and isinstance(message.get("author"), str):
        return {key: value for key, value in message.items() if key != "author"}
    return message
