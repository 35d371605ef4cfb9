"""Assumptions about asyncio transports: they report full buffers, and their protocol can be replaced."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from chat_service.testing import wait_until


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_transports_tell_when_too_much_is_unsent(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """``pause_writing`` comes with the write that passes the limit, or soon after it."""

    async def check() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        calls: list[Any] = []

        class Protocol(asyncio.Protocol):
            def pause_writing(self) -> None:
                calls.append(transport.get_write_buffer_size())

            def resume_writing(self) -> None:
                calls.append("resume")

            def connection_lost(self, error: Exception | None) -> None:
                calls.append("lost")

        class Second(Protocol):
            def data_received(self, data: bytes) -> None:
                calls.append(data)

        transport, _ = await loop.create_connection(Protocol, sock=ours)
        transport.set_write_buffer_limits(high=10_000)
        written = 0
        while not calls:
            transport.write(b"x" * 5000)
            written += 5000
            await asyncio.sleep(0)
        assert 10_000 < calls.pop() <= 15_000 + 1
        assert transport.get_write_buffer_size() > 10_000
        # The next protocol gets the rest of the calls.
        transport.set_protocol(Second())
        theirs.setblocking(False)
        while written:
            written -= len(await loop.sock_recv(theirs, 1 << 16))
        assert calls == ["resume"]
        await loop.sock_sendall(theirs, b"hello")
        await wait_until(lambda: len(calls) == 2, "the data to come")
        transport.abort()
        assert calls[1:] == [b"hello"], "the end is told in a later turn"
        transport.write(b"x")
        await wait_until(lambda: len(calls) == 3, "the end")
        assert calls[2] == "lost"
        theirs.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(check())
