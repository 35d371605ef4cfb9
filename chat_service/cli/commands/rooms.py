"""``chat-service rooms``."""

import json
from typing import TYPE_CHECKING, Any, Final

import click

from chat_service.cli import output, parameters
from chat_service.cli.parameters import complete_rooms, json_option, paging_options, subcommand, takes_target
from chat_service.cli.target import Target, collect, run_async

if TYPE_CHECKING:
    from chat_service.domain.listing import RoomStatus
    from chat_service.types import UserName

#: Number of characters of a member's details in the table.
MAX_DETAILS: Final = 60


@subcommand(
    "rooms",
    """
    chat-service rooms --url redis://localhost
    chat-service rooms --config chat.toml --all --json | jq -r '.rooms[].name'
    chat-service rooms --config chat.toml default     # one room, with its members
    """,
)
@click.argument("room", type=parameters.text, required=False, shell_complete=complete_rooms)
@paging_options("rooms")
@json_option
@takes_target
def command(
    target: Target, room: str | None, limit: int, everything: bool, cursor: str | None, as_json: bool
) -> None:
    """List the rooms, or show one with its members."""
    if room is not None:
        run_async(_show(target, room, as_json))
    else:
        run_async(_list(target, None if everything else limit, cursor, as_json))


async def _list(target: Target, limit: int | None, cursor: str | None, as_json: bool) -> None:
    async with target.open() as store:
        rooms, following = await collect(store.list_rooms, limit, cursor)
    if as_json:
        output.print_json({"rooms": [room.as_object() for room in rooms], "cursor": following})
        return
    numbers = ("members", "last id", "stored")
    rows = [
        (
            room.name,
            "" if room.owner is None else room.owner,
            room.members_count,
            room.last_message_id,
            f"{room.history_size}/{room.history_max_size}",
            "whitelist" if room.whitelist_only else "blacklist",
        )
        for room in rooms
    ]
    output.print_table(("room", "owner", *numbers, "access by"), rows, numbers=numbers)
    if following is not None:
        output.note(f"there are more: use --all, or --cursor {following}")


async def _show(target: Target, name: str, as_json: bool) -> None:
    from chat_service.domain import listing
    from chat_service.types import RoomName

    async with target.open() as store:
        status = await listing.room_status(store, RoomName(name))
    room = status.room
    if as_json:
        more = {
            "enableUserlistUpdates": status.enable_userlist_updates,
            "enableAccessListsUpdates": status.enable_access_lists_updates,
            "members": [
                {"name": user, "joinedAt": status.joined_at[user], "sockets": count, **_details(status, user)}
                for user, count in status.members.items()
            ],
        }
        output.print_json({**room.as_object(), **more})
        return
    facts = (
        ("room", room.name),
        ("owner", "" if room.owner is None else room.owner),
        ("access by", "whitelist" if room.whitelist_only else "blacklist"),
        ("messages", f"{room.history_size} stored, maximum {room.history_max_size}"),
        ("last id", room.last_message_id),
        ("epoch", room.epoch),
        ("tells of users", "yes" if status.enable_userlist_updates else "no"),
        ("tells of lists", "yes" if status.enable_access_lists_updates else "no"),
        ("members", room.members_count),
    )
    for label, value in facts:
        output.console().print(output.line((f"{label:<15}", "bold"), (value, "")))
    if status.members:
        output.console().print()
        rows = [
            (user, count, _joined(status, user), *map(_short, _details(status, user).values()))
            for user, count in status.members.items()
        ]
        columns = ("member", "sockets", "joined", *(("details",) if status.details else ()))
        output.print_table(columns, rows, numbers=("sockets",))


def _details(status: "RoomStatus", user: "UserName") -> dict[str, Any]:
    return {"details": status.details[user]} if user in status.details else {}


def _joined(status: "RoomStatus", user: "UserName") -> str:
    at = status.joined_at[user]
    return "unknown" if at is None else output.moment(at)


def _short(details: Any) -> str:
    text = json.dumps(details, ensure_ascii=False)
    return text if len(text) <= MAX_DETAILS else text[:MAX_DETAILS] + "…"
