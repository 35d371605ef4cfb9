"""Services with small socket buffers, so that unsent data waits in the process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import socketio
import uvicorn
from aiohttp import web

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.support.patience import PATIENCE
from tests.support.world import name_by_query

#: Where the service listens: at its own port, in an aiohttp or ASGI application, on a server of the caller.
KINDS = ("own", "app", "asgi", "server")


def small_socket() -> socket.socket:
    """A listening socket. Accepted connections have its small buffer."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    return listening


@asynccontextmanager
async def small_service(
    kind: str = "own",
    *,
    hooks: dict[str, Any] | None = None,
    transport_options: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[ChatService, int]]:
    """A started service, and its port."""
    listening = small_socket()
    port = listening.getsockname()[1]
    transport_options = dict(transport_options or {})
    app = web.Application()
    if kind == "app":
        transport_options["app"] = app
    elif kind == "server":
        # Its pings end soon after their connections that way.
        server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=0.1, monitor_clients=False)
        server.attach(app)
        transport_options = {"server": server, "send_buffer_limit": transport_options["send_buffer_limit"]}
    service = ChatService(
        command_rate=None,
        hooks={"on_connect": name_by_query, **(hooks or {})},
        transport_options=transport_options,
        **options,
    )
    if kind == "own":
        service.listen_at(sockets=[listening])
        async with service:
            yield service, port
    elif kind == "asgi":
        async with _uvicorn(service.asgi_app(), listening):
            yield service, port
    else:
        async with _aiohttp(app, listening):
            if kind == "server":
                async with service:
                    yield service, port
            else:
                yield service, port


@asynccontextmanager
async def _aiohttp(app: web.Application, listening: socket.socket) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None)
    try:
        await runner.setup()
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _uvicorn(app: Any, listening: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, lifespan="on", log_config=None, timeout_graceful_shutdown=int(PATIENCE))
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listening]))
    try:
        await wait_until(lambda: server.started or task.done(), "uvicorn to start")
        yield
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task
