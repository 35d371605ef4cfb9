"""What a client believes about its rooms, from what it sent and got: the same for client and checker.

A segment is the time from a join to its end on one socket; all messages of it are of one life of the room.
"""

from dataclasses import dataclass, field
from enum import Enum

from tests.chaos.record import UNKNOWN_OUTCOMES, Acked, Closed, Entry, Received, Sent


class Standing(Enum):
    """How a socket stands to a room."""

    OUT = "out"
    JOINING = "joining"
    IN = "in"
    LEAVING = "leaving"
    #: A join or leave had no clear outcome.
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Segment:
    """``is_exact``: it began with an acknowledged join from outside, so its beginning is known."""

    socket: str
    user: str
    room: str
    begun: int
    is_exact: bool
    join_sent: int = 0
    #: Place of the acknowledgement of the join.
    joined: int | None = None
    #: The last message when it joined, if the answer says so.
    joined_last: int | None = None
    ended: int | None = None
    ended_by: str = ""
    #: Places, ids and texts of the messages.
    messages: list[tuple[int, int, str]] = field(default_factory=list)
    #: Places, epochs, and the first and last ids of what it was told to be missing.
    gaps: list[tuple[int, str, int, int]] = field(default_factory=list)
    #: Places, users, and whether they joined or left.
    presence: list[tuple[int, str, bool]] = field(default_factory=list)


@dataclass(slots=True)
class RoomView:
    """One room as one socket sees it."""

    standing: Standing = Standing.OUT
    #: Calls of joins and leaves that were not answered, oldest first.
    pending: dict[int, Sent] = field(default_factory=dict)
    #: A removal came while a join was on its way: which was first is not known.
    is_crossed: bool = False
    segment: Segment | None = None


#: Events that only the joined sockets of a room get.
ROOM_EVENTS = frozenset(
    {
        "roomMessage",
        "roomHistoryGap",
        "roomStateGap",
        "roomUserJoined",
        "roomUserLeft",
        "roomAccessListAdded",
        "roomAccessListRemoved",
        "roomModeChanged",
    }
)


def _last_id(join: Acked) -> int | None:
    return int(join.extra[0]["lastMessageId"]) if join.extra else None


class SocketTracker:
    """Follows one socket."""

    def __init__(self, socket: str, user: str) -> None:
        self.socket = socket
        self.user = user
        self.is_open = True
        self._views: dict[str, RoomView] = {}
        self.segments: list[Segment] = []
        #: Room events that came while the socket was surely outside.
        self.uninvited: list[Received] = []

    def standing(self, room: str) -> Standing:
        view = self._views.get(room)
        return view.standing if view else Standing.OUT

    def rooms(self, *standings: Standing) -> list[str]:
        """The rooms that the socket stands to in one of these ways."""
        return [room for room, view in self._views.items() if view.standing in standings]

    def is_busy(self, room: str) -> bool:
        """Whether a join or leave is on its way."""
        view = self._views.get(room)
        return bool(view and view.pending)

    def last_id(self, room: str) -> int:
        """The last message that came in this stay, 0 for none."""
        view = self._views.get(room)
        return view.segment.messages[-1][1] if view and view.segment and view.segment.messages else 0

    def feed(self, entry: Entry) -> None:
        """Take what happened next."""
        match entry:
            case Sent(command="roomJoin" | "roomLeave"):
                self._sent(entry)
            case Acked():
                self._acked(entry)
            case Received(event="roomAccessRemoved"):
                self._removed(entry)
            case Received(event=event) if event in ROOM_EVENTS:
                self._heard(entry)
            case Closed():
                self.is_open = False
                for view in self._views.values():
                    self._end(view, entry.at, "closed")
                    view.standing = Standing.OUT

    def _begin(self, room: str, view: RoomView, at: int, *, is_exact: bool) -> Segment:
        view.segment = Segment(self.socket, self.user, room, at, is_exact, join_sent=at)
        self.segments.append(view.segment)
        return view.segment

    def _end(self, view: RoomView, at: int, reason: str) -> None:
        if view.segment is not None:
            view.segment.ended, view.segment.ended_by = at, reason
            view.segment = None

    def _sent(self, entry: Sent) -> None:
        room = entry.args[0]
        view = self._views.setdefault(room, RoomView())
        view.pending[entry.call] = entry
        if entry.command == "roomJoin" and view.standing is Standing.OUT:
            view.standing = Standing.JOINING
            view.is_crossed = False
            self._begin(room, view, entry.at, is_exact=True)
        elif entry.command == "roomJoin":
            view.is_crossed = False
        elif view.standing is Standing.IN:
            view.standing = Standing.LEAVING

    def _acked(self, entry: Acked) -> None:
        for room, view in self._views.items():
            sent = view.pending.pop(entry.call, None)
            if sent is not None:
                after = self._after_join if sent.command == "roomJoin" else self._after_leave
                after(room, view, sent, entry)

    def _after_join(self, room: str, view: RoomView, sent: Sent, entry: Acked) -> None:
        standing = view.standing
        if entry.error is None:
            if view.is_crossed:
                self._lose_track(room, view, entry.at)
            elif standing is Standing.JOINING and view.segment is not None:
                view.standing = Standing.IN
                view.segment.joined = entry.at
                view.segment.joined_last = _last_id(entry)
            elif standing is not Standing.IN:
                self._end(view, entry.at, "unknown")
                view.standing = Standing.IN
                segment = self._begin(room, view, entry.at, is_exact=True)
                segment.join_sent, segment.joined = sent.at, entry.at
                segment.joined_last = _last_id(entry)
        elif entry.error in UNKNOWN_OUTCOMES:
            if standing is not Standing.IN:
                self._lose_track(room, view, entry.at)
        elif standing is not Standing.IN:
            # A room that one was joined to tells of the removal by itself.
            self._end(view, entry.at, "refused")
            view.standing = Standing.OUT

    def _after_leave(self, room: str, view: RoomView, sent: Sent, entry: Acked) -> None:
        if entry.error in UNKNOWN_OUTCOMES:
            self._lose_track(room, view, entry.at)
        else:
            self._end(view, entry.at, "leave")
            view.standing = Standing.OUT

    def _lose_track(self, room: str, view: RoomView, at: int) -> None:
        if view.standing is not Standing.UNKNOWN or view.segment is None:
            self._end(view, at, "unknown")
            self._begin(room, view, at, is_exact=False)
        view.standing = Standing.UNKNOWN

    def _removed(self, entry: Received) -> None:
        room = entry.args[0]
        view = self._views.setdefault(room, RoomView())
        if any(sent.command == "roomJoin" for sent in view.pending.values()):
            view.is_crossed = True
            self._end(view, entry.at, "removed")
            self._lose_track(room, view, entry.at)
        elif view.standing is not Standing.UNKNOWN:
            self._end(view, entry.at, "removed")
            view.standing = Standing.OUT

    def _heard(self, entry: Received) -> None:
        room = entry.args[0]
        view = self._views.setdefault(room, RoomView())
        if view.segment is None:
            self.uninvited.append(entry)
            return
        if entry.event == "roomMessage":
            message = entry.args[1]
            view.segment.messages.append((entry.at, message["id"], message["textMessage"]))
        elif entry.event == "roomHistoryGap":
            gap = entry.args[1]
            view.segment.gaps.append((entry.at, gap["epoch"], gap["from"], gap["to"]))
        elif entry.event in ("roomUserJoined", "roomUserLeft"):
            view.segment.presence.append((entry.at, entry.args[1], entry.event == "roomUserJoined"))
