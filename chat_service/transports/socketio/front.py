"""Requests for new WebSockets at our own port, answered without the HTTP server.

Where thousands of clients connect at once, most of the time goes into HTTP: a task and a parser per
connection, a request, a router, a response. What is plainly the request of a client for a new WebSocket is
answered here; everything else goes to aiohttp as it came.
"""

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import web

from chat_service.concurrency.deadlines import Deadlines
from chat_service.http_ports import PortRunner
from chat_service.transports.socketio.request_head import separator

if TYPE_CHECKING:
    from chat_service.transports.socketio.engine_server import EngineServer

#: Seconds that a client has to send its first request.
FIRST_REQUEST_GRACE = 60.0
#: Bytes of a request that is looked at here.
MAX_HEAD = 8190
#: What RFC 6455 makes the server's answer of, with the client's key.
_KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEADER = re.compile(r"([!#$%&'*+\-.^`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*")
_ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\n\r\n"
)


class Opening:
    """What a client said when it opened a connection."""

    __slots__ = ("headers", "path", "query", "query_string", "remote_addr")

    def __init__(
        self,
        path: str,
        query_string: str,
        headers: Mapping[str, str],
        remote_addr: str | None = None,
    ) -> None:
        self.path = path
        self.query_string = query_string
        #: The first value of each field.
        self.query = _read_query(query_string)
        #: Names in lower case; the values of equal names with commas between them.
        self.headers = headers
        self.remote_addr = remote_addr

    def environ(self) -> dict[str, Any]:
        """The same as python-engineio tells it, as for WSGI."""
        return {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": self.path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": self.query_string,
            "RAW_URI": f"{self.path}?{self.query_string}",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_SOFTWARE": "aiohttp",
            "REMOTE_ADDR": self.remote_addr or "",
            "wsgi.url_scheme": self.headers.get("x-forwarded-proto", "http"),
            **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in self.headers.items()},
        }

    def accept(self) -> bytes:
        """The answer that makes a WebSocket of the connection."""
        key = self.headers["sec-websocket-key"].encode()
        # RFC 6455 says so; nothing is kept secret by it.
        digest = hashlib.sha1(key + _KEY_SUFFIX, usedforsecurity=False).digest()
        return _ANSWER % base64.b64encode(digest)


def _read_query(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    if "%" in text or "+" in text or ";" in text:
        for name, value in parse_qsl(text, keep_blank_values=True):
            fields.setdefault(name, value)
    elif text:
        for field in text.split("&"):
            name, _, value = field.partition("=")
            if field:
                fields.setdefault(name, value)
    return fields


def read_opening(data: bytes, path: str) -> tuple[Opening, bytes] | None:
    """The request for a new WebSocket of Engine.IO 4 that data begins with, and what follows it.

    None for all other data; aiohttp knows what to answer then. ``path``: of the endpoint.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0 or not data.startswith(b"GET "):
        return None
    head = data[:end]
    if not head.isascii():
        return None
    first, *lines = head.decode("ascii").split("\r\n")
    target, _, version = first[4:].partition(" ")
    if version != "HTTP/1.1" or not target.startswith(path + "?"):
        return None
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name = match[1].lower()
        headers[name] = headers[name] + separator(name) + match[2] if name in headers else match[2]
    if not _is_upgrade(headers):
        return None
    opening = Opening(path, target[len(path) + 1 :], headers)
    query = opening.query
    if query.get("EIO") != "4" or query.get("transport") != "websocket" or "sid" in query or "j" in query:
        return None
    return opening, data[end + 4 :]


def _is_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether a request asks for a WebSocket, and nothing more."""
    if (
        headers.get("upgrade", "").lower() != "websocket"
        or headers.get("sec-websocket-version") != "13"
        or "sec-websocket-protocol" in headers
        or "content-length" in headers
        or "transfer-encoding" in headers
        or "host" not in headers
    ):
        return False
    if "upgrade" not in [word.strip() for word in headers.get("connection", "").lower().split(",")]:
        return False
    try:
        return len(base64.b64decode(headers.get("sec-websocket-key", ""), validate=True)) == 16
    except binascii.Error:
        return False


class FirstRequest(asyncio.Protocol):
    """The protocol of a new connection, until the first data comes."""

    __slots__ = ("_front", "transport")

    transport: asyncio.Transport

    def __init__(self, front: "Front") -> None:
        self._front = front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._front.waiting.add(self)

    def data_received(self, data: bytes) -> None:
        self._front.waiting.discard(self)
        self._front.take(self.transport, data)

    def connection_lost(self, error: Exception | None) -> None:
        self._front.waiting.discard(self)


class Front:
    """Makes the protocols of our own port. For the runner it is the server of aiohttp, which is behind it."""

    def __init__(self, server: web.Server, engine: "EngineServer", path: str) -> None:
        """``path``: of the Engine.IO endpoint, with a slash at both ends."""
        self._server = server
        self._engine = engine
        self._path = path
        #: Connections on which nothing has come yet.
        self.waiting: Deadlines[FirstRequest] = Deadlines(
            FIRST_REQUEST_GRACE, lambda waiting: waiting.transport.abort()
        )

    def __call__(self) -> FirstRequest:
        return FirstRequest(self)

    def take(self, transport: asyncio.Transport, data: bytes) -> None:
        """The first data of a connection has come."""
        found = read_opening(data, self._path)
        if found is not None:
            opening, rest = found
            peer = transport.get_extra_info("peername")
            opening.remote_addr = str(peer[0]) if isinstance(peer, tuple | list) else str(peer or "") or None
            if self._engine.admits(opening):
                self._engine.open_websocket(opening, transport, rest)
                return
        handler = self._server()
        handler.connection_made(transport)
        transport.set_protocol(handler)
        handler.data_received(data)

    def pre_shutdown(self) -> None:
        """Part of ``web.Server``."""
        for waiting in self.waiting.items():
            waiting.transport.abort()
        self.waiting.close()
        self._server.pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:
        """Part of ``web.Server``."""
        await self._server.shutdown(timeout)


class FrontRunner(PortRunner):
    """The runner of an application with a ``Front``."""

    __slots__ = ("_engine", "_path")

    def __init__(self, app: web.Application, engine: "EngineServer", path: str, **options: Any) -> None:
        super().__init__(app, **options)
        self._engine = engine
        self._path = path

    async def _make_server(self) -> Any:
        return Front(await super()._make_server(), self._engine, self._path)
