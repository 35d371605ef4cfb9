"""The HTTP API as an ASGI application."""

import asyncio
import logging
from typing import Any

from chat_service.asgi_requests import Receive, Send, headers_of, path_of, peer_of, while_connected
from chat_service.http_api.exchange import ApiRequest, ApiStream, BodyTooLargeError
from chat_service.http_api.http_api import HttpApi
from chat_service.http_ports import refuse_packed_asgi

logger = logging.getLogger("chat_service")


class ApiApp:
    """Serves the API at the path where it is mounted, or below ``place`` of it."""

    def __init__(self, api: HttpApi, place: str = "") -> None:
        self._api = api
        self._place = place

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if await refuse_packed_asgi(scope, send):
            return
        answer = await self._api.handle(self._request(scope, receive))
        if isinstance(answer, ApiStream):
            await _send_stream(answer, receive, send)
            return
        headers = {**answer.all_headers(), "Content-Length": str(len(answer.body))}
        await send({"type": "http.response.start", "status": answer.status, "headers": _encoded(headers)})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    def _request(self, scope: Any, receive: Receive) -> ApiRequest:
        async def read_body(limit: int) -> bytes:
            return await _read_body(receive, limit)

        return ApiRequest(
            method=scope["method"],
            mount=scope.get("root_path", "") + self._place,
            path=path_of(scope, self._place),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers_of(scope),
            peer=peer_of(scope),
            read_body=read_body,
        )


async def _read_body(receive: Receive, limit: int) -> bytes:
    parts, size = [], 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            # The client has disconnected: nobody reads the answer.
            return b""
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise BodyTooLargeError
        if not event.get("more_body"):
            return b"".join(parts)


async def _send_stream(stream: ApiStream, receive: Receive, send: Send) -> None:
    try:
        await while_connected(_send_chunks(stream, send), receive)
    finally:
        await stream.end()


async def _send_chunks(stream: ApiStream, send: Send) -> None:
    headers = _encoded(stream.all_headers())
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in stream.chunks:
            async with asyncio.timeout(stream.timeout):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except TimeoutError:
        # Unless the response is completed, the server closes the connection.
        stream.on_slow()
    except OSError:
        # The reader has disconnected.
        pass
    except Exception as error:
        logger.warning("a stream of the HTTP API is ended: %r", error)


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
