"""Handshake data is read identically on every carrier, within limits set by options."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
import socketio
from aiohttp import web

from chat_service import ChatService
from tests.e2e.clients import NAMESPACE
from tests.e2e.test_mounting import running
from tests.e2e.test_mounting_asgi import uvicorn_complains, uvicorn_server
from tests.support.patience import PATIENCE

__all__ = ["uvicorn_complains"]

CARRIERS = ["own port", "aiohttp", "ASGI", "given aiohttp", "given ASGI"]
#: Starts a service on a carrier with transport options; returns the port.
ServeOn = Callable[..., Awaitable[int]]

HEADERS = [
    b"X-Several: one",
    b"X-Several: two",
    b"Cookie: a=1",
    b"X-Between: x",
    b"Cookie: b=2; c=3",
    b"X-Utf: \xc3\xbc",
    b"X-Latin: caf\xe9",
    b"X-Both: \xc3\xbc\xe9",
    b"X_Under: score",
    b"X-Empty:",
]
QUERY = "&plus=a+b&and=1%262&percent=50%25&bad=%ff&utf=%C3%BC&twice=1&twice=2&empty=&semi=a;b"


@pytest.fixture
async def seen() -> dict[str, Any]:
    return {}


@pytest.fixture
async def serve_on(seen: dict[str, Any]) -> AsyncIterator[ServeOn]:
    async with AsyncExitStack() as stack:

        def on_connect(service: ChatService, socket_id: str) -> str:
            data = service.transport.get_handshake_data(socket_id)
            seen["headers"], seen["query"] = dict(data.headers), dict(data.query)
            seen["address"] = data.remote_addr
            seen["cookies"], seen["transport"] = dict(data.cookies), data.transport
            seen["is_own_id"], seen["fingerprint"] = data.fingerprint == socket_id, data.fingerprint
            return "user"

        async def start(carrier: str, **options: Any) -> int:
            app = web.Application()
            if carrier == "aiohttp":
                options["app"] = app
            elif carrier.startswith("given"):
                mode = carrier.partition(" ")[2].lower()
                options["server"] = server = socketio.AsyncServer(
                    async_mode=mode, monitor_clients=False, ping_interval=0.1
                )
                stack.push_async_callback(server.shutdown)
                if mode == "aiohttp":
                    server.attach(app)
            service = ChatService(
                host="127.0.0.1", port=0, hooks={"on_connect": on_connect}, transport_options=options
            )
            if carrier.endswith("ASGI"):
                _, port = await stack.enter_async_context(uvicorn_server(service.asgi_app()))
                return port
            if carrier != "aiohttp":
                await stack.enter_async_context(service)
            if carrier == "own port":
                assert service.port is not None
                return service.port
            # The limits of an application's own server are its own.
            sizes = {"max_line_size": 1 << 16, "max_field_size": 1 << 16}
            return await stack.enter_async_context(running(app, **sizes))

        yield start


async def request(port: int, query: str, *headers: bytes) -> tuple[int, asyncio.StreamReader, Any]:
    """Send the head of a GET as it is. Returns the status, and the streams after the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET /socket.io/?EIO=4&transport={query} HTTP/1.1".encode(), b"Host: 127.0.0.1", *headers]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split()[1]), reader, writer


def websocket_headers() -> list[bytes]:
    key = base64.b64encode(b"0123456789abcdef")
    return [
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + key,
    ]


