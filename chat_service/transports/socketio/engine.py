"""Engine.IO sessions of our own server: closed connections leave nothing behind, bad input cuts them off.

A session is a polling one, with a queue that polls fetch from; or it has a WebSocket. That one is a
``WebSocketConnection`` where aiohttp serves it, and everything to the session is written to it at once. The
others (ASGI, or with compression) are served from the queue, see queued.py. What is overridden here is pinned
by tests/e2e/test_library_pins.py.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from engineio import async_socket, packet
from engineio.exceptions import EngineIOError, QueueEmpty, SocketIsClosedError

from chat_service.concurrency import eager
from chat_service.transports.socketio.connection import CLOSE_GRACE, WebSocketConnection
from chat_service.transports.socketio.engine_packets import decode_packet, decode_payload, read_body
from chat_service.transports.socketio.queued import QueuedWebSocket
from chat_service.transports.socketio.slow_consumers import SLOW_CONSUMER, SizedQueue
from chat_service.transports.socketio.takeover import serve_websocket

logger = logging.getLogger("chat_service")

#: Seconds that a client has to go away after it was told to, before its connection is cut.
LEAVE_GRACE = 5.0
#: Packets in one answer to a poll at most: python-socketio clients refuse more.
POLL_PACKETS = 16
#: Messages that may wait for an earlier one of the same connection; then no more is read.
BACKLOG = 100
#: Packets of one body that are handled before others get their turn.
BODY_PART = 100
#: Why no more requests of a client are handled for now: too much is unsent, or too many are being handled.
UNSENT, BUSY = 1, 2


class EngineSocket(async_socket.AsyncSocket):  # type: ignore[misc]
    """One Engine.IO session."""

    # Attributes of the stock class, which has no types.
    server: Any
    sid: str
    last_ping: float | None
    connected: bool
    upgrading: bool
    upgraded: bool
    closing: bool
    closed: bool

    # As attributes of the class: most sessions never change them.
    #: The WebSocket that frames are written to.
    connection: WebSocketConnection | None = None
    #: The WebSocket of another kind, when there is one.
    queued: QueuedWebSocket | None = None
    #: Called with each text message of the WebSocket first; False: it has to go the ordinary way.
    take_event: Callable[[str], bool] | None = None
    #: Called when ``connection`` is set.
    on_connection: Callable[[WebSocketConnection], None] | None = None
    #: Ends the upgrade that is under way.
    end_upgrade: Callable[[], None] | None = None
    #: The WebSocket that it is to be upgraded to, until that succeeded or the WebSocket is closed.
    probing: WebSocketConnection | None = None
    _queue: SizedQueue | None = None
    #: Messages that wait until an earlier one was handled.
    _backlog: deque[str | bytes] | None = None
    # Whether one is being handled that the others wait for.
    _is_receiving = False
    # Why messages wait besides: ``UNSENT``, ``BUSY``, both.
    _held = 0
    _is_paused = False
    _released: asyncio.Future[None] | None = None
    # What was drained when it was looked at last.
    _drained_bytes = 0
    _leaving: asyncio.TimerHandle | None = None
    _is_slow = False

    def __init__(self, server: Any, sid: str) -> None:
        # Without the stock method: it makes a queue, which few sessions need.
        self.server = server
        self.sid = sid
        self.last_ping = time.time()
        self.connected = self.upgrading = self.upgraded = self.closing = self.closed = False
        self.session: dict[str, Any] = {}

    @property
    def queue(self) -> SizedQueue:
        """What waits for a poll, or for a WebSocket."""
        if self._queue is None:
            self._queue = SizedQueue()
        return self._queue

    def put(self, pkt: packet.Packet) -> None:
        """Send a packet."""
        if self.connection is not None:
            self.connection.send(pkt.encode())
        else:
            self.queue.put_nowait(pkt)

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        if self.connection is not None:
            return self.connection.unsent
        in_hand = self.queued.unsent if self.queued is not None else 0
        return in_hand + (self._queue.bytes if self._queue is not None else 0)

    # Clients that ask for more than they read

    def hold(self, why: int) -> None:
        """Handle no more requests for now. ``why``: ``UNSENT`` or ``BUSY``."""
        self._held |= why
        if self._backlog is None:
            self._backlog = deque()
        self._pause_reading()

    def _pause_reading(self) -> None:
        if self.connection is not None:
            self._is_paused = True
            self.connection.pause_reading()

    def _resume_reading(self) -> None:
        if self.connection is not None and self._is_paused:
            self._is_paused = False
            self.connection.resume_reading()

    def release(self, why: int) -> None:
        """Handle requests again, unless there is another reason not to."""
        if not self._held & why:
            return
        self._held &= ~why
        self._wake()
        if not self._held and not self._is_receiving:
            self._work_off()

    def _wake(self) -> None:
        if self._released is not None:
            self._released.set_result(None)
            self._released = None

    async def wait_released(self, why: int = UNSENT | BUSY) -> None:
        """Return when requests are handled again, or when the session is over."""
        while self._held & why and not self.closed:
            if self._released is None:
                self._released = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._released)

    def full(self) -> None:
        self.hold(UNSENT)
        self._drained_bytes = self._count_drained()
        self.server.stalled.add(self)

    def drained(self) -> None:
        self.server.stalled.discard(self)
        self.release(UNSENT)

    @property
    def is_full(self) -> bool:
        """Whether so much is unsent that no more requests are handled."""
        return bool(self._held & UNSENT)

    def _count_drained(self) -> int:
        return self.connection.drained_bytes if self.connection is not None else self.queue.taken

    def has_drained(self) -> bool:
        """Whether the client has read something since the last call."""
        before, self._drained_bytes = self._drained_bytes, self._count_drained()
        return self._drained_bytes != before

    def fetched(self) -> None:
        """A packet was taken from the queue."""
        if self.is_full and self.queue.bytes <= self.server.slow_consumers.send_buffer_limit // 4:
            self.drained()

    # Pings: one timer for all sessions in place of a sleeping task for each.

    def schedule_ping(self) -> None:
        if self.last_ping and not self.closing:
            self.last_ping = None
            self.server.pongs.discard(self)
            self.server.pings.add(self)

    def _ping(self) -> None:
        if not self.closing and not self.closed:
            self.last_ping = time.time()
            self.put(packet.Packet(packet.PING))
            self.server.pongs.add(self)

    # Receiving and closing

    async def receive(self, pkt: packet.Packet) -> None:
        """Handle a packet. Raises ``EngineIOError`` for one that cannot be, and for a closed session."""
        if self.closing or self.closed:
            raise SocketIsClosedError
        await super().receive(pkt)
        if self.closed and pkt.packet_type == packet.MESSAGE:
            # The Socket.IO server closes for a packet that cannot be.
            raise SocketIsClosedError

    async def close(self, wait: bool = True, abort: bool = False, reason: Any = None) -> None:
        """As the stock method, but it never waits for the client, and ends the WebSocket too."""
        for deadlines in (self.server.pings, self.server.pongs, self.server.unused, self.server.stalled):
            deadlines.discard(self)
        if self._leaving is not None:
            self._leaving.cancel()
        if self.end_upgrade is not None:
            self.end_upgrade()
        # Without the packet of the stock method, on which python-socketio clients hang: the end of the
        # WebSocket, or of the poll and the refusal of the next one, says it all.
        await super().close(wait=False, abort=True, reason=reason)
        if self.closed:
            self.server.sockets.pop(self.sid, None)
            self._wake()
        if self.connection is not None:
            # Otherwise the answer to its end would not be seen.
            self._resume_reading()
            self.connection.close()
            return
        if not self.upgraded and not abort:
            self.queue.put_nowait(packet.Packet(packet.NOOP))
        self.queue.put_nowait(None)
        if self.queued is not None:
            self.queued.close_soon()

    async def wait_closed(self) -> None:
        """Return when the WebSocket, if there is one, is closed."""
        if self.probing is not None:
            await self.probing.wait_closed()
        if self.connection is not None:
            await self.connection.wait_closed()
        elif self.queued is not None:
            await self.queued.wait_closed()

    def finish(self) -> None:
        """Close after the client has got what waits for it; a polling client closes then by itself."""
        if self.closing or self.closed:
            return
        if self.connection is not None:
            self.connection.close()
        elif self.upgraded:
            self.queue.put_nowait(None)
        loop = asyncio.get_running_loop()
        self._leaving = loop.call_later(LEAVE_GRACE, self.server.close_socket_soon, self.sid)

    async def wait_fetched(self) -> None:
        """Return when a polling client has fetched what waits for it, or has had time to."""
        if not self.upgraded and self._queue is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_GRACE):
                    await self._queue.join()

    # Long-polling

    async def poll(self) -> list[packet.Packet]:
        """Wait for packets to send. Raises ``QueueEmpty`` when none came in time."""
        queue = self.queue
        if self._leaving is not None and queue.empty():
            # It got everything, and did not go away by itself.
            await self.close()
        try:
            async with asyncio.timeout(self.server.ping_interval + self.server.ping_timeout):
                pkt = await queue.get()
        except TimeoutError:
            raise QueueEmpty from None
        packets: list[packet.Packet] = []
        while pkt is not None:
            queue.task_done()
            packets.append(pkt)
            self.fetched()
            if len(packets) == POLL_PACKETS or queue.empty():
                return packets
            pkt = queue.get_nowait()
        # The end stays in the queue for whoever asks next.
        queue.task_done()
        queue.put_nowait(None)
        return packets

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        try:
            body = await read_body(environ, self.server.max_http_buffer_size)
            for number, pkt in enumerate(decode_payload(body)):
                if self._held and pkt.packet_type == packet.MESSAGE:
                    await self.wait_released()
                elif number % BODY_PART == BODY_PART - 1:
                    await asyncio.sleep(0)
                await self.receive(pkt)
        except (ValueError, EngineIOError) as error:
            # The server answers "bad request" only for sessions that it knows, and forgets closed ones.
            self.server.sockets.setdefault(self.sid, self)
            raise EngineIOError(f"bad payload: {type(error).__name__}") from None

    # WebSocket: a ``WebSocketConnection``, for which this is the ``Receiver``

    async def _upgrade_websocket(self, environ: dict[str, Any]) -> Any:
        if self.upgrading or self.upgraded or self.closing or "websocket" not in self.server.transports:
            return self.server._bad_request()
        if self.server.async_mode == "aiohttp":
            return await serve_websocket(self, environ["aiohttp.request"])
        return await super()._upgrade_websocket(environ)

    async def _websocket_handler(self, ws: Any) -> None:
        await QueuedWebSocket(self, ws).serve()

    def attach(self, connection: WebSocketConnection) -> None:
        """The session's WebSocket is there: it gets what waits, and all that follows."""
        self.connected = self.upgraded = True
        self.connection = connection
        queue, self._queue = self._queue, None
        if queue is not None:
            connection.allow(queue.bytes)
        while queue is not None and not queue.empty():
            pkt = queue.get_nowait()
            if pkt is not None and pkt.packet_type != packet.NOOP:
                connection.send(pkt.encode())
        if self.on_connection is not None:
            self.on_connection(connection)
        if self.is_full and not connection.is_full:
            self.drained()
        if self._held:
            self._pause_reading()

    def take_text(self, text: str) -> None:
        if self._backlog is None:
            take_event = self.take_event
            if take_event is not None and take_event(text):
                return
            if text == PONG:
                if not self.closing:
                    self.schedule_ping()
                return
        self._take(text)

    def take_binary(self, data: bytes) -> None:
        self._take(data)

    def _take(self, data: str | bytes) -> None:
        """Handle a message, after those before it."""
        if self._backlog is not None:
            self._backlog.append(data)
            if len(self._backlog) == BACKLOG:
                self._pause_reading()
        elif eager.start(self._receive_or_close(data), self._taken) is not None:
            self._is_receiving = True
            if self._backlog is None:
                self._backlog = deque()

    async def _receive_or_close(self, data: str | bytes) -> None:
        try:
            await self.receive(decode_packet(data, self.server.max_http_buffer_size))
        except Exception as error:
            if not isinstance(error, ValueError | EngineIOError):
                logger.exception("a message of websocket %s could not be handled", self.sid)
            logger.debug("websocket %s ends: %s", self.sid, type(error).__name__)
            await self.close(abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    def _taken(self, _: None) -> None:
        self._is_receiving = False
        if not self._held:
            self._work_off()

    def _work_off(self) -> None:
        """Handle what has waited."""
        backlog, self._backlog = self._backlog, None
        self._resume_reading()
        while backlog:
            if self._backlog is not None:
                # One of them waits for something itself; the rest comes after it.
                self._backlog.extend(backlog)
                return
            data = backlog.popleft()
            if isinstance(data, str):
                self.take_text(data)
            else:
                self.take_binary(data)

    def slow(self, unsent: int) -> None:
        self._is_slow = True
        self.server.slow_consumers.found(self.sid, unsent)

    def lost(self) -> None:
        reason = SLOW_CONSUMER if self._is_slow else self.server.reason.TRANSPORT_CLOSE
        self.server.close_socket_soon(self.sid, abort=True, reason=reason)


PONG = str(packet.PONG)
