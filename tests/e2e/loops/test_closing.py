"""Connections opened while the service closes: all of them end, whatever they have sent."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chat_service import ChatService
from tests.e2e.clients import NAMESPACE
from tests.e2e.raw import polling
from tests.support.patience import PATIENCE
from tests.support.world import name_by_query

ENDPOINT = "/socket.io/?EIO=4&userName=x&transport="
HEAD = "HTTP/1.1\r\nHost: x\r\n"
#: Connections of one test.
MOST = 20
SENT = {
    "nothing": "",
    "part of a request": f"GET {ENDPOINT}polling HTT",
    "a request for a session": f"GET {ENDPOINT}polling {HEAD}\r\n",
    "a request for a page": f"GET /nothing {HEAD}\r\n",
    "part of a body": f"POST {ENDPOINT}polling&sid=x {HEAD}Content-Length: 100\r\n\r\nabc",
    "a request for a WebSocket": (
        f"GET {ENDPOINT}websocket {HEAD}Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ),
}


async def ends(connection: socket.socket) -> None:
    """Return when the server has closed a connection. Raises ``TimeoutError``."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        try:
            while await loop.sock_recv(connection, 1 << 16):
                pass
        except ConnectionError:
            pass


@asynccontextmanager
async def connections() -> AsyncIterator[list[socket.socket]]:
    made: list[socket.socket] = []
    try:
        yield made
    finally:
        for connection in made:
            connection.close()


def connect(port: int | None, text: str, made: list[socket.socket]) -> None:
    """Connect and send, without a turn of the loop."""
    connection = socket.socket()
    try:
        connection.connect(("127.0.0.1", port))
    except ConnectionError:
        # It no longer listens.
        connection.close()
        return
    made.append(connection)
    connection.setblocking(False)
    with contextlib.suppress(ConnectionError):
        connection.send(text.encode())


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
@pytest.mark.parametrize("turns", [0, 2])
async def test_connections_made_during_the_close_are_closed(sent: str, turns: int) -> None:
    service = ChatService(host="127.0.0.1", port=0, hooks={"on_connect": name_by_query})
    await service.start()
    port = service.port
    async with connections() as made:
        connect(port, sent, made)
        for _ in range(turns):
            await asyncio.sleep(0)
        closing = asyncio.create_task(service.close())
        while not closing.done():
            if len(made) < MOST:
                connect(port, sent, made)
            await asyncio.sleep(0)
        await closing
        await asyncio.gather(*map(ends, made))


async def test_a_polling_client_that_leaves_during_the_close() -> None:
    service = ChatService(host="127.0.0.1", port=0, hooks={"on_connect": name_by_query})
    await service.start()
    port = service.port
    async with polling(port) as raw, connections() as made:
        await raw.login()
        poll = asyncio.create_task(raw.get_status())
        body = f"41{NAMESPACE},\x1e1"
        path = f"{ENDPOINT}polling&sid={raw.sid}"
        request = f"POST {path} {HEAD}Content-Length: {len(body)}\r\n\r\n{body}"
        await asyncio.sleep(0)
        closing = asyncio.create_task(service.close())
        while not closing.done():
            if len(made) < MOST:
                connect(port, request, made)
            await asyncio.sleep(0)
        await closing
        await asyncio.gather(*map(ends, made))
        await asyncio.gather(poll, return_exceptions=True)
