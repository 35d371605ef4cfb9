"""Removing the content of a message from the store."""

from chat_service.contracts.records import SYSTEM, SendConditions
from chat_service.domain.context import Context
from chat_service.interactions import DELETION, EDIT, RELATES_TO, Relation, erased
from chat_service.types import Message, RoomName

#: How many messages, and bytes of messages, are read at once.
_PAGE, _PAGE_BYTES = 100, 1024 * 1024


async def erase_message(context: Context, room: RoomName, message_id: int) -> None:
    """Delete a message for everybody, then replace it and all its edits in the store by empty ones.

    Reads everything that was stored after it. Raises ``noRoom``, ``noMessage``.
    """
    relation = Relation(DELETION, message_id)
    head = {RELATES_TO: relation.as_field()}
    note: Message = {**head, "textMessage": "", "timestamp": context.clock.now_ms()}
    # From here on nobody can edit it.
    await context.store.room_send(room, SYSTEM, note, SendConditions(relation=relation))
    after = message_id - 1
    while page := await context.store.room_history(room, SYSTEM, after, _PAGE, max_bytes=_PAGE_BYTES):
        found = [erased(message) for message in page if _is_part(message, message_id)]
        if found:
            await context.store.room_replace(room, found)
        after = page[0]["id"]


def _is_part(message: Message, message_id: int) -> bool:
    relation = message.get(RELATES_TO)
    is_edit = isinstance(relation, dict) and relation.get("type") == EDIT and relation.get("id") == message_id
    return is_edit or message["id"] == message_id
