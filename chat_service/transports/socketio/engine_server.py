"""The Engine.IO server whose sessions are ``EngineSocket``."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web
from engineio import AsyncServer, packet

from chat_service.concurrency import eager
from chat_service.concurrency.deadlines import Deadlines
from chat_service.http_ports import refuse_packed, refuse_packed_asgi
from chat_service.transports.socketio.connection import WebSocketConnection
from chat_service.transports.socketio.engine import EngineSocket
from chat_service.transports.socketio.engine_requests import (
    AsgiWebSocket,
    ClientGone,
    own_origins_of,
    refuse_long,
    refuse_long_asgi,
    translate_aiohttp,
    translate_asgi,
)
from chat_service.transports.socketio.frames import text_frame
from chat_service.transports.socketio.front import Opening
from chat_service.transports.socketio.origins import AllowedOrigins
from chat_service.transports.socketio.outbox import Outbox
from chat_service.transports.socketio.request_head import HeadLimits, size_of
from chat_service.transports.socketio.slow_consumers import SlowConsumers

logger = logging.getLogger("chat_service")

#: Seconds that a connection may be open without a namespace.
CONNECT_GRACE = 45.0


def _nothing(_: object) -> None:
    pass


class EngineServer(AsyncServer):  # type: ignore[misc]
    """An Engine.IO server that can be closed, and logs no errors of clients as its own."""

    # Attribute of the stock class, which has no types.
    _async: dict[str, Any]

    def __init__(
        self, *, send_buffer_limit: int, origins: AllowedOrigins, limits: HeadLimits, **kwargs: Any
    ) -> None:
        # Without the stock monitor of the sessions, which wakes up for each of them in turn.
        super().__init__(**kwargs, monitor_clients=False)
        self._origins = origins
        self._limits = limits
        self._closing: set[asyncio.Task[None]] = set()
        #: Whether new sessions are accepted.
        self.is_open = False
        #: Whether a session is used by a namespace; set by the Socket.IO server.
        self.is_used: Callable[[str], bool] = lambda sid: True
        #: Called with the id of a new session and what its client said; set by the Socket.IO server.
        self.on_opening: Callable[[str, Opening], None] = lambda sid, opening: None
        self._opening_rest: bytes | None = None
        self.outbox = Outbox(send_buffer_limit)
        self.slow_consumers = SlowConsumers(send_buffer_limit)
        #: Sessions to be pinged, those that have to answer, and those that have not joined a namespace yet.
        self.pings: Deadlines[EngineSocket] = Deadlines(self.ping_interval, lambda session: session._ping())
        self.pongs: Deadlines[EngineSocket] = Deadlines(self.ping_timeout, self._no_pong)
        self.unused: Deadlines[EngineSocket] = Deadlines(CONNECT_GRACE, self._close_unused)
        #: Sessions whose clients have to read something of what waits for them.
        self.stalled: Deadlines[EngineSocket] = Deadlines(self.ping_timeout, self._look_at_stalled)
        if self.async_mode == "asgi":
            own: dict[str, Any] = {"translate_request": translate_asgi, "websocket": AsgiWebSocket}
        else:
            own = {"translate_request": translate_aiohttp}
        self._async = {**self._async, **own}

    def attach(self, app: web.Application, engineio_path: str = "engine.io") -> None:
        """Serve a path of an application, with and without a slash at its end."""
        path = f"/{engineio_path.strip('/')}"
        for method in ("GET", "POST", "OPTIONS"):
            for route in (path, f"{path}/"):
                app.router.add_route(method, route, self.handle_request)

    async def handle_request(self, *args: Any, **kwargs: Any) -> Any:
        if self.async_mode == "asgi":
            scope, receive, send = args
            if await refuse_long_asgi(self._limits, scope, receive, send):
                return None
            if await refuse_packed_asgi(scope, send):
                return None
        else:
            refused = refuse_long(self._limits, args[0]) or await refuse_packed(args[0])
            if refused is not None:
                return refused
        try:
            return await super().handle_request(*args, **kwargs)
        except ClientGone:
            return None

    def close_socket_soon(self, sid: str, *, abort: bool = False, reason: Any = None) -> None:
        """Close a session from a callback."""
        session = self.sockets.get(sid)
        if session is not None:
            task = eager.start(session.close(abort=abort, reason=reason), _nothing)
            if task is not None:
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    def _close_unused(self, session: EngineSocket) -> None:
        if not self.is_used(session.sid):
            self.close_socket_soon(session.sid)

    def _no_pong(self, session: EngineSocket) -> None:
        if session.is_full:
            # The ping is behind what waits, or the answer is not read yet.
            self.pongs.add(session)
            return
        self.close_socket_soon(session.sid, reason=self.reason.PING_TIMEOUT)

    def _look_at_stalled(self, session: EngineSocket) -> None:
        if session.has_drained():
            self.stalled.add(session)
        else:
            self.slow_consumers.cut(session)

    async def send_packet(self, sid: str, pkt: packet.Packet) -> None:
        """Send to a session; one that is gone is no error, and nothing to warn of."""
        session = self.sockets.get(sid)
        if session is not None and not session.closed:
            session.put(pkt)
            if session.connection is None:
                self.slow_consumers.check(session)

    def _cors_allowed_origins(self, environ: dict[str, Any]) -> list[str]:
        # Whether the origin of the request is one of them is all that the stock methods ask.
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or not self._origins.allows(origin, own_origins_of(environ)):
            return []
        return [origin]

    def _log_error_once(self, message: str, message_key: str) -> None:
        # The stock method logs the first fault of a client as an error.
        self.logger.info(message)

    async def _handle_connect(self, environ: Any, transport: str, jsonp_index: Any = None) -> Any:
        # The stock method makes sockets of its own class, and knows no other way.
        if not self.is_open:
            headers = [("Content-Type", "text/plain")]
            return {"status": "503 SERVICE UNAVAILABLE", "headers": headers, "response": b"closed"}
        sid = self.generate_id()
        session = self.sockets[sid] = EngineSocket(self, sid)
        opening = {"sid": sid, "upgrades": self._upgrades(sid, transport), **self._settings()}
        session.put(packet.Packet(packet.OPEN, opening))
        await self._trigger_event("connect", sid, environ, run_async=False)
        session.schedule_ping()
        self.unused.add(session)
        if transport == "polling":
            session.connected = True
            return self._ok(await session.poll(), jsonp_index=jsonp_index)
        try:
            response = await session.handle_get_request(environ)
        finally:
            if session.connection is None:
                # Does nothing after a WebSocket; its handshake may have failed, though.
                await session.close(abort=True)
        return self._bad_request("Invalid websocket upgrade") if isinstance(response, list) else response

    # New WebSockets at our own port, see front.py

    def admits(self, opening: Opening) -> bool:
        """Whether ``open_websocket`` can serve a client. Others may have to be told why not."""
        if not self.is_open or "websocket" not in self.transports:
            return False
        if self.http_compression and "sec-websocket-extensions" in opening.headers:
            return False
        if self._limits.refusal(len(opening.query_string), size_of(opening.headers.items())) is not None:
            return False
        origin = opening.headers.get("origin")
        return origin is None or self._origins.allows(origin, own_origins_of(opening.environ()))

    def make_connection(self, transport: asyncio.Transport, session: EngineSocket) -> WebSocketConnection:
        """A WebSocket on a transport for a session, which it is not attached to yet."""
        return WebSocketConnection(
            transport,
            session,
            self.outbox,
            max_message_size=self.max_http_buffer_size,
            send_buffer_limit=self.slow_consumers.send_buffer_limit,
        )

    def open_websocket(self, opening: Opening, transport: asyncio.Transport, rest: bytes) -> None:
        """Accept a new connection, as ``_handle_connect`` does. ``rest``: what came after the request."""
        sid = self.generate_id()
        session = self.sockets[sid] = EngineSocket(self, sid)
        connection = self.make_connection(transport, session)
        session.attach(connection)
        transport.set_protocol(connection)  # type: ignore[arg-type]
        transport.write(opening.accept() + text_frame(self._opening_packet(sid)))
        self.on_opening(sid, opening)
        session.schedule_ping()
        self.unused.add(session)
        if rest:
            connection.data_received(rest)

    def _opening_packet(self, sid: str) -> bytes:
        """The first packet to a client that needs no upgrade."""
        if self._opening_rest is None:
            settings = {**self._settings(), "upgrades": []}
            self._opening_rest = json.dumps(settings, separators=(",", ":")).encode()[1:]
        return b'0{"sid":"%s",%s' % (sid.encode(), self._opening_rest)

    def _settings(self) -> dict[str, Any]:
        return {
            "pingInterval": int(self.ping_interval * 1000),
            "pingTimeout": int(self.ping_timeout * 1000),
            "maxPayload": self.max_http_buffer_size,
        }

    async def close_all(self) -> None:
        """Close every session. No new one is accepted."""
        self.is_open = False
        await asyncio.gather(*(self._close(session) for session in tuple(self.sockets.values())))
        await asyncio.gather(*self._closing)
        for deadlines in (self.pings, self.pongs, self.unused, self.stalled):
            deadlines.close()
        await self.shutdown()

    async def _close(self, session: EngineSocket) -> None:
        # An ASGI server closes its connections before it lets the application know.
        if self.async_mode != "asgi":
            await session.wait_fetched()
        await session.close()
        await session.wait_closed()
