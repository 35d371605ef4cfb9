"""Mounted below a path, next to other applications, or without a lifespan; foreign requests are refused."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from chat_service import ChatService
from chat_service.testing import wait_until
from chat_service.transports.socketio.asgi import NO_LIFESPAN, is_below
from tests.e2e.conftest import ConnectTo, Serve
from tests.e2e.mounted import WAYS, get_text, make_service
from tests.e2e.test_mounting import running
from tests.e2e.test_mounting_asgi import uvicorn_complains
from tests.support.patience import PATIENCE

__all__ = ["uvicorn_complains"]

pytestmark = pytest.mark.covers("api:asgi_app", "transport_option:path")


@asynccontextmanager
async def uvicorn_server(app: Any, **options: Any) -> AsyncIterator[int]:
    """A uvicorn server on a free port, which is given."""
    options = {"lifespan": "auto", **options}
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=int(PATIENCE), **options
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await wait_until(lambda: server.started or task.done(), "uvicorn to start")
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def is_served(connect: ConnectTo, port: int, path: str) -> None:
    """Clients of every transport log in at a path."""
    for number, transports in enumerate(WAYS):
        client = await connect(port, f"user{number}", transports=transports, path=path)
        await client.wait_for("loginConfirmed")
        await client.disconnect()


@pytest.mark.parametrize(
    ("path", "root_path", "asked", "ours"),
    [
        ("/socket.io", "", "/socket.io/", True),
        ("/socket.io", "", "/socket.io", True),
        ("/socket.io", "/app", "/app/socket.io/", True),
        ("/socket.io", "/app", "/app/socket.io", True),
        ("/socket.io", "/app/", "/app/socket.io/", True),
        # A server that leaves the path as the proxy has made it, and an option with the whole path.
        ("/socket.io", "/app", "/socket.io/", True),
        ("/app/socket.io", "/app", "/app/socket.io/", True),
        ("/socket.io", "/a/b", "/a/b/socket.io/", True),
        ("/socket.io", "/a/b", "/a/socket.io/", False),
        ("/socket.io", "/app", "/apple/socket.io/", False),
        ("/socket.io", "", "/socket.io2/", False),
        ("/socket.io", "", "/socket.io/x", False),
        ("/socket.io", "", "/app/socket.io/", False),
        ("/socket.io", "", "/", False),
        ("/socket.io", "", "", False),
    ],
)
def test_requests_that_belong_to_the_service(path: str, root_path: str, asked: str, ours: bool) -> None:
    assert is_below({"path": asked, "root_path": root_path}, path) is ours
    if not root_path:
        assert is_below({"path": asked}, path) is ours
        assert is_below({"path": asked, "root_path": None}, path) is ours


async def test_behind_a_proxy_that_strips_the_prefix(connect: ConnectTo) -> None:
    service = make_service()
    async with uvicorn_server(service.asgi_app(), root_path="/app") as port:
        await is_served(connect, port, "/socket.io/")


@pytest.mark.parametrize("path", ["/socket.io", "/app/socket.io"])
async def test_mounted_below_a_path(connect: ConnectTo, path: str) -> None:
    """The lifespan of the outer application starts and closes the service."""
    log: list[str] = []
    service = make_service(log, transport_options={"path": path})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with service:
            yield

    routes = [Mount("/app", app=service.asgi_app()), Route("/hello", hello)]
    async with uvicorn_server(Starlette(routes=routes, lifespan=lifespan)) as port:
        assert log == ["service starts"]
        await is_served(connect, port, "/app/socket.io/")
        assert await get_text(port, "/hello") == (200, "hello")
        assert (await get_text(port, "/app/nothing"))[0] == 404
        assert (await get_text(port, "/socket.io/?EIO=4&transport=polling"))[0] == 404
    assert log == ["service starts", "service closes None"]


async def test_mounted_twice_over(connect: ConnectTo) -> None:
    service = make_service()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with service:
            yield

    inner = Starlette(routes=[Mount("/inner", app=service.asgi_app())])
    outer = Starlette(routes=[Mount("/outer", app=inner)], lifespan=lifespan)
    async with uvicorn_server(outer, root_path="/proxy") as port:
        await is_served(connect, port, "/outer/inner/socket.io/")


async def test_beside_another_application(connect: ConnectTo) -> None:
    service = make_service()
    site = Starlette(routes=[Route("/hello", hello), Route("/socket.io/lib.js", hello)])
    async with uvicorn_server(service.asgi_app(site)) as port:
        await is_served(connect, port, "/socket.io/")
        for path in ("/hello", "/socket.io/lib.js"):
            assert await get_text(port, path) == (200, "hello")


@pytest.mark.parametrize("how", ["lifespan off", "mounted"])
async def test_without_a_lifespan_the_first_request_starts_the_service(
    connect: ConnectTo, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    log: list[str] = []
    service = make_service(log)
    app: Any = service.asgi_app()
    if how == "mounted":
        app = Starlette(routes=[Mount("/", app=app)])
    async with uvicorn_server(app, lifespan="off" if how == "lifespan off" else "on") as port:
        assert (await get_text(port, "/nothing"))[0] == 404 and log == []
        clients = await asyncio.gather(*(connect(port, f"user{number}") for number in range(3)))
        for client in clients:
            await client.wait_for("loginConfirmed")
        await is_served(connect, port, "/socket.io/")
        # Nobody else closes it.
        await service.close()
        assert (await get_text(port, "/socket.io/?EIO=4&transport=polling"))[0] == 503
    assert log == ["service starts", "service closes None"]
    told = [record.getMessage() for record in caplog.records if "lifespan" in record.getMessage()]
    assert told.count(NO_LIFESPAN) == 1


async def test_a_service_that_cannot_start_says_why(
    connect: ConnectTo, caplog: pytest.LogCaptureFixture
) -> None:
    def on_start(service: ChatService) -> None:
        raise OSError("no database")

    service = ChatService(hooks={"on_start": on_start})
    async with uvicorn_server(service.asgi_app(), lifespan="off") as port:
        for _ in range(3):
            assert (await get_text(port, "/socket.io/?EIO=4&transport=polling"))[0] == 503
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert told == ["the service cannot start: no database"]
    caplog.clear()


# What is not ours


async def http_only(scope: Any, receive: Any, send: Any) -> None:
    """An application that forgets WebSockets."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"other"})


