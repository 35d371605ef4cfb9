"""The second judge finds nothing in good histories, and in bad ones the property that is broken."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.history_judge import HistoryVerdict, Property, judge_history
from tests.chaos.table import OTHERS, RULES, verdicts
from tests.chaos.verdict import Rule, Verdict, Violation

ROOT = Path(__file__).parents[2]
SIZES = {"room": 1000, "small": 2, "none": 0, "brief": 1000}
KEY, NEW_KEY = {"idempotencyKey": "k"}, {"idempotencyKey": "n"}
TEXT = {"textMessage": "x"}


class Writer:
    """Writes a history by hand, one second per entry. Alice has ``a`` on instance 1, Bob ``b`` on 2."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._calls = 0
        self.users: dict[str, str] = {}
        self.stored: dict[str, list[tuple[int, str, str]]] = {room: [] for room in SIZES}
        self.open("a", "alice", 1)
        self.open("b", "bob", 2)

    def add(self, kind: str, socket: str, **fields: Any) -> None:
        self.entries.append({"kind": kind, "time": float(len(self.entries)), "socket": socket, **fields})

    def open(self, socket: str, user: str, instance: int, version: str = "current") -> None:
        self.users[socket] = user
        self.add("opened", socket, user=user, instance=instance, version=version)

    def send(self, socket: str, command: str, *args: Any) -> int:
        self._calls += 1
        self.add("sent", socket, call=self._calls, command=command, args=list(args))
        return self._calls

    def answer(
        self, socket: str, call: int, result: Any = None, *extra: Any, error: str | None = None
    ) -> None:
        self.add("acked", socket, call=call, error=error, result=result, extra=list(extra))

    def do(self, socket: str, command: str, *args: Any, result: Any = None, **extra: Any) -> None:
        self.answer(socket, self.send(socket, command, *args), result, *extra.values())

    def refuse(self, socket: str, command: str, *args: Any, error: str) -> None:
        self.answer(socket, self.send(socket, command, *args), error=error)

    def told(self, socket: str, event: str, *args: Any) -> None:
        self.add("received", socket, event=event, args=list(args))

    def hear(
        self, socket: str, message_id: int, text: str, room: str = "room", author: str = "alice"
    ) -> None:
        self.told(socket, "roomMessage", room, {"id": message_id, "textMessage": text, "author": author})

    def store(
        self, message_id: int, text: str, *hearers: str, room: str = "room", author: str = "alice"
    ) -> None:
        self.stored[room].append((message_id, text, author))
        for hearer in hearers:
            self.hear(hearer, message_id, text, room, author)

    def post(self, socket: str, message_id: int, *hearers: str, room: str = "room", **options: Any) -> None:
        """A message that is stored, heard and acknowledged."""
        text = f"{room} {message_id}"
        call = self.send(socket, "roomMessage", room, {"textMessage": text}, *([options] if options else []))
        self.store(message_id, text, *hearers, room=room, author=self.users[socket])
        self.answer(socket, call, message_id)

    def messages(self, room: str = "room", after: int = 0, upto: int = 1000) -> list[dict[str, Any]]:
        """Those that are stored, oldest first."""
        return [
            {"id": message_id, "textMessage": text, "author": author}
            for message_id, text, author in self.stored[room]
            if max(after, self.stored[room][-1][0] - SIZES[room]) < message_id <= upto
        ]

    def answer_to_join(self, room: str, after: int) -> dict[str, Any]:
        last = self.stored[room][-1][0] if self.stored[room] else 0
        is_stored = after == last or last - SIZES[room] <= after < last
        found = self.messages(room, after if is_stored else 0)
        return {
            "epoch": "e", "lastMessageId": last, "recovered": is_stored, "messages": found, "more": False
        }  # fmt: skip

    def join(self, socket: str, room: str = "room", after: int = 0, epoch: str = "e", **changed: Any) -> None:
        """With a cursor; ``changed``: what the answer says instead of the truth."""
        answer = self.answer_to_join(room, after) | changed
        self.do(socket, "roomJoin", room, {"after": after, "epoch": epoch}, result=1, extra=answer)

    def second(self, **changed: Any) -> None:
        """Bob joins by a second socket."""
        self.open("b2", "bob", 1)
        self.join("b2", **changed)

    def settle(
        self, members: dict[str, list[str]] | None = None, second: list[dict[str, Any]] | None = None
    ) -> None:
        """All is read through both instances. ``second``: what instance 2 says of the room instead."""
        self.add("settled", "")
        for reader, instance in (("r1", 1), ("r2", 2)):
            self.open(reader, "reader", instance)
            for room in SIZES:
                found = self.messages(room)
                if second is not None and (reader, room) == ("r2", "room"):
                    found = second
                if found:
                    self.do(reader, "roomHistoryGet", room, 0, 100, result=found[::-1])
                last = found[-1]["id"] if found else 0
                self.do(reader, "roomHistoryGet", room, last, 100, result=[])
        for room, users in ({"room": ["alice", "bob"]} if members is None else members).items():
            self.do("r2", "roomGetAccessList", room, "userlist", result=users)

    def judge(self) -> HistoryVerdict:
        return judge_history(self.entries, SIZES, (1, 2))


