"""One client of the engine: its session, the WebSocket that it may have, its timers, and its end."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from chat_service.concurrency import eager
from chat_service.transports.socketio.engine.lines import (
    CLIENT_DISCONNECT,
    NOBODY,
    PING_TIMEOUT,
    SERVER_DISCONNECT,
    SLOW_CONSUMER,
    TRANSPORT_CLOSE,
    FrameSink,
    Line,
    Owner,
)
from chat_service.transports.socketio.engine.opening import Opening
from chat_service.transports.socketio.engine.polls import Polls, Upgrade
from chat_service.transports.socketio.engine.session import (
    CLOSE,
    NOOP,
    PING,
    Kind,
    Poll,
    Session,
    Stage,
    kind_of,
)

logger = logging.getLogger("chat_service")

#: Seconds that a client has to go away after it was told to, before its connection is cut.
LEAVE_GRACE = 5.0


class Peer:
    """One session with its client: what python-socketio and applications know as its socket."""

    __slots__ = (
        "__weakref__",
        "_awaits_pong",
        "_end",
        "_is_busy",
        "_leaving",
        "_resume",
        "hub",
        "is_faulty",
        "line",
        "on_sink",
        "opening",
        "out",
        "polls",
        "sid",
        "sink",
        "state",
        "take_event",
        "upgrade",
        "user_session",
        "waiting",
    )

    def __init__(self, hub: "Owner[Peer]", sid: str, opening: Opening, line: Line | None) -> None:
        """``line``: its WebSocket; None for one that begins by polling. Takes nothing until ``release``."""
        self.hub = hub
        self.sid = sid
        self.opening = opening
        self.state = Session(hub.send_buffer_limit, is_websocket=line is not None)
        #: The WebSocket, when there is one.
        self.line: Line | None = None
        #: The same when frames can be written to it through the outbox.
        self.sink: FrameSink | None = None
        #: Called when ``sink`` is set.
        self.on_sink: Callable[[FrameSink], None] | None = None
        #: Called with each text packet first; False: it has to go the ordinary way.
        self.take_event: Callable[[Any], bool] | None = None
        #: What applications keep for it, see ``Hub.get_session``.
        self.user_session: dict[str, Any] | None = None
        #: Events that are being handled in tasks.
        self.waiting = 0
        #: Whether it ended because of what the client has sent.
        self.is_faulty = False
        #: Whether a message is being handled that the next ones have to wait for.
        self._is_busy = True
        self._awaits_pong = False
        #: Who waits until packets may be taken again.
        self._resume: asyncio.Event | None = None
        #: The WebSocket that asks for the session.
        self.upgrade: Upgrade | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._end: asyncio.Task[None] | None = None
        #: How it fetches what waits for it, when it begins by polling.
        self.polls = Polls(self.state, self) if line is None else None
        #: What packets are sent through.
        self.out: Line | Polls
        if line is not None:
            self.attach(line)
        elif self.polls is not None:
            self.out = self.polls

    def __repr__(self) -> str:
        return f"<Peer {self.sid} {self.state.stage.name}>"

    @property
    def closed(self) -> bool:
        """Whether the session is over."""
        return self.state.stage is Stage.CLOSED

    @property
    def upgraded(self) -> bool:
        """Whether it has a WebSocket alone."""
        return self.state.stage is Stage.WEBSOCKET

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        return self.out.unsent

    # Sending

    def send(self, packet: str | bytes, *, is_answer: bool = False) -> None:
        """Send a packet; to a session that is over it goes nowhere."""
        self.out.send(packet, is_answer=is_answer)

    def send_all(self, packets: Iterable[str | bytes], *, is_answer: bool = False) -> None:
        """Send packets that belong together."""
        for packet in packets:
            self.out.send(packet, is_answer=is_answer)

    def release(self, _: None = None) -> None:
        """What came meanwhile may be taken."""
        self._is_busy = False
        self.proceed()

    # Receiving: part of ``Receiver``

    @property
    def is_blocked(self) -> bool:
        """Whether no packets may be taken now: others have to be done first, or their answers sent."""
        if self._is_busy or self.waiting >= self.hub.max_waiting:
            return not self.closed
        return self.out.is_full and not self.closed

    def full(self) -> None:
        """Part of ``Receiver``: stop handling requests until the client reads."""
        self.hub.stalled.add(self)

    def drained(self) -> None:
        """Part of ``Receiver``."""
        self.hub.stalled.discard(self)
        self.proceed()

    async def wait_drained(self) -> None:
        """Return when little enough is unsent for a large answer, or when the session is over."""
        while self.out.is_full and not self.closed:
            await self._wait()

    def look_at_stalled(self) -> None:
        """The client has had time to read something of what waits for it."""
        if self.out.has_drained():
            self.hub.stalled.add(self)
        else:
            self.slow(self.unsent)

    def take(self, packet: str | bytes) -> None:
        """Handle a packet, when not ``is_blocked``."""
        if packet.__class__ is str:
            take_event = self.take_event
            if take_event is not None and take_event(packet):
                return
        if self.closed:
            self.is_faulty = True
            return
        kind = kind_of(packet)
        if kind is Kind.MESSAGE:
            self._is_busy = True
            data = packet[1:] if isinstance(packet, str) else packet
            eager.start(self._handle(data), self.release)
        elif kind is Kind.PONG:
            if self._awaits_pong:
                self._awaits_pong = False
                self.hub.watch(self)
        elif kind is Kind.CLOSE:
            self.end(CLIENT_DISCONNECT)
        else:
            self.fail("a packet that clients do not send")

    async def _handle(self, data: str | bytes) -> None:
        try:
            await self.hub.on_message(self, data)
        except ValueError as error:
            self.fail(str(error))
        except Exception:
            logger.exception("a message of connection %s could not be handled", self.sid)
            self.fail("a message that could not be handled")

    def wait_for(self, task: "asyncio.Task[None]") -> None:
        """An event is being handled in a task. While there are too many, further ones wait."""
        self.waiting += 1
        task.add_done_callback(self._waited)

    def _waited(self, task: "asyncio.Task[None]") -> None:
        self.waiting -= 1
        # Not for each one by itself.
        if self.waiting == self.hub.max_waiting // 2:
            self.proceed()

    def proceed(self) -> None:
        """Packets may be taken again, unless there is another reason not to."""
        if self.line is not None and not self.is_blocked:
            self.line.proceed()
        if self._resume is not None:
            # Each looks whether it may, or waits again.
            self._resume.set()
            self._resume.clear()

    async def ready(self) -> None:
        """Return when packets may be taken."""
        while self.is_blocked:
            await self._wait()

    async def settled(self) -> None:
        """Return when the message is handled that others would have to wait for."""
        while self._is_busy and not self.closed:
            await self._wait()

    async def _wait(self) -> None:
        if self._resume is None:
            self._resume = asyncio.Event()
        await self._resume.wait()

    def unbind(self) -> None:
        """The socket that events went to is gone."""
        self.take_event = self.on_sink = None

    def fail(self, why: str, *, last: str = NOOP) -> None:
        """The client has sent what it must not. ``last``: as for ``end``."""
        logger.debug("connection %s ends: %s", self.sid, why)
        self.is_faulty = True
        self.end(TRANSPORT_CLOSE, last=last)

    def slow(self, unsent: int) -> None:
        """Part of ``Receiver``: the client does not read."""
        self.hub.found_slow(self.sid, unsent)
        self.end(SLOW_CONSUMER, abort=True)

    def lost(self) -> None:
        """Part of ``Receiver``: the WebSocket is over."""
        self.end(TRANSPORT_CLOSE, abort=True)

    # Pings

    def ping(self) -> None:
        """Ask whether the client is there."""
        if not self.closed:
            self._awaits_pong = True
            self.send(PING)

    def check(self) -> None:
        """The client has not answered in time."""
        if self.is_blocked:
            # Its answer may wait behind what it has sent before, and the ping behind what it has to read.
            self.hub.silent.add(self)
        else:
            self.end(PING_TIMEOUT)

    # Polls

    async def poll(self, is_there: Callable[[], bool]) -> list[str | bytes] | None:
        """The packets for a poll; None when there can be none. ``is_there``: whether its client still is."""
        if self.polls is None:
            return None
        waiting = self.state.waiting
        if self._leaving is not None and waiting is not None and not waiting:
            # It got everything, and did not go away by itself.
            self.end(SERVER_DISCONNECT)
        answer = await self.polls.poll(is_there)
        if isinstance(answer, list):
            return answer
        if answer is Poll.SECOND:
            self.fail("a poll while there is another one", last=CLOSE)
        return None

    # WebSockets

    def attach(self, line: Line) -> None:
        """The session has its WebSocket: it gets what waits, and all that follows."""
        self.line = self.out = line
        line.receiver = self
        for packet in self.state.take_over():
            line.send(packet, is_answer=True)
        self.sink = line.sink
        if self.sink is not None and self.on_sink is not None:
            self.on_sink(self.sink)
        if not line.is_full:
            self.drained()

    def ask(self, line: Line) -> None:
        """A new WebSocket asks for the session, and is turned away when there is another one."""
        if self.state.admit() and self.polls is not None:
            self.upgrade = Upgrade(self.state, self.polls, line, self._end_upgrade)
        else:
            line.receiver = NOBODY
            line.close()

    def _end_upgrade(self, line: Line | None) -> None:
        self.upgrade = None
        if line is not None and self.polls is not None:
            # A poll that came too late for it ends, too.
            self.state.leave_poll()
            self.polls.end([NOOP])
            self.attach(line)

    # The end

    def finish(self) -> None:
        """Close after the client has got what waits for it; a polling client closes then by itself."""
        if self.closed or self._leaving is not None:
            return
        if self.line is not None:
            self.line.close()
        loop = asyncio.get_running_loop()
        self._leaving = loop.call_later(LEAVE_GRACE, self.end, SERVER_DISCONNECT)

    def end(self, reason: str, *, abort: bool = False, last: str = NOOP) -> None:
        """End the session now. ``abort``: without a word. ``last``: the packet for a poll that waits."""
        if self.closed:
            return
        packets = self.state.close(last)
        if self.polls is not None:
            self.polls.end(packets)
        self.hub.forget(self)
        if self._leaving is not None:
            self._leaving.cancel()
        if self.upgrade is not None:
            self.upgrade.cancel()
        if self.line is not None:
            (self.line.abort if abort else self.line.close)()
        self.unbind()
        self.sink = None
        self.proceed()
        self._end = eager.start(self.hub.on_end(self, reason), lambda _: None)

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """End the session, and return when everybody has been told. For python-socketio and applications."""
        self.end(reason or SERVER_DISCONNECT, abort=abort)
        await self.wait_ended()

    async def wait_ended(self) -> None:
        """Return when everybody was told of the end."""
        if self._end is not None:
            await asyncio.wait([self._end])

    async def wait_closed(self) -> None:
        """Return when the WebSockets, if there are any, are closed."""
        if self.line is not None:
            await self.line.wait_closed()
        if self.upgrade is not None:
            await self.upgrade.line.wait_closed()
