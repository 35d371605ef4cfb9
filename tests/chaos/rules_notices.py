"""Rules about direct and system messages, echoes, numbers of joined sockets, and lost connections."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.record import Closed, Opened, Received
from tests.chaos.run import NEVER, Call, Run
from tests.chaos.tracking import Segment
from tests.chaos.verdict import Rule, Violation

#: Seconds for which a socket has to stay after an acknowledgement for a lost notice to count: it may be
#: cut off without knowing it yet.
STAYS_FOR = 12.0
#: Seconds for which the service may count a socket whose connection the client has given up.
CLEANED_IN = 30.0

#: The notice of an entry, and what of its arguments tells the occurrence.
NoticeKey = tuple[str, str]


class Connections:
    """When each socket was connected."""

    def __init__(self, run: Run) -> None:
        self.opened: dict[str, int] = {}
        self.closed: dict[str, Closed] = {}
        self.users: dict[str, str] = {}
        self._of_user: defaultdict[str, list[str]] = defaultdict(list)
        for entry in run.record.entries:
            if isinstance(entry, Opened):
                self.opened[entry.socket] = entry.at
                self.users[entry.socket] = entry.user
                self._of_user[entry.user].append(entry.socket)
            elif isinstance(entry, Closed):
                self.closed.setdefault(entry.socket, entry)

    def witnesses(self, user: str, call: Call) -> Iterator[str]:
        """The sockets of a user that were connected before a call and stayed long after its answer."""
        assert call.acked is not None
        for socket in self._of_user[user]:
            if self.opened[socket] > call.sent.at:
                continue
            end = self.closed.get(socket)
            if end is None or end.time > call.acked.time + STAYS_FOR:
                yield socket

    def is_ended_soon(self, socket: str, call: Call) -> bool:
        """Whether the service ended a socket soon after it answered a call.

        Its instance had lost its lease, as after a pause: the others have taken the socket out of its rooms.
        """
        assert call.acked is not None
        end = self.closed.get(socket)
        return end is not None and not end.by_client and end.time <= call.acked.time + STAYS_FOR


def _notices(run: Run) -> dict[NoticeKey, Counter[str]]:
    """How often each socket got each notice."""
    found: defaultdict[NoticeKey, Counter[str]] = defaultdict(Counter)
    for entry in run.record.entries:
        if not isinstance(entry, Received):
            continue
        match entry.event:
            case "directMessage" | "systemMessage":
                found[entry.event, entry.args[0]["textMessage"]][entry.socket] += 1
            case "directMessageEcho":
                found[entry.event, entry.args[1]["textMessage"]][entry.socket] += 1
    return found


def direct(run: Run) -> Iterator[Violation]:
    """Direct and system messages reach each socket they are meant for once, and no other one."""
    connections, notices = Connections(run), _notices(run)
    meant: set[NoticeKey] = set()
    for call in run.calls.values():
        if call.sent.command == "directMessage":
            recipient, message = call.sent.args
            text = message["textMessage"]
            yield from _reached(run, connections, notices, call, ("directMessage", text), recipient)
            yield from _reached(run, connections, notices, call, ("directMessageEcho", text), call.user)
            meant |= {("directMessage", text), ("directMessageEcho", text)}
        elif call.sent.command == "systemMessage":
            text = call.sent.args[0]["textMessage"]
            yield from _reached(run, connections, notices, call, ("systemMessage", text), call.user)
            meant.add(("systemMessage", text))
    for key in notices.keys() - meant:
        yield Violation(Rule.ASTRAY, f"{key} was never sent, and reached {dict(notices[key])}")


def _reached(
    run: Run,
    connections: Connections,
    notices: dict[NoticeKey, Counter[str]],
    call: Call,
    key: NoticeKey,
    user: str,
) -> Iterator[Violation]:
    # The socket that sent it gets an acknowledgement, and no echo.
    sender = call.sent.socket if key[0] != "directMessage" else None
    got = notices.get(key, Counter())
    for socket, count in got.items():
        if connections.users.get(socket) != user or socket == sender or count > 1:
            yield Violation(Rule.ASTRAY, f"{key[0]} of {call} reached {socket} {count} times")
        elif not call.is_done and not call.is_unknown:
            yield Violation(Rule.ASTRAY, f"{key[0]} of {call} was refused, and reached {socket}")
    if not call.is_done:
        return
    for socket in connections.witnesses(user, call):
        if socket != sender and socket not in got:
            yield Violation(Rule.DIRECT_LOST, f"{key[0]} of {call} did not reach {socket}")


def echoes(run: Run) -> Iterator[Violation]:
    """The user's other sockets are told of each join and leave of a socket."""
    connections = Connections(run)
    told: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for entry in run.record.entries:
        if isinstance(entry, Received) and entry.event in ("roomJoinedEcho", "roomLeftEcho"):
            told[entry.event, entry.args[0], entry.args[1]][entry.socket] += 1
    tried: Counter[tuple[str, str, str]] = Counter()
    for call in run.calls.values():
        if call.sent.command == "roomJoin":
            tried["roomJoinedEcho", call.sent.args[0], call.sent.socket] += 1
    for key, sockets in told.items():
        event, room, about = key
        for socket, count in sockets.items():
            if socket == about or connections.users.get(socket) != connections.users.get(about):
                yield Violation(Rule.ASTRAY, f"{event} of {about} in {room} reached {socket}")
            elif event == "roomJoinedEcho" and count > tried[key]:
                yield Violation(Rule.ASTRAY, f"{event} of {about} in {room} reached {socket} {count} times")
    for segment in run.segments:
        join = _joined_by(run, segment)
        if join is None or connections.is_ended_soon(segment.socket, join):
            continue
        for socket in connections.witnesses(segment.user, join):
            if socket != segment.socket and not told["roomJoinedEcho", segment.room, segment.socket][socket]:
                yield Violation(Rule.ECHO_LOST, f"{join} was not told to {socket}")


