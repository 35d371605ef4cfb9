"""Attacks: the steps of one example, and the checks of its outcome."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
from hypothesis import strategies as st

from tests.security.fuzz.exchange import Inbox, Polls, WebSocket, frame, frames
from tests.security.fuzz.grammar import (
    ITEMS,
    NAMESPACE,
    Command,
    Connect,
    Item,
    Leave,
    Mangled,
    Noise,
    Repeated,
    as_body,
    encode,
    may_close,
    may_leave,
    weighted,
)
from tests.security.fuzz.served import Served, grown, wait_for_nothing
from tests.support.patience import PATIENCE

#: Codes that tell a client what was wrong: protocol, kind of data, text, size.
STATED = (1002, 1003, 1007, 1009)
#: Ids of acks that the judge itself asks for.
_OWN_ID = 10**9
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Batch:
    """Packets that are sent together: in one write, or in one body. ``cut``: frames past the first."""

    items: Sequence[Item]
    cut: int = 0


@dataclass(frozen=True)
class OverWebSocket:
    """``last``: bytes that no WebSocket should have, sent at the end. ``waits``: whether for the answers."""

    serializer: str
    is_connected: bool
    batches: Sequence[Batch]
    last: bytes
    waits: bool
    end: str


@dataclass(frozen=True)
class ByPolling:
    """``at_once``: whether the bodies are posted at the same time. ``odd``: another request, in between."""

    serializer: str
    is_connected: bool
    batches: Sequence[Batch]
    at_once: bool
    odd: tuple[str, bytes, Sequence[str]] | None
    waits: bool


@dataclass(frozen=True)
class Upgraded:
    """A polling session, and a WebSocket that asks for it with ``words``."""

    serializer: str
    words: Sequence[str | bytes]
    batch: Batch


@dataclass(frozen=True)
class Bytes:
    """Bytes on a new connection, in pieces."""

    serializer: str
    pieces: Sequence[bytes]


Attack = OverWebSocket | ByPolling | Upgraded | Bytes


@dataclass
class Tally:
    """What was done and found."""

    examples: int = 0
    packets: int = 0
    commands: int = 0
    answered: int = 0
    ended: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, attack: Attack) -> None:
        self.examples += 1
        kind = type(attack).__name__
        self.kinds[kind] = self.kinds.get(kind, 0) + 1


class Attacker:
    """Runs attacks against a service. Raises ``AssertionError`` for what must not be."""

    def __init__(self, served: Served, *, longest_turn: float) -> None:
        self.served = served
        self.tally = Tally()
        self.longest_turn = longest_turn
        #: Seconds of the longest turn of the loop so far.
        self.longest = 0.0
        self._runner = asyncio.Runner()
        self._bystanders: dict[str, tuple[WebSocket, Inbox]] = {}
        #: What the current example has opened.
        self._opened: list[WebSocket | Polls] = []

    def __enter__(self) -> "Attacker":
        self._runner.run(self._open())
        self._before = self.served.census()
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._close())
        self._runner.close()

    async def _open(self) -> None:
        for serializer in self.served.services:
            inbox = Inbox(serializer)
            line = await WebSocket.open(self._port(serializer), "userName=bystander", inbox)
            line.write(_frames(encode(Connect(None), serializer, 0)))
            self._bystanders[serializer] = line, inbox
            await self._ask(line, inbox, "roomJoin", "room")

    async def _open_again(self) -> None:
        for opened in self._opened:
            await opened.abort()
        await self._close()
        await self._open()

    async def _close(self) -> None:
        for line, _ in self._bystanders.values():
            await line.close("frame")

    def _port(self, serializer: str) -> int:
        port = self.served.services[serializer].port
        assert port is not None
        return port

    async def _ask(self, line: WebSocket, inbox: Inbox, name: str, *args: Any) -> None:
        inbox.acks.discard(_OWN_ID)
        line.write(_frames(encode(Command(name, args), inbox._serializer, _OWN_ID)))
        await _until(inbox, lambda: _OWN_ID in inbox.acks)
        assert _OWN_ID in inbox.acks, f"another client is not served: {inbox.is_over}, {inbox.problems}"

    # One example

    def run(self, attack: Attack) -> None:
        """Run it, and judge what it left and what it was told."""
        loop = self.served.loop
        loop.longest = 0.0
        self.tally.count(attack)
        self._opened.clear()
        try:
            self._runner.run(self._attack(attack))
            if isinstance(attack, Bytes):
                self.served.end_abandoned(attack.serializer, self._bystanders[attack.serializer][1].sid)
            complaint = wait_for_nothing(lambda: grown(self._before, self.served.census()))
            assert not complaint, f"left behind: {complaint}"
        except Exception:
            # It may have taken so long that nobody has answered the pings of the others.
            self._runner.run(self._open_again())
            raise
        finally:
            problems = self.served.notes.errors[:]
            self.served.notes.errors.clear()
            self.served.notes.reasons.clear()
            self.served.ends.clear()
            # The cause of everything else.
            assert not problems, f"logged as errors: {problems}"
        self.longest = max(self.longest, loop.longest)
        assert loop.longest <= self.longest_turn, f"the loop stood still for {loop.longest * 1000:.0f} ms"

    async def _attack(self, attack: Attack) -> None:
        inbox = Inbox(attack.serializer)
        port, query = self._port(attack.serializer), f"userName=fuzz{next(_numbers)}"
        if isinstance(attack, OverWebSocket):
            await self._over_websocket(attack, port, query, inbox)
        elif isinstance(attack, ByPolling):
            await self._by_polling(attack, port, query, inbox)
        elif isinstance(attack, Upgraded):
            await self._upgraded(attack, port, query, inbox)
        else:
            await self._bytes(attack, port)
        assert not inbox.problems, inbox.problems
        line, own = self._bystanders[attack.serializer]
        await self._ask(line, own, "listOwnSockets")
        assert not own.problems, own.problems

    async def _over_websocket(self, attack: OverWebSocket, port: int, query: str, inbox: Inbox) -> None:
        line = await WebSocket.open(port, query, inbox)
        self._opened.append(line)
        expected = _Expected(inbox, attack.serializer)
        if attack.is_connected:
            line.write(_frames(expected.encode([Connect(None)])))
        for batch in attack.batches:
            line.write(_frames(expected.encode(batch.items), batch.cut))
            await line.drain()
        if attack.waits:
            if expected.can_ask:
                line.write(_frames(expected.encode([Command("listOwnSockets", ())])))
            await self._judge(expected)
        if attack.last:
            line.write(attack.last)
        # The bytes may be the start of a frame, to which everything after them belongs.
        await line.close(attack.end if not attack.last or attack.end == "abort" else "half")
        self._count(expected)

    async def _by_polling(self, attack: ByPolling, port: int, query: str, inbox: Inbox) -> None:
        polls = Polls(port, query, inbox)
        self._opened.append(polls)
        await polls.open()
        expected = _Expected(inbox, attack.serializer)
        if attack.is_connected:
            await polls.request("POST", as_body(expected.encode([Connect(None)])))
        # Bodies that are posted at the same time have no order: a client may leave before the rest, or join
        # after it.
        bodies = [as_body(expected.encode(batch.items)) for batch in attack.batches]
        if attack.at_once:
            expected.forget_if_unordered(was_connected=attack.is_connected)
            await asyncio.gather(*(polls.request("POST", body) for body in bodies))
        else:
            for body in bodies:
                await polls.request("POST", body)
        if attack.odd is not None:
            await polls.take_over(*attack.odd)
        if attack.waits:
            if expected.can_ask:
                await polls.request("POST", as_body(expected.encode([Command("listOwnSockets", ())])))
            await self._judge(expected)
        await polls.close()
        self._count(expected)

    async def _upgraded(self, attack: Upgraded, port: int, query: str, inbox: Inbox) -> None:
        polls = Polls(port, query, inbox)
        self._opened.append(polls)
        await polls.open()
        expected = _Expected(inbox, attack.serializer)
        await polls.request("POST", as_body(expected.encode([Connect(None)])))
        other = Inbox(attack.serializer)
        line = await WebSocket.open(port, f"{query}&sid={inbox.sid}", other)
        for word in attack.words:
            line.write(_frames([word]))
        await line.drain()
        line.write(_frames(expected.encode(attack.batch.items)))
        await line.drain()
        await line.close("half")
        await polls.close()

    async def _bytes(self, attack: Bytes, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for piece in attack.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                while await reader.read(65536):
                    pass
        except OSError:
            pass
        finally:
            writer.transport.abort()

    async def _judge(self, expected: "_Expected") -> None:
        inbox = expected.inbox
        await _until(inbox, lambda: inbox.is_over or expected.pending <= inbox.acks)
        lacking = expected.pending - inbox.acks
        if not lacking:
            return
        assert inbox.is_over, f"commands {sorted(lacking)} of {expected.sent} were not answered"
        reasons = self.served.ends, self.served.notes.reasons
        if inbox.close_code in STATED:
            self.tally.ended += 1
            return
        await _until(inbox, lambda: all(inbox.sid in found for found in reasons), wakes=False)
        ended, why = (found.get(inbox.sid) for found in reasons)
        assert ended and why, f"commands {sorted(lacking)}: no answer, and nothing says why: {ended}, {why}"
        self.tally.ended += 1
        reason = why.partition(": ")[2][:60]
        self.tally.reasons[reason] = self.tally.reasons.get(reason, 0) + 1

    def _count(self, expected: "_Expected") -> None:
        self.tally.packets += expected.packets
        self.tally.commands += expected.sent
        self.tally.answered += len(expected.inbox.acks)


class _Expected:
    """Encodes what is sent, and knows which answers have to come."""

    def __init__(self, inbox: Inbox, serializer: str) -> None:
        self.inbox = inbox
        self._serializer = serializer
        #: Ids of the commands that have to be answered.
        self.pending: set[int] = set()
        self._is_connected = False
        self._has_left = False
        self._is_closed = False
        self._number = 0
        self.packets = 0
        self.sent = 0

    @property
    def can_ask(self) -> bool:
        """Whether a command would be answered, as far as this side can know."""
        return self._is_connected

    def encode(self, items: Sequence[Item]) -> list[str | bytes]:
        """The packets of some items."""
        found: list[str | bytes] = []
        for item in items:
            self._number += 1
            packets = encode(item, self._serializer, self._number)
            found += packets
            is_odd = isinstance(item, Mangled | Noise | Repeated)
            # What follows in the same connection is not read any more.
            self._is_closed = self._is_closed or (is_odd and may_close(packets))
            if isinstance(item, Connect):
                self._is_connected = not self._is_closed
            elif (
                self._is_closed
                or isinstance(item, Leave)
                or (is_odd and may_leave(packets, self._serializer))
            ):
                self._is_connected = False
                self._has_left = True
                self.pending.clear()
            elif isinstance(item, Command) and item.wants_ack and self._is_connected:
                self.sent += 1
                self.pending.add(self._number)
        self.packets += len(found)
        return found

    def forget_if_unordered(self, *, was_connected: bool) -> None:
        """Expect nothing of commands that may have come when the client was not in the namespace."""
        if self._has_left or not was_connected:
            self.pending.clear()
        if self._has_left:
            self._is_connected = False


def _frames(packets: Sequence[str | bytes], cut: int = 0) -> bytes:
    return b"".join(piece for packet in packets for piece in frames(packet, cut))


async def _until(inbox: Inbox, holds: Any, *, wakes: bool = True) -> None:
    """Return when it holds, or when patience is at its end."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not holds() and loop.time() < deadline:
        try:
            await inbox.wait(0.5 if wakes else 0.01)
        except TimeoutError:
            continue


