"""OpenTelemetry spans, one per command. Imported only when the option ``tracing`` is on."""

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from chat_service.commands.dispatch import run_command
from chat_service.commands.gateway import Gateway
from chat_service.commands.spec import Command
from chat_service.commands.table import COMMANDS
from chat_service.domain.context import Context
from chat_service.errors import shorten
from chat_service.hooks import CommandCall
from chat_service.telemetry import CUSTOM_EVENT, UNKNOWN_COMMAND, outcome_of
from chat_service.types import SocketId

#: Outcomes that are the server's fault.
_FAULTS = frozenset({"internalError", "timeout"})


class Tracing:
    """Makes the spans of one service. ``provider``: the global one when None."""

    def __init__(self, provider: TracerProvider | None, version: str) -> None:
        self._tracer = trace.get_tracer("chat_service", version, tracer_provider=provider)

    def gateway(self, context: Context) -> Gateway:
        """A gateway that makes a span of every command and custom event of a client."""
        return TracedGateway(context, self)

    async def run_command(self, context: Context, command: Command, call: CommandCall) -> list[Any]:
        """As ``dispatch.run_command``, for the commands of server code."""
        with self.start(context, SpanKind.INTERNAL, command.name, call.user_name, call.id, call.args) as span:
            try:
                results = await run_command(context, command, call)
            except Exception as error:
                fail(span, error)
                raise
            span.set_attribute("chat_service.outcome", "ok")
            return results

    def start(
        self,
        context: Context,
        kind: SpanKind,
        name: str,
        user: str | None,
        socket_id: str | None,
        args: Sequence[Any],
    ) -> Any:
        """A context manager around a command, whose span has what is known of it."""
        attributes: dict[str, str] = {
            "chat_service.command": name,
            "chat_service.instance": context.instance_id(),
        }
        if user is not None:
            attributes["chat_service.user"] = user
        if socket_id is not None:
            attributes["chat_service.socket"] = str(socket_id)
        row = COMMANDS.get(name)
        if row is not None and row.takes_room and args and isinstance(args[0], str):
            attributes["chat_service.room"] = shorten(args[0])
        return self._tracer.start_as_current_span(
            f"chat {name}",
            kind=kind,
            attributes=attributes,
            # Errors are for clients, and most of them are no faults: ``fail`` decides.
            record_exception=False,
            set_status_on_exception=False,
        )


def fail(span: Span, error: BaseException) -> None:
    """Say in a span how its command failed."""
    outcome = outcome_of(error)
    span.set_attribute("chat_service.outcome", outcome)
    if outcome in _FAULTS:
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, outcome))


class TracedGateway(Gateway):
    """A gateway with spans."""

    def __init__(self, context: Context, tracing: Tracing) -> None:
        super().__init__(context)
        self._tracing = tracing

    async def on_event(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
        session = self._context.sessions.get(socket_id)
        name = event if event in COMMANDS else UNKNOWN_COMMAND
        if session is not None and event in session.handlers:
            name = CUSTOM_EVENT
        user = session.user if session is not None else None
        with self._tracing.start(self._context, SpanKind.SERVER, name, user, socket_id, args) as span:
            span.set_attribute("chat_service.outcome", "ok")
            return await super().on_event(socket_id, event, args)

    def _failure(self, socket_id: SocketId, event: str, begun: float, error: BaseException) -> Sequence[Any]:
        fail(trace.get_current_span(), error)
        return super()._failure(socket_id, event, begun, error)
