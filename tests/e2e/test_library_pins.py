"""What chat_service/transports/socketio takes for granted of python-engineio and python-socketio.

The adapter overrides methods that are no public interface. When a new version of a library changes what it
relies on, these tests say so; then the adapter has to be read next to the new version.
"""

import asyncio
import inspect
import socket
from collections.abc import Callable
from types import CodeType
from typing import Any

import engineio
import pytest
import socketio
import uvloop
from aiohttp import WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WebSocketError, WebSocketReader
from aiohttp.web_protocol import RequestHandler
from engineio import async_socket, base_server, base_socket, exceptions, packet
from engineio.async_drivers import aiohttp as aiohttp_driver
from engineio.async_drivers import asgi as asgi_driver
from socketio import async_manager, base_manager, msgpack_packet
from socketio import base_server as socketio_base_server
from socketio import packet as socketio_packet

from chat_service.testing import wait_until
from chat_service.transports.socketio.engine import EngineSocket
from chat_service.transports.socketio.engine_server import EngineServer
from chat_service.transports.socketio.manager import Manager
from chat_service.transports.socketio.namespace import ServiceNamespace
from chat_service.transports.socketio.packets import JsonPacket, MsgpackPacket, scan_json
from chat_service.transports.socketio.server import SocketIOServer, make_server
from chat_service.transports.socketio.slow_consumers import PACKET_OVERHEAD, SizedQueue, unsent_bytes
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from tests.e2e.stopped import masked_frame


def names_of(function: Callable[..., Any]) -> set[str]:
    """The names that a function uses, those of its inner functions included."""

    def collect(code: CodeType) -> set[str]:
        inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        return {*code.co_names, *code.co_freevars}.union(*(collect(item) for item in inner))

    return collect(function.__code__)


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("ours", "method"),
    [
        (EngineSocket, "schedule_ping"),
        (EngineSocket, "receive"),
        (EngineSocket, "close"),
        (EngineSocket, "poll"),
        (EngineSocket, "handle_post_request"),
        (EngineSocket, "_upgrade_websocket"),
        (EngineSocket, "_websocket_handler"),
        (EngineServer, "handle_request"),
        (EngineServer, "send_packet"),
        (EngineServer, "_log_error_once"),
        (EngineServer, "_handle_connect"),
        (SocketIOServer, "_engineio_server_class"),
        (SocketIOServer, "_handle_eio_message"),
        (SocketIOServer, "_handle_connect"),
        (SocketIOServer, "_handle_event"),
        (SocketIOServer, "_handle_ack"),
        (SocketIOServer, "_handle_disconnect"),
        (Manager, "pre_connect"),
        (Manager, "get_participants"),
        (Manager, "get_rooms"),
        (ServiceNamespace, "trigger_event"),
        (JsonPacket, "decode"),
        (JsonPacket, "add_attachment"),
        (JsonPacket, "reconstruct_binary"),
        (JsonPacket, "data_is_binary"),
        (JsonPacket, "deconstruct_binary"),
        (MsgpackPacket, "decode"),
        (MsgpackPacket, "_to_dict"),
    ],
)
def test_overridden_methods_are_there_with_the_same_parameters(ours: type, method: str) -> None:
    mine = ours.__dict__[method]
    stock = next(base.__dict__[method] for base in ours.__mro__[1:] if method in base.__dict__)
    assert type(mine) is type(stock)
    plain = [item.__func__ if isinstance(item, classmethod) else item for item in (mine, stock)]
    assert inspect.iscoroutinefunction(plain[0]) == inspect.iscoroutinefunction(plain[1])
    if method != "trigger_event":  # (event, *args) in both, under whatever names
        assert parameters(plain[0]) == parameters(plain[1])


