"""The operations pages: a path in, a response out, served by aiohttp or as an ASGI application."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from chat_service.http_api.aiohttp_api import add_api_routes
from chat_service.http_api.http_api import HttpApi
from chat_service.http_ports import ACCEPTS_AT_ONCE, PortRunner
from chat_service.open_files import watch_accepting
from chat_service.operations.health import Readiness

METRICS_PATH, HEALTH_PATH, READY_PATH = "/metrics", "/healthz", "/readyz"
PATHS = (METRICS_PATH, HEALTH_PATH, READY_PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An HTTP response."""

    status: int
    content_type: str
    body: bytes


class Pages:
    """Renders the pages of a service.

    ``is_alive``: returns False once the service has failed or closed; ``instance``: returns its id.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        readiness: Callable[[], Awaitable[Readiness]],
        is_alive: Callable[[], bool],
        instance: Callable[[], str],
    ) -> None:
        self._registry = registry
        self._readiness = readiness
        self._is_alive = is_alive
        self._instance = instance

    async def get(self, path: str, accept: str = "") -> Page | None:
        """The page at a path, or None. ``accept``: the request's ``Accept`` header."""
        if path == METRICS_PATH:
            encode, content_type = choose_encoder(accept)
            return Page(status=200, content_type=content_type, body=encode(self._registry))
        if path == HEALTH_PATH:
            is_alive = self._is_alive()
            return self._json(200 if is_alive else 503, {"status": "ok" if is_alive else "closed"})
        if path == READY_PATH:
            found = await self._readiness()
            return self._json(200 if found.is_ready else 503, found.as_dict())
        return None

    def _json(self, status: int, fields: dict[str, Any]) -> Page:
        body = json.dumps({**fields, "instance": self._instance()})
        return Page(status=status, content_type="application/json", body=body.encode() + b"\n")


#: Time in seconds for running requests to finish when the server closes.
SHUTDOWN_GRACE = 1.0


def add_routes(app: web.Application, pages: Pages, prefix: str = "") -> None:
    """Add the pages to an application under a prefix."""

    async def handle(request: web.Request) -> web.Response:
        path = request.path.removeprefix(prefix)
        page = await pages.get(path, request.headers.get("Accept", ""))
        if page is None:
            raise web.HTTPNotFound
        # Set as a header: aiohttp's ``content_type`` refuses the parameters of the metrics' type.
        headers = {"Content-Type": page.content_type}
        return web.Response(status=page.status, body=page.body, headers=headers)

    for path in PATHS:
        app.router.add_get(prefix + path, handle)


class OperationsServer:
    """A server for the pages, and the HTTP API if there is one.

    ``shares_port``: allows others with this setting on the same port.
    """

    def __init__(
        self, pages: Pages, host: str, port: int, *, shares_port: bool = False, api: HttpApi | None = None
    ) -> None:
        self._pages = pages
        self._host = host
        self._port = port
        self._shares_port = shares_port
        self._api = api
        self._runner: PortRunner | None = None

    async def start(self) -> None:
        """Start listening. Raises ``OSError`` if the address is unusable."""
        app = web.Application()
        add_routes(app, self._pages)
        if self._api is not None:
            add_api_routes(app, self._api)
        self._runner = PortRunner(app, shutdown_timeout=SHUTDOWN_GRACE)
        await self._runner.setup()
        # None leaves the option alone, for platforms that lack it.
        shared = True if self._shares_port else None
        site = web.TCPSite(
            self._runner,
            self._host,
            self._port,
            backlog=ACCEPTS_AT_ONCE,
            reuse_address=True,
            reuse_port=shared,
        )
        watch_accepting()
        await site.start()
        self._runner.queue_connections()

    async def close(self) -> None:
        """Stop listening. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @property
    def port(self) -> int | None:
        """The TCP port, None while not listening."""
        if self._runner is None or not self._runner.addresses:
            return None
        return int(self._runner.addresses[0][1])


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
