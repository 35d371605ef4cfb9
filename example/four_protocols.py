"""Four clients in one room: a line as of telnet, a plain WebSocket, an ActionHero client, and Socket.IO.

    python example/four_protocols.py            start a service, let the four talk, and stop
    python example/four_protocols.py --serve    only start the service, for clients of your own

Each client speaks its own protocol, and all hear the same messages in the same order. Except for Socket.IO
the clients need nothing but JSON, so they can be written like this in any language.
"""

import asyncio
import json
import os
import sys
from abc import ABC, abstractmethod
from typing import Any

import aiohttp

from chat_service import ChatService
from chat_service.client import ChatClient
from chat_service.transports.actionhero import PrimusDialect
from chat_service.transports.streams import LineTransport, WebSocketTransport

ROOM = "lobby"


def name_user(service: ChatService, socket_id: str) -> str | None:
    """Trust any name from the client. A real service checks a token here."""
    return service.transport.get_handshake_data(socket_id).query.get("userName")


async def make_room(service: ChatService) -> None:
    await service.add_room(ROOM, exist_ok=True)


def make_service(*, line_port: int = 5000, **options: Any) -> ChatService:
    return ChatService(
        transport=[
            "socket.io",
            LineTransport(port=line_port),
            WebSocketTransport(path="/ws"),
            WebSocketTransport(path="/primus", dialect=PrimusDialect()),
        ],
        hooks={"on_connect": name_user, "on_start": make_room},
        **options,
    )


class Client(ABC):
    """One of the four. ``heard``: the messages of the room, as ``(author, text)``."""

    name: str

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.has_joined = asyncio.Event()
        self.has_heard = asyncio.Event()

    def hear(self, author: str, text: str) -> None:
        self.heard.append((author, text))
        self.has_heard.set()

    async def wait_for(self, count: int) -> None:
        """Wait until so many messages were heard."""
        while len(self.heard) < count:
            self.has_heard.clear()
            await self.has_heard.wait()

    @abstractmethod
    async def start(self, host: str, port: int, line_port: int) -> None:
        """Connect and join."""

    @abstractmethod
    async def say(self, text: str) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...


class LineClient(Client):
    """Types what a person would type into telnet."""

    name = "telnet"

    async def start(self, host: str, port: int, line_port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection(host, line_port)
        self._reading = asyncio.create_task(self._read())
        self._type(f"login userName={self.name}")
        self._type(f"roomJoin {ROOM}")
        await self.has_joined.wait()

    def _type(self, line: str) -> None:
        self._writer.write(line.encode() + b"\r\n")

    async def _read(self) -> None:
        async for line in self._reader:
            told = json.loads(line)
            if told.get("event") == "roomMessage":
                _, message = told["args"]
                self.hear(message["author"], message["textMessage"])
            elif "results" in told:
                self.has_joined.set()

    async def say(self, text: str) -> None:
        self._type(f"say {ROOM} {text}")

    async def stop(self) -> None:
        self._type("quit")
        await self._reading
        self._writer.close()


class FrameClient(Client):
    """Sends and receives JSON frames on a WebSocket."""

    path: str

    async def start(self, host: str, port: int, line_port: int) -> None:
        self._count = 0
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(f"ws://{host}:{port}{self.path}?userName={self.name}")
        self._reading = asyncio.create_task(self._read())
        await self.join()
        await self.has_joined.wait()

    async def send(self, frame: dict[str, Any]) -> None:
        await self._socket.send_json(frame)

    def number(self) -> int:
        """The next number, by which an answer can be told from others."""
        self._count += 1
        return self._count

    async def _read(self) -> None:
        async for frame in self._socket:
            await self.take(frame.json())

    @abstractmethod
    async def join(self) -> None: ...

    @abstractmethod
    async def take(self, told: Any) -> None:
        """A frame has arrived."""

    async def stop(self) -> None:
        await self._socket.close()
        await self._reading
        await self._session.close()


class WebSocketClient(FrameClient):
    """The plain protocol of this service."""

    name, path = "websocket", "/ws"

    async def join(self) -> None:
        await self._run("roomJoin", ROOM)

    async def _run(self, command: str, *args: Any) -> None:
        await self.send({"id": self.number(), "command": command, "args": args})

    async def take(self, told: Any) -> None:
        if told.get("event") == "roomMessage":
            _, message = told["args"]
            self.hear(message["author"], message["textMessage"])
        elif told.get("id") == 1:
            self.has_joined.set()

    async def say(self, text: str) -> None:
        await self._run("roomMessage", ROOM, {"textMessage": text})


class ActionHeroClient(FrameClient):
    """What ActionHero's browser client sends over Primus."""

    name, path = "actionhero", "/primus"

    async def join(self) -> None:
        await self.send({"event": "roomAdd", "room": ROOM, "messageId": self.number()})

    async def take(self, told: Any) -> None:
        if isinstance(told, str) and told.startswith("primus::ping::"):
            await self._socket.send_json(told.replace("ping", "pong"))
        elif told.get("context") == "user":
            self.hear(told["from"], told["message"])
        elif told.get("messageId") == 1:
            self.has_joined.set()

    async def say(self, text: str) -> None:
        await self.send({"event": "say", "room": ROOM, "message": text, "messageId": self.number()})


class SocketIOClient(Client):
    """The typed client of this package."""

    name = "socket.io"

    async def start(self, host: str, port: int, line_port: int) -> None:
        self._client = ChatClient(f"http://{host}:{port}", query={"userName": self.name})
        await self._client.connect()
        self._room = await self._client.join(ROOM)
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._room:
            self.hear(message["author"], message["textMessage"])

    async def say(self, text: str) -> None:
        await self._room.send({"textMessage": text})

    async def stop(self) -> None:
        await self._client.close()
        await self._reading


async def converse(host: str, port: int, line_port: int) -> dict[str, list[tuple[str, str]]]:
    """Let each client say hello. Returns what each of them has heard."""
    clients: list[Client] = [LineClient(), WebSocketClient(), ActionHeroClient(), SocketIOClient()]
    started: list[Client] = []
    try:
        for client in clients:
            started.append(client)
            await client.start(host, port, line_port)
        for client in clients:
            await client.say(f"Hello from {client.name}")
        for client in clients:
            await client.wait_for(len(clients))
    finally:
        for client in reversed(started):
            await client.stop()
    return {client.name: client.heard for client in clients}


async def main() -> None:
    line_port = int(os.environ.get("LINE_PORT", "5000"))
    async with make_service(line_port=line_port, port=int(os.environ.get("PORT", "8000"))) as service:
        assert service.port is not None
        for listener, heard in (await converse("127.0.0.1", service.port, line_port)).items():
            print(f"{listener} hears")
            for author, text in heard:
                print(f"    {author}: {text}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        make_service(port=int(os.environ.get("PORT", "8000"))).run()
    else:
        asyncio.run(main())
