"""``chat-service tail``."""

from typing import TYPE_CHECKING, Any

import click

from chat_service.cli import output, parameters
from chat_service.cli.parameters import complete_rooms, json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async

if TYPE_CHECKING:
    from rich.text import Text

    from chat_service.cli.follow import Happening
    from chat_service.types import Message


@subcommand(
    "tail",
    """
    chat-service tail --url redis://localhost default
    chat-service tail --config chat.toml -n 100 --no-follow default
    chat-service tail --config chat.toml --json default | jq -r .message.textMessage
    """,
)
@click.argument("room", type=parameters.text, shell_complete=complete_rooms)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=0, max=10_000),
    default=10,
    show_default=True,
    help="Messages of the history to begin with.",
)
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on with what comes.")
@click.option("--events", is_flag=True, help="Show also who joins and leaves, where the room tells of it.")
@json_option
@takes_target
def command(target: Target, room: str, count: int, follow: bool, events: bool, as_json: bool) -> None:
    """Follow a room's messages, history first. Nobody in the room sees that.

    Messages come in order and each once, also over a lost connection. With --json every line is one
    object, whose "kind" is message, gap, epoch, event or deleted.
    """
    run_async(_tail(target, room, count, follow, events, as_json))


async def _tail(target: Target, room: str, count: int, follow: bool, events: bool, as_json: bool) -> None:
    from chat_service.cli.follow import Follower, Happening
    from chat_service.contracts.store import SYSTEM
    from chat_service.types import RoomName

    name = RoomName(room)
    follower = Follower(name)
    async with target.open(follower) as store:
        if not follow:
            recent = await store.room_recent_history(name, SYSTEM, count)
            for message in reversed(recent):
                _show(room, Happening(kind="message", message=message), as_json)
            return
        async for happening in follower.follow(store, count):
            if happening.kind != "event" or events:
                _show(room, happening, as_json)


def _show(room: str, happening: "Happening", as_json: bool) -> None:
    if as_json:
        output.print_json(_as_object(room, happening))
    else:
        # Not wrapped: what comes is a line for the next program, too.
        output.console().print(_line(happening), soft_wrap=True)


def _as_object(room: str, happening: "Happening") -> dict[str, Any]:
    made: dict[str, Any] = {"kind": happening.kind, "room": room}
    if happening.kind == "message":
        made["message"] = happening.message
    elif happening.kind == "gap":
        made.update({"from": happening.first, "to": happening.last})
    elif happening.kind == "event":
        made.update(event=happening.event, args=list(happening.args))
    return made


def _line(happening: "Happening") -> "Text":
    match happening.kind:
        case "message":
            return _message_line(happening.message)
        case "gap":
            return output.text(f"-- messages {happening.first} to {happening.last} are lost --", "red")
        case "epoch":
            return output.text("-- the room has begun anew: ids may come again --", "yellow")
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

    return value if isinstance(value, str) else as_text(value)