def begun() -> Writer:
    """Both have joined, and heard two messages."""
    writer = Writer()
    for socket in ("a", "b"):
        writer.join(socket)
    writer.post("a", 1, "a", "b", **KEY)
    writer.post("b", 2, "b", "a")
    return writer


# Good ones


def repeats(writer: Writer) -> None:
    """The first answer is lost; two more sends at a time, through two instances, are told as repeats."""
    writer.send("a", "roomMessage", "room", TEXT, NEW_KEY)
    writer.store(3, "x", "b")
    writer.add("closed", "a")
    for socket, instance in (("a2", 2), ("a3", 1)):
        writer.open(socket, "alice", instance)
    writer.join("a2", after=2)
    calls = [(socket, writer.send(socket, "roomMessage", "room", TEXT, NEW_KEY)) for socket in ("a2", "a3")]
    for socket, call in calls:
        writer.answer(socket, call, 3, {"duplicate": True})
    other = {"textMessage": "another"}
    writer.refuse("a2", "roomMessage", "room", other, NEW_KEY, error="idempotencyConflict")
    writer.settle()


def reads(writer: Writer) -> None:
    writer.do("b", "roomHistoryGet", "room", 0, 50, result=writer.messages()[::-1])
    writer.do("b", "roomHistoryGet", "room", 0, 1, result=writer.messages(upto=1))
    writer.do("b", "roomRecentHistory", "room", result=writer.messages()[::-1])
    writer.do("b", "roomHistoryInfo", "room", result={"lastMessageId": 2})
    writer.post("a", 3, "a", "b", expectedLastId=2)
    writer.settle()


def rotation(writer: Writer) -> None:
    """Who misses what was rotated away is told so, by the join and live."""
    writer.join("a", "small")
    for message_id in range(1, 5):
        writer.post("a", message_id, "a", room="small")
    writer.join("b", "small", 1)
    for message_id in range(5, 9):
        writer.post("a", message_id, "a", room="small")
    writer.told("b", "roomHistoryGap", "small", {"epoch": "e", "from": 5, "to": 6})
    for message_id in (7, 8):
        writer.hear("b", message_id, f"small {message_id}", "small")
    writer.settle({"small": ["alice", "bob"]})


def no_history(writer: Writer) -> None:
    """Of a room that keeps nothing a socket is told all that it misses, from its join on."""
    for socket in ("a", "b"):
        writer.join(socket, "none")
    for message_id in (1, 2):
        writer.post("a", message_id, "a", room="none")
    writer.told("b", "roomHistoryGap", "none", {"epoch": "e", "from": 1, "to": 2})
    writer.post("a", 3, "a", "b", room="none")
    writer.do("b", "roomHistoryGet", "none", 0, 5, result=[])
    writer.do("b", "roomRecentHistory", "none", result=[])
    writer.do("b", "roomHistoryInfo", "none", result={"lastMessageId": 3})
    writer.settle({"none": ["alice", "bob"]})


def previous_version(writer: Writer) -> None:
    """It knows no keys: each send to it stores."""
    writer.open("a2", "alice", 2, "previous")
    writer.do("a2", "roomJoin", "room", {"after": 2, "epoch": "e"}, result=2)
    for message_id in (3, 4):
        call = writer.send("a2", "roomMessage", "room", TEXT, NEW_KEY)
        writer.store(message_id, "x", "a", "a2", "b")
        writer.answer("a2", call, message_id)
    writer.settle()


