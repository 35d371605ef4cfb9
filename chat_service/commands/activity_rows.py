"""Rows of the command table: ephemeral events and read marks."""

from chat_service.commands import activity
from chat_service.commands.row_parts import NOTHING, READ_ERRORS, READERS, ROOM
from chat_service.commands.spec import Command
from chat_service.protocol.arguments import EVENT_DATA, EVENT_NAME, MESSAGE_ID, ROOM_NAMES, Argument

ROWS: tuple[Command, ...] = (
    Command(
        name="roomEvent",
        arguments=(ROOM, Argument("name", EVENT_NAME), Argument("data", EVENT_DATA)),
        result=NOTHING,
        result_type="null",
        who="joined users",
        doc=(
            "Sends an event to the other joined sockets of a room, at most once. Nothing is stored, so who "
            "misses it never gets it. For what is soon out of date, such as who is typing."
        ),
        errors=("messageTooLarge", *READ_ERRORS),
        handler=activity.room_event,
        admit=activity.admit_event,
    ),
    Command(
        name="roomGetUnread",
        arguments=(Argument("roomNames", ROOM_NAMES),),
        result="for each room its last message, the mark of the caller, and the number of messages between",
        result_type="Record<string, ReadState>",
        who="any user; rooms that they may not read, or that do not exist, are left out",
        doc=(
            "Tells how far the caller has read rooms: those that they have joined or are an admin of. "
            "Without a mark, `readId` is 0. `unread` also counts the caller's own messages after the mark."
        ),
        errors=("invalidName", "listLimitExceeded"),
        handler=activity.room_get_unread,
        admit=activity.admit_unread,
        needs_user=True,
    ),
    Command(
        name="roomMarkRead",
        arguments=(ROOM, Argument("id", MESSAGE_ID)),
        result="the id up to which the caller has now read the room",
        result_type="number",
        who=READERS,
        doc=(
            "Moves the caller's mark in a room to a message, on all devices. It never moves back. An id "
            "after the last message means the last message."
        ),
        errors=READ_ERRORS,
        handler=activity.room_mark_read,
        needs_user=True,
    ),
)
