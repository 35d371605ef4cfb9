"""A back end for webhooks that tests control, over real connections."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.support.world import Instance, World

SECRET = "0123456789abcdef" * 4
OPTIONS: dict[str, Any] = {
    "secrets": {"k1": SECRET},
    # Tests of timeouts set their own.
    "backoff_first": 0.001,
    "backoff_longest": 0.002,
}

#: A back end's reaction to a request: JSON for an answer with status 200, or a whole answer.
Behaviour = Callable[["Asked"], Awaitable[Any]]


@dataclass
class Asked:
    """One request, as received."""

    path: str
    headers: dict[str, str]
    body: bytes
    request: web.Request = field(repr=False)

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class BackEnd:
    """A server on its own port. ``behaviour``: for all paths without one in ``by_path``."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.by_path: dict[str, Behaviour] = {}
        #: Set at the end, so that hanging requests continue.
        self.ends = asyncio.Event()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._runner: web.AppRunner | None = None

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=tls).start()

    async def stop(self) -> None:
        """Stop listening: connections are refused. The server can be started again."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.path, headers, await request.read(), request)
        self.asked.append(asked)
        behaviour = self.by_path.get(request.path)
        answer = {} if behaviour is None else await behaviour(asked)
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.json_response(answer)

    def says(self, path: str, answer: Any) -> None:
        """Answer all requests to a path with this."""

        async def behave(asked: Asked) -> Any:
            return web.Response(**answer.__dict__) if isinstance(answer, Raw) else answer

        self.by_path[path] = behave

    def hangs(self, path: str) -> None:
        """Let all requests to a path hang until the end."""

        async def behave(asked: Asked) -> Any:
            await self.ends.wait()
            return {}

        self.by_path[path] = behave

    def requests(self, path: str) -> list[Any]:
        """The bodies of the requests to a path."""
        return [asked.data for asked in self.asked if asked.path == path]

    def events(self, path: str = "/events") -> list[Any]:
        """All received events, including repeats."""
        return [event for body in self.requests(path) for event in body["events"]]

    async def got(self, count: int, path: str) -> list[Any]:
        """Wait for this number of requests to a path, and return their bodies."""
        await wait_until(lambda: len(self.requests(path)) >= count, f"{count} requests to {path}")
        return self.requests(path)


@dataclass
class Raw:
    """A whole answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def back_end() -> AsyncIterator[BackEnd]:
    """A back end that answers ``{}`` to everything."""
    made = BackEnd()
    await made.start()
    try:
        yield made
    finally:
        made.ends.set()
        await made.stop()


async def start(world: World, webhooks: dict[str, Any], **options: Any) -> Instance:
    """An instance with webhooks."""
    return await world.start(webhook_options={**OPTIONS, **webhooks}, **options)


def on_connect(service: ChatService, socket_id: str) -> Any:
    return service.transport.get_handshake_data(socket_id).query.get("userName")