def deleted(writer: Writer) -> None:
    """The key of a deleted room means nothing in its next life."""
    for _ in range(2):
        writer.do("a", "roomJoin", "brief", result=1)
        call = writer.send("a", "roomMessage", "brief", TEXT, KEY)
        writer.hear("a", 1, "x", "brief")
        writer.answer("a", call, 1)
        writer.do("b", "roomDelete", "brief")
        writer.told("a", "roomAccessRemoved", "brief")
    writer.settle({"room": ["alice", "bob"], "brief": []})


def all_is_gone(writer: Writer) -> None:
    """What was there before is excused."""
    writer.told("", "fault", "flush")
    writer.stored["room"].clear()
    for socket in ("a", "b"):
        writer.told(socket, "roomAccessRemoved", "room")
    writer.told("", "healed", "flush")
    for _ in range(4):
        writer.do("a", "roomHistoryInfo", "small", result={"lastMessageId": 0})
    for socket in ("a", "b"):
        writer.join(socket)
    call = writer.send("a", "roomMessage", "room", {"textMessage": "anew"}, KEY)
    writer.store(1, "anew", "a", "b")
    writer.answer("a", call, 1)


def all_is_gone_and_settled(writer: Writer) -> None:
    all_is_gone(writer)
    writer.settle()


@pytest.mark.parametrize(
    "tell",
    [Writer.settle, repeats, reads, rotation, no_history, previous_version, deleted, all_is_gone_and_settled],
)
def test_good_histories(tell: Callable[[Writer], None]):
    writer = begun()
    tell(writer)
    verdict = writer.judge()
    assert verdict.is_good, verdict.findings
    assert str(verdict) == "good"
    assert verdict.examined[Property.NO_LOSS] > 0


# Bad ones; the end is added to those that have none


def stored_twice(writer: Writer) -> None:
    writer.store(3, "room 1", "a", "b")


def two_first_answers(writer: Writer) -> None:
    writer.do("a", "roomMessage", "room", {"textMessage": "room 1"}, KEY, result=1)


def two_ids_for_a_key(writer: Writer) -> None:
    call = writer.send("a", "roomMessage", "room", {"textMessage": "room 1"}, KEY)
    writer.store(3, "room 1", "a", "b")
    writer.answer("a", call, 3, {"duplicate": True})


def marked_without_a_first(writer: Writer) -> None:
    call = writer.send("a", "roomMessage", "room", TEXT, NEW_KEY)
    writer.store(3, "x", "a", "b")
    writer.answer("a", call, 3, {"duplicate": True})


def two_bodies_for_a_key(writer: Writer) -> None:
    call = writer.send("a", "roomMessage", "room", TEXT, KEY)
    writer.store(3, "x", "a", "b")
    writer.answer("a", call, 3)


def conflict_with_nothing(writer: Writer) -> None:
    writer.refuse("a", "roomMessage", "room", TEXT, NEW_KEY, error="idempotencyConflict")


def refused_and_stored(writer: Writer) -> None:
    writer.refuse("a", "roomMessage", "room", TEXT, error="notJoined")
    writer.store(3, "x", "a", "b")


def invented(writer: Writer) -> None:
    writer.store(3, "x", "a", "b")


def of_another_author(writer: Writer) -> None:
    writer.do("b", "roomHistoryGet", "room", 1, 5, result=[{**writer.messages()[1], "author": "alice"}])


def acknowledged_and_lost(writer: Writer) -> None:
    writer.do("a", "roomMessage", "room", TEXT, result=3)


def delivered_and_lost(writer: Writer) -> None:
    writer.send("a", "roomMessage", "room", TEXT)
    for socket in ("a", "b"):
        writer.hear(socket, 3, "x")


def lost_for_one_instance(writer: Writer) -> None:
    writer.settle(second=writer.messages(upto=1))


def not_read_in_the_end(writer: Writer) -> None:
    writer.settle()
    writer.entries = [entry for entry in writer.entries if entry["socket"] != "r2"]


def falling_ids(writer: Writer) -> None:
    writer.hear("b", 1, "room 1")


