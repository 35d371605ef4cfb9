"""Findings of the checker."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Rule(StrEnum):
    """What a run is judged by."""

    ACKED_LOST = "an acknowledged or delivered message is not in the history"
    DUPLICATE = "a message is there more than once"
    REFUSED_STORED = "a refused message was stored"
    INVENTED = "a message that nobody sent"
    NOT_DENSE = "ids of a history are not dense"
    CONFLICT = "two messages have one id"
    ORDER = "ids do not rise on a socket"
    GAP = "a socket missed messages in the middle"
    GAP_TOLD = "a socket was told of a gap that is not exactly what it cannot get any more"
    LATE_START = "a socket missed messages after its join"
    OLD_MESSAGE = "a socket got a message from before its join"
    CURSOR = "a join with a cursor left something out, or the first message after it does not follow"
    TAIL = "a joined socket lacks the last messages"
    UNINVITED = "a socket outside a room got its events"
    REMOVED_HEARS = "a removed user got a later message"
    REMOVED_ACTS = "a removed user could act"
    STALE_READ = "a read lacks what was acknowledged before"
    MEMBERS = "members of a room are not who is joined"
    SOCKETS = "sockets of a user are not those connected"
    INDEX = "rooms in a user's index are not those joined"
    OWN_SOCKETS = "listOwnSockets is wrong"
    USERLIST = "the userlist is wrong"
    PRESENCE = "roomUserJoined and roomUserLeft do not alternate"
    PRESENCE_END = "the last presence event does not fit the userlist"
    REAL_TIME = "a message sent after another was acknowledged has the smaller id"
    ASTRAY = "a direct or system message, or an echo, reached a wrong socket, or one twice"
    DIRECT_LOST = "an acknowledged direct or system message did not reach a connected socket"
    ECHO_LOST = "a connected socket was not told of what the user's other socket did"
    JOINED_COUNT = "a join or leave returned a wrong number of joined sockets"
    THROWN_OUT = "a socket was disconnected without need"
    INSTANCES = "instances in the store are not those alive"
    HUNG = "a command was not answered in time"
    INTERNAL_ERROR = "a command had an internal error"


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken."""

    rule: Rule
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


@dataclass(slots=True)
class Verdict:
    """``allowed``: what was broken as the faults of the run permit. ``notes``: what is worth telling."""

    violations: list[Violation] = field(default_factory=list)
    allowed: list[Violation] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def is_good(self) -> bool:
        return not self.violations

    def add(self, found: Iterable[Violation], allowed: frozenset[Rule]) -> None:
        """Sort what was found."""
        for violation in found:
            (self.allowed if violation.rule in allowed else self.violations).append(violation)

    def __str__(self) -> str:
        parts = ["good" if self.is_good else "BAD"]
        parts += [f"{count}x {rule}" for rule, count in Counter(v.rule for v in self.violations).items()]
        allowed = Counter(violation.rule for violation in self.allowed)
        parts += [f"allowed {count}x {rule}" for rule, count in allowed.items()]
        parts += [f"{count} {note}" for note, count in self.notes.items()]
        return "; ".join(parts)
