"""Rows of the command table: messages of rooms and their histories."""

from chat_service.commands import messages
from chat_service.commands.relations import FOLD, RELATION_ERRORS, RELATION_OPTIONS
from chat_service.commands.spec import BODY, READ_ERRORS, READERS, ROOM, Command, ExtraResult
from chat_service.protocol.arguments import FLAG, IDEMPOTENCY_KEY, LIMIT, MESSAGE_ID, Argument, CommandOption

_EPOCH = CommandOption("epoch", FLAG, "true: the ack also has the epoch that the messages belong to")
_EPOCH_RESULT = ExtraResult(
    name="epoch",
    type="string",
    doc="the epoch of the messages, with the option `epoch`",
)

ROWS: tuple[Command, ...] = (
    Command(
        name="roomHistoryGet",
        arguments=(ROOM, Argument("id", MESSAGE_ID), Argument("limit", LIMIT)),
        result="the oldest `limit` messages that follow `id`, newest first",
        result_type="StoredMessage[]",
        who=READERS,
        doc=(
            "Returns the messages that follow an id, up to `history_max_get_messages` for a user. If the "
            "next ones were rotated out, the answer starts at the oldest stored message. An answer has up to "
            "`history_max_get_bytes`, and in JSON up to `max_attachments` binary values; request the rest "
            "from the last id received."
        ),
        errors=READ_ERRORS,
        options=(_EPOCH, FOLD),
        extra=_EPOCH_RESULT,
        handler=messages.room_history_get,
    ),
    Command(
        name="roomHistoryInfo",
        arguments=(ROOM,),
        result="`{historySize, historyMaxSize, historyMaxGetMessages, lastMessageId, epoch}`",
        result_type="HistoryInfo",
        who=READERS,
        doc="Returns the state of the history. Message ids are comparable within one `epoch`.",
        errors=READ_ERRORS,
        handler=messages.room_history_info,
    ),
    Command(
        name="roomMessage",
        arguments=(ROOM, BODY),
        result="the id of the stored message",
        result_type="number",
        who="joined users",
        doc="Stores a message under the room's next id and sends it to everyone in the room.",
        errors=(*RELATION_ERRORS, "conflict", "idempotencyConflict", "messageTooLarge", *READ_ERRORS),
        options=(
            CommandOption(
                "idempotencyKey",
                IDEMPOTENCY_KEY,
                "names this message, so that a repeated send does not store it again: the repeat returns the "
                "id of the first one. Remembered per user and room for `idempotency_window` seconds",
            ),
            CommandOption(
                "expectedLastId",
                MESSAGE_ID,
                "store the message only if the last message of the room has this id (0: none yet), else "
                "`conflict`",
            ),
            *RELATION_OPTIONS,
        ),
        prepare=messages.note_what_was_sent,
        extra=ExtraResult(
            name="outcome",
            type="SendOutcome",
            doc="`{duplicate: true}` if nothing was stored: the key is known, or a message said the same",
        ),
        handler=messages.room_message,
        together=messages.room_message_together,
        checker="room_messages_checker",
    ),
    Command(
        name="roomRecentHistory",
        arguments=(ROOM,),
        result="the newest messages, newest first",
        result_type="StoredMessage[]",
        who=READERS,
        doc=(
            "Returns the newest messages, up to `history_max_get_messages` and `history_max_get_bytes`, and "
            "in JSON up to `max_attachments` binary values."
        ),
        errors=READ_ERRORS,
        options=(_EPOCH, FOLD),
        extra=_EPOCH_RESULT,
        handler=messages.room_recent_history,
    ),
)
