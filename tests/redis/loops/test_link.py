"""The connection to a node: sharing, matching of replies, timeouts and losses."""

import asyncio
import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from chat_service.errors import StoreError, StoreTimeoutError
from chat_service.stores.redis import RedisOptions
from chat_service.stores.redis.link import Link, RedisReplyError
from chat_service.stores.redis.topology import Connector
from chat_service.stores.redis.urls import Address
from chat_service.testing import wait_until
from tests.redis.proxy import Proxy
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis

MakeLink = Callable[..., Link]


@pytest.fixture
async def link_to() -> AsyncIterator[MakeLink]:
    links: list[Link] = []

    def make(port: int, timeout: float = 5.0, **callbacks: Any) -> Link:
        options = RedisOptions(url=f"redis://127.0.0.1:{port}", connect_timeout=timeout)
        connector = Connector(options)
        address = Address("127.0.0.1", port)
        link = Link(f"127.0.0.1:{port}", lambda: connector.connection(address), timeout, **callbacks)
        links.append(link)
        return link

    yield make
    for link in links:
        await link.close()


async def test_replies_are_matched_to_commands(link_to: MakeLink, redis_servers: RedisServer) -> None:
    link = link_to(redis_servers.port)
    await link.open()
    answers = await asyncio.gather(*(link.submit("ECHO", f"text {number}") for number in range(1000)))
    assert answers == [f"text {number}".encode() for number in range(1000)]
    assert "open=True waiting=0" in repr(link)


async def test_commands_of_one_loop_tick_are_sent_together(link_to: MakeLink, proxy: Proxy) -> None:
    link = link_to(proxy.port)
    await link.open()
    [connection] = proxy.connections
    connection.sent = b""
    answers = [link.submit("ECHO", str(number)) for number in range(100)]
    assert connection.sent == b""
    assert await asyncio.gather(*answers) == [str(number).encode() for number in range(100)]
    assert connection.sent.count(b"ECHO") == 100


async def test_all_kinds_of_arguments_and_replies(link_to: MakeLink, redis_servers: RedisServer) -> None:
    link = link_to(redis_servers.port)
    await link.open()
    assert await link.submit("ECHO", "ü") == "ü".encode()
    assert await link.submit("ECHO", b"\0\r\n\xff") == b"\0\r\n\xff"
    assert await link.submit("ECHO", 5) == b"5"
    large = b"x" * 5_000_000
    assert await link.submit("ECHO", large) == large
    assert await link.submit("EVAL", "return {1, {'a', false}, redis.status_reply('OK')}", 0) == [
        1,
        [b"a", None],
        b"OK",
    ]


async def test_error_replies_belong_to_their_commands(link_to: MakeLink, redis_servers: RedisServer) -> None:
    link = link_to(redis_servers.port)
    await link.open()
    first, bad, last = link.submit("ECHO", "1"), link.submit("EVALSHA", "0" * 40, 0), link.submit("PING")
    assert (await first, await last) == (b"1", b"PONG")
    with pytest.raises(RedisReplyError) as caught:
        await bad
    assert caught.value.kind == "NOSCRIPT"
    assert link.is_open


async def test_unopened_link_fails_immediately(link_to: MakeLink, redis_servers: RedisServer) -> None:
    link = link_to(redis_servers.port)
    with pytest.raises(StoreTimeoutError, match="is not connected"):
        await link.submit("PING")


async def test_concurrent_opens_connect_once(link_to: MakeLink, proxy: Proxy) -> None:
    link = link_to(proxy.port)
    await asyncio.gather(*(link.open() for _ in range(20)))
    await link.open()
    assert len(proxy.connections) == 1


async def test_cancelled_command_does_not_affect_others(
    link_to: MakeLink, redis_servers: RedisServer
) -> None:
    link = link_to(redis_servers.port)
    hasty, patient = asyncio.create_task(link.open()), asyncio.create_task(link.open())
    await asyncio.sleep(0)
    hasty.cancel()
    await patient
    # A cancelled command does not shift the replies.
    given_up = link.submit("ECHO", "given up")
    given_up.cancel()
    assert await link.submit("ECHO", "mine") == b"mine"


