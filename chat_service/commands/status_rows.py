"""Rows of the command table: the status of rooms and the details of members."""

from chat_service.commands import room_status
from chat_service.commands.row_parts import NOTHING, READ_ERRORS, READERS, ROOM
from chat_service.commands.spec import Command
from chat_service.protocol.arguments import CURSOR, DETAILS, FLAG, PAGE_LIMIT, Argument, CommandOption

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
        handler=room_status.room_get_status,
    ),
    Command(
        name="roomSetDetails",
        arguments=(ROOM, Argument("details", DETAILS)),
        result=NOTHING,
        result_type="null",
        who="joined users, for the socket that calls",
        doc="Sets the details of this socket in a room, until it leaves; null removes them.",
        errors=("messageTooLarge", "noSocket", *READ_ERRORS),
        handler=room_status.room_set_details,
        needs_user=True,
        needs_socket=True,
    ),
)