# Strategies

SERIALIZERS = st.sampled_from(["json", "msgpack"])
BATCHES = st.lists(
    st.builds(Batch, st.lists(ITEMS, min_size=1, max_size=6), st.sampled_from([0, 0, 0, 1, 5, 50])),
    min_size=1,
    max_size=4,
)
#: Frames that no client sends, and bytes.
RAW = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda opcode, payload, first, masked: frame(opcode, payload, first=first, is_masked=masked),
        st.integers(0, 15),
        st.binary(max_size=140),
        st.sampled_from([0x80, 0x00, 0xC0, 0x90, 0xF0]),
        st.booleans(),
    ),
    st.sampled_from([b"\x81\xff\x7f" + b"\xff" * 11, b"\x81\xfe\xff\xff\0\0\0\0", b"\x89\xff" + b"\0" * 12]),
)
_HEADS = st.sampled_from(
    [
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: x\r\n"
        b"Content-Length: 5\r\n\r\n40/ch",
        b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n",
        b"OPTIONS /socket.io/ HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ]
)
_PIECES = st.sampled_from(
    [b"\r\n", b"\0", b" ", b":", b"HTTP/1.1", b"a" * 70_000, b"%ff", b"\xff", b"Host: y\r\n", b"GET"]
)


@st.composite
def heads(draw: st.DrawFn) -> list[bytes]:
    """Requests with edits, in pieces."""
    data = b"".join(draw(st.lists(_HEADS, min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(_PIECES | st.binary(max_size=5)) + data[at + draw(st.integers(0, 4)) :]
    cut = draw(st.integers(0, len(data)))
    return [data[:cut], data[cut:]]


ODD = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"]),
    st.binary(max_size=30),
    st.lists(
        st.sampled_from(
            [
                "Content-Encoding: gzip",
                "Origin: null",
                "Origin: http://evil.example",
                "Upgrade: websocket",
                "X: y",
            ]
        ),
        max_size=2,
        unique=True,
    ),
)
WORDS = st.lists(
    st.sampled_from(["2probe", "5", "3probe", "6", "1", "2", "", "2probe", b"2probe"])
    | st.builds(lambda text: f"42{NAMESPACE},{json.dumps([text])}", st.text(max_size=3))
    | st.builds(msgpack.packb, st.none() | st.integers(0, 3)),
    max_size=5,
)
ATTACKS: st.SearchStrategy[Attack] = weighted(
    (
        4,
        st.builds(
            OverWebSocket,
            SERIALIZERS,
            st.integers(0, 9).map(bool),
            BATCHES,
            weighted((3, st.just(b"")), (1, RAW)),
            st.integers(0, 5).map(bool),
            st.sampled_from(["frame", "packet", "half", "abort"]),
        ),
    ),
    (
        3,
        st.builds(
            ByPolling,
            SERIALIZERS,
            st.integers(0, 9).map(bool),
            BATCHES,
            st.booleans(),
            weighted((3, st.none()), (1, ODD)),
            st.integers(0, 5).map(bool),
        ),
    ),
    (1, st.builds(Upgraded, SERIALIZERS, WORDS, st.builds(Batch, st.lists(ITEMS, max_size=3)))),
    (1, st.builds(Bytes, SERIALIZERS, heads() | st.lists(st.binary(max_size=60), max_size=3))),
)
