"""Transports and clients of ActionHero's dialect, for the conformance suite.

The dialect has actions with parameters instead of events with arguments. Here an event is an action with the
arguments in one parameter, and the values of the ack are one field of the answer.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp

from chat_service.contracts.transport import Transport, TransportHandler
from chat_service.transports.actionhero import ActionHeroDialect, PrimusDialect
from chat_service.transports.streams import LineTransport, WebSocketTransport
from chat_service.transports.streams.wire_json import restore, write_json
from chat_service.types import SocketId
from tests.conformance.stream_client import LineClient, PlainClient, SocketClient, named
from tests.support.patience import PATIENCE

PING, PONG = "primus::ping::", "primus::pong::"
#: The suite has more commands in progress than a client of ActionHero may have by default.
ACTIONS = 1000


class Actions:
    """A ``TransportHandler`` that turns actions into events with arguments."""

    def __init__(self, handler: TransportHandler) -> None:
        self._handler = handler

    async def on_connect(self, socket_id: SocketId) -> None:
        await self._handler.on_connect(socket_id)

    async def on_event(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
        values = await self._handler.on_event(socket_id, event, restore(args[0]["args"]))
        return [None, {"results": list(values)}]

    async def on_disconnect(self, socket_id: SocketId, reason: str) -> None:
        await self._handler.on_disconnect(socket_id, reason)


class HeroLines(LineTransport):
    """Lines that speak the dialect."""

    def __init__(self) -> None:
        dialect = ActionHeroDialect(simultaneous_actions=ACTIONS)
        super().__init__(port=0, max_message_size=1_000_000, dialect=dialect)

    async def start(self, handler: TransportHandler) -> None:
        await super().start(Actions(handler))


class HeroSockets(WebSocketTransport):
    """WebSockets that speak the dialect over Primus."""

    def __init__(self) -> None:
        super().__init__(port=0, dialect=PrimusDialect(simultaneous_actions=ACTIONS))

    async def start(self, handler: TransportHandler) -> None:
        await super().start(Actions(handler))


class HeroClient(PlainClient):
    """A ``TransportClient``. Subclasses know the form of requests."""

    def request(self, event: str, args: Sequence[Any], number: int) -> dict[str, Any]:
        raise NotImplementedError

    async def _read(self) -> None:
        while (text := await self.read()) is not None:
            frame = restore(json.loads(text))
            if isinstance(frame, str):
                if frame.startswith(PING):
                    await self.write(write_json(frame.replace(PING, PONG, 1)))
            elif "event" in frame:
                self.events.append((frame["event"], frame["args"]))
            elif frame.get("messageId") in self._answers:
                self._answers.pop(frame["messageId"]).set_result(frame)
            else:
                self.others.append(frame)
        self.connected = False

    async def emit(self, event: str, *args: Any) -> list[Any]:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self.write(write_json(self.request(event, args, number)))
        async with asyncio.timeout(PATIENCE):
            results: list[Any] = (await answer)["results"]
        return results

    async def send(self, event: str, *args: Any) -> None:
        await self.write(write_json(self.request(event, args, next(self._numbers))))


class HeroLineClient(HeroClient, LineClient):
    """A client over TCP."""

    def request(self, event: str, args: Sequence[Any], number: int) -> dict[str, Any]:
        return {"params": {"action": event, "args": args, "messageId": number}}


class HeroSocketClient(HeroClient, SocketClient):
    """A client over Primus."""

    def request(self, event: str, args: Sequence[Any], number: int) -> dict[str, Any]:
        return {"event": "action", "params": {"action": event, "args": args}, "messageId": number}


async def connect_hero_line(
    transport: Transport,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: Any = None,
) -> HeroLineClient:
    """A client over TCP."""
    known = set(transport.socket_ids())
    if transport.port is None:
        raise ConnectionError("there is no port")
    client = HeroLineClient(*await asyncio.open_connection("127.0.0.1", transport.port, limit=2**24))
    client.start()
    return await named(transport, client, known)


async def connect_hero_socket(
    transport: Transport,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: Any = None,
) -> HeroSocketClient:
    """A client over Primus."""
    known = set(transport.socket_ids())
    session = aiohttp.ClientSession()
    try:
        url = f"http://127.0.0.1:{transport.port}/chat-service/ws?{urlencode(query or {})}"
        socket = await session.ws_connect(url, headers=dict(headers or {}), max_msg_size=0)
    except BaseException:
        await session.close()
        raise
    client = HeroSocketClient(session, socket)
    client.start()
    return await named(transport, client, known)
