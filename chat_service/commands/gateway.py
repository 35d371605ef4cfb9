"""Passes client events from the transport to the commands, and returns their outcomes as acks."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from chat_service.commands.execution import UNFINISHED, Execution, make_call, run_command
from chat_service.commands.spec import Command
from chat_service.concurrency.deadlines import Patience, current_patience
from chat_service.concurrency.eager import in_task, is_being_cancelled
from chat_service.contracts.capabilities import RunsWithoutTask
from chat_service.domain import connections
from chat_service.domain.context import Context
from chat_service.domain.pace import RateLimit
from chat_service.domain.sessions import LoginState, Session
from chat_service.errors import ChatServiceError
from chat_service.hooks import Hook, as_results, call_hook
from chat_service.protocol.values import MAX_DEPTH, count_binary
from chat_service.telemetry import in_scope, scope
from chat_service.types import SocketId

logger = logging.getLogger("chat_service")

#: The names under which logins and disconnects are tracked as running work.
LOGIN, DISCONNECT = "login", "disconnect"
#: Access to a member of an enum is slow (Python 3.11).
CONFIRMED = LoginState.CONFIRMED


class Gateway:
    """The ``TransportHandler`` of a service."""

    def __init__(self, context: Context) -> None:
        self._context = context
        store = context.store
        options = context.options
        self._commands: dict[str, Command] = context.commands
        self._rate_limit = RateLimit(options.command_rate, options.command_burst)
        self._needs_task = not (isinstance(store, RunsWithoutTask) and store.runs_without_task)

    async def on_connect(self, socket_id: SocketId) -> None:
        if self._needs_task:
            await in_task()
        context = self._context
        timeout, work = context.store_timeout, context.running.begin(LOGIN)
        token = scope.set((context, None, socket_id, LOGIN, ()))
        current_patience.set(None if timeout is None else Patience(timeout))
        try:
            await connections.login(context, socket_id)
        finally:
            current_patience.set(None)
            scope.reset(token)
            context.running.finish(LOGIN, work)

    async def on_disconnect(self, socket_id: SocketId, reason: str) -> None:
        context = self._context
        context.counters.disconnected(reason)
        if self._needs_task:
            await in_task()
        known = (context, context.sessions.get(socket_id), socket_id, DISCONNECT, ())
        with context.running.track(DISCONNECT), in_scope(known):
            await connections.disconnect(context, socket_id)

    async def on_event(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
        context = self._context
        if self._needs_task:
            await in_task()
        session = context.sessions.get(socket_id)
        call, failure = None, UNFINISHED
        execution = Execution(context, context.counters.client_commands, event, session, socket_id, args)
        try:
            if session is None:
                raise ChatServiceError("noLogin")
            pace, now, limit = session.pace, execution.begun, self._rate_limit
            if pace.due < now:
                pace.due = now
            elif pace.due - now > limit.tolerance:
                raise limit.refuse(pace, now)
            pace.due += limit.interval
            session.in_flight += 1
            try:
                if session.early or session.state is not CONFIRMED:
                    await self._wait_for_login(session)
                command = self._commands.get(event)
                if command is None:
                    results = self._sendable(event, await self._run_bound(session, event, args))
                else:
                    call = make_call(context, command, args, session.user, socket_id)
                    results = await run_command(context, command, call)
                    hooks = context.hooks
                    if event in hooks.before or event in hooks.after:
                        results = self._sendable(event, results)
            finally:
                session.in_flight -= 1
                if call is not None and call.answered is not None:
                    call.answered()
            if pace.refused:
                pace.refused = 0
            failure = None
            return (None, *results) if results else (None, None)
        except (Exception, asyncio.CancelledError) as error:
            failure = error
            if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                raise
            if session is not None:
                await self._count_refusals(session, error)
            return (context.errors.encode(error, f"{event} of socket {socket_id}"), None)
        finally:
            execution.end(failure)

    async def _run_bound(self, session: Session, event: str, args: Sequence[Any]) -> list[Any]:
        handler: Hook | None = session.handlers.get(event)
        if handler is None:
            raise ChatServiceError("noCommand", event)
        with self._context.running.track(event):
            limit = self._context.hooks.timeout
            return as_results(await call_hook(handler, *args, limit=limit))

    async def _count_refusals(self, session: Session, error: BaseException) -> None:
        """Count what either layer of the rate limits has refused. Too many in a row end the connection."""
        if not isinstance(error, ChatServiceError) or error.code != "rateLimited":
            session.pace.refused = 0
            return
        session.pace.refused += 1
        most = self._context.options.rate_limit_disconnect
        if most is not None and session.pace.refused > most:
            logger.warning(
                "disconnecting socket %s of user %s: it keeps sending too fast",
                session.socket_id,
                session.user,
            )
            await self._context.transport.disconnect(session.socket_id)

    async def _wait_for_login(self, session: Session) -> None:
        """Let an event that came before the end of the login wait for it. Raises ``noLogin``.

        Custom events wait, too, because the application may bind their handlers during the login.
        """
        if session.state is LoginState.REJECTED or session.is_closed:
            raise ChatServiceError("noLogin")
        limit = self._context.options.early_commands_limit
        if len(session.early) >= limit:
            session.early_refused += 1
            if session.early_refused > limit:
                await self._context.transport.disconnect(session.socket_id)
            raise ChatServiceError("noLogin")
        await session.wait_for_login()
        if session.state is not LoginState.CONFIRMED:
            raise ChatServiceError("noLogin")

    def _sendable(self, event: str, results: list[Any]) -> list[Any]:
        """Raise ``TypeError`` for results of application code that cannot be encoded in a packet."""
        found = count_binary(results, MAX_DEPTH)
        if found is None:
            raise TypeError(f"a hook or handler of {event} returned a value that cannot be sent: {results!r}")
        limit = self._context.limits.attachments
        if found > limit:
            raise TypeError(
                f"a hook or handler of {event} returned {found} binary values; max_attachments is {limit}"
            )
        return results
