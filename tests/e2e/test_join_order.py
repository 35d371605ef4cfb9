"""Over real connections: the answer to a join comes before everything else of the room."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from aiohttp import web

from chat_service import ChatService, MembershipInfo
from tests.e2e.clients import NAMESPACE
from tests.e2e.mounted import make_service
from tests.e2e.raw import RawPolling, RawWebSocket, event, polling, websocket
from tests.e2e.test_mounting import running
from tests.e2e.test_mounting_asgi import uvicorn_server

KINDS = ["own", "app", "asgi", "server"]
#: Pairs of a join and a leave that a client sends at once, and rounds of that.
PAIRS, ROUNDS = 6, 5


async def on_join(service: ChatService, info: MembershipInfo) -> None:
    """Some are slow."""
    for _ in range(int(info.id.encode()[-1]) % 3):
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(kind: str) -> AsyncIterator[tuple[ChatService, int | None]]:
    options: dict[str, Any] = {}
    address: dict[str, Any] = {"host": "127.0.0.1", "port": 0} if kind == "own" else {}
    if kind in ("own", "asgi"):
        service = make_service(transport_options=options, **address)
        service.on("on_join", on_join)
        if kind == "own":
            async with service:
                yield service, service.port
        else:
            async with uvicorn_server(service.asgi_app()) as (_, port):
                yield service, port
        return
    app = web.Application()
    if kind == "server":
        # Its pings end soon after their connections that way.
        options["server"] = socketio.AsyncServer(
            async_mode="aiohttp", ping_interval=0.1, monitor_clients=False
        )
        options["server"].attach(app)
    else:
        options["app"] = app
    service = make_service(transport_options=options)
    service.on("on_join", on_join)
    async with running(app) as port:
        if kind == "server":
            async with service:
                yield service, port
        else:
            yield service, port


class Record:
    """What came to a client, packet by packet."""

    def __init__(self) -> None:
        self.is_joined = False
        self.joins = self.leaves = self.messages = 0
        #: The last message before a join with a cursor, then the last one that came.
        self.cursor: int | None = None

    def take(self, packet: str | bytes) -> None:
        assert isinstance(packet, str)
        if packet.startswith(f"42{NAMESPACE},"):
            name, *args = json.loads(packet.split(",", 1)[1])
            if name in ("roomMessage", "roomAccessRemoved", "roomUserJoined"):
                assert self.is_joined, packet
                self.messages += 1
            if name == "roomMessage" and self.cursor is not None:
                self.cursor += 1
                assert args[1]["id"] == self.cursor, packet
        elif packet.startswith(f"43{NAMESPACE},"):
            number, values = packet.split(",", 1)[1].split("[", 1)
            assert values.startswith("null"), packet
            self.is_joined = int(number) % 2 == 0
            self.cursor = None
            if int(number) % 4 == 0:
                history = json.loads(f"[{values}")[2]
                self.cursor = history["lastMessageId"]
                ids = [message["id"] for message in history["messages"]]
                assert ids == list(range(self.cursor - len(ids) + 1, self.cursor + 1))
            self.joins += self.is_joined
            self.leaves += not self.is_joined


async def write(service: ChatService, is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        await service.exec_user_command(True, "roomMessage", "room", {"textMessage": "x"})
        await asyncio.sleep(0)


def packets() -> list[str]:
    """Joins have even numbers, leaves odd ones. Every other join asks for the last two messages."""
    found = []
    for number in range(0, 2 * PAIRS, 2):
        options = [] if number % 4 else [{"recent": 2}]
        found += [event("roomJoin", "room", *options, id=number), event("roomLeave", "room", id=number + 1)]
    return found


async def over_websocket(raw: RawWebSocket, record: Record) -> None:
    for _ in range(ROUNDS):
        done = record.leaves + PAIRS
        for packet in packets():
            await raw.send(packet)
        while record.leaves < done:
            record.take(await raw.recv())


async def over_polling(raw: RawPolling, record: Record) -> None:
    for _ in range(ROUNDS):
        done = record.leaves + PAIRS
        assert await raw.post("\x1e".join(packets())) == 200
        while record.leaves < done:
            for packet in await raw.get():
                if packet == "2":
                    assert await raw.post("3") == 200
                else:
                    record.take(packet)


@pytest.mark.covers("command:roomJoin", "command:roomLeave")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_joins_are_answered_before_the_first_event(kind: str, transport: str) -> None:
    record, is_over = Record(), asyncio.Event()
    async with serving(kind) as (service, port):
        writing = asyncio.create_task(write(service, is_over))
        try:
            if transport == "websocket":
                async with websocket(port) as socket:
                    await socket.login()
                    await over_websocket(socket, record)
            else:
                async with polling(port) as session:
                    await session.login()
                    await over_polling(session, record)
        finally:
            is_over.set()
            await writing
    assert record.joins == record.leaves == PAIRS * ROUNDS


@pytest.mark.covers("notification:roomAccessRemoved")
@pytest.mark.parametrize("kind", KINDS)
async def test_lost_access_comes_after_the_answer(kind: str) -> None:
    async with serving(kind) as (service, port), websocket(port) as raw:
        await raw.login()
        entered, gate = asyncio.Event(), asyncio.Event()

        async def after(call: Any) -> None:
            entered.set()
            await gate.wait()

        service.after("roomJoin")(after)
        await raw.send(event("roomJoin", "room", id=1))
        await entered.wait()
        await service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["raw"])
        gate.set()
        came: list[str] = []
        while len(came) < 2:
            packet = str(await raw.recv())
            if packet != "2":
                came.append(packet)
        assert came == [f"43{NAMESPACE},1[null,1]", f'42{NAMESPACE},["roomAccessRemoved","room"]']
