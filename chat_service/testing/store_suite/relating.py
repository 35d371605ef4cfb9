"""Messages that refer to others: replies, edits, deletions, reactions; and folded histories."""

import random
from dataclasses import dataclass, field
from typing import Any

from chat_service.contracts.records import SYSTEM, Actor, HistoryQuery, RoomConfig, SendConditions, SendResult
from chat_service.errors import ChatServiceError
from chat_service.interactions import Relation, fold
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    CAROL,
    HALL,
    NOW,
    ROOM,
    S1,
    Peer,
    Peers,
    StoreTests,
    actor,
    raises_error,
)
from chat_service.types import Message, RoomName, SocketId, UserName

#: How many messages the room of the model keeps, and how many different reactions a message may have.
KEPT, REACTIONS = 25, 2
#: The end of a message's JSON text could be taken for the author's by a careless comparison.
STRANGE = UserName('x","author"="alice')
PEOPLE = (ALICE, BOB, CAROL, STRANGE)


def message_of(who: UserName | None, content: Any, relation: Relation | None = None) -> Message:
    """A message as the service makes it."""
    head = {} if relation is None else {"relatesTo": relation.as_field()}
    tail = {} if who is None else {"author": who}
    return {**head, "textMessage": content, "timestamp": NOW, **tail}


async def say(
    peer: Peer, who: Actor, content: Any, relation: Relation | None = None, room: RoomName = ROOM, **more: Any
) -> SendResult:
    conditions = SendConditions(relation=relation, **more)
    return await peer.store.room_send(room, who, message_of(who.name, content, relation), conditions)


@dataclass
class Model:
    """A room of which all is known, and every answer is worked out from the list of all its messages."""

    owner: UserName = CAROL
    said: list[tuple[UserName | None, Any, Relation | None]] = field(default_factory=list)

    def is_stored(self, number: int) -> bool:
        return max(0, len(self.said) - KEPT) < number <= len(self.said)

    def about(self, number: int, *kinds: str) -> list[int]:
        """The ids of the messages that say something about one."""
        every = enumerate(self.said, 1)
        return [at for at, (_, _, it) in every if it is not None and it.id == number and it.kind in kinds]

    def reactions(self, number: int) -> dict[str, dict[UserName | None, int]]:
        given: dict[str, dict[UserName | None, int]] = {}
        for at in self.about(number, "reaction", "unreaction"):
            who, _, relation = self.said[at - 1]
            assert relation is not None
            users = given.setdefault(relation.reaction, {})
            if relation.kind == "reaction":
                users[who] = at
            else:
                users.pop(who)
            if not users:
                del given[relation.reaction]
        return given

    def send(self, who: Actor, content: Any, relation: Relation) -> Any:
        """The id, the code of the error, or the id of a duplicate in a list."""
        kind, target = relation.kind, relation.id
        if target > len(self.said) or (self.is_stored(target) and self.is_special(target)):
            return "noMessage"
        if kind != "reply" and not self.is_stored(target):
            return "noMessage"
        may_change = who.bypass or who.name in (self.owner, self.said[target - 1][0])
        if kind in ("edit", "deletion") and (not may_change or (who.name is None and not who.bypass)):
            return "notAllowed"
        deleted = self.about(target, "deletion")
        if kind != "reply" and deleted:
            return [deleted[0]] if kind == "deletion" else "noMessage"
        given = self.reactions(target)
        mine = given.get(relation.reaction, {})
        if kind == "reaction" and who.name in mine:
            return [mine[who.name]]
        if kind == "reaction" and not mine and len(given) >= REACTIONS:
            return "limitExceeded"
        if kind == "unreaction" and who.name not in mine:
            return [0]
        self.said.append((who.name, content, relation))
        return len(self.said)

    def is_special(self, number: int) -> bool:
        relation = self.said[number - 1][2]
        return relation is not None and relation.kind != "reply"

    def folded(self, number: int, ids: list[int], reader: UserName | None) -> Message:
        who, content, relation = self.said[number - 1]
        plain = {**message_of(who, content, relation), "id": number}
        envelope = {name: value for name, value in plain.items() if name != "textMessage"}
        if relation is not None and self.is_special(number):
            return envelope if relation.id in ids else plain
        marks: dict[str, Any] = {"upTo": len(self.said)}
        if self.about(number, "deletion"):
            return {**envelope, "interactions": {**marks, "deleted": True}}
        if edits := self.about(number, "edit"):
            marks |= {"edited": True, "editedAt": NOW}
            plain["textMessage"] = self.said[edits[-1] - 1][1]
        if given := self.reactions(number):
            marks["reactions"] = [
                {"reaction": name, "count": len(users), "own": reader in users}
                for name, users in given.items()
            ]
        return {**plain, "interactions": marks}


