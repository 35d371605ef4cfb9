"""Connections are limited: in all and per address, with a login and without one, and the client hears why.

4,000 polling handshakes without a login kept 8.65 KB each for 46 s, and nothing bounded their number.
"""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import POLLING, ConnectTo, Serve
from tests.e2e.raw import polling, websocket
from tests.e2e.test_handshake_data import (
    CARRIERS,
    ServeOn,
    request,
    seen,
    serve_on,
    websocket_headers,
)
from tests.e2e.test_handshake_data import connect as open_session
from tests.e2e.test_mounting_asgi import uvicorn_complains
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE

__all__ = ["seen", "serve_on", "uvicorn_complains"]

WAYS = ["websocket", "polling"]


async def ask(port: int | None, transport: str = "polling") -> tuple[int, dict[str, Any]]:
    """A handshake: the status, and the body of a refusal."""
    headers = websocket_headers() if transport == "websocket" else []
    assert port is not None
    status, reader, writer = await request(port, transport, *headers)
    try:
        async with asyncio.timeout(PATIENCE):
            body = b"{}" if status == 101 else await reader.readuntil(b"}")
        return status, json.loads(body[body.index(b"{") :])
    finally:
        writer.transport.abort()


def statistics(service: ChatService) -> Any:
    return parts_of(service).transport.statistics()  # type: ignore[attr-defined]


def refused(service: ChatService) -> dict[str, int]:
    return {reason: count for reason, count in statistics(service).refused_connections.items() if count}


@pytest.mark.covers("transport_option:max_connections")
@pytest.mark.parametrize("transport", WAYS)
async def test_connections_in_all(serve: Serve, connect: ConnectTo, transport: str) -> None:
    service = await serve(transport_options={"max_connections": 2})
    async with websocket(service.port, "alice") as alice:
        await alice.login()
        async with polling(service.port, "bob") as bob:
            await bob.login()
            assert await ask(service.port, transport) == (503, {"code": 4, "message": "too many connections"})
            # A client of the library hears that it is refused.
            client = await connect(service, "carol", transports=[transport], reconnection=False)
            await client.wait_for("connect_error")
            # Those that are there go on, and an upgrade is not another connection.
            assert (await alice.ack("listOwnSockets"))[0] is None
            assert (await bob.ack("listOwnSockets"))[0] is None
            async with websocket(service.port, sid=bob.sid) as upgrade:
                await upgrade.send("2probe")
                assert await upgrade.recv() == "3probe"
        assert statistics(service).connections == 2
    await wait_until(lambda: statistics(service).connections < 2, "the end of a connection")
    async with websocket(service.port, "dave") as dave:
        await dave.login()
    assert refused(service)["connections"] >= 2


@pytest.mark.covers("transport_option:max_pending_connections")
@pytest.mark.parametrize("transport", WAYS)
async def test_connections_without_a_login(serve: Serve, transport: str) -> None:
    allowed = asyncio.Event()

    async def on_connect(service: ChatService, socket_id: str) -> str:
        await allowed.wait()
        return "user"

    service = await serve(hooks={"on_connect": on_connect}, transport_options={"max_pending_connections": 2})
    async with polling(service.port) as silent, websocket(service.port) as waiting:
        # One that is in no namespace, and one whose login is under way.
        await waiting.send(f"40{NAMESPACE},")
        await waiting.recv_start(f"40{NAMESPACE},")
        expected = {"code": 4, "message": "too many connections without a login"}
        assert await ask(service.port, transport) == (503, expected)
        assert statistics(service).pending_connections == 2
        allowed.set()
        await waiting.recv_start(f'42{NAMESPACE},["loginConfirmed"')
        # What has a login does not count.
        assert statistics(service).pending_connections == 1
        async with websocket(service.port) as other:
            await other.login()
            await silent.login()
            assert statistics(service).pending_connections == 0
            # A connection that leaves the namespace has no login again.
            await other.send(f"41{NAMESPACE},")
            await wait_until(lambda: statistics(service).pending_connections == 1, "the end of a login")
        await wait_until(lambda: statistics(service).pending_connections == 0, "the end of a connection")
    assert refused(service) == {"pending": 1}


async def test_a_rejected_login_leaves_nothing(serve: Serve) -> None:
    def on_connect(service: ChatService, socket_id: str) -> None:
        return None

    service = await serve(hooks={"on_connect": on_connect}, transport_options={"max_pending_connections": 3})
    for _ in range(10):
        async with websocket(service.port) as raw:
            await raw.send(f"40{NAMESPACE},")
            await raw.wait_closed()
    await wait_until(lambda: statistics(service).connections == 0, "the end of all")
    assert statistics(service).pending_connections == 0
    assert refused(service) == {}


async def test_connections_that_send_nothing(serve: Serve) -> None:
    service = await serve(transport_options={"max_pending_connections": 3})
    async with AsyncExitStack() as stack:

        async def dial() -> asyncio.StreamReader:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            # The writer has to be kept: without it the connection ends.
            stack.callback(lambda: writer.transport.abort())
            return reader

        for _ in range(3):
            await dial()
        async with asyncio.timeout(PATIENCE):
            answer = await (await dial()).read()
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert answer.endswith(b'\r\n\r\n{"code": 4, "message": "too many connections without a login"}')

    # Their end makes room.
    async def is_served() -> bool:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{service.port}/") as response:
            return response.status == 200

    await wait_until(is_served, "an answer")


