"""The HTTP API inside other applications: aiohttp under a prefix, ASGI under a mount, real uvicorn."""

import asyncio
import socket

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from aiohttp.test_utils import TestServer
from starlette.applications import Starlette
from starlette.routing import Mount

from chat_service.testing import wait_until
from tests.http_api.programs import Program, start
from tests.support.world import World

HELLO = {"message": {"textMessage": "hello"}}


async def use(base: str) -> None:
    """Everything that a carrier can do."""
    async with aiohttp.ClientSession() as session:
        api = Program(base, session)
        document = await api.get("/openapi.json", scope=None)
        assert document["servers"] == [{"url": "/" + base.split("/", 3)[3]}]
        await api.do("POST", "/rooms", {"name": "a/b é"})
        path = "/rooms/a%2Fb%20%C3%A9"
        assert (await api.get(path))["name"] == "a/b é"
        sent = await api.ask("POST", path + "/messages", HELLO, headers={"Idempotency-Key": "1"})
        assert sent.status == 201
        assert (await api.ask("GET", path, scope=None)).status == 401
        page = await api.ask("GET", "/")
        assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        bare = await api.ask("GET", "")
        assert bare.status == 200 and bare.headers["content-type"].startswith("text/html")
        large = await api.ask(
            "POST", path + "/messages", data=b" " * 1_000_001, headers={"Content-Type": "application/json"}
        )
        assert large.status == 413
        async with api.events(path + "/events?after=0") as stream:
            assert (await stream.skip_to("roomMessage")).data["message"]["textMessage"] == "hello"
            await api.do("POST", path + "/messages", HELLO)
            assert (await stream.next()).data["message"]["id"] == 2
    await asyncio.sleep(0)


@pytest.mark.covers("api:operations.add_api_routes")
async def test_in_an_aiohttp_application(one_store: World) -> None:
    instance = await start(one_store)
    app = web.Application()
    instance.service.operations.add_api_routes(app, "/internal")
    upper = web.Application()
    upper.add_subapp("/upper", app)
    async with TestServer(upper) as server:
        await use(f"http://127.0.0.1:{server.port}/upper/internal/api")
        await instance.service.close()


@pytest.mark.covers("api:operations.asgi_api_app")
async def test_in_an_asgi_application(one_store: World) -> None:
    instance = await start(one_store)
    app = Starlette(routes=[Mount("/upper/api", app=instance.service.operations.asgi_api_app())])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            await wait_until(lambda: server.started, "uvicorn")
            await use(f"http://127.0.0.1:{listening.getsockname()[1]}/upper/api")
            # When a reader disconnects, its stream ends immediately.
            await wait_until(lambda: not instance.service.operations._api._streams, "the end of the stream")
        finally:
            server.should_exit = True
            await serving
