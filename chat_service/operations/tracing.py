"""OpenTelemetry spans, one per command. Imported only if the option ``tracing`` is on."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from chat_service.commands.spec import Command
from chat_service.domain.sessions import Session
from chat_service.errors import shorten
from chat_service.telemetry import CUSTOM_EVENT, UNKNOWN_COMMAND, Scope, outcome_of

#: Outcomes that count as errors of the server.
_FAULTS = frozenset({"internalError", "timeout"})


class CommandSpan:
    """The span of a running command."""

    __slots__ = ("_entered", "_span")

    def __init__(self, entered: AbstractContextManager[Span]) -> None:
        self._entered = entered
        self._span = entered.__enter__()

    def end(self, error: BaseException | None) -> None:
        """End the span of a command that has succeeded or failed."""
        span, outcome = self._span, "ok" if error is None else outcome_of(error)
        span.set_attribute("chat_service.outcome", outcome)
        # Most errors are answers to clients and not faults.
        if error is not None and outcome in _FAULTS:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, outcome))
        self._entered.__exit__(None, None, None)


class Tracing:
    """Creates the spans of a service. ``provider``: None uses the global one."""

    def __init__(
        self, provider: TracerProvider | None, version: str, commands: Mapping[str, Command]
    ) -> None:
        self._commands = commands
        self._tracer = trace.get_tracer("chat_service", version, tracer_provider=provider)

    def start(self, scope: Scope, *, is_client: bool) -> CommandSpan:
        """Start the span of a command or custom event."""
        service, owner, socket_id, event, args = scope
        name, user = event, owner
        if owner is None or isinstance(owner, Session):
            user = None if owner is None else owner.user
        if event not in self._commands:
            is_custom = isinstance(owner, Session) and event in owner.handlers
            name = CUSTOM_EVENT if is_custom else UNKNOWN_COMMAND
        attributes: dict[str, Any] = {
            "chat_service.command": name,
            "chat_service.instance": service.instance_id(),
        }
        if user is not None:
            attributes["chat_service.user"] = user
        if socket_id is not None:
            attributes["chat_service.socket"] = str(socket_id)
        row = self._commands.get(name)
        room = None if row is None else row.room_in(args)
        if room is not None:
            attributes["chat_service.room"] = shorten(room)
        return CommandSpan(
            self._tracer.start_as_current_span(
                f"chat {name}",
                kind=SpanKind.SERVER if is_client else SpanKind.INTERNAL,
                attributes=attributes,
                # ``CommandSpan.end`` decides.
                record_exception=False,
                set_status_on_exception=False,
            )
        )
