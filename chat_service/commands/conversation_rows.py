"""Rows of the command table: conversations of two users, and the list of a user's rooms."""

from chat_service.commands import conversations
from chat_service.commands.row_parts import USER
from chat_service.commands.spec import Command
from chat_service.protocol.arguments import CURSOR, PAGE_LIMIT, CommandOption

ROWS: tuple[Command, ...] = (
    Command(
        name="directOpen",
        arguments=(USER,),
        result="the name of the conversation's room",
        result_type="string",
        who="users allowed by the other user's lists, when `enable_direct_conversations` is on",
        doc=(
            "Opens the conversation with a user, who may be offline: a room for the two, with everything "
            "that rooms have. It is in the lists of both until they leave it. Opening it again changes "
            "nothing."
        ),
        errors=("banned", "invalidName", "limitExceeded", "notAllowed"),
        handler=conversations.direct_open,
        needs_user=True,
    ),
    Command(
        name="listOwnRooms",
        arguments=(),
        result="`{rooms, cursor}`",
        result_type="OwnRooms",
        who="any user",
        doc=(
            "Returns a page of the caller's rooms in the order of their names: conversations, and the rooms "
            "that one of their devices has joined and none has left. They stay when connections end. Each "
            "has `roomName`, `kind` (`direct` or `room`), the other user as `userName`, the last message and "
            "what is unread. `cursor` gets the next page; null after the last one."
        ),
        errors=(),
        options=(
            CommandOption("limit", PAGE_LIMIT, "how many rooms, up to 100"),
            CommandOption("cursor", CURSOR, "the `cursor` of the page before"),
        ),
        handler=conversations.list_own_rooms,
        needs_user=True,
    ),
)
