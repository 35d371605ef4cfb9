"""The change of a session from polling to a WebSocket; ``session`` decides its steps."""

import asyncio

from chat_service.transports.socketio.engine.lines import NOBODY, Line
from chat_service.transports.socketio.engine.payload import PROBED
from chat_service.transports.socketio.engine.peer import Peer
from chat_service.transports.socketio.engine.session import Admission, ProbeStep

#: Seconds that the change may take.
UPGRADE_GRACE = 10.0
#: Seconds that polls may take meanwhile. A client that has got the answer to its poll before that to its
#: probe polls again, and changes when that poll ends, too.
POLL_GRACE = 0.1


def ask(peer: Peer, line: Line) -> None:
    """A new WebSocket asks for a session, and is turned away when there is another one."""
    if peer.state.admit() is Admission.PROBES:
        peer.upgrade = Upgrade(peer, line)
    else:
        line.receiver = NOBODY
        line.close()


class Upgrade:
    """A WebSocket that asks for a polling session: its ``Receiver`` until the client has confirmed."""

    __slots__ = ("_is_over", "_loop", "_peer", "_reminder", "_timer", "line")

    #: Its few packets never wait.
    is_blocked = False

    def __init__(self, peer: Peer, line: Line) -> None:
        self._peer = peer
        self._is_over = False
        self.line = line
        line.receiver = self
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(UPGRADE_GRACE, self.cancel)
        self._reminder: asyncio.TimerHandle | None = None

    def take(self, packet: str | bytes) -> None:
        """Part of ``Receiver``."""
        if self._is_over:
            return
        match self._peer.state.probe(packet):
            case ProbeStep.ANSWER:
                self.line.send(PROBED)
                self._end_poll()
            case ProbeStep.UPGRADE:
                self._end()
                self._peer.end_upgrade(self.line)
            case ProbeStep.FAIL:
                self.cancel()

    def _end_poll(self) -> None:
        self._peer.state.remind()
        if self._peer.polls is not None:
            self._peer.polls.answer()
        self._reminder = self._loop.call_later(POLL_GRACE, self._end_poll)

    def cancel(self) -> None:
        """The session goes on by polling, or is over."""
        self._end()
        self.line.close()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._timer.cancel()
            if self._reminder is not None:
                self._reminder.cancel()
            self._peer.state.end_probe()

    def full(self) -> None:
        """Part of ``Receiver``: nothing that could be too much is sent before the end."""

    def drained(self) -> None:
        """Part of ``Receiver``."""

    def slow(self, unsent: int) -> None:
        """Part of ``Receiver``: nothing that could be too much is sent before the end."""

    def lost(self) -> None:
        """Part of ``Receiver``."""
        self._end()
        self._peer.end_upgrade(None)
