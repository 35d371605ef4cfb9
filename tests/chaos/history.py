"""The history of a run as the second judge reads it: operations, observations and losses.

It shares no code with the first judge. Its input is JSON objects in the order of one clock, of the kinds
``opened``, ``closed``, ``sent``, ``acked``, ``received`` or ``settled``.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Entry = Mapping[str, Any]

#: Faults that throw away what was confirmed.
LOSING = frozenset({"evict", "flush", "sentinel", "master", "shard"})
#: Seconds after such a fault in which instances may still find out what is gone: they probe once a second.
FOUND_OUT_IN = 1.0
#: Answers that do not say whether the command was done.
UNCLEAR = frozenset({"timeout", "internalError"})
#: Where the options of a command are among its arguments.
OPTIONS_AT = {"roomMessage": 2, "roomJoin": 1, "roomHistoryGet": 3, "roomRecentHistory": 1}


@dataclass(frozen=True)
class Loss:
    """Seconds between which data may have been thrown away."""

    start: float
    end: float


@dataclass(frozen=True)
class Client:
    """One socket. ``start``: when it was logged in. ``heeds_options``: its instance does."""

    socket: str
    start: float
    user: str
    instance: int
    heeds_options: bool


@dataclass
class Operation:
    """A command, from its invocation to its answer; ``end`` is infinite without one."""

    client: Client
    command: str
    args: list[Any]
    start: float
    is_final: bool
    end: float = math.inf
    error: str | None = None
    result: Any = None
    extra: list[Any] = field(default_factory=list)

    @property
    def room(self) -> str:
        """The room that it is about; empty: none."""
        return self.args[0] if self.command.startswith("room") else ""

    @property
    def is_done(self) -> bool:
        return self.end < math.inf and self.error is None

    @property
    def may_be_done(self) -> bool:
        return self.end == math.inf or self.error is None or self.error in UNCLEAR

    @property
    def options(self) -> Mapping[str, Any]:
        """The options that the instance heeds."""
        at = OPTIONS_AT.get(self.command, len(self.args))
        given = self.args[at] if self.client.heeds_options and len(self.args) > at else {}
        return given if isinstance(given, Mapping) else {}

    @property
    def key(self) -> str | None:
        return self.options.get("idempotencyKey")

    @property
    def is_marked(self) -> bool:
        """Whether the answer says that it is a repeat."""
        return {"duplicate": True} in self.extra

    @property
    def answer(self) -> Mapping[str, Any] | None:
        """What a join with a cursor was told."""
        return self.extra[0] if self.command == "roomJoin" and self.is_done and self.extra else None

    def __str__(self) -> str:
        where = f"{self.client.user} by {self.client.socket} at {self.start:.3f}"
        return f"{self.command}{tuple(self.args)} of {where}"


@dataclass
class Message:
    """What one user sent to one room under one text. ``ids``: each with the first place it was seen in."""

    room: str
    user: str
    text: str
    sends: list[Operation] = field(default_factory=list)
    ids: dict[int, str] = field(default_factory=dict)

    @property
    def start(self) -> float:
        return self.sends[0].start

    @property
    def acked(self) -> float:
        """When it was first acknowledged."""
        return min((send.end for send in self.sends if send.is_done), default=math.inf)

    @property
    def end(self) -> float:
        """After this, nothing of its sends is on its way."""
        return max(math.inf if send.may_be_done and not send.is_done else send.end for send in self.sends)

    @property
    def copies(self) -> int:
        """How often it may be stored: once for all sends with a heeded key, and once for each other send."""
        bare = sum(send.may_be_done and send.key is None for send in self.sends)
        return bare + any(send.may_be_done and send.key is not None for send in self.sends)

    def __str__(self) -> str:
        return f"{self.text} in {self.room}"


class History:
    """Everything that the second judge looks at.

    ``sizes``: for each room how many messages it keeps.
    """

    def __init__(self, entries: Iterable[Entry], sizes: Mapping[str, int]) -> None:
        self.sizes = sizes
        self.clients: dict[str, Client] = {}
        self.closed: set[str] = set()
        self.operations: dict[int, Operation] = {}
        self.messages: dict[tuple[str, str], Message] = {}
        #: What each socket sent, and what came to it, about each room, in order.
        self.streams: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
        self.losses: list[Loss] = []
        #: The epochs of each room that answers named.
        self.epochs: defaultdict[str, set[str]] = defaultdict(set)
        #: Messages that nobody had sent.
        self.invented: list[str] = []
        self._is_final = False
        for entry in entries:
            self._take(entry)
        deletions = [op for op in self.operations.values() if op.command == "roomDelete" and op.may_be_done]
        #: Rooms that nobody deleted: they have one life.
        self.lasting = set(sizes) - {op.args[0] for op in deletions}

    def _take(self, entry: Entry) -> None:
        socket = entry["socket"]
        match entry["kind"]:
            case "opened":
                heeds = entry["version"] == "current"
                self.clients[socket] = Client(socket, entry["time"], entry["user"], entry["instance"], heeds)
            case "closed":
                self.closed.add(socket)
                for room in self.sizes:
                    self.streams[socket, room].append(entry)
            case "settled":
                self._is_final = True
            case "sent":
                self._take_sent(entry)
                self._stream(socket, entry["args"], entry)
            case "acked":
                self._take_acked(entry)
                self._stream(socket, self.operations[entry["call"]].args, entry)
            case "received" if socket:
                if entry["event"] == "roomMessage":
                    self._see(entry["args"][0], entry["args"][1], f"received by {socket}")
                self._stream(socket, entry["args"], entry)
            case "received":
                self._take_fault(entry)

    def _stream(self, socket: str, args: Sequence[Any], entry: Entry) -> None:
        if args and isinstance(args[0], str) and args[0] in self.sizes:
            self.streams[socket, args[0]].append(entry)

    def _take_fault(self, entry: Entry) -> None:
        if entry["args"][0] not in LOSING:
            return
        if entry["event"] == "fault":
            self.losses.append(Loss(entry["time"], math.inf))
        else:
            self.losses[-1] = Loss(self.losses[-1].start, entry["time"] + FOUND_OUT_IN)

    def _take_sent(self, entry: Entry) -> None:
        op = Operation(
            self.clients[entry["socket"]], entry["command"], entry["args"], entry["time"], self._is_final
        )
        self.operations[entry["call"]] = op
        if op.command == "roomMessage":
            room, text = op.args[0], op.args[1]["textMessage"]
            found = self.messages.setdefault((room, text), Message(room, op.client.user, text))
            found.sends.append(op)

    def _take_acked(self, entry: Entry) -> None:
        op = self.operations[entry["call"]]
        op.end, op.error = entry["time"], entry["error"]
        op.result, op.extra = entry["result"], list(entry["extra"])
        if not op.is_done:
            return
        if op.command == "roomMessage":
            self.messages[op.args[0], op.args[1]["textMessage"]].ids.setdefault(op.result, "acknowledged")
        if op.answer is not None:
            self.epochs[op.room].add(op.answer["epoch"])
        elif op.command in ("roomHistoryGet", "roomRecentHistory"):
            self.epochs[op.room].update(op.extra)
        for message in self.read(op):
            self._see(op.args[0], message, f"read by {op}")

    @staticmethod
    def read(op: Operation) -> list[Mapping[str, Any]]:
        """The messages that an answer has, oldest first."""
        if op.command in ("roomHistoryGet", "roomRecentHistory"):
            return list(reversed(op.result))
        return list(op.answer["messages"]) if op.answer is not None else []

    def _see(self, room: str, message: Mapping[str, Any], where: str) -> None:
        found = self.messages.get((room, message["textMessage"]))
        if found is None or message["author"] != found.user:
            self.invented.append(f"{dict(message)} in {room}, {where}")
        else:
            found.ids.setdefault(message["id"], where)

    def is_rotated(self, room: str, message_id: int, until: float = math.inf) -> bool:
        """Whether the room may have thrown the message away for newer ones, sent before ``until``."""
        ids = (
            found
            for message in self.messages.values()
            if message.room == room and message.start < until
            for found in message.ids
        )
        return message_id <= max(ids, default=0) - self.sizes[room]

    # What losses excuse

    def horizon(self, until: float = math.inf) -> float:
        """What was begun before this time may be lost at the time ``until``."""
        return max((loss.end for loss in self.losses if loss.start < until), default=-math.inf)

    def may_be_lost(self, message: Message) -> bool:
        """Whether it may have been thrown away."""
        return message.start < self.horizon()

    def key_may_be_lost(self, message: Message) -> bool:
        """Whether its sends lie on both sides of a loss."""
        return self.is_split(message.start, message.end)

    def is_split(self, start: float, end: float) -> bool:
        """Whether a loss lies between two times."""
        return any(start < loss.end and end > loss.start for loss in self.losses)
