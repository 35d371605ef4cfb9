"""The protocol of Socket.IO 5 (socketio/socket.io-protocol), check by check, on every carrier.

The namespaces "/" and "/custom" are an application's, which tells clients their auth and sends back what
comes; that of the service is another one.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.clients import NAMESPACE, NodeProcess
from tests.e2e.conftest import POLLING, WEBSOCKET, ConnectTo, Serve
from tests.e2e.small_buffers import small_service
from tests.e2e.test_engineio_protocol import CARRIERS, closed, recv

#: The type of a message of Engine.IO.
M = "4"


@pytest.fixture(params=CARRIERS)
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    async with small_service(request.param) as (service, found):
        server: Any = service.transport.get_server()
        for name in ("/", "/custom"):
            add_handlers(server, name)
        yield found


def add_handlers(server: Any, name: str) -> None:
    async def tell(sid: str, auth: Any) -> None:
        await server.emit("auth", auth or {}, to=sid, namespace=name)

    async def on_connect(sid: str, environ: Any, auth: Any) -> None:
        asyncio.get_running_loop().call_later(0.05, lambda: server.start_background_task(tell, sid, auth))

    async def message(sid: str, *values: Any) -> None:
        await server.emit("message-back", values, to=sid, namespace=name)

    async def message_with_ack(sid: str, *values: Any) -> tuple[Any, ...]:
        return values

    server.on("connect", on_connect, namespace=name)
    server.on("message", message, namespace=name)
    server.on("message-with-ack", message_with_ack, namespace=name)


def engine(port: int) -> connect:
    url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
    return connect(url, ping_interval=None, close_timeout=1)


async def join(ws: ClientConnection, packet: str = "40") -> None:
    await recv(ws)
    await ws.send(packet)
    assert str(await recv(ws)).startswith("40")
    assert str(await recv(ws)).startswith("42")


# Connecting


@pytest.mark.parametrize("name", ["", "/custom,"])
@pytest.mark.parametrize("auth", ["", '{"token":"123"}'])
async def test_connecting(port: int, name: str, auth: str) -> None:
    async with engine(port) as ws:
        await recv(ws)
        await ws.send(f"{M}0{name}{auth}")
        start = f"{M}0{name}"
        answer = str(await recv(ws))
        assert answer.startswith(start)
        handshake = json.loads(answer[len(start) :])
        assert handshake.keys() == {"sid"} and isinstance(handshake["sid"], str)
        assert await recv(ws) == f'{M}2{name}["auth",{auth or "{}"}]'


@pytest.mark.parametrize("packet", ["40/random", "40/random,", '40/random,{"a":1}', "40/custom2,"])
async def test_an_unknown_namespace_is_refused(port: int, packet: str) -> None:
    async with engine(port) as ws:
        await recv(ws)
        await ws.send(packet)
        name = packet[2:].partition(",")[0]
        assert await recv(ws) == f'44{name},{{"message":"Invalid namespace"}}'
        # The connection stays.
        await ws.send("40")
        assert str(await recv(ws)).startswith("40{")


async def test_only_configured_namespaces_exist() -> None:
    async with small_service() as (_, port), engine(port) as ws:
        await recv(ws)
        for name in ("/", "/custom", "/admin"):
            await ws.send(f"40{name},")
            shown = "" if name == "/" else f"{name},"
            assert await recv(ws) == f'44{shown}{{"message":"Invalid namespace"}}'


@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING])
async def test_real_clients_are_told_of_an_unknown_namespace(
    serve: Serve, connect: ConnectTo, node_process: NodeProcess, transports: list[str]
) -> None:
    service = await serve(namespace="/elsewhere")
    for kind in ("js", "py"):
        client = await connect(service, "alice", kind=kind, transports=transports)
        (error, *_) = await client.wait_for("connect_error")
        assert (error["message"] if isinstance(error, dict) else error) == "Invalid namespace"


async def test_real_clients_of_msgpack_are_told_of_an_unknown_namespace(
    serve: Serve, connect: ConnectTo
) -> None:
    service = await serve(namespace="/elsewhere", transport_options={"serializer": "msgpack"})
    client = await connect(service, "alice", msgpack=True)
    assert (await client.wait_for("connect_error"))[0] == "Invalid namespace"


@pytest.mark.parametrize("packet", ["4abc", "4", "49", "40[1]", '40"a"', "40{", "4-", f"40{NAMESPACE},[]"])
async def test_a_bad_handshake_ends_the_connection(port: int, packet: str) -> None:
    async with engine(port) as ws:
        await recv(ws)
        await ws.send(packet)
        assert await closed(ws) == []


# Disconnecting


async def test_disconnecting_from_the_main_namespace(port: int) -> None:
    async with engine(port) as ws:
        await join(ws)
        await ws.send("41")
        await ws.send('42["message"]')
        # Nothing comes back; the connection is there for another namespace.
        await ws.send("40/custom,")
        assert str(await recv(ws)).startswith("40/custom,")


async def test_disconnecting_from_one_of_two_namespaces(port: int) -> None:
    async with engine(port) as ws:
        await join(ws)
        await ws.send("40/custom,")
        assert str(await recv(ws)).startswith("40/custom,")
        assert await recv(ws) == '42/custom,["auth",{}]'
        await ws.send("41/custom,")
        await ws.send('42["message","message to main namespace"]')
        assert await recv(ws) == '42["message-back","message to main namespace"]'


# Messages


async def test_plain_text(port: int) -> None:
    async with engine(port) as ws:
        await join(ws)
        await ws.send('42["message",1,"2",{"3":[true]}]')
        assert await recv(ws) == '42["message-back",1,"2",{"3":[true]}]'


PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'


async def test_binary_attachments(port: int) -> None:
    async with engine(port) as ws:
        await join(ws)
        for message in (f'452-["message",{PLACEHOLDERS}]', b"\x01\x02\x03", b"\x04\x05\x06"):
            await ws.send(message)
        assert await recv(ws) == f'452-["message-back",{PLACEHOLDERS}]'
        assert [await recv(ws), await recv(ws)] == [b"\x01\x02\x03", b"\x04\x05\x06"]


async def test_plain_text_with_an_ack(port: int) -> None:
    async with engine(port) as ws:
        await join(ws)
        await ws.send('42456["message-with-ack",1,"2",{"3":[false]}]')
        assert await recv(ws) == '43456[1,"2",{"3":[false]}]'


async def test_binary_attachments_with_an_ack(port: int) -> None:
    async with engine(port) as ws:
        await join(ws)
        for message in (f'452-789["message-with-ack",{PLACEHOLDERS}]', b"\x01\x02\x03", b"\x04\x05\x06"):
            await ws.send(message)
        assert await recv(ws) == f"462-789[{PLACEHOLDERS}]"
        assert [await recv(ws), await recv(ws)] == [b"\x01\x02\x03", b"\x04\x05\x06"]


@pytest.mark.parametrize(
    "messages",
    [
        ["4abc"],
        ["42{}"],
        ["42[]"],
        ["42"],
        ["42[1]"],
        ['42abc["message-with-ack",1]'],
        ['451-["message",{"_placeholder":true,"num":0}]', "42[]"],
        ['451-["message",{"_placeholder":true,"num":1}]', b"x"],
        [b"x"],
        ["44{}"],
    ],
    ids=str,
)
async def test_a_bad_packet_ends_the_connection(port: int, messages: list[str | bytes]) -> None:
    async with engine(port) as ws:
        await join(ws)
        for message in messages:
            await ws.send(message)
        assert await closed(ws) == []


async def test_the_namespaces_of_one_connection_do_not_mix(port: int) -> None:
    async with engine(port) as ws:
        await join(ws)
        await ws.send(f"40{NAMESPACE},")
        assert str(await recv(ws)).startswith(f"40{NAMESPACE},")
        assert str(await recv(ws)).startswith(f'42{NAMESPACE},["loginRejected"')
        # Binary values of either, one after the other.
        await ws.send('451-["message",{"_placeholder":true,"num":0}]')
        await ws.send(b"for the application")
        assert await recv(ws) == f"41{NAMESPACE},"
        assert await recv(ws) == '451-["message-back",{"_placeholder":true,"num":0}]'
        assert await recv(ws) == b"for the application"
