"""The standard streams of the command, however the system made them: any encoding, closed, or full."""

import io
import os
import sys
from typing import Any


def prepare() -> None:
    """Make streams that never fail for a character. Call before anything opens a file.

    A character that an output cannot show is written as an escape sequence. Input that says that it is ASCII
    is read as UTF-8, which begins with it; what is not text there becomes U+FFFD.
    """
    # In the order of their descriptors: what is opened first takes the lowest one that is free.
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - for the life of the process
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        is_ascii = (sys.stdin.encoding or "ascii").lower() in ("ascii", "us-ascii", "ansi_x3.4-1968")
        sys.stdin.reconfigure(encoding="utf-8" if is_ascii else None, errors="replace")


def writes_unicode() -> bool:
    """Whether the standard output can show every character."""
    return (sys.stdout.encoding or "ascii").lower().replace("-", "").startswith("utf")


def complain(text: str) -> None:
    """Print a line on stderr, which may be closed."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return


def give_up_output() -> None:
    """Keep the interpreter from writing the rest of the output at its end, where nobody reads it."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
