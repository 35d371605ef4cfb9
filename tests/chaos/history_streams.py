"""What one socket was told of one room, followed from entry to entry, for the second judge."""

import math

from tests.chaos.history import Client, Entry, History, Operation


class Stream:
    """Whether the socket is in the room, and which message has to come next.

    ``is_in`` is None while that is not known. ``changed_at``: when it became so; minus infinity: never.
    """

    def __init__(self, history: History, client: Client, room: str) -> None:
        self._history = history
        self._client = client
        self._room = room
        self.is_in: bool | None = False
        self.changed_at = -math.inf
        self._next: int | None = None
        self._pending: set[int] = set()
        #: A removal came, or both a join and a leave were on their way: their order is not known.
        self._is_crossed = False
        #: When the stay began, and where it began from, for what losses excuse.
        self._begun = -math.inf
        self._last = 0
        self.delivered = self.gaps = self.excused = 0
        self.unordered: list[str] = []
        self.missed: list[str] = []
        self.untrue: list[str] = []

    @property
    def _is_excused(self) -> bool:
        return self._begun < self._history.horizon()

    def take(self, entry: Entry) -> None:
        """Follow the next entry of the socket."""
        match entry["kind"]:
            case "sent" if entry["command"] in ("roomJoin", "roomLeave") and entry["args"][0] == self._room:
                self._is_crossed = bool(self._pending)
                self._pending.add(entry["call"])
                if self.changed_at == -math.inf:
                    self.changed_at = self._begun = entry["time"]
            case "acked" if entry["call"] in self._pending:
                self._pending.discard(entry["call"])
                self._answered(self._history.operations[entry["call"]])
            case "received" if entry["args"][:1] == [self._room]:
                self._heard(entry)
            case "closed":
                self._change(False, entry["time"])

    def _change(self, is_in: bool | None, at: float, following: int | None = None) -> None:
        if self.changed_at > -math.inf or is_in:
            self.is_in, self.changed_at, self._next = is_in, at, following

    def _answered(self, op: Operation) -> None:
        is_unclear = not op.is_done and op.may_be_done
        if is_unclear and op.command == "roomJoin" and self.is_in and not self._is_crossed:
            return
        if self._is_crossed or is_unclear:
            self._change(None, op.end)
        elif op.command == "roomLeave":
            self._change(False, op.end)
        elif not op.is_done:
            # A join is refused to who has no access; a removal was or will be told.
            if self.is_in is None:
                self._change(False, op.end)
        elif self.is_in is not True:
            was_out = self.is_in is False
            last = op.answer["lastMessageId"] if op.answer is not None else None
            if was_out and last is not None and self._last > last and not self._is_excused_at(op.end):
                self.missed.append(f"{self._name} got {self._last} before the answer that ends with {last}")
            self._begun = op.start
            self._change(True, op.end, last + 1 if was_out and last is not None else None)

    def _is_excused_at(self, time: float) -> bool:
        return self._begun < self._history.horizon(time)

    def _heard(self, entry: Entry) -> None:
        match entry["event"]:
            case "roomAccessRemoved":
                self._is_crossed = bool(self._pending)
                self._change(None if self._pending else False, entry["time"])
                self._last = 0 if self._history.losses else self._last
            case "roomHistoryGap":
                self._gap(entry)
            case "roomMessage":
                self._message(entry["args"][1]["id"], entry["time"])

    def _message(self, message_id: int, time: float) -> None:
        is_excused = self._is_excused_at(time)
        self.delivered += not is_excused
        self.excused += is_excused
        if is_excused:
            pass
        elif message_id <= self._last:
            self.unordered.append(f"{self._name} got {message_id} after {self._last}")
            return
        elif self._next is not None and message_id > self._next and not self._may_skip(message_id, time):
            self.missed.append(f"{self._name} got {message_id}, and {self._next} was due")
        elif self._next is not None and message_id < self._next:
            self.missed.append(f"{self._name} got {message_id}, which the answer to its join had")
        self._last = message_id
        self._next = message_id + 1

    def _may_skip(self, message_id: int, time: float) -> bool:
        """The previous version skips what was rotated away, and tells nobody."""
        return not self._client.heeds_options and self._history.is_rotated(self._room, message_id - 1, time)

    def _gap(self, entry: Entry) -> None:
        self.gaps += 1
        gap, time = entry["args"][1], entry["time"]
        if not self._is_excused_at(time):
            is_due = self._last < gap["from"] <= gap["to"] and self._next in (None, gap["from"])
            is_gone = self._history.is_rotated(self._room, gap["to"], time)
            is_of_this_life = gap["epoch"] in self._history.epochs[self._room]
            if self.is_in is False or not (is_due and is_gone and is_of_this_life):
                self.untrue.append(f"{self._name} was told of {gap}; {self._next} was due")
        self._next, self._last = gap["to"] + 1, gap["to"]

    def end(self, newest: int) -> None:
        """The run is over, and ``newest`` is the last message of the room."""
        if self.is_in and self._client.socket not in self._history.closed and self._next is not None:
            if self._is_excused:
                self.excused += 1
            elif self._next <= newest:
                self.missed.append(f"{self._name} lacks {self._next} to {newest}, the last ones")

    @property
    def _name(self) -> str:
        return f"{self._client.socket} of {self._client.user} in {self._room}"
