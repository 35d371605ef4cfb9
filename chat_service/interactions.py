"""Replies, edits, deletions and reactions: messages that refer to an earlier one, as pure functions.

Such a message is stored and delivered like any other. The server puts the field ``relatesTo`` into it. Stores
keep marks of each message that others refer to, so that histories can be folded: each message with what the
others say about it. Redis decides in Lua; the conformance suite compares it with ``judge``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from chat_service.errors import ChatServiceError
from chat_service.types import Message

#: The field of a message that refers to another one. Only the server sets it.
RELATES_TO: Final = "relatesTo"
#: The field of a message in a folded history with what others say about it.
INTERACTIONS: Final = "interactions"
#: The field of a message whose content was removed from the store.
ERASED: Final = "erased"

REPLY, EDIT, DELETION, REACTION, UNREACTION = "reply", "edit", "deletion", "reaction", "unreaction"

#: The argument of ``limitExceeded`` for a message with too many different reactions.
REACTIONS: Final = "reactions of a message"

#: Fields that an edit does not change, and that are left of a message without its content.
_KEPT = ("id", "timestamp", "author", RELATES_TO, ERASED)


class Relation(NamedTuple):
    """The relation of a message to another one of its room.

    ``kind``: reply, edit, deletion, reaction or unreaction. ``id``: the other message. ``reaction``: only for
    the last two. ``epoch``: the epoch that the id belongs to; None for the current one. ``limit``: how many
    different reactions a message may have.
    """

    kind: str
    id: int
    reaction: str = ""
    epoch: str | None = None
    limit: int = 50

    def as_field(self) -> dict[str, Any]:
        """The value of ``relatesTo``. Its first field is the kind: Redis looks for it in the stored text."""
        made: dict[str, Any] = {"type": self.kind, "id": self.id}
        if self.reaction:
            made["reaction"] = self.reaction
        return made


@dataclass(slots=True)
class Marks:
    """The interactions of other users with a message, for one reader.

    ``edit``, ``deletion``: the ids of the last edit and of the deletion, 0 for none. ``reactions``: how often
    each was given, in the order of the first one. ``own``: the reader's reactions, each with the id of its
    message.
    """

    edit: int = 0
    deletion: int = 0
    reactions: Mapping[str, int] = field(default_factory=dict)
    own: Mapping[str, int] = field(default_factory=dict)


NO_MARKS: Final = Marks()


class Folds(NamedTuple):
    """The facts needed to fold messages.

    ``marks``: by the ids of the messages that have any. ``edits``: the last edit of each edited message, by
    the id of the edit. ``last_id``: the last message of the room at that moment.
    """

    marks: Mapping[int, Marks]
    edits: Mapping[int, Message]
    last_id: int


class FoldedPage(NamedTuple):
    """Messages, newest first, what is needed to fold them, and the epoch that their ids belong to."""

    messages: Sequence[Message]
    folds: Folds
    epoch: str


def is_special(message: Message) -> bool:
    """Whether a message says something about another one, and is not a message of its own, as a reply is."""
    relation = message.get(RELATES_TO)
    return isinstance(relation, dict) and relation.get("type") != REPLY


def judge(
    relation: Relation,
    *,
    target: Message | None,
    marks: Marks,
    author: str | None,
    is_admin: bool,
    last_id: int,
    epoch: str,
) -> int | None:
    """Whether a message with a relation is stored: None if so, otherwise the id of the message that has said
    the same before, 0 for a reaction to be taken back that is not there.

    ``target``: the message that it refers to, None if that is not stored. ``marks``: of the target, and with
    the author's own reactions. ``author``: of the message, None for the server. ``is_admin``: whether they
    may change the messages of others. Raises ``noMessage``, ``notAllowed``, ``limitExceeded``.
    """
    missing = ChatServiceError("noMessage", relation.id)
    if relation.epoch not in (None, epoch) or relation.id > last_id:
        raise missing
    if target is not None and is_special(target):
        raise missing
    if relation.kind == REPLY:
        return None
    if target is None:
        raise missing
    is_own = author is not None and target.get("author") == author
    if relation.kind in (EDIT, DELETION) and not (is_admin or is_own):
        raise ChatServiceError("notAllowed")
    if marks.deletion:
        if relation.kind == DELETION:
            return marks.deletion
        raise missing
    if relation.kind == REACTION:
        if relation.reaction in marks.own:
            return marks.own[relation.reaction]
        if relation.reaction not in marks.reactions and len(marks.reactions) >= relation.limit:
            raise ChatServiceError("limitExceeded", REACTIONS)
    elif relation.kind == UNREACTION and relation.reaction not in marks.own:
        return 0
    return None


def without_content(message: Message) -> Message:
    """The remains of a message whose content is hidden or removed."""
    return {name: message[name] for name in _KEPT if name in message}


def erased(message: Message) -> Message:
    """A message whose content is removed from the store."""
    return {**without_content(message), ERASED: True}


def fold(messages: Sequence[Message], folds: Folds) -> list[Message]:
    """The messages of one answer, each with what others say about it, in the same order.

    Messages keep their places, so that ids stay dense. Of an edit, deletion or reaction only the envelope is
    left, if the message that it refers to is in the same answer.
    """
    ids = {message["id"] for message in messages}
    return [_fold_one(message, ids, folds) for message in messages]


def _fold_one(message: Message, ids: set[int], folds: Folds) -> Message:
    if is_special(message):
        if message[RELATES_TO].get("id") in ids:
            return without_content(message)
        return {name: value for name, value in message.items() if name != INTERACTIONS}
    marks = folds.marks.get(message["id"], NO_MARKS)
    said: dict[str, Any] = {"upTo": folds.last_id}
    if marks.deletion or message.get(ERASED) is True:
        said["deleted"] = True
        return {**without_content(message), INTERACTIONS: said}
    shown = message
    if marks.edit:
        said["edited"] = True
        edit = folds.edits.get(marks.edit)
        if edit is not None:
            said["editedAt"] = edit.get("timestamp")
            content = {name: value for name, value in edit.items() if name not in _KEPT}
            shown = {**without_content(message), **content}
    if marks.reactions:
        said["reactions"] = [
            {"reaction": reaction, "count": count, "own": reaction in marks.own}
            for reaction, count in marks.reactions.items()
        ]
    return {**shown, INTERACTIONS: said}