async def connect(transport: str, port: int, query: str, *headers: bytes) -> int:
    """Open a session and connect to the namespace. Returns the status of the handshake."""
    if transport == "websocket":
        status, reader, writer = await request(port, "websocket" + query, *websocket_headers(), *headers)
        if status == 101:
            text = f"40{NAMESPACE},".encode()
            writer.write(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
            async with asyncio.timeout(PATIENCE):
                await reader.readuntil(b"loginConfirmed")
    else:
        status, reader, writer = await request(port, "polling" + query, *headers)
        if status == 200:
            async with asyncio.timeout(PATIENCE):
                opening = await reader.readuntil(b"}")
            sid = json.loads(opening[opening.index(b"{") :])["sid"]
            url = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling&sid={sid}"
            async with aiohttp.ClientSession() as http:
                async with http.post(url, data=f"40{NAMESPACE},") as response:
                    assert response.status == 200
                async with asyncio.timeout(PATIENCE):
                    while "loginConfirmed" not in await (await http.get(url)).text():
                        pass
    writer.transport.abort()
    return status


@pytest.mark.covers("api:get_handshake_data")
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_headers_and_query_are_read_alike(
    serve_on: ServeOn, seen: dict[str, Any], carrier: str, transport: str
) -> None:
    port = await serve_on(carrier)
    assert await connect(transport, port, QUERY, *HEADERS) in (101, 200)
    assert (seen["cookies"], seen["transport"]) == ({"a": "1", "b": "2", "c": "3"}, "socket.io")
    assert seen["is_own_id"]
    headers = {name: value for name, value in seen["headers"].items() if name[:2] in ("x-", "x_", "co")}
    headers.pop("connection", None)
    assert headers == {
        "x-several": "one,two",
        "cookie": "a=1; b=2; c=3",
        "x-between": "x",
        "x-utf": "ü",
        "x-latin": "café",
        "x-both": "Ã¼é",
        "x_under": "score",
        "x-empty": "",
    }
    query = {name: value for name, value in seen["query"].items() if name not in ("EIO", "transport")}
    assert query == {
        "plus": "a b", "and": "1&2", "percent": "50%", "bad": "\ufffd", "utf": "ü", "twice": "1", "empty": "",
        "semi": "a;b",
    }  # fmt: skip


LIMITS = pytest.mark.covers("transport_option:max_header_size", "transport_option:max_request_line_size")
#: 101 and 200 for good ones; uvicorn knows 403 alone for some WebSockets.
REFUSED = {400, 403, 414, 431}


@LIMITS
@pytest.mark.usefixtures("uvicorn_complains")
@pytest.mark.parametrize("carrier", CARRIERS[:3])
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_long_heads(serve_on: ServeOn, seen: dict[str, Any], carrier: str, transport: str) -> None:
    port = await serve_on(carrier)
    good = 101 if transport == "websocket" else 200
    # As much as Node's server takes by default; for WebSockets uvicorn takes lines of 8 KB alone.
    longest = 8_000 if (carrier, transport) == ("ASGI", "websocket") else 15_000
    assert await connect(transport, port, "", b"Cookie: a=" + b"x" * longest) == good
    assert len(seen["headers"]["cookie"]) == longest + 2
    assert await connect(transport, port, "&token=" + "x" * longest) == good
    assert len(seen["query"]["token"]) == longest
    several = [b"X-%d: " % number + b"x" * 1000 for number in range(15)]
    assert await connect(transport, port, "", *several) == good
    assert await connect(transport, port, "", *several, b"X-More: " + b"x" * 2000) in REFUSED
    if longest > 8_000:
        assert await connect(transport, port, "", b"Cookie: a=" + b"x" * 17_000) in REFUSED
        assert await connect(transport, port, "&token=" + "x" * 17_000) in REFUSED


@LIMITS
@pytest.mark.usefixtures("uvicorn_complains")
@pytest.mark.parametrize("carrier", CARRIERS[:3])
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_the_limits_are_options(serve_on: ServeOn, carrier: str, transport: str) -> None:
    port = await serve_on(carrier, max_header_size=1000, max_request_line_size=500)
    good = 101 if transport == "websocket" else 200
    assert await connect(transport, port, "&token=" + "x" * 300, b"X-A: " + b"x" * 600) == good
    assert await connect(transport, port, "", b"X-A: " + b"x" * 600, b"X-B: " + b"x" * 600) in REFUSED
    assert await connect(transport, port, "&token=" + "x" * 600) in REFUSED
    if (carrier, transport) != ("ASGI", "websocket"):
        port = await serve_on(carrier, max_header_size=30_000, max_request_line_size=30_000)
        assert await connect(transport, port, "&token=" + "x" * 25_000, b"X-A: " + b"x" * 25_000) == good


@pytest.mark.covers("transport_option:fingerprint_cookie")
@pytest.mark.parametrize("carrier", ["own port", "given aiohttp"])
async def test_a_cookie_is_the_fingerprint(serve_on: ServeOn, seen: dict[str, Any], carrier: str) -> None:
    port = await serve_on(carrier, fingerprint_cookie="visitor")
    await connect("websocket", port, "", b'Cookie: other=1; visitor="abc"; visitor=2; broken')
    assert (seen["fingerprint"], seen["cookies"]) == ("abc", {"other": "1", "visitor": "abc"})
    await connect("websocket", port, "", b"Cookie: visitor=")
    assert seen["is_own_id"]
