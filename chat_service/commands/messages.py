"""Handlers of the commands about a room's messages and their history."""

from typing import Any

from chat_service.commands.support import actor_of
from chat_service.domain.context import Context
from chat_service.hooks import CommandCall
from chat_service.types import Message, RoomName


def processed(message: Message, call: CommandCall, timestamp: int) -> Message:
    """The message as it is sent: with ``timestamp`` (ms) and ``author`` of the server, without an ``id``.

    A message that no user sends keeps the author it was given.
    """
    done = {**message, "timestamp": timestamp}
    done.pop("id", None)
    if call.user_name is not None:
        done["author"] = call.user_name
    return done


async def room_message(context: Context, call: CommandCall, room_name: RoomName, message: Message) -> int:
    done = processed(message, call, context.clock.now_ms())
    message_id = await context.store.room_message(room_name, actor_of(call), done)
    if call.command in context.hooks.after:
        call.message = {**done, "id": message_id}
    return message_id


async def room_history_get(
    context: Context, call: CommandCall, room_name: RoomName, id: int, limit: int
) -> list[Message]:
    if not call.bypass_permissions:
        limit = min(limit, context.options.history_max_get_messages)
    return await context.store.room_history(room_name, actor_of(call), int(id), int(limit))


async def room_recent_history(context: Context, call: CommandCall, room_name: RoomName) -> list[Message]:
    limit = context.options.history_max_get_messages
    return await context.store.room_recent_history(room_name, actor_of(call), limit)


async def room_history_info(context: Context, call: CommandCall, room_name: RoomName) -> dict[str, Any]:
    info = await context.store.room_history_info(room_name, actor_of(call))
    return {
        "historySize": info.size,
        "historyMaxSize": info.max_size,
        "historyMaxGetMessages": context.options.history_max_get_messages,
        "lastMessageId": info.last_message_id,
        "epoch": info.cursor.epoch,
    }