def two_messages_with_one_id(writer: Writer) -> None:
    writer.send("a", "roomMessage", "room", TEXT)
    found = [{"id": 2, "textMessage": "x", "author": "alice"}]
    writer.do("b", "roomHistoryGet", "room", 1, 9, result=found)


def hole_in_a_read(writer: Writer) -> None:
    writer.post("a", 3, "a", "b")
    first, _, last = writer.messages()
    writer.do("b", "roomHistoryGet", "room", 0, 2, result=[last, first])


def hole_in_the_ids(writer: Writer) -> None:
    call = writer.send("a", "roomMessage", "room", TEXT)
    writer.store(4, "x", "a", "b")
    writer.answer("a", call, 4)


def missed_in_the_middle(writer: Writer) -> None:
    writer.post("a", 3, "a")
    writer.post("a", 4, "a", "b")


def missed_at_the_end(writer: Writer) -> None:
    writer.post("a", 3, "a")


def missed_after_the_join(writer: Writer) -> None:
    writer.do("b", "roomLeave", "room", result=0)
    writer.join("b")
    writer.post("a", 3, "a")
    writer.post("a", 4, "a", "b")


def twice_by_the_join(writer: Writer) -> None:
    writer.second()
    writer.hear("b2", 2, "room 2", author="bob")


def live_before_the_answer(writer: Writer) -> None:
    writer.open("b2", "bob", 1)
    call = writer.send("b2", "roomJoin", "room", {"after": 0})
    answer = writer.answer_to_join("room", 0)
    writer.post("a", 3, "a", "b", "b2")
    writer.answer("b2", call, 2, answer)


def cursor_without_the_first(writer: Writer) -> None:
    writer.second(messages=writer.messages(after=1))


def good_cursor_not_taken(writer: Writer) -> None:
    writer.second(after=1, recovered=False, messages=writer.messages())


def cursor_of_another_epoch_taken(writer: Writer) -> None:
    writer.second(after=1, epoch="another")


def more_without_more(writer: Writer) -> None:
    writer.second(more=True)


def gap_without_need(writer: Writer) -> None:
    writer.post("a", 3, "a")
    writer.told("b", "roomHistoryGap", "room", {"epoch": "e", "from": 3, "to": 3})


def _rotate(writer: Writer, *gaps: tuple[int, int], heard: int = 1, later: int = 2, epoch: str = "e") -> None:
    """Alice sends five messages to a room that keeps two. Bob gets ``heard`` of them, is told of ``gaps``,
    and gets the last ones, ``later`` of them."""
    for socket in ("a", "b"):
        writer.join(socket, "small")
    for message_id in range(1, 6):
        writer.post("a", message_id, *("ab" if message_id <= heard else "a"), room="small")
    for first, last in gaps:
        writer.told("b", "roomHistoryGap", "small", {"epoch": epoch, "from": first, "to": last})
    for message_id in range(6 - later, 6):
        writer.hear("b", message_id, f"small {message_id}", "small")


def gap_that_begins_too_late(writer: Writer) -> None:
    _rotate(writer, (2, 3), heard=0)


def gap_that_begins_too_early(writer: Writer) -> None:
    _rotate(writer, (1, 3))


def gap_that_ends_too_early(writer: Writer) -> None:
    _rotate(writer, (2, 2))


def gap_that_holds_what_is_stored(writer: Writer) -> None:
    _rotate(writer, (2, 4), later=1)


def gap_that_is_told_twice(writer: Writer) -> None:
    _rotate(writer, (2, 3), (2, 3))


def gap_of_nothing(writer: Writer) -> None:
    _rotate(writer, (2, 1), (2, 3))


def gap_of_another_epoch(writer: Writer) -> None:
    _rotate(writer, (2, 3), epoch="another")


def gap_outside(writer: Writer) -> None:
    _rotate(writer, (2, 3))
    writer.do("b", "roomLeave", "small", result=0)
    for message_id in range(6, 9):
        writer.post("a", message_id, "a", room="small")
    writer.told("b", "roomHistoryGap", "small", {"epoch": "e", "from": 6, "to": 6})
    writer.settle({"small": ["alice"]})


def gap_that_is_not_told(writer: Writer) -> None:
    _rotate(writer)


def gap_that_is_not_told_after_the_join(writer: Writer) -> None:
    _rotate(writer, heard=0)


