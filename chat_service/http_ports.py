"""How our own ports speak HTTP: request bodies are never unpacked, and an unread body ends its connection."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiohttp import web

#: Seconds during which the rest of a refused body is read and dropped, so that the client gets the answer.
LINGER: Final = 2.0
#: Turns of the event loop within which a connection that was accepted has its protocol.
ACCEPT_TURNS: Final = 5
#: Set in an application whose port is ours, so that its bodies stay as they came.
KEEPS_BODIES_PACKED: Final = web.AppKey("keeps_bodies_packed", bool)
#: The answer to a packed body.
UNSUPPORTED: Final = 415
PACKED_TEXT: Final = "request bodies must not be compressed\n"


class PortRunner(web.AppRunner):
    """The runner of an application on a port of our own.

    By default aiohttp unpacks request bodies on the event loop as they come in, even after the request was
    refused. Here a body stays as it is. When nobody has read it by the time of the answer, the connection is
    closed.
    """

    __slots__ = ()

    def __init__(self, app: web.Application, *, shutdown_timeout: float, **options: Any) -> None:
        """``shutdown_timeout``: seconds that requests in progress have to end when the port closes."""
        app[KEEPS_BODIES_PACKED] = True
        app.on_response_prepare.append(_end_after_an_unread_body)
        super().__init__(
            app,
            handle_signals=False,
            access_log=None,
            shutdown_timeout=shutdown_timeout,
            auto_decompress=False,
            lingering_time=LINGER,
            **options,
        )

    async def cleanup(self) -> None:
        """Listen no more, and close every connection."""
        await stop_sites(self.sites)
        await super().cleanup()


async def stop_sites(sites: Iterable[web.BaseSite]) -> None:
    """Listen no more at these sites.

    A connection that asyncio has accepted gets its protocol some turns of the loop later. If its server is
    closed by then, nobody closes the connection. So nothing new is accepted first.
    """
    stopping = list(sites)
    if not stopping:
        return
    loop = asyncio.get_running_loop()
    for site in stopping:
        server: Any = site._server
        for listening in server.sockets if server is not None else ():
            loop.remove_reader(listening)
    for _ in range(ACCEPT_TURNS):
        await asyncio.sleep(0)
    for site in stopping:
        await site.stop()


async def _end_after_an_unread_body(request: web.Request, response: web.StreamResponse) -> None:
    if request.can_read_body:
        response.force_close()
        # The headers are made already.
        response.headers["Connection"] = "close"


def is_packed(content_encoding: str | None) -> bool:
    """Whether a ``Content-Encoding`` header, None when there is none, says that the body is compressed."""
    names = (content_encoding or "").lower().split(",")
    return any(name.strip() not in ("", "identity") for name in names)


async def refuse_packed(request: web.Request) -> web.StreamResponse | None:
    """Answer a request with a packed body; None for one with a plain body, which is not answered."""
    if not is_packed(",".join(request.headers.getall("Content-Encoding", ()))):
        return None
    response = web.Response(status=UNSUPPORTED, text=PACKED_TEXT)
    response.force_close()
    if not request.config_dict.get(KEEPS_BODIES_PACKED):
        # An application with a port of its own: to read the rest is to unpack it, so nothing more is read.
        await response.prepare(request)
        await response.write_eof()
        request.protocol.force_close()
    return response


async def refuse_packed_asgi(scope: Any, send: Callable[[Any], Awaitable[None]]) -> bool:
    """As ``refuse_packed``, for ASGI. Returns whether the request is answered; its body is not read then."""
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
