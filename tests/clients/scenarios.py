"""A table of scenarios in which the Python and JavaScript clients behave identically."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import ANY

from tests.clients.people import Options

#: The end of a refreshed login, in seconds of Unix time.
LOGIN_END = 4_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that ``who`` does: a person, the server or the network. ``expect``: None for any value."""

    who: str
    do: str
    args: tuple[Any, ...]
    named: Mapping[str, Any]
    expect: Mapping[str, Any] | None

    def __str__(self) -> str:
        return f"{self.who} {self.do} {' '.join(map(repr, self.args))} {dict(self.named) or ''}"


def step(who: str, do: str, *args: Any, expect: Mapping[str, Any] | None = None, **named: Any) -> Step:
    """A step of a scenario."""
    return Step(who=who, do=do, args=args, named=named, expect=expect)


def value(expected: Any) -> dict[str, Any]:
    """The outcome of what succeeds."""
    return {"value": expected}


def refused(code: str, *args: Any) -> dict[str, Any]:
    """The outcome that is an error of the service."""
    return {"error": code, "args": list(args)}


def failed(code: str) -> dict[str, Any]:
    """The outcome that is an error of the client."""
    return {"error": code}


def text(said: str) -> dict[str, Any]:
    return {"textMessage": said}


def by_server(*texts: str, first: int = 1) -> list[list[Any]]:
    """Messages as a stream gives them, whose ids follow each other."""
    return [[number, "server", said] for number, said in enumerate(texts, first)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """``people``: those who are logged in at its beginning.

    ``languages``: of each person, for a scenario with both clients; otherwise everybody has the same one.
    ``options``: of the clients. ``rooms``: with the options of each.
    """

    name: str
    steps: Sequence[Step]
    people: Sequence[str] = ("ann",)
    languages: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    rooms: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"tea": {}})


CALLS = [
    step("ann", "call", "roomCreate", "cake", False, expect=value(None)),
    step("ann", "call", "roomGetOwner", "cake", expect=value("ann")),
    step("ann", "call", "roomSetWhitelistMode", "cake", True, expect=value(None)),
    step("ann", "call", "roomGetWhitelistMode", "cake", expect=value(True)),
    step("ann", "call", "roomAddToList", "cake", "whitelist", ["ben", "cat"], expect=value(None)),
    step("ann", "call", "roomRemoveFromList", "cake", "whitelist", ["cat"], expect=value(None)),
    step("ann", "call", "roomGetAccessList", "cake", "whitelist", expect=value(["ben"])),
    step("ann", "call", "roomJoin", "cake", expect=value(1)),
    step("ben", "call", "roomJoin", "cake", expect=value(1)),
    step("ann", "call", "roomMessage", "cake", text("hello"), expect=value(1)),
    step(
        "ann",
        "call",
        "roomHistoryGet",
        "cake",
        0,
        5,
        expect=value([{**text("hello"), "id": 1, "author": "ann", "timestamp": ANY}]),
    ),
    step(
        "ann",
        "call_all",
        "roomRecentHistory",
        "cake",
        Options(epoch=True),
        expect=value([[{**text("hello"), "id": 1, "author": "ann", "timestamp": ANY}], ANY]),
    ),
    step(
        "ann",
        "call",
        "roomHistoryInfo",
        "cake",
        expect=value(
            {
                "historySize": 1,
                "historyMaxSize": 10000,
                "historyMaxGetMessages": 5,
                "lastMessageId": 1,
                "epoch": ANY,
            }
        ),
    ),
    step(
        "ann",
        "call",
        "roomNotificationsInfo",
        "cake",
        expect=value({"enableUserlistUpdates": False, "enableAccessListsUpdates": False}),
    ),
    step("ann", "call", "roomUserSeen", "cake", "ben", expect=value({"joined": True, "timestamp": ANY})),
    step("ann", "call", "roomEvent", "cake", "typing", {"on": True}, expect=value(None)),
    step("ann", "call", "roomMarkRead", "cake", 1, expect=value(1)),
    step(
        "ann",
        "call",
        "roomGetUnread",
        ["cake"],
        expect=value({"cake": {"lastMessageId": 1, "readId": 1, "unread": 0}}),
    ),
    step("ben", "call", "roomSetDetails", "cake", {"mood": "fine"}, expect=value(None)),
    step(
        "ann",
        "call",
        "roomGetStatus",
        "cake",
        Options(limit=5, countOnly=True),
        expect=value(
            {
                "roomName": "cake",
                "owner": "ann",
                "epoch": ANY,
                "lastMessageId": 1,
                "membersCount": 2,
                "members": [],
                "cursor": None,
            }
        ),
    ),
    step("ben", "call", "roomLeave", "cake", expect=value(0)),
    step("ann", "call", "roomUserSeen", "cake", "dan", expect=value({"joined": False, "timestamp": None})),
    step("ann", "call", "roomDelete", "cake", expect=value(None)),
    step("ann", "call", "directAddToList", "whitelist", ["ben"], expect=value(None)),
    step("ann", "call", "directAddToList", "blacklist", ["dan", "eve"], expect=value(None)),
    step("ann", "call", "directRemoveFromList", "blacklist", ["dan"], expect=value(None)),
    step("ann", "call", "directGetAccessList", "blacklist", expect=value(["eve"])),
    step("ann", "call", "directSetWhitelistMode", True, expect=value(None)),
    step("ann", "call", "directGetWhitelistMode", expect=value(True)),
    step(
        "ben",
        "call",
        "directMessage",
        "ann",
        text("psst"),
        expect=value({**text("psst"), "author": "ben", "timestamp": ANY}),
    ),
    step("ann", "call", "systemMessage", {"any": ["data"]}, expect=value(None)),
    step("ann", "call", "listOwnSockets", expect=value(ANY)),
    step("ann", "call", "directOpen", "ben", expect=value("direct:ann:ben")),
    step("ann", "call", "listOwnRooms", expect=value(ANY)),
    step("ann", "call", "loginRefresh", {"token": 1}, expect=value(LOGIN_END)),
]