async def outcome(peer: Peer, who: Actor, content: Any, relation: Relation) -> Any:
    try:
        sent = await say(peer, who, content, relation)
    except ChatServiceError as error:
        return error.code
    return [sent.id] if sent.is_duplicate else sent.id


class RelationSuite(StoreTests):
    """Messages that refer to others."""

    async def test_random_interactions_are_as_the_model_says(self, peers: Peers) -> None:
        chance, model = random.Random(14), Model()  # noqa: S311
        one, other = await peers.open_many(2)
        config = RoomConfig(owner=CAROL, history_max_size=KEPT)
        await one.store.room_create(ROOM, config)
        for number, user in enumerate(PEOPLE, 1):
            await one.store.socket_connect(user, SocketId(f"s{number}"), one.instance_id)
            await one.join(user, SocketId(f"s{number}"))
        senders = [*map(actor, PEOPLE), SYSTEM]
        kinds = ["reply", "edit", "edit", "deletion", *["reaction"] * 4, *["unreaction"] * 2]
        for step in range(250):
            peer, who = chance.choice([one, other]), chance.choice(senders)
            content = chance.choice([f"text {step}", f'"}},{step}', b"binary"])
            if chance.random() < 0.3:
                model.said.append((who.name, content, None))
                assert (await say(peer, who, content)).id == len(model.said)
            else:
                recent = chance.randint(len(model.said) - 8, len(model.said) + 1)
                target = max(1, recent if chance.random() < 0.8 else chance.randint(1, len(model.said) + 2))
                kind = chance.choice(kinds)
                reaction = chance.choice("abc") if kind.endswith("reaction") else ""
                relation = Relation(kind, target, reaction, limit=REACTIONS)
                expected = model.send(who, content, relation)
                assert await outcome(peer, who, content, relation) == expected
            if step % 5 == 0:
                await self._compare(peer, model, chance)

    async def _compare(self, peer: Peer, model: Model, chance: random.Random) -> None:
        last, reader = len(model.said), chance.choice([*PEOPLE, None])
        who = Actor(reader, reader is None)
        after, limit = chance.choice([None, chance.randint(0, last)]), chance.choice([1, 7, 100])
        page = await peer.store.room_history_folded(ROOM, who, after, limit, max_bytes=100_000)
        stored = [number for number in range(1, last + 1) if model.is_stored(number)]
        ids = stored[-limit:] if after is None else [number for number in stored if number > after][:limit]
        expected = [model.folded(number, ids, reader) for number in reversed(ids)]
        assert fold(page.messages, page.folds) == expected
        if reader is not None:
            query = HistoryQuery(after=after, limit=limit, recent=7, fold=True)
            at = SocketId(f"s{PEOPLE.index(reader) + 1}")
            joined = await peer.store.room_join(
                ROOM, reader, at, peer.instance_id, NOW, announce=False, query=query
            )
            read = joined.history
            assert read is not None and read.folds is not None
            ids = [message["id"] for message in read.messages]
            assert fold(read.messages, read.folds) == [model.folded(number, ids, reader) for number in ids]

    async def test_room_and_epoch_of_the_other_message(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig())
        assert (await say(peer, SYSTEM, "a")).id == 1
        with raises_error("noMessage", 1):
            await say(peer, SYSTEM, "b", Relation("edit", 1), HALL)
        epoch = (await peer.store.room_history_info(ROOM, SYSTEM)).cursor.epoch
        assert (await say(peer, SYSTEM, "b", Relation("edit", 1, epoch=epoch))).id == 2
        await peer.store.room_renew(ROOM, epoch, NOW)
        for kind in ("reply", "edit", "reaction"):
            with raises_error("noMessage", 1):
                await say(peer, SYSTEM, "b", Relation(kind, 1, epoch=epoch))
        # Earlier interactions are still known.
        page = await peer.store.room_history_folded(ROOM, SYSTEM, None, 9)
        assert [message["textMessage"] for message in fold(page.messages, page.folds)[1:]] == ["b"]
        # A room of the same name begins anew.
        await peer.store.room_delete(ROOM, SYSTEM)
        await peer.store.room_create(ROOM, RoomConfig())
        await say(peer, SYSTEM, "new")
        page = await peer.store.room_history_folded(ROOM, SYSTEM, None, 9)
        assert fold(page.messages, page.folds)[0]["interactions"] == {"upTo": 1}

    async def test_key_and_condition_go_before_and_along(self, peer: Peer) -> None:
        await say(peer, SYSTEM, "a")
        like = Relation("reaction", 1, "+1")
        assert await say(peer, SYSTEM, "", like, key="k", digest=b"1") == SendResult(2, False)
        assert await say(peer, SYSTEM, "", like, key="l", digest=b"1") == SendResult(2, True)
        undo = Relation("unreaction", 1, "+1")
        assert await say(peer, SYSTEM, "", undo, expected_last_id=2) == SendResult(3, False)
        with raises_error("conflict", 3):
            await say(peer, SYSTEM, "", Relation("edit", 99), expected_last_id=2)
        # Both keys are remembered, also that of a reaction that was there already: a repeat changes nothing.
        for key in ("k", "l"):
            assert await say(peer, SYSTEM, "", like, key=key, digest=b"1") == SendResult(2, True)
        with raises_error("idempotencyConflict", "k"):
            await say(peer, SYSTEM, "", Relation("edit", 99), key="k", digest=b"2")
        page = await peer.store.room_history_folded(ROOM, SYSTEM, None, 9)
        assert page.folds.marks.get(1) is None or not page.folds.marks[1].reactions

    async def test_budget_counts_edits(self, peer: Peer) -> None:
        for number in range(1, 9):
            await say(peer, SYSTEM, "x" * 100)
            await say(peer, SYSTEM, "y" * 10_000, Relation("edit", 2 * number - 1))
        for after in (None, 0):
            page = await peer.store.room_history_folded(ROOM, SYSTEM, after, 16, max_bytes=50_000)
            # An edit counts as itself and with the message that it edits.
            assert 4 <= len(page.messages) <= 6
            ids = [message["id"] for message in page.messages]
            assert ids == list(range(ids[0], ids[-1] - 1, -1))
            assert (ids[0] == 16) if after is None else (ids[-1] == 1)
            one = await peer.store.room_history_folded(ROOM, SYSTEM, after, 16, max_bytes=1)
            assert len(one.messages) == 1

    async def test_replaced_message(self, peer: Peer) -> None:
        await peer.store.room_create(HALL, RoomConfig(history_max_bytes=1000))
        for content in ("a" * 300, b"b" * 300):
            await say(peer, SYSTEM, content, room=HALL)
        blanks = [{"id": number, "timestamp": NOW, "erased": True} for number in (1, 2, 3)]
        await peer.store.room_replace(HALL, blanks)
        assert await peer.store.room_recent_history(HALL, SYSTEM, 9) == blanks[1::-1]
        # The bytes are free again.
        await say(peer, SYSTEM, "c" * 800, room=HALL)
        assert len(await peer.store.room_recent_history(HALL, SYSTEM, 9)) == 3
        with raises_error("noRoom", "nowhere"):
            await peer.store.room_replace(RoomName("nowhere"), blanks)

    async def test_only_members_react_and_only_readers_fold(self, peer: Peer) -> None:
        await say(peer, SYSTEM, "a")
        await peer.connect(BOB, S1)
        with raises_error("notJoined", ROOM):
            await say(peer, actor(BOB), "", Relation("reaction", 1, "+1"))
        with raises_error("notJoined", ROOM):
            await peer.store.room_history_folded(ROOM, actor(BOB), None, 9)
