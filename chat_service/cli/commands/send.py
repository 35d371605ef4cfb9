"""``chat-service send``."""

import json
import sys
import time
from collections.abc import Iterable
from typing import Any

import click

from chat_service.cli import output, parameters
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.parameters import complete_rooms, json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async

#: The author of messages that no user sends.
SYSTEM_AUTHOR = "system"


@subcommand(
    "send",
    """
    chat-service send --url redis://localhost default "We restart in 5 minutes."
    chat-service send --config chat.toml --as alice default "hello"
    chat-service send --config chat.toml --message '{"image": "logo.png"}' default
    tail -F app.log | chat-service send --config chat.toml logs -      # a message per line
    """,
)
@click.argument("room", type=parameters.text, shell_complete=complete_rooms)
@click.argument("text", type=parameters.text, required=False)
@click.option(
    "--as",
    "user",
    type=parameters.text,
    metavar="USER",
    help=f"Author, a user who exists.  [default: {SYSTEM_AUTHOR}]",
)
@click.option(
    "--message",
    type=parameters.text,
    metavar="JSON",
    help="A message of another format than text, as a JSON object.",
)
@json_option
@takes_target
def command(
    target: Target, room: str, text: str | None, user: str | None, message: str | None, as_json: bool
) -> None:
    """Send a message to a room; TEXT "-" sends every line of the standard input.

    Who may write does not matter here. The message is stored and told to everybody in the room, as any
    other; but no hook runs and no messages checker, since those live in the services.
    """
    if (text is None) == (message is None):
        raise CliError(
            ExitCode.USAGE, 'give either TEXT or --message JSON, or "-" to read the standard input'
        )
    run_async(_send(target, room, _messages(text, message), user, as_json))


def _messages(text: str | None, given: str | None) -> Iterable[dict[str, Any]]:
    if given is not None:
        try:
            message = json.loads(given)
        except ValueError as error:
            raise CliError(ExitCode.USAGE, f"--message is no JSON: {error}") from None
        if not isinstance(message, dict):
            raise CliError(ExitCode.USAGE, "--message: expected a JSON object")
        return [message]
    if text == "-":
        return ({"textMessage": line.rstrip("\r\n")} for line in sys.stdin)
    return [{"textMessage": text}]


async def _send(
    target: Target, room: str, messages: Iterable[dict[str, Any]], user: str | None, as_json: bool
) -> None:
    from chat_service.contracts.records import SYSTEM
    from chat_service.errors import ChatServiceError
    from chat_service.types import RoomName, UserName

    async with target.open() as store:
        if user is not None and not await store.user_exists(UserName(user)):
            raise ChatServiceError("noUser", user)
        author = SYSTEM_AUTHOR if user is None else user
        sent = []
        for message in messages:
            stamp = {"timestamp": round(time.time() * 1000), "author": author}
            sent.append(await store.room_message(RoomName(room), SYSTEM, {**message, **stamp}))
    if as_json:
        output.print_json({"room": room, "ids": sent})
    elif sys.stdout.isatty():
        ids = f"id {sent[0]}" if len(sent) == 1 else f"{len(sent)} messages"
        output.note(f"sent to {room}: {ids}")
