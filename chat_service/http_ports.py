"""HTTP on our own ports: bodies are never decompressed, and an unread body closes its connection."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiohttp import web

#: Time in seconds to read and drop the rest of a refused body so that the client gets the response.
LINGER: Final = 2.0
#: Turns of the event loop after which an accepted connection has its protocol.
ACCEPT_TURNS: Final = 5
#: Connections that wait to be taken from the system.
BACKLOG: Final = 128
#: The ``backlog`` that servers are made with. asyncio also accepts as many connections in a row, and without
#: free files it repeats each failed attempt after a second: more than one would multiply without end.
ACCEPTS_AT_ONCE: Final = 1
#: The header ``Server``: versions are only of use to attackers.
SERVER_NAME: Final = "chat_service"
#: Set in applications on our own port, where bodies stay compressed.
KEEPS_BODIES_PACKED: Final = web.AppKey("keeps_bodies_packed", bool)
#: The response to a compressed body.
UNSUPPORTED: Final = 415
PACKED_TEXT: Final = "request bodies must not be compressed\n"


class _QuietHandler(web.RequestHandler):
    """One connection. Its errors, too, do not reveal which library serves it."""

    __slots__ = ()

    def handle_error(self, *args: Any, **options: Any) -> web.StreamResponse:
        response = super().handle_error(*args, **options)
        response.headers["Server"] = SERVER_NAME
        return response


class _QuietServer(web.Server):
    """Makes the handlers of connections."""

    def __call__(self) -> web.RequestHandler:
        return _QuietHandler(self, loop=self._loop, **self._kwargs)


class PortRunner(web.AppRunner):
    """Runs an application on our own port.

    By default aiohttp decompresses request bodies on the event loop as they arrive, even of refused requests.
    This runner leaves bodies as they are, and closes the connection if a body is unread when the response is
    sent.
    """

    __slots__ = ()

    def __init__(self, app: web.Application, *, shutdown_timeout: float, **options: Any) -> None:
        """``shutdown_timeout``: time in seconds for running requests to finish when the port closes."""
        app[KEEPS_BODIES_PACKED] = True
        app.on_response_prepare.append(_before_headers)
        super().__init__(
            app,
            handle_signals=False,
            access_log=None,
            shutdown_timeout=shutdown_timeout,
            auto_decompress=False,
            lingering_time=LINGER,
            **options,
        )

    def queue_connections(self) -> None:
        """``queue_connections`` for all sites."""
        servers: list[Any] = [site._server for site in self.sites]
        for server in servers:
            queue_connections(server)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _QuietServer(made.request_handler, request_factory=made.request_factory, **made._kwargs)

    async def cleanup(self) -> None:
        """Stop listening and close every connection."""
        await stop_sites(self.sites)
        await super().cleanup()


def queue_connections(server: asyncio.Server) -> None:
    """Let ``BACKLOG`` connections wait in the system for a server that was made with ``ACCEPTS_AT_ONCE``."""
    for listening in server.sockets:
        with listening.dup() as same:
            same.listen(BACKLOG)


async def stop_sites(sites: Iterable[web.BaseSite]) -> None:
    """Stop listening at these sites."""
    stopping = list(sites)
    servers: list[Any] = [site._server for site in stopping]
    await stop_servers(server for server in servers if server is not None)
    for site in stopping:
        await site.stop()


async def stop_servers(servers: Iterable[asyncio.Server]) -> None:
    """Stop listening with these servers.

    An accepted connection gets its protocol some turns of the loop later; if its server is closed by then,
    nothing closes the connection. So accepting stops first, and the servers close after those turns.
    """
    stopping = list(servers)
    if not stopping:
        return
    loop = asyncio.get_running_loop()
    for server in stopping:
        for listening in server.sockets:
            loop.remove_reader(listening)
    for _ in range(ACCEPT_TURNS):
        await asyncio.sleep(0)
    for server in stopping:
        server.close()


async def _before_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_NAME
    if request.can_read_body:
        response.force_close()
        # The headers were prepared before.
        response.headers["Connection"] = "close"


def is_packed(content_encoding: str | None) -> bool:
    """Whether a ``Content-Encoding`` header (None if missing) declares a compressed body."""
    names = (content_encoding or "").lower().split(",")
    return any(name.strip() not in ("", "identity") for name in names)


async def refuse_packed(request: web.Request) -> web.StreamResponse | None:
    """Respond to a request with a compressed body. Returns None, without responding, for a plain body."""
    if not is_packed(",".join(request.headers.getall("Content-Encoding", ()))):
        return None
    response = web.Response(status=UNSUPPORTED, text=PACKED_TEXT)
    response.force_close()
    if not request.config_dict.get(KEEPS_BODIES_PACKED):
        # The caller's own port, where reading the rest would decompress it: close without reading.
        await response.prepare(request)
        await response.write_eof()
        request.protocol.force_close()
    return response


async def refuse_packed_asgi(scope: Any, send: Callable[[Any], Awaitable[None]]) -> bool:
    """``refuse_packed`` for ASGI. Returns whether it has responded, without reading the body."""
    if scope["type"] != "http":
        return False
    named = (value.decode("latin-1") for name, value in scope["headers"] if name == b"content-encoding")
    if not is_packed(",".join(named)):
        return False
    body = PACKED_TEXT.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    if scope.get("http_version", "1.1").startswith("1"):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": UNSUPPORTED, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return True
