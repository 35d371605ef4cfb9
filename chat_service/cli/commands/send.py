"""``chat-service send``."""

import json
import sys
import time
from collections.abc import Iterable
from typing import Any

import click

from chat_service.cli import output, parameters
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.parameters import complete_rooms, json_option, subcommand
from chat_service.cli.target import Target, run_async
from chat_service.cli.through_server import Server, takes_target_or_server

#: The author of messages that no user sends.
SYSTEM_AUTHOR = "system"


@subcommand(
    "send",
    """
    chat-service send --url redis://localhost default "We restart in 5 minutes."
    chat-service send --config chat.toml --as alice default "hello"
    chat-service send --config chat.toml --message '{"image": "logo.png"}' default
    tail -F app.log | chat-service send --config chat.toml logs -      # a message per line
    chat-service send --server https://chat.example.com --user ci --key build-7 news "Build 7 is out."
    """,
)
@click.argument("room", type=parameters.text, shell_complete=complete_rooms)
@click.argument("text", type=parameters.text, required=False)
@click.option(
    "--as",
    "author",
    type=parameters.text,
    metavar="USER",
    help=f"Author; must be an existing user.  [default: {SYSTEM_AUTHOR}]",
)
@click.option(
    "--message",
    type=parameters.text,
    metavar="JSON",
    help="Message in another format than text, as a JSON object.",
)
@click.option(
    "--key",
    type=parameters.text,
    help="With --server: idempotency key; a message sent again with the same key is stored once.",
)
@json_option
@takes_target_or_server
def command(
    target: Target | None,
    server: Server | None,
    room: str,
    text: str | None,
    author: str | None,
    message: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Send a message to a room; TEXT "-" sends every line of standard input.

    With a store, permissions are not checked. The message is stored and delivered to everyone in the room
    like any other, but hooks and message checkers do not run, because they live in the services.

    With --server the command joins the room as a user and sends like any client: each message is retried
    until the server answers, and stored once. Prints the id of each message.
    """
    if (text is None) == (message is None):
        raise CliError(ExitCode.USAGE, 'give either TEXT or --message JSON, or "-" to read standard input')
    messages = _messages(text, message)
    if target is not None:
        if key is not None:
            raise CliError(ExitCode.USAGE, "--key requires --server URL")
        run_async(_send(target, room, messages, author, as_json))
    elif server is not None:
        _send_there(server, room, messages, author, text == "-", key, as_json)


def _send_there(
    server: Server,
    room: str,
    messages: Iterable[dict[str, Any]],
    author: str | None,
    are_many: bool,
    key: str | None,
    as_json: bool,
) -> None:
    if author is not None:
        raise CliError(ExitCode.USAGE, "--as applies to a store; with --server the author is --user")
    if key is not None and are_many:
        raise CliError(ExitCode.USAGE, '--key applies to a single message, but "-" sends many')
    ids: list[int] = []
    show = ids.append if as_json else lambda message_id: output.write(str(message_id))
    run_async(server.send(room, messages, key=key, sent=show))
    if as_json:
        output.print_json({"room": room, "ids": ids})


def _messages(text: str | None, given: str | None) -> Iterable[dict[str, Any]]:
    if given is not None:
        try:
            message = json.loads(given)
        except ValueError as error:
            raise CliError(ExitCode.USAGE, f"--message is not valid JSON: {error}") from None
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
