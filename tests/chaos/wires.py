"""How a client of a run reaches its instance: by WebSocket, by long-polling, or by one after the other."""

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import aiohttp
import websockets
from websockets.asyncio.client import ClientConnection, connect

#: What separates the packets of one polling payload.
SEPARATOR = "\x1e"


class WireLost(Exception):
    """The connection is gone."""


class Wire(Protocol):
    """Carries Engine.IO packets as text."""

    async def send(self, packet: str) -> None:
        """Raises ``WireLost``."""
        ...

    async def receive(self) -> str:
        """The next packet. Raises ``WireLost``."""
        ...

    async def abort(self) -> None:
        """End it without a word. Idempotent."""
        ...


class WebSocketWire:
    """One WebSocket from the beginning."""

    def __init__(self, ws: ClientConnection) -> None:
        self._ws = ws

    @classmethod
    async def open(cls, port: int, query: str) -> "WebSocketWire":
        try:
            url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket&{query}"
            return cls(await connect(url, max_size=None, ping_interval=None, close_timeout=0.5, proxy=None))
        except (OSError, websockets.WebSocketException) as error:
            raise WireLost(repr(error)) from None

    async def send(self, packet: str) -> None:
        try:
            await self._ws.send(packet)
        except (OSError, websockets.WebSocketException) as error:
            raise WireLost(repr(error)) from None

    async def receive(self) -> str:
        try:
            return str(await self._ws.recv())
        except (OSError, websockets.WebSocketException) as error:
            raise WireLost(repr(error)) from None

    async def abort(self) -> None:
        # Not a polite close: nothing that the peer does may hold the run up.
        self._ws.transport.abort()
        with contextlib.suppress(Exception):
            await self._ws.wait_closed()


class PollingWire:
    """One poll waits at a time, and one POST is on its way at a time."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._received: deque[str] = deque()
        self._posting = asyncio.Lock()
        self.session_id = ""

    @classmethod
    async def open(cls, port: int, query: str) -> "PollingWire":
        url = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling&{query}"
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30, connect=5))
        wire = cls(session, url)
        try:
            opening = json.loads((await wire._request("GET"))[1:])
            wire.session_id = opening["sid"]
            wire._url = f"{url}&sid={wire.session_id}"
        except BaseException:
            await wire.abort()
            raise
        return wire

    async def _request(self, method: str, body: str | None = None) -> str:
        try:
            async with self._session.request(method, self._url, data=body) as response:
                text = await response.text()
        except (OSError, TimeoutError, aiohttp.ClientError, RuntimeError) as error:
            raise WireLost(repr(error)) from None
        if response.status != 200:
            raise WireLost(f"{method}: {response.status} {text[:100]}")
        return text

    async def send(self, packet: str) -> None:
        async with self._posting:
            await self._request("POST", packet)

    async def receive(self) -> str:
        while not self._received:
            self._received.extend(
                packet for packet in (await self._request("GET")).split(SEPARATOR) if packet
            )
        return self._received.popleft()

    def take_received(self) -> list[str]:
        """The packets that came and were not asked for yet."""
        taken = list(self._received)
        self._received.clear()
        return taken

    async def abort(self) -> None:
        await self._session.close()


class UpgradingWire:
    """Begins with long-polling, and goes over to a WebSocket after some packets, as browsers do."""

    def __init__(self, polling: PollingWire, port: int, query: str) -> None:
        self._polling = polling
        self._port = port
        self._query = query
        self._ws: WebSocketWire | None = None
        # What the old carrier still had for us.
        self._rest: deque[str] = deque()
        self._received = itertools.count(1)
        self._sending = asyncio.Lock()

    @classmethod
    async def open(cls, port: int, query: str) -> "UpgradingWire":
        return cls(await PollingWire.open(port, query), port, query)

    async def send(self, packet: str) -> None:
        async with self._sending:
            await (self._ws or self._polling).send(packet)

    async def receive(self) -> str:
        if self._rest:
            return self._rest.popleft()
        if self._ws is not None:
            return await self._ws.receive()
        packet = await self._polling.receive()
        # After the handshake and the login.
        if next(self._received) == 3:
            await self._upgrade()
        return packet

    async def _upgrade(self) -> None:
        query = f"{self._query}&sid={self._polling.session_id}"
        ws = await WebSocketWire.open(self._port, query)
        try:
            await ws.send("2probe")
            polling = asyncio.create_task(self._drain_polling())
            try:
                if await ws.receive() != "3probe":
                    raise WireLost("the probe was not answered")
                async with self._sending:
                    # The waiting poll ends by a noop, with what came before it.
                    await polling
                    await ws.send("5")
                    self._ws = ws
            finally:
                polling.cancel()
                await asyncio.wait([polling])
        except BaseException:
            await ws.abort()
            raise
        await self._polling.abort()

    async def _drain_polling(self) -> None:
        while True:
            packet = await self._polling.receive()
            if packet == "6":
                self._rest.extend(self._polling.take_received())
                return
            self._rest.append(packet)

    async def abort(self) -> None:
        if self._ws is not None:
            await self._ws.abort()
        await self._polling.abort()


#: How to open each kind: port and query in, an open wire out.
WIRES: dict[str, Callable[[int, str], Awaitable[Wire]]] = {
    "websocket": WebSocketWire.open,
    "polling": PollingWire.open,
    "upgrade": UpgradingWire.open,
}
