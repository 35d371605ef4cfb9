"""Messages that refer to earlier ones: the options of ``roomMessage`` for it, and erasing a message."""

from collections.abc import Mapping
from typing import Any, Final

from chat_service.contracts.records import SYSTEM, SendConditions
from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.interactions import (
    DELETION,
    EDIT,
    REACTION,
    RELATES_TO,
    REPLY,
    UNREACTION,
    Relation,
    erased,
)
from chat_service.protocol.arguments import EPOCH, FLAG, LIMIT, ArgumentType, CommandOption, Limits
from chat_service.protocol.values import is_clean_text
from chat_service.types import Message, RoomName

#: Maximum number of characters of a reaction.
MAX_REACTION_LENGTH = 64


def _is_reaction(value: Any, limits: Limits) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_REACTION_LENGTH and is_clean_text(value)


TARGET_ID = ArgumentType(
    name="id of another message",
    doc="a message id, at least 1",
    python="int",
    typescript="number",
    accepts=LIMIT.accepts,
)

REACTION_TEXT = ArgumentType(
    name="reaction",
    doc=f"a string of 1 to {MAX_REACTION_LENGTH} characters, such as an emoji",
    python="str",
    typescript="string",
    accepts=_is_reaction,
)


#: The relation that each option with the id of another message stands for.
_KINDS: Final[Mapping[str, str]] = {
    "replyTo": REPLY,
    "edits": EDIT,
    "deletes": DELETION,
    "reactsTo": REACTION,
    "unreactsTo": UNREACTION,
}

_ONE = "at most one of the five options with an id"

RELATION_OPTIONS: Final = (
    CommandOption(
        "replyTo",
        TARGET_ID,
        f"the id of the message that this one replies to; {_ONE} may be given",
    ),
    CommandOption(
        "edits", TARGET_ID, "the id of the message whose content this one replaces; for its author and admins"
    ),
    CommandOption(
        "deletes",
        TARGET_ID,
        "the id of the message that this one deletes, for its author and admins; what this one contains is "
        "for clients that do not know deletions",
    ),
    CommandOption("reactsTo", TARGET_ID, "the id of the message that gets a `reaction` of the sender"),
    CommandOption("unreactsTo", TARGET_ID, "the id of the message from which that `reaction` is taken back"),
    CommandOption("reaction", REACTION_TEXT, "the reaction, for `reactsTo` and `unreactsTo`"),
    CommandOption(
        "targetEpoch",
        EPOCH,
        "the epoch that the id of the other message belongs to; in another one there is `noMessage`",
    ),
)

#: Error codes of these options.
RELATION_ERRORS: Final = ("limitExceeded", "noMessage", "notAllowed")

FOLD: Final = CommandOption(
    "fold",
    FLAG,
    "true: each message comes with its current content, and with what others say about it in `interactions`",
)


def relation_of(call: CommandCall, limit: int) -> Relation | None:
    """The relation to another message in the options of a call. Raises ``badArgument`` if they do not fit.

    ``limit``: how many different reactions a message may have.
    """
    options = call.options
    given = [name for name in _KINDS if name in options]
    reaction, epoch = options.get("reaction"), options.get("targetEpoch")
    if not given and reaction is None and epoch is None:
        return None
    kind = _KINDS[given[0]] if len(given) == 1 else None
    if kind is None or (reaction is not None) != (kind in (REACTION, UNREACTION)):
        value: Any = call.rest_args[0] if call.rest_args else dict(options)
        raise ChatServiceError("badArgument", len(call.args), value)
    return Relation(kind, int(options[given[0]]), reaction or "", epoch, limit)


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
