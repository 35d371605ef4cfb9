"""Inside an ASGI application under uvicorn: its routes and lifespan are not affected."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn
from uvicorn.lifespan.on import LifespanOn

from chat_service import ChatService, ConfigurationError
from chat_service.testing import wait_until
from chat_service.transports.network import asgi_carrier
from tests.e2e.clients import NodeProcess
from tests.e2e.conftest import ConnectTo
from tests.e2e.mounted import get_text, make_service, talk
from tests.e2e.raw import event, websocket
from tests.support.patience import PATIENCE


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
async def uvicorn_server(app: Any, **options: Any) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """A uvicorn server on a free port."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        lifespan="on",
        log_config=None,
        timeout_graceful_shutdown=int(PATIENCE),
        **options,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await wait_until(lambda: server.started or task.done(), "uvicorn to start")
        port = server.servers[0].sockets[0].getsockname()[1] if server.started else 0
        yield server, port
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task


@pytest.fixture
def uvicorn_complains() -> Iterator[None]:
    """Drop what uvicorn logs as an error of every WebSocket that is refused with a status."""

    def is_wanted(record: logging.LogRecord) -> bool:
        return record.getMessage() != "ASGI callable returned without completing handshake."

    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(is_wanted)
    yield
    logger.removeFilter(is_wanted)


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


@pytest.mark.covers("transport_option:max_message_size")
async def test_a_message_that_the_asgi_server_should_have_refused_is_warned_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvicorn has it all in memory before the service can refuse it, unless its own limit is as low."""
    monkeypatch.setattr(asgi_carrier, "_warned", [])
    warnings: list[list[str]] = []
    for server_limit in ({"ws_max_size": 1000}, {}):
        caplog.clear()
        service = make_service(transport_options={"max_message_size": 1000})
        async with uvicorn_server(service.asgi_app(), **server_limit) as (_, port):
            for _ in range(2):
                async with websocket(port) as raw:
                    await raw.login()
                    assert (await raw.ack("listOwnSockets"))[0] is None
                    await raw.send(event("listOwnSockets", "x" * 1000))
                    await raw.wait_closed()
                    assert raw.close_code == 1009
        found = [record.getMessage() for record in caplog.records if record.name == "chat_service"]
        warnings.append([text for text in found if "ws_max_size" in text])
    with_limit, (without,) = warnings
    assert with_limit == []
    assert "of 1038 bytes, more than max_message_size (1000)" in without


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


async def test_asgi_application_of_a_running_service() -> None:
    async with ChatService(host="127.0.0.1", port=0) as service:
        with pytest.raises(ConfigurationError, match="before the service is started"):
            service.asgi_app()
