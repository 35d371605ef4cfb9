"""Handlers of the commands about a room's messages and their history."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from chat_service.commands.support import actor_of
from chat_service.domain.context import Context
from chat_service.hooks import CommandCall
from chat_service.protocol.encoded import EncodedMessages
from chat_service.protocol.values import MAX_DEPTH, count_binary
from chat_service.types import Message, RoomName

#: With a socket id: the key of the histories that a socket reads. It cannot be the name of a room.
HISTORIES = "\0histories"


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
) -> Sequence[Message]:
    if not call.bypass_permissions:
        limit = min(limit, context.options.history_max_get_messages)
    if not limit:
        return await _no_messages(context, call, room_name)
    found = await _in_turn(
        context, call, lambda: context.store.room_history(room_name, actor_of(call), int(id), int(limit))
    )
    return _for_caller(context, call, found, keeps_oldest=True)


async def room_recent_history(context: Context, call: CommandCall, room_name: RoomName) -> Sequence[Message]:
    limit = context.options.history_max_get_messages
    if not limit:
        return await _no_messages(context, call, room_name)
    found = await _in_turn(
        context, call, lambda: context.store.room_recent_history(room_name, actor_of(call), limit)
    )
    return _for_caller(context, call, found, keeps_oldest=False)


async def _no_messages(context: Context, call: CommandCall, room_name: RoomName) -> list[Message]:
    """The answer when histories may not be read at all. Stores are asked for one message or more."""
    await context.store.room_history_info(room_name, actor_of(call))
    return []


async def _in_turn(
    context: Context, call: CommandCall, read: Callable[[], Awaitable[Sequence[Message]]]
) -> Sequence[Message]:
    """Read a history for a client: one at a time per socket, when enough of the earlier answers is sent."""
    drained = context.history_delivery.drained
    if drained is None or call.id is None or call.is_local_call:
        return await read()
    async with context.serial.hold((call.id, HISTORIES)):
        await drained(call.id)
        return await read()


def _for_caller(
    context: Context, call: CommandCall, messages: Sequence[Message], *, keeps_oldest: bool
) -> Sequence[Message]:
    """Messages that the store has encoded, as they are for a transport that can send them so; else a list."""
    delivery = context.history_delivery
    limit = delivery.max_attachments
    if limit is not None and not call.is_local_call and not isinstance(messages, EncodedMessages):
        messages = within_one_packet(messages, limit, keeps_oldest=keeps_oldest)
    if delivery.takes_encoded and not call.is_local_call and call.command not in context.hooks.after:
        return messages
    return messages if isinstance(messages, list) else list(messages)


def within_one_packet(messages: Sequence[Message], limit: int, *, keeps_oldest: bool) -> Sequence[Message]:
    """The oldest, or else the newest, messages that have at most ``limit`` binary values together; one at
    least. ``messages``: the newest first."""
    found = 0
    for kept, message in enumerate(reversed(messages) if keeps_oldest else messages):
        found += count_binary(message, MAX_DEPTH) or 0
        if found > limit:
            kept = max(kept, 1)
            return messages[-kept:] if keeps_oldest else messages[:kept]
    return messages


async def room_history_info(context: Context, call: CommandCall, room_name: RoomName) -> dict[str, Any]:
    info = await context.store.room_history_info(room_name, actor_of(call))
    return {
        "historySize": info.size,
        "historyMaxSize": info.max_size,
        "historyMaxGetMessages": context.options.history_max_get_messages,
        "lastMessageId": info.last_message_id,
        "epoch": info.cursor.epoch,
    }
