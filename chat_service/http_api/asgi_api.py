"""The HTTP API as an ASGI application."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from chat_service.http_api.exchange import ApiRequest, ApiStream, BodyTooLargeError
from chat_service.http_api.http_api import HttpApi
from chat_service.http_ports import refuse_packed_asgi

logger = logging.getLogger("chat_service")

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

#: Characters that need not be percent-encoded.
_SAFE = "/:@!$&'()*+,;=~-._"


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
        root = scope.get("root_path", "")
        raw = scope.get("raw_path")
        path = raw.decode("latin-1") if raw else quote(scope["path"], safe=_SAFE)
        # Frameworks keep the mount path at the front of the path.
        path = path.removeprefix(quote(root, safe=_SAFE)).removeprefix(self._place)
        client = scope.get("client")
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

        async def read_body(limit: int) -> bytes:
            return await _read_body(receive, limit)

        return ApiRequest(
            method=scope["method"],
            mount=root + self._place,
            path=path,
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            peer=client[0] if client else "unknown",
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
    sending = asyncio.create_task(_send_chunks(stream, send))
    leaving = asyncio.create_task(_wait_for_end(receive))
    try:
        await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await stream.end()


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


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
