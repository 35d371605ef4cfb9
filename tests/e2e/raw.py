"""Clients for arbitrary data: bare WebSocket messages and bare polling requests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.clients import NAMESPACE
from tests.support.patience import PATIENCE

SEPARATOR = "\x1e"


def event(name: Any, *args: Any, id: int | None = None) -> str:
    """An Engine.IO message with a Socket.IO event in it."""
    return f"42{NAMESPACE},{'' if id is None else id}{json.dumps([name, *args])}"


class RawWebSocket:
    """One WebSocket connection."""

    def __init__(self, ws: ClientConnection) -> None:
        self._ws = ws

    async def send(self, message: str | bytes) -> None:
        await self._ws.send(message)

    async def recv(self) -> str | bytes:
        async with asyncio.timeout(PATIENCE):
            return await self._ws.recv()

    async def login(self) -> None:
        """Connect to the namespace and wait for the confirmation."""
        await self.send(f"40{NAMESPACE},")
        await self.recv_start(f"40{NAMESPACE},")
        await self.recv_start(f'42{NAMESPACE},["loginConfirmed"')

    async def recv_start(self, start: str) -> str:
        """The first message that starts so; those before it are dropped, except for pings."""
        while True:
            message = await self.recv()
            if isinstance(message, str) and message.startswith(start):
                return message

    async def ack(self, name: Any, *args: Any) -> list[Any]:
        """Send an event and return the values of its ack."""
        await self.send(event(name, *args, id=7))
        return await self.recv_ack(7)

    async def recv_ack(self, id: int) -> list[Any]:
        values = json.loads((await self.recv_start(f"43{NAMESPACE},{id}["))[len(f"43{NAMESPACE},{id}") :])
        assert isinstance(values, list)
        return values

    @property
    def close_code(self) -> int | None:
        """The code of a connection that is closed."""
        return self._ws.close_code

    async def wait_closed(self) -> list[str | bytes]:
        """Read to the end of the connection, and return what came."""
        messages: list[str | bytes] = []
        try:
            while True:
                messages.append(await self.recv())
        except ConnectionClosed:
            return messages


@asynccontextmanager
async def websocket(
    port: int | None, user: str = "raw", *, sid: str | None = None
) -> AsyncIterator[RawWebSocket]:
    """A WebSocket connection; its Engine.IO handshake is done unless it belongs to a session."""
    url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket&userName={user}"
    if sid is not None:
        url += f"&sid={sid}"
    async with connect(url, max_size=None, ping_interval=None, close_timeout=1) as ws:
        raw = RawWebSocket(ws)
        if sid is None:
            assert str(await raw.recv()).startswith("0{")
        yield raw


class RawPolling:
    """One polling session."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self._http = http
        self._base = base
        self.sid = ""

    async def open(self) -> None:
        (opening,) = await self.get()
        self.sid = json.loads(opening[1:])["sid"]

    @property
    def url(self) -> str:
        return self._base + (f"&sid={self.sid}" if self.sid else "")

    async def get(self) -> list[str]:
        """Poll once. Raises ``AssertionError`` unless the answer is 200."""
        async with self._http.get(self.url) as response:
            assert response.status == 200, await response.text()
            return (await response.text()).split(SEPARATOR)

    async def get_status(self) -> int:
        async with self._http.get(self.url) as response:
            return response.status

    async def post(self, body: str | bytes, **options: Any) -> int:
        """Send a body and return the status."""
        async with self._http.post(self.url, data=body, **options) as response:
            return response.status

    async def login(self) -> None:
        assert await self.post(f"40{NAMESPACE},") == 200
        while not any(packet.startswith(f'42{NAMESPACE},["loginConfirmed"') for packet in await self.get()):
            pass

    async def ack(self, name: Any, *args: Any) -> list[Any]:
        assert await self.post(event(name, *args, id=7)) == 200
        while True:
            for packet in await self.get():
                if packet.startswith(f"43{NAMESPACE},7["):
                    values = json.loads(packet[len(f"43{NAMESPACE},7") :])
                    assert isinstance(values, list)
                    return values


@asynccontextmanager
async def polling(port: int | None, user: str = "raw") -> AsyncIterator[RawPolling]:
    """A polling session; its Engine.IO handshake is done."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
        raw = RawPolling(http, f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling&userName={user}")
        await raw.open()
        yield raw
