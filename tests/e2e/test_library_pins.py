"""The assumptions of chat_service/transports/borrowed.py about libraries.

When a new version of a library changes that, these tests say so; then the module has to be read next to it.
"""

import asyncio
import inspect
from typing import Any

import engineio
import pytest
import socketio
from aiohttp import web
from engineio.packet import MESSAGE, Packet

from chat_service.testing import wait_until
from chat_service.transports.borrowed import (
    Manager,
    cut,
    detach,
    forget_namespace,
    is_over,
    mask,
    queue_of,
    replace_engine,
    scanner_of,
    serves,
    session_of,
)
from chat_service.transports.socketio.packets import strict_decoder
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import ConnectTo
from tests.e2e.mounted import make_service
from tests.e2e.test_mounting import running
from tests.support.parts import parts_of


def test_the_scanner_of_json() -> None:
    scan_json = scanner_of(strict_decoder)
    assert scan_json('x[1, {"a": "b"}] ', 1) == ([1, {"a": "b"}], 16)
    for text, error in (
        (" [1]", StopIteration),
        ("[1", ValueError),
        ("[NaN]", ValueError),
        ("", StopIteration),
    ):
        with pytest.raises(error):
            scan_json(text, 0)


# aiohttp


def test_the_mask_of_frames() -> None:
    for size in range(40):
        plain, key = bytes(range(size)), b"\x01\x80\xff\x00"
        payload = bytearray(plain)
        mask(key, payload)
        assert payload == bytes(byte ^ key[place % 4] for place, byte in enumerate(plain))


# python-socketio


async def test_a_server_uses_the_engine_that_it_is_given() -> None:
    server = socketio.AsyncServer(async_mode="asgi", monitor_clients=False)
    seen: dict[str, Any] = {}

    class Engine:
        def __init__(self, handlers: Any) -> None:
            self.handlers = dict(handlers)
            self.sent: list[Any] = []

        def generate_id(self) -> str:
            return f"socket {len(server.environ)}"

        async def send(self, sid: str, data: Any) -> None:
            self.sent.append((sid, data))

        async def send_packet(self, sid: str, packet: Any) -> None:
            self.sent.append((sid, packet.encode()))

        def start_background_task(self, target: Any, *args: Any) -> Any:
            return asyncio.ensure_future(target(*args))

    engine = replace_engine(server, Engine, seen)
    assert server.eio is engine and engine.handlers.keys() == {"connect", "message", "disconnect"}
    got: list[Any] = []

    class Namespace(socketio.AsyncNamespace):
        async def trigger_event(self, event: str, *args: Any) -> Any:
            got.append((event, args))
            return args[1:]

    assert not serves(server, "/n")
    server.register_namespace(Namespace("/n"))
    server.on("connect", lambda *args: None, namespace="/other")
    assert serves(server, "/n") and serves(server, "/other") and not serves(server, "/")
    environ = {"a": 1}
    await engine.handlers["connect"]("eio", environ)
    assert seen == {"eio": environ}
    await engine.handlers["message"]("eio", '0/n,{"b":2}')
    ((event, (sid, given, auth)),) = got
    # By the environ itself a connect is told from an event that a client has named so.
    assert event == "connect" and given is environ and auth == {"b": 2}
    assert engine.sent == [("eio", f'0/n,{{"sid":"{sid}"}}')]
    await server.emit("hello", 1, to=sid, namespace="/n")
    assert engine.sent[1:] == [("eio", '42/n,["hello",1]')]
    await engine.handlers["disconnect"]("eio", "reason")
    assert got[1:] == [("disconnect", (sid, "reason"))] and seen == {}
    for name in ("/n", "/other", "/nobody"):
        forget_namespace(server, name)
        assert not serves(server, name)