def _joined_by(run: Run, segment: Segment) -> Call | None:
    """The call that began a stay, if that is known. A socket that may have been in the room may have joined
    without a change, which nobody is told of."""
    if not segment.is_exact or segment.joined is None or segment.begun != segment.join_sent:
        return None
    for call in run.by_room.get(segment.room, ()):
        if call.sent.socket == segment.socket and call.end == segment.joined and call.is_done:
            return call if call.sent.command == "roomJoin" else None
    return None


def joined_counts(run: Run) -> Iterator[Violation]:
    """The result of a join or leave is the number of the user's sockets in the room, that one included."""
    stays: defaultdict[tuple[str, str], list[Segment]] = defaultdict(list)
    for segment in run.segments:
        stays[segment.user, segment.room].append(segment)
    connections = Connections(run)
    for call in run.calls.values():
        if call.sent.command not in ("roomJoin", "roomLeave") or not call.is_done or call.acked is None:
            continue
        others = [
            segment for segment in stays[call.user, call.sent.args[0]] if segment.socket != call.sent.socket
        ]
        own = int(call.sent.command == "roomJoin")
        # Only stays that last to the end are certain: others may be over before the client hears of it.
        certain = {
            segment.socket
            for segment in others
            if segment.ended is None and segment.joined is not None and segment.joined < call.sent.at
        }
        possible = {segment.socket for segment in others if _may_be_in(run, segment, call, connections)}
        if not own + len(certain) <= call.acked.result <= own + len(possible):
            yield Violation(
                Rule.JOINED_COUNT,
                f"{call} returned {call.acked.result}: surely there are {sorted(certain)}, "
                f"perhaps {sorted(possible)}",
            )


def _may_be_in(run: Run, segment: Segment, call: Call, connections: Connections) -> bool:
    """Whether the service may have counted a stay when it answered a call."""
    if segment.begun > call.end:
        return False
    if segment.ended is None or segment.ended > call.sent.at or segment.ended_by == "unknown":
        return True
    end = connections.closed.get(segment.socket)
    if segment.ended_by != "closed" or end is None:
        return False
    # What stands still cleans nothing up.
    served = call.sent.time - end.time - run.silent_between(end.time, call.sent.time)
    return served < CLEANED_IN


def real_time(run: Run) -> Iterator[Violation]:
    """A message sent after another one was acknowledged has the larger id."""
    for room in run.record.rooms:
        if not run.is_kept(room):
            continue
        posts = [
            post
            for post in run.posts.values()
            if post.room == room and post.id and post.copies() < 2 and not run.is_lost(post)
        ]
        acked = sorted((post for post in posts if post.is_done), key=lambda post: post.end)
        newest, place = None, 0
        for post in sorted(posts, key=lambda post: post.sent_at):
            while place < len(acked) and acked[place].end < post.sent_at:
                if newest is None or (acked[place].id or 0) > (newest.id or 0):
                    newest = acked[place]
                place += 1
            if newest is not None and (post.id or NEVER) <= (newest.id or 0):
                yield Violation(
                    Rule.REAL_TIME,
                    f"{post.text} in {room} has the id {post.id}; {newest.text}, acknowledged before, "
                    f"has {newest.id}",
                )


def connections_kept(run: Run) -> Iterator[Violation]:
    """Sockets stay connected until their clients leave or the run is over."""
    for entry in run.record.entries:
        if isinstance(entry, Closed) and not entry.by_client and entry.at < run.settled_at:
            yield Violation(Rule.THROWN_OUT, f"{entry.socket} was disconnected at {entry.at}")
