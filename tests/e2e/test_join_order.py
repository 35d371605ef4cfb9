"""Over real connections, the answer to a join arrives before all events of the room."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from aiohttp import web

from chat_service import ChatService, MembershipInfo
from tests.e2e.clients import NAMESPACE, NodeProcess
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET
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
            self.take_event(*json.loads(packet.split(",", 1)[1]))
        elif packet.startswith(f"43{NAMESPACE},"):
            number, values = packet.split(",", 1)[1].split("[", 1)
            self.take_ack(int(number), *json.loads(f"[{values}"))

    def take_event(self, name: str, *args: Any) -> None:
        if name in ("roomMessage", "roomAccessRemoved", "roomUserJoined"):
            assert self.is_joined, (name, args)
            self.messages += 1
        if name == "roomMessage" and self.cursor is not None:
            self.cursor += 1
            assert args[1]["id"] == self.cursor, args

    def take_ack(self, number: int, error: object, *values: Any) -> None:
        assert error is None, (number, error)
        self.is_joined = number % 2 == 0
        self.cursor = None
        if number % 4 == 0:
            history = values[1]
            self.cursor = history["lastMessageId"]
            ids = [message["id"] for message in history["messages"]]
            assert ids == list(range(self.cursor - len(ids) + 1, self.cursor + 1))
        self.joins += self.is_joined
        self.leaves += not self.is_joined


async def write(service: ChatService, is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        await service.exec_user_command(True, "roomMessage", "room", {"textMessage": "x"})
        await asyncio.sleep(0)


def emits() -> list[tuple[str, list[Any]]]:
    """Joins have even places, leaves odd ones. Every other join asks for the last two messages."""
    found: list[tuple[str, list[Any]]] = []
    for number in range(0, 2 * PAIRS, 2):
        options = [] if number % 4 else [{"recent": 2}]
        found += [("roomJoin", ["room", *options]), ("roomLeave", ["room"])]
    return found


def packets() -> list[str]:
    return [event(name, *args, id=number) for number, (name, args) in enumerate(emits())]


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


@pytest.mark.covers("command:roomJoin")
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING, UPGRADE], ids=["websocket", "polling", "upgrade"])
async def test_the_official_client_gets_answers_before_events(
    node_process: NodeProcess, transports: list[str]
) -> None:
    """Each join that asked for messages is followed by the very next ones, with nothing missing between."""
    record, is_over = Record(), asyncio.Event()
    async with serving("own") as (service, port):
        writing = asyncio.create_task(write(service, is_over))
        client = await node_process.connect(f"http://127.0.0.1:{port}", "node", transports=transports)
        try:
            for _ in range(ROUNDS):
                for first, *values in await client.story(*emits()):
                    if isinstance(first, int):
                        record.take_ack(first, *values)
                    else:
                        record.take_event(first, *values)
            # Joined at the end, while messages are still being sent.
            [*_, (number, *values)] = await client.story(("roomJoin", ["room", {"recent": 2}]))
            record.take_ack(number, *values)
            story: list[list[Any]] = []
            while sum(name == "roomMessage" for name, *_ in story) < 50:
                story += await client.story(("roomHistoryInfo", ["room"]))
            for first, *values in story:
                if isinstance(first, str):
                    record.take_event(first, *values)
        finally:
            await client.disconnect()
            is_over.set()
            await writing
    assert record.joins == record.leaves + 1 == PAIRS * ROUNDS + 1
    assert record.messages >= 50


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
