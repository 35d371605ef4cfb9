"""The ``Transport`` of plain WebSockets: JSON frames, for any language that has a WebSocket."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from socket import socket
from typing import Any, ClassVar

from chat_service.concurrency.deadlines import Deadlines
from chat_service.contracts.transport import Handshake, Transport, TransportHandler, fingerprint_of
from chat_service.errors import ConfigurationError
from chat_service.option_group import is_text
from chat_service.transports.network.aiohttp_carrier import application_of
from chat_service.transports.network.asgi_carrier import AsgiLine
from chat_service.transports.network.connection_options import HttpOptions
from chat_service.transports.network.doors import Door, paths_of
from chat_service.transports.network.framing import (
    DEFLATE_ANSWER,
    MIN_COMPRESSED_SIZE,
    PONG,
    TEXT,
    accepts_deflate,
    compress,
    compressed_frame,
    ping_frame,
    text_frame,
)
from chat_service.transports.network.front import OwnPort, entrance_of_door
from chat_service.transports.network.gate import Gate, Refusal, TooManyConnections
from chat_service.transports.network.lines import (
    CLIENT_DISCONNECT,
    PING_TIMEOUT,
    SERVER_DISCONNECT,
    Line,
)
from chat_service.transports.network.opening import Opening
from chat_service.transports.network.websocket import WebSocketConnection
from chat_service.transports.streams.dialect import Closing, Dialect
from chat_service.transports.streams.plain_json import PlainJson
from chat_service.transports.streams.stream_connection import StreamConnection, new_client
from chat_service.transports.streams.stream_transport import StreamOptions, StreamTransport

_PING = ping_frame()


def make_compressed_text(data: bytes) -> bytes:
    """The frame of a text in UTF-8, for clients that accept compressed messages."""
    return text_frame(data) if len(data) < MIN_COMPRESSED_SIZE else compressed_frame(TEXT, compress(data))


class TextWebSocket(WebSocketConnection):
    """One WebSocket of a stream transport."""

    __slots__ = ()

    def frame_of(self, packet: str | bytes) -> bytes:
        """A packet as it is written."""
        data = packet if isinstance(packet, bytes) else packet.encode()
        return make_compressed_text(data) if self.is_compressed else text_frame(data)

    def handle(self, kind: int, content: Any) -> bool:
        """Handle a received message. False: the connection ends, and nothing more is handled."""
        if kind == PONG and isinstance(self.receiver, StreamConnection):
            self.receiver.heard = True
        return super().handle(kind, content)

    def ping(self) -> None:
        """Ask whether the client is alive."""
        if not self._is_closing:
            self._outbox.put(self, _PING)


#: Close codes (RFC 6455, section 7.4): the server has disconnected the client, which should stay away; the
#: client should connect again; the client has broken a rule.
FINAL, RESTART, VIOLATION = 1000, 1012, 1008
_WANTED = (CLIENT_DISCONNECT, SERVER_DISCONNECT)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WebSocketOptions(StreamOptions, HttpOptions):
    """Options of the plain WebSocket transport. An invalid value raises ``ConfigurationError``.

    On the port of another transport, the options of that one decide which requests are let in.
    """

    group: ClassVar = "websocket_options"

    #: Path of the WebSockets.
    path: str = "/chat-service/ws"
    #: TCP port of its own; 0 picks a free port. None: that of the Socket.IO transport of the service or, if
    #: this is the only transport, the option `port` of the service.
    port: int | None = None
    #: Address to listen on, with a port of its own. None: all addresses.
    host: str | None = "127.0.0.1"
    #: Time in seconds without input after which a client is asked whether it is alive.
    ping_interval: float = 25.0
    #: Maximum time in seconds for the client to answer.
    ping_timeout: float = 20.0

    def __post_init__(self) -> None:
        self.check_shared()
        self.check_http()
        self.check_port("port", is_optional=True)
        self.check_text("host")
        self.check_seconds("ping_interval", "ping_timeout")
        self.check("path", is_text(self.path) and bool(self.path.strip("/")), "a path")


class WebSocketTransport(StreamTransport):
    """Plain WebSockets, on the port of Socket.IO or on one of its own. See ``Transport``."""

    def __init__(
        self, options: WebSocketOptions | None = None, *, dialect: Dialect | None = None, **keywords: Any
    ) -> None:
        """``keywords``: the options, if ``options`` is None. ``dialect``: how clients speak; None for the
        plain protocol.
        """
        self.options = WebSocketOptions.from_mapping(keywords) if options is None else options
        self._host, self._port = self.options.host, self.options.port
        self._sockets: Sequence[socket] = ()
        self._gate: Gate | None = None
        #: Whether another transport serves the path.
        self.is_guest = False
        self._own_port: OwnPort | None = None
        super().__init__(
            dialect or PlainJson(self.options.max_message_values),
            self.options,
            text_frame,
            make_compressed_text,
            self.options.ping_interval,
        )
        #: Connections that have to answer a ping.
        self._silent: Deadlines[StreamConnection] = Deadlines(self.options.ping_timeout, self._look_at_silent)

    # Life cycle

    @property
    def needs_port(self) -> bool:
        """Whether it has no port of its own."""
        return self._port is None and not self.is_guest

    def listen_at(
        self, *, host: str | None = None, port: int | None = None, sockets: Sequence[socket] = ()
    ) -> None:
        """See ``ChatService.listen_at``."""
        if self.is_guest:
            raise ConfigurationError("the WebSockets are served on the port of another transport")
        self._host = self._host if host is None else host
        self._port = self._port if port is None else port
        self._sockets = sockets

    async def start(self, handler: TransportHandler) -> None:
        if self.needs_port:
            raise ConfigurationError(
                "a WebSocket transport needs a port, or the Socket.IO transport beside it in the service"
            )
        await super().start(handler)
        if self._gate is None:
            self._gate = self.options.make_gate()
        if not self.is_guest:
            self._own_port = OwnPort(
                application_of(self),
                self.admissions,
                dict.fromkeys(paths_of(self), entrance_of_door(self)),
                head_timeout=self.options.head_timeout,
                keep_alive_timeout=self.options.head_timeout,
                max_line=self.options.max_request_line_size,
                max_headers=self.options.max_header_size,
            )
            await self._own_port.start()

    async def listen(self) -> None:
        await super().listen()
        if self._own_port is not None:
            if self._sockets:
                await self._own_port.listen_at(self._sockets)
            else:
                await self._own_port.listen(self._host, self._port or 0)

    async def stop_listening(self) -> None:
        await super().stop_listening()
        if self._own_port is not None:
            await self._own_port.stop_listening()

    async def close(self) -> None:
        await super().close()
        self._silent.close()
        own, self._own_port = self._own_port, None
        if own is not None:
            await own.close()

    @property
    def address(self) -> tuple[str, int] | None:
        """The listening address and port; the first of several, None on the port of another transport."""
        if self._own_port is None:
            return None
        found = [each for each in self._own_port.addresses if isinstance(each, tuple)]
        return (str(found[0][0]), int(found[0][1])) if found else None

    @property
    def port(self) -> int | None:
        return None if self.address is None else self.address[1]

    # Part of ``Door``

    @property
    def path(self) -> str:
        """The path of the WebSockets."""
        return f"/{self.options.path.strip('/')}"

    def use_gate(self, gate: Gate) -> None:
        """Check requests as the transport does that serves the path."""
        self._gate = gate

    def subprotocol(self, opening: Opening) -> str | None:
        """The first offered subprotocol that the dialect speaks."""
        return next((name for name in opening.protocols if name in self.dialect.subprotocols), None)

    def check(self, opening: Opening) -> None:
        """Find out the address of a client, and raise ``Refusal`` unless it may open a WebSocket."""
        gate = self._gate
        if gate is None or not self.is_open:
            raise Refusal(503, "the service does not accept connections now")
        gate.identify(opening)
        gate.check_head(opening)
        gate.check_host(opening)
        gate.check_origin(opening)
        if opening.protocols and self.subprotocol(opening) is None:
            offered = " or ".join(self.dialect.subprotocols) or "none"
            raise Refusal(400, f"the subprotocol must be {offered}")
        reason = self.admissions.refusal(opening.remote_addr)
        if reason is not None:
            raise TooManyConnections(reason)

    def open(self, opening: Opening, transport: asyncio.Transport) -> TextWebSocket:
        """Turn the connection of a checked request into a WebSocket, which has been greeted."""
        extra: list[tuple[str, str]] = []
        extensions = opening.headers.get("sec-websocket-extensions", "")
        is_compressed = self.options.compression and accepts_deflate(extensions)
        if is_compressed:
            extra.append(("Sec-WebSocket-Extensions", DEFLATE_ANSWER))
        subprotocol = self.subprotocol(opening)
        if subprotocol is not None:
            extra.append(("Sec-WebSocket-Protocol", subprotocol))
        line = TextWebSocket(
            transport,
            self.outbox,
            opening.accept(*extra),
            max_message_size=self.options.max_message_size,
            send_buffer_limit=self.options.send_buffer_limit,
            per_turn=self.options.max_commands_per_turn,
            is_compressed=is_compressed,
        )
        peer = transport.get_extra_info("peername")
        transport.set_protocol(line)
        line.begin(None)
        self.admit(self._connection(opening, line, peer[1] if isinstance(peer, tuple) else None))
        return line

    async def serve_asgi(self, opening: Opening, receive: Any, send: Any) -> None:
        """Serve the WebSocket of a checked request, which an ASGI server has accepted, until its end."""
        line = AsgiLine(receive, send, self.options.send_buffer_limit, self.options.max_message_size)
        self.admit(self._connection(opening, line, None))
        await line.serve(None, self.options.max_commands_per_turn)

    def _connection(self, opening: Opening, line: Line, remote_port: int | None) -> StreamConnection:
        socket_id = self.new_id()
        handshake = Handshake(
            is_connected=True,
            query=opening.query,
            headers=opening.headers,
            remote_addr=opening.remote_addr,
            transport=self.dialect.name,
            fingerprint=fingerprint_of(opening.headers, self.options.fingerprint_cookie, socket_id),
        )
        return StreamConnection(self, new_client(socket_id, handshake, remote_port), line)

    def close_line(self, line: Line, closing: Closing) -> None:
        """Close a WebSocket with the code that says whether the client should connect again."""
        code = RESTART if closing.may_return else FINAL if closing.reason in _WANTED else VIOLATION
        if isinstance(line, TextWebSocket | AsgiLine):
            line.close_with(code)
        else:
            line.close()

    # Pings

    def on_idle(self, connection: StreamConnection) -> None:
        """Nothing has arrived on a connection for a while: ask whether the client is alive."""
        if connection.conversation.pings_always:
            self._ping_again(connection)
            return
        if connection.heard or connection.is_blocked:
            connection.heard = False
            self.idle.add(connection)
            return
        frame = connection.conversation.ping()
        if frame is not None:
            self.write(connection, frame, is_answer=True)
        elif isinstance(connection.line, TextWebSocket):
            connection.line.ping()
        else:
            # An ASGI server pings by itself.
            self.idle.add(connection)
            return
        self._silent.add(connection)

    def _ping_again(self, connection: StreamConnection) -> None:
        """Send the next of regular pings, if the last one was answered."""
        if connection.is_pinged and not (connection.heard or connection.is_blocked):
            connection.end(PING_TIMEOUT)
            return
        connection.is_pinged, connection.heard = True, False
        frame = connection.conversation.ping()
        if frame is not None:
            self.write(connection, frame, is_answer=True)
        self.idle.add(connection)

    def _look_at_silent(self, connection: StreamConnection) -> None:
        if connection.heard or connection.is_blocked:
            connection.heard = False
            self.idle.add(connection)
        else:
            connection.end(PING_TIMEOUT)

    def forget(self, connection: StreamConnection, reason: str) -> None:
        """A connection is closed."""
        self._silent.discard(connection)
        super().forget(connection, reason)


def _conforms(transport: WebSocketTransport) -> tuple[Transport, Door]:
    return transport, transport
