"""Rows and handlers of the commands about the status of a room and the details of its members."""

from typing import Any

from chat_service.commands.spec import NOTHING, READ_ERRORS, READERS, ROOM, Command, actor_of, user_of
from chat_service.contracts.records import MembersPage
from chat_service.domain import listing, member_details
from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.protocol.arguments import CURSOR, DETAILS, FLAG, PAGE_LIMIT, Argument, CommandOption
from chat_service.types import RoomName


async def room_get_status(context: Context, call: CommandCall, room_name: RoomName) -> dict[str, Any]:
    try:
        page: MembersPage = await context.store.room_members_page(
            room_name, actor_of(call), _limit(context, call), call.options.get("cursor")
        )
    except ValueError:
        raise ChatServiceError("badArgument", len(call.args), call.rest_args[0]) from None
    is_public = not call.bypass_permissions
    return {
        "roomName": room_name,
        "owner": page.owner,
        "epoch": page.epoch,
        "lastMessageId": page.last_message_id,
        "membersCount": page.members_count,
        "members": await member_details.member_objects(context, page.members, is_public=is_public),
        "cursor": page.cursor,
    }


def _limit(context: Context, call: CommandCall) -> int:
    if call.options.get("countOnly"):
        return 0
    most = context.options.members_per_page_limit
    limit = int(call.options.get("limit", most))
    return min(limit, listing.MAX_LIMIT if call.bypass_permissions else most)


async def room_set_details(context: Context, call: CommandCall, room_name: RoomName, details: Any) -> None:
    user, socket_id = user_of(call), call.id
    if socket_id is None:
        raise ChatServiceError("noSocket", call.command)
    # The hook that filters details may change them in place.
    text = member_details.as_text(details)
    shown = await member_details.shown(context, details)
    await context.store.room_set_details(room_name, user, socket_id, text, shown)


#: The rows of the table of commands.
ROWS: tuple[Command, ...] = (
    Command(
        name="roomGetStatus",
        arguments=(ROOM,),
        result="`{roomName, owner, epoch, lastMessageId, membersCount, members, cursor}`",
        result_type="RoomStatus",
        who=READERS,
        doc=(
            "Returns the state of a room with a page of the joined users, all of one moment. Each has "
            "`joinedAt`, when the first of their `sockets` has joined, and the `details` that were set last. "
            "`cursor` gets the next page; null after the last one."
        ),
        errors=READ_ERRORS,
        options=(
            CommandOption("limit", PAGE_LIMIT, "how many members, up to `members_per_page_limit` for a user"),
            CommandOption("cursor", CURSOR, "the `cursor` of the page before"),
            CommandOption("countOnly", FLAG, "true: no members, only their number"),
        ),
        handler=room_get_status,
    ),
    Command(
        name="roomSetDetails",
        arguments=(ROOM, Argument("details", DETAILS)),
        result=NOTHING,
        result_type="null",
        who="joined users, for the socket that calls",
        doc="Sets the details of this socket in a room, until it leaves; null removes them.",
        errors=("messageTooLarge", "noSocket", *READ_ERRORS),
        handler=room_set_details,
        needs_user=True,
        needs_socket=True,
    ),
)
