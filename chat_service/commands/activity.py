"""Rows and handlers of ephemeral events and read marks."""

from collections.abc import Sequence
from contextlib import nullcontext
from time import perf_counter
from typing import Any, Final

from chat_service.commands.conversations import check_recipient
from chat_service.commands.spec import NOTHING, READ_ERRORS, READERS, ROOM, Command, actor_of, user_of
from chat_service.contracts.bus import Notify, Topic, TopicKind
from chat_service.domain.context import Context
from chat_service.domain.delivery import EPHEMERAL
from chat_service.domain.pace import Pace
from chat_service.hooks import CommandCall
from chat_service.protocol.arguments import EVENT_DATA, EVENT_NAME, MESSAGE_ID, ROOM_NAMES, Argument
from chat_service.types import RoomName

#: As many rooms count as one command for the rate of a user.
ROOMS_PER_COMMAND: Final = 50
#: Together with a socket id: the key that serialises counts of unread messages. It cannot be a room's name.
UNREAD: Final = "\0unread"


def admit_event(context: Context, call: CommandCall) -> None:
    """Count an event for the rate of its user on this instance. Raises ``rateLimited``."""
    session = None if call.is_local_call or call.id is None else context.sessions.get(call.id)
    if session is None:
        return
    pace = session.pace
    if pace.events is None:
        pace.events = Pace()
    context.event_rate.take(pace.events, perf_counter())


def admit_unread(context: Context, call: CommandCall) -> None:
    """Count many rooms as several commands, because each of them takes a step in the store."""
    session = None if call.is_local_call or call.id is None else context.sessions.get(call.id)
    rate = context.options.command_rate
    if session is not None and rate is not None:
        session.pace.due += len(call.args[0]) // ROOMS_PER_COMMAND / rate


async def room_event(context: Context, call: CommandCall, room_name: RoomName, name: str, data: Any) -> None:
    if ":" in room_name:
        await check_recipient(context, call, room_name)
    event = {"author": call.user_name, "name": name, "data": data}
    exclude = () if call.id is None else (call.id,)
    notice = Notify(event=EPHEMERAL, args=(room_name, event), exclude=exclude)
    await context.store.room_notify(room_name, actor_of(call), notice)


async def room_mark_read(context: Context, call: CommandCall, room_name: RoomName, id: int) -> int:
    user = user_of(call)
    mark = await context.store.room_mark_read(
        room_name,
        user,
        int(id),
        bypass=call.bypass_permissions,
        limit=context.options.read_marks_limit,
        check_ban=not call.is_local_call,
    )
    if mark.moved:
        exclude = () if call.id is None else (call.id,)
        echo = Notify(event="roomReadEcho", args=(room_name, mark.id), exclude=exclude)
        await context.store.bus.publish(Topic(TopicKind.USER, user), echo)
    return mark.id


async def room_get_unread(
    context: Context, call: CommandCall, room_names: Sequence[RoomName]
) -> dict[RoomName, dict[str, int]]:
    user, bypass = user_of(call), call.bypass_permissions
    # One at a time for a socket, so that others have their turn in between.
    async with context.serial.hold((call.id, UNREAD)) if call.id is not None else nullcontext():
        found = await context.store.rooms_unread(room_names, user, bypass=bypass)
    return {
        room: {"lastMessageId": state.last_message_id, "readId": state.read_id, "unread": state.unread}
        for room, state in found.items()
    }


#: The rows of the table of commands.
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
        handler=room_event,
        admit=admit_event,
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
        handler=room_get_unread,
        admit=admit_unread,
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
        handler=room_mark_read,
        needs_user=True,
    ),
)
