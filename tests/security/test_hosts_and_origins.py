"""Pages that must not connect: foreign origins, and foreign names of this server (DNS rebinding)."""

import asyncio
from typing import Any

import aiohttp
import pytest

from chat_service import ConfigurationError
from chat_service.transports.network.origins import AllowedHosts
from chat_service.transports.socketio import SocketIOOptions
from tests.e2e.conftest import Serve, serve
from tests.e2e.raw import websocket

__all__ = ["serve"]

HANDSHAKE = "/socket.io/?EIO=4&transport=polling&userName=alice"
WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def ask(port: int | None, method: str = "GET", path: str = HANDSHAKE, **headers: str) -> Any:
    """The status and the headers of the answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=named) as response:
        return response.status, response.headers


@pytest.mark.covers("transport_option:allowed_hosts")
async def test_a_request_under_a_foreign_name_is_refused(serve: Serve) -> None:
    service = await serve(
        transport_options={"allowed_hosts": ["chat.example.org", "*.example.net", "127.0.0.1"]}
    )
    port = service.port
    for host in ("chat.example.org", "CHAT.example.org:80", f"127.0.0.1:{port}", "a.b.example.net:8000"):
        assert (await ask(port, Host=host, Origin=f"http://{host}"))[0] == 200, host
        assert (await ask(port, Host=host))[0] == 200, host
    for host in (
        "evil.example",
        "chat.example.org.evil.example",
        "example.net",
        "evilexample.net",
        "[::1]",
        "a b",
    ):
        # The page's own origin, as sent by a browser after DNS rebinding.
        assert (await ask(port, Host=host, Origin=f"http://{host}"))[0] == 400, host
        assert (await ask(port, Host=host))[0] == 400, host
        assert (await ask(port, "OPTIONS", Host=host))[0] == 400, host
        path = HANDSHAKE.replace("polling", "websocket")
        assert (await ask(port, path=path, Host=host, **WEBSOCKET))[0] == 400, host
    # What anybody can send does not open the door.
    forwarded = {"X_Forwarded_Host": "chat.example.org"}
    assert (await ask(port, Host="evil.example", Origin="http://evil.example", **forwarded))[0] == 400
    forged = {"X_Forwarded_Host": "evil.example"}
    assert (await ask(port, Host="127.0.0.1", Origin="http://evil.example", **forged))[0] == 400
    async with websocket(port) as raw:
        await raw.login()


@pytest.mark.covers("transport_option:cors_allowed_origins")
async def test_a_star_gives_no_page_the_cookies_of_its_visitors(serve: Serve) -> None:
    service = await serve(transport_options={"cors_allowed_origins": "*"})
    for origin in ("https://evil.example", "null"):
        for method in ("GET", "OPTIONS"):
            status, headers = await ask(service.port, method, Origin=origin)
            assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
            assert "Access-Control-Allow-Credentials" not in headers


async def test_named_origins_may_send_cookies_but_pages_without_one_may_not(serve: Serve) -> None:
    service = await serve(transport_options={"cors_allowed_origins": ["https://chat.example.org", "null"]})
    _, headers = await ask(service.port, Origin="https://chat.example.org")
    assert headers["Access-Control-Allow-Origin"] == "https://chat.example.org"
    assert headers["Access-Control-Allow-Credentials"] == "true"
    _, headers = await ask(service.port, Origin="null")
    assert headers["Access-Control-Allow-Origin"] == "null"
    assert "Access-Control-Allow-Credentials" not in headers
    status, headers = await ask(service.port, Origin="https://evil.example")
    assert status == 400 and "Access-Control-Allow-Origin" not in headers


async def test_there_is_no_jsonp(serve: Serve) -> None:
    service = await serve()
    assert (await ask(service.port, path=f"{HANDSHAKE}&j=0"))[0] == 400


@pytest.mark.parametrize("path", ["/", HANDSHAKE, "/nothing", "/socket.io/?EIO=3"])
async def test_no_answer_tells_a_version(serve: Serve, path: str) -> None:
    service = await serve()
    _, headers = await ask(service.port, path=path)
    assert headers.get("Server") == "chat_service"


async def test_even_the_answer_to_invalid_http_tells_no_version(serve: Serve) -> None:
    service = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET / HTTP/1.1\r\nHost\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400 ") or answer.startswith(b"HTTP/1.0 400 ")
    assert b"\r\nServer: chat_service\r\n" in answer
    assert b"aiohttp" not in answer and b"Python/" not in answer


def test_hosts_are_compared_as_browsers_write_them() -> None:
    hosts = AllowedHosts(["Bücher.example", "[0:0::1]", "chat.example.org."])
    assert hosts.allows("xn--bcher-kva.example:8000")
    assert hosts.allows("[::1]:8000")
    assert hosts.allows("chat.example.org")
    assert not hosts.allows(None)
    assert not hosts.allows("")
    assert AllowedHosts("*").allows("anything") and AllowedHosts().allows(None)


@pytest.mark.parametrize(
    "value",
    ["", [], 5, "https://chat.example.org", "chat.example.org:8000", "a/b", "a b", "*.", ["x", ""]],
    ids=str,
)
def test_hosts_that_no_request_can_name(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        SocketIOOptions(allowed_hosts=value)
