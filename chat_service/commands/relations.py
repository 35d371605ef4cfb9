"""The options of ``roomMessage`` that make a message refer to an earlier one."""

from collections.abc import Mapping
from typing import Any, Final

from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.interactions import DELETION, EDIT, REACTION, REPLY, UNREACTION, Relation
from chat_service.protocol.arguments import EPOCH, FLAG, CommandOption
from chat_service.protocol.message_options import REACTION_TEXT, TARGET_ID

#: What each option with the id of another message says about it.
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
    """What the options of a call say about another message. Raises ``badArgument`` if they do not fit.

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
