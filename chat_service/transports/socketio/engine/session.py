"""Engine.IO 4 without I/O: packets as sent on the wire, and the state of one session.

A packet is a text that begins with the digit of its type, or bytes, which are a message.

A session begins with polling or a WebSocket. A polling session may be upgraded to a WebSocket: the client
opens it, sends a probe, waits until its poll has ended, and confirms. Methods of ``Session`` change the
state and return what to do; ``peer`` does it.
"""

import base64
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from chat_service.transports.network.lines import Waiting

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"

#: Separates the packets of a body.
SEPARATOR = "\x1e"
#: The probe that a client sends on a new WebSocket, and the server's answer.
PROBE = f"{PING}probe"
PROBED = f"{PONG}probe"
#: Precedes a message of bytes where only text can be sent.
_BINARY = "b"


def read_payload(body: bytes) -> Iterator[str | bytes]:
    """The packets in the body of a request, one after another. The size of the body limits their number."""
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


#: Maximum number of packets in an answer to a poll; clients of python-socketio refuse more.
POLL_PACKETS = 16


class Stage(Enum):
    """The state of a session: what the client uses."""

    #: Only polls.
    POLLING = auto()
    #: Polls, and a WebSocket that has not sent its probe yet.
    OPENED = auto()
    #: Polls, and a WebSocket whose probe was answered and that has to confirm.
    PROBED = auto()
    #: Only a WebSocket.
    WEBSOCKET = auto()
    CLOSED = auto()


class ProbeStep(Enum):
    """What to do with a message of a WebSocket that requests an upgrade."""

    #: Answer it, and end the poll.
    ANSWER = auto()
    #: The session is upgraded: the WebSocket gets the queued packets.
    UPGRADE = auto()
    #: Close the WebSocket; the session continues with polling.
    FAIL = auto()


class Poll(Enum):
    """The outcome of a poll that cannot be answered with packets immediately."""

    WAIT = auto()
    #: There is another poll: close the session, and answer the first one with a packet that says so.
    SECOND = auto()
    #: The session does not use polls.
    REFUSE = auto()


class Kind(Enum):
    """The kind of a client's packet."""

    MESSAGE = auto()
    PONG = auto()
    CLOSE = auto()
    #: It violates the protocol.
    BAD = auto()


def kind_of(packet: str | bytes) -> Kind:
    """The kind of a client's packet in a session that is not being upgraded."""
    if isinstance(packet, bytes):
        return Kind.MESSAGE
    if packet[:1] == MESSAGE:
        return Kind.MESSAGE
    if packet[:1] == PONG:
        return Kind.PONG
    if packet[:1] == CLOSE:
        return Kind.CLOSE
    return Kind.BAD


class Session:
    """One session with the queue of its polls. ``limit``: maximum number of bytes in the queue."""

    __slots__ = ("_has_noop", "is_polled", "stage", "waiting")

    def __init__(self, limit: int, *, is_websocket: bool = False) -> None:
        self.stage = Stage.WEBSOCKET if is_websocket else Stage.POLLING
        #: Whether a poll is waiting for packets.
        self.is_polled = False
        #: Packets that polls have not fetched yet; None once there is a WebSocket.
        self.waiting: Waiting | None = None if is_websocket else Waiting(limit)
        #: Whether the next poll ends immediately because of an upgrade.
        self._has_noop = False

    def __repr__(self) -> str:
        polled = " polled" if self.is_polled else ""
        return f"<Session {self.stage.name}{polled}>"

    # Polls

    def poll(self) -> list[str | bytes] | Poll:
        """A poll has arrived: its answer, or another outcome."""
        if self.stage in (Stage.WEBSOCKET, Stage.CLOSED):
            return Poll.REFUSE
        if self.is_polled:
            return Poll.SECOND
        packets = self.answer()
        self.is_polled = not packets
        return packets or Poll.WAIT

    def answer(self) -> list[str | bytes]:
        """The packets for a poll; none while it has to wait."""
        packets = self.waiting.take(POLL_PACKETS) if self.waiting is not None else []
        if not packets and self._has_noop:
            packets = [NOOP]
        if packets:
            self.is_polled = self._has_noop = False
        return packets

    def leave_poll(self) -> None:
        """The waiting poll ended without an answer, because its client disconnected."""
        self.is_polled = False

    # WebSockets

    def admit(self) -> bool:
        """Whether a new WebSocket may request the session. If not, it is accepted and closed."""
        if self.stage is not Stage.POLLING:
            return False
        self.stage = Stage.OPENED
        return True

    def probe(self, packet: str | bytes) -> ProbeStep:
        """A message has arrived on a WebSocket that requests an upgrade."""
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
        """End a poll soon because of an upgrade: the client may have started it too early."""
        if self.stage is Stage.PROBED:
            self._has_noop = True

    def take_over(self) -> list[str | bytes]:
        """The queue, which the session's new WebSocket gets."""
        waiting, self.waiting = self.waiting, None
        return waiting.take(len(waiting)) if waiting is not None else []

    def end_probe(self) -> None:
        """The requesting WebSocket is gone, or took too long."""
        if self.stage in (Stage.OPENED, Stage.PROBED):
            self.stage = Stage.POLLING
            self._has_noop = False

    # Closing

    def close(self, last: str = NOOP) -> list[str | bytes]:
        """Close the session. Returns the answer to the waiting poll, which contains ``last``, or nothing."""
        self.stage = Stage.CLOSED
        waiting, self.waiting = self.waiting, None
        if not self.is_polled:
            return []
        self.is_polled = self._has_noop = False
        packets = waiting.take(POLL_PACKETS) if waiting is not None else []
        return [*packets, last]
