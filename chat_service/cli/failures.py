"""Exit codes, and one-line error messages."""

import asyncio
import errno
from enum import IntEnum

import click

from chat_service.errors import ChatServiceError, ConfigurationError, StoreError


class ExitCode(IntEnum):
    """The exit code of the command. ``doc`` says when it is used."""

    doc: str

    def __new__(cls, value: int, doc: str) -> "ExitCode":
        member = int.__new__(cls, value)
        member._value_ = value
        member.doc = doc
        return member

    OK = 0, "Success."
    FAILED = 1, "The command failed; with `check`: a check failed."
    USAGE = 2, "The command line is wrong: an unknown option, a missing argument."
    CONFIGURATION = 3, "The configuration is invalid: the file, an option, or the module of `run`."
    STORE = 4, "The store or the server cannot be reached, or refuses the login."
    ADDRESS = 5, "The service cannot listen: the port is in use, or not allowed."
    NOT_FOUND = 6, "There is no such room, user or instance."
    INTERRUPTED = 130, "Interrupted by Ctrl+C."


class CliError(Exception):
    """Ends a command with an exit code and a line of text for people."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


#: Codes of ``ChatServiceError`` for things that do not exist.
_MISSING = frozenset({"noRoom", "noUser"})


def describe(error: BaseException) -> tuple[int, str]:
    """The exit code for an error, and its text; None if it was already reported."""
    match error:
        case CliError():
            return error.code, str(error)
        case click.exceptions.NoArgsIsHelpError():
            return ExitCode.USAGE, error.format_message()
        case click.UsageError():
            path = error.ctx.command_path if error.ctx is not None else "chat-service"
            return ExitCode.USAGE, f"{_first_line(error.format_message())} Try: {path} --help"
        case click.ClickException():
            return error.exit_code, error.format_message()
        case click.Abort() | KeyboardInterrupt() | asyncio.CancelledError():
            return ExitCode.INTERRUPTED, ""
        case ChatServiceError():
            return (ExitCode.NOT_FOUND if error.code in _MISSING else ExitCode.FAILED), str(error)
        case ConfigurationError():
            return ExitCode.CONFIGURATION, str(error)
        case StoreError():
            return ExitCode.STORE, str(error)
        case BrokenPipeError():
            # The reader has closed our output.
            return ExitCode.FAILED, ""
        case OSError() if error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            return ExitCode.ADDRESS, error.strerror or str(error)
        case _:
            return ExitCode.FAILED, _first_line(f"{type(error).__name__}: {error}")


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return " ".join(line.strip() for line in lines if line.strip())
