"""Compressed request bodies: no port decompresses them, and their connections are closed."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp.compression_utils
import pytest
from aiohttp import web

from chat_service.demo import Demo
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import Serve
from tests.e2e.mounted import make_service
from tests.e2e.raw import polling
from tests.e2e.test_mounting import running
from tests.e2e.test_mounting_asgi import uvicorn_server
from tests.support.patience import PATIENCE

ENDPOINT = "/socket.io/?EIO=4&transport=polling"
#: Unpacked it would be 20 MB.
PACKED = zlib.compress(b"\0" * 20_000_000)
ENCODINGS = ["gzip", "deflate", "br", "zstd", "GZIP", "identity, deflate"]

Port = Callable[[str], Awaitable[int]]


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What aiohttp has begun to unpack."""
    begun: list[str] = []
    made = aiohttp.compression_utils.ZLibDecompressor.__init__

    def make(self: Any, encoding: str | None = None, *args: Any, **options: Any) -> None:
        begun.append(str(encoding))
        made(self, encoding, *args, **options)

    monkeypatch.setattr(aiohttp.compression_utils.ZLibDecompressor, "__init__", make)
    return begun


@pytest.fixture
async def port(serve: Serve) -> AsyncIterator[Port]:
    """Opens one of our ports."""
    async with AsyncExitStack() as stack:

        async def open_port(kind: str) -> int:
            if kind == "demo":
                demo = await stack.enter_async_context(Demo("127.0.0.1", 0))
                assert demo.port is not None
                return demo.port
            if kind == "asgi":
                service = make_service()
                _, found = await stack.enter_async_context(uvicorn_server(service.asgi_app()))
                return found
            login = {"username": "admin", "password": "secret"}
            service = await serve(operations_port=0, transport_options={"admin_ui": login})
            opened = service.operations.port if kind == "operations" else service.port
            assert opened is not None
            return opened

        yield open_port


async def post(port: int, path: str, encoding: str, body: bytes, method: str = "POST") -> tuple[int, bytes]:
    """Send a request on a separate connection. Returns the status and everything after it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Content-Encoding: {encoding}\r\n\r\n".encode() + body)
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    return int(answer.split(b" ", 2)[1]), answer


async def test_the_spy_sees_what_aiohttp_does_by_default(unpacked: list[str]) -> None:
    async def read(request: web.Request) -> web.Response:
        response = web.Response(text=str(len(await request.read())))
        response.force_close()
        return response

    app = web.Application(client_max_size=100_000_000)
    app.router.add_post("/", read)
    async with running(app) as found:
        assert (await post(found, "/", "deflate", PACKED))[1].endswith(b"20000000")
    assert unpacked == ["deflate"]


@pytest.mark.parametrize(
    ("kind", "path", "encoding"),
    [
        # Each port in all encodings, and each of its paths in one.
        *(
            (kind, path, encoding)
            for kind, path in (("main", ENDPOINT), ("operations", "/metrics"), ("demo", "/"))
            for encoding in ENCODINGS
        ),
        ("main", f"{ENDPOINT}&sid=nobody", "gzip"),
        ("main", "/", "deflate"),
        ("main", "/nothing", "identity, deflate"),
        ("operations", "/nothing", "deflate"),
        ("demo", "/nothing", "deflate"),
        ("demo", ENDPOINT, "gzip"),
    ],
)
async def test_a_packed_body_is_not_unpacked_and_ends_its_connection(
    port: Port, unpacked: list[str], kind: str, path: str, encoding: str
) -> None:
    found = await port(kind)
    for method in ("POST", "PUT", "GET"):
        status, answer = await post(found, path, encoding, PACKED, method)
        is_page = method == "GET" and path in ("/", "/metrics") and status == 200
        assert 400 <= status < 500 or is_page
        assert b"Connection: close" in answer
    assert unpacked == []


@pytest.mark.parametrize("kind", ["main", "demo", "asgi", "app"])
async def test_a_packed_body_to_a_session_is_refused_by_name(
    port: Port, unpacked: list[str], kind: str
) -> None:
    if kind == "app":
        app = web.Application()
        service = make_service(transport_options={"app": app})
        async with running(app) as found:
            await _check_refused(found)
        assert service.port is None
        return
    await _check_refused(await port(kind))
    assert unpacked == []


async def _check_refused(port: int) -> None:
    async with polling(port) as raw:
        path = raw.url.removeprefix(f"http://127.0.0.1:{port}")
        body = zlib.compress(f"40{NAMESPACE},".encode())
        status, answer = await post(port, path, "deflate", body)
        assert status == 415
        assert answer.endswith(b"request bodies must not be compressed\n")
        # The session continues.
        assert await raw.post(f"40{NAMESPACE},", headers={"Content-Encoding": "identity"}) == 200
        assert (await raw.get())[0].startswith(f"40{NAMESPACE},")


async def test_in_an_application_with_a_port_of_its_own_little_is_unpacked(unpacked: list[str]) -> None:
    """The application's parser has the body first; after the refusal nothing more is read from the client."""
    app = web.Application()
    make_service(transport_options={"app": app})
    async with running(app) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found)
        writer.write(
            f"POST {ENDPOINT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
            "Content-Encoding: gzip\r\n\r\n".encode()
        )
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
        assert b" 415 " in answer
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@pytest.mark.parametrize("kind", ["main", "operations", "demo"])
async def test_a_body_that_nobody_reads_ends_its_connection(port: Port, kind: str) -> None:
    found = await port(kind)
    reader, writer = await asyncio.open_connection("127.0.0.1", found)
    # Most of the body never comes.
    writer.write(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc")
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    assert answer.split(b" ", 2)[1] in (b"404", b"405") and b"Connection: close" in answer
    writer.close()
    await writer.wait_closed()
