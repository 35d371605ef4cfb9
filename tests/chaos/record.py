"""The events of a run as seen by the clients, in one ordered list, and the final state."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

#: Versions of instances: this one, and the release before it.
CURRENT, PREVIOUS = "current", "previous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``at``: place in the order of the whole run. ``time``: seconds. ``socket``: id of the socket."""

    at: int
    time: float
    socket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Entry):
    """A login was confirmed. ``instance``: number of a process. ``version``: ``CURRENT`` or ``PREVIOUS``."""

    user: str
    instance: int = 0
    version: str = CURRENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(Entry):
    """The connection is gone, as far as the client knows. ``by_client``: the client itself ended it."""

    by_client: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent(Entry):
    """A command is about to be written. ``call`` is unique in the run."""

    call: int
    command: str
    args: Sequence[Any]

    @property
    def room(self) -> str | None:
        """The room that the command is about."""
        return self.args[0] if self.command.startswith("room") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked(Entry):
    """The answer to a call. ``error``: its code; None: done. ``extra``: values that options asked for."""

    call: int
    error: str | None
    result: Any = None
    extra: Sequence[Any] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(Entry):
    """A notification."""

    event: str
    args: Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Entry):
    """Faults and scenario are over; what is asked from here on is about the final state."""


#: Answers after which nobody knows whether the command was done.
UNKNOWN_OUTCOMES = frozenset({"timeout", "internalError"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSetup:
    """A room at the beginning. ``immune``: owner and all who ever are admins. ``is_kept``: never deleted."""

    owner: str
    immune: frozenset[str]
    history_max_size: int = 10000
    is_kept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRoom:
    """A room in the end, read from the store. ``history``: (id, text) of each message, oldest first."""

    members: Mapping[str, frozenset[str]]
    history: Sequence[tuple[int, str]]
    last_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalState:
    """``sockets``: for each user the sockets with their rooms. ``instances``: those alive in the store."""

    rooms: Mapping[str, FinalRoom]
    sockets: Mapping[str, Mapping[str, frozenset[str]]]
    instances: frozenset[str] = frozenset()


@dataclass(slots=True)
class Record:
    """A run. Entries are added while it is running."""

    rooms: Mapping[str, RoomSetup]
    entries: list[Entry] = field(default_factory=list)
    _calls: int = 0

    def _stamp(self, socket: str) -> dict[str, Any]:
        return {"at": len(self.entries), "time": time.monotonic(), "socket": socket}

    def opened(self, socket: str, user: str, instance: int = 0, version: str = CURRENT) -> Opened:
        entry = Opened(**self._stamp(socket), user=user, instance=instance, version=version)
        self.entries.append(entry)
        return entry

    def closed(self, socket: str, *, by_client: bool = False) -> Closed:
        entry = Closed(**self._stamp(socket), by_client=by_client)
        self.entries.append(entry)
        return entry

    def sent(self, socket: str, command: str, *args: Any) -> Sent:
        self._calls += 1
        entry = Sent(**self._stamp(socket), call=self._calls, command=command, args=args)
        self.entries.append(entry)
        return entry

    def acked(
        self, socket: str, call: int, error: str | None, result: Any = None, extra: Sequence[Any] = ()
    ) -> Acked:
        entry = Acked(**self._stamp(socket), call=call, error=error, result=result, extra=extra)
        self.entries.append(entry)
        return entry

    def received(self, socket: str, event: str, *args: Any) -> Received:
        entry = Received(**self._stamp(socket), event=event, args=args)
        self.entries.append(entry)
        return entry

    def settled(self) -> Settled:
        entry = Settled(**self._stamp(""))
        self.entries.append(entry)
        return entry

    def copy(self) -> "Record":
        """A copy of the current record, for another thread."""
        return Record(self.rooms, list(self.entries), self._calls)

    def lines(self) -> list[str]:
        """The entries as JSON objects, one line each, ``kind`` first."""
        return [
            json.dumps({"kind": type(entry).__name__.lower(), **asdict(entry)}, default=list)
            for entry in self.entries
        ]
