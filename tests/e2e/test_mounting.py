"""Inside of other applications: their routes, namespaces and life cycles go on as they were."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import socketio
import uvicorn
from aiohttp import web
from uvicorn.lifespan.on import LifespanOn

from chat_service import ChatService, ConfigurationError
from chat_service.testing import InProcessTransport, wait_until
from tests.e2e.clients import NAMESPACE, NodeProcess
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo
from tests.e2e.raw import websocket
from tests.support.world import name_by_query

WAYS = [WEBSOCKET, POLLING, UPGRADE]


def make_service(log: list[str] | None = None, **options: Any) -> ChatService:
    """A service that writes its life into ``log``."""
    written = [] if log is None else log

    async def on_start(service: ChatService) -> None:
        await service.add_room("room")
        written.append("service starts")

    hooks = {
        "on_connect": name_by_query,
        "on_start": on_start,
        "on_close": lambda service, error: written.append(f"service closes {error}"),
    }
    return ChatService(hooks=hooks, **options)


async def get_text(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


async def talk(connect: ConnectTo, port: int) -> list[Any]:
    """Clients over every transport, one of them Python, talk in a room. Returns them."""
    clients = []
    for number, (kind, transports) in enumerate([*(("js", way) for way in WAYS), ("py", UPGRADE)]):
        client = await connect(port, f"user{number}", kind=kind, transports=transports)
        await client.wait_for("loginConfirmed")
        await client.call("roomJoin", "room")
        clients.append(client)
    await clients[0].call("roomMessage", "room", {"textMessage": "hello"})
    for client in clients:
        assert (await client.wait_for("roomMessage"))[1]["author"] == "user0"
    return clients


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[int]:
    """An aiohttp application on a free port."""
    runner = web.AppRunner(app, access_log=None)
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


class OtherApp:
    """An ASGI application with a lifespan, a route and a WebSocket."""

    def __init__(self, log: list[str], *, startup_error: str | None = None) -> None:
        self.log = log
        self.startup_error = startup_error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": "echo " + (await receive())["text"]})
            await send({"type": "websocket.close"})
        else:
            status = 200 if scope["path"] == "/hello" else 404
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"hello"})

    async def lifespan(self, receive: Any, send: Any) -> None:
        while True:
            kind = (await receive())["type"]
            self.log.append(f"app {kind}")
            if kind == "lifespan.startup" and self.startup_error:
                await send({"type": "lifespan.startup.failed", "message": self.startup_error})
                return
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return


async def no_lifespan(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that knows HTTP alone."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def uvicorn_server(app: Any) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """A uvicorn server on a free port."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="on", log_config=None, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await wait_until(lambda: server.started or task.done(), "uvicorn to start")
        port = server.servers[0].sockets[0].getsockname()[1] if server.started else 0
        yield server, port
    finally:
        server.should_exit = True
        async with asyncio.timeout(10):
            await task


@pytest.mark.covers("transport_option:app", "api:asgi_app")
@pytest.mark.parametrize("given", ["option", "argument"])
async def test_asgi_application_under_uvicorn(
    connect: ConnectTo, node_process: NodeProcess, given: str
) -> None:
    log: list[str] = []
    other = OtherApp(log)
    # A poll that waits holds uvicorn's shutdown up until the next ping.
    options: dict[str, Any] = {"ping_interval": 0.5}
    if given == "option":
        options["app"] = other
    service = make_service(log, transport_options=options)
    app = service.asgi_app(*([other] if given == "argument" else []))
    async with uvicorn_server(app) as (_, port):
        assert log == ["app lifespan.startup", "service starts"]
        clients = await talk(connect, port)
        assert await get_text(port, "/hello") == (200, "hello")
        assert (await get_text(port, "/nothing"))[0] == 404
        async with aiohttp.ClientSession() as http, http.ws_connect(f"http://127.0.0.1:{port}/ws") as ws:
            await ws.send_str("x")
            assert await ws.receive_str() == "echo x"
        # The service ends a connection, and a bad one.
        await service.disconnect_user_sockets("user0")
        assert await clients[0].wait_for("disconnect") == ["io server disconnect"]
        async with websocket(port) as raw:
            await raw.login()
            await raw.send("42,[")
            await raw.wait_closed()
        await wait_until(lambda: len(service.transport.get_server().eio.sockets) == 3, "both to be gone")
    assert log[2:] == ["service closes None", "app lifespan.shutdown"]
    for client in clients[1:]:
        await client.wait_for("disconnect")


async def test_asgi_application_without_a_lifespan(connect: ConnectTo) -> None:
    log: list[str] = []
    service = make_service(log)
    async with uvicorn_server(service.asgi_app(no_lifespan)) as (_, port):
        assert await get_text(port, "/hello") == (200, "hello")
        await (await connect(port, "user")).wait_for("loginConfirmed")
    assert log == ["service starts", "service closes None"]


async def test_asgi_without_another_application(connect: ConnectTo) -> None:
    service = make_service()
    async with uvicorn_server(service.asgi_app()) as (_, port):
        assert (await get_text(port, "/hello"))[0] == 404
        await (await connect(port, "user")).wait_for("loginConfirmed")


async def test_asgi_service_that_fails_to_start(caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []

    def on_start(service: ChatService) -> None:
        raise OSError("no database")

    service = ChatService(hooks={"on_start": on_start})
    lifespan = LifespanOn(uvicorn.Config(service.asgi_app(OtherApp(log)), log_config=None))
    await lifespan.startup()
    assert lifespan.should_exit
    assert "no database" in caplog.text
    assert log == ["app lifespan.startup", "app lifespan.shutdown"]
    caplog.clear()


async def test_asgi_application_that_fails_to_start(caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    service = make_service(log)
    app = service.asgi_app(OtherApp(log, startup_error="no disk"))
    lifespan = LifespanOn(uvicorn.Config(app, log_config=None))
    await lifespan.startup()
    assert lifespan.should_exit
    assert log == ["app lifespan.startup"]
    assert "no disk" in caplog.text
    caplog.clear()
    await service.close()


async def test_asgi_client_that_is_gone_before_its_request_is_read() -> None:
    service = make_service()
    app = service.asgi_app()

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    await service.start()
    for query in (b"EIO=4&transport=polling", b""):
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/socket.io/",
            "query_string": query,
            "headers": [],
        }
        await app(scope, receive, send)
    assert not service.transport.get_server().eio.sockets
    await service.close()


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
async def test_server_of_the_caller(connect: ConnectTo) -> None:
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


async def test_strange_events_on_a_server_of_the_caller(connect: ConnectTo) -> None:
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
        (lambda: ChatService(transport=InProcessTransport()).asgi_app(), "cannot be an ASGI application"),
    ],
)
def test_mounting_that_cannot_be(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


async def test_asgi_application_of_a_running_service() -> None:
    async with ChatService(host="127.0.0.1", port=0) as service:
        with pytest.raises(ConfigurationError, match="before the service is started"):
            service.asgi_app()
