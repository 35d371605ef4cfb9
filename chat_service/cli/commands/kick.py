"""``chat-service kick``."""

import click

from chat_service.cli import output, parameters
from chat_service.cli.parameters import json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async


@subcommand(
    "kick",
    """
    chat-service kick --url redis://localhost mallory
    chat-service kick --config chat.toml mallory --json
    """,
)
@click.argument("user", type=parameters.text)
@json_option
@takes_target
def command(target: Target, user: str, as_json: bool) -> None:
    """Disconnect all sockets of a user, who may connect again. Use `ban` to keep them out."""
    sockets = run_async(_kick(target, user))
    if as_json:
        output.print_json({"name": user, "sockets": sockets})
    else:
        output.note(f"{sockets} {'socket' if sockets == 1 else 'sockets'} of {user} told to disconnect")


async def _kick(target: Target, name: str) -> int:
    from chat_service.contracts.bus import DisconnectUser, Topic, TopicKind

    user = parameters.user_name(name)
    async with target.open() as store:
        sockets = await store.user_sockets(user)
        await store.bus.publish(Topic(TopicKind.USER, user), DisconnectUser())
    return len(sockets)
