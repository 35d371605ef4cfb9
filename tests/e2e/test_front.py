"""New WebSockets at our own port: the same whether aiohttp answers the request or the transport itself."""

import asyncio
import contextlib
import itertools
from typing import Any

import aiohttp
import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from chat_service.transports.socketio import engine_server, front
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import Serve
from tests.e2e.raw import websocket
from tests.e2e.stopped import masked_frame
from tests.support.patience import PATIENCE

REQUEST = (
    "GET /socket.io/?EIO=4&transport=websocket&userName=a%26b&userName=c&empty= HTTP/1.1\r\nHost: x\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nX-Some: one\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Some: two\r\n\r\n"
)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who answered each request for a WebSocket."""
    found: list[str] = []
    open_websocket = engine_server.EngineServer.open_websocket
    handle_connect = engine_server.EngineServer._handle_connect

    def opened(self: Any, *args: Any) -> None:
        found.append("front")
        open_websocket(self, *args)

    async def connected(self: Any, *args: Any) -> Any:
        found.append("aiohttp")
        return await handle_connect(self, *args)

    monkeypatch.setattr(engine_server.EngineServer, "open_websocket", opened)
    monkeypatch.setattr(engine_server.EngineServer, "_handle_connect", connected)
    return found


async def read_end(reader: asyncio.StreamReader) -> None:
    """Read the end of a connection, however it ends."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


@pytest.mark.covers("api:get_handshake_data")
async def test_both_ways_are_the_same_to_the_application(serve: Serve, answered: list[str]) -> None:
    seen: list[Any] = []

    def on_connect(service: ChatService, socket_id: str) -> str:
        server = service.transport.get_server()
        environ = server.get_environ(socket_id, NAMESPACE)
        seen.append((service.transport.get_handshake_data(socket_id), environ))
        return "alice"

    service = await serve(hooks={"on_connect": on_connect})
    answers = []
    for parts in ([REQUEST], [REQUEST[:40], REQUEST[40:]]):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        for part in parts:
            writer.write(part.encode())
            await asyncio.sleep(0.05)
        async with asyncio.timeout(PATIENCE):
            answers.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readuntil(b"pingInterval")
            writer.write(masked_frame(f"40{NAMESPACE},"))
            await reader.readuntil(b"loginConfirmed")
        writer.close()
        await writer.wait_closed()
    assert answered == ["front", "aiohttp"]
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 101 ")
        lines = answer.split(b"\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines
        assert b"upgrade: websocket" in answer.lower() and b"connection: upgrade" in answer.lower()
    (one, environ), (other, full) = seen
    assert one == other
    assert one.query == {"EIO": "4", "transport": "websocket", "userName": "a&b", "empty": ""}
    assert one.headers["x-some"] == "one,two" and one.remote_addr == "127.0.0.1"
    for name in ("REQUEST_METHOD", "PATH_INFO", "HTTP_X_SOME", "HTTP_HOST", "wsgi.url_scheme", "RAW_URI"):
        assert environ[name] == full[name]


@pytest.mark.parametrize("options", [{}, {"compression": True}, {"path": "/else/where"}], ids=str)
async def test_who_answers(serve: Serve, answered: list[str], options: dict[str, Any]) -> None:
    service = await serve(transport_options=options)
    path = options.get("path", "/socket.io")
    async with aiohttp.ClientSession() as http:
        for compress, origin in itertools.product((0, 15), (None, f"http://127.0.0.1:{service.port}")):
            url = f"http://127.0.0.1:{service.port}{path}/?EIO=4&transport=websocket"
            async with http.ws_connect(url, compress=compress, origin=origin) as ws:
                assert (await ws.receive_str()).startswith("0{")
    # One that asks for compression, and gets it, stays with aiohttp.
    expected = "aiohttp" if options.get("compression") else "front"
    assert answered == ["front", "front", expected, expected]


async def test_other_requests_on_the_same_connection(serve: Serve) -> None:
    service = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    for _ in range(2):
        writer.write(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
            await reader.readexactly(len(b"404: Not Found"))
    writer.close()
    await writer.wait_closed()


async def test_packets_behind_the_request(serve: Serve) -> None:
    """Clients need not wait for the answer."""
    service = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    packets = [f"40{NAMESPACE},", f'42{NAMESPACE},1["listOwnSockets"]']
    writer.write(REQUEST.replace("a%26b", "a").encode() + b"".join(map(masked_frame, packets)))
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(f"43{NAMESPACE},1[".encode())
    writer.close()
    await writer.wait_closed()


async def test_connections_that_say_nothing_are_cut(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "FIRST_REQUEST_GRACE", 0.05)
    service = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    await read_end(reader)
    writer.close()


async def test_a_close_ends_connections_that_said_nothing(serve: Serve) -> None:
    service = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    async with websocket(service.port) as raw:
        await service.close()
        await read_end(reader)
        await raw.wait_closed()
    writer.close()


async def test_nobody_is_let_in_that_the_server_refuses(serve: Serve, answered: list[str]) -> None:
    service = await serve(transport_options={"cors_allowed_origins": "http://good.example"})
    url = f"http://127.0.0.1:{service.port}/socket.io/?EIO=4&transport=websocket"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(url, origin="http://evil.example")
        async with http.ws_connect(url, origin="http://good.example") as ws:
            assert (await ws.receive_str()).startswith("0{")
    assert answered == ["front"]
    eio = service.transport.get_server().eio
    await wait_until(lambda: not eio.sockets, "the connection to be forgotten")
