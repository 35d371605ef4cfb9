"""The Socket.IO Admin UI with a real server and real connections."""

import logging
import time
from typing import Any

import pytest

from chat_service import ConfigurationError
from chat_service.testing import wait_until
from chat_service.transports.socketio import SocketIOOptions, admin
from tests.e2e.clients import NodeClient, NodeProcess
from tests.e2e.conftest import ConnectTo, Serve, connect, node_process, serve
from tests.e2e.raw import websocket

__all__ = ["connect", "node_process", "serve"]

LOGIN = {"username": "admin", "password": "secret"}


async def connect_admin(node: NodeProcess, port: int | None, **auth: str) -> NodeClient:
    """Connect to the namespace of the admin UI, as the UI does."""
    key = f"admin-{len(node._clients)}"
    client = node._clients[key] = NodeClient(node, key)
    options = {"auth": auth, "transports": ["websocket"]}
    await node.ask(
        "connect", client=key, url=f"http://127.0.0.1:{port}/admin", options=options, msgpack=False
    )
    return client


@pytest.mark.e2e
@pytest.mark.covers("transport_option:admin_ui")
async def test_admin_ui_shows_the_servers_numbers(
    serve: Serve, connect: ConnectTo, node_process: NodeProcess
) -> None:
    service = await serve(transport_options={"admin_ui": LOGIN})
    await service.add_room("lobby")
    ways = (["websocket"], ["polling"])
    clients = [await connect(service, f"user{number}", transports=way) for number, way in enumerate(ways)]
    for client in clients:
        await client.wait_for("loginConfirmed")
        await client.call("roomJoin", "lobby")
    admin = await connect_admin(node_process, service.port, **LOGIN)
    await admin.wait_for("connect")
    # It is read-only, and is told so.
    assert await admin.wait_for("config") == [{"supportedFeatures": ["AGGREGATED_EVENTS"]}]
    await clients[0].call("roomMessage", "lobby", {"textMessage": "hello"})
    stats: dict = {}

    def is_complete() -> bool:
        for [report] in admin.received("server_stats"):
            stats.update(report)
        return bool(stats) and stats["clientsCount"] == 3 and bool(stats["aggregatedEvents"])

    await wait_until(is_complete, "a report")
    assert stats["pollingClientsCount"] == 1
    assert stats["namespaces"] == [
        {"name": "/chat-service", "socketsCount": 2},
        {"name": "/admin", "socketsCount": 1},
    ]
    assert {event["type"] for event in stats["aggregatedEvents"]} == {"packetsOut"}
    # Client traffic is not forwarded, and everything else works as usual.
    assert {name for name, _ in admin.events} <= {"connect", "config", "server_stats"}
    assert await clients[0].wait_for("roomMessage", "lobby")
    await service.close()
    assert await admin.wait_for("disconnect")


@pytest.mark.e2e
@pytest.mark.parametrize(
    "auth", [{}, {"username": "admin", "password": "x"}, {"username": "é", "password": "secret"}], ids=str
)
async def test_other_clients_are_refused(
    serve: Serve, connect: ConnectTo, node_process: NodeProcess, auth: dict[str, str]
) -> None:
    service = await serve(transport_options={"admin_ui": LOGIN})
    admin = await connect_admin(node_process, service.port, **auth)
    assert (await admin.wait_for("connect_error"))[0] == "authentication failed"
    assert not admin.received("config")


@pytest.mark.e2e
async def test_it_is_off_by_default(serve: Serve, connect: ConnectTo, node_process: NodeProcess) -> None:
    service = await serve()
    admin = await connect_admin(node_process, service.port, **LOGIN)
    assert await admin.wait_for("connect_error")


@pytest.mark.parametrize(
    "bad",
    ["admin", {}, {"username": "a"}, {"username": "a", "password": ""}, {**LOGIN, "mode": "x"}],
    ids=str,
)
def test_bad_logins_are_refused_and_not_shown(bad: object) -> None:
    with pytest.raises(ConfigurationError, match="admin_ui: expected") as caught:
        SocketIOOptions.from_mapping({"admin_ui": bad})
    assert "secret" not in str(caught.value)


async def test_callers_own_server_is_not_instrumented() -> None:
    import socketio

    server = socketio.AsyncServer(async_mode="aiohttp")
    with pytest.raises(ConfigurationError, match="your own server"):
        SocketIOOptions.from_mapping({"admin_ui": LOGIN, "server": server})


@pytest.mark.e2e
async def test_passwords_cannot_be_guessed_for_long(
    serve: Serve, connect: ConnectTo, node_process: NodeProcess, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    service = await serve(transport_options={"admin_ui": LOGIN})

    async def attempt(password: str) -> str:
        async with websocket(service.port) as raw:
            await raw.send(f'40/admin,{{"username":"admin","password":"{password}"}}')
            return await raw.recv_start("4")

    with caplog.at_level(logging.WARNING, "chat_service"):
        for number in range(admin.MAX_FAILURES):
            assert "authentication failed" in await attempt(f"guess {number}")
        for password in ("another guess", LOGIN["password"]):
            assert "too many wrong passwords" in await attempt(password)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "admin UI: wrong login 1 of address 127.0.0.1"
    assert told[-1] == "admin UI: address 127.0.0.1 is refused for a minute"
    assert len(told) == admin.MAX_FAILURES + 1
    assert "guess" not in caplog.text
    # A minute later.
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert (await attempt(LOGIN["password"])).startswith("40/admin,")
