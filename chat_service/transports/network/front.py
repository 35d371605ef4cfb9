"""The service's own port: answers WebSockets without an HTTP server, and passes all other requests to
aiohttp.

When thousands of clients connect at once, HTTP takes most of the time: a task and a parser per connection,
a request, a router, a response.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from chat_service.concurrency.deadlines import Deadlines
from chat_service.http_ports import (
    ACCEPTS_AT_ONCE,
    PortRunner,
    queue_connections,
    stop_servers,
)
from chat_service.open_files import watch_accepting
from chat_service.transports.network.admissions import Admissions
from chat_service.transports.network.doors import Door
from chat_service.transports.network.gate import Refusal, TooManyConnections
from chat_service.transports.network.opening import Opening, read_head

logger = logging.getLogger("chat_service")

#: Seconds to wait for running requests when the port closes.
SHUTDOWN_GRACE = 2.0
#: Number of attempts to find a port that is free at all addresses of the host.
BIND_TRIES = 10
_END = b"\r\n\r\n"


#: Opens a WebSocket for a request, with the bytes that follow it, or returns False. Raises ``Refusal``.
Entrance = Callable[[Opening, asyncio.Transport, bytes], bool]


class FirstRequest(asyncio.Protocol):
    """The protocol of a new connection until the head of its first request has arrived."""

    __slots__ = ("_data", "_front", "transport")

    transport: asyncio.Transport

    def __init__(self, front: "Front") -> None:
        self._front = front
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        if self._front.is_closed:
            # It was accepted while the port was being closed, so nothing else would close it.
            self.transport.abort()
        elif (reason := self._front.refusal()) is not None:
            refuse(self.transport, TooManyConnections(reason))
        else:
            self._front.waiting.add(self)

    def data_received(self, data: bytes) -> None:
        if self._front.is_closed:
            return
        if self._data:
            data = self._data + data
        end = data.find(_END)
        if end < 0 and len(data) <= self._front.max_head and _may_be_http(data):
            self._data = data
            return
        self._front.waiting.discard(self)
        self._data = b""
        self._front.take(self.transport, data, end)

    def connection_lost(self, error: Exception | None) -> None:
        self._front.waiting.discard(self)


def refuse(transport: asyncio.Transport, refusal: TooManyConnections) -> None:
    """Tell a client that there are too many connections, and close its connection."""
    transport.write(refusal.response())
    transport.close()


def _may_be_http(data: bytes) -> bool:
    """Whether data, as far as received, begins like a request for a WebSocket at the endpoint."""
    return data[:4] == b"GET "[: len(data)]


class Front:
    """Makes the protocols of connections to our own port."""

    def __init__(
        self,
        admissions: Admissions,
        make_other: Callable[[], Any],
        entrances: Mapping[str, Entrance],
        *,
        max_head: int,
        head_timeout: float,
    ) -> None:
        """``make_other``: makes the protocol of the HTTP server. ``entrances``: by path.

        ``head_timeout``: maximum time in seconds for the head of a connection's first request to arrive,
        ``max_head``: its maximum size in bytes.
        """
        self._admissions = admissions
        self._make_other = make_other
        self._entrances = entrances
        self.max_head = max_head
        self.is_closed = False
        #: Connections that have not sent a whole request yet.
        self.waiting: Deadlines[FirstRequest] = Deadlines(
            head_timeout, lambda waiting: waiting.transport.abort()
        )

    def __call__(self) -> FirstRequest:
        return FirstRequest(self)

    def refusal(self) -> str | None:
        """Why one more connection may not wait for its first request; None if it may."""
        return self._admissions.unread_refusal(len(self.waiting))

    def take(self, transport: asyncio.Transport, data: bytes, end: int) -> None:
        """The first data of a connection has arrived. ``end``: the end of the head, if it is complete."""
        if 0 <= end <= self.max_head:
            opening = read_head(data[:end])
            entrance = self._entrances.get(opening.path) if opening is not None else None
            if opening is not None and entrance is not None and is_websocket(opening):
                peer = transport.get_extra_info("peername")
                opening.remote_addr = (
                    str(peer[0]) if isinstance(peer, tuple | list) else str(peer or "") or None
                )
                try:
                    if not entrance(opening, transport, data[end + len(_END) :]):
                        raise Refusal(400, "")
                except TooManyConnections as refusal:
                    refuse(transport, refusal)
                    return
                except Refusal:
                    # The other server reports the error, as it does for requests of its own.
                    pass
                else:
                    return
        other = self._make_other()
        other.connection_made(transport)
        transport.set_protocol(other)
        other.data_received(data)

    def close(self) -> None:
        """Close idle connections, and all later ones."""
        self.is_closed = True
        for waiting in self.waiting.items():
            waiting.transport.abort()
        self.waiting.close()


def is_websocket(opening: Opening) -> bool:
    """Whether this asks for a WebSocket, and contains nothing that only an HTTP server understands."""
    headers = opening.headers
    return (
        opening.asks_for_websocket and "content-length" not in headers and "transfer-encoding" not in headers
    )


def entrance_of_door(door: Door) -> Entrance:
    """Opens WebSockets of a door."""

    def enter(opening: Opening, transport: asyncio.Transport, rest: bytes) -> bool:
        door.check(opening)
        line = door.open(opening, transport)
        if rest:
            line.data_received(rest)
        return True

    return enter


class OwnPort:
    """Our own port: a ``Front``, and the HTTP server behind it."""

    def __init__(
        self,
        app: web.Application,
        admissions: Admissions,
        entrances: Mapping[str, Entrance],
        *,
        head_timeout: float,
        keep_alive_timeout: float,
        max_line: int,
        max_headers: int,
    ) -> None:
        """``app``: answers requests other than WebSockets. ``entrances``: by path."""
        self._admissions = admissions
        self._entrances = entrances
        self._head_timeout = head_timeout
        self._max_head = max_line + max_headers
        self._runner = PortRunner(
            app,
            shutdown_timeout=SHUTDOWN_GRACE,
            keepalive_timeout=keep_alive_timeout,
            max_line_size=max_line,
            max_field_size=max_headers,
            logger=http_logger(),
        )
        self._front: Front | None = None
        self._servers: list[asyncio.Server] = []

    @property
    def addresses(self) -> list[Any]:
        """The listening addresses."""
        return [sock.getsockname() for server in self._servers for sock in server.sockets]

    async def start(self) -> None:
        """Prepare the HTTP server, without accepting connections."""
        watch_accepting()
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the HTTP server has not been made")
        self._front = Front(
            self._admissions,
            server,
            self._entrances,
            max_head=self._max_head,
            head_timeout=self._head_timeout,
        )

    async def listen(self, host: str | None, port: int) -> None:
        """Listen on all addresses of a host, with the same port. Raises ``OSError``."""
        server, tries = await self._serve(host, port), BIND_TRIES
        # With port 0, each address of the host (IPv4, IPv6) would get a different port.
        while len(ports := {sock.getsockname()[1] for sock in server.sockets}) > 1 and tries:
            tries -= 1
            await stop_servers([server])
            try:
                server = await self._serve(host, min(ports))
            except OSError:
                server = await self._serve(host, 0)
        self._servers.append(server)

    async def _serve(self, host: str | None, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            self.make_protocol, host, port, backlog=ACCEPTS_AT_ONCE, reuse_address=True
        )
        queue_connections(server)
        return server

    async def listen_at(self, sockets: Sequence[socket.socket]) -> None:
        """Listen on sockets that are already bound."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            server = await loop.create_server(self.make_protocol, sock=sock, backlog=ACCEPTS_AT_ONCE)
            queue_connections(server)
            self._servers.append(server)

    def make_protocol(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        if self._front is None:
            raise RuntimeError("the port was not started")
        return self._front()

    async def stop_listening(self) -> None:
        """Stop accepting connections. Existing ones stay open."""
        servers, self._servers = self._servers, []
        await stop_servers(servers)

    async def close(self) -> None:
        """Close everything. The sessions have already been closed."""
        await self.stop_listening()
        if self._front is not None:
            self._front.close()
        await self._runner.cleanup()


class _NoClientFaults(logging.Filter):
    """Drops the HTTP server's log records, with tracebacks, about requests that are not valid HTTP."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


_no_client_faults = _NoClientFaults()


def http_logger() -> logging.Logger:
    """The logger of our own HTTP server."""
    http = logging.getLogger("chat_service.transport.http")
    http.addFilter(_no_client_faults)
    return http