async def test_loss_fails_pending_commands_and_is_reported_once(link_to: MakeLink, proxy: Proxy) -> None:
    lost: list[bool] = []
    link = link_to(proxy.port, on_lost=lambda: lost.append(True))
    await link.open()
    proxy.deaf = lambda connection: True
    waiting = [link.submit("PING") for _ in range(3)]
    await wait_until(lambda: b"PING" in proxy.connections[0].sent, "the commands")
    proxy.cut()
    for error in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(error, StoreTimeoutError) and "is lost" in str(error)
    assert (link.is_open, lost) == (False, [True])
    proxy.mend()
    await link.open()
    assert await link.submit("PING") == b"PONG"


async def test_silent_connection_is_dropped_on_timeout(link_to: MakeLink, proxy: Proxy) -> None:
    lost: list[bool] = []
    link = link_to(proxy.port, 0.2, on_lost=lambda: lost.append(True))
    await link.open()
    proxy.deaf = lambda connection: True
    with pytest.raises(StoreTimeoutError, match=r"did not answer in 0\.2 s"):
        async with asyncio.timeout(PATIENCE):
            await link.submit("PING")
    assert (link.is_open, lost) == (False, [True])


async def test_connection_that_goes_silent_between_commands_is_dropped(
    link_to: MakeLink, proxy: Proxy
) -> None:
    """The oldest pending command was sent before the last reply arrived."""
    lost: list[bool] = []
    link = link_to(proxy.port, 0.5, on_lost=lambda: lost.append(True))
    await link.open()
    slow, quick = link.submit("BLPOP", "nothing", "0.2"), link.submit("PING")
    # Redis replies to neither within 0.2 s, and the command after them is lost.
    await wait_until(lambda: b"PING" in proxy.connections[0].sent, "the commands")
    proxy.mute = lambda connection: True
    unanswered = link.submit("PING")
    await asyncio.gather(slow, quick)
    assert link.is_open and not unanswered.done()
    with pytest.raises(StoreTimeoutError):
        await unanswered
    await wait_until(lambda: lost == [True], "the connection is given up")
    proxy.mend()
    await link.open()
    assert await link.submit("PING") == b"PONG"


async def test_suspended_process_reads_replies_before_timing_out(
    link_to: MakeLink, redis_servers: RedisServer
) -> None:
    link = link_to(redis_servers.port, 0.5)
    await link.open()
    answers = [link.submit("PING") for _ in range(10)]
    await asyncio.sleep(0)
    time.sleep(0.7)
    assert await asyncio.gather(*answers) == [b"PONG"] * 10
    assert link.is_open


class Scripted:
    """A server that replies to commands on request of the test."""

    def __init__(self) -> None:
        self.writer: asyncio.StreamWriter | None = None
        self.port = 0

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator["Scripted"]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writer = writer
            with contextlib.suppress(OSError):
                while data := await reader.read(1 << 16):
                    # The greeting.
                    writer.write(b"+OK\r\n" * data.count(b"SETINFO"))
            writer.transport.abort()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        yield self
        listener.close()

    def say(self, data: bytes) -> None:
        assert self.writer is not None
        self.writer.write(data)


async def test_each_command_has_its_own_timeout(link_to: MakeLink) -> None:
    """Occasional replies keep the connection, but no command waits beyond its timeout."""
    async with Scripted().run() as scripted:
        link = link_to(scripted.port, 0.4)
        await link.open()
        loop = asyncio.get_running_loop()
        ends: list[float] = []

        async def ask() -> None:
            begun = loop.time()
            with pytest.raises(StoreTimeoutError):
                await link.submit("PING")
            ends.append(loop.time() - begun)

        first = link.submit("PING")
        asking = []
        for _ in range(8):
            asking.append(asyncio.create_task(ask()))
            await asyncio.sleep(0.1)
            if not first.done():
                scripted.say(b"+PONG\r\n")
        await asyncio.gather(*asking)
        assert max(ends) < 0.7
        # Late replies to abandoned commands do not reach later commands.
        await link.close()


