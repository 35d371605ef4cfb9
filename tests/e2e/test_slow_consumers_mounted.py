"""Clients that do not read, in a mounted service: their queues are also bounded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from aiohttp import web

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.e2e.conftest import ConnectTo
from tests.e2e.mounted import make_service
from tests.e2e.stopped import stopped_reader
from tests.e2e.test_mounting import running
from tests.e2e.test_mounting_asgi import uvicorn_server
from tests.support.parts import parts_of

LIMIT = 64 * 1024
SIZE = 32 * 1024
#: What systems and servers may keep for a connection that is not read.
SYSTEM = 32 * 1024 * 1024


@asynccontextmanager
async def mounted(kind: str) -> AsyncIterator[tuple[ChatService, int]]:
    options: dict[str, Any] = {"send_buffer_limit": LIMIT}
    if kind == "asgi":
        service = make_service(transport_options=options)
        async with uvicorn_server(service.asgi_app()) as (_, port):
            yield service, port
        return
    app = web.Application()
    if kind == "server":
        # Its pings end soon after their connections that way.
        options["server"] = socketio.AsyncServer(
            async_mode="aiohttp", ping_interval=0.1, monitor_clients=False
        )
        options["server"].attach(app)
    else:
        options["app"] = app
    service = make_service(transport_options=options)
    async with running(app) as port:
        if kind == "server":
            async with service:
                yield service, port
        else:
            yield service, port


@pytest.mark.covers("transport_option:send_buffer_limit")
@pytest.mark.parametrize("kind", ["app", "asgi", "server"])
async def test_a_reader_that_stops_is_disconnected(connect: ConnectTo, kind: str) -> None:
    async with mounted(kind) as (service, port):
        transport: Any = parts_of(service).transport
        speaker = await connect(port, "speaker")
        await speaker.wait_for("loginConfirmed")
        await speaker.call("roomJoin", "room")
        async with stopped_reader(port, "reader", "room"):
            sent = 0
            while not transport.statistics().slow_consumers:
                assert sent * SIZE < SYSTEM, "the reader is not cut"
                await speaker.call("roomMessage", "room", {"textMessage": "x" * SIZE})
                sent += 1
                assert transport.statistics().send_buffer_bytes < LIMIT + 20 * SIZE
            await wait_until(lambda: len(parts_of(service).sessions) == 1, "the reader to be gone")
            assert parts_of(service).counters.disconnects["slow consumer"] == 1
        ids = [(await speaker.wait_for("roomMessage"))[1]["id"] for _ in range(sent)]
        assert ids == list(range(1, sent + 1))
        await speaker.disconnect()
