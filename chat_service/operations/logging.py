"""Logs with context (who did what on which instance) as text or JSON.

Importing this configures nothing. A process calls ``configure`` once; an application with its own logging
set-up adds ``ContextFilter`` to its handlers instead. The fields are read from the running command only when
a record is created.
"""

import json
import logging
import sys
import time
from typing import Any, Literal, Protocol, TextIO

from chat_service.errors import shorten
from chat_service.telemetry import scope

Format = Literal["text", "json"]

#: Characters of one message, and of one traceback with its exceptions. What is longer loses its middle.
MAX_MESSAGE = 4000
MAX_TRACEBACK = 20_000
#: Fields added to records, in the order shown. Internal errors also have an ``incident``.
FIELDS = ("instance", "user", "socket", "command", "room", "incident")


class HasInstance(Protocol):
    """The part of a service that logging needs."""

    @property
    def instance_uid(self) -> str: ...


class ContextFilter(logging.Filter):
    """Adds the known ``FIELDS`` to every record and drops none.

    ``service``: gives the instance for records outside commands, such as those of heartbeats.
    """

    def __init__(self, service: HasInstance | None = None) -> None:
        super().__init__()
        self._service = service

    def filter(self, record: logging.LogRecord) -> bool:
        running = scope.get()
        if running is not None:
            service, who, socket, command, args = running
            record.instance = service.instance_id()
            record.user = who if who is None or isinstance(who, str) else who.user
            record.socket = socket
            record.command = shorten(str(command))
            row = service.commands.get(command)
            room = None if row is None else row.room_in(args)
            if room is not None:
                record.room = shorten(room)
        elif self._service is not None:
            # Not set before the start.
            record.instance = self._service.instance_uid or None
        return True


def context_of(record: logging.LogRecord) -> dict[str, str]:
    """The context fields of a record."""
    found = {name: getattr(record, name, None) for name in FIELDS}
    return {name: str(value) for name, value in found.items() if value is not None}


def _time(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """One line per record, then its traceback: ``time LEVEL logger: message [user=alice room=lobby]``."""

    def format(self, record: logging.LogRecord) -> str:
        context = " ".join(f"{name}={_quoted(value)}" for name, value in context_of(record).items())
        # Text from clients must not look like a separate log line.
        message = _escaped(_cut(record.getMessage(), MAX_MESSAGE))
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {message}"
        if context:
            line += f" [{context}]"
        if record.exc_info:
            # Indented, since an exception's text may have lines of its own.
            trace = _cut(self.formatException(record.exc_info), MAX_TRACEBACK)
            line += "".join(f"\n  {_escaped(part)}" for part in trace.split("\n"))
        return line


def _cut(text: str, length: int) -> str:
    """A text without its middle, if it is longer."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters … {text[-half:]}"


def _escaped(text: str) -> str:
    """Text with everything escaped that moves a cursor, ends a line or turns the direction."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() and one != "\\" else json.dumps(one)[1:-1] for one in text)


def _quoted(value: str) -> str:
    is_plain = value.isprintable() and value and not set(value) & set(' "=[]')
    return value if is_plain else '"' + _escaped(value.replace('"', "'")) + '"'


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, process, the context, and the exception."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage(), MAX_MESSAGE),
            "process": record.process,
            **context_of(record),
        }
        if record.exc_info:
            fields["exception"] = _cut(self.formatException(record.exc_info), MAX_TRACEBACK)
        # ASCII only: Unicode line separators and lone surrogates break line-based readers.
        return json.dumps(fields)


def configure(
    format: Format = "text",
    level: str = "INFO",
    *,
    service: HasInstance | None = None,
    stream: TextIO | None = None,
) -> logging.Handler:
    """Set up a process's logging with context. Calling it again replaces the previous handler.

    ``level``: the minimum level, "DEBUG" to "CRITICAL". ``service``: see ``ContextFilter``. ``stream``: None
    means stderr. Raises ``ValueError`` for an unknown format or level.
    """
    formatters = {"text": TextFormatter, "json": JsonFormatter}
    if format not in formatters:
        raise ValueError(f"format: expected 'text' or 'json', got {format!r}")
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(formatters[format]())
    handler.addFilter(ContextFilter(service))
    root = logging.getLogger()
    root.setLevel(level.upper())
    for former in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(former)
    root.addHandler(handler)
    return handler


class _Handler(logging.StreamHandler[TextIO]):
    """Marks the handler created by ``configure``."""
