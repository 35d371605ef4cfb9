"""WebSockets out of aiohttp's hands: after its handshake the transport gets a protocol of our own.

What aiohttp keeps per request (a protocol, a request, a response, two tasks, a parser of HTTP) is free then.
tests/e2e/test_library_pins.py pins what that relies on.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web
from engineio import packet
from engineio.async_drivers import aiohttp as aiohttp_driver

from chat_service.transports.socketio.connection import CLOSE_GRACE, WebSocketConnection

if TYPE_CHECKING:
    from chat_service.transports.socketio.engine import EngineSocket

logger = logging.getLogger("chat_service")

#: Seconds that a change from polling to WebSocket may take.
UPGRADE_GRACE = 10.0


class Handshake(web.WebSocketResponse):
    """The answer to a request for a WebSocket. Without compression it leaves the reading to others."""

    _eof_sent: bool

    def _post_start(self, request: Any, protocol: Any, writer: Any) -> None:
        if self.compress:
            super()._post_start(request, protocol, writer)
        else:
            self._writer = writer
            # For aiohttp the response is at its end.
            self._eof_sent = True


class AiohttpWebSocket(aiohttp_driver.WebSocket):  # type: ignore[misc]
    """A WebSocket that stays with aiohttp, which compresses it."""

    def __init__(self, server: Any, request: web.BaseRequest, response: Handshake) -> None:
        super().__init__(None, server)
        self._request = request
        self._sock = response

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()


async def serve_websocket(session: "EngineSocket", request: web.BaseRequest) -> web.StreamResponse:
    """Answer a request for a WebSocket of a session. Raises ``HTTPException`` and ``ConnectionError``.

    Returns when aiohttp has nothing to do with the connection any more.
    """
    server = session.server
    response = Handshake(
        # For the library a message of just this size is too large.
        max_msg_size=server.max_http_buffer_size + 1,
        compress=server.http_compression,
        timeout=CLOSE_GRACE,
        # Clients that offer sub-protocols hang up unless one of them is chosen: the one they like best.
        protocols=[name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")],
    )
    await response.prepare(request)
    if response.compress:
        await session._websocket_handler(AiohttpWebSocket(server, request, response))
        return response
    transport, tail = detach(request)
    connection: WebSocketConnection = server.make_connection(transport, session)
    if session.connected:
        Upgrade(session, connection)
    else:
        session.attach(connection)
    transport.set_protocol(connection)  # type: ignore[arg-type]
    if tail:
        connection.data_received(tail)
    # aiohttp stops reading when the tail is long.
    connection.resume_reading()
    return response


def detach(request: web.BaseRequest) -> tuple[asyncio.Transport, bytes]:
    """Take the transport from aiohttp, which believes that the connection is lost.

    Returns what has come after the request, too. Raises ``ConnectionResetError`` when the client has gone.
    """
    protocol: Any = request.protocol
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    tail, protocol._message_tail = protocol._message_tail, b""
    # Without its transport it can close nothing.
    protocol.transport = None
    protocol.keep_alive(False)
    manager, protocol._manager = protocol._manager, None
    manager.connection_lost(protocol, None)
    protocol._request_factory = protocol._request_handler = protocol._parser = None
    protocol.force_close()
    return transport, tail


class Upgrade:
    """A polling session changes to a WebSocket: the ``Receiver`` of it until the client has confirmed."""

    def __init__(self, session: "EngineSocket", connection: WebSocketConnection) -> None:
        self._session = session
        self._connection = connection
        self._is_probed = False
        connection.receiver = self
        session.upgrading = True
        session.probing = connection
        session.end_upgrade = self._fail
        self._timer = asyncio.get_running_loop().call_later(UPGRADE_GRACE, self._fail)

    def take_text(self, text: str) -> None:
        session = self._session
        if not self._is_probed and text == f"{packet.PING}probe":
            self._is_probed = True
            self._connection.send(f"{packet.PONG}probe")
            # The poll that is under way ends.
            session.queue.put_nowait(packet.Packet(packet.NOOP))
        elif self._is_probed and text[:1] == str(packet.UPGRADE) and not session.closing:
            self._end()
            session.probing = None
            self._connection.receiver = session
            session.attach(self._connection)
        else:
            self._fail()

    def take_binary(self, data: bytes) -> None:
        self._fail()

    def _fail(self) -> None:
        """The session goes on by polling."""
        self._end()
        self._connection.close()

    def _end(self) -> None:
        self._timer.cancel()
        self._session.upgrading = False
        self._session.end_upgrade = None

    def full(self) -> None:
        """As ``slow``."""

    def drained(self) -> None:
        """As ``slow``."""

    def slow(self, unsent: int) -> None:
        """Nothing that could be too much is sent before the end."""

    def lost(self) -> None:
        self._end()
        self._session.probing = None
