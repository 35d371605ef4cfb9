"""What is printed: tables for people, JSON for programs, never an escape sequence of somebody else.

The standard streams may be of any encoding, closed, full, or no longer read.
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

#: What JSON allows, and what a terminal or a reader of lines may take for a command: control characters,
#: separators of lines, changes of the direction, halves of characters.
_UNSAFE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: Columns of a table that no terminal shows.
WIDTH_WITHOUT_TERMINAL = 160


def write(text: str) -> None:
    """Write lines to the standard output as they are."""
    print(text, flush=True)


def warn(text: str) -> None:
    """A warning, on stderr."""
    complain(f"chat-service: warning: {text}")


def print_json(value: Any) -> None:
    """One JSON document in one line. Bytes become ``{"base64": …}``."""
    is_ascii = not writes_unicode()
    text = json.dumps(value, ensure_ascii=is_ascii, default=_encode, separators=(",", ":"))
    write(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def _encode(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(f"no JSON for {value!r}")


def printable(text: str) -> str:
    """A text of a user without what would move the cursor, colour or reverse what follows."""
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    if character == "\n":
        return "\n"
    # U+2400 and those that follow are pictures of the control characters.
    return chr(0x2400 + ord(character)) if ord(character) < 32 else "\N{REPLACEMENT CHARACTER}"


def console(*, stderr: bool = False) -> "Console":
    """A terminal, or what stands in for one. NO_COLOR is respected."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def text(value: object, style: str = "") -> "Text":
    """A cell: never markup."""
    from rich.text import Text

    return Text(printable(str(value)), style=style)


def line(*parts: tuple[object, str]) -> "Text":
    """Values with a style each, in one line."""
    from rich.text import Text

    return Text.assemble(*(text(value, style) for value, style in parts))


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()
) -> None:
    """A table. ``numbers``: the heads of columns that are aligned to the right."""
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
    """Something for people about the output, on stderr."""
    console(stderr=True).print(text(line, "dim"))


def seconds(value: float) -> str:
    """A duration as people say it: "3.2 s", "4 min", "2 h"."""
    size = abs(value)
    if size < 120:
        return f"{value:.1f} s"
    if size < 7200:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.0f} h" if size < 172800 else f"{value / 86400:.0f} days"


def moment(milliseconds: Any) -> str:
    """A timestamp in local time; the day only when it is not today."""
    try:
        when = datetime.fromtimestamp(milliseconds / 1000).astimezone()
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"
    is_today = datetime.now().astimezone() - when < timedelta(hours=20)
    return when.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")


# Streams


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
