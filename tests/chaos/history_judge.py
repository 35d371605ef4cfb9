"""The second judge: decides from the histories of clients alone, and shares no code with the first one."""

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import accumulate, pairwise

from tests.chaos.history import Entry, History, Operation
from tests.chaos.history_streams import Stream

#: Maximum number of messages in one answer.
PAGE = 100


class Property(StrEnum):
    """What has to hold."""

    EXACTLY_ONCE = "stored exactly once for each key, and never without a send"
    NO_LOSS = "acknowledged or delivered: stored in the end, read through every instance"
    ORDER = "one order of ids for all: rising, dense, one message for each id"
    DELIVERY = "joined sockets get every message"
    CURSOR = "a join with a cursor says all that was missed"
    GAPS = "what cannot be delivered is told"
    REAL_TIME = "acknowledged before another was sent: the smaller id"
    READS = "reads through any instance have what was acknowledged before"
    CONDITIONAL = "conditional sends follow the id that they expect"
    PRESENCE = "lists of users and sockets in the end are those of the clients"


class HistoryVerdict:
    """``findings``: what is wrong. ``examined``: operations. ``excused``: those that a loss excuses."""

    def __init__(self) -> None:
        self.findings: list[tuple[Property, str]] = []
        self.examined: Counter[Property] = Counter()
        self.excused: Counter[Property] = Counter()

    @property
    def is_good(self) -> bool:
        return not self.findings

    def check(self, kind: Property, holds: bool, what: str) -> None:
        """Count one operation, and note what is wrong with it."""
        self.examined[kind] += 1
        if not holds:
            self.findings.append((kind, what))

    def __str__(self) -> str:
        counts = Counter(kind for kind, _ in self.findings)
        return "; ".join(
            ["good" if self.is_good else "BAD", *(f"{n}x not: {kind}" for kind, n in counts.items())]
        )


def judge_history(
    entries: Iterable[Entry], sizes: Mapping[str, int], instances: Iterable[int]
) -> HistoryVerdict:
    """Judge the entries of a run. ``sizes``: messages that each room keeps.

    ``instances``: those alive in the end, by number.
    """
    history, verdict = History(entries, sizes), HistoryVerdict()
    finals = _final_reads(history, set(instances), verdict)
    for decide in (_exactly_once, _conditional, _agreement, _real_time, _reads, _cursors, _presence):
        decide(history, verdict)
    _no_loss(history, finals, verdict)
    _streams(history, finals, verdict)
    return verdict


def _exactly_once(history: History, verdict: HistoryVerdict) -> None:
    kind = Property.EXACTLY_ONCE
    for what in history.invented:
        verdict.check(kind, False, f"nobody sent {what}")
    bodies: defaultdict[tuple[str, str, str], list[Operation]] = defaultdict(list)
    for message in history.messages.values():
        if message.room not in history.lasting:
            continue
        for send in message.sends:
            if send.key is not None:
                bodies[message.room, message.user, send.key].append(send)
        if history.key_may_be_lost(message):
            verdict.excused[kind] += 1
            continue
        verdict.check(kind, len(message.ids) <= message.copies, f"{message} is stored under {message.ids}")
        done = [send for send in message.sends if send.is_done and send.key is not None]
        verdict.check(
            kind, len({send.result for send in done}) <= 1, f"{message}: {[send.result for send in done]}"
        )
        first = [send for send in done if not send.is_marked]
        verdict.check(kind, len(first) <= 1, f"{message}: {len(first)} answers claim to be the first")
        for send in done:
            if send.is_marked:
                others = [other for other in message.sends if other is not send and other.start < send.end]
                verdict.check(kind, bool(others), f"{send} was answered as a repeat, and is none")
    for (room, user, key), sends in bodies.items():
        if history.is_split(min(send.start for send in sends), max(send.end for send in sends)):
            continue
        stored = {send.args[1]["textMessage"] for send in sends if send.is_done}
        verdict.check(kind, len(stored) <= 1, f"key {key} of {user} in {room} took {stored}")
        for send in sends:
            if send.error == "idempotencyConflict":
                others = [other for other in sends if other.args[1] != send.args[1] and other.may_be_done]
                verdict.check(kind, bool(others), f"{send} conflicts with nothing")


