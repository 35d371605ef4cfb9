"""A client that sends arbitrary data over plain sockets and records the answers."""

import asyncio
import base64
import contextlib
import json
import os
import struct
from collections.abc import Sequence
from typing import Any

import msgpack

from tests.security.fuzz.grammar import NAMESPACE

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes, *, first: int = 0x80, is_masked: bool = True) -> bytes:
    """A frame of RFC 6455. ``first``: the bits of its first byte. The mask is zero, which is a legal one."""
    size = len(payload)
    bit = 0x80 if is_masked else 0
    if size < 126:
        head = bytes((first | opcode, bit | size))
    elif size < 65536:
        head = struct.pack("!BBH", first | opcode, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first | opcode, bit | 127, size)
    return head + (b"\0\0\0\0" if is_masked else b"") + payload


def frames(packet: str | bytes, cut: int) -> list[bytes]:
    """The frames of a message, in ``cut`` + 1 pieces."""
    is_text = isinstance(packet, str)
    payload = packet.encode("utf-8", "surrogatepass") if isinstance(packet, str) else packet
    opcode = TEXT if is_text else BINARY
    if not cut or len(payload) < 2:
        return [frame(opcode, payload)]
    step = max(1, len(payload) // (cut + 1))
    pieces = [payload[at : at + step] for at in range(0, len(payload), step)]
    last = len(pieces) - 1
    return [
        frame(opcode if number == 0 else CONTINUATION, piece, first=0x80 if number == last else 0)
        for number, piece in enumerate(pieces)
    ]


class Inbox:
    """What a client was told."""

    def __init__(self, serializer: str) -> None:
        self._serializer = serializer
        self.sid = ""
        self.acks: set[int] = set()
        self.is_connected = False
        self.is_over = False
        #: Why the server has closed a WebSocket, as it says.
        self.close_code: int | None = None
        self.problems: list[str] = []
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Wake up who waits."""
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Return when something has come, or the session is over."""
        self._changed.clear()
        async with asyncio.timeout(seconds):
            await self._changed.wait()

    def take(self, packet: str | bytes) -> str | None:
        """Note a packet; returns what the client has to answer."""
        answer = None
        try:
            answer = self._read(packet)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self.problems.append(f"the server sent what nobody can read: {packet[:200]!r}: {error!r}")
        self.changed()
        return answer

    def _read(self, packet: str | bytes) -> str | None:
        if isinstance(packet, str) and packet[:1] != "4":
            if packet[0] == "0":
                self.sid = json.loads(packet[1:])["sid"]
            elif packet[0] == "1":
                self.is_over = True
            return "3" if packet == "2" else None
        if self._serializer == "msgpack":
            if isinstance(packet, str):
                raise ValueError("a text")
            fields: dict[str, Any] = msgpack.unpackb(packet)
            self._note(fields["type"], fields["nsp"], fields.get("data"), fields.get("id"))
        elif isinstance(packet, str):
            kind, rest = int(packet[1]), packet[2:]
            if kind in (5, 6):
                _, _, rest = rest.partition("-")
                kind -= 3
            name = "/"
            if rest.startswith("/"):
                name, _, rest = rest.partition(",")
            digits = len(rest) - len(rest.lstrip("0123456789"))
            data = json.loads(rest[digits:]) if rest[digits:] else None
            self._note(kind, name, data, int(rest[:digits]) if digits else None)
        return None

    def _note(self, kind: int, name: str, data: Any, number: int | None) -> None:
        if name != NAMESPACE:
            return
        if kind == 0:
            if not data["sid"]:
                raise ValueError("no socket id")
            self.is_connected = True
        elif kind == 1:
            self.is_connected = False
        elif kind == 3 and number is not None:
            if not isinstance(data, list) or len(data) < 1:
                raise ValueError("an ack without values")
            self.acks.add(number)


class WebSocket:
    """A WebSocket over a plain socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inbox: Inbox) -> None:
        self._reader = reader
        self._writer = writer
        self.inbox = inbox
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, port: int, query: str, inbox: Inbox) -> "WebSocket":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /socket.io/?EIO=4&transport=websocket&{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return cls(reader, writer, inbox)

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the server has read most of it."""
        try:
            await self._writer.drain()
        except OSError:
            self.inbox.is_over = True
            self.inbox.changed()

    async def _read(self) -> None:
        try:
            while True:
                first, second = await self._reader.readexactly(2)
                size = second & 0x7F
                if size == 126:
                    [size] = struct.unpack("!H", await self._reader.readexactly(2))
                elif size == 127:
                    [size] = struct.unpack("!Q", await self._reader.readexactly(8))
                payload = await self._reader.readexactly(size)
                if second & 0x80 or not first & 0x80:
                    self.inbox.problems.append("the server sent a frame with a mask, or a part of one")
                if first & 0xF == CLOSE:
                    self.inbox.close_code = int.from_bytes(payload[:2], "big") if payload else None
                    break
                if first & 0xF == PING:
                    self.write(frame(PONG, payload))
                elif first & 0xF != PONG:
                    answer = self.inbox.take(payload.decode() if first & 0xF == TEXT else payload)
                    if answer is not None:
                        self.write(frame(TEXT, answer.encode()))
        except (asyncio.IncompleteReadError, OSError):
            pass
        except ValueError as error:
            self.inbox.problems.append(f"the server sent a bad frame: {error!r}")
        self.inbox.is_over = True
        self.inbox.changed()

    async def close(self, how: str) -> None:
        """End it: politely, by the session's own packet, by half of the connection, or without a word."""
        if how == "frame":
            self.write(frame(CLOSE, struct.pack("!H", 1000)))
        elif how == "packet":
            self.write(frame(TEXT, b"1"))
        elif how == "half" and not self._writer.is_closing() and self._writer.can_write_eof():
            # The server may have cut the connection in the meantime.
            with contextlib.suppress(OSError):
                self._writer.write_eof()
        if how != "abort" and not self._writer.is_closing():
            async with asyncio.timeout(60):
                await self._reading
        await self.abort()

    async def abort(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()
        await asyncio.wait([self._reading])


class Polls:
    """A polling session, with a connection per request that runs at a time."""

    def __init__(self, port: int, query: str, inbox: Inbox) -> None:
        self._port = port
        self._path = f"/socket.io/?EIO=4&transport=polling&{query}"
        self.inbox = inbox
        self._polling: asyncio.Task[None] | None = None

    async def request(self, method: str, body: bytes = b"", head: Sequence[str] = ()) -> tuple[int, bytes]:
        """One request on a separate connection: the status and the body. Status 0: the connection ended."""
        path = self._path + (f"&sid={self.inbox.sid}" if self.inbox.sid else "")
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *head]
            writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
            async with asyncio.timeout(60):
                answer = await reader.read(-1)
        except OSError:
            return 0, b""
        finally:
            writer.transport.abort()
        start, _, rest = answer.partition(b"\r\n\r\n")
        return (int(start.split(b" ")[1]) if start.startswith(b"HTTP/1.1 ") else 0), rest

    async def open(self) -> None:
        """Begin the session and its polls."""
        status, body = await self.request("GET")
        assert status == 200, body
        self._take(body)
        self._polling = asyncio.create_task(self._poll())

    async def take_over(self, method: str, body: bytes, head: Sequence[str]) -> None:
        """Another request. If it gets what a poll would have got, that has come, too."""
        status, answer = await self.request(method, body, head)
        if method == "GET" and status == 200:
            self._take(answer)

    def _take(self, body: bytes) -> list[str]:
        answers = []
        for part in body.decode().split("\x1e"):
            packet = base64.b64decode(part[1:]) if part.startswith("b") else part
            answer = self.inbox.take(packet) if packet else None
            if answer is not None:
                answers.append(answer)
        return answers

    async def _poll(self) -> None:
        while not self.inbox.is_over:
            status, body = await self.request("GET")
            if status != 200:
                break
            for answer in self._take(body):
                await self.request("POST", answer.encode())
        self.inbox.is_over = True
        self.inbox.changed()

    async def close(self) -> None:
        """End the session, also when it seems to be over: the connection alone may have been."""
        await self.request("POST", b"1")
        if self._polling is not None:
            async with asyncio.timeout(60):
                await self._polling

    async def abort(self) -> None:
        """End it without waiting for what the server says, also for the next example."""
        if self.inbox.sid:
            await self.request("POST", b"1")
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait([self._polling])


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))
