"""The operations pages as an ASGI application."""

from collections.abc import Awaitable, Callable
from typing import Any

from chat_service.operations.pages import Pages

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class OperationsApp:
    """Serves the pages for GET and HEAD, 404 otherwise. Mount it where the public has no access."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        # Frameworks keep the mount path at the front of the path.
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        headers = {name.lower(): value for name, value in scope["headers"]}
        accept = headers.get(b"accept", b"").decode("latin-1")
        page = await self._pages.get(path, accept) if scope["method"] in ("GET", "HEAD") else None
        if page is None:
            status, content_type, body = 404, "text/plain", b"not found\n"
        else:
            status, content_type, body = page.status, page.content_type, page.body
        length = str(len(body)).encode()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", content_type.encode()), (b"content-length", length)],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
