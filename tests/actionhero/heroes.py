"""Clients of ActionHero: the two real ones in a Node process, and bare lines of TCP."""

import asyncio
import json
from pathlib import Path
from typing import Any

from chat_service import ChatService
from chat_service.transports.streams.line_transport import LineTransport
from chat_service.transports.transport_group import TransportGroup
from tests.e2e.clients import Client, NodeProcess, to_json
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE

DRIVER = Path(__file__).parent / "hero_driver.js"


class Hero(Client):
    """A real client. Its ``events`` are those of the library, such as ``say``."""

    def __init__(self, node: NodeProcess, name: str) -> None:
        super().__init__(name)
        self._node = node
        self.id = ""

    async def ask(self, method: str, *args: Any) -> dict[str, Any]:
        """Call a method of the client, and return the server's answer."""
        body = await self._node.ask("call", client=self.name, method=method, args=to_json(args))
        assert isinstance(body, dict)
        return body

    async def ask_all(self, *calls: tuple[Any, ...]) -> list[tuple[int, dict[str, Any]]]:
        """Call methods at once: the answers with the numbers of their calls, in the order of the answers."""
        given = [{"method": method, "args": to_json(args)} for method, *args in calls]
        answers = await self._node.ask("burst", client=self.name, calls=given)
        return [(index, body) for index, body in answers]

    async def read(self, *names: str) -> list[Any]:
        """Fields of the client."""
        return list(await self._node.ask("read", client=self.name, names=names))

    async def said(self) -> dict[str, Any]:
        """The next message of ``say``."""
        (message,) = await self.wait_for("say")
        assert isinstance(message, dict)
        return message

    async def operate(self, op: str, **fields: Any) -> Any:
        """Another operation of the driver."""
        return await self._node.ask(op, client=self.name, **fields)

    async def disconnect(self) -> None:
        await self.operate("disconnect")


class Heroes:
    """Connects clients to services, and forgets them in the end."""

    def __init__(self, node: NodeProcess) -> None:
        self._node = node
        self._count = 0
        self._lines: list[Lines] = []

    async def browser(self, service: ChatService, *, cookie: str = "", **options: Any) -> Hero:
        """ActionHero's browser client over the client library of Primus."""
        hero = self._new()
        url = f"http://127.0.0.1:{service.port}"
        error, details = await hero.operate("browser", url=url, options=options, cookie=cookie)
        assert error is None
        hero.id = details["data"]["id"]
        return hero

    async def tcp(self, service: ChatService, **options: Any) -> Hero:
        """``actionhero-client``."""
        hero = self._new()
        details = await hero.operate("lines", port=line_port(service), options=options)
        hero.id = details["data"]["id"]
        return hero

    async def telnet(self, service: ChatService, *, is_greeted: bool = True) -> "Lines":
        """A bare connection, after the greeting."""
        lines = Lines(*await asyncio.open_connection("127.0.0.1", line_port(service)))
        self._lines.append(lines)
        if is_greeted:
            assert "welcome" in await lines.read()
        return lines

    def _new(self) -> Hero:
        self._count += 1
        hero = Hero(self._node, f"hero{self._count}")
        self._node.watch(hero)
        return hero

    async def close(self) -> None:
        for lines in self._lines:
            await lines.close()
        await self._node.reset()


class Lines:
    """A bare connection of TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, data: str | bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data if isinstance(data, bytes) else data.encode())

    async def read(self) -> dict[str, Any]:
        """The next line."""
        async with asyncio.timeout(PATIENCE):
            line = await self._reader.readline()
        assert line.endswith(b"\r\n"), line
        body = json.loads(line)
        assert isinstance(body, dict)
        return body

    async def ask(self, line: str) -> dict[str, Any]:
        """Send a line, and return the next one that is an answer."""
        self.write(line + "\r\n")
        while True:
            body = await self.read()
            if body.get("context") == "response":
                return body

    async def rest(self) -> bytes:
        """Everything until the end of the connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read()

    async def close(self) -> None:
        self._writer.close()
        await asyncio.wait([asyncio.ensure_future(self._writer.wait_closed())])


def line_port(service: ChatService) -> int:
    """The port of the service's lines."""
    group = parts_of(service).transport
    assert isinstance(group, TransportGroup)
    (transport,) = (item for item in group.members if isinstance(item, LineTransport))
    assert transport.port is not None
    return transport.port
