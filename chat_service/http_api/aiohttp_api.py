"""The HTTP API over aiohttp."""

import asyncio
import logging

from aiohttp import web

from chat_service.http_api.exchange import ApiRequest, ApiResponse, ApiStream, BodyTooLargeError
from chat_service.http_api.http_api import HttpApi
from chat_service.http_ports import refuse_packed

logger = logging.getLogger("chat_service")

#: The path of the API, below a prefix.
PLACE = "/api"


def add_api_routes(app: web.Application, api: HttpApi, prefix: str = "") -> None:
    """Add the API to an application, at ``/api`` below a prefix."""
    mount = prefix + PLACE

    async def handle(request: web.Request) -> web.StreamResponse:
        refused = await refuse_packed(request)
        if refused is not None:
            return refused
        answer = await api.handle(_request(request, mount))
        if isinstance(answer, ApiStream):
            return await _send_stream(request, answer)
        return _response(request, answer)

    app.router.add_route("*", mount, handle)
    app.router.add_route("*", mount + r"/{rest:[\s\S]*}", handle)


def _request(request: web.Request, mount: str) -> ApiRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}

    async def read_body(limit: int) -> bytes:
        if (request.content_length or 0) > limit:
            raise BodyTooLargeError
        parts, size = [], 0
        async for part in request.content.iter_any():
            size += len(part)
            if size > limit:
                raise BodyTooLargeError
            parts.append(part)
        return b"".join(parts)

    raw = request.raw_path.partition("?")[0]
    return ApiRequest(
        method=request.method,
        # In a nested application, the path begins with that of the outer one.
        mount=raw[: raw.index(mount) + len(mount)] if mount in raw else mount,
        path=raw[raw.index(mount) + len(mount) :] if mount in raw else raw,
        query=request.rel_url.raw_query_string,
        headers=headers,
        peer=request.remote or "unknown",
        read_body=read_body,
    )


def _response(request: web.Request, answer: ApiResponse) -> web.Response:
    return web.Response(status=answer.status, body=answer.body or None, headers=answer.all_headers())


async def _send_stream(request: web.Request, stream: ApiStream) -> web.StreamResponse:
    response = web.StreamResponse(headers=stream.all_headers())
    try:
        await response.prepare(request)
        async for chunk in stream.chunks:
            async with asyncio.timeout(stream.timeout):
                await response.write(chunk)
    except TimeoutError:
        stream.on_slow()
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        # The reader has disconnected.
        pass
    except Exception as error:
        logger.warning("a stream of the HTTP API is ended: %r", error)
        if request.transport is not None:
            request.transport.abort()
    finally:
        await stream.end()
    return response
