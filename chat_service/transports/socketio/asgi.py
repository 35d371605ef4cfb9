"""Mounting on ASGI: one application for Socket.IO, the service's life cycle and another application."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from engineio import ASGIApp

from chat_service.transports.base import LifeCycleStep
from chat_service.transports.socketio.welcome import HEADERS

logger = logging.getLogger("chat_service")

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class AsgiApp:
    """An ASGI application. Paths below ``path`` are the service's, all others the other application's."""

    def __init__(
        self,
        server: Any,
        other: Any,
        path: str,
        on_startup: LifeCycleStep,
        on_shutdown: LifeCycleStep,
        *,
        page: bytes = b"",
    ) -> None:
        """``page``: what is at ``/`` when there is no other application."""
        self._serve = ASGIApp(server, other_asgi_app=other, engineio_path=path.strip("/"))
        self._other = other
        self._on_startup = on_startup
        self._on_shutdown = on_shutdown
        self._page = page

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            if self._other is None and _is_root(scope):
                await self._show_page(send)
            else:
                await self._serve(scope, receive, send)
            return
        other = OtherLifespan(self._other, scope) if self._other is not None else None
        while True:
            kind = (await receive())["type"]
            try:
                # What started first is stopped last.
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

    async def _show_page(self, send: Send) -> None:
        headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._page})

    async def _start(self, other: "OtherLifespan | None") -> None:
        await self._run_other(other, "lifespan.startup")
        try:
            await self._on_startup()
        except Exception:
            # The server sends no shutdown after this.
            await self._run_other(other, "lifespan.shutdown")
            raise

    @staticmethod
    async def _run_other(other: "OtherLifespan | None", kind: str) -> None:
        if other is not None:
            await other.run(kind)


def _is_root(scope: Any) -> bool:
    """Whether a request is for the page at ``/``, which a mounted application may have below a path."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    root = scope.get("root_path", "").rstrip("/")
    return scope["path"] in ("", "/", root, f"{root}/")


class OtherLifespan:
    """Drives the lifespan of the other application. One that knows no lifespan is let be."""

    def __init__(self, app: Any, scope: Any) -> None:
        self._app = app
        self._scope = scope
        self._to_app: asyncio.Queue[Any] = asyncio.Queue()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def run(self, kind: str) -> None:
        """Pass an event on and wait for its answer. Raises ``RuntimeError`` when the application failed."""
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
