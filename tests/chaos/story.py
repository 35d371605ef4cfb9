"""Handwritten records to test the judge."""

from collections.abc import Sequence
from typing import Any

from tests.chaos.checker import judge
from tests.chaos.record import CURRENT, FinalRoom, FinalState, Record, RoomSetup
from tests.chaos.verdict import Verdict

ROOMS = {
    "room": RoomSetup(owner="owner", immune=frozenset({"owner"})),
    "small": RoomSetup(owner="owner", immune=frozenset({"owner"}), history_max_size=2),
    "none": RoomSetup(owner="owner", immune=frozenset({"owner"}), history_max_size=0),
    "brief": RoomSetup(owner="owner", immune=frozenset({"owner"}), is_kept=False),
}


class Story:
    """Writes a record by hand: alice and bob have one socket each, ``a`` and ``b``; the owner has ``o``."""

    def __init__(self) -> None:
        self.record = Record(ROOMS)
        for socket, user in (("a", "alice"), ("b", "bob"), ("o", "owner")):
            self.record.opened(socket, user)
        #: What the store has in the end.
        self.members: dict[str, dict[str, set[str]]] = {room: {} for room in ROOMS}
        self.histories: dict[str, list[tuple[int, str]]] = {room: [] for room in ROOMS}
        self.last_ids: dict[str, int] = {}
        self.sockets: dict[str, dict[str, set[str]]] = {
            "alice": {"a": set()}, "bob": {"b": set()}, "owner": {"o": set()},
        }  # fmt: skip
        self.users = {"a": "alice", "b": "bob", "o": "owner"}

    def call(
        self,
        socket: str,
        command: str,
        *args: Any,
        error: str | None = None,
        result: Any = None,
        extra: Sequence[Any] = (),
    ) -> None:
        sent = self.record.sent(socket, command, *args)
        self.record.acked(socket, sent.call, error, result, extra)

    def open(self, socket: str, user: str, version: str = CURRENT) -> None:
        """One more socket of a user."""
        self.record.opened(socket, user, version=version)
        self.sockets[user][socket] = set()
        self.users[socket] = user

    def join(
        self, socket: str, room: str = "room", *options: Any, result: int = 1, extra: Sequence[Any] = ()
    ) -> None:
        self.call(socket, "roomJoin", room, *options, result=result, extra=extra)
        user = self.users[socket]
        self.members[room].setdefault(user, set()).add(socket)
        self.sockets[user][socket].add(room)

    def forget(self, socket: str, room: str = "room") -> None:
        """The store no longer has the socket in the room."""
        user = self.users[socket]
        self.members[room][user].discard(socket)
        if not self.members[room][user]:
            del self.members[room][user]
        self.sockets[user][socket].discard(room)

    def leave(self, socket: str, room: str = "room") -> None:
        self.call(socket, "roomLeave", room, result=0)
        self.forget(socket, room)

    def hear(
        self, socket: str, message_id: int, text: str, room: str = "room", author: str = "alice"
    ) -> None:
        message = {"id": message_id, "textMessage": text, "author": author, "timestamp": 1}
        self.record.received(socket, "roomMessage", room, message)

    def post(self, socket: str, message_id: int, *hearers: str, room: str = "room") -> str:
        """A message that is stored, heard and acknowledged."""
        text = f"{room}-{message_id}"
        sent = self.record.sent(socket, "roomMessage", room, {"textMessage": text})
        for hearer in hearers:
            self.hear(hearer, message_id, text, room, self.users[socket])
        self.record.acked(socket, sent.call, None, message_id)
        self.histories[room].append((message_id, text))
        return text

    def judge(self, **options: Any) -> Verdict:
        return judge(self.record, self.final(), **options)

    def final(self) -> FinalState:
        rooms = {
            room: FinalRoom(
                members={user: frozenset(sockets) for user, sockets in self.members[room].items()},
                history=history,
                last_id=self.last_ids.get(room, history[-1][0] if history else 0),
            )
            for room, history in self.histories.items()
        }
        sockets = {
            user: {socket: frozenset(rooms) for socket, rooms in joined.items()}
            for user, joined in self.sockets.items()
        }
        return FinalState(rooms=rooms, sockets=sockets, instances=frozenset({"one", "two"}))


def both_joined() -> Story:
    """Alice and bob are joined and have heard two messages."""
    story = Story()
    story.join("a")
    story.join("b")
    story.post("a", 1, "a", "b")
    story.post("b", 2, "b", "a")
    return story
