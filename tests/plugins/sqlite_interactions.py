"""What the messages of a room of the SQLite store say about others."""

from chat_service import interactions, rules
from chat_service.contracts.records import Actor
from chat_service.interactions import Folds, Marks, Relation
from chat_service.types import Message
from tests.plugins.sqlite_step import Step, pack, unpack


class Interactions:
    """Within one step."""

    def __init__(self, step: Step, name: str) -> None:
        self._step = step
        self.name = name

    def find(self, message_id: int) -> Message | None:
        query = "select body from messages where room = ? and id = ?"
        bodies = self._step.column(query, self.name, message_id)
        return unpack(bodies[0]) if bodies else None

    def marks(self, target: int, reader: str | None) -> Marks:
        query = "select kind, user, reaction, id from interactions where room = ? and target = ? order by id"
        edit, counts, own = 0, dict[str, int](), dict[str, int]()
        for kind, user, reaction, message_id in self._step.rows(query, self.name, target):
            if kind == interactions.EDIT:
                edit = message_id
            elif kind == interactions.DELETION:
                return Marks(deletion=message_id)
            else:
                counts[reaction] = counts.get(reaction, 0) + 1
                if user == (reader or ""):
                    own[reaction] = message_id
        return Marks(edit, 0, counts, own)

    def judge(
        self, actor: Actor, relation: Relation, facts: rules.RoomFacts, last_id: int, epoch: str
    ) -> int | None:
        return interactions.judge(
            relation,
            target=self.find(relation.id),
            marks=self.marks(relation.id, actor.name),
            author=actor.name,
            is_admin=actor.bypass or rules.is_admin(facts),
            last_id=last_id,
            epoch=epoch,
        )

    def relate(self, actor: Actor, relation: Relation, message_id: int) -> None:
        who = (self.name, relation.id, actor.name or "", relation.reaction)
        where = "where room = ? and target = ?"
        if relation.kind == interactions.UNREACTION:
            self._step.run(f"delete from interactions {where} and user = ? and reaction = ?", *who)
        elif relation.kind != interactions.REPLY:
            if relation.kind == interactions.DELETION:
                self._step.run(f"delete from interactions {where}", *who[:2])
            query = """insert into interactions (room, target, user, reaction, kind, id)
                       values (?, ?, ?, ?, ?, ?)"""
            self._step.run(query, *who, relation.kind, message_id)
        query = "select min(id) from messages where room = ?"
        oldest = self._step.value(query, self.name) or 0
        self._step.run("delete from interactions where room = ? and target < ?", self.name, oldest)

    def fold(self, reader: str | None, messages: list[Message], last_id: int) -> Folds:
        marks = {message["id"]: self.marks(message["id"], reader) for message in messages}
        edits = {each.edit: self.find(each.edit) for each in marks.values() if each.edit}
        return Folds(marks, {number: it for number, it in edits.items() if it is not None}, last_id)

    def within(
        self, messages: list[Message], folds: Folds, max_bytes: int | None, *, oldest: bool
    ) -> list[Message]:
        """The messages, newest first, that fit with their edits."""
        if max_bytes is None:
            return messages
        edits = [folds.edits.get(folds.marks[message["id"]].edit) for message in messages]
        sizes = [len(pack(it)) + len(pack(edit or {})) for it, edit in zip(messages, edits, strict=True)]
        count = rules.count_within(sizes[::-1] if oldest else sizes, max_bytes)
        return messages[len(messages) - count :] if oldest else messages[:count]
