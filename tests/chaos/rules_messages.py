"""Rules about messages: their storage and delivery."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

from tests.chaos.record import Received
from tests.chaos.rules_gaps import untold
from tests.chaos.run import NEVER, Call, Post, Run
from tests.chaos.tracking import Segment
from tests.chaos.verdict import Rule, Verdict, Violation


def stored(run: Run) -> Iterator[Violation]:
    """Acknowledged messages are there once, the others at most once, refused ones not."""
    for _, what in run.invented:
        yield Violation(Rule.INVENTED, what)
    for post in run.posts.values():
        copies = post.copies()
        # A key ends with the life of its room.
        if len(post.ids) > max(1, copies) and not (post.has_key and run.may_be_gone(post)):
            yield Violation(Rule.DUPLICATE, f"{post.text} in {post.room} has the ids {post.ids}")
        if not copies and post.ids:
            answers = [call.acked for call in post.calls]
            yield Violation(Rule.REFUSED_STORED, f"{post.text} in {post.room}: {answers}, {post.ids}")
    for room, state in run.final.rooms.items():
        texts = [text for _, text in state.history]
        for text, count in Counter(texts).items():
            copies = run.posts[text].copies() if text in run.posts else 1
            if count > max(1, copies):
                yield Violation(Rule.DUPLICATE, f"{text} is {count} times in the history of {room}")
    for post in run.posts.values():
        yield from _acked_is_stored(run, post)


def _acked_is_stored(run: Run, post: Post) -> Iterator[Violation]:
    if post.id is None or run.may_be_gone(post):
        return
    acked_id = post.id
    state = run.final.rooms.get(post.room)
    history = dict(state.history) if state else {}
    if state is not None and acked_id not in history and _is_rotated(run, post.room, acked_id, state.last_id):
        return
    if history.get(acked_id) != post.text:
        there = history.get(acked_id)
        yield Violation(Rule.ACKED_LOST, f"{post.text} in {post.room} as {acked_id}; there is {there}")


def _is_rotated(run: Run, room: str, message_id: int, last_id: int) -> bool:
    return message_id <= last_id - run.keeps(room)


def dense(run: Run) -> Iterator[Violation]:
    """Histories end at the last id and have no holes; no id is used twice."""
    for room, state in run.final.rooms.items():
        ids = [message_id for message_id, _ in state.history]
        first = max(1, state.last_id - run.keeps(room) + 1)
        if ids != list(range(first, state.last_id + 1)):
            holes = sorted(set(range(first, state.last_id + 1)) ^ set(ids))
            yield Violation(Rule.NOT_DENSE, f"{room} up to {state.last_id}: wrong at {holes[:20]}")
    texts: dict[tuple[str, int], tuple[str, str]] = {}
    for post in run.posts.values():
        if not run.is_kept(post.room):
            continue
        for message_id, where in post.ids.items():
            other = texts.setdefault((post.room, message_id), (post.text, where))
            if other[0] != post.text:
                yield Violation(Rule.CONFLICT, f"{post.room} {message_id}: {other}, and {(post.text, where)}")


def delivered(run: Run, verdict: Verdict) -> Iterator[Violation]:
    """Each stay in a room gets ids that rise by one, from its beginning on and up to the end of the run."""
    for segment in run.segments:
        yield from _order(run, segment, verdict)
        if segment.is_exact and run.is_kept(segment.room):
            yield from _beginning(run, segment)
            yield from _end(run, segment)


def _order(run: Run, segment: Segment, verdict: Verdict) -> Iterator[Violation]:
    if not segment.is_exact and not run.is_kept(segment.room):
        return
    for (_, before, _), (at, message_id, text) in pairwise(segment.messages):
        if message_id <= before:
            yield Violation(Rule.ORDER, f"{_name(segment)} got {message_id} ({text}) after {before}, at {at}")
        elif message_id > before + 1 and segment.is_exact:
            missing = untold(run, segment, before + 1, message_id - 1, at)
            told = message_id - before - 1 - len(missing)
            if told:
                verdict.notes["messages missed that were rotated away"] += told
            if missing:
                what = f"{_name(segment)} got {message_id} after {before}, at {at}"
                yield Violation(Rule.GAP, f"{what}, and was not told of {missing[:20]}")


def _beginning(run: Run, segment: Segment) -> Iterator[Violation]:
    """What was sent after the join was acknowledged is there; older ones are not."""
    if segment.joined is None or not segment.messages:
        return
    at, first, first_text = segment.messages[0]
    if first_text in run.posts and run.is_lost(run.posts[first_text]):
        # A fail-over has lost the place where it joined.
        return
    last = segment.joined_last
    if last is not None and (first <= last or untold(run, segment, last + 1, first - 1, at)):
        yield Violation(Rule.CURSOR, f"{_name(segment)} began with {first}; the answer ended with {last}")
    for post in run.posts.values():
        if post.room != segment.room or post.id is None or run.is_lost(post):
            continue
        is_later = post.sent_at > segment.joined
        if is_later and post.id < first and untold(run, segment, post.id, post.id, at):
            yield Violation(
                Rule.LATE_START, f"{_name(segment)} began with {first}, without {post.id} ({post.text})"
            )
    for at, message_id, text in segment.messages:
        sent = run.posts.get(text)
        is_judged = sent is not None and sent.copies() == 1 and not run.is_lost(sent)
        if sent is not None and is_judged and sent.end < segment.join_sent:
            yield Violation(Rule.OLD_MESSAGE, f"{_name(segment)} got {message_id} ({text}) at {at}")


def _end(run: Run, segment: Segment) -> Iterator[Violation]:
    """An ongoing stay has received everything."""
    if segment.ended is not None or segment.joined is None:
        return
    ids = [message_id for _, message_id, _ in segment.messages] + [last for *_, last in segment.gaps]
    last = max(ids, default=0)
    missing = [
        post.id
        for post in run.posts.values()
        if post.room == segment.room
        and post.id is not None
        and post.id > last
        and not run.is_lost(post)
        and post.sent_at > segment.joined
    ]
    if missing:
        yield Violation(Rule.TAIL, f"{_name(segment)} got up to {last}, not {sorted(missing)[:20]}")


def uninvited(run: Run) -> Iterator[Violation]:
    """Users outside a room do not get its events."""
    for tracker in run.trackers.values():
        for entry in tracker.uninvited:
            yield Violation(
                Rule.UNINVITED,
                f"{entry.socket} of {tracker.user} got {entry.event}{tuple(entry.args)} at {entry.at}",
            )


def reads(run: Run) -> Iterator[Violation]:
    """What is read is dense, newest first, and has what was acknowledged before the read was sent."""
    acknowledged = {room: _Acknowledged(run, room) for room in run.record.rooms if run.is_kept(room)}
    joins: dict[tuple[str, str], int] = {}
    for call in run.calls.values():
        if call.sent.command == "roomJoin" and call.sent.room is not None:
            key = (call.sent.socket, call.sent.room)
            joins[key] = min(joins.get(key, call.sent.at), call.sent.at)
    for call in run.calls.values():
        if not call.is_done or call.acked is None or call.sent.room is None:
            continue
        room, result = call.sent.room, call.acked.result
        newest = acknowledged[room].newest_before(call.sent.at) if room in acknowledged else 0
        if call.missed is not None:
            if joins.get((call.sent.socket, room)) != call.sent.at:
                # It may be joined already. Then what is newer than what it got comes live, after the answer.
                newest = min(newest, _heard_before(run, call, room))
            yield from _missed(call, call.missed, newest)
        elif call.sent.command == "roomHistoryInfo" and result["lastMessageId"] < newest:
            yield Violation(Rule.STALE_READ, f"{call} says {result}; {newest} was acknowledged before")
        elif call.sent.command in ("roomRecentHistory", "roomHistoryGet"):
            ids = [message["id"] for message in result]
            if any(above != below + 1 for above, below in pairwise(ids)):
                yield Violation(Rule.NOT_DENSE, f"{call} read {ids}")
            is_whole = call.sent.command == "roomRecentHistory" and run.keeps(room) > 0
            if is_whole and newest > (ids[0] if ids else 0):
                yield Violation(Rule.STALE_READ, f"{call} read {ids[:3]}; {newest} was acknowledged before")


def _heard_before(run: Run, call: Call, room: str) -> int:
    """The newest message that a socket got live before a call."""
    return max(
        (
            entry.args[1]["id"]
            for entry in run.record.entries[: call.sent.at]
            if isinstance(entry, Received)
            and entry.event == "roomMessage"
            and entry.socket == call.sent.socket
            and entry.args[0] == room
        ),
        default=0,
    )


def _missed(call: Call, missed: dict[str, Any], newest: int) -> Iterator[Violation]:
    """The answer to a join with a cursor ends with the last message, and begins after the cursor."""
    ids = [message["id"] for message in missed["messages"]]
    if missed["lastMessageId"] < newest:
        last = missed["lastMessageId"]
        yield Violation(Rule.STALE_READ, f"{call} says {last}; {newest} was acknowledged before")
    if any(below + 1 != above for below, above in pairwise(ids)):
        yield Violation(Rule.NOT_DENSE, f"{call} read {ids}")
    is_short = bool(ids) and missed["recovered"] and ids[0] != call.options["after"] + 1
    if is_short or (ids and not missed["more"] and ids[-1] != missed["lastMessageId"]):
        yield Violation(Rule.CURSOR, f"{call} was answered {ids}, and {missed['lastMessageId']} as the last")


class _Acknowledged:
    """The largest id of a room that was acknowledged before a place in the run."""

    def __init__(self, run: Run, room: str) -> None:
        done = [
            call for post in run.posts.values() if post.room == room for call in post.calls if call.is_done
        ]
        done.sort(key=lambda call: call.end)
        self._ends = [call.end for call in done]
        self._newest = [0, *accumulate((call.acked.result for call in done if call.acked), max)]

    def newest_before(self, at: int) -> int:
        return self._newest[bisect_left(self._ends, at)]


def _name(segment: Segment) -> str:
    return (
        f"socket {segment.socket} of {segment.user} in {segment.room} "
        f"(joined at {segment.joined}, ended at {segment.ended} {segment.ended_by})"
    )


def removed(run: Run) -> Iterator[Violation]:
    """After the acknowledgement of a removal the user hears and does nothing there, unless joined anew."""
    for removal in run.calls.values():
        if not removal.is_done or removal.sent.room is None:
            continue
        room, args = removal.sent.room, removal.sent.args
        users: set[str] = set()
        if removal.sent.command == "roomAddToList" and args[1] == "blacklist":
            immune = run.record.rooms[room].immune if room in run.record.rooms else frozenset()
            users = set(args[2]) - immune
        elif removal.sent.command == "roomDelete":
            users = {tracker.user for tracker in run.trackers.values()}
        for user in users:
            joins = [join for join in run.joins(user, room) if join.end > removal.sent.at]
            yield from _hears(run, removal, user, room, [join.sent for join in joins])
            yield from _acts(run, removal, user, room, [join.sent for join in joins])


def _hears(run: Run, removal, user: str, room: str, joins) -> Iterator[Violation]:
    for segment in run.segments:
        if segment.user != user or segment.room != room:
            continue
        first_join = min((sent.at for sent in joins if sent.socket == segment.socket), default=NEVER)
        for at, message_id, text in segment.messages:
            post = run.posts.get(text)
            if post is not None and post.sent_at > removal.end and at < first_join:
                yield Violation(
                    Rule.REMOVED_HEARS, f"{_name(segment)} got {message_id} ({text}) at {at} after {removal}"
                )


def _acts(run: Run, removal, user: str, room: str, joins) -> Iterator[Violation]:
    needs_membership = {"roomMessage"}
    if removal.sent.command != "roomDelete":
        # The owner may read a new room of that name without a join.
        needs_membership |= {"roomHistoryGet", "roomRecentHistory", "roomHistoryInfo", "roomUserSeen"}
    first_join = min((sent.at for sent in joins), default=NEVER)
    for call in run.by_room.get(room, ()):
        if call.user != user or call.sent.command not in needs_membership:
            continue
        # A repeat is told its first id, whatever has happened since.
        if call.is_repeat:
            continue
        if call.is_done and call.sent.at > removal.end and call.end < first_join:
            yield Violation(Rule.REMOVED_ACTS, f"{call} was done after {removal}")


def times(run: Run, limit: float) -> Iterator[Violation]:
    """Every command on an open connection is answered within ``limit`` seconds; none fails inside."""
    for call in run.calls.values():
        if call.acked is None:
            if run.trackers[call.sent.socket].is_open:
                yield Violation(Rule.HUNG, f"{call} was never answered")
            continue
        seconds = call.acked.time - call.sent.time
        if seconds > limit:
            yield Violation(Rule.HUNG, f"{call} took {seconds:.1f} s: {call.acked.error}")
        if call.acked.error == "internalError":
            yield Violation(Rule.INTERNAL_ERROR, f"{call}: {call.acked.result}")
