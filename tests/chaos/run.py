"""A record sorted for judging: calls with answers, messages with all that is known of them, segments."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.chaos.record import (
    UNKNOWN_OUTCOMES,
    Acked,
    FinalState,
    Opened,
    Received,
    Record,
    Sent,
    Settled,
)
from tests.chaos.tracking import Segment, SocketTracker

#: Later than everything.
NEVER = 1 << 60


@dataclass(slots=True)
class Call:
    """A command with its answer; ``acked`` is None when none came."""

    sent: Sent
    user: str
    acked: Acked | None = None

    @property
    def end(self) -> int:
        """The place of the answer."""
        return self.acked.at if self.acked else NEVER

    @property
    def is_done(self) -> bool:
        """Surely done."""
        return self.acked is not None and self.acked.error is None

    @property
    def is_unknown(self) -> bool:
        """Nobody knows whether it was done."""
        return self.acked is None or self.acked.error in UNKNOWN_OUTCOMES

    def __str__(self) -> str:
        return f"{self.sent.command}{tuple(self.sent.args)} of {self.user} at {self.sent.at}"


@dataclass(slots=True)
class Post:
    """A room message. ``ids``: all ids that it was seen under, each with where."""

    call: Call
    room: str
    text: str
    ids: dict[int, str] = field(default_factory=dict)

    @property
    def id(self) -> int | None:
        return next(iter(self.ids), None)


class Run:
    """Everything that the rules look at."""

    def __init__(self, record: Record, final: FinalState) -> None:
        self.record = record
        self.final = final
        self.trackers: dict[str, SocketTracker] = {}
        self.calls: dict[int, Call] = {}
        self.posts: dict[str, Post] = {}
        #: Place and text of messages that nobody had sent.
        self.invented: list[tuple[int, str]] = []
        self.settled_at = NEVER
        self._stored: dict[str, set[str]] = {}
        for entry in record.entries:
            match entry:
                case Opened():
                    self.trackers[entry.socket] = SocketTracker(entry.socket, entry.user)
                case Sent():
                    self._take_sent(entry)
                case Acked():
                    self._take_acked(entry)
                case Received(event="roomMessage"):
                    self._see(entry.args[0], entry.args[1], entry.at, f"received by {entry.socket}")
                case Settled():
                    self.settled_at = entry.at
            if entry.socket in self.trackers:
                self.trackers[entry.socket].feed(entry)
        for room, state in final.rooms.items():
            for message_id, text in state.history:
                self._see(room, {"id": message_id, "textMessage": text}, NEVER, "history")
        # All messages of a room that were seen under an id.
        self._texts: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        for post in self.posts.values():
            for message_id in post.ids:
                self._texts[post.room, message_id].add(post.text)
        self.segments: list[Segment] = [
            segment for tracker in self.trackers.values() for segment in tracker.segments
        ]
        self.by_room: dict[str, list[Call]] = {}
        for call in self.calls.values():
            if call.sent.room is not None:
                self.by_room.setdefault(call.sent.room, []).append(call)

    def _take_sent(self, entry: Sent) -> None:
        call = self.calls[entry.call] = Call(entry, self.trackers[entry.socket].user)
        if entry.command == "roomMessage":
            room, message = entry.args
            self.posts[message["textMessage"]] = Post(call, room, message["textMessage"])

    def _take_acked(self, entry: Acked) -> None:
        call = self.calls[entry.call]
        call.acked = entry
        if entry.error is not None:
            return
        if call.sent.command == "roomMessage":
            text = call.sent.args[1]["textMessage"]
            self.posts[text].ids.setdefault(entry.result, "acknowledged")
        elif call.sent.command in ("roomHistoryGet", "roomRecentHistory"):
            for message in entry.result:
                self._see(call.sent.args[0], message, entry.at, f"read by {call}")

    def _see(self, room: str, message: dict, at: int, where: str) -> None:
        post = self.posts.get(message["textMessage"])
        if post is None or post.room != room or message.get("author", post.call.user) != post.call.user:
            self.invented.append((at, f"{message} in {room}, {where}"))
        else:
            post.ids.setdefault(message["id"], where)

    def is_kept(self, room: str) -> bool:
        """Whether the room has one life for the whole run."""
        setup = self.record.rooms.get(room)
        return setup is not None and setup.is_kept

    def may_be_gone(self, post: Post) -> bool:
        """Whether the room's life that the post was stored in may be over."""
        return any(
            call.sent.command == "roomDelete"
            and (call.is_done or call.is_unknown)
            and call.end > post.call.sent.at
            for call in self.by_room.get(post.room, ())
        )

    def is_lost(self, post: Post) -> bool:
        """Whether the message is no longer stored, and not because it was rotated away. Where it may have
        been: whether its id went to another one as well, in a room that has one life."""
        if post.room not in self._stored:
            state = self.final.rooms.get(post.room)
            self._stored[post.room] = {text for _, text in state.history} if state else set()
        size = self.record.rooms[post.room].history_max_size if post.room in self.record.rooms else NEVER
        last_id = self.final.rooms[post.room].last_id if post.room in self.final.rooms else 0
        if post.text in self._stored[post.room]:
            return False
        if (post.id or 0) > last_id - size:
            return True
        return self.is_kept(post.room) and len(self._texts[post.room, post.id or 0]) > 1

    def joins(self, user: str, room: str) -> list[Call]:
        """All joins of a user's sockets that may have worked."""
        return [
            call
            for call in self.by_room.get(room, ())
            if call.sent.command == "roomJoin" and call.user == user and (call.is_done or call.is_unknown)
        ]
