"""Every transport option works as documented and refuses invalid values."""

import asyncio
import gzip
import itertools
import json
from typing import Any

import aiohttp
import pytest

from chat_service import ChatService, ConfigurationError
from chat_service.testing import wait_until
from chat_service.transports.socketio.engine.peer import Peer
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo, Serve
from tests.e2e.raw import event, polling, websocket


@pytest.mark.covers("transport_option:transports")
@pytest.mark.parametrize(("allowed", "refused"), [(WEBSOCKET, POLLING), (POLLING, WEBSOCKET)])
async def test_transports(serve: Serve, connect: ConnectTo, allowed: list[str], refused: list[str]) -> None:
    service = await serve(transport_options={"transports": allowed})
    client = await connect(service, "alice", transports=allowed)
    await client.wait_for("loginConfirmed")
    assert await client.transport() == allowed[0]
    other = await connect(service, "bob", transports=refused)
    await other.wait_for("connect_error")
    assert list((await service.get_instance_sockets()).values()) == ["alice"]


@pytest.mark.covers("transport_option:transports")
async def test_no_upgrade_where_only_polling_is_allowed(serve: Serve, login: ConnectTo) -> None:
    service = await serve(transport_options={"transports": ["polling"]})
    client = await login(service, "alice", transports=UPGRADE)
    assert await client.call("listOwnSockets")
    assert await client.transport() == "polling"
    async with polling(service.port) as raw, aiohttp.ClientSession() as http:
        # Not by a trick either.
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(raw.url)
        await raw.post("1")


@pytest.mark.covers("transport_option:transports")
async def test_polling_is_upgraded_by_default(serve: Serve, login: ConnectTo) -> None:
    service = await serve()
    client = await login(service, "alice", transports=UPGRADE)
    while await client.transport() != "websocket":
        await client.call("listOwnSockets")
    (session,) = service.transport.get_server().eio.sockets.values()
    assert session.upgraded


@pytest.mark.covers("transport_option:path")
@pytest.mark.parametrize("path", ["/chat", "chat/", "/a/b"])
async def test_path(serve: Serve, connect: ConnectTo, path: str) -> None:
    service = await serve(transport_options={"path": path})
    client = await connect(service, "alice", path=f"/{path.strip('/')}/")
    await client.wait_for("loginConfirmed")
    other = await connect(service, "bob")
    await other.wait_for("connect_error")


@pytest.mark.covers("option:namespace")
async def test_namespace(serve: Serve, connect: ConnectTo) -> None:
    service = await serve(namespace="/talk")
    async with websocket(service.port) as raw:
        await raw.send("40/talk,")
        await raw.recv_start('42/talk,["loginConfirmed"')
        await raw.send(f"40{NAMESPACE},")
        await raw.recv_start(f"44{NAMESPACE},")


@pytest.mark.covers("transport_option:cors_allowed_origins")
@pytest.mark.parametrize(
    ("allowed", "origin", "passes"),
    [
        (None, "http://127.0.0.1:{port}", True),
        (None, "http://evil.example", False),
        ("*", "http://any.example", True),
        ("http://good.example", "http://good.example", True),
        ("http://good.example", "http://evil.example", False),
        (["http://good.example", "http://too.example"], "http://too.example", True),
        (("http://good.example",), "http://evil.example", False),
        ("HTTPS://Good.example:443", "https://good.example", True),
        ("https://bücher.example", "https://xn--bcher-kva.example", True),
        ("https://*.good.example", "https://a.b.good.example", True),
        ("https://*.good.example", "https://good.example", False),
    ],
)
async def test_origins(serve: Serve, allowed: Any, origin: str, passes: bool) -> None:
    service = await serve(transport_options={"cors_allowed_origins": allowed})
    url = f"http://127.0.0.1:{service.port}/socket.io/?EIO=4&transport="
    headers = {"Origin": origin.format(port=service.port)}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.get(url + "polling") as response:
            assert response.status == (200 if passes else 400)
            # Who lets everybody in lets nobody in with credentials.
            named = "*" if allowed == "*" else headers["Origin"]
            assert response.headers.get("Access-Control-Allow-Origin") == (named if passes else None)
        if passes:
            async with http.ws_connect(url + "websocket") as ws:
                assert (await ws.receive_str()).startswith("0{")
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(url + "websocket")
    for session in tuple(service.transport.get_server().eio.sockets.values()):
        await session.close()


@pytest.mark.covers("transport_option:ping_interval", "transport_option:ping_timeout")
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING])
async def test_pings(
    serve: Serve, login: ConnectTo, transports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await serve(transport_options={"ping_interval": 0.05, "ping_timeout": 30})
    client = await login(service, "alice", transports=transports)
    (session,) = service.transport.get_server().eio.sockets.values()
    pings: list[float] = []
    ping = Peer.ping

    def spy(peer: Peer) -> None:
        pings.append(asyncio.get_running_loop().time())
        ping(peer)

    monkeypatch.setattr(Peer, "ping", spy)
    await wait_until(lambda: len(pings) >= 4, "pings")
    assert all(later - earlier >= 0.04 for earlier, later in itertools.pairwise(pings))
    assert await client.call("listOwnSockets")
    assert not session.closed
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{service.port}/socket.io/?EIO=4&transport=websocket"
        async with http.ws_connect(url) as ws:
            opening = json.loads((await ws.receive_str())[1:])
    assert (opening["pingInterval"], opening["pingTimeout"]) == (50, 30000)


@pytest.mark.covers("transport_option:max_message_size")
@pytest.mark.parametrize("serializer", ["json", "msgpack"])
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING])
async def test_largest_message(
    serve: Serve, login: ConnectTo, transports: list[str], serializer: str
) -> None:
    service = await serve(transport_options={"max_message_size": 10_000, "serializer": serializer})
    client = await login(service, "alice", transports=transports, msgpack=serializer == "msgpack")
    # The body of a polling client is in base64 when it is binary.
    fits = 7_000 if (serializer, transports) == ("msgpack", POLLING) else 9_900
    assert await client.call("systemMessage", "x" * fits) is None
    await client.tell("systemMessage", "x" * 10_000)
    await client.wait_for("disconnect")


