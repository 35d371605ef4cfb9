"""Counts the work of a service: tasks, handles of the event loop, writes, encodings. It does not measure
time.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

import chat_service
from chat_service import ChatService
from chat_service.protocol import encoded
from chat_service.transports.socketio import encoding, packets
from tests.e2e.clients import NAMESPACE
from tests.e2e.stopped import masked_frame
from tests.support.parts import parts_of

#: The folder of the package.
PACKAGE = str(Path(chat_service.__file__).parent)


@dataclass(slots=True)
class Work:
    """What was counted."""

    #: Tasks that were made.
    tasks: int = 0
    #: Callbacks for the next turn of the loop, and timers.
    callbacks: int = 0
    timers: int = 0
    #: Calls of a transport's ``write``: one system call each, while its client reads.
    writes: int = 0
    #: Values that were made JSON.
    encodings: int = 0


class CountingTransport(asyncio.Transport):
    """The transport of a client that reads everything at once."""

    def __init__(self, work: Work) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self._work = work
        self.protocol: Any = None
        self.is_gone = False
        self.written = b""

    def write(self, data: Any) -> None:
        self._work.writes += 1
        self.written += data

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.is_gone = True
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Let data come from the client."""
        self.protocol.data_received(data)

    def emit(self, *packets: str) -> None:
        self.send(b"".join(map(masked_frame, packets)))

    def take(self) -> bytes:
        """What was written since the last call."""
        written, self.written = self.written, b""
        return written


class Bench:
    """A service on the memory store, and clients of it without a network."""

    def __init__(self, service: ChatService, work: Work) -> None:
        self.service = service
        self._clients: list[CountingTransport] = []
        self.work = work

    async def open(self, user: str) -> CountingTransport:
        """A new connection, on which a request for a WebSocket comes."""
        transport = CountingTransport(self.work)
        self._clients.append(transport)
        port: Any = parts_of(self.service).transport._own_port  # type: ignore[attr-defined]
        protocol = port.make_protocol()
        transport.protocol = protocol
        protocol.connection_made(transport)
        in_loop(
            transport.send,
            f"GET /socket.io/?EIO=4&transport=websocket&userName={user} HTTP/1.1\r\nHost: x\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode(),
        )
        await settle()
        assert b"101 Switching" in transport.take()
        return transport

    async def leave(self) -> None:
        """All clients go."""
        for client in self._clients:
            if not client.is_gone:
                client.close()
        await settle()

    async def joined(self, user: str, room: str = "room") -> CountingTransport:
        transport = await self.open(user)
        in_loop(transport.emit, f"40{NAMESPACE},")
        await settle()
        in_loop(transport.emit, f'42{NAMESPACE},0["roomJoin","{room}"]')
        await settle()
        assert f"43{NAMESPACE},0[null,1]".encode() in transport.take()
        return transport


def in_loop(function: Any, *args: Any) -> None:
    """Call something as the event loop does, outside of any task."""
    loop = asyncio.get_running_loop()
    # Without being counted.
    asyncio.BaseEventLoop.call_soon(loop, function, *args)  # type: ignore[arg-type]


async def settle() -> None:
    """Let the loop turn until everything is done that needs no time."""
    for _ in range(10):
        await asyncio.sleep(0)


@contextmanager
def counted(work: Work, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Count into ``work`` from now on; the turns of ``settle`` are not counted."""
    loop: Any = asyncio.get_running_loop()
    own_task = asyncio.current_task()
    call_soon, call_at = loop.call_soon, loop.call_at

    def make_task(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        work.tasks += 1
        return asyncio.Task(coroutine, loop=loop, **options)

    def count_call_soon(callback: Any, *args: Any, **options: Any) -> asyncio.Handle:
        if getattr(callback, "__self__", None) is not own_task:
            work.callbacks += 1
        handle: asyncio.Handle = call_soon(callback, *args, **options)
        return handle

    def count_call_at(when: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
        work.timers += 1
        handle: asyncio.TimerHandle = call_at(when, callback, *args, **options)
        return handle

    def dumps(*args: Any, **options: Any) -> bytes:
        work.encodings += 1
        return orjson.dumps(*args, **options)

    counting = SimpleNamespace(**{**vars(orjson), "dumps": dumps})
    with monkeypatch.context() as patch:
        patch.setattr(loop, "call_soon", count_call_soon)
        patch.setattr(loop, "call_at", count_call_at)
        for module in (packets, encoding, encoded):
            patch.setattr(module, "orjson", counting)
        loop.set_task_factory(make_task)
        try:
            yield
        finally:
            loop.set_task_factory(None)


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """How often each function of the package is called, or its coroutine resumed, meanwhile."""
    found: Counter[str] = Counter()

    def note(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            found[code.co_qualname] += 1

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
