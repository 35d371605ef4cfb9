"""Requests wait if a client does not read the answers fast enough. Only clients that stop reading are cut
off.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo
from tests.e2e.raw import SEPARATOR, event, polling, websocket
from tests.e2e.small_buffers import KINDS, small_service
from tests.e2e.stopped import StoppedReader, stopped_reader
from tests.support.backends import Backend
from tests.support.parts import parts_of

LIMIT = 64 * 1024
SIZE = 32 * 1024
#: A history is larger than the limit by itself.
MESSAGES = 5
ANSWER = MESSAGES * (SIZE + 200)
ROOMS = ["a", "b", "c"]
#: More than the system and the limit may keep for a connection that is not read.
SYSTEM = 8 * 1024 * 1024
OPTIONS = {"send_buffer_limit": LIMIT}


@asynccontextmanager
async def filled(kind: str = "own", **options: Any) -> AsyncIterator[tuple[ChatService, int]]:
    """A service with rooms that are full of messages."""
    options = {"transport_options": OPTIONS, **options}
    async with small_service(kind, **options) as (service, port):
        for room in ROOMS:
            await service.add_room(room)
            for _ in range(MESSAGES):
                message = {"textMessage": "x" * SIZE, "author": "bot"}
                await service.exec_user_command(True, "roomMessage", room, message)
        yield service, port


def statistics(service: ChatService) -> Any:
    return parts_of(service).transport.statistics()  # type: ignore[attr-defined]


def requests(count: int) -> list[str]:
    """So many requests for a history, with ids from 0."""
    return [event("roomRecentHistory", ROOMS[number % len(ROOMS)], id=number) for number in range(count)]


def ids_of(packets: list[str]) -> list[int]:
    """The ids of the acks with histories among packets, each of which has to be whole."""
    found = []
    for packet in packets:
        start, bracket, rest = packet.partition("[")
        if start.startswith(f"43{NAMESPACE},"):
            error, data = json.loads(bracket + rest)
            assert error is None
            if isinstance(data, list):
                assert len(data) == MESSAGES
                found.append(int(start.rpartition(",")[2]))
    return found


async def join_all(reader: StoppedReader) -> None:
    for number, room in enumerate(ROOMS, 900):
        await reader.send(event("roomJoin", room, id=number))
        await reader.read_until(f"43{NAMESPACE},{number}[null,1]".encode())


def has_all(reader: StoppedReader, count: int) -> bool:
    return len(ids_of(reader.texts())) == count


EACH_STORE_AND_KIND = pytest.mark.parametrize(
    ("backend", "kind"),
    [
        *(("memory", kind) for kind in KINDS),
        pytest.param("redis", "own", marks=pytest.mark.redis),
        pytest.param("cluster", "asgi", marks=pytest.mark.redis),
    ],
    indirect=["backend"],
)


@pytest.mark.covers("transport_option:send_buffer_limit")
@EACH_STORE_AND_KIND
async def test_requests_wait_while_answers_do(backend: Backend, kind: str) -> None:
    count = 12
    async with filled(kind, store=backend.new_store()) as (service, port):
        peak = 0
        async with stopped_reader(port, "reader") as reader:
            await join_all(reader)
            for request in requests(count):
                await reader.send(request)
            while len(reader.received) < count * MESSAGES * SIZE or not has_all(reader, count):
                await reader.read_more()
                peak = max(peak, statistics(service).send_buffer_bytes)
            assert ids_of(reader.texts()) == list(range(count))
            await reader.send(event("listOwnSockets", id=count))
            await reader.read_until(f"43{NAMESPACE},{count}[null".encode())
        assert statistics(service).slow_consumers == 0
        # What the next answer needs is not even read from the store before.
        assert peak <= LIMIT + ANSWER + 20_000
        # The library's own sessions do not tell what they are sending.
        assert peak > LIMIT or kind == "server"


@pytest.mark.parametrize("kind", ["own", "asgi"])
async def test_requests_over_polling_wait_while_answers_do(backend: Backend, kind: str) -> None:
    count = 12
    async with filled(kind, store=backend.new_store()) as (service, port), polling(port) as raw:
        await raw.login()
        for room in ROOMS:
            await raw.ack("roomJoin", room)
        posted = asyncio.create_task(raw.post(SEPARATOR.join(requests(count))))
        ids: list[int] = []
        peak = 0
        while len(ids) < count:
            peak = max(peak, statistics(service).send_buffer_bytes)
            ids += ids_of(await raw.get())
        assert await posted == 200
        assert ids == list(range(count))
        assert peak <= LIMIT + ANSWER + 20_000
        assert statistics(service).slow_consumers == 0
        await raw.post("1")


@pytest.mark.parametrize("kind", ["js", "py"])
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING, UPGRADE])
async def test_real_clients_get_many_histories_at_once(
    login: ConnectTo, kind: str, transports: list[str]
) -> None:
    async with filled() as (service, port):
        client = await login(port, "alice", kind=kind, transports=transports)
        for room in ROOMS:
            await client.call("roomJoin", room)
        histories = [client.call("roomRecentHistory", ROOMS[number % 3]) for number in range(30)]
        for messages in await asyncio.gather(*histories):
            assert [message["id"] for message in messages] == list(range(MESSAGES, 0, -1))
        assert not client.received("disconnect") and statistics(service).slow_consumers == 0
        await client.disconnect()


async def talk_until_cut(service: ChatService, room: str) -> None:
    sent = 0
    while not statistics(service).slow_consumers:
        assert sent * SIZE < SYSTEM, "the reader is not cut"
        service.transport.emit_to_channel(room, "live", "x" * SIZE)
        sent += 1
        await asyncio.sleep(0)
    await wait_until(lambda: not len(parts_of(service).sessions), "the reader to be gone")
    assert parts_of(service).counters.disconnects["slow consumer"] == 1


@pytest.mark.parametrize("kind", ["own", "app", "asgi"])
async def test_live_events_beyond_the_limit_disconnect_a_client_with_waiting_answers(kind: str) -> None:
    async with filled(kind) as (service, port), stopped_reader(port, "reader", "a") as reader:
        await reader.send(requests(1)[0])
        await wait_until(lambda: statistics(service).send_buffer_bytes > LIMIT, "the answer to wait")
        await talk_until_cut(service, "a")


@pytest.mark.parametrize("kind", ["own", "asgi"])
async def test_live_events_beyond_the_limit_disconnect_a_polling_client_with_waiting_answers(
    kind: str,
) -> None:
    async with filled(kind) as (service, port), polling(port) as raw:
        await raw.login()
        assert await raw.ack("roomJoin", "a") == [None, 1]
        assert await raw.post(requests(1)[0]) == 200
        await talk_until_cut(service, "a")
        assert await raw.get_status() == 400


@pytest.mark.covers("transport_option:ping_timeout")
@pytest.mark.parametrize("kind", ["own", "app", "asgi"])
async def test_a_client_that_sends_requests_and_does_not_read_is_disconnected(kind: str) -> None:
    options = {**OPTIONS, "ping_timeout": 1.0}
    async with (
        filled(kind, transport_options=options) as (service, port),
        stopped_reader(port, "r") as reader,
    ):
        await join_all(reader)
        with contextlib.suppress(ConnectionError):
            for request in requests(20):
                await reader.send(request)
        peak = 0
        while not statistics(service).slow_consumers:
            peak = max(peak, statistics(service).send_buffer_bytes)
            await asyncio.sleep(0.01)
        assert LIMIT < peak <= LIMIT + ANSWER + 20_000
        await wait_until(lambda: not len(parts_of(service).sessions), "the reader to be gone")
        assert parts_of(service).counters.disconnects["slow consumer"] == 1
        assert statistics(service).send_buffer_bytes == 0
        async with websocket(port, "other") as other:
            await other.login()


async def test_a_client_that_sends_requests_and_does_not_poll_is_disconnected() -> None:
    options = {**OPTIONS, "ping_timeout": 1.0}
    async with filled(transport_options=options) as (service, port), polling(port) as raw:
        await raw.login()
        for room in ROOMS:
            await raw.ack("roomJoin", room)
        # Refused when they have to wait for polls, which do not come.
        assert await raw.post(SEPARATOR.join(requests(20))) in (200, 400)
        await wait_until(lambda: not len(parts_of(service).sessions), "the client to be gone")
        assert statistics(service).slow_consumers == 1
        assert await raw.get_status() == 400


@pytest.mark.parametrize("kind", ["own", "asgi"])
async def test_a_client_that_reads_slowly_stays(kind: str) -> None:
    """It takes several times as long as a client has to answer a ping."""
    count = 10
    options = {**OPTIONS, "ping_interval": 0.3, "ping_timeout": 1.5}
    async with filled(kind, transport_options=options) as (service, port):
        async with stopped_reader(port, "reader") as reader:
            await join_all(reader)
            for request in requests(count):
                await reader.send(request)
            started = asyncio.get_running_loop().time()
            seen = 0
            while len(reader.received) < count * MESSAGES * SIZE or not has_all(reader, count):
                await asyncio.sleep(0.01)
                await reader.read_more(8192)
                if b"\x81\x012" in reader.received[max(0, seen - 2) :]:
                    await reader.send("3")
                seen = len(reader.received)
            assert asyncio.get_running_loop().time() - started > 2
            await reader.send(event("listOwnSockets", id=count))
            await reader.read_until(f"43{NAMESPACE},{count}[null".encode())
        assert statistics(service).slow_consumers == 0


async def test_answers_that_wait_for_polls_move_to_the_websocket(login: ConnectTo) -> None:
    async with filled() as (service, port), polling(port) as raw:
        await raw.login()
        for room in ROOMS:
            await raw.ack("roomJoin", room)
        posted = asyncio.create_task(raw.post(SEPARATOR.join(requests(9))))
        await wait_until(lambda: statistics(service).send_buffer_bytes > LIMIT, "answers to wait")
        async with websocket(port, sid=raw.sid) as ws:
            await ws.send("2probe")
            assert await ws.recv() == "3probe"
            await ws.send("5")
            ids: list[int] = []
            while len(ids) < 9:
                ids += ids_of([str(await ws.recv())])
            assert ids == list(range(9))
            assert await posted in (200, 400)
            assert (await ws.ack("listOwnSockets"))[0] is None
        assert statistics(service).slow_consumers == 0
