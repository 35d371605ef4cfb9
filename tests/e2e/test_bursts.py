"""Bursts of small events are limited by their bytes and by the number handled at once."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from chat_service.transports.socketio.engine.peer import Peer
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo, Serve
from tests.e2e.raw import SEPARATOR, event, polling, websocket
from tests.e2e.small_buffers import small_service
from tests.support.backends import Backend

#: Events of one connection that may be in progress.
MAX_WAITING = 1000


@pytest.mark.parametrize(
    ("backend", "kind", "transports"),
    [
        *(("memory", kind, way) for kind in ("js", "py") for way in (WEBSOCKET, POLLING, UPGRADE)),
        pytest.param("redis", "js", UPGRADE, marks=pytest.mark.redis),
        pytest.param("cluster", "js", WEBSOCKET, marks=pytest.mark.redis),
    ],
    indirect=["backend"],
)
async def test_thousands_at_once_are_answered(
    backend: Backend, serve: Serve, login: ConnectTo, kind: str, transports: list[str]
) -> None:
    """More than may be in progress. Where a store has to be asked over the network, less may be."""
    most = MAX_WAITING if backend.name == "memory" else 200
    count = most + 100
    service = await serve(store=backend.new_store(), transport_options={"max_waiting_events": most})
    await service.add_room("room")
    client = await login(service, "alice", kind=kind, transports=transports)
    await client.call("roomJoin", "room")
    message = {"textMessage": "m"}
    if kind == "js":
        acks = await client.burst(*([("roomMessage", ["room", message])] * count))
        ids = [ack[2] for ack in acks]
    else:
        ids = await asyncio.gather(*(client.call("roomMessage", "room", message) for _ in range(count)))
    assert ids == list(range(1, count + 1))
    await wait_until(lambda: len(client.received("roomMessage")) == count, "all messages")
    assert not client.received("disconnect")


@pytest.mark.covers("transport_option:max_message_size")
@pytest.mark.parametrize("kind", ["own", "app", "asgi"])
async def test_a_body_is_bounded_by_its_bytes(kind: str) -> None:
    limit = 20_000
    async with small_service(kind, transport_options={"max_message_size": limit}) as (_, port):
        packets: list[str] = []
        while len(SEPARATOR.join(packets)) < limit - 100:
            packets.append(event("x", id=len(packets)))
        body = SEPARATOR.join(packets)
        # Pongs, which get no answer.
        body += (SEPARATOR + "3") * ((limit - len(body)) // 2)
        body += "3" * (limit - len(body))
        async with polling(port) as raw:
            await raw.login()
            assert len(body) == limit
            assert await raw.post(body) == 200
            ids: list[int] = []
            start = f"43{NAMESPACE},"
            while len(ids) < len(packets):
                acks = [packet for packet in await raw.get() if packet.startswith(start)]
                ids += [int(packet[len(start) : packet.index("[")]) for packet in acks]
            assert ids == list(range(len(packets)))
            assert await raw.post(body + "3") == 400
            assert await raw.get_status() == 400


async def test_a_large_body_of_small_packets_lets_others_have_their_turn() -> None:
    async with small_service() as (_, port), polling(port) as raw, websocket(port, "other") as other:
        await raw.login()
        await other.login()
        posted = asyncio.create_task(raw.post(SEPARATOR.join(["3"] * 100_000)))
        answered = 0
        while not posted.done():
            assert (await other.ack("listOwnSockets"))[0] is None
            answered += 1
        assert await posted == 200
        assert answered > 5
        await raw.post("1")


async def test_large_packets_in_one_body_have_a_turn_each(monkeypatch: pytest.MonkeyPatch) -> None:
    turn, is_over = 0, False
    turns: list[int] = []
    loop = asyncio.get_running_loop()

    def count() -> None:
        nonlocal turn
        turn += 1
        if not is_over:
            loop.call_soon(count)

    def take(self: Peer, packet: str | bytes) -> None:
        if len(packet) > 1000:
            turns.append(turn)
        original(self, packet)

    original = Peer.take
    monkeypatch.setattr(Peer, "take", take)
    loop.call_soon(count)
    async with small_service() as (_, port), polling(port) as raw:
        await raw.login()
        packets = [event("systemMessage", "x" * 20_000)] * 5
        assert await raw.post(SEPARATOR.join(packets)) == 200
        await raw.post("1")
    is_over = True
    assert len(turns) == len(set(turns)) == 5


class Slow:
    """A handler of the event ``slow`` that waits to be released."""

    def __init__(self) -> None:
        self.running = self.peak = self.calls = 0
        self.gate = asyncio.Event()

    def on_connect(self, service: ChatService, socket_id: str) -> str:
        name = str(service.transport.get_handshake_data(socket_id).query["userName"])
        service.transport.bind_handler(socket_id, "slow", self.handle)
        return name

    async def handle(self, number: int) -> int:
        self.calls += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        return number


@pytest.mark.covers("transport_option:max_waiting_events")
@pytest.mark.parametrize("kind", ["own", "app", "asgi"])
@pytest.mark.parametrize("way", ["websocket", "polling"])
@pytest.mark.parametrize("most", [1, MAX_WAITING])
async def test_events_in_progress_are_bounded(kind: str, way: str, most: int) -> None:
    count, slow = 3 * most, Slow()
    hooks = {"on_connect": slow.on_connect}
    options = {"max_waiting_events": most}
    async with (
        small_service(kind, hooks=hooks, transport_options=options) as (_, port),
        websocket(port, "other") as other,
    ):
        await other.login()

        async def check() -> None:
            await wait_until(lambda: slow.running == most, "as many as there may be")
            # Others are served, and nothing new begins.
            for _ in range(20):
                assert (await other.ack("listOwnSockets"))[0] is None
            assert slow.peak == most
            slow.gate.set()

        events = [event("slow", number, id=number) for number in range(count)]
        done: list[int] = []
        if way == "polling":
            async with polling(port) as raw:
                await raw.login()
                posted = asyncio.create_task(raw.post(SEPARATOR.join(events)))
                await check()
                while len(done) < count:
                    done += numbers(await raw.get())
                assert await posted == 200
                await raw.post("1")
        else:
            async with websocket(port) as raw_ws:
                await raw_ws.login()
                sending = asyncio.create_task(send_all(raw_ws.send, events))
                await check()
                while len(done) < count:
                    done += numbers([str(await raw_ws.recv())])
                await sending
        assert sorted(done) == list(range(count))
        assert slow.calls == count and slow.peak == most


async def send_all(send: Callable[[str], Any], messages: list[str]) -> None:
    for message in messages:
        await send(message)


def numbers(packets: list[str]) -> list[int]:
    """What the handler has answered."""
    start = f"43{NAMESPACE},"
    return [json.loads(packet[packet.index("[") :])[1] for packet in packets if packet.startswith(start)]
