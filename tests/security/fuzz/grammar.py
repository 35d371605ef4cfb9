"""Input of the fuzzer: packets that follow the protocol's grammar, nearly valid packets, and random bytes."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
from hypothesis import strategies as st

from chat_service.commands.table import TABLE
from chat_service.protocol.values import PLACEHOLDER

NAMESPACE = "/chat-service"
#: Bytes of one message at most, of the services that are attacked.
LARGEST = 1_000_000
ROOMS = ("room", "whitelisted", "other", "new")
USERS = ("raw", "bystander", "nobody")


@dataclass(frozen=True)
class Big:
    """A large value, which takes few bytes of an example."""

    unit: Any
    count: int
    shape: str

    def value(self) -> Any:
        """The value itself."""
        if self.shape == "text":
            return str(self.unit) * self.count
        if self.shape == "list":
            return [self.unit] * self.count
        if self.shape == "names":
            return [f"{self.unit}{number}" for number in range(self.count)]
        if self.shape == "object":
            return {f"{self.unit}{number}": number for number in range(self.count)}
        nested: Any = self.unit
        for _ in range(min(self.count, 5000)):
            nested = [nested] if self.shape == "lists" else {"a": nested}
        return nested


@dataclass(frozen=True)
class Command:
    """An event with an id for its ack, or without one."""

    name: str
    args: Sequence[Any]
    wants_ack: bool = True


@dataclass(frozen=True)
class Mangled:
    """The packet of a command after some edits: where (0 to 1), how much goes, what comes."""

    command: Command
    edits: Sequence[tuple[float, int, bytes]]


@dataclass(frozen=True)
class Noise:
    """An Engine.IO packet of any content."""

    data: str | bytes


@dataclass(frozen=True)
class Repeated:
    """The same short packet text many times over, after a start."""

    start: str
    unit: str
    count: int


@dataclass(frozen=True)
class Connect:
    """Connects to the namespace."""

    auth: Any


@dataclass(frozen=True)
class Leave:
    """Disconnects from the namespace."""


Item = Command | Mangled | Noise | Repeated | Connect | Leave


# Encoding


def expand(value: Any) -> Any:
    """A value with its large parts written out."""
    if isinstance(value, Big):
        return value.value()
    if isinstance(value, list | tuple):
        return [expand(item) for item in value]
    if isinstance(value, dict):
        return {key: expand(item) for key, item in value.items()}
    return value


def _take_out(value: Any, found: list[bytes]) -> Any:
    if isinstance(value, bytes):
        found.append(value)
        return {PLACEHOLDER: True, "num": len(found) - 1}
    if isinstance(value, list):
        return [_take_out(item, found) for item in value]
    if isinstance(value, dict):
        return {key: _take_out(item, found) for key, item in value.items()}
    return value


def _text(value: Any) -> str:
    """JSON; a value that is too deep for the encoder of this process is written as an empty one."""
    try:
        return json.dumps(value, separators=(",", ":"))
    except RecursionError:
        return "[" * 5000 + "]" * 5000


def _json_event(command: Command, number: int | None) -> list[str | bytes]:
    attachments: list[bytes] = []
    try:
        data = _take_out([command.name, *expand(command.args)], attachments)
    except RecursionError:
        data = [command.name]
    kind = f"5{len(attachments)}-" if attachments else "2"
    return [f"4{kind}{NAMESPACE},{'' if number is None else number}{_text(data)}", *attachments]


def _msgpack_event(command: Command, number: int | None) -> list[str | bytes]:
    fields: dict[str, Any] = {"type": 2, "nsp": NAMESPACE, "data": [command.name, *expand(command.args)]}
    if number is not None:
        fields["id"] = number
    try:
        return [msgpack.packb(fields)]
    except (ValueError, OverflowError):
        # Too deep, or a number that msgpack has no form for.
        return [msgpack.packb({**fields, "data": [command.name]})]


def _edit(data: bytes, edits: Sequence[tuple[float, int, bytes]]) -> bytes:
    for place, removed, added in edits:
        at = int(place * len(data))
        data = data[:at] + added + data[at + removed :]
    return data


def encode(item: Item, serializer: str, number: int) -> list[str | bytes]:
    """The Engine.IO packets of an item: a text begins with its type, bytes are a message."""
    is_json = serializer == "json"
    event = _json_event if is_json else _msgpack_event
    if isinstance(item, Command):
        return event(item, number if item.wants_ack else None)
    if isinstance(item, Mangled):
        first, *rest = event(item.command, number)
        if isinstance(first, bytes):
            return [_edit(first, item.edits)]
        return [_edit(first.encode("utf-8", "surrogatepass"), item.edits).decode("utf-8", "replace"), *rest]
    if isinstance(item, Noise):
        return [item.data]
    if isinstance(item, Repeated):
        text = item.start + item.unit * min(item.count, LARGEST // max(1, len(item.unit)))
        return [text if is_json else text.encode()]
    kind = 0 if isinstance(item, Connect) else 1
    auth = expand(item.auth) if isinstance(item, Connect) else None
    if is_json:
        try:
            text = "" if auth is None else _text(_take_out(auth, []))
        except RecursionError:
            text = ""
        return [f"4{kind}{NAMESPACE},{text}"]
    fields = {"type": kind, "nsp": NAMESPACE}
    if auth is not None:
        fields["data"] = auth
    try:
        return [msgpack.packb(fields)]
    except (ValueError, OverflowError):
        return [msgpack.packb({"type": kind, "nsp": NAMESPACE})]


def as_body(packets: Sequence[str | bytes]) -> bytes:
    """The body of a POST."""
    parts = [
        b"b" + base64.b64encode(packet)
        if isinstance(packet, bytes)
        else packet.encode("utf-8", "surrogatepass")
        for packet in packets
    ]
    return b"\x1e".join(parts)


def may_close(packets: Sequence[str | bytes]) -> bool:
    """Whether a packet that is not by the grammar asks by chance for the end of the session."""
    first = packets[0]
    return isinstance(first, str) and first.startswith("1")


def may_leave(packets: Sequence[str | bytes], serializer: str) -> bool:
    """Whether a packet that is not by the grammar may leave the namespace by chance."""
    first = packets[0]
    if isinstance(first, str):
        return first.startswith("41")
    try:
        fields = msgpack.unpackb(first, strict_map_key=False)
    except Exception:
        return False
    return isinstance(fields, dict) and fields.get("type") == 1


# Strategies


def weighted(*choices: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """One of several, each as often as its weight says. ``one_of`` takes equal ones for one."""
    table = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.integers(0, len(table) - 1).flatmap(lambda number: table[number])


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
ODD_TEXTS = st.sampled_from(
    [
        "",
        " ",
        "\0",
        "\n",
        "\u2028",
        "\u202e",
        "😀",
        "é",
        "a:b",
        "{a}",
        "__proto__",
        "constructor",
        "..",
        "x" * 300,
    ]
)
NUMBERS = st.one_of(
    st.integers(-2, 12),
    st.sampled_from([2**31, 2**53, 2**53 - 1, 2**63, 2**64 - 1, -(2**63), 1e308, -0.0, 0.5, 5.0]),
    st.floats(allow_nan=False, allow_infinity=False),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    TEXTS,
    ODD_TEXTS,
    st.binary(max_size=8),
    st.just({PLACEHOLDER: True, "num": 0}),
    st.sampled_from([*ROOMS, *USERS]),
)
SMALL = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | ODD_TEXTS, inner, max_size=4),
    max_leaves=8,
)
BIGS = st.one_of(
    st.builds(
        Big, st.sampled_from(["x", "é", "😀", '"', "\0", "ab "]), st.integers(1, 250_000), st.just("text")
    ),
    st.builds(
        Big,
        st.sampled_from(["raw", "", 0, None, True, {}, 1e308]) | SMALL,
        st.integers(1, 20_000),
        st.just("list"),
    ),
    st.builds(
        Big, st.sampled_from(["u", "", "é"]), st.integers(1, 40_000), st.sampled_from(["names", "object"])
    ),
    st.builds(Big, st.none() | TEXTS, st.integers(1, 3000), st.sampled_from(["lists", "objects"])),
)
#: Large values are seldom, since they take the most time.
VALUES = weighted((19, SMALL), (1, BIGS))

_ROOM = st.sampled_from(ROOMS)
_USER = st.sampled_from(USERS)
_MESSAGE = st.builds(lambda text: {"textMessage": text}, TEXTS | ODD_TEXTS)
BY_NAME = {
    "roomName": _ROOM,
    "userName": _USER,
    "toUser": _USER,
    "userNames": st.lists(_USER | TEXTS, max_size=3),
    "listName": st.sampled_from(["blacklist", "whitelist", "adminlist", "userlist"]),
    "message": _MESSAGE,
    "mode": st.booleans(),
    "whitelistOnly": st.booleans(),
    "id": st.integers(0, 5),
    "limit": st.integers(0, 20),
}
OPTIONS = st.dictionaries(
    st.sampled_from(["epoch", "after", "recent", "idempotencyKey", "expectedLastId", "__proto__"]),
    st.booleans() | st.integers(-1, 30) | TEXTS | VALUES,
    max_size=3,
)
OTHER_NAMES = st.sampled_from(
    [
        "systemMessage",
        "connect",
        "disconnect",
        "error",
        "message",
        "noCommand",
        "__proto__",
        "",
        "ping",
        "then",
    ]
)


@st.composite
def by_table(draw: st.DrawFn) -> Command:
    """A command of the table, whose arguments are what it wants, most of the time."""
    row = draw(st.sampled_from(TABLE))
    args = [draw(BY_NAME.get(argument.name, VALUES)) for argument in row.arguments]
    change = draw(st.integers(0, 5))
    if change == 1:
        args.append(draw(OPTIONS))
    elif change == 2:
        args.append(draw(VALUES))
    elif change == 3 and args:
        args[draw(st.integers(0, len(args) - 1))] = draw(VALUES)
    elif change == 4 and args:
        args.pop()
    return Command(row.name, args, draw(st.integers(0, 4)) > 0)


COMMANDS: st.SearchStrategy[Command] = weighted(
    (5, by_table()), (1, st.builds(Command, OTHER_NAMES | TEXTS, st.lists(VALUES, max_size=3)))
)
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from([0, 1, 1, 2, 5]),
        st.binary(max_size=4) | st.sampled_from([b"[", b"{", b'"', b",", b"\xff", b"9" * 20, b"\\ud800"]),
    ),
    min_size=1,
    max_size=4,
)
_STARTS = st.sampled_from(
    [
        "4",
        "42",
        f"42{NAMESPACE},",
        f"42{NAMESPACE},1",
        f'42{NAMESPACE},1["a",',
        "40/",
        "40",
        "41",
        f"43{NAMESPACE},",
        f"40{NAMESPACE},",
        f"451-{NAMESPACE},",
        f"4500-{NAMESPACE},",
        f"40{NAMESPACE}?",
        "2",
        "3",
        "",
        "4/",
    ]
)
NOISE: st.SearchStrategy[Item] = st.one_of(
    st.builds(Noise, st.binary(max_size=60)),
    st.builds(Noise, st.builds(str.__add__, _STARTS, TEXTS)),
    st.builds(lambda start, value: Noise(start + _text(_take_out(expand(value), []))), _STARTS, SMALL),
    st.builds(
        Repeated,
        _STARTS,
        st.sampled_from(["[", "{", '{"a":', "[[],", "9", '"', "\\u0000", ",", " ", "1e9", "/", "?", "\x1e"]),
        st.integers(1, 300_000),
    ),
    st.builds(
        lambda fields: Noise(msgpack.packb(fields)),
        st.dictionaries(
            st.sampled_from(["type", "nsp", "data", "id", "x"]),
            st.sampled_from([0, 1, 2, 3, 4, -1, NAMESPACE, "/", "", None])
            | st.lists(st.text(max_size=5), max_size=3),
        ),
    ),
)
ITEMS: st.SearchStrategy[Item] = weighted(
    (30, COMMANDS),
    (2, st.builds(Mangled, COMMANDS, EDITS)),
    (2, NOISE),
    (1, st.builds(Connect, st.none() | st.dictionaries(TEXTS, VALUES, max_size=3))),
    (1, st.builds(Leave)),
)
