"""``service.operations``: metrics and health of one service, and the pages that show them."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from chat_service.domain.context import Context
from chat_service.operations import health
from chat_service.operations.asgi_pages import OperationsApp
from chat_service.operations.health import Readiness
from chat_service.operations.http import OperationsServer, add_routes
from chat_service.operations.metrics import Reading, ServiceCollector
from chat_service.operations.pages import Pages
from chat_service.version import __version__


class Operations:
    """What an operator may ask a service.

    With the option ``operations_port`` the pages ``/metrics``, ``/healthz`` and ``/readyz`` are served on a
    port of their own; otherwise an application can mount them.
    """

    def __init__(self, context: Context, phase: Callable[[], str]) -> None:
        self._context = context
        self._phase = phase
        #: Collects the metrics of this service, for a registry of yours.
        self.collector: Collector = ServiceCollector(self._read)
        #: The metrics of this service and of its process.
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
        #: Whether the process that this one replaces may still listen on the same port.
        self.shares_port = False
        self._asked_port = context.options.operations_port
        self._server: OperationsServer | None = None

    def _read(self) -> Reading:
        context = self._context
        store, transport = context.store, context.transport
        return Reading(
            context=context,
            version=__version__,
            is_running=self._phase() == "running",
            store=store.statistics() if hasattr(store, "statistics") else None,
            bus=health.bus_status(context),
            transport=transport.statistics() if hasattr(transport, "statistics") else None,
        )

    @property
    def port(self) -> int | None:
        """The TCP port of the pages, None when they are not served."""
        return self._server.port if self._server is not None else None

    async def readiness(self) -> Readiness:
        """Whether the service should get new clients. Never raises.

        It runs, does not drain, has a valid lease, the store answers and knows it, the bus hears its probes.
        """
        return await health.look(self._context, self._phase)

    def add_routes(self, app: Any, prefix: str = "") -> None:
        """Add the pages to an ``aiohttp.web.Application``, below a prefix. Who can reach it can read them."""
        add_routes(app, self._pages, prefix)

    def asgi_app(self) -> Any:
        """An ASGI application of the pages, to be mounted below a path. Who can reach it can read them."""
        return OperationsApp(self._pages)

    # Called by the life cycle

    def listen_at(self, *, port: int | None, shares_port: bool = False) -> None:
        """Serve the pages elsewhere than the options say; to be called before the start.

        ``port``: None does not serve them. ``shares_port``: a process that this one replaces may still listen
        there.
        """
        self._asked_port = port
        self.shares_port = shares_port

    async def listen(self) -> None:
        """Serve the pages if the options say so. Raises ``OSError`` when the address cannot be used."""
        options = self._context.options
        if self._asked_port is not None:
            self._server = OperationsServer(
                self._pages,
                options.operations_host,
                self._asked_port,
                shares_port=self.shares_port,
            )
            await self._server.start()

    async def close(self) -> None:
        """Serve the pages no more. Idempotent."""
        if self._server is not None:
            await self._server.close()
