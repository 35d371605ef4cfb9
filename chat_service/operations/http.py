"""The operations pages over aiohttp: on a separate port, or in an existing application."""

from aiohttp import web

from chat_service.http_api.aiohttp_api import add_api_routes
from chat_service.http_api.http_api import HttpApi
from chat_service.http_ports import PortRunner
from chat_service.operations.pages import PATHS, Pages

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
        self._runner: web.AppRunner | None = None

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
        site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True, reuse_port=shared)
        await site.start()

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
