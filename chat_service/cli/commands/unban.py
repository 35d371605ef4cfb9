"""``chat-service unban``."""

import click

from chat_service.cli import output, parameters
from chat_service.cli.parameters import json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async


@subcommand(
    "unban",
    """
    chat-service unban --url redis://localhost mallory
    chat-service unban --config chat.toml mallory --json
    """,
)
@click.argument("user", type=parameters.text)
@json_option
@takes_target
def command(target: Target, user: str, as_json: bool) -> None:
    """End the ban of a user, who can log in again immediately."""
    was_banned = run_async(_unban(target, user))
    if as_json:
        output.print_json({"name": user, "wasBanned": was_banned})
    else:
        output.note(f"{user} is no longer banned" if was_banned else f"{user} was not banned")


async def _unban(target: Target, name: str) -> bool:
    async with target.open() as store:
        return await store.user_unban(parameters.user_name(name))
