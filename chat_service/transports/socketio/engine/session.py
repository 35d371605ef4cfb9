"""Engine.IO 4 without I/O: packets as they are on the wire, and the life of one session.

A packet is a text that begins with the digit of its type, or bytes, which are a message.

A session begins with polling or with a WebSocket. A polling one may change to a WebSocket: the client opens
it, asks by a probe, waits until its poll has ended, and confirms. Methods of ``Session`` change the state and
return what is to be done; ``peer`` does it.
"""

import base64
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum, auto

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"

#: Between the packets of one body.
SEPARATOR = "\x1e"
#: What a client asks a new WebSocket with, and what the server answers.
PROBE = f"{PING}probe"
PROBED = f"{PONG}probe"
#: Before a message that is bytes, where only text can be sent.
_BINARY = "b"


def read_payload(body: bytes) -> Iterator[str | bytes]:
    """The packets in the body of a request, one after another. The bytes bound their number."""
    if not body:
        return
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ValueError("the body is not UTF-8") from error
    start, end = 0, len(text)
    while start <= end:
        stop = text.find(SEPARATOR, start)
        if stop < 0:
            stop = end
        yield _read_part(text[start:stop])
        start = stop + 1


def _read_part(part: str) -> str | bytes:
    if part.startswith(_BINARY):
        return base64.b64decode(part[1:], validate=True)
    if not part:
        raise ValueError("an empty packet")
    return part


def write_payload(packets: Iterable[str | bytes]) -> bytes:
    """The body of an answer to a poll."""
    return SEPARATOR.join(
        _BINARY + base64.b64encode(packet).decode() if isinstance(packet, bytes) else packet
        for packet in packets
    ).encode()


#: Packets in one answer to a poll; clients of python-socketio refuse more.
POLL_PACKETS = 16
#: Bytes that a packet takes besides its data, so that many small ones are not free.
PACKET_OVERHEAD = 128


class Stage(Enum):
    """Where the session is in its life. The client has …"""

    #: … polls alone.
    POLLING = auto()
    #: … polls, and a WebSocket that has not asked yet.
    OPENED = auto()
    #: … polls, and a WebSocket that got its answer and has to confirm.
    PROBED = auto()
    #: … a WebSocket alone.
    WEBSOCKET = auto()
    CLOSED = auto()


class ProbeStep(Enum):
    """What to do with a message of a WebSocket that asks for an upgrade."""

    #: Answer it, and end the poll.
    ANSWER = auto()
    #: The session is upgraded: what waits goes to the WebSocket.
    UPGRADE = auto()
    #: Close the WebSocket; the session goes on by polling.
    FAIL = auto()


class Poll(Enum):
    """What becomes of a poll that cannot be answered with packets at once."""

    WAIT = auto()
    #: There is another one: the session ends, the first poll with a packet that says so.
    SECOND = auto()
    #: The session has none.
    REFUSE = auto()


class Kind(Enum):
    """What a packet of a client is."""

    MESSAGE = auto()
    PONG = auto()
    CLOSE = auto()
    #: No client that follows the protocol sends it.
    BAD = auto()


def kind_of(packet: str | bytes) -> Kind:
    """What a packet of a client is, in a session that is not being upgraded."""
    if isinstance(packet, bytes):
        return Kind.MESSAGE
    if packet[:1] == MESSAGE:
        return Kind.MESSAGE
    if packet[:1] == PONG:
        return Kind.PONG
    if packet[:1] == CLOSE:
        return Kind.CLOSE
    return Kind.BAD


