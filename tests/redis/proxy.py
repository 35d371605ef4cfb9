"""A TCP proxy in front of a server that misbehaves on request."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self

from chat_service.http_ports import stop_servers


class Connection:
    """A connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._client = client
        self._server = server
        #: Everything the client has sent so far.
        self.sent = b""

    @property
    def is_bus(self) -> bool:
        """Whether it is a connection of the bus."""
        return b"SSUBSCRIBE" in self.sent

    def cut(self) -> None:
        """Close both sides."""
        for writer in (self._client, self._server):
            writer.transport.abort()


def close(writer: asyncio.StreamWriter) -> None:
    """Close, like a proxy whose server is down."""
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Reset, like a proxy or kernel that refuses the connection."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def answer_http(writer: asyncio.StreamWriter) -> None:
    """Respond in HTTP, like an HTTP proxy."""
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n<html>")
    writer.close()


def answer_too_much(writer: asyncio.StreamWriter) -> None:
    """Send replies that no command waits for."""
    writer.write(b"+OK\r\n" * 10)


def answer_nonsense(writer: asyncio.StreamWriter) -> None:
    """Send nonsensical Redis replies."""
    writer.write(b"*1\r\n$3\r\nfoo\r\n:5\r\n$-1\r\n" * 10)


class Proxy:
    """Listens on a free loopback port. ``port``: the port of the server behind it."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.connections: list[Connection] = []
        #: Select the connections whose data is lost on the way to the client or to the server.
        self.deaf: Callable[[Connection], bool] = lambda connection: False
        self.mute: Callable[[Connection], bool] = lambda connection: False
        #: Whether new connections are accepted but never served.
        self.half_open = False
        #: Handles new connections instead of connecting them to the server.
        self.refuse: Callable[[asyncio.StreamWriter], None] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def mend(self) -> None:
        """Work normally from now on. Lost data stays lost."""
        self.deaf = self.mute = lambda connection: False
        self.half_open = False
        self.refuse = None

    def cut(self) -> None:
        """Close all connections."""
        for connection in self.connections:
            connection.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = writer
        task.add_done_callback(self._tasks.pop)
        with contextlib.suppress(OSError):
            if self.refuse is not None:
                self.refuse(writer)
                await writer.drain()
            elif self.half_open:
                await reader.read(-1)
            else:
                await self._join(reader, writer)
        writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        connection = Connection(writer, server_writer)
        self.connections.append(connection)

        async def to_server() -> None:
            while data := await reader.read(1 << 16):
                connection.sent += data
                if not self.mute(connection):
                    server_writer.write(data)

        async def to_client() -> None:
            while data := await server_reader.read(1 << 16):
                if not self.deaf(connection):
                    writer.write(data)

        ways = [asyncio.create_task(to_server()), asyncio.create_task(to_client())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server_writer.transport.abort()
            self.connections.remove(connection)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        # Connections accepted in the last moment are served, and closed below.
        await stop_servers([self._listener])
        self.cut()
        for writer in list(self._tasks.values()):
            writer.transport.abort()
        await asyncio.gather(*self._tasks)
