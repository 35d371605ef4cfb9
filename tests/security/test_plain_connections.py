"""Attacks on lines and plain WebSockets: input that never ends, output that nobody reads, floods."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from chat_service.transports.streams import LineTransport, WebSocketTransport
from chat_service.transports.streams.stream_connection import StreamConnection
from tests.conformance.stream_client import connect_line, connect_socket
from tests.redis.certificates import Certificates
from tests.support.patience import PATIENCE
from tests.support.world import name_by_query

Lines = Callable[..., Awaitable[tuple[ChatService, LineTransport]]]


@pytest.fixture
async def lines() -> AsyncIterator[Lines]:
    async with AsyncExitStack() as stack:

        async def start(hooks: Any = None, **options: Any) -> tuple[ChatService, LineTransport]:
            transport = LineTransport(port=0, **options)
            service = ChatService(
                transport=transport, hooks={"on_connect": name_by_query, **(hooks or {})}, command_rate=None
            )
            await stack.enter_async_context(service)
            await service.add_room("room")
            return service, transport

        yield start


class Raw:
    """A connection on which bytes are sent as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def line(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            line = await self.reader.readline()
        return json.loads(line) if line else None

    async def rest(self) -> list[Any]:
        found = []
        while (line := await self.line()) is not None:
            found.append(line)
        self.writer.close()
        return found


async def raw(transport: LineTransport, first: bytes = b"", *, small: bool = False) -> Raw:
    """``small``: with a receive buffer that is soon full."""
    sock = socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", transport.port))
    made = Raw(*await asyncio.open_connection(sock=sock, limit=1024))
    assert (await made.line())["welcome"] == "chat-service.v1"
    made.writer.write(first)
    return made


def connections(transport: LineTransport | WebSocketTransport) -> list[StreamConnection]:
    found: list[StreamConnection] = list(transport._connections.values())
    return found


async def test_a_line_that_never_ends(lines: Lines) -> None:
    _, transport = await lines(idle_timeout=0.1)
    client = await raw(transport, b"login userName=a\n")
    assert (await client.line())["event"] == "loginConfirmed"

    async def drip() -> None:
        while not client.writer.is_closing():
            client.writer.write(b"x")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert await client.rest() == [{"closing": "idle"}]
    await dripping
    await wait_until(lambda: not connections(transport), "the end of the connection")


async def test_a_connection_without_a_login(lines: Lines) -> None:
    _, transport = await lines(connect_timeout=0.1)
    client = await raw(transport, b"\n" * 100 + b"half a line")
    assert await client.rest() == [{"closing": "login timeout"}]


async def test_a_line_of_a_megabyte(lines: Lines) -> None:
    _, transport = await lines(max_message_size=1000)
    client = await raw(transport, b"login userName=a\n")
    assert (await client.line())["event"] == "loginConfirmed"
    client.writer.write(b"x" * 1_000_000)
    # The reason arrives although the client sends more.
    assert await client.rest() == [{"closing": "line too long"}]
    client = await raw(transport, b"x" * 1000 + b"\n")
    assert (await client.line())["event"] == "loginRejected"
    assert await client.rest() == [{"closing": "server disconnect"}]


async def test_bytes_that_are_not_text(lines: Lines) -> None:
    _, transport = await lines()
    client = await raw(transport, b"login userName=a\n\x00\xfe\x80\n\x16\x01\x02\xc0\nlistOwnSockets\n")
    assert (await client.line())["event"] == "loginConfirmed"
    answers = [await client.line() for _ in range(3)]
    assert [answer["error"] for answer in answers] == ["Malformed frame: not text in UTF-8"] * 2 + [None]
    client.writer.write(b"quit\n")
    assert await client.rest() == [{"closing": "quit"}]


@pytest.mark.parametrize("keys", [b"\x03", b"\x04", b"\xff\xf4\xff\xfd\x06"])
async def test_keys_that_interrupt(lines: Lines, keys: bytes) -> None:
    _, transport = await lines()
    client = await raw(transport, b"login userName=a\n")
    assert (await client.line())["event"] == "loginConfirmed"
    client.writer.write(keys)
    assert await client.rest() == []
    await wait_until(lambda: not connections(transport), "the end of the connection")


async def test_events_that_nobody_reads(lines: Lines) -> None:
    service, transport = await lines(send_buffer_limit=50_000)
    lazy = await raw(transport, b"login userName=lazy\nroomJoin room\n", small=True)
    await wait_until(lambda: len(transport.socket_ids()) == 1, "the first login")
    diligent = await connect_line(transport, query={"userName": "diligent"})
    await diligent.emit("roomJoin", "room")
    text = {"textMessage": "x" * 10_000}
    # As many as the buffers of the system hold, and more.
    for _ in range(2000):
        if transport.slow_consumers:
            break
        await diligent.emit("roomMessage", "room", text)
    assert transport.slow_consumers == 1
    assert [connection.socket_id for connection in connections(transport)] == [diligent.id]
    assert (await diligent.emit("roomMessage", "room", text))[0] is None
    assert (await service.get_instance_sockets()) == {diligent.id: "diligent"}
    lazy.writer.close()
    await diligent.disconnect()


async def test_answers_that_nobody_reads(lines: Lines) -> None:
    service, transport = await lines(send_buffer_limit=20_000, drain_timeout=0.2)
    await service.add_room("full")
    for _ in range(50):
        await service.broadcast("full", {"textMessage": "x" * 1000})
    client = await raw(transport, b"login userName=a\nroomJoin full\n", small=True)
    client.writer.write(b"roomRecentHistory full\n" * 2000)
    largest = 0

    def is_cut() -> bool:
        nonlocal largest
        largest = max([largest, *(connection.unsent for connection in connections(transport))])
        return transport.slow_consumers == 1

    await wait_until(is_cut, "the end of the connection")
    # No more than a few answers wait: then it is not read any longer.
    assert largest < 20_000 + 3 * 55_000
    client.writer.close()


@pytest.mark.unmeasured  # one command, thousands of times
@pytest.mark.parametrize("kind", ["line", "websocket"])
async def test_ten_thousand_commands_at_once(kind: str) -> None:
    transport: Any = LineTransport(port=0) if kind == "line" else WebSocketTransport(port=0)
    service = ChatService(transport=transport, hooks={"on_connect": name_by_query}, command_rate=None)
    connect: Any = connect_line if kind == "line" else connect_socket
    async with service:
        hasty = await connect(transport, query={"userName": "hasty"})
        other = await connect(transport, query={"userName": "other"})
        frames = [b'{"id":"%d","command":"listOwnSockets"}' % number for number in range(10_000)]
        if kind == "line":
            await hasty.write(b"\n".join(frames))
        else:
            for frame in frames:
                await hasty.write(frame)
        # Others have their turn in between.
        assert (await other.emit("listOwnSockets"))[0] is None
        assert len(hasty.others) < 10_000
        await wait_until(lambda: len(hasty.others) >= 10_000, "all answers")
        assert [frame["id"] for frame in hasty.others if "id" in frame] == [str(n) for n in range(10_000)]
        for client in (hasty, other):
            await client.disconnect()


async def test_commands_in_progress_are_bounded(lines: Lines) -> None:
    begun, release = 0, asyncio.Event()

    async def wait() -> None:
        nonlocal begun
        begun += 1
        await release.wait()

    def on_connect(service: ChatService, socket_id: str) -> str:
        service.transport.bind_handler(socket_id, "wait", wait)
        return "a"

    _, transport = await lines({"on_connect": on_connect}, max_waiting_commands=10)
    client = await raw(transport, b"wait\n" * 100)
    await wait_until(lambda: begun == 10, "ten commands")
    (connection,) = connections(transport)
    assert connection.is_blocked and connection.waiting == 10
    release.set()
    await wait_until(lambda: begun == 100, "all commands")
    client.writer.write(b"quit\n")
    assert (await client.rest())[-1] == {"closing": "quit"}


async def test_a_half_closed_connection_gets_its_answers(lines: Lines) -> None:
    release = asyncio.Event()

    async def room_message_before(call: Any) -> None:
        await release.wait()

    _, transport = await lines({"room_message_before": room_message_before}, idle_timeout=30)
    client = await raw(transport, b"login userName=a\nroomJoin room\nsay room hello\nlistOwnSockets")
    client.writer.write_eof()
    assert [await client.line() for _ in range(2)][1]["results"] == [1]
    assert (await client.line())["id"] == 3
    release.set()
    said = await client.rest()
    assert {frame.get("id") for frame in said} == {None, 2} and len(said) == 2
    await wait_until(lambda: not connections(transport), "the end of the connection")


async def test_a_half_closed_connection_does_not_stay(lines: Lines) -> None:
    release = asyncio.Event()

    async def room_message_before(call: Any) -> None:
        await release.wait()

    _, transport = await lines({"room_message_before": room_message_before}, idle_timeout=0.1)
    client = await raw(transport, b"login userName=a\nroomJoin room\nsay room hello\n")
    client.writer.write_eof()
    assert (await client.rest())[-1] == {"closing": "idle"}
    release.set()


async def test_connections_of_one_address(lines: Lines) -> None:
    _, transport = await lines(max_connections_per_address=2, max_pending_connections=1)
    first = await raw(transport)
    reader, writer = await asyncio.open_connection("127.0.0.1", transport.port)
    too_many = await Raw(reader, writer).rest()
    assert too_many == [{"closing": "too many connections without a login", "mayReturn": True}]
    first.writer.write(b"login userName=a\n")
    assert (await first.line())["event"] == "loginConfirmed"
    second = await raw(transport, b"login userName=b\n")
    assert (await second.line())["event"] == "loginConfirmed"
    third = await Raw(*await asyncio.open_connection("127.0.0.1", transport.port)).rest()
    assert third == [{"closing": "too many connections from this address", "mayReturn": True}]
    assert dict(transport.statistics().refused_connections)["address"] == 1
    for client in (first, second):
        client.writer.write(b"quit\n")
        await client.rest()
    await wait_until(lambda: len(transport.admissions) == 0, "no connections")


async def test_a_client_that_does_not_let_its_connection_end(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_service.transports.network.buffered.CLOSE_GRACE", 0.05)
    service, transport = await lines()
    client = await raw(transport, b"login userName=a\n")
    assert (await client.line())["event"] == "loginConfirmed"
    (connection,) = connections(transport)
    await service.disconnect_user_sockets("a")
    # It neither closes its side nor stops to send.
    async with asyncio.timeout(PATIENCE):
        await connection.line.wait_closed()
    client.writer.close()


async def test_lines_with_tls(lines: Lines) -> None:
    with Certificates() as files:
        service, transport = await lines(certificate=files.certificate, private_key=files.key)
        trust = ssl.create_default_context(cafile=files.certificate)
    reader, writer = await asyncio.open_connection("127.0.0.1", transport.port, ssl=trust)
    client = Raw(reader, writer)
    assert (await client.line())["welcome"] == "chat-service.v1"
    writer.write(b"login userName=a\nlistOwnSockets\n")
    assert [(await client.line()).get("event") for _ in range(2)] == ["loginConfirmed", None]
    await service.disconnect_user_sockets("a")
    assert await client.rest() == [{"closing": "server disconnect"}]
    await wait_until(lambda: not connections(transport), "the end of the connection")
    # Without TLS nothing is understood, and the connection ends.
    plain = await asyncio.open_connection("127.0.0.1", transport.port)
    plain[1].write(b"login userName=a\n")
    with contextlib.suppress(ConnectionError):
        assert b"{" not in await plain[0].read()
    plain[1].close()
