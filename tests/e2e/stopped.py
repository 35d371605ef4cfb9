"""Clients on bare TCP sockets that stop reading, without a library that reads in the background."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.clients import NAMESPACE
from tests.support.patience import PATIENCE

#: Bytes that the system keeps for a client, at most about twice that.
RECEIVE_BUFFER = 4096


def masked_frame(text: str) -> bytes:
    """The WebSocket frame of a client."""
    data, mask = text.encode(), b"mask"
    size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))


class StoppedReader:
    """A WebSocket client that reads only when it is told to."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.received = b""

    async def send(self, text: str) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, masked_frame(text))

    async def read_until(self, part: bytes) -> None:
        """Read, until this has come."""
        async with asyncio.timeout(PATIENCE):
            start = 0
            while self.received.find(part, start) < 0:
                start = max(0, len(self.received) - len(part))
                data = await asyncio.get_running_loop().sock_recv(self._socket, 1 << 16)
                assert data, f"closed before {part!r}"
                self.received += data

    async def read_more(self, size: int = 1 << 16) -> None:
        """Read some of what has come, or is about to."""
        async with asyncio.timeout(PATIENCE):
            data = await asyncio.get_running_loop().sock_recv(self._socket, size)
        assert data, "the connection is lost"
        self.received += data

    async def read_to_end(self) -> None:
        """Read until the connection ends, however it does."""
        async with asyncio.timeout(PATIENCE):
            try:
                while data := await asyncio.get_running_loop().sock_recv(self._socket, 1 << 16):
                    self.received += data
            except ConnectionError:
                pass

    def texts(self) -> list[str]:
        """The messages that came after the HTTP answer."""
        _, _, rest = self.received.partition(b"\r\n\r\n")
        found = []
        while len(rest) >= 2:
            size, start = rest[1], 2
            if size == 126:
                size, start = int.from_bytes(rest[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(rest[2:10], "big"), 10
            if len(rest) < start + size:
                break
            found.append(rest[start : start + size].decode(errors="replace"))
            rest = rest[start + size :]
        return found

    def messages(self, event: str) -> list[Any]:
        """The arguments of the events of a name that came."""
        start = f"42{NAMESPACE},"
        events = [json.loads(text[len(start) :]) for text in self.texts() if text.startswith(start)]
        return [arguments for name, *arguments in events if name == event]


@asynccontextmanager
async def stopped_reader(
    port: int | None, user: str, room: str | None = None
) -> AsyncIterator[StoppedReader]:
    """A client that logged in, joined a room, and stopped reading."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setblocking(False)
    try:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", port))
        reader = StoppedReader(sock)
        request = (
            f"GET /socket.io/?EIO=4&transport=websocket&userName={user} HTTP/1.1\r\nHost: x\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await loop.sock_sendall(sock, request.encode())
        await reader.read_until(b"pingInterval")
        await reader.send(f"40{NAMESPACE},")
        await reader.read_until(b"loginConfirmed")
        if room is not None:
            await reader.send(f'42{NAMESPACE},1["roomJoin","{room}"]')
            await reader.read_until(f"43{NAMESPACE},1[null,1]".encode())
        yield reader
    finally:
        sock.close()