@pytest.mark.parametrize(
    ("caller", "names"),
    [
        # The server makes sessions in one method, and asks them these things.
        (
            engineio.AsyncServer.handle_request,
            {"_handle_connect", "handle_get_request", "handle_post_request", "_bad_request", "_ok"}
            | {"sockets", "connected", "upgraded", "closed", "disconnect", "_log_error_once"},
        ),
        (
            engineio.AsyncServer._handle_connect,
            {"generate_id", "AsyncSocket", "sockets", "_upgrades", "_trigger_event", "schedule_ping"}
            | {"start_service_task", "connected", "poll"},
        ),
        (engineio.AsyncServer.shutdown, {"service_task_event", "service_task_handle"}),
        (engineio.AsyncServer.send, {"send_packet"}),
        # The session.
        (
            async_socket.AsyncSocket.handle_get_request,
            {"poll", "upgrading", "upgraded", "close"},
        ),
        (async_socket.AsyncSocket._upgrade_websocket, {"_async", "_websocket_handler"}),
        (async_socket.AsyncSocket.check_ping_timeout, {"last_ping", "ping_timeout", "close"}),
        (async_socket.AsyncSocket.receive, {"schedule_ping", "_trigger_event", "UnknownPacketError"}),
        (
            async_socket.AsyncSocket.close,
            {"closed", "closing", "_trigger_event", "SERVER_DISCONNECT", "send", "CLOSE"},
        ),
        # Socket.IO: what a bad packet can raise out of, and how handlers are called.
        (
            socketio.AsyncServer._handle_eio_message,
            {"_binary_packet", "packet_class", "add_attachment", "_handle_connect", "_handle_event"},
        ),
        (
            socketio.AsyncServer._handle_connect,
            {"pre_connect", "environ", "_trigger_event", "ConnectionRefusedError", "error_args", "connect"},
        ),
        (socketio.AsyncServer._handle_disconnect, {"pre_disconnect", "_binary_packet", "_trigger_event"}),
        (socketio.AsyncServer._handle_eio_disconnect, {"get_namespaces", "environ"}),
        (socketio.AsyncServer._handle_event_internal, {"not_handled", "_send_packet"}),
        (socketio.AsyncServer._trigger_event, {"_get_namespace_handler", "trigger_event", "TypeError"}),
        (socketio.AsyncServer.disconnect, {"can_disconnect", "pre_disconnect", "_send_packet"}),
        (socketio.AsyncServer._send_packet, {"encode", "eio", "send"}),
        (socketio_base_server.BaseServer.__init__, {"_engineio_server_class", "packet_class", "eio"}),
        (socketio_packet.Packet.encode, {"deconstruct_binary", "json", "dumps"}),
        (socketio_packet.Packet.decode, {"json", "loads"}),
        (socketio_packet.Packet.__init__, {"data_is_binary", "decode", "attachment_count", "attachments"}),
        (socketio_packet.Packet.add_attachment, {"reconstruct_binary", "attachment_count", "attachments"}),
        (msgpack_packet.MsgPackPacket.encode, {"_to_dict"}),
        (aiohttp_driver.WebSocket.__call__, {"_sock", "prepare", "handler", "environ"}),
        (aiohttp_driver.translate_request, {"query_string"}),
        (asgi_driver.WebSocket.__call__, {"handler"}),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_who_calls_what(caller: Callable[..., Any], names: set[str]) -> None:
    assert names <= names_of(caller) | set(inspect.getclosurevars(caller).globals)


def test_errors_that_end_a_session() -> None:
    for error in ("SocketIsClosedError", "UnknownPacketError", "QueueEmpty"):
        assert issubclass(getattr(exceptions, error), exceptions.EngineIOError)


async def test_attributes_of_sessions_and_servers() -> None:
    server = make_server(SocketIOOptions(), "aiohttp")
    assert isinstance(server.eio, EngineServer)
    session = base_socket.BaseSocket(server.eio, "sid")
    expected = {
        "server",
        "sid",
        "queue",
        "last_ping",
        "connected",
        "upgrading",
        "upgraded",
        "closing",
        "closed",
    }
    assert expected <= vars(session).keys()
    assert session.last_ping and not session.connected
    expected = {"sockets", "transports", "ping_interval", "ping_timeout", "max_http_buffer_size", "logger"}
    expected |= {
        "http_compression",
        "start_service_task",
        "service_task_event",
        "_async",
    }
    assert expected <= vars(server.eio).keys()
    assert {"environ", "manager", "namespace_handlers", "handlers", "_binary_packet"} <= vars(server).keys()
    # Events must come in order, so the server hands them over without a task of its own.
    assert server.eio.async_handlers is False and server.async_handlers is True
    # The adapter watches its sessions itself.
    assert server.eio.start_service_task is False
    assert aiohttp_driver._async["websocket"] is aiohttp_driver.WebSocket
    assert asgi_driver._async["translate_request"] is asgi_driver.translate_request
    assert base_server.BaseServer.reason.TRANSPORT_CLOSE == "transport close"


async def test_manager_tells_where_a_socket_is_in_its_life() -> None:
    server = socketio.AsyncServer(async_mode="aiohttp")
    manager = server.manager
    assert isinstance(manager, async_manager.AsyncManager)
    sid = await manager.pre_connect("eio", "/n")
    # The adapter looks for a connecting socket's session before it is connected.
    assert not manager.is_connected(sid, "/n") and manager.eio_sid_from_sid(sid, "/n") == "eio"
    assert manager.sid_from_eio_sid("eio", "/n") == sid
    await manager.connect(sid, "/n")
    assert manager.is_connected(sid, "/n")
    manager.pre_disconnect(sid, "/n")
    assert not manager.is_connected(sid, "/n") and manager.eio_sid_from_sid(sid, "/n") == "eio"
    await manager.disconnect(sid, "/n")
    assert manager.eio_sid_from_sid(sid, "/n") is None and list(manager.get_namespaces()) == []
    assert isinstance(manager, base_manager.BaseManager)


async def test_a_connect_handler_gets_the_environ_itself() -> None:
    """By that the adapter tells a connect from an event that a client named so."""
    server = make_server(SocketIOOptions(), "aiohttp")
    seen: list[Any] = []

    class Namespace(socketio.AsyncNamespace):
        async def trigger_event(self, event: str, *args: Any) -> Any:
            seen.append((event, args))

    server.register_namespace(Namespace("/n"))
    environ = {"a": 1}
    await server._handle_eio_connect("eio", environ)
    await server._handle_eio_message("eio", '0/n,{"b":2}')
    ((event, (sid, given, auth)),) = seen
    assert event == "connect" and given is environ and auth == {"b": 2}
    await server._handle_eio_disconnect("eio", "reason")
    assert seen[1:] == [("disconnect", (sid, "reason"))]


def test_packets_of_both_libraries() -> None:
    kinds = (packet.OPEN, packet.CLOSE, packet.PING, packet.PONG, packet.MESSAGE, packet.UPGRADE, packet.NOOP)
    assert kinds == tuple(range(7))
    assert packet.Packet(packet.MESSAGE, b"x").encode() == b"x"
    assert packet.Packet(packet.MESSAGE, b"x").encode(b64=True) == "beA=="
    # One packet goes to many sessions, so it must not change by being encoded.
    shared = packet.Packet(packet.MESSAGE, "text")
    assert [shared.encode(), shared.encode(b64=True)] == ["4text", "4text"]
    assert (
        socketio_packet.BINARY_EVENT - socketio_packet.EVENT
        == socketio_packet.BINARY_ACK - socketio_packet.ACK
    )
    encoded = JsonPacket(socketio_packet.EVENT, data=["e", b"x"], namespace="/n").encode()
    assert encoded == ['51-/n,["e",{"_placeholder":true,"num":0}]', b"x"]


# What connection.py, takeover.py and front.py take for granted of aiohttp and of the event loops.


def test_the_websocket_parser_calls_its_queue() -> None:
    """The queue may be of a class of our own, whose parts were never made."""
    calls: list[Any] = []

    class Queue(WebSocketDataQueue):
        __slots__ = ()

        def __init__(self) -> None:
            pass

        def feed_data(self, message: Any, size: int) -> None:
            calls.append((message[0], message[1], size))

        def set_exception(self, error: BaseException, cause: BaseException | None = None) -> None:
            calls.append(error)

        def feed_eof(self) -> None:
            calls.append("eof")

        _size = _limit = 0

    parser = WebSocketReader(Queue(), 10, False, True)
    assert not hasattr(Queue(), "__dict__")
    # In one piece and in many, masked as clients have to.
    data = masked_frame("hello") + masked_frame("ü")
    parser.feed_data(data)
    for byte in data:
        parser.feed_data(bytes((byte,)))
    assert calls == [(WSMsgType.TEXT, "hello", 5), (WSMsgType.TEXT, "ü", 2)] * 2
    assert all(kind is WSMsgType.TEXT for kind, *_ in calls)
    calls.clear()
    for opcode, kind in ((0x2, WSMsgType.BINARY), (0x8, WSMsgType.CLOSE), (0x9, WSMsgType.PING)):
        parser.feed_data(bytes((0x80 | opcode, 0x80)) + b"mask")
        assert calls.pop()[0] is kind
    # A message of just the limit is too large; after that it is told nothing any more.
    assert parser.feed_data(masked_frame("x" * 10)) == (True, b"")
    (error,) = calls
    assert isinstance(error, WebSocketError) and error.code == 1009
    parser.feed_data(masked_frame("x"))
    assert len(calls) == 1
    parser.feed_eof()
    assert calls[1:] == ["eof"]


@pytest.mark.parametrize(
    ("function", "names"),
    [
        # The handshake, and what is overridden of it.
        (web.WebSocketResponse.prepare, {"_pre_start", "_post_start", "drain"}),
        (web.WebSocketResponse._post_start, {"_writer", "set_parser"}),
        (web.WebSocketResponse.write_eof, {"_eof_sent"}),
        # The protocol, which is told that its connection is lost.
        (
            RequestHandler.start,
            {"_force_close", "transport", "_handle_request", "keep_alive", "_task_handler"},
        ),
        (
            RequestHandler.connection_lost,
            {"_manager", "_request_factory", "_request_handler", "_parser", "force_close"},
        ),
        (RequestHandler.set_parser, {"_message_tail"}),
        (RequestHandler.finish_response, {"_parser", "_upgraded", "prepare", "write_eof"}),
        (RequestHandler.force_close, {"transport", "_force_close", "_waiter"}),
        (RequestHandler.keep_alive, {"_keepalive_handle", "cancel"}),
        (web.Server.connection_lost, {"_connections", "_task_handler"}),
        # The runner, whose server makes the protocols.
        (web.BaseRunner.setup, {"_make_server", "_server"}),
        (web.BaseRunner.cleanup, {"pre_shutdown", "shutdown", "_server"}),
        (web.TCPSite.start, {"create_server", "server", "_runner"}),
        (web.SockSite.start, {"create_server", "server", "_runner"}),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_what_aiohttp_does(function: Callable[..., Any], names: set[str]) -> None:
    assert names <= names_of(function)


def test_slots_of_the_request_handler() -> None:
    slots = {slot for base in RequestHandler.__mro__ for slot in getattr(base, "__slots__", ())}
    expected = {"_message_tail", "transport", "_manager", "_request_factory", "_request_handler", "_parser"}
    assert expected <= slots
    assert parameters(web.Server.connection_lost)[:2] == ["self", "handler"]
    assert web.WebSocketResponse._eof_sent is False or "_eof_sent" in vars(web.WebSocketResponse())


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


def test_the_queue_of_asyncio_can_be_measured() -> None:
    assert {"_put"} <= names_of(asyncio.Queue.put_nowait) and {"_get"} <= names_of(asyncio.Queue.get_nowait)
    queue = SizedQueue()
    queue.put_nowait(packet.Packet(packet.MESSAGE, "x" * 100))
    queue.put_nowait(None)
    assert queue.bytes == 100 + PACKET_OVERHEAD == unsent_bytes(queue)
    assert queue.get_nowait().data == "x" * 100 and queue.bytes == 0
    assert unsent_bytes(async_queue := asyncio.Queue[Any]()) == 0 == async_queue.qsize()


def test_the_scanner_of_json() -> None:
    assert scan_json('x[1, {"a": "b"}] ', 1) == ([1, {"a": "b"}], 16)
    for text, error in (
        (" [1]", StopIteration),
        ("[1", ValueError),
        ("[NaN]", ValueError),
        ("", StopIteration),
    ):
        with pytest.raises(error):
            scan_json(text, 0)
