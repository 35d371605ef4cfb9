"""Mounting on ASGI: one application for Socket.IO, the service's life cycle and another application."""

import asyncio
import html
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from chat_service.contracts.transport import LifeCycleStep
from chat_service.errors import ServiceClosedError

CLIENTS: Final = "https://socket.io/docs/v4/client-initialization/"
HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def welcome(namespace: str) -> bytes:
    """The content of the page. ``namespace``: the service's namespace."""
    return (
        "<!doctype html><title>chat_service</title>"
        f"<p>chat_service runs here, in the namespace {html.escape(namespace)}. It is for "
        f'<a href="{CLIENTS}">Socket.IO clients</a>; there is no page to see.\n'
    ).encode()


logger = logging.getLogger("chat_service")

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Serve = Callable[[Any, Receive, Send], Awaitable[Any]]

#: The close code for a refused WebSocket: policy violation.
REFUSED = 1008
NO_LIFESPAN = (
    "the ASGI server sent no lifespan events: the first request has started the service, and the end of the"
    " server will not close it. Turn lifespan on, or run the service by `async with service` in the lifespan"
    " of the application that it is mounted on"
)


def is_below(scope: Any, path: str) -> bool:
    """Whether a request is for a path, with or without a trailing slash.

    ``root_path``, the prefix that a proxy or an outer application serves, may or may not be included in the
    path of the request and in ``path``: servers and frameworks differ.
    """
    asked, root = scope["path"].rstrip("/"), (scope.get("root_path") or "").rstrip("/")
    return asked in (path, root + path)


def is_inside(scope: Any, path: str) -> bool:
    """Whether a request is for a path or for one below it. See ``is_below``."""
    asked, root = scope["path"], (scope.get("root_path") or "").rstrip("/")
    return any(asked == each or asked.startswith(f"{each}/") for each in (path, root + path))


def is_page(scope: Any) -> bool:
    """Whether a request is for the page at ``/``."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    return is_below(scope, "")


class AsgiApp:
    """An ASGI application. The service gets requests for ``path``, the other application all others."""

    def __init__(
        self,
        serve: Serve,
        other: Any,
        path: str,
        on_startup: LifeCycleStep,
        on_shutdown: LifeCycleStep,
        *,
        is_started: Callable[[], bool],
        page: bytes = b"",
        more: Mapping[str, Serve] = MappingProxyType({}),
        sites: Mapping[str, Serve] = MappingProxyType({}),
    ) -> None:
        """``serve``: answers a request or a WebSocket. ``is_started``: whether the service has been
        started.

        ``page``: served at ``/`` if there is no other application. ``more``: more paths, with what answers
        them. ``sites``: the same for paths and everything below them; more may be added later.
        """
        self._sites = sites
        self._served = {f"/{path.strip('/')}": serve, **more}
        self._other = other
        self._on_startup = on_startup
        self._on_shutdown = on_shutdown
        self._is_started = is_started
        self._page = page
        #: Starts the service if there are no lifespan events.
        self._starting: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        serve = next((each for path, each in self._served.items() if is_below(scope, path)), None)
        if serve is None:
            serve = next((each for path, each in self._sites.items() if is_inside(scope, path)), None)
        if serve is not None and not self._is_started():
            await self._start_late()
        if serve is not None:
            await serve(scope, receive, send)
        elif self._other is not None:
            await self._pass_on(scope, receive, send)
        elif is_page(scope):
            await self._show_page(send)
        else:
            await refuse(scope, receive, send)

    async def _pass_on(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._other(scope, receive, send)
            return
        has_answered = False

        async def answer(message: Any) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        await self._other(scope, receive, answer)
        if not has_answered:
            # This application supports only HTTP.
            await refuse(scope, None, send)

    async def _show_page(self, send: Send) -> None:
        headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._page})

    async def _start_late(self) -> None:
        """Start the service at the first request if the server has not sent lifespan events."""
        if self._starting is None:
            # In its own task, because the end of the request must not cancel it.
            self._starting = asyncio.create_task(self._start_service(), name="start without a lifespan")
        await asyncio.shield(self._starting)

    async def _start_service(self) -> None:
        try:
            await self._on_startup()
            logger.warning(NO_LIFESPAN)
        except ServiceClosedError as error:
            # Requests are refused from now on.
            logger.debug("a request arrived after the service was closed: %s", error)
        except Exception as error:
            logger.error("the service cannot start: %s", error)

    # Lifespan

    async def _live(self, scope: Any, receive: Receive, send: Send) -> None:
        other = OtherLifespan(self._other, scope) if self._other is not None else None
        while True:
            kind = (await receive())["type"]
            try:
                # Shut down in reverse order.
                if kind == "lifespan.startup":
                    await self._start(other)
                else:
                    try:
                        await self._on_shutdown()
                    finally:
                        await self._run_other(other, kind)
            except Exception as error:
                logger.error("%s failed: %s", kind, error)
                await send({"type": f"{kind}.failed", "message": str(error)})
                return
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _start(self, other: "OtherLifespan | None") -> None:
        await self._run_other(other, "lifespan.startup")
        try:
            await self._on_startup()
        except Exception:
            # The server does not send a shutdown event after this.
            await self._run_other(other, "lifespan.shutdown")
            raise

    @staticmethod
    async def _run_other(other: "OtherLifespan | None", kind: str) -> None:
        if other is not None:
            await other.run(kind)


async def refuse(
    scope: Any, receive: Receive | None, send: Send, status: int = 404, body: bytes = b"Not Found"
) -> None:
    """Refuse a request or a WebSocket. ``receive``: None if the first event was already received."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    kind = "http.response"
    if scope["type"] == "websocket":
        if receive is not None:
            await receive()
        kind = "websocket.http.response"
        if kind not in (scope.get("extensions") or {}):
            # The server turns this into a 403.
            await send({"type": "websocket.close", "code": REFUSED, "reason": body.decode()})
            return
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


class OtherLifespan:
    """Drives the lifespan of the other application, if that supports lifespan events."""

    def __init__(self, app: Any, scope: Any) -> None:
        self._app = app
        self._scope = scope
        self._to_app: asyncio.Queue[Any] = asyncio.Queue()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def run(self, kind: str) -> None:
        """Pass an event on and wait for its answer. Raises ``RuntimeError`` if the application failed."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        if self._task.done():
            return
        self._to_app.put_nowait({"type": kind})
        answer = asyncio.create_task(self._answers.get())
        await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            return
        if answer.result()["type"].endswith(".failed"):
            raise RuntimeError(answer.result().get("message") or f"{kind} of the application failed")
        if kind == "lifespan.shutdown":
            await self._task

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._to_app.get, self._put)
        except Exception as error:
            logger.debug("the application has no lifespan: %r", error)

    async def _put(self, message: Any) -> None:
        self._answers.put_nowait(message)