@asynccontextmanager
async def at_aiohttp(serve: Serve) -> AsyncIterator[int]:
    app = web.Application()
    make_service(transport_options={"app": app})
    async with running(app) as port:
        yield port


@asynccontextmanager
async def at_own_port(serve: Serve) -> AsyncIterator[int]:
    yield (await serve()).port or 0


CARRIERS: dict[str, Callable[[Serve], AbstractAsyncContextManager[int]]] = {
    "own port": at_own_port,
    "aiohttp": at_aiohttp,
    "ASGI": lambda serve: uvicorn_server(make_service().asgi_app()),
    "ASGI, wsproto": lambda serve: uvicorn_server(make_service().asgi_app(), ws="wsproto"),
    "ASGI, other application": lambda serve: uvicorn_server(make_service().asgi_app(http_only)),
}


@pytest.mark.usefixtures("uvicorn_complains")
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("path", ["/nothing", "/socket.io/x", "/socket.io2/", "//socket.io/"])
async def test_other_requests_are_refused(serve: Serve, carrier: str, path: str) -> None:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with CARRIERS[carrier](serve) as port, aiohttp.ClientSession(timeout=timeout) as http:
        url = f"http://127.0.0.1:{port}{path}"
        for method in ("GET", "POST", "PUT", "OPTIONS", "HEAD"):
            async with http.request(
                method, url, data=b"x" if method in ("POST", "PUT") else None
            ) as response:
                assert response.status == 404
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(url + "?EIO=4&transport=websocket")
        assert caught.value.status == 404
        # Our session continues.
        async with http.ws_connect(f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket") as ws:
            assert (await ws.receive_str()).startswith("0{")


async def test_a_server_without_statuses_for_websockets_closes_them() -> None:
    app = make_service().asgi_app()
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/nothing", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "Not Found"}]


# Options of clients that change what they ask for


@pytest.mark.parametrize("carrier", ["own port", "aiohttp", "ASGI", "ASGI, wsproto"])
@pytest.mark.parametrize(
    "options", [{"addTrailingSlash": False}, {"protocols": ["chat", "other"]}, {"forceBase64": True}], ids=str
)
async def test_client_options(
    serve: Serve, connect: ConnectTo, carrier: str, options: dict[str, Any]
) -> None:
    async with CARRIERS[carrier](serve) as port:
        for number, transports in enumerate(WAYS):
            client = await connect(port, f"user{number}", transports=transports, **options)
            await client.wait_for("loginConfirmed")
            if "websocket" in transports:
                await wait_until(lambda client=client: is_websocket(client), "the upgrade")
            await client.disconnect()


async def is_websocket(client: Any) -> bool:
    return bool(await client.transport() == "websocket")


@pytest.mark.parametrize("carrier", ["own port", "aiohttp", "ASGI"])
async def test_the_first_sub_protocol_is_chosen(serve: Serve, carrier: str) -> None:
    async with CARRIERS[carrier](serve) as port, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        for offered in (("chat", "other"), ()):
            async with http.ws_connect(url, protocols=offered) as ws:
                assert ws.protocol == (offered[0] if offered else None)
                with contextlib.suppress(aiohttp.ClientError):
                    await ws.receive_str()
