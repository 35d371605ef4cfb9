"""The ``Transport`` of lines over TCP: one command a line, one line of JSON per answer and event."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from socket import SO_KEEPALIVE, SOL_SOCKET
from typing import Any, ClassVar

from chat_service.contracts.transport import Handshake, Transport
from chat_service.http_ports import ACCEPTS_AT_ONCE, queue_connections, stop_servers
from chat_service.open_files import watch_accepting
from chat_service.transports.streams.dialect import Closing, Dialect
from chat_service.transports.streams.line_connection import LineConnection, LineReader, NewLine
from chat_service.transports.streams.plain_lines import PlainLines
from chat_service.transports.streams.stream_connection import (
    IDLE,
    StreamConnection,
    new_client,
)
from chat_service.transports.streams.stream_transport import StreamOptions, StreamTransport


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LineOptions(StreamOptions):
    """Options of the line transport. An invalid value raises ``ConfigurationError``."""

    group: ClassVar = "line_options"

    #: Address to listen on. None: all addresses.
    host: str | None = "127.0.0.1"
    #: TCP port to listen on; 0 picks a free port.
    port: int = 5000
    #: Maximum size in bytes of an incoming line. A longer one ends the connection.
    max_message_size: int = 65_536
    #: Time in seconds without a line from the client after which it is disconnected, up to twice as late. An
    #: empty line suffices.
    idle_timeout: float = 600.0
    #: The end of a client's line; with "\n" also "\r\n".
    delimiter: str = "\n"
    #: The end of a line that is sent.
    line_end: str = "\r\n"
    #: An ``ssl.SSLContext`` for TLS. None: no TLS.
    tls: ssl.SSLContext | None = None
    #: Files with a certificate chain and its private key in PEM, for TLS without `tls`.
    certificate: str | None = None
    private_key: str | None = None
    #: Let several processes listen on the port, each of which gets some of the connections.
    reuse_port: bool = False

    def __post_init__(self) -> None:
        self.check_shared()
        self.check_port("port", is_optional=False)
        self.check_text("host")
        self.check_seconds("idle_timeout")
        for name in ("delimiter", "line_end"):
            value = getattr(self, name)
            self.check(name, isinstance(value, str) and 0 < len(value) <= 16, "1 to 16 characters")
        self.check("tls", self.tls is None or isinstance(self.tls, ssl.SSLContext), "an SSLContext or None")
        self.check_text("certificate", "private_key")
        self.check("reuse_port", type(self.reuse_port) is bool, "True or False")
        if self.private_key is not None and self.certificate is None:
            raise self.error("needs certificate", "private_key")
        if self.tls is not None and self.certificate is not None:
            raise self.error("give tls or certificate, not both")

    def make_context(self) -> ssl.SSLContext | None:
        """The context for TLS, None without TLS. Raises ``ConfigurationError`` for bad files."""
        if self.certificate is None:
            return self.tls
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate, self.private_key)
        except OSError as error:
            # Includes errors of ssl.
            raise self.error(f"{self.certificate}: {error}", "certificate") from None
        return context


class LineTransport(StreamTransport):
    """Lines over TCP on a port of its own. See ``Transport``."""

    def __init__(
        self, options: LineOptions | None = None, *, dialect: Dialect | None = None, **keywords: Any
    ) -> None:
        """``keywords``: the options, if ``options`` is None. ``dialect``: how clients speak; None for the
        plain protocol.
        """
        self.options = LineOptions.from_mapping(keywords) if options is None else options
        self._tls = self.options.make_context()
        self._delimiter = self.options.delimiter.encode()
        self._line_end = self.options.line_end.encode()
        self._servers: list[asyncio.Server] = []
        super().__init__(
            dialect or PlainLines(self.options.max_message_values),
            self.options,
            self._frame,
            self._frame,
            self.options.idle_timeout,
        )

    def _frame(self, data: bytes) -> bytes:
        return data + self._line_end

    # Life cycle

    async def listen(self) -> None:
        await super().listen()
        watch_accepting()
        loop, options = asyncio.get_running_loop(), self.options
        server = await loop.create_server(
            lambda: NewLine(self),
            options.host,
            options.port,
            backlog=ACCEPTS_AT_ONCE,
            reuse_address=True,
            reuse_port=options.reuse_port or None,
            ssl=self._tls,
        )
        queue_connections(server)
        self._servers.append(server)

    async def stop_listening(self) -> None:
        await super().stop_listening()
        servers, self._servers = self._servers, []
        await stop_servers(servers)

    @property
    def address(self) -> tuple[str, int] | None:
        """The listening address and port; the first of several."""
        found = [sock.getsockname() for server in self._servers for sock in server.sockets]
        return (str(found[0][0]), int(found[0][1])) if found else None

    @property
    def port(self) -> int | None:
        return None if self.address is None else self.address[1]

    # Connections

    def connected(self, transport: asyncio.Transport) -> None:
        """A connection was made."""
        peer: Sequence[Any] = transport.get_extra_info("peername") or ("", None)
        socket_id = self.new_id()
        handshake = Handshake(
            is_connected=True,
            remote_addr=str(peer[0]) or None,
            transport=self.dialect.name,
            fingerprint=socket_id,
        )
        client = new_client(socket_id, handshake, peer[1])
        reason = self.refusal(handshake.remote_addr)
        if reason is not None:
            last = self.dialect.converse(client).closing(Closing(reason, may_return=True))
            transport.write(b"" if last is None else self._frame(last))
            transport.close()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # Finds out about clients that vanish.
            sock.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
        line = LineConnection(
            transport,
            self.outbox,
            LineReader(self.options.max_message_size, self._delimiter),
            self._line_end,
            send_buffer_limit=self.options.send_buffer_limit,
            per_turn=self.options.max_commands_per_turn,
        )
        transport.set_protocol(line)
        self.admit(StreamConnection(self, client, line))

    def on_idle(self, connection: StreamConnection) -> None:
        """Nothing has arrived on a connection for a while."""
        if connection.heard or connection.is_blocked:
            connection.heard = False
            self.idle.add(connection)
        else:
            connection.dismiss(Closing(IDLE))


def _conforms(transport: LineTransport) -> Transport:
    return transport
