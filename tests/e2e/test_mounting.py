"""Inside other applications: their routes, namespaces and life cycles are not affected."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from aiohttp import web

from chat_service import ChatService, ConfigurationError
from chat_service.testing import InProcessTransport, wait_until
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import POLLING, ConnectTo
from tests.e2e.mounted import WAYS, get_text, make_service, talk
from tests.e2e.raw import websocket


@asynccontextmanager
async def running(app: web.Application, **options: Any) -> AsyncIterator[int]:
    """An aiohttp application on a free port. ``options``: of the runner."""
    runner = web.AppRunner(app, access_log=None, **options)
    try:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def make_app(log: list[str]) -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def life(app: web.Application) -> AsyncIterator[None]:
        log.append("app starts")
        yield
        log.append("app closes")

    app = web.Application()
    app.router.add_get("/hello", hello)
    app.cleanup_ctx.append(life)
    return app


@pytest.mark.covers("transport_option:app", "transport_option:path")
@pytest.mark.parametrize("path", ["/socket.io", "/deep/er"])
async def test_aiohttp_application(connect: ConnectTo, path: str) -> None:
    log: list[str] = []
    app = make_app(log)
    service = make_service(log, transport_options={"app": app, "path": path})
    async with running(app) as port:
        assert service.port is None
        if path == "/socket.io":
            clients = await talk(connect, port)
        else:
            client = await connect(port, "user", path="/deep/er/")
            await client.wait_for("loginConfirmed")
            clients = [client]
        assert await get_text(port, "/hello") == (200, "hello")
        assert (await get_text(port, "/nothing"))[0] == 404
    assert sorted(log[:2]) == ["app starts", "service starts"]
    assert log[2:] == ["service closes None", "app closes"]
    for client in clients:
        await client.wait_for("disconnect")


async def test_application_that_outlives_the_service(connect: ConnectTo) -> None:
    app = make_app([])
    service = make_service(transport_options={"app": app})
    async with running(app) as port:
        clients = await talk(connect, port)
        await service.close()
        for client in clients:
            assert await client.wait_for("disconnect")
        assert await get_text(port, "/hello") == (200, "hello")
        late = await connect(port, "late", transports=POLLING)
        assert await late.wait_for("connect_error")
        assert (await get_text(port, "/socket.io/?EIO=4&transport=polling"))[0] == 503
        assert not service.transport.get_server().eio.sockets


async def test_application_that_fails_to_start() -> None:
    log: list[str] = []
    app = make_app(log)
    service = make_service(log, transport_options={"app": app})

    async def fail(app: web.Application) -> None:
        raise OSError("no database")

    app.on_startup.append(fail)
    with pytest.raises(OSError, match="no database"):
        async with running(app):
            pass
    assert log[-1] in ("app closes", "service closes None") and "service closes None" in log
    assert "closed" in repr(service)


def own_server() -> socketio.AsyncServer:
    """A server of the caller with two namespaces."""
    # The library leaves a sleeping task behind for each socket, for the length of one interval.
    server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=0.1, ping_timeout=1)

    @server.on("echo", namespace="/other")
    async def echo(sid: str, data: Any) -> Any:
        await server.emit("echoed", data, namespace="/other", to=sid)
        return data

    @server.on("add")
    async def add(sid: str, one: int, two: int) -> int:
        return one + two

    return server


@pytest.mark.covers("transport_option:server")
async def test_a_callers_server(connect: ConnectTo) -> None:
    server = own_server()
    app = web.Application()
    server.attach(app)
    log: list[str] = []
    async with running(app) as port:
        service = make_service(log, transport_options={"server": server})
        await service.start()
        assert service.transport.get_server() is server and service.port is None
        others = [socketio.AsyncClient(reconnection=False) for _ in WAYS]
        for other, transports in zip(others, WAYS, strict=True):
            # One connection, three namespaces.
            await other.connect(
                f"http://127.0.0.1:{port}?userName=python",
                transports=transports,
                namespaces=["/", "/other", NAMESPACE],
            )

        async def check() -> None:
            for other in others:
                assert await other.call("echo", {"b": b"x"}, namespace="/other") == {"b": b"x"}
                assert await other.call("add", (1, 2)) == 3

        await check()
        clients = await talk(connect, port)
        assert len(await others[0].call("listOwnSockets", namespace=NAMESPACE)) == 2
        await check()
        await service.close()
        assert log == ["service starts", "service closes None"]
        for client in clients:
            await client.wait_for("disconnect")
        await wait_until(lambda: all(NAMESPACE not in other.namespaces for other in others), "the end")
        await check()
        # A new service takes the place of the old one.
        again = make_service(transport_options={"server": server})
        await again.start()
        clients = await talk(connect, port)
        await check()
        await again.close()
        for client in clients:
            await client.wait_for("disconnect")
        late = await connect(port, "late")
        await late.wait_for("connect_error")
        for other in others:
            await other.disconnect()
        await server.shutdown()


async def test_malformed_events_on_a_callers_server(connect: ConnectTo) -> None:
    server = own_server()
    app = web.Application()
    server.attach(app)
    async with running(app) as port:
        service = make_service(transport_options={"server": server})
        await service.start()
        async with websocket(port) as raw:
            await raw.login()
            for name in (5, None, ["roomJoin"], {"a": 1}, "connect", "disconnect", ""):
                await raw.send(f"42{NAMESPACE},7{json.dumps([name, {}])}")
                assert str((await raw.recv_ack(7))[0]).startswith("ChatServiceError: No such command")
            await raw.send(f'42{NAMESPACE},7["systemMessage",NaN]')
            assert str((await raw.recv_ack(7))[0]).startswith("ChatServiceError: Bad argument")
            assert (await raw.ack("listOwnSockets"))[0] is None
        await service.close()
        await server.shutdown()


async def test_namespace_that_is_taken() -> None:
    server = own_server()
    service = make_service(transport_options={"server": server}, namespace="/other")
    with pytest.raises(ConfigurationError, match="handlers of the namespace /other already"):
        await service.start()
    assert server.handlers["/other"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ChatService(transport_options={"app": web.Application(), "server": own_server()}),
            "give app or server, not both",
        ),
        (lambda: ChatService(transport_options={"server": object()}), "expected a socketio.AsyncServer"),
        (lambda: ChatService(transport_options={"app": 5}), "an aiohttp or ASGI application"),
        (
            lambda: ChatService(transport_options={"app": web.Application()}).asgi_app(),
            "mounted on an aiohttp application",
        ),
        (lambda: ChatService(transport=InProcessTransport()).asgi_app(), "does not support ASGI"),
    ],
)
def test_invalid_ways_of_mounting(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
