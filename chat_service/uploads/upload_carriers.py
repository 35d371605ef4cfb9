"""The uploads over aiohttp, and as an ASGI application."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from chat_service.asgi_requests import Receive, Send, headers_of, path_of, peer_of, while_connected
from chat_service.http_ports import refuse_packed, refuse_packed_asgi
from chat_service.uploads.upload_errors import UploadError
from chat_service.uploads.upload_exchange import SiteRequest, SiteResponse

logger = logging.getLogger("chat_service")

Handle = Callable[[SiteRequest], Awaitable[SiteResponse]]


def add_upload_routes(app: web.Application, handle: Handle, path: str) -> None:
    """Add the uploads to an application at a path."""

    async def serve(request: web.Request) -> web.StreamResponse:
        refused = await refuse_packed(request)
        if refused is not None:
            return refused
        raw = request.raw_path.partition("?")[0]
        answer = await handle(
            SiteRequest(
                method=request.method,
                # In a nested application, the path begins with that of the outer one.
                path=raw[raw.index(path) + len(path) :] if path in raw else raw,
                headers={name.lower(): value for name, value in request.headers.items()},
                peer=request.remote or "unknown",
                chunks=_aiohttp_chunks(request),
            )
        )
        return await _send_aiohttp(request, answer)

    for each in (path, path + r"/{rest:[\s\S]*}"):
        app.router.add_route("*", each, serve)


async def _aiohttp_chunks(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except (web.RequestPayloadError, ConnectionError) as error:
        raise UploadError("uploadBroken") from error


async def _send_aiohttp(request: web.Request, answer: SiteResponse) -> web.StreamResponse:
    try:
        if answer.chunks is None:
            if answer.body or request.method != "HEAD":
                return web.Response(status=answer.status, headers=answer.headers, body=answer.body or None)
            headers = {**answer.headers, "Content-Length": str(answer.length or 0)}
            return web.Response(status=answer.status, headers=headers)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = answer.length
        try:
            async with asyncio.timeout(answer.time_limit):
                await response.prepare(request)
                async for chunk in answer.chunks:
                    async with asyncio.timeout(answer.patience):
                        await response.write(chunk)
                await response.write_eof()
        except ConnectionError:
            # The reader has disconnected.
            pass
        except Exception as error:
            # The answer has begun, so an error can only be told by ending the connection.
            _log_end(error)
            if request.transport is not None:
                request.transport.abort()
        return response
    finally:
        await _end(answer)


def _log_end(error: Exception) -> None:
    level = logging.DEBUG if isinstance(error, TimeoutError) else logging.WARNING
    logger.log(level, "a download is ended: %r", error)


async def _end(answer: SiteResponse) -> None:
    try:
        closing: Any = getattr(answer.chunks, "aclose", None)
        if closing is not None:
            await closing()
    finally:
        answer.on_end()


class UploadApp:
    """An ASGI application of the uploads, to mount under a path. ``place``: where it is below that path."""

    def __init__(self, handle: Handle, place: str = "") -> None:
        self._handle = handle
        self._place = place

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not a WebSocket"})
            return
        if scope["type"] != "http" or await refuse_packed_asgi(scope, send):
            return
        answer = await self._handle(self._request(scope, receive))
        try:
            await self._respond(scope, answer, receive, send)
        finally:
            await _end(answer)

    def _request(self, scope: Any, receive: Receive) -> SiteRequest:
        return SiteRequest(
            method=scope["method"],
            path=path_of(scope, self._place),
            headers=headers_of(scope),
            peer=peer_of(scope),
            chunks=_asgi_chunks(receive),
        )

    async def _respond(self, scope: Any, answer: SiteResponse, receive: Receive, send: Send) -> None:
        headers = dict(answer.headers)
        if answer.status not in (204, 304):
            headers["Content-Length"] = str(answer.length or 0)
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        if answer.chunks is None:
            body = b"" if scope["method"] == "HEAD" else answer.body
            await send({"type": "http.response.body", "body": body})
            return
        await while_connected(_send_chunks(answer, send), receive)


async def _asgi_chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise UploadError("uploadBroken")
        if event.get("body"):
            yield event["body"]
        if not event.get("more_body"):
            return


async def _send_chunks(answer: SiteResponse, send: Send) -> None:
    if answer.chunks is None:
        return
    try:
        async with asyncio.timeout(answer.time_limit):
            async for chunk in answer.chunks:
                async with asyncio.timeout(answer.patience):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
    except OSError:
        # The reader has disconnected. A TimeoutError is an OSError, too: the incomplete answer makes the
        # server close the connection.
        pass
    except Exception as error:
        _log_end(error)
