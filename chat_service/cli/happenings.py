"""The events of a room, as printed by ``chat-service tail``."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chat_service.cli import output
from chat_service.types import Message

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """A message or, if ``kind`` is not "message", something else that followers should know.

    "gap": messages ``first`` to ``last`` can no longer be read. "epoch": the room was created again, or has
    lost its last changes, and ids may repeat. "event": another notification of the room. "deleted": the
    room was deleted.
    """

    kind: str
    message: Message = field(default_factory=dict)
    event: str = ""
    args: Sequence[Any] = ()
    first: int = 0
    last: int = 0


def show(room: str, happening: Happening, as_json: bool) -> None:
    """Print what happened in a room, as a line for people or as JSON."""
    if as_json:
        output.print_json(as_object(room, happening))
    else:
        # Not wrapped: each item is one line, also for other programs.
        output.console().print(line(happening), soft_wrap=True)


def as_object(room: str, happening: Happening) -> dict[str, Any]:
    """The form that ``--json`` prints."""
    made: dict[str, Any] = {"kind": happening.kind, "room": room}
    if happening.kind == "message":
        made["message"] = happening.message
    elif happening.kind == "gap":
        made.update({"from": happening.first, "to": happening.last})
    elif happening.kind == "event":
        made.update(event=happening.event, args=list(happening.args))
    return made


def line(happening: Happening) -> "Text":
    """The form for people."""
    match happening.kind:
        case "message":
            return _message_line(happening.message)
        case "gap":
            return output.text(f"-- messages {happening.first} to {happening.last} are lost --", "red")
        case "epoch":
            return output.text("-- the room has started over: ids may repeat --", "yellow")
        case "deleted":
            return output.text("-- the room is deleted --", "yellow")
        case _:
            args = " ".join(map(_shown, happening.args[1:]))
            return output.text(f"-- {happening.event} {args} --", "dim")


def _message_line(message: "Message") -> "Text":
    from chat_service.errors import as_text

    rest = {name: value for name, value in message.items() if name not in ("id", "timestamp", "author")}
    said = rest["textMessage"] if set(rest) == {"textMessage"} else as_text(rest)
    author = message.get("author")
    return output.line(
        (f"{output.moment(message.get('timestamp'))} #{message.get('id')} ", "dim"),
        ("" if author is None else f"{_shown(author)}: ", "bold cyan"),
        (_shown(said), ""),
    )


def _shown(value: Any) -> str:
    from chat_service.errors import as_text

    shown = value if isinstance(value, str) else as_text(value)
    # A user's text must not look like a separate line.
    return shown.replace("\n", "\N{SYMBOL FOR NEWLINE}")