@pytest.mark.parametrize("kind", [socketio.AsyncManager, Manager])
async def test_a_manager_tells_where_a_socket_is_in_its_life(kind: type[Any]) -> None:
    manager = kind()
    server = socketio.AsyncServer(async_mode="asgi", client_manager=manager, monitor_clients=False)
    assert server.manager is manager
    sid = await manager.pre_connect("eio", "/n")
    # The session of a socket is looked for before it is connected.
    assert not manager.is_connected(sid, "/n") and manager.eio_sid_from_sid(sid, "/n") == "eio"
    assert manager.sid_from_eio_sid("eio", "/n") == sid
    assert await manager.pre_connect("eio", "/n") is None
    await manager.connect(sid, "/n")
    assert manager.is_connected(sid, "/n") and list(manager.get_participants("/n", None)) == [(sid, "eio")]
    assert list(manager.get_participants("/n", sid)) == [(sid, "eio")]
    assert manager.get_rooms(sid, "/n") == [sid]
    await manager.enter_room(sid, "/n", "room")
    assert manager.get_rooms(sid, "/n") == [sid, "room"]
    assert list(manager.get_participants("/n", ["room", sid])) == [(sid, "eio")]
    manager.pre_disconnect(sid, "/n")
    assert not manager.is_connected(sid, "/n") and manager.eio_sid_from_sid(sid, "/n") == "eio"
    await manager.disconnect(sid, "/n")
    assert manager.eio_sid_from_sid(sid, "/n") is None and list(manager.get_namespaces()) == []


async def test_our_manager_keeps_no_room_per_socket() -> None:
    manager = Manager()
    socketio.AsyncServer(async_mode="asgi", client_manager=manager, monitor_clients=False)
    for number in range(3):
        await manager.connect(await manager.pre_connect(f"eio {number}", "/n"), "/n")
    assert list(manager.rooms["/n"]) == [None]


# python-engineio


async def test_sessions_of_a_callers_server(connect: ConnectTo) -> None:
    app = web.Application()
    server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=0.1, monitor_clients=False)
    server.attach(app)
    service = make_service(transport_options={"server": server})
    async with running(app) as port, service:
        client = await connect(port, "user", transports=["websocket"])
        await client.wait_for("loginConfirmed")
        (sid,) = server.eio.sockets
        session = session_of(server, sid)
        assert isinstance(session, engineio.async_socket.AsyncSocket)
        assert session_of(server, "nobody") is None and not is_over(session)
        # Unbounded, and first in, first out.
        queue = queue_of(session)
        assert type(queue) is asyncio.Queue and queue.maxsize == 0
        queue.put_nowait(Packet(MESSAGE, f'2{NAMESPACE},["hello",1]'))
        assert await client.wait_for("hello") == [1]
        assert {"wait", "abort", "reason"} <= inspect.signature(session.close).parameters.keys()
        queue.put_nowait(Packet(MESSAGE, "x"))
        await cut(session, "slow consumer")
        assert is_over(session)
        disconnects = parts_of(service).counters.disconnects
        await wait_until(lambda: disconnects["slow consumer"] == 1, "the end to be told")
        await client.wait_for("disconnect")


# aiohttp


@pytest.mark.parametrize("options", [{}, {"handler_cancellation": True}], ids=str)
@pytest.mark.parametrize("tail", [b"", b"tail"])
async def test_a_connection_is_taken_from_aiohttp(options: dict[str, Any], tail: bytes) -> None:
    received = bytearray()
    lost: list[Exception | None] = []
    detached: list[asyncio.Transport] = []

    class Protocol(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            received.extend(data)

        def connection_lost(self, error: Exception | None) -> None:
            lost.append(error)

    async def handle(request: web.Request) -> web.StreamResponse:
        from chat_service.transports.borrowed import Detached

        transport, rest = detach(request)
        with pytest.raises(ConnectionResetError):
            detach(request)
        transport.set_protocol(Protocol())
        transport.write(b"ours")
        received.extend(rest)
        detached.append(transport)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            assert options
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        return Detached()

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        writer.write(head + tail)
        async with asyncio.timeout(20):
            # No aiohttp objects are left between or after it.
            assert await reader.readexactly(4) == b"ours"
        server = runner.server
        assert server is not None
        await wait_until(lambda: not server.connections, "aiohttp to forget it")
        writer.write(b"more")
        await wait_until(lambda: received == tail + b"more", "the data to come")
        assert lost == [] and not detached[0].is_closing()
        writer.close()
        await wait_until(lambda: lost == [None], "the end to be told")
        detached[0].close()
    finally:
        await runner.cleanup()
