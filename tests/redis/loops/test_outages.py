"""The way to Redis goes wrong, in every manner: commands time out, and all heals by itself."""

import asyncio
import signal

import pytest

from chat_service.testing import wait_until
from tests.redis.pairs import TEXT, Pair
from tests.redis.proxy import Proxy
from tests.support.redis_servers import RedisServer
from tests.support.wire_errors import wire_error

pytestmark = pytest.mark.redis


async def test_a_path_that_falls_silent_while_commands_overlap(
    behind: Pair, proxy: Proxy, server: RedisServer
) -> None:
    """Nothing is reset, and new connections work: those that are silent are replaced."""
    # Redis has the script from now on: otherwise it would be sent again, after the loss.
    await behind.alice.call("roomMessage", "room", TEXT)
    dead = list(proxy.connections)
    for connection in dead:
        connection.sent = b""
    assert server.process is not None
    # The answer to the first command comes after the second one was sent, which is lost on its way.
    server.process.send_signal(signal.SIGSTOP)
    try:
        first = asyncio.create_task(behind.alice.emit("roomMessage", "room", TEXT))
        await wait_until(lambda: any(b"hello" in connection.sent for connection in dead), "the first command")
        proxy.mute = lambda connection: connection in dead
        second = asyncio.create_task(behind.alice.emit("listOwnSockets"))
        await asyncio.sleep(0)
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert await first == [None, 2]
    assert await second == [wire_error("timeout"), None]

    async def ask() -> bool:
        error, _ = await behind.alice.emit("listOwnSockets")
        assert error in (None, wire_error("timeout"))
        return error is None

    await wait_until(ask, "commands on a new connection", timeout=10)
    await behind.works_again()
    await wait_until(lambda: not set(dead) & set(proxy.connections), "that of the bus is replaced as well")