def gap_that_is_told_too_late(writer: Writer) -> None:
    _rotate(writer)
    writer.told("b", "roomHistoryGap", "small", {"epoch": "e", "from": 2, "to": 3})


def gap_at_the_end_that_is_not_told(writer: Writer) -> None:
    for socket in ("a", "b"):
        writer.join(socket, "none")
    writer.post("a", 1, "a", room="none")


def something_read_where_nothing_is_kept(writer: Writer) -> None:
    for socket in ("a", "b"):
        writer.join(socket, "none")
    writer.post("a", 1, "a", "b", room="none")
    found = {"id": 1, "textMessage": "none 1", "author": "alice"}
    writer.do("b", "roomHistoryGet", "none", 0, 5, result=[found])


def overtaken(writer: Writer) -> None:
    writer.do("b", "roomMessage", "room", {"textMessage": "first"}, result=4)
    writer.do("a", "roomMessage", "room", {"textMessage": "second"}, result=3)
    writer.store(3, "second", "a", "b")
    writer.store(4, "first", "a", "b", author="bob")


def stale_info(writer: Writer) -> None:
    writer.do("b", "roomHistoryInfo", "room", result={"lastMessageId": 1})


def stale_recent(writer: Writer) -> None:
    writer.do("b", "roomRecentHistory", "room", result=writer.messages(upto=1))


def own_message_not_read(writer: Writer) -> None:
    """Through another instance."""
    writer.open("b2", "bob", 1)
    writer.do("b2", "roomHistoryGet", "room", 1, 5, result=[])


def read_that_begins_too_late(writer: Writer) -> None:
    writer.do("b", "roomHistoryGet", "room", 0, 5, result=writer.messages(after=1))


def stale_join(writer: Writer) -> None:
    writer.second(lastMessageId=1, messages=writer.messages(upto=1))
    writer.hear("b2", 2, "room 2", author="bob")


def condition_ignored(writer: Writer) -> None:
    writer.post("a", 3, "a", "b", expectedLastId=1)


def user_missing(writer: Writer) -> None:
    writer.settle({"room": ["alice"]})


def ghost(writer: Writer) -> None:
    writer.do("b", "roomLeave", "room", result=0)
    writer.settle({"room": ["alice", "bob"]})


def own_sockets_wrong(writer: Writer) -> None:
    writer.settle()
    writer.do("a", "listOwnSockets", result={"a": ["room"], "ghost": []})


