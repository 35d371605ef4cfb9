"""The work per command and delivery stays at the recorded numbers: a performance test without a clock.

When a number falls, record the new one. One that rises has to be worth it (docs/performance.md).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE
from tests.e2e.work import Bench, Work, counted, counted_calls, in_loop, settle
from tests.support.redis_servers import RedisServer
from tests.support.world import name_by_query

MEMBERS = 100
#: Calls of functions in the package in memory: for one message to a room of one, for a join of a room that is
#: served already, and for a read of a history.
CALLS, JOIN_CALLS, HISTORY_CALLS = 61, 95, 67
#: The same for one message on Redis, with coroutines that are resumed and what the bus brings.
REDIS_CALLS = 95


def say(number: int) -> str:
    return f'42{NAMESPACE},{number}["roomMessage","room",{{"textMessage":"hello"}}]'


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    service = ChatService(host="127.0.0.1", port=0, hooks={"on_connect": name_by_query})
    async with service:
        for room in ("room", "other"):
            await service.add_room(room)
        bench = Bench(service, Work())
        yield bench
        await bench.leave()


async def test_a_command(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await bench.joined("alice")
    with counted(bench.work, monkeypatch):
        bench.work.writes = 0
        in_loop(client.emit, say(1))
        await settle()
    # The own message and the ack leave in one write, at the end of the turn. What is stored, the message to
    # the room, and the ack are encoded.
    assert bench.work == Work(callbacks=1, writes=1, encodings=3)
    assert client.take().count(b'"roomMessage"') == 1


async def test_the_calls_of_a_command(bench: Bench) -> None:
    """In Python, calls are the largest part of the cost. Each has to be worth its 0.5 to 1 µs."""
    client = await bench.joined("alice")
    for number in range(3):
        in_loop(client.emit, say(number))
    await settle()
    counts = []
    for number in range(3, 8):
        with counted_calls() as calls:
            in_loop(client.emit, say(number))
            await settle()
        counts.append(calls)
    assert client.take().count(b'"roomMessage"') == 8
    # A timer of the service that falls due meanwhile, as on a busy machine, is none of the command's calls.
    least = min(counts, key=lambda calls: calls.total())
    assert least.total() <= CALLS, least


async def test_the_calls_of_a_join(bench: Bench) -> None:
    await bench.joined("before")
    client = await bench.joined("alice", "other")
    with counted_calls() as calls:
        in_loop(client.emit, f'42{NAMESPACE},1["roomJoin","room"]')
        await settle()
    assert b"1[null,1]" in client.take()
    assert calls.total() <= JOIN_CALLS, calls


async def test_the_calls_of_a_history(bench: Bench) -> None:
    client = await bench.joined("alice")
    in_loop(client.emit, say(1))
    await settle()
    with counted_calls() as calls:
        in_loop(client.emit, f'42{NAMESPACE},1["roomRecentHistory","room"]')
        await settle()
    assert client.take().count(b'"textMessage"') == 2
    assert calls.total() <= HISTORY_CALLS, calls


@pytest.mark.redis
async def test_the_calls_of_a_command_on_redis(redis_servers: RedisServer) -> None:
    options = {"url": redis_servers.url, "prefix": "calls"}
    hooks = {"on_connect": name_by_query}
    service = ChatService(host="127.0.0.1", port=0, hooks=hooks, store="redis", store_options=options)
    async with service:
        await service.add_room("room")
        bench = Bench(service, Work())
        client = await bench.open("alice")
        in_loop(client.emit, f"40{NAMESPACE},")
        await wait_until(lambda: b"loginConfirmed" in client.written, "the login")
        in_loop(client.emit, f'42{NAMESPACE},0["roomJoin","room"]')
        await wait_until(lambda: b"0[null,1]" in client.written, "the join")
        found: list[Counter[str]] = []
        for number in range(1, 9):
            client.take()
            with counted_calls() as calls:
                in_loop(client.emit, say(number))
                await wait_until(lambda: client.written.count(b"textMessage") == 1, "the message")
                await wait_until(lambda: b"[null," in client.written, "the answer")
            found.append(calls)
        await bench.leave()
    # Heartbeats and the like may have been counted, too.
    fewest = min(found, key=Counter.total)
    assert fewest.total() - fewest["wait_until"] - fewest["patience"] <= REDIS_CALLS, fewest


async def test_a_command_that_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await bench.joined("alice")
    with counted(bench.work, monkeypatch):
        bench.work.writes = 0
        in_loop(client.emit, f'42{NAMESPACE},1["roomMessage","nowhere",{{"textMessage":"hello"}}]')
        await settle()
    assert bench.work == Work(callbacks=1, writes=1, encodings=1)
    assert b"No such room" in client.take()


async def test_a_message_to_many(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [await bench.joined(f"user{number}") for number in range(MEMBERS)]
    with counted(bench.work, monkeypatch):
        bench.work.writes = 0
        in_loop(clients[0].emit, say(1))
        await settle()
    # Whatever the number of members: one encoding of the message, and a callback for all writes, which looks
    # once more at what comes in before it writes to so many.
    assert bench.work == Work(callbacks=2, writes=MEMBERS, encodings=3)
    assert all(client.take().count(b'"roomMessage"') == 1 for client in clients)


async def test_an_event_to_everybody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [await bench.joined(f"user{number}") for number in range(MEMBERS)]
    with counted(bench.work, monkeypatch):
        bench.work.writes = 0
        await bench.service.broadcast_all("news", 1)
        await settle()
    assert (bench.work.writes, bench.work.encodings) == (MEMBERS, 1)
    assert all(client.take().count(b'"news"') == 1 for client in clients)


async def test_messages_of_one_turn_leave_together(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [await bench.joined(f"user{number}") for number in range(MEMBERS)]
    with counted(bench.work, monkeypatch):
        bench.work.writes = 0
        for client in clients[:4]:
            in_loop(client.emit, say(1))
        await settle()
    assert bench.work == Work(callbacks=2, writes=MEMBERS, encodings=12)
    assert all(client.take().count(b'"roomMessage"') == 4 for client in clients)


async def test_the_history(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await bench.joined("alice")
    for number in range(50):
        in_loop(client.emit, say(number))
    await settle()
    client.take()
    with counted(bench.work, monkeypatch):
        bench.work.writes = 0
        in_loop(client.emit, f'42{NAMESPACE},1["roomRecentHistory","room"]')
        await settle()
    # Its messages are JSON already, and are not encoded again.
    assert bench.work == Work(callbacks=1, writes=1, encodings=1)
    assert client.take().count(b'"textMessage"') == 50


async def test_a_connect_and_a_join(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.joined("before")
    with counted(bench.work, monkeypatch):
        bench.work.writes = 0
        await bench.joined("alice")
    # The answer to the request with the first packet; the namespace with the login; the join. The timers are
    # those that all sockets share.
    assert bench.work == Work(callbacks=2, writes=3, encodings=2)


async def test_a_disconnect(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await bench.joined("alice")
    with counted(bench.work, monkeypatch):
        bench.work.writes = 0
        client.is_gone = True
        in_loop(client.protocol.connection_lost, None)
        await settle()
    assert bench.work == Work()


@pytest.mark.covers("transport_option:max_events_per_turn")
async def test_one_client_cannot_hold_up_the_others(bench: Bench) -> None:
    """What one has sent ahead is handled in parts; what others send comes in between."""
    hasty, other = await bench.joined("hasty", "room"), await bench.joined("other", "room")
    await settle()
    for client in (hasty, other):
        client.take()
    in_loop(hasty.emit, *(say(number) for number in range(1000)))
    in_loop(other.emit, say(7))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    acks = b"43" + NAMESPACE.encode()
    early, done = other.take().count(acks), hasty.take().count(acks)
    assert early == 1 and 0 < done < 500
    while done < 1000:
        await asyncio.sleep(0)
        done += hasty.take().count(acks)
    assert done == 1000
