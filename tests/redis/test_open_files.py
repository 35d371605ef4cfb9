"""A process without free file descriptors continues with its open ones, and logs one line a second.

An attack wrote 195,054 lines into the log, and a lost link to Redis became `internalError`.
"""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from chat_service.testing import wait_until
from tests.e2e.raw import RawWebSocket, websocket
from tests.redis.processes import ServiceProcess
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis

LINE = "new connections have to wait, because the system is out of resources"


@pytest.fixture
def instance(server: RedisServer) -> Iterator[ServiceProcess]:
    options = {"store_options": {"url": server.url, "command_timeout": 0.5}}
    with ServiceProcess(**options, transport_options={"max_pending_connections": None}) as process:
        yield process
    assert "Traceback" not in "".join(process.errors)


def limit_files(process: ServiceProcess, most: int | None) -> None:
    """Limit the numbers of the process's files to less than ``most``; None restores the limit."""
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (hard if most is None else most, hard))


async def outcome(client: RawWebSocket, text: str) -> str:
    """Send a message. Returns its error, or "" if it was stored."""
    error, *_ = await client.ack("roomMessage", "room", {"textMessage": text})
    return error or ""


async def test_without_files_those_that_are_there_are_served(
    instance: ServiceProcess, server: RedisServer
) -> None:
    await instance.ready()
    await instance.call("add_room", "room")
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(websocket(instance.port, "alice"))
        await alice.login()
        await alice.ack("roomJoin", "room")
        # Open files stay open, and closing one does not make room.
        limit_files(instance, 3)
        silent = [await asyncio.open_connection("127.0.0.1", instance.port) for _ in range(5)]
        try:
            await wait_until(lambda: any(LINE in line for line in instance.errors), "a line in the log")
            began = asyncio.get_running_loop().time()
            assert await outcome(alice, "while nobody can connect") == ""
            # A lost connection cannot be replaced.
            with server.client() as redis:
                redis.client_kill_filter(_type="normal", skipme=True)

            assert await outcome(alice, "while Redis is away") == "ChatServiceError: Server operation timeout"
        finally:
            took = asyncio.get_running_loop().time() - began
            limit_files(instance, None)
            for _, writer in silent:
                writer.transport.abort()

        async def works() -> bool:
            return await outcome(alice, "again") == ""

        await wait_until(works, "the link to Redis")
        # Waiting clients can connect now.
        bob = await stack.enter_async_context(websocket(instance.port, "bob"))
        await bob.login()
        lines = [line for line in instance.errors if LINE in line]
        # One line per second without files, and one at each end.
        assert 1 <= len(lines) <= took + 3, lines
        assert "Too many open files" in lines[0]


async def test_connections_leave_files_for_everything_else(server: RedisServer) -> None:
    """The default of `max_connections` follows from the limit of open files at the start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The process inherits the limit.
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, hard))
    try:
        instance = ServiceProcess(store_options={"url": server.url})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with instance:
        await instance.ready()
        await instance.call("add_room", "room")
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(websocket(instance.port, f"user{number}"))
                for number in range(48)
            ]
            reader, writer = await asyncio.open_connection("127.0.0.1", instance.port)
            writer.write(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(PATIENCE):
                answer = await reader.readuntil(b"}")
            writer.transport.abort()
            assert answer.startswith(b"HTTP/1.1 503 ") and b"too many connections" in answer
            # The connections to Redis can be replaced.
            with server.client() as redis:
                redis.client_kill_filter(_type="normal", skipme=True)
            await clients[0].login()
            await clients[0].ack("roomJoin", "room")
            assert await outcome(clients[0], "hello") == ""
    assert not any(LINE in line for line in instance.errors)
