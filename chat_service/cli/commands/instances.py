"""``chat-service instances``."""

import time
from typing import TYPE_CHECKING, Any

from chat_service.cli import output
from chat_service.cli.parameters import heartbeat_option, json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async

if TYPE_CHECKING:
    from chat_service.domain.listing import InstanceStatus

#: The style of each state.
STYLES = {"alive": "green", "lapsed": "bold red", "recovering": "yellow"}


@subcommand(
    "instances",
    """
    chat-service instances --url redis://localhost
    chat-service instances --config chat.toml --json | jq '.instances[] | select(.state != "alive")'
    """,
)
@heartbeat_option
@json_option
@takes_target
def command(target: Target, heartbeat_timeout: float | None, as_json: bool) -> None:
    """List the instances, with their leases and numbers of sockets.

    Ages depend on the machines' clocks and are for information only: services and `recover` watch the
    heartbeats instead.
    """
    timeout = target.heartbeat_timeout if heartbeat_timeout is None else heartbeat_timeout
    found = run_async(_list(target, timeout))
    if as_json:
        output.print_json({"instances": [as_object(item) for item in found]})
        return
    rows = [
        (
            item.id,
            output.text(item.state, STYLES[item.state]),
            output.seconds(item.age) + " ago",
            ("in " if item.expires_in >= 0 else "since ") + output.seconds(abs(item.expires_in)),
            item.sockets,
        )
        for item in found
    ]
    heads = ("instance", "state", "heard of", "dead", "sockets")
    output.print_table(heads, rows, numbers=("sockets",))
    if not rows:
        output.note("no instance is running")


def as_object(item: "InstanceStatus") -> dict[str, Any]:
    """An instance in JSON."""
    return {
        "id": item.id,
        "state": str(item.state),
        "age": item.age,
        "expiresIn": item.expires_in,
        "sockets": item.sockets,
    }


async def _list(target: Target, timeout: float) -> "list[InstanceStatus]":
    from chat_service.domain import listing

    async with target.open() as store:
        return await listing.instances(store, round(time.time() * 1000), timeout)
