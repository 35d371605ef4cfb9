"""What requests say to the Engine.IO server, alike for aiohttp and ASGI, and the refusal of too long ones."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web
from engineio.async_drivers import aiohttp as aiohttp_driver
from engineio.async_drivers import asgi as asgi_driver

from chat_service.transports.socketio.asgi import refuse
from chat_service.transports.socketio.origins import own_origins
from chat_service.transports.socketio.request_head import (
    URI_TOO_LONG,
    HeadLimits,
    join_headers,
    read_text,
    size_of,
)


class ClientGone(Exception):
    """The client of an ASGI request went away before the request was read."""


async def translate_asgi(scope: Any, *channel: Any) -> Any:
    """The environ of a request. Raises ``ClientGone``."""
    # The stock function returns nothing then, which the server fails on.
    environ = await asgi_driver.translate_request(scope, *channel)
    if not environ:
        raise ClientGone
    environ["QUERY_STRING"] = read_text(scope.get("query_string") or b"")
    _use_headers(environ, scope["headers"])
    return environ


def translate_aiohttp(request: Any) -> Any:
    """The environ of a request."""
    environ = aiohttp_driver.translate_request(request)
    # The driver's is decoded already, so "&", "+" and "%" in values would be read again.
    environ["QUERY_STRING"] = request.rel_url.raw_query_string
    _use_headers(environ, request.raw_headers)
    return environ


def _use_headers(environ: dict[str, Any], pairs: Iterable[tuple[bytes, bytes]]) -> None:
    for name, value in join_headers(pairs).items():
        if name not in ("content-type", "content-length"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value


class AsgiWebSocket(asgi_driver.WebSocket):  # type: ignore[misc]
    """A WebSocket of an ASGI server, with the sub-protocol that the client likes best."""

    async def __call__(self, environ: dict[str, Any]) -> str:
        self.asgi_receive, self.asgi_send = environ["asgi.receive"], environ["asgi.send"]
        offered = environ["asgi.scope"].get("subprotocols") or [None]
        await self.asgi_send({"type": "websocket.accept", "subprotocol": offered[0]})
        await self.handler(self)
        return ""


def own_origins_of(environ: Mapping[str, Any]) -> list[str]:
    """The origins that a request may have been sent to."""
    scope, request = environ.get("asgi.scope"), environ.get("aiohttp.request")
    scheme = scope.get("scheme", "http") if scope else request.scheme if request else "http"
    return own_origins(
        {"ws": "http", "wss": "https"}.get(scheme, scheme),
        environ.get("HTTP_HOST"),
        environ.get("HTTP_X_FORWARDED_PROTO"),
        environ.get("HTTP_X_FORWARDED_HOST"),
    )


async def refuse_long_asgi(limits: HeadLimits, scope: Any, receive: Any, send: Any) -> bool:
    """Refuse a request or a WebSocket whose head is too long. Returns whether it did."""
    line = len(scope["path"]) + len(scope.get("query_string") or b"")
    status = limits.refusal(line, size_of(scope["headers"]))
    if status is None:
        return False
    await refuse(scope, receive, send, status, _text(status).encode())
    return True


def refuse_long(limits: HeadLimits, request: web.BaseRequest) -> web.Response | None:
    """The refusal of a request whose head is too long, else None."""
    status = limits.refusal(len(request.path_qs), size_of(request.raw_headers))
    if status is None:
        return None
    response = web.Response(status=status, text=_text(status))
    response.force_close()
    return response


def _text(status: int) -> str:
    return "the request line is too long" if status == URI_TOO_LONG else "the headers are too large"
