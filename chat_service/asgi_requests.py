"""Shared by our ASGI applications: reading a request, and answering while its client is connected."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final
from urllib.parse import quote

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

#: Characters that need not be percent-encoded.
_SAFE: Final = "/:@!$&'()*+,;=~-._"


def path_of(scope: Any, place: str) -> str:
    """The path of a request, percent-encoded, below ``place`` of the path of the application."""
    raw = scope.get("raw_path")
    # Some servers leave the query in it.
    path: str = raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"], safe=_SAFE)
    # Frameworks keep the mount path at the front of the path.
    return path.removeprefix(quote(scope.get("root_path", ""), safe=_SAFE)).removeprefix(place)


def headers_of(scope: Any) -> dict[str, str]:
    """The headers of a request, with names in lower case. Of repeated ones the first counts."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return headers


def peer_of(scope: Any) -> str:
    """The address that sent a request."""
    client = scope.get("client")
    return client[0] if client else "unknown"


async def while_connected(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Run ``work``, which logs its own errors, until its end or until the client disconnects."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_wait_for_end(receive))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, leaving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