def _conditional(history: History, verdict: HistoryVerdict) -> None:
    for op in history.operations.values():
        expected = op.options.get("expectedLastId")
        if op.command == "roomMessage" and expected is not None and op.is_done and not op.is_marked:
            verdict.check(Property.CONDITIONAL, op.result == expected + 1, f"{op} got the id {op.result}")


def _agreement(history: History, verdict: HistoryVerdict) -> None:
    """One message for each id, and answers without holes."""
    texts: dict[tuple[str, int], str] = {}
    for message in history.messages.values():
        if message.room not in history.lasting:
            continue
        if history.may_be_lost(message):
            verdict.excused[Property.ORDER] += 1
            continue
        for message_id, where in message.ids.items():
            other = texts.setdefault((message.room, message_id), message.text)
            verdict.check(
                Property.ORDER,
                other == message.text,
                f"{message} and {other} are both {message_id} ({where})",
            )
    for op in history.operations.values():
        ids = [message["id"] for message in history.read(op)] if op.is_done else []
        if ids and op.start > history.horizon(op.end):
            is_dense = all(above == below + 1 for below, above in pairwise(ids))
            verdict.check(Property.ORDER, is_dense, f"{op} read {ids}")


def _real_time(history: History, verdict: HistoryVerdict) -> None:
    for room in history.lasting:
        found = [
            message
            for message in history.messages.values()
            if message.room == room and len(message.ids) == 1 and message.copies == 1
        ]
        verdict.excused[Property.REAL_TIME] += sum(map(history.may_be_lost, found))
        judged = [(message, next(iter(message.ids))) for message in found if not history.may_be_lost(message)]
        acked = sorted((message.acked, message_id) for message, message_id in judged)
        newest, place = 0, 0
        for message, message_id in sorted(judged, key=lambda pair: pair[0].start):
            while acked[place][0] < message.start:
                newest = max(newest, acked[place][1])
                place += 1
            verdict.check(
                Property.REAL_TIME,
                message_id > newest,
                f"{message} has the id {message_id}; {newest} was acknowledged before it was sent",
            )


