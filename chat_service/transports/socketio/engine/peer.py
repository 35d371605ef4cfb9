"""One client of the engine: its session, its WebSocket if any, its timers, and closing it."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from chat_service.concurrency import eager
from chat_service.concurrency.eager import Waited
from chat_service.transports.network.lines import (
    CLIENT_DISCONNECT,
    NOBODY,
    PING_TIMEOUT,
    SERVER_DISCONNECT,
    SLOW_CONSUMER,
    TRANSPORT_CLOSE,
    FrameSink,
    Line,
)
from chat_service.transports.network.opening import Opening
from chat_service.transports.socketio.engine.polls import Owner, Polls, Upgrade
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

#: Seconds for a client to disconnect after it was told to, before its connection is aborted.
LEAVE_GRACE = 5.0


class Peer:
    """The session of one client, known to python-socketio and applications as its socket."""

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
        """``line``: its WebSocket, None if it begins with polling. Packets wait until ``release``."""
        self.hub = hub
        self.sid = sid
        self.opening = opening
        self.state = Session(hub.send_buffer_limit, is_websocket=line is not None)
        #: The WebSocket, if there is one.
        self.line: Line | None = None
        #: The same object if frames can be written to it through the outbox.
        self.sink: FrameSink | None = None
        #: Called when ``sink`` is set.
        self.on_sink: Callable[[FrameSink], None] | None = None
        #: Called first with each text packet. If it returns False, the packet is handled normally.
        self.take_event: Callable[[Any], bool] | None = None
        #: Data that applications store, see ``Hub.get_session``.
        self.user_session: dict[str, Any] | None = None
        #: Number of tasks that handle events.
        self.waiting = 0
        #: Whether it was closed because of a protocol violation.
        self.is_faulty = False
        #: Whether a message is being handled that later ones have to wait for.
        self._is_busy = True
        self._awaits_pong = False
        #: Waiters for the end of the block on packets.
        self._resume: asyncio.Event | None = None
        #: The WebSocket that requests an upgrade.
        self.upgrade: Upgrade | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._end: asyncio.Task[None] | None = None
        #: Its polls, if it began with polling.
        self.polls = Polls(self.state, self) if line is None else None
        #: Where packets are sent.
        self.out: Line | Polls
        if line is not None:
            self.attach(line)
        elif self.polls is not None:
            self.out = self.polls

    def __repr__(self) -> str:
        return f"<Peer {self.sid} {self.state.stage.name}>"

    @property
    def closed(self) -> bool:
        """Whether the session is closed."""
        return self.state.stage is Stage.CLOSED

    @property
    def upgraded(self) -> bool:
        """Whether the session only uses a WebSocket."""
        return self.state.stage is Stage.WEBSOCKET

    @property
    def unsent(self) -> int:
        """Number of bytes waiting to be sent."""
        return self.out.unsent

    # Sending

    def send(self, packet: str | bytes, *, is_answer: bool = False) -> None:
        """Send a packet. Ignored if the session is closed."""
        self.out.send(packet, is_answer=is_answer)

    def send_all(self, packets: Iterable[str | bytes], *, is_answer: bool = False) -> None:
        """Send packets that belong together."""
        for packet in packets:
            self.out.send(packet, is_answer=is_answer)

    def release(self, _: None = None) -> None:
        """Resume handling packets."""
        self._is_busy = False
        self.proceed()

    # Receiving: part of ``Receiver``

    @property
    def is_blocked(self) -> bool:
        """Whether packets must wait, because others are being handled or their answers are not sent yet."""
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
        """Wait until the backlog is small enough for a large answer, or the session is closed."""
        while self.out.is_full and not self.closed:
            await self._wait()

    def look_at_stalled(self) -> None:
        """The time for the client to read some of its backlog has passed."""
        if self.out.has_drained():
            self.hub.stalled.add(self)
        else:
            self.slow(self.unsent)

    def take(self, packet: str | bytes) -> None:
        """Handle a packet. Not to be called when ``is_blocked``."""
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
            self.fail("a packet of a type that clients must not send")

    async def _handle(self, data: str | bytes) -> None:
        try:
            await self.hub.on_message(self, data)
        except ValueError as error:
            self.fail(str(error))
        except Exception:
            logger.exception("a message of connection %s could not be handled", self.sid)
            self.fail("a message that could not be handled")

    def wait_for(self, work: Waited) -> None:
        """An event is being handled. If there are too many, further events wait."""
        self.waiting += 1
        work.add_done_callback(self._waited)

    def _waited(self, _: object) -> None:
        self.waiting -= 1
        # Resume in batches.
        if self.waiting == self.hub.max_waiting // 2:
            self.proceed()

    def proceed(self) -> None:
        """Resume handling packets, unless there is another reason to wait."""
        if self.line is not None and not self.is_blocked:
            self.line.proceed()
        if self._resume is not None:
            # Each waiter checks again whether it may continue.
            self._resume.set()
            self._resume.clear()

    async def ready(self) -> None:
        """Wait until packets may be handled."""
        while self.is_blocked:
            await self._wait()

    async def settled(self) -> None:
        """Wait until the message that blocks others has been handled."""
        while self._is_busy and not self.closed:
            await self._wait()

    async def _wait(self) -> None:
        if self._resume is None:
            self._resume = asyncio.Event()
        await self._resume.wait()

    def unbind(self) -> None:
        """The socket that received the events is gone."""
        self.take_event = self.on_sink = None

    def fail(self, why: str, *, last: str = NOOP) -> None:
        """End the session because the client violated the protocol. ``last``: as for ``end``."""
        logger.debug("connection %s ends: %s", self.sid, why)
        self.is_faulty = True
        self.end(TRANSPORT_CLOSE, last=last)

    def slow(self, unsent: int) -> None:
        """Part of ``Receiver``: the client does not read."""
        self.hub.found_slow(self.sid, unsent)
        self.end(SLOW_CONSUMER, abort=True)

    def violated(self, why: str) -> None:
        """Part of ``Receiver``."""
        self.fail(why)

    def lost(self) -> None:
        """Part of ``Receiver``: the WebSocket is closed."""
        self.end(TRANSPORT_CLOSE, abort=True)

    # Pings

    def ping(self) -> None:
        """Check whether the client is alive."""
        if not self.closed:
            self._awaits_pong = True
            self.send(PING)

    def check(self) -> None:
        """The client has not answered in time."""
        if self.is_blocked:
            # Its answer may be queued behind earlier packets, and the ping behind unread data.
            self.hub.silent.add(self)
        else:
            self.end(PING_TIMEOUT)

    # Polls

    async def poll(self, is_there: Callable[[], bool]) -> list[str | bytes] | None:
        """The packets for a poll, or None if the poll fails. ``is_there``: whether its client is still
        connected.
        """
        if self.polls is None:
            return None
        waiting = self.state.waiting
        if self._leaving is not None and waiting is not None and not waiting:
            # The client got everything but did not disconnect by itself.
            self.end(SERVER_DISCONNECT)
        answer = await self.polls.poll(is_there)
        if isinstance(answer, list):
            return answer
        if answer is Poll.SECOND:
            self.fail("a poll while there is another one", last=CLOSE)
        return None

    # WebSockets

    def attach(self, line: Line) -> None:
        """The session now has a WebSocket, which gets waiting and later packets."""
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
        """A new WebSocket requests the session. It is closed if there is already one."""
        if self.state.admit() and self.polls is not None:
            self.upgrade = Upgrade(self.state, self.polls, line, self._end_upgrade)
        else:
            line.receiver = NOBODY
            line.close()

    def _end_upgrade(self, line: Line | None) -> None:
        self.upgrade = None
        if line is not None and self.polls is not None:
            # A poll that came too late ends, too.
            self.state.leave_poll()
            self.polls.end([NOOP])
            self.attach(line)

    # Closing

    def finish(self) -> None:
        """Close after the client has got its waiting packets; a polling client then disconnects by itself."""
        if self.closed or self._leaving is not None:
            return
        if self.line is not None:
            self.line.close()
        loop = asyncio.get_running_loop()
        self._leaving = loop.call_later(LEAVE_GRACE, self.end, SERVER_DISCONNECT)

    def end(self, reason: str, *, abort: bool = False, last: str = NOOP) -> None:
        """Close the session immediately. ``abort``: without a close packet. ``last``: the packet for a
        waiting poll.
        """
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
        """Close the session, and wait until the handlers have been called. For python-socketio and
        applications.
        """
        self.end(reason or SERVER_DISCONNECT, abort=abort)
        await self.wait_ended()

    async def wait_ended(self) -> None:
        """Wait until the handlers of the end have been called."""
        if self._end is not None:
            await asyncio.wait([self._end])

    async def wait_closed(self) -> None:
        """Wait until the WebSockets, if any, are closed."""
        if self.line is not None:
            await self.line.wait_closed()
        if self.upgrade is not None:
            await self.upgrade.line.wait_closed()
