"""Output: tables for people, JSON for programs, and never an escape sequence from user data.

The standard streams may use any encoding, and may be closed, full, or no longer read.
"""

import base64
import io
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: Characters that JSON allows but a terminal or a line reader may interpret: control characters, line
#: separators, changes of direction, surrogates.
_UNSAFE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: Width of tables that do not go to a terminal: a row is one line for the program that reads it.
WIDTH_WITHOUT_TERMINAL = 10_000


def write(text: str) -> None:
    """Write lines to standard output unchanged."""
    print(text, flush=True)


def warn(text: str) -> None:
    """A warning, on stderr."""
    complain(f"chat-service: warning: {text}")


def print_json(value: Any) -> None:
    """One JSON document on one line. Bytes become ``{"base64": …}``."""
    is_ascii = not writes_unicode()
    text = json.dumps(value, ensure_ascii=is_ascii, default=_encode, separators=(",", ":"))
    write(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def _encode(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(f"no JSON for {value!r}")


def printable(text: str) -> str:
    """A user's text without characters that would move the cursor, change colours or reverse text."""
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    if character == "\n":
        return "\n"
    # From U+2400 on there are pictures of the control characters.
    return chr(0x2400 + ord(character)) if ord(character) < 32 else "\N{REPLACEMENT CHARACTER}"


def console(*, stderr: bool = False) -> "Console":
    """A terminal, or a substitute. Respects NO_COLOR."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def text(value: object, style: str = "") -> "Text":
    """A cell, without markup."""
    from rich.text import Text

    return Text(printable(str(value)), style=style)


def line(*parts: tuple[object, str]) -> "Text":
    """Values, each with a style, on one line."""
    from rich.text import Text

    return Text.assemble(*(text(value, style) for value, style in parts))


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()
) -> None:
    """A table. ``numbers``: headings of right-aligned columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, justify="right" if head in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else text(cell) for cell in row))
    console().print(table)


def note(line: str) -> None:
    """A remark for people, on stderr."""
    console(stderr=True).print(text(line, "dim"))


def seconds(value: float) -> str:
    """A duration in readable form: "3.2 s", "4 min", "2 h"."""
    size = abs(value)
    if size < 120:
        return f"{value:.1f} s"
    if size < 7200:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.0f} h" if size < 172800 else f"{value / 86400:.0f} days"


def moment(milliseconds: Any) -> str:
    """A timestamp in local time, with the date unless it is today."""
    try:
        when = datetime.fromtimestamp(milliseconds / 1000).astimezone()
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"
    is_today = datetime.now().astimezone() - when < timedelta(hours=20)
    return when.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")


# Streams


def prepare() -> None:
    """Make streams that never fail because of a character. Call before any file is opened.

    A character that an output cannot show is written as an escape sequence. Input in ASCII is read as
    UTF-8, a superset. Invalid bytes become U+FFFD.
    """
    # In the order of their descriptors, because a new file gets the lowest free one.
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
    """Whether standard output can show all characters."""
    return (sys.stdout.encoding or "ascii").lower().replace("-", "").startswith("utf")


def complain(text: str) -> None:
    """Print a line on stderr, which may be closed."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return


def give_up_output() -> None:
    """Stop the interpreter from flushing output at exit that nobody reads."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