def own_rooms_wrong(writer: Writer) -> None:
    writer.settle()
    writer.do("a", "listOwnSockets", result={"a": ["room", "small"]})


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (stored_twice, {Property.EXACTLY_ONCE}),
        (two_first_answers, {Property.EXACTLY_ONCE}),
        (two_ids_for_a_key, {Property.EXACTLY_ONCE}),
        (marked_without_a_first, {Property.EXACTLY_ONCE}),
        (two_bodies_for_a_key, {Property.EXACTLY_ONCE}),
        (conflict_with_nothing, {Property.EXACTLY_ONCE}),
        (refused_and_stored, {Property.EXACTLY_ONCE}),
        (invented, {Property.EXACTLY_ONCE}),
        (of_another_author, {Property.EXACTLY_ONCE}),
        (acknowledged_and_lost, {Property.NO_LOSS, Property.READS}),
        (delivered_and_lost, {Property.NO_LOSS}),
        (lost_for_one_instance, {Property.NO_LOSS, Property.ORDER, Property.READS}),
        (not_read_in_the_end, {Property.NO_LOSS}),
        (falling_ids, {Property.ORDER}),
        (two_messages_with_one_id, {Property.ORDER, Property.NO_LOSS, Property.REAL_TIME}),
        (hole_in_a_read, {Property.ORDER}),
        (hole_in_the_ids, {Property.ORDER, Property.DELIVERY}),
        (missed_in_the_middle, {Property.DELIVERY}),
        (missed_at_the_end, {Property.DELIVERY}),
        (missed_after_the_join, {Property.DELIVERY}),
        (twice_by_the_join, {Property.DELIVERY}),
        (live_before_the_answer, {Property.DELIVERY}),
        (gap_that_is_not_told, {Property.DELIVERY}),
        (gap_that_is_not_told_after_the_join, {Property.DELIVERY}),
        (gap_that_is_told_too_late, {Property.DELIVERY, Property.GAPS}),
        (gap_at_the_end_that_is_not_told, {Property.DELIVERY}),
        (gap_that_ends_too_early, {Property.DELIVERY}),
        (cursor_without_the_first, {Property.CURSOR}),
        (good_cursor_not_taken, {Property.CURSOR}),
        (cursor_of_another_epoch_taken, {Property.CURSOR}),
        (more_without_more, {Property.CURSOR}),
        (gap_without_need, {Property.GAPS}),
        (gap_that_begins_too_late, {Property.GAPS}),
        (gap_that_begins_too_early, {Property.GAPS}),
        (gap_that_holds_what_is_stored, {Property.GAPS}),
        (gap_that_is_told_twice, {Property.GAPS}),
        (gap_of_nothing, {Property.GAPS}),
        (gap_of_another_epoch, {Property.GAPS}),
        (gap_outside, {Property.GAPS}),
        (overtaken, {Property.REAL_TIME}),
        (something_read_where_nothing_is_kept, {Property.READS}),
        (stale_info, {Property.READS}),
        (stale_recent, {Property.READS}),
        (own_message_not_read, {Property.READS}),
        (read_that_begins_too_late, {Property.READS}),
        (stale_join, {Property.READS}),
        (condition_ignored, {Property.CONDITIONAL}),
        (user_missing, {Property.PRESENCE}),
        (ghost, {Property.PRESENCE}),
        (own_sockets_wrong, {Property.PRESENCE}),
        (own_rooms_wrong, {Property.PRESENCE}),
    ],
)
def test_every_property_can_fail(spoil: Callable[[Writer], None], kinds: set[Property]):
    writer = begun()
    spoil(writer)
    if all(entry["kind"] != "settled" for entry in writer.entries):
        writer.settle()
    verdict = writer.judge()
    assert {kind for kind, _ in verdict.findings} == kinds, verdict.findings
    assert str(verdict).startswith("BAD")


@pytest.mark.parametrize("name", ["kill", "flush"])
def test_only_faults_that_lose_data_excuse_a_loss(name: str):
    writer = begun()
    acknowledged_and_lost(writer)
    writer.told("", "fault", name)
    writer.told("", "healed", name)
    writer.settle()
    assert writer.judge().is_good is (name == "flush")


def test_messages_sent_after_a_loss_are_judged():
    writer = begun()
    all_is_gone(writer)
    writer.do("a", "roomMessage", "room", TEXT, result=2)
    writer.settle()
    assert {kind for kind, _ in writer.judge().findings} == {Property.NO_LOSS, Property.READS}


def test_the_table_of_both_judges():
    writer = begun()
    lost_for_one_instance(writer)
    first = Verdict(violations=[Violation(Rule.ACKED_LOST, "x")], allowed=[Violation(Rule.THROWN_OUT, "y")])
    rows = {}
    for line in verdicts([(first, writer.judge())], 7).splitlines():
        kind, *cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        rows[kind] = cells
    assert rows[Property.NO_LOSS][:2] == ["BAD: 1", "BAD: 1"]
    assert rows[Property.ORDER][:2] == ["good", "BAD: 1"]
    assert rows[Property.CONDITIONAL] == ["-", "nothing to judge", "0"]
    assert rows["the other rules of the first judge"] == ["good (1 excused)", "-", "7 commands"]
    assert set(RULES) == set(Property)
    assert OTHERS | frozenset().union(*RULES.values()) == set(Rule)


def _modules(name: str) -> set[str]:
    """A module of the tests and all others of them that it imports."""
    found, rest = set[str](), [name]
    while rest:
        module = rest.pop()
        path = ROOT / f"{module.replace('.', '/')}.py"
        if module not in found and path.exists():
            found.add(module)
            for source, names in re.findall(r"^from (tests\.\S+) import (.*)", path.read_text("utf-8"), re.M):
                rest += [source, *(f"{source}.{part.strip()}" for part in names.split(","))]
    return found


def test_the_judges_share_no_code():
    first, second = _modules("tests.chaos.checker"), _modules("tests.chaos.history_judge")
    assert {"tests.chaos.rules_messages", "tests.chaos.run"} <= first
    assert {"tests.chaos.history", "tests.chaos.history_streams"} <= second
    assert not first & second