REFUSALS = [
    step("ann", "call", "roomJoin", "nowhere", expect=refused("noRoom", "nowhere")),
    step("ann", "call", "roomCreate", "a:b", False, expect=refused("invalidName", "a:b")),
    step("ann", "call", "roomCreate", "tea", False, expect=refused("roomExists", "tea")),
    step("ann", "call", "roomMessage", "tea", text("x"), expect=refused("notJoined", "tea")),
    step("ann", "call", "roomAddToList", "tea", "blacklist", ["ben"], expect=refused("notAllowed")),
    step("ann", "call", "roomHistoryGet", "tea", -1, 5, expect=refused("badArgument", 1, -1)),
    step("ann", "call", "directMessage", "nobody", text("x"), expect=refused("noUser", "nobody")),
    step("ann", "join", "nowhere", expect=refused("noRoom", "nowhere")),
    step("ann", "send", "tea", text("x"), expect=refused("notJoined", "tea")),
    step("ann", "join", "tea"),
    step("ann", "call", "roomGetAccessList", "tea", "shoppinglist", expect=refused("noList", "shoppinglist")),
    step("ann", "send", "tea", {"wrong": 1}, expect=refused("badArgument", 1, {"wrong": 1})),
    # A code of the application.
    step("ann", "send", "tea", text("coffee"), expect=refused("teapot")),
    step("ann", "send", "tea", text("tea"), expect=value(1)),
]