async def test_late_replies_are_discarded(link_to: MakeLink) -> None:
    async with Scripted().run() as scripted:
        link = link_to(scripted.port, 1.0)
        await link.open()
        first, late = link.submit("ECHO", "first"), link.submit("ECHO", "late")
        await asyncio.sleep(0.5)
        scripted.say(b"$5\r\nfirst\r\n")
        assert await first == b"first"
        with pytest.raises(StoreTimeoutError, match="too slow"):
            await late
        assert link.is_open
        mine = link.submit("ECHO", "mine")
        scripted.say(b"$4\r\nlate\r\n$4\r\nmine\r\n")
        assert await mine == b"mine"


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400\r\n", b"*-5\r\n", b"\0\0\0\r\n"])
async def test_invalid_protocol_drops_the_connection(link_to: MakeLink, nonsense: bytes) -> None:
    async with Scripted().run() as scripted:
        link = link_to(scripted.port)
        await link.open()
        answer = link.submit("PING")
        scripted.say(nonsense)
        with pytest.raises(StoreTimeoutError, match="is lost"):
            await answer


async def test_closed_link_stays_closed(link_to: MakeLink, redis_servers: RedisServer) -> None:
    lost: list[bool] = []
    link = link_to(redis_servers.port, on_lost=lambda: lost.append(True))
    await link.open()
    waiting = link.submit("BLPOP", "list", 0)
    await link.close()
    await link.close()
    with pytest.raises(StoreError, match="was closed"):
        await waiting
    with pytest.raises(StoreError, match="was closed"):
        await link.open()
    assert lost == []


async def test_close_ends_a_hanging_connect(link_to: MakeLink, proxy: Proxy) -> None:
    proxy.half_open = True
    link = link_to(proxy.port, 30.0)
    opening = asyncio.create_task(link.open())
    await asyncio.sleep(0)
    await link.close()
    with pytest.raises(StoreError, match="was closed"):
        await opening


async def test_half_open_connect_times_out(link_to: MakeLink, proxy: Proxy) -> None:
    proxy.half_open = True
    link = link_to(proxy.port, 0.2)
    with pytest.raises(StoreTimeoutError, match="cannot be reached"):
        async with asyncio.timeout(PATIENCE):
            await link.open()


async def test_connect_attempts_back_off(link_to: MakeLink, server: RedisServer) -> None:
    server.kill()
    link = link_to(server.port)
    loop = asyncio.get_running_loop()
    tries: list[float] = []
    for _ in range(4):

        async def was_tried() -> bool:
            with pytest.raises(StoreTimeoutError) as caught:
                await link.open()
            return "currently unreachable" not in str(caught.value)

        await wait_until(was_tried, "another try")
        tries.append(loop.time())
    pauses = [after - before for before, after in itertools.pairwise(tries)]
    assert pauses[0] >= 0.025 and pauses[1] >= 0.05 and pauses[2] >= 0.1
    server.start()

    async def is_open() -> bool:
        with contextlib.suppress(StoreTimeoutError):
            await link.open()
        return link.is_open

    await wait_until(is_open, "it is open")
    assert await link.submit("PING") == b"PONG"


async def test_commands_wait_briefly_after_a_failure(link_to: MakeLink, proxy: Proxy) -> None:
    link = link_to(proxy.port, 5.0)
    proxy.half_open = True
    link._failures = 1
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(3):
        with pytest.raises(StoreTimeoutError, match="currently unreachable"):
            await link.open()
    assert loop.time() - begun < 2
    # The attempt continues in the background and ends when the other side responds.
    proxy.mend()
    await link.close()


async def _open_and_ask(link: Link) -> None:
    await link.open()
    await link.submit("PING")


async def test_immediate_reset_is_an_outage(link_to: MakeLink) -> None:
    """If it occurs between two steps of the set-up, uvloop raises errors unrelated to networks."""
    listener = socket.create_server(("127.0.0.1", 0))

    def reset_all() -> None:
        with contextlib.suppress(OSError):
            while True:
                made, _ = listener.accept()
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                made.close()

    resetting = threading.Thread(target=reset_all)
    resetting.start()
    try:
        for _ in range(200):
            link = link_to(listener.getsockname()[1])
            # The reset is noticed in one place or the other.
            with pytest.raises(StoreTimeoutError):
                await _open_and_ask(link)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        await asyncio.to_thread(resetting.join)
