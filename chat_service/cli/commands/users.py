"""``chat-service users``."""

from typing import TYPE_CHECKING

import click

from chat_service.cli import output, parameters
from chat_service.cli.parameters import json_option, paging_options, subcommand, takes_target
from chat_service.cli.target import Target, collect, run_async
from chat_service.protocol.names import natural_key

if TYPE_CHECKING:
    from chat_service.contracts.records import Page, UserSummary


@subcommand(
    "users",
    """
    chat-service users --url redis://localhost
    chat-service users --config chat.toml --known --all --json
    chat-service users --config chat.toml alice      # one user, with their sockets
    """,
)
@click.argument("user", type=parameters.text, required=False)
@click.option("--known", is_flag=True, help="Also list users who are offline.")
@paging_options("users")
@json_option
@takes_target
def command(
    target: Target,
    user: str | None,
    known: bool,
    limit: int,
    everything: bool,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List the users who are online, or show one with their sockets."""
    if user is not None:
        run_async(_show(target, user, as_json))
    else:
        run_async(_list(target, known, None if everything else limit, cursor, as_json))


async def _list(target: Target, known: bool, limit: int | None, cursor: str | None, as_json: bool) -> None:
    async with target.open() as store:

        async def ask(wanted: int, at: str | None) -> "Page[UserSummary]":
            return await store.list_users(wanted, at, online=not known)

        users, following = await collect(ask, limit, cursor)
    if as_json:
        items = [{"name": user.name, "sockets": user.sockets} for user in users]
        output.print_json({"users": items, "cursor": following})
        return
    output.print_table(
        ("user", "sockets"), [(user.name, user.sockets) for user in users], numbers=("sockets",)
    )
    if following is not None:
        output.note(f"there are more: use --all, or --cursor {following}")


async def _show(target: Target, name: str, as_json: bool) -> None:
    from chat_service.types import UserName

    async with target.open() as store:
        sockets = await store.user_sockets(UserName(name))
    items = [
        {"id": socket_id, "instance": info.instance_id, "rooms": sorted(info.rooms, key=natural_key)}
        for socket_id, info in sorted(sockets.items())
    ]
    if as_json:
        output.print_json({"name": name, "sockets": items})
        return
    if not items:
        output.note(f"{name} exists but is not online")
        return
    rows = [(item["id"], item["instance"], ", ".join(item["rooms"])) for item in items]
    output.print_table(("socket", "instance", "rooms"), rows)
