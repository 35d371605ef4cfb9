"""Engine.IO sockets of our own server: closed connections leave nothing behind, bad input cuts them off.

The stock classes leave a sleeping task per socket, keep a WebSocket open after its session was closed, and
fail outside of their own handling on malformed packets. What is overridden here is pinned by tests.
"""

import asyncio
import logging
import time
from typing import Any

from engineio import AsyncServer, async_socket, packet, payload
from engineio.async_drivers import aiohttp as aiohttp_driver
from engineio.exceptions import EngineIOError, SocketIsClosedError

logger = logging.getLogger("chat_service")

#: Seconds that a polling client has to fetch its last packets.
POLLING_GRACE = 5.0
#: Seconds that a client has to answer the end of its WebSocket.
CLOSE_GRACE = 2.0
#: Packets in one body of a polling client at most. Clients pack what waited during one round trip.
MAX_PACKETS = 1000


class Payload(payload.Payload):  # type: ignore[misc]
    """A polling body that may hold as many packets as a busy client has."""

    max_decode_packets = MAX_PACKETS


class EngineSocket(async_socket.AsyncSocket):  # type: ignore[misc]
    """One Engine.IO session."""

    # Attributes of the stock class, which has no types.
    last_ping: float | None
    connected: bool
    _ping_timer: asyncio.TimerHandle | None = None
    _grace_timer: asyncio.TimerHandle | None = None
    #: Writes to the WebSocket, when there is one.
    _writer: asyncio.Task[None] | None = None

    # Pings: a timer in place of a sleeping task.

    def schedule_ping(self) -> None:
        if self.last_ping:
            self.last_ping = None
            loop = asyncio.get_running_loop()
            self._ping_timer = loop.call_later(self.server.ping_interval, self._ping)

    def _ping(self) -> None:
        if not self.closing and not self.closed:
            self.last_ping = time.time()
            self.queue.put_nowait(packet.Packet(packet.PING))

    # Closing

    async def close(self, wait: bool = True, abort: bool = False, reason: Any = None) -> None:
        """As the stock method, but it never waits for the client, and ends the WebSocket too."""
        for timer in (self._ping_timer, self._grace_timer):
            if timer is not None:
                timer.cancel()
        await super().close(wait=False, abort=abort, reason=reason)
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
        """Close after the client has got what waits for it."""
        if self.closing or self.closed:
            return
        if self.upgraded:
            self.queue.put_nowait(None)
        elif self._grace_timer is None:
            # The next poll fetches what waits; the client closes then, or is closed.
            loop = asyncio.get_running_loop()
            self._grace_timer = loop.call_later(POLLING_GRACE, self.server.close_socket_soon, self.sid)

    # Long-polling

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        length = int(environ.get("CONTENT_LENGTH", "0"))
        if length > self.server.max_http_buffer_size:
            raise EngineIOError("the body is too large")
        stream, body = environ["wsgi.input"], bytearray()
        # One read may return less than the whole body.
        while len(body) < length and (part := await stream.read(length - len(body))):
            body += part
        try:
            packets = Payload(encoded_payload=body.decode("utf-8")).packets
        except (ValueError, LookupError) as error:
            raise EngineIOError(f"bad payload: {error}") from None
        for pkt in packets:
            await self.receive(pkt)

    # WebSocket

    async def _websocket_handler(self, ws: Any) -> None:
        if not self.connected:
            self.connected = self.upgraded = True
        elif not await self._upgrade(ws):
            return
        self._writer = asyncio.create_task(self._write(ws))
        try:
            while True:
                await self.receive(self._decode(await ws.wait()))
        except (OSError, ValueError, EngineIOError, SocketIsClosedError) as error:
            # OSError: the client has gone. Else: it sent what cannot be.
            logger.debug("websocket %s ends: %r", self.sid, error)
        finally:
            await self.close(abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
            await self.wait_closed()

    async def _upgrade(self, ws: Any) -> bool:
        """Move a polling session to the WebSocket: probe, let the poll end, wait for the client's word."""
        self.upgrading = True
        try:
            probe = self._decode(await ws.wait())
            if probe.packet_type != packet.PING or probe.data != "probe":
                return False
            await ws.send(packet.Packet(packet.PONG, data="probe").encode())
            self.queue.put_nowait(packet.Packet(packet.NOOP))
            upgrade = self._decode(await ws.wait())
            self.upgraded = upgrade.packet_type == packet.UPGRADE and not self.closed
            return bool(self.upgraded)
        except (OSError, ValueError, EngineIOError):
            return False
        finally:
            self.upgrading = False

    def _decode(self, data: Any) -> Any:
        if not data:
            raise ValueError("an empty packet")
        if len(data) > self.server.max_http_buffer_size:
            raise ValueError("the packet is too large")
        return packet.Packet(encoded_packet=data)

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


class AiohttpWebSocket(aiohttp_driver.WebSocket):  # type: ignore[misc]
    """The WebSocket of the aiohttp driver, with compression as configured and an end in bounded time."""

    async def __call__(self, environ: dict[str, Any]) -> Any:
        self._request = environ["aiohttp.request"]
        self._sock = aiohttp_driver.WebSocketResponse(
            max_msg_size=self.server.max_http_buffer_size,
            compress=self.server.http_compression,
            timeout=CLOSE_GRACE,
        )
        await self._sock.prepare(self._request)
        self.environ = environ
        await self.handler(self)
        return self._sock

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()


class EngineServer(AsyncServer):  # type: ignore[misc]
    """An Engine.IO server whose sockets are ``EngineSocket``."""

    # Attributes of the stock class, which has no types.
    start_service_task: bool
    _async: dict[str, Any]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._closing: set[asyncio.Task[None]] = set()
        if self.async_mode == "aiohttp":
            self._async = {**self._async, "websocket": AiohttpWebSocket}

    def close_socket_soon(self, sid: str) -> None:
        """Close a session from a callback."""
        socket = self.sockets.get(sid)
        if socket is not None:
            task = asyncio.get_running_loop().create_task(socket.close(abort=True))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _handle_connect(self, environ: Any, transport: str, jsonp_index: Any = None) -> Any:
        # The stock method makes sockets of its own class, and knows no other way.
        if self.start_service_task:
            self.start_service_task = False
            self.service_task_handle = self.start_background_task(self._service_task)
        sid = self.generate_id()
        session = self.sockets[sid] = EngineSocket(self, sid)
        opening = {
            "sid": sid,
            "upgrades": self._upgrades(sid, transport),
            "pingInterval": int(self.ping_interval * 1000),
            "pingTimeout": int(self.ping_timeout * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
        session.queue.put_nowait(packet.Packet(packet.OPEN, opening))
        await self._trigger_event("connect", sid, environ, run_async=False)
        session.schedule_ping()
        if transport == "polling":
            session.connected = True
            return self._ok(await session.poll(), jsonp_index=jsonp_index)
        response = await session.handle_get_request(environ)
        if session.closed:
            self.sockets.pop(sid, None)
        return response

    async def close_all(self) -> None:
        """Close every session and stop the monitor of the sessions."""
        sessions = list(self.sockets.values())
        await asyncio.gather(*(session.close() for session in sessions))
        await asyncio.gather(*(session.wait_closed() for session in sessions), *self._closing)
        self.sockets.clear()
        if self.service_task_handle is not None and self.service_task_event is None:
            # The monitor was started and has not run yet.
            await asyncio.sleep(0)
        await self.shutdown()