@pytest.mark.covers("transport_option:max_message_values")
@pytest.mark.parametrize("serializer", ["json", "msgpack"])
async def test_most_values(serve: Serve, login: ConnectTo, serializer: str) -> None:
    service = await serve(transport_options={"max_message_values": 100, "serializer": serializer})
    # Commas and brackets in texts do not count, nor does the size of one value.
    fits = ["[{,\\" * 100, *range(50), [1, [2], {"a": {"b": "x" * 1000}}], "\u00fc\u2028"]
    many: list[Any] = [[1] * 100, [[]] * 60, [{"a": 1}] * 60, [[[1]]] * 40, {str(n): n for n in range(100)}]
    for excess in many:
        client = await login(service, "alice", msgpack=serializer == "msgpack")
        assert await client.call("systemMessage", fits) is None
        await client.tell("systemMessage", [excess])
        await client.wait_for("disconnect")
    await wait_until(lambda: not service.transport.get_server().eio.sockets, "the connections to end")


@pytest.mark.covers("transport_option:compression")
@pytest.mark.parametrize("compression", [False, True])
async def test_compression(serve: Serve, login: ConnectTo, compression: bool) -> None:
    service = await serve(transport_options={"compression": compression})
    url = f"http://127.0.0.1:{service.port}/socket.io/?EIO=4&transport="
    async with polling(service.port) as raw:
        await raw.login()
        for number in range(10):
            await raw.post(event("x" * 2000, id=number))
        options = {"headers": {"Accept-Encoding": "gzip"}}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.get(raw.url, **options) as response,  # type: ignore[arg-type]
        ):
            body = await response.read()
            assert (response.headers.get("Content-Encoding") == "gzip") is compression
            assert b"No such command" in (gzip.decompress(body) if compression else body)
        await raw.post("1")
    async with aiohttp.ClientSession() as http, http.ws_connect(url + "websocket", compress=15) as ws:
        assert bool(ws.compress) is compression
    client = await login(service, "alice", perMessageDeflate=True)
    await client.call("systemMessage", "x" * 10_000)


@pytest.mark.covers("transport_option:cors_allowed_origins")
@pytest.mark.parametrize("origins", ["good.example", ["https://fine.example", "https://good.example/"]])
async def test_origins_that_never_match_are_refused_with_a_suggestion(origins: Any) -> None:
    message = "^transport_options cors_allowed_origins: .* never matches .*: write 'https://good.example'$"
    with pytest.raises(ConfigurationError, match=message):
        ChatService(transport_options={"cors_allowed_origins": origins})


@pytest.mark.covers(
    "transport_option:app",
    "transport_option:compression",
    "transport_option:cors_allowed_origins",
    "transport_option:max_message_size",
    "transport_option:middleware",
    "transport_option:path",
    "transport_option:ping_interval",
    "transport_option:ping_timeout",
    "transport_option:serializer",
    "transport_option:server",
    "transport_option:transports",
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("app", 5),
        ("compression", 1),
        ("compression", None),
        ("cors_allowed_origins", 5),
        ("cors_allowed_origins", ""),
        ("cors_allowed_origins", [5]),
        ("cors_allowed_origins", []),
        ("max_message_size", 0),
        ("max_message_size", 1.5),
        ("max_message_size", True),
        ("max_message_values", 0),
        ("max_waiting_events", 0),
        ("max_waiting_events", 1.5),
        ("max_events_per_turn", 0),
        ("max_events_per_turn", True),
        ("head_timeout", 0),
        ("body_timeout", -1),
        ("keep_alive_timeout", "75"),
        ("middleware", 5),
        ("middleware", [print, 5]),
        ("path", ""),
        ("path", "/"),
        ("path", 5),
        ("ping_interval", 0),
        ("ping_interval", "25"),
        ("ping_interval", float("inf")),
        ("ping_timeout", -1),
        ("ping_timeout", True),
        ("serializer", "xml"),
        ("serializer", None),
        ("serializer", ["json"]),
        ("server", 5),
        ("transports", []),
        ("transports", "websocket"),
        ("transports", ["websocket", "pigeon"]),
        ("transports", [["websocket"]]),
        ("transports", None),
    ],
)
def test_invalid_values(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"transport_options {name}: expected "):
        ChatService(transport_options={name: value})


def test_unknown_option() -> None:
    with pytest.raises(ConfigurationError, match="unknown transport_options pingInterval"):
        ChatService(transport_options={"pingInterval": 5})


@pytest.mark.covers("option:host", "option:port")
@pytest.mark.parametrize("host", [None, "localhost", "127.0.0.1", "0.0.0.0"])
async def test_a_free_port_is_the_same_at_all_addresses(serve: Serve, host: str | None) -> None:
    async with ChatService(host=host, port=0) as service:
        url = f"http://127.0.0.1:{service.port}/socket.io/?EIO=4&transport=websocket"
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as ws:
            assert (await ws.receive_str()).startswith("0{")


async def test_other_servers_of_the_process_keep_their_json(serve: Serve) -> None:
    from engineio import json as engine_json
    from engineio import packet as engine_packet
    from socketio import packet

    await serve()
    assert engine_packet.Packet.json is engine_json
    assert packet.Packet.json is engine_json