class Waiting:
    """What waits for a client, in order. ``limit``: bytes that may, besides those that it has asked for."""

    __slots__ = ("_limit", "_live_bytes", "_packets", "bytes", "is_full")

    def __init__(self, limit: int) -> None:
        #: Bytes of the packets that wait.
        self.bytes = 0
        #: Whether more than the limit has waited, and most of it still does.
        self.is_full = False
        self._limit = limit
        #: Bytes of the packets that the client has not asked for.
        self._live_bytes = 0
        #: Each with its bytes, and whether they are live.
        self._packets: deque[tuple[str | bytes, int, bool]] = deque()

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def is_over_limit(self) -> bool:
        """Whether more waits than may. One packet may be larger by itself."""
        return self._live_bytes > self._limit and len(self._packets) > 1

    def put(self, packet: str | bytes, *, is_answer: bool = False) -> None:
        """A packet waits for the client. ``is_answer``: it asked for it, so it is not too slow for it."""
        size = PACKET_OVERHEAD + len(packet)
        self.bytes += size
        if not is_answer:
            self._live_bytes += size
        self._packets.append((packet, size, not is_answer))
        if self.bytes > self._limit:
            self.is_full = True

    def take(self, most: int) -> list[str | bytes]:
        """The packets that have waited longest."""
        taken = []
        for _ in range(min(most, len(self._packets))):
            packet, size, is_live = self._packets.popleft()
            taken.append(packet)
            self.bytes -= size
            if is_live:
                self._live_bytes -= size
        if self.bytes <= self._limit // 4:
            self.is_full = False
        return taken

    def drop(self) -> None:
        """Nothing that waits will be fetched."""
        self._packets.clear()
        self.bytes = self._live_bytes = 0
        self.is_full = False


class Session:
    """One session, and what waits for its polls. ``limit``: bytes that may."""

    __slots__ = ("_has_noop", "is_polled", "stage", "waiting")

    def __init__(self, limit: int, *, is_websocket: bool = False) -> None:
        self.stage = Stage.WEBSOCKET if is_websocket else Stage.POLLING
        #: Whether a poll waits for packets.
        self.is_polled = False
        #: What polls have not fetched yet; None once there is a WebSocket.
        self.waiting: Waiting | None = None if is_websocket else Waiting(limit)
        #: Whether the next poll ends at once, for the sake of an upgrade.
        self._has_noop = False

    def __repr__(self) -> str:
        polled = " polled" if self.is_polled else ""
        return f"<Session {self.stage.name}{polled}>"

    # Polls

    def poll(self) -> list[str | bytes] | Poll:
        """A poll has come: its answer, or what becomes of it."""
        if self.stage in (Stage.WEBSOCKET, Stage.CLOSED):
            return Poll.REFUSE
        if self.is_polled:
            return Poll.SECOND
        packets = self.answer()
        self.is_polled = not packets
        return packets or Poll.WAIT

    def answer(self) -> list[str | bytes]:
        """The packets for a poll: none while it has to wait."""
        packets = self.waiting.take(POLL_PACKETS) if self.waiting is not None else []
        if not packets and self._has_noop:
            packets = [NOOP]
        if packets:
            self.is_polled = self._has_noop = False
        return packets

    def leave_poll(self) -> None:
        """The poll that waited is over without an answer: its client has gone."""
        self.is_polled = False

    # WebSockets

    def admit(self) -> bool:
        """Whether a new WebSocket may ask to be the session's. If not, it is accepted and closed."""
        if self.stage is not Stage.POLLING:
            return False
        self.stage = Stage.OPENED
        return True

    def probe(self, packet: str | bytes) -> ProbeStep:
        """A message has come on a WebSocket that asks for an upgrade."""
        if self.stage is Stage.OPENED and packet == PROBE:
            self.stage = Stage.PROBED
            self._has_noop = True
            return ProbeStep.ANSWER
        if self.stage is Stage.PROBED and packet == UPGRADE:
            self.stage = Stage.WEBSOCKET
            return ProbeStep.UPGRADE
        self.end_probe()
        return ProbeStep.FAIL

    def remind(self) -> None:
        """A poll has to end soon, for the sake of an upgrade: the client may have begun it too early."""
        if self.stage is Stage.PROBED:
            self._has_noop = True

    def take_over(self) -> list[str | bytes]:
        """Everything that waits goes to the WebSocket that the session has now."""
        waiting, self.waiting = self.waiting, None
        return waiting.take(len(waiting)) if waiting is not None else []

    def end_probe(self) -> None:
        """The WebSocket that asked is gone, or took too long."""
        if self.stage in (Stage.OPENED, Stage.PROBED):
            self.stage = Stage.POLLING
            self._has_noop = False

    # The end

    def close(self, last: str = NOOP) -> list[str | bytes]:
        """The session is over. Returns the answer to the poll that waits, ``last`` in it, or nothing."""
        self.stage = Stage.CLOSED
        waiting, self.waiting = self.waiting, None
        if not self.is_polled:
            return []
        self.is_polled = self._has_noop = False
        packets = waiting.take(POLL_PACKETS) if waiting is not None else []
        return [*packets, last]
