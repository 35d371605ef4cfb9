"""Clients of the plain protocols, for the conformance suite and for tests of mixed rooms."""

import asyncio
import itertools
import json
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp

from chat_service.contracts.transport import Transport
from chat_service.transports.streams.wire_json import restore, write_json
from chat_service.types import SocketId
from tests.support.patience import PATIENCE


class PlainClient:
    """A ``TransportClient`` of the plain protocol. Subclasses move the frames."""

    def __init__(self) -> None:
        self.id = SocketId("")
        self.events: list[tuple[str, list[Any]]] = []
        #: Frames that are neither an event nor an answer to a command.
        self.others: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self.connected = True

    async def write(self, frame: bytes) -> None:
        raise NotImplementedError

    async def read(self) -> str | None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while (text := await self.read()) is not None:
            frame = restore(json.loads(text))
            if "event" in frame:
                self.events.append((frame["event"], frame["args"]))
            elif isinstance(frame.get("id"), int) and frame["id"] in self._answers:
                self._answers.pop(frame["id"]).set_result(frame)
            else:
                self.others.append(frame)
        self.connected = False

    async def login(self, auth: Any, query: Mapping[str, str]) -> None:
        await self.write(write_json({"login": auth, "query": dict(query)}))

    async def emit(self, event: str, *args: Any) -> list[Any]:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self.write(write_json({"id": number, "command": event, "args": args}))
        async with asyncio.timeout(PATIENCE):
            frame = await answer
        return [frame["error"], *frame["results"]] if "error" in frame else []

    async def send(self, event: str, *args: Any) -> None:
        await self.write(write_json({"command": event, "args": args}))

    async def disconnect(self) -> None:
        await self.close()
        if self._reading is not None:
            await self._reading


ClientT = TypeVar("ClientT", bound=PlainClient)


class LineClient(PlainClient):
    """A client over TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader, self._writer = reader, writer

    async def write(self, frame: bytes) -> None:
        self._writer.write(frame + b"\n")
        await self._writer.drain()

    async def read(self) -> str | None:
        try:
            line = await self._reader.readline()
        except ConnectionError:
            line = b""
        if not line:
            self._writer.close()
        return line.decode() if line else None

    async def close(self) -> None:
        if self.connected and not self._writer.is_closing():
            self._writer.write(b"quit\n")


class SocketClient(PlainClient):
    """A client with a WebSocket."""

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__()
        self._session, self._socket = session, socket

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    async def write(self, frame: bytes) -> None:
        await self._socket.send_str(frame.decode())

    async def read(self) -> str | None:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        await self._session.close()
        return None

    async def close(self) -> None:
        if self.connected:
            # The reader gets the close frame of the server.
            await self._socket._writer.close()


async def named(transport: Transport, client: ClientT, known: set[SocketId]) -> ClientT:
    """Wait until the server knows a client, and note its id. Raises ``ConnectionError`` if it is refused."""
    try:
        async with asyncio.timeout(PATIENCE):
            while client.connected and not (new := set(transport.socket_ids()) - known):
                await asyncio.sleep(0)
        if not client.connected:
            raise ConnectionError(f"refused: {client.others}")
    except BaseException:
        await client.disconnect()
        raise
    (client.id,) = new
    return client


async def connect_line(
    transport: Transport,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: Any = None,
    port: int | None = None,
) -> LineClient:
    """A client on a line, logged in."""
    known = set(transport.socket_ids())
    port = port or transport.port
    if port is None:
        raise ConnectionError("there is no port")
    client = LineClient(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))
    client.start()
    await client.login(auth, query or {})
    return await named(transport, client, known)


async def connect_socket(
    transport: Transport,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: Any = None,
    port: int | None = None,
    path: str = "/chat-service/ws",
) -> SocketClient:
    """A client with a WebSocket, logged in."""
    known = set(transport.socket_ids())
    session = aiohttp.ClientSession()
    try:
        socket = await session.ws_connect(
            f"http://127.0.0.1:{port or transport.port}{path}?{urlencode(query or {})}",
            headers=dict(headers or {}),
            protocols=["chat-service.v1"],
            max_msg_size=0,
        )
    except BaseException:
        await session.close()
        raise
    client = SocketClient(session, socket)
    client.start()
    await client.login(auth, {})
    return await named(transport, client, known)
