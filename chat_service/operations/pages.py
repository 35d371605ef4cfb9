"""The operations pages, independent of a server: a path in, a response out."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

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
