"""Shared helpers for the tests of mounted services."""

from typing import Any

import aiohttp

from chat_service import ChatService
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo
from tests.support.world import name_by_query

WAYS = [WEBSOCKET, POLLING, UPGRADE]


def make_service(log: list[str] | None = None, **options: Any) -> ChatService:
    """A service that writes its life into ``log``."""
    written = [] if log is None else log

    async def on_start(service: ChatService) -> None:
        await service.add_room("room")
        written.append("service starts")

    hooks = {
        "on_connect": name_by_query,
        "on_start": on_start,
        "on_close": lambda service, error: written.append(f"service closes {error}"),
    }
    return ChatService(hooks=hooks, **{"command_rate": None, **options})


async def get_text(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


async def talk(connect: ConnectTo, port: int) -> list[Any]:
    """Clients over every transport, one of them Python, talk in a room. Returns them."""
    clients = []
    for number, (kind, transports) in enumerate([*(("js", way) for way in WAYS), ("py", UPGRADE)]):
        client = await connect(port, f"user{number}", kind=kind, transports=transports)
        await client.wait_for("loginConfirmed")
        await client.call("roomJoin", "room")
        clients.append(client)
    await clients[0].call("roomMessage", "room", {"textMessage": "hello"})
    for client in clients:
        assert (await client.wait_for("roomMessage"))[1]["author"] == "user0"
    return clients
