"""Engine.IO sockets of our own server: closed connections leave nothing behind, bad input cuts them off.

The stock classes leave a sleeping task per socket, keep a WebSocket open after its session was closed, and
fail outside of their own handling on malformed packets. What is overridden here is pinned by
tests/e2e/test_library_pins.py.
"""

import asyncio
import contextlib
import logging
import time
from typing import Any

from engineio import async_socket, packet
from engineio.exceptions import EngineIOError, QueueEmpty, SocketIsClosedError

from chat_service.transports.socketio.engine_packets import decode_packet, decode_payload

logger = logging.getLogger("chat_service")

#: Seconds that a client has to go away after it was told to, before its connection is cut.
LEAVE_GRACE = 5.0
#: Seconds that a client has to answer the end of its connection.
CLOSE_GRACE = 2.0
#: Seconds that a change from polling to WebSocket may take.
UPGRADE_GRACE = 10.0
#: Packets in one answer to a poll at most: python-socketio clients refuse more.
POLL_PACKETS = 16


class EngineSocket(async_socket.AsyncSocket):  # type: ignore[misc]
    """One Engine.IO session."""

    # Attributes of the stock class, which has no types.
    last_ping: float | None
    connected: bool
    upgrading: bool
    upgraded: bool
    #: All timers of the session by what they are for.
    _timers: dict[str, asyncio.TimerHandle]
    #: Writes to the WebSocket, when there is one.
    _writer: asyncio.Task[None] | None = None
    #: Ends the handling of the WebSocket when it is over: an upgrade, or reading.
    _limit: asyncio.Timeout | None = None

    def __init__(self, server: Any, sid: str) -> None:
        super().__init__(server, sid)
        self._timers = {}

    def call_later(self, name: str, seconds: float, callback: Any, *args: Any) -> None:
        """Call something later, unless the session is closed before. A timer of the same name is replaced."""
        previous = self._timers.pop(name, None)
        if previous is not None:
            previous.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, callback, *args)

    # Pings: a timer in place of a sleeping task.

    def schedule_ping(self) -> None:
        if self.last_ping and not self.closing:
            self.last_ping = None
            self.call_later("ping", self.server.ping_interval, self._ping)

    def _ping(self) -> None:
        if not self.closing and not self.closed:
            self.last_ping = time.time()
            self.queue.put_nowait(packet.Packet(packet.PING))

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
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self.upgrading:
            self._limit_handling(0)
        # Without the packet of the stock method, on which python-socketio clients hang: the end of the
        # WebSocket, or of the poll and the refusal of the next one, says it all.
        await super().close(wait=False, abort=True, reason=reason)
        if not self.upgraded and not abort:
            self.queue.put_nowait(packet.Packet(packet.NOOP))
        if self.closed:
            self.server.sockets.pop(self.sid, None)
        self.queue.put_nowait(None)
        if self._writer is not None and not self._writer.done():
            # A client that does not read cannot hold up the end.
            timer = asyncio.get_running_loop().call_later(CLOSE_GRACE, self._writer.cancel)
            self._writer.add_done_callback(lambda _: timer.cancel())

    async def wait_closed(self) -> None:
        """Return when the WebSocket, if there is one, is closed."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    def finish(self) -> None:
        """Close after the client has got what waits for it; a polling client closes then by itself."""
        if self.closing or self.closed:
            return
        if self.upgraded:
            self.queue.put_nowait(None)
        self.call_later("leave", LEAVE_GRACE, self.server.close_socket_soon, self.sid)

    async def wait_fetched(self) -> None:
        """Return when a polling client has fetched what waits for it, or has had time to."""
        if not self.upgraded:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_GRACE):
                    await self.queue.join()

    # Long-polling

    async def poll(self) -> list[packet.Packet]:
        """Wait for packets to send. Raises ``QueueEmpty`` when none came in time."""
        if "leave" in self._timers and self.queue.empty():
            # It got everything, and did not go away by itself.
            await self.close()
        try:
            async with asyncio.timeout(self.server.ping_interval + self.server.ping_timeout):
                pkt = await self.queue.get()
        except TimeoutError:
            raise QueueEmpty from None
        packets: list[packet.Packet] = []
        while pkt is not None:
            self.queue.task_done()
            packets.append(pkt)
            if len(packets) == POLL_PACKETS or self.queue.empty():
                return packets
            pkt = self.queue.get_nowait()
        # The end stays in the queue for whoever asks next.
        self.queue.task_done()
        self.queue.put_nowait(None)
        return packets

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        try:
            for pkt in decode_payload(await self._read_body(environ)):
                await self.receive(pkt)
        except (ValueError, EngineIOError) as error:
            # The server answers "bad request" only for sessions that it knows, and forgets closed ones.
            self.server.sockets.setdefault(self.sid, self)
            raise EngineIOError(f"bad payload: {type(error).__name__}") from None

    async def _read_body(self, environ: dict[str, Any]) -> bytes:
        length = int(environ.get("CONTENT_LENGTH", "0"))
        if length > self.server.max_http_buffer_size:
            raise ValueError("the body is too large")
        stream, body = environ["wsgi.input"], bytearray()
        try:
            # One read may return less than the whole body.
            while len(body) < length and (part := await stream.read(length - len(body))):
                body += part
        except Exception as error:
            raise ValueError(f"the body does not come: {error!r}") from None
        if len(body) < length:
            raise ValueError("the body is not complete")
        return bytes(body)

    # WebSocket

    async def _upgrade_websocket(self, environ: dict[str, Any]) -> Any:
        if self.upgrading or self.upgraded or "websocket" not in self.server.transports:
            return self.server._bad_request()
        return await super()._upgrade_websocket(environ)

    async def _websocket_handler(self, ws: Any) -> None:
        if not self.connected:
            self.connected = self.upgraded = True
        elif not await self._upgrade(ws):
            await ws.close()
            return
        self._writer = asyncio.create_task(self._write(ws))
        self._writer.add_done_callback(lambda _: self._limit_handling(CLOSE_GRACE))
        try:
            async with asyncio.timeout(None) as self._limit:
                while True:
                    await self.receive(self._decode(await ws.wait()))
        except (OSError, ValueError, EngineIOError) as error:
            # OSError: the client has gone. Else: it sent what cannot be.
            logger.debug("websocket %s ends: %s", self.sid, type(error).__name__)
        finally:
            self._limit = None
            await self.close(abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
            await self.wait_closed()

    def _limit_handling(self, seconds: float) -> None:
        """End what handles the WebSocket in so many seconds, unless it ends before."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _upgrade(self, ws: Any) -> bool:
        """Move a polling session to the WebSocket: probe, let the poll end, wait for the client's word."""
        if self.upgrading or self.upgraded or self.closing:
            return False
        self.upgrading = True
        try:
            async with asyncio.timeout(UPGRADE_GRACE) as self._limit:
                probe = self._decode(await ws.wait())
                if probe.packet_type != packet.PING or probe.data != "probe":
                    return False
                await ws.send(packet.Packet(packet.PONG, data="probe").encode())
                self.queue.put_nowait(packet.Packet(packet.NOOP))
                upgrade = self._decode(await ws.wait())
                self.upgraded = upgrade.packet_type == packet.UPGRADE and not self.closing
        except (OSError, ValueError) as error:
            logger.debug("upgrade of %s failed: %s", self.sid, type(error).__name__)
        finally:
            self.upgrading = False
            self._limit = None
        return self.upgraded

    def _decode(self, data: Any) -> packet.Packet:
        return decode_packet(data, self.server.max_http_buffer_size)

    async def _write(self, ws: Any) -> None:
        """Send what is queued until None comes, then close the WebSocket."""
        try:
            while (pkt := await self.queue.get()) is not None:
                await ws.send(pkt.encode())
            await ws.close()
        except Exception as error:
            logger.debug("websocket %s cannot be written: %r", self.sid, error)
        except asyncio.CancelledError:
            abort = getattr(ws, "abort", None)
            if abort is not None:
                abort()
            raise