@pytest.mark.covers("transport_option:max_pending_connections")
async def test_a_flood_of_handshakes_keeps_a_bounded_number(serve: Serve) -> None:
    service = await serve(transport_options={"max_pending_connections": 50})
    async with websocket(service.port, "alice") as alice:
        await alice.login()
        url = f"http://127.0.0.1:{service.port}/socket.io/?EIO=4&transport=polling"
        async with aiohttp.ClientSession() as http:

            async def handshake() -> int:
                async with http.get(url) as response:
                    return response.status

            answers = await asyncio.gather(*(handshake() for _ in range(400)))
        assert sorted(set(answers)) == [200, 503] and answers.count(200) == 50
        assert statistics(service).connections == 51
        assert (await alice.ack("listOwnSockets"))[0] is None
    assert refused(service) == {"pending": 350}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> list[ChatService]:
    """The services that a test has made."""
    made: list[ChatService] = []
    begin = ChatService.__init__

    def note(self: ChatService, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(ChatService, "__init__", note)
    return made


PROXY = ["127.0.0.0/8", "10.0.0.0/8"]


@pytest.mark.covers("transport_option:trusted_proxies", "api:get_handshake_data")
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("transport", WAYS)
async def test_hooks_get_the_address_of_the_client(
    serve_on: ServeOn, seen: dict[str, Any], carrier: str, transport: str
) -> None:
    port = await serve_on(carrier, trusted_proxies=PROXY)
    good = (101, 200)
    chain = [b"X-Forwarded-For: 198.51.100.7, 203.0.113.9", b"X-Forwarded-For: 10.1.2.3"]
    assert await open_session(transport, port, "", *chain) in good
    assert seen["address"] == "203.0.113.9"
    assert await open_session(transport, port, "") in good
    assert seen["address"] == "127.0.0.1"


@pytest.mark.covers("transport_option:trusted_proxies", "transport_option:forwarded_header")
@pytest.mark.parametrize("carrier", [carrier for carrier in CARRIERS if "ASGI" not in carrier])
async def test_clients_cannot_choose_their_address(
    serve_on: ServeOn, seen: dict[str, Any], carrier: str
) -> None:
    claims = [b"X-Forwarded-For: 203.0.113.9", b"Forwarded: for=203.0.113.9", b"X-Real-IP: 203.0.113.9"]
    options: list[dict[str, Any]] = [
        {},
        {"trusted_proxies": []},
        {"trusted_proxies": ["192.0.2.0/24"]},
        {"trusted_proxies": PROXY, "forwarded_header": "forwarded"},
    ]
    for given in options[:3]:
        port = await serve_on(carrier, **given)
        assert await open_session("websocket", port, "", *claims) == 101
        assert seen["address"] == "127.0.0.1"
    port = await serve_on(carrier, **options[3])
    assert await open_session("websocket", port, "", claims[0]) == 101
    assert seen["address"] == "127.0.0.1"
    assert await open_session("websocket", port, "", *claims) == 101
    assert seen["address"] == "203.0.113.9"


@pytest.mark.covers(
    "transport_option:max_connections_per_address", "transport_option:max_pending_connections_per_address"
)
@pytest.mark.usefixtures("uvicorn_complains")
@pytest.mark.parametrize("carrier", CARRIERS[:3])
async def test_connections_from_one_address(
    serve_on: ServeOn, services: list[ChatService], carrier: str
) -> None:
    port = await serve_on(carrier, max_pending_connections_per_address=2, trusted_proxies=PROXY)
    (service,) = services

    async def ask_as(address: str, transport: str = "polling") -> int:
        headers = websocket_headers() if transport == "websocket" else []
        forwarded = f"X-Forwarded-For: {address}".encode()
        status, _, writer = await request(port, transport, *headers, forwarded)
        writer.transport.abort()
        return status

    for address in ("2001:db8::1", "2001:db8::2", "203.0.113.9", "203.0.113.9"):
        assert await ask_as(address) == 200
    # An IPv6 network counts as one address; other networks are not affected.
    for address in ("2001:db8::3", "203.0.113.9"):
        assert await ask_as(address) == 429
        # uvicorn knows no other status for a WebSocket.
        assert await ask_as(address, "websocket") == (403 if carrier == "ASGI" else 429)
    assert await ask_as("2001:db8:0:1::1") == 200
    assert await ask_as("203.0.113.8") == 200
    assert refused(service) == {"pending_address": 4}


@pytest.mark.parametrize("carrier", CARRIERS[3:])
async def test_sockets_on_a_given_server(
    serve_on: ServeOn, services: list[ChatService], connect: ConnectTo, carrier: str
) -> None:
    """Its connections are the caller's, so our sockets are limited in their place."""
    port = await serve_on(carrier, max_connections_per_address=2, trusted_proxies=PROXY)
    (service,) = services
    clients = [await connect(port, f"user{number}", transports=POLLING) for number in range(2)]
    for client in clients:
        await client.wait_for("loginConfirmed")
    assert (statistics(service).connections, statistics(service).pending_connections) == (2, 0)
    third = await connect(port, "third", transports=POLLING)
    refusal = await third.wait_for("connect_error")
    assert "too many connections from this address" in str(refusal)
    await clients[0].disconnect()
    await wait_until(lambda: statistics(service).connections == 1, "the end of a socket")
    fourth = await connect(port, "fourth", transports=POLLING)
    await fourth.wait_for("loginConfirmed")
    assert refused(service) == {"address": 1}
