"""The checker finds nothing in good records, and each of its rules can fail."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.checker import is_at_rest
from tests.chaos.record import CURRENT, PREVIOUS, Opened
from tests.chaos.story import Story, both_joined
from tests.chaos.verdict import Rule


def test_a_good_record():
    story = both_joined()
    story.leave("b")
    story.post("a", 3, "a")
    story.call("b", "roomMessage", "room", {"textMessage": "refused"}, error="notJoined")
    story.join("b")
    story.post("a", 4, "a", "b")
    story.call(
        "a", "roomRecentHistory", "room", result=[{"id": 4, "textMessage": "room-4", "author": "alice"}]
    )
    story.record.received("a", "roomUserJoined", "room", "bob")
    story.record.settled()
    story.call("a", "listOwnSockets", result={"a": ["room"]})
    story.call("b", "roomGetAccessList", "room", "userlist", result=["bob", "alice"])
    verdict = story.judge(alive=2)
    assert verdict.is_good, verdict.violations


def test_a_message_without_an_answer_may_be_stored_or_not():
    story = both_joined()
    story.call("a", "roomMessage", "room", {"textMessage": "perhaps"}, error="timeout")
    assert story.judge().is_good
    story.hear("a", 3, "perhaps")
    story.hear("b", 3, "perhaps")
    story.histories["room"].append((3, "perhaps"))
    assert story.judge().is_good


def tell_gap(story: Story, first: int, last: int, room: str = "small", epoch: str = "e") -> None:
    story.record.received("b", "roomHistoryGap", room, {"epoch": epoch, "from": first, "to": last})


def rotated(last_known: int, *gaps: tuple[int, int], later: int = 2, version: str = CURRENT) -> Story:
    """Alice sends five messages to a room that keeps two. Bob gets the first ones up to ``last_known``, is
    told of ``gaps``, and gets the last ones, ``later`` of them."""
    story = Story()
    opened = story.record.entries[1]
    assert isinstance(opened, Opened)
    story.record.entries[1] = replace(opened, version=version)
    story.join("a", "small")
    story.join(
        "b",
        "small",
        *([{"after": 0}] if version == CURRENT else []),
        extra=[ANSWER] if version == CURRENT else [],
    )
    for message_id in range(1, 6):
        story.post("a", message_id, *("ab" if message_id <= last_known else "a"), room="small")
    for gap in gaps:
        tell_gap(story, *gap)
    for message_id in range(6 - later, 6):
        story.hear("b", message_id, f"small-{message_id}", "small")
    del story.histories["small"][:3]
    return story


#: To a join of an empty room with a cursor.
ANSWER = {"epoch": "e", "lastMessageId": 0, "recovered": True, "messages": [], "more": False}


@pytest.mark.parametrize(
    "story",
    [
        rotated(1, (2, 3)),
        rotated(1, (2, 2), (3, 3)),
        rotated(0, (1, 3)),
        rotated(3),
        rotated(1, version=PREVIOUS),
        rotated(0, version=PREVIOUS),
    ],
    ids=["once", "twice", "at the beginning", "nothing is missing", "previous", "previous, at the beginning"],
)
def test_messages_that_were_rotated_away(story: Story):
    verdict = story.judge()
    assert verdict.is_good, verdict.violations


def test_rotated_messages_are_counted():
    assert rotated(1, (2, 3)).judge().notes["messages missed that were rotated away"] == 2


@pytest.mark.parametrize(
    ("story", "rules"),
    [
        (rotated(1), {Rule.GAP}),
        (rotated(0), {Rule.CURSOR, Rule.LATE_START}),
        (rotated(1, (2, 2)), {Rule.GAP}),
        (rotated(1, (3, 3)), {Rule.GAP, Rule.GAP_TOLD}),
        (rotated(1, (2, 4), later=1), {Rule.GAP_TOLD}),
        (rotated(1, (1, 3)), {Rule.GAP_TOLD}),
        (rotated(1, (2, 3), (2, 3)), {Rule.GAP_TOLD}),
        (rotated(0, (2, 3)), {Rule.CURSOR, Rule.LATE_START, Rule.GAP_TOLD}),
        (rotated(1, (3, 2)), {Rule.GAP, Rule.GAP_TOLD}),
    ],
    ids=[
        "not told", "not told at the beginning", "ends too early", "begins too late", "holds what is stored",
        "begins too early", "told twice", "begins too late at the beginning", "empty",
    ],
)  # fmt: skip
def test_gaps_that_are_wrong(story: Story, rules: set[Rule]):
    assert {item.rule for item in story.judge().violations} == rules


def test_gaps_of_another_epoch_or_told_too_late_or_outside():
    story = rotated(1)
    tell_gap(story, 2, 3)
    assert {item.rule for item in story.judge().violations} == {Rule.GAP, Rule.GAP_TOLD}
    story = rotated(3)
    story.post("a", 6, "a", room="small")
    story.post("a", 7, "a", room="small")
    story.post("a", 8, "a", room="small")
    tell_gap(story, 6, 6, epoch="another")
    for message_id in (7, 8):
        story.hear("b", message_id, f"small-{message_id}", "small")
    del story.histories["small"][:3]
    assert {item.rule for item in story.judge().violations} == {Rule.GAP_TOLD}
    story = Story()
    tell_gap(story, 1, 1)
    assert {item.rule for item in story.judge().violations} == {Rule.UNINVITED}


def test_a_room_without_history():
    story = Story()
    for socket in ("a", "b"):
        story.join(socket, "none", {"after": 0}, extra=[ANSWER])
    story.post("a", 1, "a", "b", room="none")
    story.post("a", 2, "a", room="none")
    tell_gap(story, 2, 2, "none")
    story.post("a", 3, "a", "b", room="none")
    story.call("a", "roomRecentHistory", "none", result=[])
    story.histories["none"], story.last_ids["none"] = [], 3
    verdict = story.judge()
    assert verdict.is_good, verdict.violations


def test_lost_messages_whose_ids_were_rotated_away_later():
    """A fail-over lost the first message, and another one got its id."""
    story = Story()
    for socket in ("a", "b"):
        story.join(socket, "small")
    story.post("a", 1, "a", room="small")
    story.histories["small"].clear()
    sent = story.record.sent("a", "roomMessage", "small", {"textMessage": "instead"})
    story.record.acked("a", sent.call, None, 1)
    for message_id in (2, 3, 4):
        story.post("a", message_id, "a", "b", room="small")
    del story.histories["small"][:1]
    verdict = story.judge(allowed=frozenset({Rule.CONFLICT}))
    assert verdict.is_good, verdict.violations


def test_a_deleted_room_begins_anew():
    story = Story()
    story.join("a", "brief")
    story.post("a", 1, "a", room="brief")
    story.call("o", "roomDelete", "brief")
    story.record.received("a", "roomAccessRemoved", "brief")
    story.call("o", "roomCreate", "brief", False)
    story.forget("a", "brief")
    story.join("b", "brief")
    story.histories["brief"].clear()
    sent = story.record.sent("b", "roomMessage", "brief", {"textMessage": "new"})
    story.hear("b", 1, "new", "brief", "bob")
    story.record.acked("b", sent.call, None, 1)
    story.histories["brief"].append((1, "new"))
    verdict = story.judge()
    assert verdict.is_good, verdict.violations


def test_a_join_that_crosses_a_removal_is_not_judged():
    story = Story()
    sent = story.record.sent("a", "roomJoin", "room")
    story.record.received("a", "roomAccessRemoved", "room")
    story.record.acked("a", sent.call, None, 1)
    assert story.judge().is_good
    story.hear("a", 1, "x")
    story.record.sent("a", "roomMessage", "room", {"textMessage": "y"})
    assert [item.rule for item in story.judge().violations] == [Rule.INVENTED, Rule.HUNG]


def send_keyed(story: Story, socket: str, message_id: int, *, is_repeat: bool) -> None:
    message, key = {"textMessage": "keyed"}, {"idempotencyKey": "k"}
    extra = [{"duplicate": True}] if is_repeat else []
    story.call(socket, "roomMessage", "room", message, key, result=message_id, extra=extra)


def lost_and_sent_again(story: Story) -> None:
    """Stored by the first send, whose answer was lost with the connection."""
    story.record.sent("a", "roomMessage", "room", {"textMessage": "keyed"}, {"idempotencyKey": "k"})
    story.hear("b", 3, "keyed")
    story.record.closed("a", by_client=True)
    story.forget("a")
    del story.sockets["alice"]["a"]
    story.open("a2", "alice")
    cursor, missed = {"after": 2, "epoch": "e"}, {"epoch": "e", "lastMessageId": 3, "recovered": True}
    messages = [{"id": 3, "textMessage": "keyed", "author": "alice"}]
    story.join("a2", "room", cursor, extra=[{**missed, "messages": messages, "more": False}])
    send_keyed(story, "a2", 3, is_repeat=True)
    story.histories["room"].append((3, "keyed"))


def stored_by_each_send_to_the_previous_version(story: Story) -> None:
    story.open("a2", "alice", PREVIOUS)
    story.join("a2", result=2)
    story.record.received("a", "roomJoinedEcho", "room", "a2", 2)
    for message_id in (3, 4):
        send_keyed(story, "a2", message_id, is_repeat=False)
        for hearer in ("a", "a2", "b"):
            story.hear(hearer, message_id, "keyed")
        story.histories["room"].append((message_id, "keyed"))


def repeated_after_a_removal(story: Story) -> None:
    send_keyed(story, "b", 3, is_repeat=False)
    for hearer in ("a", "b"):
        story.hear(hearer, 3, "keyed", author="bob")
    story.histories["room"].append((3, "keyed"))
    banned(story)
    story.record.received("b", "roomAccessRemoved", "room")
    story.forget("b")
    send_keyed(story, "b", 3, is_repeat=True)


@pytest.mark.parametrize(
    "tell", [lost_and_sent_again, stored_by_each_send_to_the_previous_version, repeated_after_a_removal]
)
def test_repeats_with_a_key(tell: Callable[[Story], None]):
    story = both_joined()
    tell(story)
    assert story.judge().is_good, story.judge().violations


# Each rule


def stored_twice_in_spite_of_its_key(story: Story) -> None:
    for message_id in (3, 4):
        send_keyed(story, "a", message_id, is_repeat=False)
        for hearer in ("a", "b"):
            story.hear(hearer, message_id, "keyed")
        story.histories["room"].append((message_id, "keyed"))


def join_with(story: Story, last_id: int, *ids: int, recovered: bool = True) -> None:
    story.leave("b")
    missed = {"epoch": "e", "lastMessageId": last_id, "recovered": recovered, "more": False}
    messages = [{"id": message_id, "textMessage": f"room-{message_id}"} for message_id in ids]
    story.join("b", "room", {"after": 0}, extra=[{**missed, "messages": messages}])


def cursor_that_leaves_out_the_first(story: Story) -> None:
    join_with(story, 2, 2)


def cursor_that_leaves_out_the_last(story: Story) -> None:
    join_with(story, 2, 1)


def cursor_before_the_last_acknowledged(story: Story) -> None:
    join_with(story, 1, 1)


def hole_after_the_cursor(story: Story) -> None:
    sent = story.record.sent("a", "roomMessage", "room", {"textMessage": "room-3"})
    join_with(story, 2, 1, 2)
    story.hear("a", 3, "room-3")
    story.record.acked("a", sent.call, None, 3)
    story.histories["room"].append((3, "room-3"))
    story.post("a", 4, "a", "b")


def acked_lost(story: Story) -> None:
    story.call("a", "roomMessage", "room", {"textMessage": "gone"}, result=3)


def acked_under_another_text(story: Story) -> None:
    story.call("a", "roomMessage", "room", {"textMessage": "gone"}, result=2)


def duplicate(story: Story) -> None:
    story.histories["room"].append((3, "room-2"))
    story.hear("a", 3, "room-2", author="bob")
    story.hear("b", 3, "room-2", author="bob")


def refused_stored(story: Story) -> None:
    story.call("o", "roomMessage", "room", {"textMessage": "refused"}, error="notJoined")
    story.histories["room"].append((3, "refused"))
    story.hear("a", 3, "refused", author="owner")


def invented(story: Story) -> None:
    story.hear("a", 3, "nobody sent it")


def wrong_author(story: Story) -> None:
    story.record.received("a", "roomMessage", "room", {"id": 2, "textMessage": "room-2", "author": "alice"})


def hole_in_the_history(story: Story) -> None:
    story.record.sent("a", "roomMessage", "room", {"textMessage": "late"})
    story.histories["room"].append((4, "late"))


def last_id_without_a_message(story: Story) -> None:
    story.last_ids["room"] = 3


def hole_in_a_read(story: Story) -> None:
    texts = [{"id": 3, "textMessage": "room-2"}, {"id": 1, "textMessage": "room-1"}]
    story.call("a", "roomHistoryGet", "room", 0, 9, result=texts)


def conflict(story: Story) -> None:
    sent = story.record.sent("a", "roomMessage", "room", {"textMessage": "second"})
    story.record.acked("a", sent.call, "timeout")
    story.hear("b", 2, "second")


def not_rising(story: Story) -> None:
    story.hear("a", 1, "room-1")


def twice(story: Story) -> None:
    story.hear("a", 2, "room-2", author="bob")


def gap(story: Story) -> None:
    story.post("a", 3, "a")
    story.post("a", 4, "a", "b")


def late_start(story: Story) -> None:
    story.leave("b")
    story.join("b")
    story.post("a", 3, "a")
    story.post("a", 4, "a", "b")


def old_message(story: Story) -> None:
    story.leave("b")
    story.join("b")
    story.hear("b", 2, "room-2", author="bob")


def tail(story: Story) -> None:
    story.post("a", 3, "a")


def hears_after_leaving(story: Story) -> None:
    story.leave("b")
    story.post("a", 3, "a", "b")


def hears_without_joining(story: Story) -> None:
    story.post("a", 3, "a", "b", "o")


def hears_after_its_removal(story: Story) -> None:
    story.record.received("b", "roomAccessRemoved", "room")
    story.forget("b")
    story.post("a", 3, "a", "b")


def banned(story: Story) -> None:
    story.call("o", "roomAddToList", "room", "blacklist", ["bob"])


def banned_hears(story: Story) -> None:
    banned(story)
    story.post("a", 3, "a", "b")


def banned_acts(story: Story) -> None:
    banned(story)
    story.record.received("b", "roomAccessRemoved", "room")
    story.forget("b")
    story.post("b", 3, "a")


def banned_reads(story: Story) -> None:
    banned(story)
    story.record.received("b", "roomAccessRemoved", "room")
    story.forget("b")
    story.call("b", "roomUserSeen", "room", "alice", result={})


def stale_info(story: Story) -> None:
    story.call("a", "roomHistoryInfo", "room", result={"lastMessageId": 1})


def stale_history(story: Story) -> None:
    story.call("a", "roomRecentHistory", "room", result=[{"id": 1, "textMessage": "room-1"}])


def ghost_member(story: Story) -> None:
    story.members["room"]["bob"].add("a dead socket")


def lost_member(story: Story) -> None:
    del story.members["room"]["bob"]


def ghost_socket(story: Story) -> None:
    story.sockets["bob"]["a dead socket"] = set()


def lost_socket(story: Story) -> None:
    story.record.closed("b")
    story.forget("b")


def index_without_a_join(story: Story) -> None:
    story.sockets["bob"]["b"].add("small")


def index_without_a_room(story: Story) -> None:
    story.sockets["bob"]["b"].clear()


def own_sockets(story: Story) -> None:
    story.record.settled()
    story.call("a", "listOwnSockets", result={"a": ["room", "small"]})


def userlist(story: Story) -> None:
    story.record.settled()
    story.call("a", "roomGetAccessList", "room", "userlist", result=["alice", "bob", "owner"])


def joined_twice(story: Story) -> None:
    story.record.received("a", "roomUserJoined", "room", "bob")
    story.record.received("a", "roomUserJoined", "room", "bob")


def left_and_there(story: Story) -> None:
    story.record.received("a", "roomUserLeft", "room", "bob")


def never_answered(story: Story) -> None:
    story.record.sent("a", "listOwnSockets")


def internal_error(story: Story) -> None:
    story.call("a", "listOwnSockets", error="internalError")


@pytest.mark.parametrize(
    ("spoil", "rules"),
    [
        (acked_lost, {Rule.ACKED_LOST}),
        (acked_under_another_text, {Rule.ACKED_LOST, Rule.CONFLICT}),
        (duplicate, {Rule.DUPLICATE}),
        (refused_stored, {Rule.REFUSED_STORED, Rule.TAIL}),
        (invented, {Rule.INVENTED}),
        (wrong_author, {Rule.INVENTED, Rule.ORDER}),
        (hole_in_the_history, {Rule.NOT_DENSE, Rule.TAIL, Rule.HUNG}),
        (last_id_without_a_message, {Rule.NOT_DENSE}),
        (hole_in_a_read, {Rule.NOT_DENSE, Rule.DUPLICATE}),
        (conflict, {Rule.CONFLICT, Rule.ORDER, Rule.ACKED_LOST}),
        (not_rising, {Rule.ORDER}),
        (twice, {Rule.ORDER}),
        (gap, {Rule.GAP}),
        (late_start, {Rule.LATE_START}),
        (old_message, {Rule.OLD_MESSAGE}),
        (tail, {Rule.TAIL}),
        (stored_twice_in_spite_of_its_key, {Rule.DUPLICATE}),
        (cursor_that_leaves_out_the_first, {Rule.CURSOR}),
        (cursor_that_leaves_out_the_last, {Rule.CURSOR}),
        (cursor_before_the_last_acknowledged, {Rule.STALE_READ}),
        (hole_after_the_cursor, {Rule.CURSOR}),
        (hears_after_leaving, {Rule.UNINVITED}),
        (hears_without_joining, {Rule.UNINVITED}),
        (hears_after_its_removal, {Rule.UNINVITED}),
        (banned_hears, {Rule.REMOVED_HEARS}),
        (banned_acts, {Rule.REMOVED_ACTS}),
        (banned_reads, {Rule.REMOVED_ACTS}),
        (stale_info, {Rule.STALE_READ}),
        (stale_history, {Rule.STALE_READ}),
        (ghost_member, {Rule.MEMBERS}),
        (lost_member, {Rule.MEMBERS}),
        (ghost_socket, {Rule.SOCKETS}),
        (lost_socket, {Rule.SOCKETS, Rule.THROWN_OUT}),
        (index_without_a_join, {Rule.INDEX}),
        (index_without_a_room, {Rule.INDEX}),
        (own_sockets, {Rule.OWN_SOCKETS}),
        (userlist, {Rule.USERLIST}),
        (joined_twice, {Rule.PRESENCE}),
        (left_and_there, {Rule.PRESENCE_END}),
        (never_answered, {Rule.HUNG}),
        (internal_error, {Rule.INTERNAL_ERROR}),
    ],
)
def test_every_rule_can_fail(spoil: Callable[[Story], None], rules: set[Rule]):
    story = both_joined()
    spoil(story)
    verdict = story.judge()
    assert {violation.rule for violation in verdict.violations} == rules, verdict.violations


def test_a_slow_answer():
    assert {item.rule for item in both_joined().judge(answer_in=-1.0).violations} == {Rule.HUNG}


def test_missing_instances():
    assert {item.rule for item in both_joined().judge(alive=3).violations} == {Rule.INSTANCES}


def test_effects_permitted_by_faults_are_reported_and_not_violations():
    story = both_joined()
    gap(story)
    verdict = story.judge(allowed=frozenset({Rule.GAP}))
    assert verdict.is_good
    assert str(verdict) == f"good; allowed 1x {Rule.GAP}"
    assert "BAD; 1x a socket missed" in str(story.judge())


@pytest.mark.parametrize("spoil", [ghost_member, lost_member, ghost_socket, left_and_there, never_answered])
def test_a_run_is_not_at_rest_while_something_is_late(spoil: Callable[[Story], None]):
    story = both_joined()
    assert is_at_rest(story.record.copy(), story.final(), alive=2)
    assert not is_at_rest(story.record.copy(), story.final(), alive=3)
    spoil(story)
    assert not is_at_rest(story.record.copy(), story.final(), alive=2)
    broken = frozenset(violation.rule for violation in story.judge().violations)
    assert is_at_rest(story.record.copy(), story.final(), alive=2, allowed=broken)


def test_rest_does_not_wait_for_lost_messages():
    story = both_joined()
    gap(story)
    assert is_at_rest(story.record, story.final())