SCENARIOS = [
    # Logins
    Scenario(
        name="a login",
        people=(),
        steps=[
            step("ann", "login", expect=value("ann")),
            step("ann", "call", "listOwnSockets", expect=value(ANY)),
            step("server", "saw", "ann", [1]),
        ],
    ),
    Scenario(
        name="logins that fail",
        people=(),
        steps=[
            step("a:b", "login", expect=refused("invalidName", "a:b")),
            step("ann", "login", refused="notAllowed", expect=refused("notAllowed")),
            step("ann", "login", refused="teapot", expect=refused("teapot")),
            step("ann", "login", nowhere=True, expect=failed("connectFailed")),
            step("ann", "call", "roomJoin", "tea", expect=failed("disconnected")),
            step("ann", "login", expect=value("ann")),
        ],
    ),
    Scenario(
        name="credentials are made for each connection",
        steps=[
            step("network", "cut", "ann"),
            step("network", "cut", "ann"),
            step("server", "saw", "ann", [1, 2, 3]),
        ],
    ),
    Scenario(
        name="credentials that cannot be had after a lost connection are asked for again",
        people=(),
        steps=[
            # The calls of the function that gives them, by number.
            step("ann", "login", failing=[2, 3], expect=value("ann")),
            step("ann", "join", "tea"),
            step("network", "cut", "ann"),
            step("server", "saw", "ann", [1, 4]),
            step("server", "post", "tea", "a"),
            step("ann", "reads", "tea", by_server("a")),
        ],
    ),
    Scenario(
        name="a login that is rejected after a lost connection",
        steps=[
            step("ann", "join", "tea"),
            step("network", "deaf", "ann"),
            step("ann", "begin", "sent", "tea", text("sent")),
            step("ann", "begin", "unsent", "tea", text("unsent")),
            step("server", "stores", "tea", ["sent"]),
            step("server", "rejects", "ann", "teapot"),
            step("network", "breaks", "ann"),
            step("ann", "outcome", "sent", expect=failed("unconfirmed")),
            step("ann", "outcome", "unsent", expect=refused("teapot")),
            step("ann", "is_gone"),
            step("ann", "reads", "tea", [["end"]]),
            step("ann", "send", "tea", text("late"), expect=failed("disconnected")),
            step("ann", "call", "listOwnSockets", expect=failed("disconnected")),
            step("server", "stores", "tea", ["sent"]),
        ],
    ),
    Scenario(
        name="a user who is thrown out stays out",
        steps=[
            step("ann", "join", "tea"),
            step("server", "api", "disconnect_user_sockets", "ann"),
            step("ann", "reads", "tea", [["end"]]),
            step("ann", "is_gone"),
            step("ann", "call", "listOwnSockets", expect=failed("disconnected")),
            step("ann", "send", "tea", text("late"), expect=failed("disconnected")),
            step("server", "saw", "ann", [1]),
        ],
    ),
    # Commands and errors
    Scenario(name="every command and its result", people=("ann", "ben"), steps=CALLS),
    Scenario(name="errors with their code and arguments", steps=REFUSALS),
    Scenario(
        name="a command without a connection",
        steps=[
            step("network", "offline", "ann"),
            step("ann", "call", "listOwnSockets", expect=failed("disconnected")),
            step("network", "online", "ann"),
            step("ann", "call", "listOwnSockets", expect=value(ANY)),
        ],
    ),
    Scenario(
        name="notifications",
        people=("ann", "ben"),
        rooms={"tea": {"enable_userlist_updates": True}},
        steps=[
            step("ann", "listen", "directMessage"),
            step("ann", "listen", "roomUserJoined"),
            step("ann", "join", "tea"),
            step("ben", "call", "directMessage", "ann", text("psst")),
            step("ben", "join", "tea"),
            step("ann", "reads", "directMessage", [[{**text("psst"), "author": "ben", "timestamp": ANY}]]),
            step("ann", "reads", "roomUserJoined", [["tea", "ann"], ["tea", "ben"]]),
        ],
    ),
    Scenario(
        name="events of others, and how far the room is read",
        people=("ann", "ben"),
        steps=[
            step("ann", "send_event", "tea", "typing", expect=refused("notJoined", "tea")),
            step("ann", "unread", "tea", expect=refused("notJoined", "tea")),
            step("ann", "join", "tea"),
            step("ben", "join", "tea"),
            step("server", "post", "tea", "a", "b", "c"),
            step("ann", "reads", "tea", by_server("a", "b", "c")),
            step("ben", "send_event", "tea", "typing", {"on": True}, expect=value(None)),
            step("ben", "send_event", "tea", "typing", expect=value(None)),
            step("ann", "reads", "tea", [["event", "ben", "typing", {"on": True}]]),
            step("ann", "reads", "tea", [["event", "ben", "typing", None]]),
            step("ann", "mark_read", "tea", 1, expect=value(1)),
            step("ann", "unread", "tea", expect=value({"lastMessageId": 3, "readId": 1, "unread": 2})),
            step("ann", "mark_read", "tea", expect=value(3)),
            step("ann", "mark_read", "tea", 2, expect=value(3)),
            step("ann", "unread", "tea", expect=value({"lastMessageId": 3, "readId": 3, "unread": 0})),
            step("ben", "unread", "tea", expect=value({"lastMessageId": 3, "readId": 0, "unread": 3})),
            step("network", "offline", "ann"),
            step("ann", "send_event", "tea", "typing", expect=failed("disconnected")),
            step("ann", "mark_read", "tea", 3, expect=failed("disconnected")),
            step("network", "online", "ann"),
        ],
    ),
    # Streams
    Scenario(
        name="a stream begins with the newest messages",
        steps=[
            step("server", "post", "tea", "a", "b", "c"),
            step("ann", "join", "tea", recent=2),
            step("server", "post", "tea", "d", "e"),
            step("ann", "reads", "tea", by_server("b", "c", "d", "e", first=2)),
        ],
    ),
    Scenario(
        name="a stream that begins with the next message",
        steps=[
            step("server", "post", "tea", "a", "b"),
            step("ann", "join", "tea"),
            step("server", "post", "tea", "c"),
            step("ann", "reads", "tea", by_server("c", first=3)),
        ],
    ),
    Scenario(
        name="a stream ends when the room is left",
        steps=[
            step("ann", "join", "tea"),
            step("server", "post", "tea", "a"),
            step("ann", "reads", "tea", by_server("a")),
            step("ann", "leave", "tea"),
            step("server", "post", "tea", "b"),
            step("ann", "reads", "tea", [["end"]]),
        ],
    ),
    Scenario(
        name="after lost connections nothing is missing and nothing comes twice",
        steps=[
            step("server", "post", "tea", "before"),
            step("ann", "join", "tea"),
            step("server", "post", "tea", "a"),
            step("network", "offline", "ann"),
            step("server", "post", "tea", *map(str, range(3, 25))),
            step("network", "online", "ann"),
            step("server", "post", "tea", "25"),
            step("network", "cut", "ann"),
            step("network", "cut", "ann"),
            step("server", "post", "tea", "26"),
            step("network", "offline", "ann"),
            step("network", "online", "ann"),
            step("server", "post", "tea", "27"),
            step("ann", "reads", "tea", by_server("a", *map(str, range(3, 28)), first=2)),
        ],
    ),
    Scenario(
        name="messages that were rotated out while one was away",
        rooms={"tea": {"history_max_size": 3}},
        steps=[
            step("ann", "join", "tea"),
            step("server", "post", "tea", "a"),
            step("ann", "reads", "tea", by_server("a")),
            step("network", "offline", "ann"),
            step("server", "post", "tea", *"bcdefg"),
            step("network", "online", "ann"),
            step("ann", "reads", "tea", [["gap", 2, 4], *by_server("e", "f", "g", first=5)]),
        ],
    ),
    Scenario(
        name="a room without a history",
        rooms={"tea": {"history_max_size": 0}},
        steps=[
            step("ann", "join", "tea"),
            step("server", "post", "tea", "a"),
            step("ann", "reads", "tea", by_server("a")),
            step("network", "offline", "ann"),
            step("server", "post", "tea", "b", "c"),
            step("network", "online", "ann"),
            step("ann", "reads", "tea", [["gap", 2, 3]]),
            step("server", "post", "tea", "d"),
            step("ann", "reads", "tea", by_server("d", first=4)),
        ],
    ),
    Scenario(
        name="messages that the server itself has missed",
        rooms={"tea": {"history_max_size": 3}},
        steps=[
            step("ann", "listen", "roomHistoryGap"),
            step("ann", "join", "tea"),
            step("server", "post", "tea", "a"),
            step("ann", "reads", "tea", by_server("a")),
            step("server", "loses", 7),
            step("server", "post", "tea", *"bcdefgh"),
            step("ann", "reads", "roomHistoryGap", [["tea", {"epoch": ANY, "from": 2, "to": 5}]]),
            step("ann", "reads", "tea", [["gap", 2, 5], *by_server("f", "g", "h", first=6)]),
        ],
    ),
    Scenario(
        name="a room that was deleted and made anew",
        steps=[
            step("ann", "join", "tea", recent=5),
            step("server", "post", "tea", "a", "b"),
            step("ann", "reads", "tea", by_server("a", "b")),
            step("network", "offline", "ann"),
            step("server", "api", "delete_room", "tea"),
            step("server", "api", "add_room", "tea"),
            step("server", "post", "tea", "c", "d", "e"),
            step("network", "online", "ann"),
            step("ann", "reads", "tea", [["restarted"], *by_server("c", "d", "e")]),
            step("server", "post", "tea", "f"),
            step("ann", "reads", "tea", by_server("f", first=4)),
        ],
    ),
    Scenario(
        name="a room that was made anew, and was joined without its history",
        steps=[
            step("ann", "join", "tea", recent=0),
            step("server", "post", "tea", "a", "b"),
            step("ann", "reads", "tea", by_server("a", "b")),
            step("network", "offline", "ann"),
            step("server", "api", "delete_room", "tea"),
            step("server", "api", "add_room", "tea"),
            # Two more than one answer holds.
            step("server", "post", "tea", *"cdefghi"),
            step("network", "online", "ann"),
            step("ann", "reads", "tea", [["restarted"], *by_server(*"efghi", first=3)]),
            step("server", "post", "tea", "j"),
            step("ann", "reads", "tea", by_server("j", first=8)),
        ],
    ),
    Scenario(
        name="a room that was made anew without messages",
        steps=[
            step("ann", "join", "tea"),
            step("server", "post", "tea", "a", "b"),
            step("ann", "reads", "tea", by_server("a", "b")),
            step("network", "offline", "ann"),
            step("server", "api", "delete_room", "tea"),
            step("server", "api", "add_room", "tea"),
            step("network", "online", "ann"),
            step("ann", "reads", "tea", [["restarted"]]),
            step("server", "post", "tea", "c"),
            step("ann", "reads", "tea", by_server("c")),
        ],
    ),
    Scenario(
        name="access that is lost",
        steps=[
            step("ann", "join", "tea"),
            step("server", "post", "tea", "a"),
            step("server", "command", "roomAddToList", "tea", "blacklist", ["ann"]),
            step("server", "post", "tea", "b"),
            step("ann", "reads", "tea", [*by_server("a"), ["end"]]),
            step("ann", "join", "tea", expect=refused("notAllowed")),
            step("ann", "send", "tea", text("c"), expect=refused("notJoined", "tea")),
        ],
    ),
    Scenario(
        name="access that is lost while one is away",
        steps=[
            step("ann", "join", "tea"),
            step("server", "post", "tea", "a"),
            step("ann", "reads", "tea", by_server("a")),
            step("network", "offline", "ann"),
            step("ann", "begin", "late", "tea", text("b")),
            step("server", "command", "roomAddToList", "tea", "blacklist", ["ann"]),
            step("network", "online", "ann"),
            step("ann", "reads", "tea", [["end"]]),
            step("ann", "outcome", "late", expect=refused("notJoined", "tea")),
            step("server", "stores", "tea", ["a"]),
        ],
    ),
    Scenario(
        name="a room that is gone while one is away",
        steps=[
            step("ann", "join", "tea"),
            step("network", "offline", "ann"),
            step("server", "api", "delete_room", "tea"),
            step("network", "online", "ann"),
            step("ann", "reads", "tea", [["end"]]),
            step("ann", "join", "tea", expect=refused("noRoom", "tea")),
        ],
    ),
    Scenario(
        name="a room that the store cannot join at once",
        steps=[
            step("ann", "join", "tea"),
            step("network", "offline", "ann"),
            step("server", "post", "tea", "a"),
            step("server", "fails", "roomJoin", 1),
            step("network", "online", "ann"),
            step("ann", "reads", "tea", by_server("a")),
            step("ann", "send", "tea", text("b"), expect=value(2)),
            step("ann", "reads", "tea", [[2, "ann", "b"]]),
        ],
    ),
    # Sending
    Scenario(
        name="a message that is written offline",
        people=("ann", "ben"),
        steps=[
            step("ann", "join", "tea"),
            step("ben", "join", "tea"),
            step("network", "offline", "ann"),
            step("ann", "begin", "one", "tea", text("one")),
            step("ann", "begin", "two", "tea", text("two")),
            step("ben", "send", "tea", text("meanwhile"), expect=value(1)),
            step("network", "online", "ann"),
            step("ann", "outcome", "one", expect=value(2)),
            step("ann", "outcome", "two", expect=value(3)),
            step("ben", "reads", "tea", [[1, "ben", "meanwhile"], [2, "ann", "one"], [3, "ann", "two"]]),
            step("ann", "reads", "tea", [[1, "ben", "meanwhile"], [2, "ann", "one"], [3, "ann", "two"]]),
            step("server", "stores", "tea", ["meanwhile", "one", "two"]),
        ],
    ),
    Scenario(
        name="a message whose answer is lost",
        people=("ann", "ben"),
        steps=[
            step("ann", "join", "tea"),
            step("ben", "join", "tea"),
            step("network", "deaf", "ann"),
            step("ann", "begin", "one", "tea", text("one")),
            step("ann", "begin", "two", "tea", text("two")),
            step("server", "stores", "tea", ["one"]),
            step("ben", "send", "tea", text("between"), expect=value(2)),
            step("network", "cut", "ann"),
            step("ann", "outcome", "one", expect=value(1)),
            step("ann", "outcome", "two", expect=value(3)),
            step("ann", "reads", "tea", [[1, "ann", "one"], [2, "ben", "between"], [3, "ann", "two"]]),
            step("ben", "reads", "tea", [[1, "ann", "one"], [2, "ben", "between"], [3, "ann", "two"]]),
            step("server", "stores", "tea", ["one", "between", "two"]),
        ],
    ),
    Scenario(
        name="a message that the store cannot take at once",
        steps=[
            step("ann", "join", "tea"),
            step("server", "fails", "roomMessage", 1),
            step("ann", "begin", "one", "tea", text("one")),
            step("ann", "begin", "two", "tea", text("two")),
            step("ann", "outcome", "one", expect=value(1)),
            step("ann", "outcome", "two", expect=value(2)),
            step("ann", "reads", "tea", [[1, "ann", "one"], [2, "ann", "two"]]),
        ],
    ),
    Scenario(
        name="a message without an answer for too long",
        # What was sent is too old as soon as it is sent again.
        options={"outbox_max_age": 0.001},
        steps=[
            step("ann", "join", "tea"),
            step("network", "deaf", "ann"),
            step("ann", "begin", "one", "tea", text("one")),
            step("server", "stores", "tea", ["one"]),
            step("network", "cut", "ann"),
            step("ann", "outcome", "one", expect=failed("unconfirmed")),
            step("ann", "send", "tea", text("two"), expect=value(2)),
            step("server", "stores", "tea", ["one", "two"]),
        ],
    ),
    Scenario(
        name="an outbox that is full",
        options={"outbox_limit": 2},
        steps=[
            step("ann", "join", "tea"),
            step("network", "offline", "ann"),
            step("ann", "begin", "one", "tea", text("one")),
            step("ann", "begin", "two", "tea", text("two")),
            step("ann", "send", "tea", text("three"), expect=failed("outboxFull")),
            step("network", "online", "ann"),
            step("ann", "outcome", "two", expect=value(2)),
            step("server", "stores", "tea", ["one", "two"]),
        ],
    ),
    Scenario(
        name="a client that is closed with unsent messages",
        steps=[
            step("ann", "join", "tea"),
            step("network", "deaf", "ann"),
            step("ann", "begin", "one", "tea", text("one")),
            step("ann", "begin", "two", "tea", text("two")),
            step("server", "stores", "tea", ["one"]),
            step("ann", "close"),
            step("ann", "outcome", "one", expect=failed("unconfirmed")),
            step("ann", "outcome", "two", expect=failed("disconnected")),
        ],
    ),
    Scenario(
        name="a key that comes again",
        steps=[
            step("ann", "join", "tea"),
            step(
                "ann",
                "call_all",
                "roomMessage",
                "tea",
                text("a"),
                Options(idempotencyKey="k"),
                expect=value([1]),
            ),
            step(
                "ann",
                "call_all",
                "roomMessage",
                "tea",
                text("a"),
                Options(idempotencyKey="k"),
                expect=value([1, {"duplicate": True}]),
            ),
            step("ann", "send", "tea", text("a"), key="k", expect=value(1)),
            step("ann", "send", "tea", text("b"), key="l", expect=value(2)),
            step("ann", "send", "tea", text("b"), key="l", expect=value(2)),
            step("ann", "reads", "tea", [[1, "ann", "a"], [2, "ann", "b"]]),
            step("server", "stores", "tea", ["a", "b"]),
        ],
    ),
    Scenario(
        name="a key that comes again with another message",
        steps=[
            step("ann", "join", "tea"),
            step("ann", "send", "tea", text("a"), key="k", expect=value(1)),
            step("ann", "send", "tea", text("b"), key="k", expect=refused("idempotencyConflict", "k")),
            step(
                "ann",
                "call",
                "roomMessage",
                "tea",
                text("c"),
                Options(idempotencyKey="k"),
                expect=refused("idempotencyConflict", "k"),
            ),
            step("ann", "send", "tea", text("d"), expect=value(2)),
            step("server", "stores", "tea", ["a", "d"]),
        ],
    ),
    Scenario(
        name="a message on the condition of the last id",
        steps=[
            step("ann", "join", "tea"),
            step("ann", "call", "roomMessage", "tea", text("a"), Options(expectedLastId=0), expect=value(1)),
            step(
                "ann",
                "call",
                "roomMessage",
                "tea",
                text("b"),
                Options(expectedLastId=0),
                expect=refused("conflict", "1"),
            ),
            step("ann", "call", "roomMessage", "tea", text("b"), Options(expectedLastId=1), expect=value(2)),
            step("server", "stores", "tea", ["a", "b"]),
        ],
    ),
    Scenario(
        name="attachments",
        people=("ann", "ben"),
        steps=[
            step("ben", "join", "tea"),
            step("ann", "join", "tea"),
            step("ann", "send", "tea", {"parts": [b"\x00\xff", {"more": b"leaf"}]}, expect=value(1)),
            step("ben", "reads", "tea", [[1, "ann", [b"\x00\xff", {"more": b"leaf"}]]]),
            step("ann", "reads", "tea", [[1, "ann", [b"\x00\xff", {"more": b"leaf"}]]]),
            step("network", "offline", "ben"),
            step("ann", "send", "tea", {"parts": [b"cup"]}, expect=value(2)),
            step("network", "online", "ben"),
            step("ben", "reads", "tea", [[2, "ann", [b"cup"]]]),
            step("ann", "reads", "tea", [[2, "ann", [b"cup"]]]),
        ],
    ),
    # Both together
    Scenario(
        name="two clients of each language in a room",
        people=("ann", "ben", "cat", "dan"),
        languages={"ann": "python", "ben": "python", "cat": "javascript", "dan": "javascript"},
        steps=[
            *(step(who, "join", "tea") for who in ("ann", "ben", "cat", "dan")),
            step("ann", "send", "tea", text("1"), expect=value(1)),
            step("cat", "send", "tea", text("2"), expect=value(2)),
            step("network", "offline", "ann"),
            step("network", "offline", "cat"),
            step("ann", "begin", "a", "tea", text("from ann")),
            step("cat", "begin", "c", "tea", text("from cat")),
            step("ben", "send", "tea", text("3"), expect=value(3)),
            step("dan", "send", "tea", {"parts": [b"4"]}, expect=value(4)),
            step("network", "online", "ann"),
            step("ann", "outcome", "a", expect=value(5)),
            step("network", "online", "cat"),
            step("cat", "outcome", "c", expect=value(6)),
            *(
                step(
                    who,
                    "reads",
                    "tea",
                    [
                        [1, "ann", "1"],
                        [2, "cat", "2"],
                        [3, "ben", "3"],
                        [4, "dan", [b"4"]],
                        [5, "ann", "from ann"],
                        [6, "cat", "from cat"],
                    ],
                )
                for who in ("ann", "ben", "cat", "dan")
            ),
        ],
    ),
]
