"""``chat-service ban``."""

from typing import TYPE_CHECKING

import click

from chat_service.cli import output, parameters
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.parameters import json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async

if TYPE_CHECKING:
    from chat_service.contracts.records import Ban


@subcommand(
    "ban",
    """
    chat-service ban --url redis://localhost mallory --reason "spam"
    chat-service ban --config chat.toml mallory --seconds 3600      # for an hour
    chat-service unban --config chat.toml mallory
    """,
)
@click.argument("user", type=parameters.text)
@click.option("--seconds", type=float, help="Duration of the ban.  [default: no end]")
@click.option("--reason", type=parameters.text, help="Reason that is shown to the user.")
@json_option
@takes_target
def command(target: Target, user: str, seconds: float | None, reason: str | None, as_json: bool) -> None:
    """Disconnect a user everywhere, remove them from all rooms and refuse their logins.

    The user need not exist. A new ban replaces an earlier one. Once the command has returned, no instance
    stores further messages of the user. The on_leave hooks run in the services; the command does not wait
    for them.
    """
    ban = run_async(_ban(target, user, seconds, reason))
    if as_json:
        output.print_json({"name": user, "until": ban.until, "reason": ban.reason})
    else:
        output.note(f"{user} is banned" + ("" if seconds is None else f" for {output.seconds(seconds)}"))


async def _ban(target: Target, name: str, seconds: float | None, reason: str | None) -> "Ban":
    from chat_service.clock import SystemClock
    from chat_service.domain import bans
    from chat_service.domain.removal import StoreUpkeep

    clock = SystemClock()
    try:
        ban = bans.make_ban(clock.now_ms(), seconds, reason)
    except ValueError as error:
        raise CliError(ExitCode.USAGE, f"--{error}") from None
    async with target.open() as store:
        await bans.ban_user(
            StoreUpkeep(store=store, clock=clock),
            parameters.user_name(name),
            ban,
            patience=store.command_timeout,
        )
    return ban
