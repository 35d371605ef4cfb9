"""The Engine.IO server whose sessions are ``EngineSocket``."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from engineio import AsyncServer, packet
from engineio.async_drivers import aiohttp as aiohttp_driver
from engineio.async_drivers import asgi as asgi_driver

from chat_service.transports.socketio.engine import CLOSE_GRACE, EngineSocket

logger = logging.getLogger("chat_service")

#: Seconds that a connection may be open without a namespace.
CONNECT_GRACE = 45.0


class AiohttpWebSocket(aiohttp_driver.WebSocket):  # type: ignore[misc]
    """The WebSocket of the aiohttp driver, with compression as configured and an end in bounded time."""

    async def __call__(self, environ: dict[str, Any]) -> Any:
        self._request = environ["aiohttp.request"]
        self._sock = aiohttp_driver.WebSocketResponse(
            # For the library a message of just this size is too large.
            max_msg_size=self.server.max_http_buffer_size + 1,
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


class ClientGone(Exception):
    """The client of an ASGI request went away before the request was read."""


async def _translate_asgi(*args: Any) -> Any:
    # The stock function returns nothing then, which the server fails on.
    environ = await asgi_driver.translate_request(*args)
    if not environ:
        raise ClientGone
    return environ


class EngineServer(AsyncServer):  # type: ignore[misc]
    """An Engine.IO server that can be closed, and logs no errors of clients as its own."""

    # Attributes of the stock class, which has no types.
    start_service_task: bool
    _async: dict[str, Any]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._closing: set[asyncio.Task[None]] = set()
        #: Whether new sessions are accepted.
        self.is_open = False
        #: Whether a session is used by a namespace; set by the Socket.IO server.
        self.is_used: Callable[[str], bool] = lambda sid: True
        if self.async_mode == "aiohttp":
            self._async = {**self._async, "websocket": AiohttpWebSocket}
        elif self.async_mode == "asgi":
            self._async = {**self._async, "translate_request": _translate_asgi}

    async def handle_request(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().handle_request(*args, **kwargs)
        except ClientGone:
            return None

    def close_socket_soon(self, sid: str) -> None:
        """Close a session from a callback."""
        socket = self.sockets.get(sid)
        if socket is not None:
            task = asyncio.get_running_loop().create_task(socket.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _close_unused(self, sid: str) -> None:
        if not self.is_used(sid):
            self.close_socket_soon(sid)

    async def send_packet(self, sid: str, pkt: packet.Packet) -> None:
        """Send to a session; one that is gone is no error, and nothing to warn of."""
        session = self.sockets.get(sid)
        if session is not None and not session.closed:
            session.queue.put_nowait(pkt)

    def _log_error_once(self, message: str, message_key: str) -> None:
        # The stock method logs the first fault of a client as an error.
        self.logger.info(message)

    async def _handle_connect(self, environ: Any, transport: str, jsonp_index: Any = None) -> Any:
        # The stock method makes sockets of its own class, and knows no other way.
        if not self.is_open:
            headers = [("Content-Type", "text/plain")]
            return {"status": "503 SERVICE UNAVAILABLE", "headers": headers, "response": b"closed"}
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
        session.call_later("connect", CONNECT_GRACE, self._close_unused, sid)
        if transport == "polling":
            session.connected = True
            return self._ok(await session.poll(), jsonp_index=jsonp_index)
        try:
            response = await session.handle_get_request(environ)
        finally:
            # Does nothing after a WebSocket; its handshake may have failed, though.
            await session.close(abort=True)
        return self._bad_request("Invalid websocket upgrade") if isinstance(response, list) else response

    async def close_all(self) -> None:
        """Close every session and stop the monitor of the sessions. No new one is accepted."""
        self.is_open = False
        await asyncio.gather(*(self._close(session) for session in tuple(self.sockets.values())))
        await asyncio.gather(*self._closing)
        if self.service_task_handle is not None and self.service_task_event is None:
            # The monitor was started and has not run yet.
            await asyncio.sleep(0)
        await self.shutdown()

    async def _close(self, session: EngineSocket) -> None:
        # An ASGI server closes its connections before it lets the application know.
        if self.async_mode != "asgi":
            await session.wait_fetched()
        await session.close()
        await session.wait_closed()
