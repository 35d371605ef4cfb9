"""Rules about presence: members, indexes, lists, and the notifications to observers."""

from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.run import Run
from tests.chaos.tracking import Standing
from tests.chaos.verdict import Rule, Violation


def _believed(run: Run) -> dict[str, dict[str, frozenset[str]]]:
    """For each user the open sockets with the rooms that they are in."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for tracker in run.trackers.values():
        if tracker.is_open:
            rooms = frozenset(tracker.rooms(Standing.IN))
            found.setdefault(tracker.user, {})[tracker.socket] = rooms
    return found


def _unsure(run: Run) -> set[tuple[str, str]]:
    """Sockets and rooms whose outcome is not known even in the end."""
    return {
        (tracker.socket, room)
        for tracker in run.trackers.values()
        if tracker.is_open
        for room in tracker.rooms(Standing.UNKNOWN, Standing.JOINING, Standing.LEAVING)
    }


def final_state(run: Run) -> Iterator[Violation]:
    """The store knows exactly the sockets and joins that the clients know."""
    believed, unsure = _believed(run), _unsure(run)
    rooms = set(run.final.rooms) | {
        room for sockets in believed.values() for s in sockets.values() for room in s
    }
    for room in sorted(rooms):
        state = run.final.rooms.get(room)
        there = {
            (user, socket) for user, sockets in (state.members if state else {}).items() for socket in sockets
        }
        wanted = {
            (user, socket)
            for user, sockets in believed.items()
            for socket, joined in sockets.items()
            if room in joined
        }
        wrong = {item for item in there ^ wanted if (item[1], room) not in unsure}
        for user, socket in sorted(wrong):
            where = "in the store alone" if (user, socket) in there else "not in the store"
            yield Violation(Rule.MEMBERS, f"{socket} of {user} in {room} is {where}")
    for user in sorted(set(run.final.sockets) | set(believed)):
        there_sockets, wanted_sockets = run.final.sockets.get(user, {}), believed.get(user, {})
        if set(there_sockets) != set(wanted_sockets):
            yield Violation(
                Rule.SOCKETS, f"{user}: store {sorted(there_sockets)}, connected {sorted(wanted_sockets)}"
            )
        for socket in set(there_sockets) & set(wanted_sockets):
            wrong_rooms = {
                room
                for room in there_sockets[socket] ^ wanted_sockets[socket]
                if (socket, room) not in unsure
            }
            if wrong_rooms:
                yield Violation(Rule.INDEX, f"{socket} of {user}: wrong about {sorted(wrong_rooms)}")


def answers(run: Run) -> Iterator[Violation]:
    """What the service answers in the end is what the clients know."""
    believed, unsure = _believed(run), _unsure(run)
    unsure_rooms = {room for _, room in unsure}
    for call in run.calls.values():
        if call.sent.at < run.settled_at or not call.is_done or call.acked is None:
            continue
        if call.sent.command == "listOwnSockets" and not unsure:
            wanted = {socket: set(rooms) for socket, rooms in believed[call.user].items()}
            told = {socket: set(rooms) for socket, rooms in call.acked.result.items()}
            if told != wanted:
                yield Violation(Rule.OWN_SOCKETS, f"{call.user} is told {told}, and has {wanted}")
        elif call.sent.command == "roomGetAccessList" and call.sent.args[1] == "userlist":
            room = call.sent.args[0]
            members = {user for user, sockets in believed.items() if any(room in s for s in sockets.values())}
            if set(call.acked.result) != members and room not in unsure_rooms:
                yield Violation(
                    Rule.USERLIST, f"{room}: told {sorted(call.acked.result)}, joined {sorted(members)}"
                )


def presence(run: Run) -> Iterator[Violation]:
    """In each stay a user's joining and leaving take turns, and the last one fits the end."""
    believed = _believed(run)
    for segment in run.segments:
        if not segment.is_exact:
            continue
        told: dict[str, list[tuple[int, bool]]] = {}
        for at, user, has_joined in segment.presence:
            # A socket is not notified of its own leave.
            if user != segment.user:
                told.setdefault(user, []).append((at, has_joined))
        where = f"{segment.socket} of {segment.user} in {segment.room}"
        for user, events in told.items():
            for (before, first), (at, second) in pairwise(events):
                if first is second:
                    what = "joined" if second else "left"
                    yield Violation(
                        Rule.PRESENCE, f"{where} was told twice, at {before} and {at}, that {user} {what}"
                    )
            is_there = any(segment.room in rooms for rooms in believed.get(user, {}).values())
            if segment.ended is None and events[-1][1] is not is_there:
                yield Violation(
                    Rule.PRESENCE_END,
                    f"{where} was told last {events[-1]} of {user}, who is there: {is_there}",
                )


def instances(run: Run, alive: int | None) -> Iterator[Violation]:
    """The store knows as many instances as run; they may have taken new ids."""
    if alive is not None and len(run.final.instances) != alive:
        yield Violation(Rule.INSTANCES, f"store {sorted(run.final.instances)}, running {alive}")
