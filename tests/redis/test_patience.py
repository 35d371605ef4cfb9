"""One time limit covers everything a command waits for: earlier commands, and each step in Redis."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chat_service import ChatService, CommandCall, MembershipInfo
from tests.redis.conftest import MakeWorld
from tests.redis.pairs import LEASE
from tests.support.redis_servers import RedisServer
from tests.support.wire_errors import wire_error
from tests.support.world import Instance

pytestmark = pytest.mark.redis

#: Seconds: the option, and the maximum time of answers on a busy machine, which is less than two limits.
BOUND, ROOM = 2.0, 1.8


def text(value: str) -> dict[str, str]:
    return {"textMessage": value}


@contextmanager
def paused(server: RedisServer, kind: str) -> Iterator[None]:
    """Redis accepts connections but does not answer, or answers only reads."""
    if kind == "reads, too":
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.process.send_signal(signal.SIGCONT)
        return
    with server.client() as admin:
        admin.execute_command("CLIENT", "PAUSE", 600_000, "WRITE")
        try:
            yield
        finally:
            admin.execute_command("CLIENT", "UNPAUSE")


async def start(at: MakeWorld, server: RedisServer, **hooks: Any) -> Instance:
    world = at(server.url, command_timeout=BOUND)
    instance = await world.start(hooks=hooks, **LEASE)
    await instance.service.add_room("room")
    await instance.service.add_room("other")
    return instance


async def timed(work: Any) -> tuple[Any, float]:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    return await work, loop.time() - begun


@pytest.mark.covers("store_option:command_timeout", "error:timeout")
@pytest.mark.parametrize("kind", ["reads, too", "writes"])
async def test_commands_that_wait_for_each_other_have_one_bound(
    at: MakeWorld, server: RedisServer, kind: str
) -> None:
    instance = await start(at, server)
    alice = await instance.joined("alice", "room")
    await alice.call("roomMessage", "room", text("before"))
    calls: list[tuple[Any, ...]] = [
        *(("roomMessage", "room", text(str(number))) for number in range(4)),
        ("roomLeave", "room"),
        ("roomJoin", "room"),
    ]
    with paused(server, kind):
        results = await asyncio.gather(*(timed(alice.emit(*call)) for call in calls))
    for (error, _), seconds in results:
        assert error == wire_error("timeout")
        assert seconds < BOUND + ROOM
    # Commands whose time was over before their turn were not started.
    [history] = await instance.service.exec_user_command(True, "roomHistoryGet", "room", 0, 100)
    assert [message["textMessage"] for message in history] in (["before"], ["0", "before"])


@pytest.mark.parametrize("kind", ["reads, too", "writes"])
@pytest.mark.parametrize("command", ["roomJoin", "roomLeave", "login"])
async def test_the_steps_of_a_command_have_one_bound(
    at: MakeWorld, server: RedisServer, kind: str, command: str
) -> None:
    instance = await start(at, server)
    alice = await instance.joined("alice", "room")

    async def login() -> Any:
        client = await instance.transport.connect(query={"userName": "bob"})
        return await client.wait_for("loginRejected", timeout=30)

    with paused(server, kind):
        work = login() if command == "login" else alice.emit(command, "other")
        result, seconds = await timed(work)
    assert result[0] == wire_error("timeout")
    assert seconds < BOUND + ROOM


async def test_hooks_take_their_time(at: MakeWorld, server: RedisServer) -> None:
    """However long the application takes, neither its command nor later ones time out because of it."""
    later: list[asyncio.Task[Any]] = []

    async def slow_join(service: ChatService, info: MembershipInfo) -> None:
        async def write_later() -> None:
            await asyncio.sleep(2.5 * BOUND)
            await service.add_room("made later")

        later.append(asyncio.create_task(write_later()))
        await asyncio.sleep(1.2 * BOUND)
        # The remaining time does not limit a hook's own operations.
        await service.add_room("made by the hook")

    async def slow_message(call: CommandCall) -> None:
        if call.args[1] == text("slow"):
            await asyncio.sleep(1.2 * BOUND)

    instance = await start(at, server, on_join=slow_join, room_message_before=slow_message)
    alice = await instance.login("alice")
    results = await asyncio.gather(
        alice.emit("roomJoin", "room"),
        alice.emit("roomMessage", "room", text("slow")),
        alice.emit("roomMessage", "room", text("quick")),
    )
    assert list(results) == [[None, 1], [None, 1], [None, 2]]
    await asyncio.gather(*later)
    for room in ("made by the hook", "made later"):
        assert await instance.service.has_room(room)
