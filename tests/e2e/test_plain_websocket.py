"""Plain WebSockets on every carrier: who gets in, how they are closed, and who is alive."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chat_service import ChatService, ConfigurationError
from chat_service.testing import wait_until
from chat_service.transports.streams import LineTransport, WebSocketOptions, WebSocketTransport
from tests.e2e.test_mounting import running
from tests.e2e.test_mounting_asgi import uvicorn_complains, uvicorn_server
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE
from tests.support.world import name_by_query

__all__ = ["uvicorn_complains"]

CARRIERS = ["own port", "shared port", "aiohttp", "ASGI"]
PATH = "/chat-service/ws"
Serve = Callable[..., Awaitable[tuple[ChatService, int]]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(carrier: str, *, gate: Any = None, **options: Any) -> tuple[ChatService, int]:
            """``gate``: options about who may connect."""
            app, gate = web.Application(), gate or {}
            is_alone = carrier == "own port"
            transport = WebSocketTransport(**options, **(gate if is_alone else {}))
            service = ChatService(
                port=0,
                hooks={"on_connect": name_by_query},
                transport=transport if is_alone else ["socket.io", transport],
                transport_options={} if is_alone else gate | ({"app": app} if carrier == "aiohttp" else {}),
            )
            if carrier == "ASGI":
                _, port = await stack.enter_async_context(uvicorn_server(service.asgi_app()))
            elif carrier == "aiohttp":
                port = await stack.enter_async_context(running(app))
            else:
                await stack.enter_async_context(service)
                port = service.port or 0
            return service, port

        yield start


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def receive(socket: aiohttp.ClientWebSocketResponse) -> Any:
    async with asyncio.timeout(PATIENCE):
        message = await socket.receive()
    return json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else message.type


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_session(serve: Serve, http: aiohttp.ClientSession, carrier: str) -> None:
    service, port = await serve(carrier)
    url = f"http://127.0.0.1:{port}{PATH}"
    async with http.ws_connect(f"{url}?userName=alice", protocols=["other", "chat-service.v1"]) as socket:
        assert socket.protocol == "chat-service.v1"
        await socket.send_str('{"id": 1, "command": "listOwnSockets"}')
        login, answer = await receive(socket), await receive(socket)
        assert login["event"] == "loginConfirmed" and login["args"][0] == "alice"
        socket_id = login["args"][1]["id"]
        assert answer == {"id": 1, "error": None, "results": [{socket_id: []}]}
        handshake = service.transport.get_handshake_data(socket_id)
        assert (handshake.transport, handshake.remote_addr) == ("websocket", "127.0.0.1")
        await socket.send_str("nonsense")
        assert await receive(socket) == {"id": None, "error": "Malformed frame: not JSON", "results": []}
        await socket.send_bytes(b"\x00")
        assert (await receive(socket))["error"] == "Malformed frame: not text in UTF-8"
        # The server disconnects it for good.
        await service.disconnect_user_sockets("alice")
        assert await receive(socket) is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1000
    # Other paths, and requests that are not for a WebSocket.
    async with http.get(url) as response:
        assert (response.status, response.headers["Upgrade"]) == (426, "websocket")
    async with http.get(url + "x") as response:
        assert response.status == 404


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_who_is_refused(
    serve: Serve, http: aiohttp.ClientSession, uvicorn_complains: None, carrier: str
) -> None:
    gate = {"cors_allowed_origins": ["https://good.example"], "allowed_hosts": ["127.0.0.1"]}
    _, port = await serve(carrier, gate=gate, max_pending_connections=1)
    url = f"http://127.0.0.1:{port}{PATH}"

    async def status(protocols: tuple[str, ...] = (), **headers: str) -> int:
        try:
            async with http.ws_connect(url, headers=headers, protocols=protocols):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    def of(code: int) -> int:
        # ASGI servers answer with 403 in every case.
        return 403 if carrier == "ASGI" else code

    assert await status(Origin="https://evil.example") == of(400)
    assert await status(Host="evil.example") == of(400)
    assert await status(("graphql-ws",)) == of(400)
    assert await status(Origin="https://good.example") == 101
    async with http.ws_connect(url):
        # It has not logged in.
        assert await status() == of(503)


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_clients_are_told_to_come_back(serve: Serve, http: aiohttp.ClientSession, carrier: str) -> None:
    service, port = await serve(carrier)
    async with http.ws_connect(f"http://127.0.0.1:{port}{PATH}?userName=alice") as socket:
        await socket.send_str('{"login": null}')
        assert (await receive(socket))["event"] == "loginConfirmed"
        closing = asyncio.create_task(service.close())
        assert await receive(socket) is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1012
        await closing


@pytest.mark.parametrize("carrier", ["own port", "ASGI"])
async def test_frames_that_are_too_large(serve: Serve, http: aiohttp.ClientSession, carrier: str) -> None:
    _, port = await serve(carrier, max_message_size=1000)
    async with http.ws_connect(f"http://127.0.0.1:{port}{PATH}?userName=a") as socket:
        await socket.send_str('{"login": null}' + " " * 900)
        assert (await receive(socket))["event"] == "loginConfirmed"
        await socket.send_str('"' + "x" * 1000)
        assert await receive(socket) is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1009


async def test_who_does_not_log_in(serve: Serve, http: aiohttp.ClientSession) -> None:
    _, port = await serve("shared port", connect_timeout=0.05)
    async with http.ws_connect(f"http://127.0.0.1:{port}{PATH}") as socket:
        assert await receive(socket) is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1008


async def test_who_is_refused_by_the_hook(serve: Serve, http: aiohttp.ClientSession) -> None:
    _, port = await serve("shared port")
    async with http.ws_connect(f"http://127.0.0.1:{port}{PATH}") as socket:
        await socket.send_str('{"id": 1, "command": "listOwnSockets"}')
        assert (await receive(socket))["event"] == "loginRejected"
        assert await receive(socket) is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1000


async def test_who_answers_pings_stays(serve: Serve, http: aiohttp.ClientSession) -> None:
    service, port = await serve("shared port", ping_interval=0.05, ping_timeout=0.2)
    url = f"http://127.0.0.1:{port}{PATH}"
    gone: list[Any] = []
    async with http.ws_connect(f"{url}?userName=alive") as alive:
        await alive.send_str('{"login": null}')
        assert (await receive(alive))["event"] == "loginConfirmed"
        reading = asyncio.create_task(alive.receive())
        async with http.ws_connect(f"{url}?userName=dead", autoping=False) as dead:
            await dead.send_str('{"login": null}')
            while (message := await dead.receive()).type is not aiohttp.WSMsgType.CLOSE:
                gone.append(message.type)
        assert aiohttp.WSMsgType.PING in gone
        await wait_until(lambda: _users(service) == ["alive"], "only one to be there")
        await service.disconnect_user_sockets("alive")
        assert (await reading).type is aiohttp.WSMsgType.CLOSE


def _users(service: ChatService) -> list[str]:
    return [str(session.user) for session in parts_of(service).sessions.all()]


def test_where_it_can_be() -> None:
    with pytest.raises(ConfigurationError, match=r"the path /socket\.io is used twice"):
        ChatService(transport=["socket.io", WebSocketTransport(path="socket.io")])
    with pytest.raises(ConfigurationError, match="several WebSocket transports: give each a port"):
        ChatService(transport=[WebSocketTransport(), WebSocketTransport(path="/b")])
    socket = WebSocketTransport()
    ChatService(transport=["socket.io", socket])
    with pytest.raises(ConfigurationError, match="on the port of another transport"):
        socket.listen_at(port=5)


async def test_without_a_port() -> None:
    with pytest.raises(ConfigurationError, match="needs a port"):
        await WebSocketTransport().start(None)  # type: ignore[arg-type]


BAD_OPTIONS: dict[str, list[Any]] = {
    "port": [-1, "5", True],
    "host": ["", 5],
    "max_message_size": [0, None],
    "max_pending_connections": [0, "5"],
    "connect_timeout": [0, None],
}


@pytest.mark.parametrize(
    ("make", "bad_options"),
    [
        (WebSocketTransport, BAD_OPTIONS | {"path": ["/"], "compression": [1], "ping_interval": [0]}),
        (LineTransport, BAD_OPTIONS | {"delimiter": [""], "line_end": [5], "tls": ["cert"]}),
    ],
)
def test_options(make: Any, bad_options: dict[str, list[Any]]) -> None:
    for name, values in bad_options.items():
        for value in values:
            with pytest.raises(ConfigurationError, match=f"_options {name}: expected .*, got"):
                make(**{name: value})
    with pytest.raises(ConfigurationError, match=r"unknown .*_options prot"):
        make(prot=5)


async def test_compressed_frames(serve: Serve) -> None:
    service, port = await serve("shared port", compression=True)
    await service.add_room("room")
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{port}{PATH}?userName=a"
        async with http.ws_connect(url, compress=15) as small, http.ws_connect(url) as plain:
            assert small.compress
            for socket in (small, plain):
                await socket.send_str('{"id": 1, "command": "roomJoin", "args": ["room"]}')
                assert (await receive(socket))["event"] == "loginConfirmed"
                while (await receive(socket)).get("id") != 1:
                    pass
            text = "word " * 1000
            await plain.send_str(
                json.dumps({"command": "roomMessage", "args": ["room", {"textMessage": text}]})
            )
            for socket in (small, plain):
                while (frame := await receive(socket))["event"] != "roomMessage":
                    pass
                assert frame["args"][1]["textMessage"] == text


def test_options_have_a_text() -> None:
    assert "path='/ws'" in repr(WebSocketOptions(path="/ws"))