class _Floor:
    """The largest id of each room that was surely acknowledged before a time, and not lost."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._steps: dict[tuple[str, float], tuple[list[float], list[int]]] = {}

    def at(self, room: str, op: Operation) -> int:
        horizon = self._history.horizon(op.end)
        if (room, horizon) not in self._steps:
            done = sorted(
                (send.end, send.result)
                for message in self._history.messages.values()
                if message.room == room and message.start > horizon
                for send in message.sends
                if send.is_done
            )
            self._steps[room, horizon] = (
                [end for end, _ in done],
                [0, *accumulate((message_id for _, message_id in done), max)],
            )
        ends, newest = self._steps[room, horizon]
        return newest[bisect_left(ends, op.start)]


def _first_joins(history: History) -> dict[tuple[int, str], float]:
    """When each client first tried to join each room.

    A later join may find the socket joined: its answer ends with what the socket was given, and what is newer
    comes live after it.
    """
    first: dict[tuple[int, str], float] = {}
    for op in history.operations.values():
        if op.command == "roomJoin":
            key = (id(op.client), op.room)
            first[key] = min(first.get(key, op.start), op.start)
    return first


def _reads(history: History, verdict: HistoryVerdict) -> None:
    floor, first_joins = _Floor(history), _first_joins(history)
    for op in history.operations.values():
        if not op.is_done or op.room not in history.lasting:
            continue
        room = op.room
        newest = floor.at(room, op)
        ids = [message["id"] for message in history.read(op)]
        what = f"{op} read {ids[:3]}…{ids[-3:]}; {newest} was acknowledged before"
        if history.sizes[room] == 0 and op.command in ("roomRecentHistory", "roomHistoryGet"):
            verdict.check(Property.READS, not ids, f"{what}; the room keeps nothing")
            continue
        match op.command:
            case "roomHistoryInfo":
                verdict.check(Property.READS, op.result["lastMessageId"] >= newest, f"{what}; {op.result}")
            case "roomRecentHistory" if newest:
                verdict.check(Property.READS, bool(ids) and ids[-1] >= newest, what)
            case "roomHistoryGet" if newest > op.args[1]:
                after, limit = op.args[1], min(op.args[2], PAGE)
                has_enough = bool(ids) and (len(ids) == limit or ids[-1] >= newest)
                begins = bool(ids) and (ids[0] == after + 1 or history.is_rotated(room, ids[0] - 1))
                verdict.check(Property.READS, has_enough and begins, what)
            case "roomJoin" if op.answer is not None and op.start <= first_joins[id(op.client), room]:
                verdict.check(Property.READS, op.answer["lastMessageId"] >= newest, what)


def _cursors(history: History, verdict: HistoryVerdict) -> None:
    kind, first_joins = Property.CURSOR, _first_joins(history)
    for op in history.operations.values():
        answer = op.answer
        if answer is None or op.room not in history.lasting:
            continue
        if op.start < history.horizon(op.end):
            verdict.excused[kind] += 1
            continue
        size, last = history.sizes[op.room], answer["lastMessageId"]
        ids = [message["id"] for message in answer["messages"]]
        after, recent = op.options.get("after"), op.options.get("recent", PAGE)
        is_known = after is not None and (after == 0 or op.options.get("epoch") == answer["epoch"])
        is_stored = after is not None and (after == last or last - size <= after < last)
        what = f"{op} was answered {dict(answer) | {'messages': ids}}"
        verdict.check(kind, answer["recovered"] == (is_known and is_stored), what)
        if answer["recovered"] and after is not None:
            wanted = list(range(after + 1, min(last, after + PAGE) + 1))
            verdict.check(kind, ids == wanted, what)
            verdict.check(kind, answer["more"] == (bool(ids) and ids[-1] < last), what)
        else:
            count = min(recent, PAGE, size, last)
            if op.start > first_joins[id(op.client), op.room] and len(ids) < count:
                # Some of the newest are on their way to the socket.
                count = len(ids)
            verdict.check(kind, ids == list(range(last - count + 1, last + 1)) and not answer["more"], what)


# The end

#: For each room and each instance that was asked: the ids and texts that it says are stored.
Finals = dict[str, dict[int, dict[int, str]]]


def _final_reads(history: History, instances: set[int], verdict: HistoryVerdict) -> Finals:
    """What clients read in the end, page by page from the beginning. Lacking evidence is a finding."""
    finals: Finals = {room: {} for room in history.lasting}
    complete: set[tuple[str, int]] = set()
    for op in history.operations.values():
        if op.is_final and op.is_done and op.command == "roomHistoryGet" and op.room in finals:
            found = finals[op.room].setdefault(op.client.instance, {})
            found.update({message["id"]: message["textMessage"] for message in op.result})
            if not op.result:
                complete.add((op.room, op.client.instance))
    for room in history.lasting:
        for instance in instances:
            what = f"{room} was not read to its end through instance {instance}"
            verdict.check(Property.NO_LOSS, (room, instance) in complete, what)
    return finals


def _no_loss(history: History, finals: Finals, verdict: HistoryVerdict) -> None:
    for message in history.messages.values():
        if message.room not in history.lasting or not message.ids:
            continue
        if history.may_be_lost(message):
            verdict.excused[Property.NO_LOSS] += 1
            continue
        for instance, stored in finals[message.room].items():
            for message_id, where in message.ids.items():
                size = history.sizes[message.room]
                is_rotated = size == 0 or message_id <= max(stored, default=0) - size
                verdict.check(
                    Property.NO_LOSS,
                    is_rotated or stored.get(message_id) == message.text,
                    f"{message} ({message_id}, {where}): instance {instance} has {stored.get(message_id)}",
                )
    for room, read in finals.items():
        for instance, stored in read.items():
            first = max(1, max(stored, default=0) - history.sizes[room] + 1)
            is_dense = sorted(stored) == list(range(first, max(stored, default=0) + 1))
            verdict.check(Property.ORDER, is_dense, f"{room} has holes, read through instance {instance}")
            other = next(iter(read.values()))
            verdict.check(Property.ORDER, stored == other, f"{room} differs by instance, at {instance}")


def _streams(history: History, finals: Finals, verdict: HistoryVerdict) -> None:
    """What came to each socket live, room by room."""
    newest = {room: max((max(ids, default=0) for ids in finals[room].values()), default=0) for room in finals}
    for message in history.messages.values():
        if history.sizes[message.room] == 0 and message.room in newest and not history.may_be_lost(message):
            # No read says how far the room has got.
            newest[message.room] = max(newest[message.room], *message.ids, 0)
    for client in history.clients.values():
        for room in history.lasting:
            stream = Stream(history, client, room)
            for entry in history.streams[client.socket, room]:
                stream.take(entry)
            stream.end(newest[room])
            verdict.examined[Property.DELIVERY] += stream.delivered
            verdict.examined[Property.ORDER] += stream.delivered
            verdict.examined[Property.GAPS] += stream.gaps
            verdict.excused[Property.DELIVERY] += stream.excused
            verdict.findings += [(Property.ORDER, what) for what in stream.unordered]
            verdict.findings += [(Property.DELIVERY, what) for what in stream.missed]
            verdict.findings += [(Property.GAPS, what) for what in stream.untrue]


def _presence(history: History, verdict: HistoryVerdict) -> None:
    kind, horizon = Property.PRESENCE, history.horizon()
    members: defaultdict[str, set[str]] = defaultdict(set)
    possible: defaultdict[str, set[str]] = defaultdict(set)
    rooms_of: defaultdict[str, dict[str, set[str] | None]] = defaultdict(dict)
    for client in history.clients.values():
        is_open = client.socket not in history.closed
        joined: set[str] | None = set()
        for room in history.sizes:
            stream = Stream(history, client, room)
            for entry in history.streams[client.socket, room]:
                stream.take(entry)
            is_certain = stream.is_in is not None and stream.changed_at > horizon
            if is_open and stream.is_in and is_certain:
                members[room].add(client.user)
            if (is_open and stream.is_in is not False) or (stream.changed_at > -math.inf and not is_certain):
                possible[room].add(client.user)
            if joined is not None and stream.changed_at > -math.inf:
                joined = joined | ({room} if stream.is_in else set()) if is_certain else None
        if is_open:
            rooms_of[client.user][client.socket] = joined
    for op in history.operations.values():
        if not op.is_final or not op.is_done:
            continue
        if op.command == "roomGetAccessList" and op.args[1] == "userlist":
            told, room = set(op.result), op.room
            what = (
                f"{op}: told {sorted(told)}, joined {sorted(members[room])}, perhaps {sorted(possible[room])}"
            )
            verdict.check(kind, members[room] <= told <= members[room] | possible[room], what)
        elif op.command == "listOwnSockets":
            wanted = rooms_of[op.client.user]
            agree = [wanted.get(socket) in (None, set(rooms)) for socket, rooms in op.result.items()]
            # A loss may have taken sockets from before it, or the removal of one whose login failed.
            odd = set(op.result) ^ set(wanted)
            judged = {socket for socket, client in history.clients.items() if client.start > horizon}
            is_right = all(agree) and not (odd & judged if history.losses else odd)
            verdict.check(kind, is_right, f"{op}: told {op.result}, has {dict(wanted)}")
