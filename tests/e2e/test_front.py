"""New WebSockets at our own port: the same whether aiohttp answers the request or the transport itself."""

import asyncio
import contextlib
import gc
import itertools
import socket
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from chat_service.transports.network.front import FirstRequest
from chat_service.transports.socketio.engine import carriers
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import Serve
from tests.e2e.raw import polling, websocket
from tests.e2e.small_buffers import small_service
from tests.e2e.stopped import masked_frame
from tests.support.patience import PATIENCE

REQUEST = (
    "GET /socket.io/?EIO=4&transport=websocket&userName=a%26b&userName=c&empty= HTTP/1.1\r\nHost: x\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nX-Some: one\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Some: two\r\n\r\n"
)


#: A request that is not for a WebSocket.
OTHER = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who answered each request for a WebSocket."""
    found: list[str] = []
    accept = carriers.accept

    def record(hub: Any, opening: Any, transport: asyncio.Transport) -> Any:
        found.append("front" if isinstance(transport.get_protocol(), FirstRequest) else "aiohttp")
        return accept(hub, opening, transport)

    monkeypatch.setattr(carriers, "accept", record)
    return found


async def read_end(reader: asyncio.StreamReader) -> None:
    """Read the end of a connection, however it ends."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


@pytest.mark.covers("api:get_handshake_data")
async def test_both_ways_look_the_same_to_the_application(serve: Serve, answered: list[str]) -> None:
    seen: list[Any] = []

    def on_connect(service: ChatService, socket_id: str) -> str:
        server = service.transport.get_server()
        environ = server.get_environ(socket_id, NAMESPACE)
        handshake = service.transport.get_handshake_data(socket_id)
        # It is the id of the socket.
        seen.append((replace(handshake, fingerprint=""), environ))
        return "alice"

    service = await serve(hooks={"on_connect": on_connect})
    answers = []
    # In pieces it is the same; aiohttp has what comes on a connection that was used before.
    for parts in ([REQUEST], [REQUEST[:40], REQUEST[40:]], [OTHER, REQUEST]):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        for part in parts:
            writer.write(part.encode())
            await asyncio.sleep(0.05)
        async with asyncio.timeout(PATIENCE):
            if parts[0] == OTHER:
                await reader.readuntil(b"404: Not Found")
            answers.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readuntil(b"pingInterval")
            writer.write(masked_frame(f"40{NAMESPACE},"))
            await reader.readuntil(b"loginConfirmed")
        writer.close()
        await writer.wait_closed()
    assert answered == ["front", "front", "aiohttp"]
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 101 ")
        lines = answer.split(b"\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines
        assert b"upgrade: websocket" in answer.lower() and b"connection: upgrade" in answer.lower()
    (one, environ), (pieces, _), (other, full) = seen
    assert one == pieces == other
    assert one.query == {"EIO": "4", "transport": "websocket", "userName": "a&b", "empty": ""}
    assert one.headers["x-some"] == "one,two" and one.remote_addr == "127.0.0.1"
    for name in ("REQUEST_METHOD", "PATH_INFO", "HTTP_X_SOME", "HTTP_HOST", "wsgi.url_scheme", "RAW_URI"):
        assert environ[name] == full[name]


@pytest.mark.parametrize("options", [{}, {"compression": True}, {"path": "/else/where"}], ids=str)
async def test_plain_requests_are_answered_by_the_front(
    serve: Serve, answered: list[str], options: dict[str, Any]
) -> None:
    service = await serve(transport_options=options)
    path = options.get("path", "/socket.io")
    async with aiohttp.ClientSession() as http:
        for compress, origin in itertools.product((0, 15), (None, f"http://127.0.0.1:{service.port}")):
            url = f"http://127.0.0.1:{service.port}{path}/?EIO=4&transport=websocket"
            async with http.ws_connect(url, compress=compress, origin=origin) as ws:
                assert (await ws.receive_str()).startswith("0{")
                assert bool(ws.compress) is bool(compress and options.get("compression"))
    assert answered == ["front"] * 4


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


async def test_packets_sent_right_after_the_request(serve: Serve) -> None:
    """Clients need not wait for the answer."""
    service = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    packets = [f"40{NAMESPACE},", f'42{NAMESPACE},1["listOwnSockets"]']
    writer.write(REQUEST.replace("a%26b", "a").encode() + b"".join(map(masked_frame, packets)))
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(f"43{NAMESPACE},1[".encode())
    writer.close()
    await writer.wait_closed()


@pytest.mark.covers("transport_option:head_timeout")
@pytest.mark.parametrize("said", ["", "G", REQUEST[:40], REQUEST[:-2], OTHER[:-2]])
async def test_connections_without_a_whole_request_are_closed(serve: Serve, said: str) -> None:
    service = await serve(transport_options={"head_timeout": 0.2})
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(said.encode())
    await read_end(reader)
    writer.close()


@pytest.mark.covers("transport_option:keep_alive_timeout")
@pytest.mark.parametrize("said", [OTHER, OTHER + OTHER[:20], OTHER + OTHER[:-2]])
async def test_idle_connections_are_closed(serve: Serve, said: str) -> None:
    service = await serve(transport_options={"keep_alive_timeout": 0.2})
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(said.encode())
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readuntil(b"404: Not Found")).startswith(b"HTTP/1.1 404")
    await read_end(reader)
    writer.close()


@pytest.mark.covers("transport_option:body_timeout")
@pytest.mark.parametrize("kind", ["own", "asgi"])
async def test_bodies_that_do_not_arrive_are_refused(kind: str) -> None:
    options = {"body_timeout": 0.2}
    async with small_service(kind, transport_options=options) as (_, port), polling(port) as raw:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        path = f"/socket.io/?EIO=4&transport=polling&sid={raw.sid}"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n4".encode())
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408") and b"connection: close" in answer.lower()
        writer.close()
        assert await raw.get_status() == 400


async def test_connections_that_come_while_the_port_closes_are_closed(serve: Serve) -> None:
    service = await serve()
    socks = [socket.socket() for _ in range(20)]
    for sock in socks:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", service.port))
    await asyncio.sleep(0)
    await service.close()
    for sock in socks:
        sock.close()
    # Anything that is left open warns, which is an error.
    gc.collect()


async def test_a_close_closes_idle_connections(serve: Serve) -> None:
    service = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    async with websocket(service.port) as raw:
        await service.close()
        await read_end(reader)
        await raw.wait_closed()
    writer.close()


async def test_the_server_can_refuse_clients(serve: Serve, answered: list[str]) -> None:
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
