"""The interactions of a room's messages in memory: edits, deletions and reactions."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chat_service import interactions
from chat_service.contracts.records import HistoryQuery, JoinHistory
from chat_service.interactions import DELETION, EDIT, NO_MARKS, REACTION, UNREACTION, Folds, Marks, Relation
from chat_service.rules import count_within
from chat_service.stores.memory.history import History
from chat_service.types import Message, UserName

#: Number of messages with marks beyond twice the number of stored messages at which the table is cleaned.
_SLACK = 16


@dataclass(slots=True)
class _Entry:
    """Of one message. ``reactions``: the users who gave each, with the ids of their messages."""

    edit: int = 0
    deletion: int = 0
    reactions: dict[str, dict[UserName | None, int]] = field(default_factory=dict)


class InteractionTable:
    """The marks of the messages of one room. Each stored message adds at most one."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._entries: dict[int, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def marks(self, message_id: int, reader: UserName | None) -> Marks | None:
        """The marks of a message for a reader, None if it has none."""
        entry = self._entries.get(message_id)
        if entry is None:
            return None
        counts = {reaction: len(users) for reaction, users in entry.reactions.items()}
        own = {reaction: users[reader] for reaction, users in entry.reactions.items() if reader in users}
        return Marks(entry.edit, entry.deletion, counts, own)

    def judge(self, relation: Relation, author: UserName | None, *, is_admin: bool, epoch: str) -> int | None:
        """``interactions.judge`` for the message that a relation names."""
        return interactions.judge(
            relation,
            target=self._history.find(relation.id),
            marks=self.marks(relation.id, author) or NO_MARKS,
            author=author,
            is_admin=is_admin,
            last_id=self._history.last_id,
            epoch=epoch,
        )

    def read(
        self, reader: UserName | None, found: Sequence[Message], max_bytes: int | None, *, keeps_oldest: bool
    ) -> tuple[Sequence[Message], Folds]:
        """As many of the messages, newest first, as fit with their edits, and the facts to fold them."""
        history = self._history
        marks = {message["id"]: self.marks(message["id"], reader) for message in found}
        known = {number: each for number, each in marks.items() if each is not None}
        if max_bytes is not None:
            in_order = reversed(found) if keeps_oldest else found
            edits = {number: each.edit for number, each in known.items()}
            sizes = (history.size_of(it["id"]) + history.size_of(edits.get(it["id"], 0)) for it in in_order)
            count = count_within(sizes, max_bytes)
            found = found[len(found) - count :] if keeps_oldest else found[:count]
        edited = (known[message["id"]].edit for message in found if message["id"] in known)
        texts = {number: text for number in edited if (text := history.find(number)) is not None}
        return found, Folds(known, texts, history.last_id)

    def read_for_join(self, reader: UserName, query: HistoryQuery, epoch: str) -> JoinHistory:
        """``History.read_for_join``, with what is needed to fold the messages if the query asks for it."""
        read = self._history.read_for_join(query, epoch)
        if not query.fold:
            return read
        newest_first = read.messages[::-1]
        messages, folds = self.read(reader, newest_first, query.max_bytes, keeps_oldest=read.recovered)
        more = read.more or (read.recovered and len(messages) < len(newest_first))
        return JoinHistory(recovered=read.recovered, messages=messages[::-1], more=more, folds=folds)

    def add(self, relation: Relation, author: UserName | None, message_id: int) -> None:
        """Note what the message with this id says. ``judge`` has allowed it."""
        if relation.kind in (EDIT, DELETION, REACTION, UNREACTION):
            self._add(relation, author, message_id)
            self._clean(message_id + 1 - self._history.size, self._history.size)

    def _add(self, relation: Relation, author: UserName | None, message_id: int) -> None:
        entry = self._entries.setdefault(relation.id, _Entry())
        if relation.kind == EDIT:
            entry.edit = message_id
        elif relation.kind == DELETION:
            self._entries[relation.id] = _Entry(deletion=message_id)
        elif relation.kind == REACTION:
            entry.reactions.setdefault(relation.reaction, {})[author] = message_id
        else:
            users = entry.reactions[relation.reaction]
            del users[author]
            if not users:
                del entry.reactions[relation.reaction]

    def _clean(self, oldest: int, stored: int) -> None:
        """Forget messages before the oldest stored one, at a constant cost per message that was added."""
        if len(self._entries) > 2 * stored + _SLACK:
            self._entries = {number: entry for number, entry in self._entries.items() if number >= oldest}
