"""A record sorted for judging: calls with answers, messages with all that is known of them, segments."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.chaos.record import (
    CURRENT,
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
#: Seconds without any answer after which the service, or the machine, stands still.
SILENCE = 1.0


@dataclass(slots=True)
class Call:
    """A command with its answer; ``acked`` is None when none came."""

    sent: Sent
    user: str
    version: str = CURRENT
    acked: Acked | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options that it was sent with; the previous version knows none."""
        declared = {"roomMessage": 2, "roomJoin": 1}.get(self.sent.command, NEVER)
        is_given = len(self.sent.args) > declared and self.version == CURRENT
        return dict(self.sent.args[declared]) if is_given else {}

    @property
    def has_key(self) -> bool:
        """Whether an idempotency key holds it together with its repeats."""
        return "idempotencyKey" in self.options

    @property
    def is_repeat(self) -> bool:
        """Whether the answer says that the message was stored before."""
        return self.acked is not None and {"duplicate": True} in self.acked.extra

    @property
    def missed(self) -> dict[str, Any] | None:
        """What the answer to a join with a cursor says."""
        extra = self.acked.extra if self.acked is not None and self.sent.command == "roomJoin" else ()
        return dict(extra[0]) if extra else None

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
    """A room message, told from others by its text. ``calls``: all sends of it, the repeats with the same key
    too. ``ids``: all ids that it was seen under, each with where."""

    calls: list[Call]
    room: str
    text: str
    ids: dict[int, str] = field(default_factory=dict)

    @property
    def id(self) -> int | None:
        return next(iter(self.ids), None)

    @property
    def user(self) -> str:
        return self.calls[0].user

    @property
    def sent_at(self) -> int:
        """The place of the first send."""
        return self.calls[0].sent.at

    @property
    def is_done(self) -> bool:
        """Surely stored."""
        return any(call.is_done for call in self.calls)

    @property
    def is_unknown(self) -> bool:
        """Nobody knows whether it was stored."""
        return not self.is_done and any(call.is_unknown for call in self.calls)

    @property
    def end(self) -> int:
        """The place of the first acknowledgement."""
        return min((call.end for call in self.calls if call.is_done), default=NEVER)

    @property
    def has_key(self) -> bool:
        return any(call.has_key for call in self.calls)

    def copies(self) -> int:
        """How many copies there may be: one of all sends with a key that it was heeded in, and one of each
        other send."""
        stored = [call for call in self.calls if call.is_done or call.is_unknown]
        return sum(not call.has_key for call in stored) + any(call.has_key for call in stored)


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
        #: Times in seconds between which nobody got an answer or a login, if long.
        self.silences: list[tuple[float, float]] = []
        served = [entry.time for entry in record.entries if isinstance(entry, Acked | Opened)]
        self.silences += [(before, after) for before, after in pairwise(served) if after - before > SILENCE]
        self._stored: dict[str, set[str]] = {}
        #: The epochs of each room that clients were told.
        self.epochs: defaultdict[str, set[str]] = defaultdict(set)
        #: The version of each socket's instance.
        self.versions: dict[str, str] = {}
        for entry in record.entries:
            match entry:
                case Opened():
                    self.trackers[entry.socket] = SocketTracker(entry.socket, entry.user)
                    self.versions[entry.socket] = entry.version
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
        call = self.calls[entry.call] = Call(
            entry, self.trackers[entry.socket].user, self.versions[entry.socket]
        )
        if entry.command == "roomMessage":
            room, text = entry.args[0], entry.args[1]["textMessage"]
            if text in self.posts:
                self.posts[text].calls.append(call)
            else:
                self.posts[text] = Post([call], room, text)

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
            self.epochs[call.sent.args[0]].update(entry.extra)
        elif call.missed is not None:
            self.epochs[call.sent.args[0]].add(call.missed["epoch"])
            for message in call.missed["messages"]:
                self._see(call.sent.args[0], message, entry.at, f"missed by {call}")

    def _see(self, room: str, message: dict, at: int, where: str) -> None:
        post = self.posts.get(message["textMessage"])
        if post is None or post.room != room or message.get("author", post.user) != post.user:
            self.invented.append((at, f"{message} in {room}, {where}"))
        else:
            post.ids.setdefault(message["id"], where)

    def is_kept(self, room: str) -> bool:
        """Whether the room has one life for the whole run."""
        setup = self.record.rooms.get(room)
        return setup is not None and setup.is_kept

    def silent_between(self, start: float, end: float) -> float:
        """For how many seconds of a time nobody was served."""
        parts = (min(after, end) - max(before, start) for before, after in self.silences)
        return sum(part for part in parts if part > 0)

    def keeps(self, room: str) -> int:
        """How many messages the room keeps."""
        return self.record.rooms[room].history_max_size if room in self.record.rooms else NEVER

    def may_be_gone(self, post: Post) -> bool:
        """Whether the room's life that the post was stored in may be over."""
        return any(
            call.sent.command == "roomDelete"
            and (call.is_done or call.is_unknown)
            and call.end > post.sent_at
            for call in self.by_room.get(post.room, ())
        )

    def is_lost(self, post: Post) -> bool:
        """Whether the message is no longer stored, and not because it was rotated away. Where it may have
        been: whether its id went to another one as well, in a room that has one life."""
        if post.room not in self._stored:
            state = self.final.rooms.get(post.room)
            self._stored[post.room] = {text for _, text in state.history} if state else set()
        last_id = self.final.rooms[post.room].last_id if post.room in self.final.rooms else 0
        if post.text in self._stored[post.room]:
            return False
        if (post.id or 0) > last_id - self.keeps(post.room):
            return True
        return self.is_kept(post.room) and len(self._texts[post.room, post.id or 0]) > 1

    def joins(self, user: str, room: str) -> list[Call]:
        """All joins of a user's sockets that may have worked."""
        return [
            call
            for call in self.by_room.get(room, ())
            if call.sent.command == "roomJoin" and call.user == user and (call.is_done or call.is_unknown)
        ]
