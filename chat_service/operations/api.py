"""``service.operations``: metrics and health of a service, and the HTTP pages that show them."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from chat_service.contracts.capabilities import (
    MeasuredByName,
    MeasuredStore,
    MeasuredTransport,
    name_of,
)
from chat_service.domain.context import Context
from chat_service.http_api.aiohttp_api import add_api_routes
from chat_service.http_api.api_options import ApiOptions
from chat_service.http_api.asgi_api import ApiApp
from chat_service.http_api.http_api import HttpApi
from chat_service.operations import health
from chat_service.operations.health import Readiness
from chat_service.operations.measuring import Reading
from chat_service.operations.metrics import ServiceCollector
from chat_service.operations.pages import OperationsApp, OperationsServer, Pages, add_routes
from chat_service.version import __version__


class Operations:
    """Metrics, health and the operations pages of a service.

    The option ``operations_port`` serves the pages ``/metrics``, ``/healthz`` and ``/readyz`` on a separate
    port, and the HTTP API at ``/api`` if ``api_options`` has a token. Without it, an application can mount
    them.
    """

    def __init__(self, context: Context, phase: Callable[[], str]) -> None:
        self._context = context
        self._phase = phase
        #: Collects the metrics of this service, for use with your own registry.
        self.collector: Collector = ServiceCollector(self._read)
        #: The metrics of this service and its process.
        self.registry = CollectorRegistry()
        self.registry.register(self.collector)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._pages = Pages(
            self.registry,
            self.readiness,
            lambda: phase() != "closed",
            lambda: str(context.instance_id()),
        )
        self._api = HttpApi(context, ApiOptions.from_mapping(context.options.api_options))
        #: Whether the process being replaced may still listen on the same port.
        self.shares_port = False
        self._asked_port = context.options.operations_port
        self._server: OperationsServer | None = None

    def _read(self) -> Reading:
        context = self._context
        store, transport = context.store, context.transport
        figures = transport.statistics() if isinstance(transport, MeasuredTransport) else None
        return Reading(
            context=context,
            version=__version__,
            is_running=self._phase() == "running",
            store=store.statistics() if isinstance(store, MeasuredStore) else None,
            bus=health.bus_status(context),
            transport=figures,
            transports=transport.statistics_by_transport()
            if isinstance(transport, MeasuredByName)
            else {name_of(transport): figures}
            if figures is not None
            else {},
        )

    @property
    def port(self) -> int | None:
        """The TCP port of the pages, None if they are not served."""
        return self._server.port if self._server is not None else None

    async def readiness(self) -> Readiness:
        """Whether the service should receive new clients. Never raises.

        That requires that it is running and not draining, its lease is valid, the store responds and knows
        this instance, and the bus passes its probes.
        """
        return await health.look(self._context, self._phase)

    @property
    def has_api(self) -> bool:
        """Whether the HTTP API is on, because it has a token."""
        return self._api.is_on

    def add_routes(self, app: Any, prefix: str = "") -> None:
        """Add the pages to an ``aiohttp.web.Application`` under a prefix. They are not access-controlled.

        The HTTP API is not among them: see ``add_api_routes``.
        """
        add_routes(app, self._pages, prefix)

    def asgi_app(self) -> Any:
        """An ASGI application of the pages, to mount under a path. They are not access-controlled.

        The HTTP API is not among them: see ``asgi_api_app``.
        """
        return OperationsApp(self._pages)

    def add_api_routes(self, app: Any, prefix: str = "") -> None:
        """Add the HTTP API to an ``aiohttp.web.Application``, at ``/api`` under a prefix."""
        add_api_routes(app, self._api, prefix)

    def asgi_api_app(self) -> Any:
        """An ASGI application of the HTTP API, to mount under a path, such as ``/api``."""
        return ApiApp(self._api)

    def listen_at(self, *, port: int | None, shares_port: bool = False) -> None:
        """Serve the pages on another port than the options say. Call it before the start.

        ``port``: None turns the pages off. ``shares_port``: a process that this one replaces may still listen
        on the port.
        """
        self._asked_port = port
        self.shares_port = shares_port

    # Called by the service's lifecycle

    async def listen(self) -> None:
        """Serve the pages if the options ask for it. Raises ``OSError`` if the address is unusable."""
        options = self._context.options
        if self._asked_port is not None:
            self._server = OperationsServer(
                self._pages,
                options.operations_host,
                self._asked_port,
                shares_port=self.shares_port,
                api=self._api if self._api.is_on else None,
            )
            await self._server.start()

    async def close_api(self) -> None:
        """Refuse new requests of the HTTP API, and end its streams. Idempotent."""
        await self._api.close()

    async def close(self) -> None:
        """Stop serving the pages. Idempotent."""
        if self._server is not None:
            await self._server.close()
