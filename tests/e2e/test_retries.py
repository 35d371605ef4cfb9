"""The official client's ``retries`` over broken connections: each message is stored exactly once."""

import asyncio
import random
from collections import Counter

import pytest

from chat_service import ChatService
from tests.e2e.clients import NodeProcess
from tests.e2e.conftest import POLLING, WEBSOCKET, ConnectTo, Serve
from tests.redis.proxy import Proxy
from tests.support.backends import Backend

MESSAGES, CUTS = 200, 4


async def cut_at_random(proxy: Proxy, sending: "asyncio.Task[object]", rng: random.Random) -> int:
    """Cut all connections now and then. Returns how often that happened before all was sent."""
    for number in range(CUTS):
        done, _ = await asyncio.wait([sending], timeout=rng.uniform(0.03, 0.12))
        if done:
            return number
        proxy.cut()
    return CUTS


@pytest.mark.covers("command:roomMessage", "better:noLogin before login")
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING], ids=["websocket", "polling"])
async def test_messages_are_stored_once(
    backend: Backend, serve: Serve, login: ConnectTo, node_process: NodeProcess, transports: list[str]
) -> None:
    rng = random.Random(20)

    async def on_connect(service: ChatService, socket_id: str) -> str:
        # Slow enough for packets that are sent at the connect.
        await asyncio.sleep(rng.uniform(0, 0.05))
        return "alice"

    service = await serve(
        store=backend.new_store(), hooks={"on_connect": on_connect}, history_max_get_messages=MESSAGES
    )
    await service.add_room("room")
    # Another device keeps the user in the room.
    anchor = await login(service, "alice")
    await anchor.call("roomJoin", "room")
    assert service.port is not None
    async with Proxy(service.port) as proxy:
        client = await node_process.connect(
            f"http://127.0.0.1:{proxy.port}",
            "alice",
            transports=transports,
            reconnection=True,
            reconnectionDelay=10,
            reconnectionDelayMax=50,
            # On a busy machine all cuts, and then time-outs, may hit the same message.
            retries=100,
            ackTimeout=2000,
        )
        emits = [
            ["roomMessage", ["room", {"textMessage": str(number)}, {"idempotencyKey": f"key {number}"}]]
            for number in range(MESSAGES)
        ]
        sending = asyncio.create_task(node_process.ask("burst", client=client.name, emits=emits))
        assert await cut_at_random(proxy, sending, rng) >= 1
        acks = await sending
        await client.disconnect()
    # The client's own error comes first: None, since no message was given up.
    assert [ack[:3] for ack in acks] == [[number, None, None] for number in range(MESSAGES)]
    [history] = await service.exec_user_command(True, "roomRecentHistory", "room")
    stored = {message["id"]: message["textMessage"] for message in history}
    assert Counter(stored.values()) == Counter(map(str, range(MESSAGES)))
    assert [stored[ack[3]] for ack in acks] == list(map(str, range(MESSAGES)))
