"""Invalid WebSocket messages: the client gets an error or is cut off, and others are served."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE, Client
from tests.e2e.conftest import ConnectTo, Serve
from tests.e2e.raw import RawWebSocket, event, websocket
from tests.support.parts import parts_of

LIMIT = 100_000
#: Events of the namespace, and events with an ack id of 7.
E, A = f"42{NAMESPACE},", f"42{NAMESPACE},7"
B = f"-{NAMESPACE},7"
HANDSHAKE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
async def service(serve: Serve) -> ChatService:
    service = await serve(
        hooks={"room_messages_checker": lambda message: None},
        transport_options={"max_message_size": LIMIT},
    )
    await service.add_room("room")
    return service


@pytest.fixture
async def bystander(service: ChatService, login: ConnectTo) -> AsyncIterator[Client]:
    """Another client, which is served before and after, and hears nothing strange."""
    client: Client = await login(service, "bystander")
    await client.call("roomJoin", "room")
    yield client
    assert len(await client.call("listOwnSockets")) == 1
    assert not client.received("disconnect")


async def check_gone(service: ChatService) -> None:
    """Nothing is left of anybody but the bystander."""
    server = service.transport.get_server()
    await wait_until(lambda: len(server.eio.sockets) == 1, "the connection to be forgotten")
    await wait_until(lambda: len(server.environ) == 1, "its environ to be forgotten")
    assert parts_of(service).transport._dispatcher.announced == 0  # type: ignore[attr-defined]
    # A hook may have been at work when the client left.
    manager = server.manager
    await wait_until(
        lambda: list(manager.rooms) == [NAMESPACE] and len(manager.rooms[NAMESPACE][None]) == 1,
        "its socket to be forgotten by the library",
    )
    assert not manager.pending_connect and not manager.pending_disconnect

    async def is_alone() -> bool:
        return list((await service.get_instance_sockets()).values()) == ["bystander"]

    await wait_until(is_alone, "its socket to be forgotten")


CUT_OFF: dict[str, list[str | bytes]] = {
    "empty text": [""],
    "unknown Engine.IO type": ["9"],
    "no Engine.IO type": ["hello"],
    "digit of another script": ["٤2"],
    "bad base64": ["b!!!"],
    "open": ["0{}"],
    "ping": ["2"],
    "noop": ["6"],
    "no Socket.IO packet": ["4"],
    "unknown Socket.IO type": ["49"],
    "no Socket.IO type": ["4x"],
    "connect error": [f'44{NAMESPACE},{{"message":"x"}}'],
    "binary before an event": [b"\x00\x01"],
    "no data": [E],
    "no array": [E + '{"a":1}'],
    "empty array": [E + "[]"],
    "text as data": [E + '"roomJoin"'],
    "number as name": [A + "[1]"],
    "null as name": [A + "[null]"],
    "array as name": [A + '[["roomJoin"],"room"]'],
    "object as name": [A + '[{"roomJoin":1}]'],
    "broken JSON": [A + '["roomJoin"'],
    "NaN": [A + '["systemMessage",NaN]'],
    "Infinity": [A + '["systemMessage",Infinity]'],
    "-Infinity": [A + '["systemMessage",[-Infinity]]'],
    "5000 digits": [A + f'["systemMessage",{"9" * 5000}]'],
    "deep arrays": [A + '["systemMessage",' + "[" * 49_000 + "]" * 49_000 + "]"],
    "deep objects": [A + '["systemMessage",' + '{"a":' * 15_000 + "1" + "}" * 15_000 + "]"],
    "deep Engine.IO data": ["4" + "[" * 99_000],
    "long ack id": [E + "1" * 200 + '["roomJoin","room"]'],
    "auth that is not an object": [f"40{NAMESPACE},[1]"],
    "ack without id": [f"43{NAMESPACE},[]"],
    "ack without array": [f"43{NAMESPACE},1{{}}"],
    "too large": ["4" + "x" * (LIMIT + 10)],
    "too large binary": [b"x" * (LIMIT + 10)],
    "too many attachments": [f'45257{B}["systemMessage"]'],
    "far too many attachments": [f'45999999999{B}["systemMessage"]'],
    "5000 digits of attachments": [f'45{"9" * 5000}{B}["systemMessage"]'],
    "attachments of an event": [f'423{B}["systemMessage",1]'],
    "attachments without namespace": ['451-/other,["systemMessage",{"_placeholder":true,"num":0}]', b"x"],
    "text for an attachment": [f'451{B}["systemMessage",{{"_placeholder":true,"num":0}}]', event("a")],
    "attachments without placeholder": [f'451{B}["systemMessage",1]', b"x"],
    "placeholder past the end": [f'451{B}["systemMessage",{{"_placeholder":true,"num":1}}]', b"x"],
    "negative placeholder": [f'451{B}["systemMessage",{{"_placeholder":true,"num":-1}}]', b"x"],
    "placeholder of text": [f'451{B}["systemMessage",{{"_placeholder":true,"num":"0"}}]', b"x"],
    "placeholder without number": [f'451{B}["systemMessage",{{"_placeholder":true}}]', b"x"],
    "boolean placeholder": [f'451{B}["systemMessage",{{"_placeholder":true,"num":false}}]', b"x"],
    "one attachment twice": [
        f'451{B}["systemMessage",[{{"_placeholder":true,"num":0}},{{"_placeholder":true,"num":0}}]]',
        b"x",
    ],
    "attachments too large together": [
        f"453{B}" + json.dumps(["systemMessage", *({"_placeholder": True, "num": n} for n in range(3))]),
        b"x" * (LIMIT // 2),
        b"x" * (LIMIT // 2),
        b"x" * (LIMIT // 2),
    ],
    "placeholder in text": [A + '["roomMessage","room",{"_placeholder":true,"num":0}]'],
    "hidden placeholder": [A + r'["roomMessage","room",{"a":{"\u005fplaceholder":true,"num":0}}]'],
}


@pytest.mark.parametrize("messages", CUT_OFF.values(), ids=CUT_OFF)
async def test_malformed_packets_close_the_connection(
    service: ChatService, bystander: Client, messages: list[str | bytes]
) -> None:
    async with websocket(service.port) as raw:
        await raw.login()
        for message in messages:
            await raw.send(message)
        answers = await raw.wait_closed()
    # Nothing was done: no ack, no message.
    assert not any(isinstance(answer, str) and answer.startswith("43") for answer in answers)
    await check_gone(service)
    assert bystander.received("roomMessage") == []


async def test_broken_utf8_closes_with_its_code(service: ChatService, bystander: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(HANDSHAKE)
    # A text frame of three bytes with a zero mask.
    writer.write(b"\x81\x83\x00\x00\x00\x00" + b"4\xff\xfe")
    answer = await reader.read()
    assert b"101 Switching" in answer and b"\x03\xef" in answer  # 1007
    writer.close()
    await writer.wait_closed()
    await check_gone(service)


async def test_who_goes_on_sending_is_told_why_the_connection_ends(
    service: ChatService, bystander: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that is closed while something is unread is reset, and the close frame is lost with it."""
    caplog.set_level(logging.DEBUG, "chat_service")
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(HANDSHAKE)
    opening = await reader.readuntil(f'"maxPayload":{LIMIT}}}'.encode())
    sid = json.loads(opening[opening.index(b"{") :])["sid"]
    # A frame of 50 MB, of which 8 MB arrive after the end has been decided.
    writer.write(b"\x82\xff" + (50_000_000).to_bytes(8, "big") + b"mask")
    for _ in range(8):
        writer.write(b"x" * 1_000_000)
        await writer.drain()
        await asyncio.sleep(0.01)
    assert await reader.read() == b"\x88\x02\x03\xf1"  # 1009
    assert f"connection {sid} ends: a frame is too large" in caplog.messages
    writer.close()
    await writer.wait_closed()
    await check_gone(service)


@pytest.mark.parametrize("options", [{}, {"ping_interval": 0.2, "ping_timeout": 0.3}], ids=["bad", "good"])
async def test_a_frame_that_never_ends(serve: Serve, options: dict[str, float]) -> None:
    service = await serve(transport_options=options)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(HANDSHAKE)
    await reader.readuntil(b'"maxPayload":1000000}')
    # A frame that clients do not send ends the connection at once, others when a ping is not answered.
    writer.write(b"\x82\xd6" if options else b"\xae\xd6")
    # Everything that follows belongs to it, such as the packet that ends the session.
    writer.write(b"\x33\xdf\x03\x2c\xcd\x36\xee\x1c\x44\x80\xd0" + b"\x81\x81\x00\x00\x00\x001")
    answer = await reader.read()
    assert answer.endswith(b"\x88\x02" + (1000 if options else 1002).to_bytes(2, "big"))
    assert not service.transport.get_server().eio.sockets
    writer.close()
    await writer.wait_closed()


BAD_ARGUMENT = "Bad argument at position"


@pytest.mark.covers("error:badArgument", "error:invalidName", "error:noCommand")
@pytest.mark.parametrize(
    ("message", "error"),
    [
        ('["systemMessage",1e999]', BAD_ARGUMENT),
        ('["systemMessage",[-1e999]]', BAD_ARGUMENT),
        (f'["systemMessage",{"9" * 4000}]', BAD_ARGUMENT),
        (f'["roomHistoryGet","room",{"9" * 4000},1]', BAD_ARGUMENT),
        ('["roomHistoryGet","room",1e999,1]', BAD_ARGUMENT),
        (r'["systemMessage","\ud800"]', BAD_ARGUMENT),
        (r'["systemMessage",{"\udc00":1}]', BAD_ARGUMENT),
        (r'["roomJoin","\ud800"]', "String ? contains invalid characters"),
        (r'["\ud800"]', "No such command ?"),
        ('["systemMessage",' + "[" * 500 + "]" * 500 + "]", BAD_ARGUMENT),
        ('["roomJoin",' + "[" * 900 + "]" * 900 + "]", BAD_ARGUMENT),
        ('["roomMessage","room","text"]', BAD_ARGUMENT),
        (f'["roomJoin","{"x" * 90_000}"]', "String xxx"),
        (f'["{"x" * 90_000}"]', "No such command xxx"),
        ('["connect",{"QUERY_STRING":"userName=admin"}]', "No such command connect"),
        ('["connect"]', "No such command connect"),
        ('["disconnect","transport close"]', "No such command disconnect"),
        ('["disconnect"]', "No such command disconnect"),
        ('["connect_error",1]', "No such command connect_error"),
        ('[""]', "No such command "),
        ('["__class__"]', "No such command __class__"),
    ],
    ids=lambda value: value[:40],
)
@pytest.mark.parametrize("raw_errors", [False, True])
async def test_answered_with_an_error(serve: Serve, message: str, error: str, raw_errors: bool) -> None:
    service = await serve(
        hooks={"room_messages_checker": lambda message: None},
        transport_options={"max_message_size": LIMIT},
        use_raw_error_objects=raw_errors,
    )
    await service.add_room("room")
    async with websocket(service.port) as raw:
        await raw.login()
        await raw.send(A + message)
        values = await raw.recv_ack(7)
        if raw_errors:
            assert values[0]["name"] == "ChatServiceError" and len(json.dumps(values)) < 1000
        else:
            assert values[0].startswith(f"ChatServiceError: {error}") and len(values[0]) < 400
        assert values[1] is None
        # It is connected as before.
        assert (await raw.ack("listOwnSockets"))[0] is None


async def test_harmless_packets(service: ChatService, bystander: Client) -> None:
    async with websocket(service.port) as raw:
        await raw.login()
        for message in (
            "3",  # a pong that nobody asked for
            event("roomJoin", "room"),  # no ack wanted
            event("roomMessage", "room", {"a": 1}),
            event("nothing"),
            f'43{NAMESPACE},1["an ack that nobody wants"]',
            f"43{NAMESPACE},0[1]",
            '42["of the default namespace"]',
            '42/other,5["of another namespace"]',
            "41/other,",
            f"40{NAMESPACE},",  # connected already
        ):
            await raw.send(message)
        assert await raw.recv_start("44") == f'44{NAMESPACE},"Unable to connect"'
        for other in ("/other", "/chat-service2", "/" + "x" * 1000):
            await raw.send(f"40{other},")
            assert (await raw.recv_start("44")).startswith(f"44{other},")
        # An event whose binary values are none.
        await raw.send(f'450{B}["listOwnSockets"]')
        assert list((await raw.recv_ack(7))[1].values()) == [["room"]]
    assert (await bystander.wait_for("roomMessage"))[1]["a"] == 1
    await check_gone(service)


async def test_large_messages_below_the_limit(serve: Serve, login: ConnectTo) -> None:
    service = await serve(hooks={"room_messages_checker": lambda message: None})
    await service.add_room("room")
    reader = await login(service, "reader")
    await reader.call("roomJoin", "room")
    async with websocket(service.port) as raw:
        await raw.login()
        await raw.ack("roomJoin", "room")
        assert (await raw.ack("roomMessage", "room", {"textMessage": "x" * 990_000})) == [None, 1]
        await raw.send(f'451{B}["roomMessage","room",{{"b":{{"_placeholder":true,"num":0}}}}]')
        await raw.send(b"x" * 1_000_000)
        assert await raw.recv_ack(7) == [None, 2]
    assert len((await reader.wait_for("roomMessage"))[1]["textMessage"]) == 990_000
    assert len((await reader.wait_for("roomMessage"))[1]["b"]) == 1_000_000


async def test_attachments_that_never_come(service: ChatService, bystander: Client) -> None:
    async with websocket(service.port) as raw:
        await raw.login()
        await raw.send(f'452{B}["systemMessage",{{"_placeholder":true,"num":0}}]')
        await raw.send(b"one")
        dispatcher = parts_of(service).transport._dispatcher  # type: ignore[attr-defined]
        await wait_until(lambda: dispatcher.announced == 1, "the packet to come")
    await check_gone(service)


@pytest.mark.covers("better:noLogin before login")
async def test_a_flood_before_the_login(serve: Serve, login: ConnectTo) -> None:
    release = asyncio.Event()

    async def on_connect(service: ChatService, socket_id: str) -> str:
        name = service.transport.get_handshake_data(socket_id).query["userName"]
        if name == "raw":
            await release.wait()
        return name

    service = await serve(hooks={"on_connect": on_connect})
    bystander = await login(service, "bystander")
    async with websocket(service.port) as raw:
        await raw.send(f"40{NAMESPACE},")
        await raw.recv_start(f"40{NAMESPACE},")
        # 100 of them wait, 100 get an answer, the next one ends the connection.
        for number in range(250):
            await raw.send(event("listOwnSockets", id=number))
        answers = [str(message) for message in await raw.wait_closed()]
    refusals = [answer for answer in answers if "No login provided" in answer]
    assert 100 <= len(refusals) <= 150, len(refusals)
    assert not any("loginConfirmed" in answer for answer in answers)
    release.set()
    await check_gone(service)
    assert len(await bystander.call("listOwnSockets")) == 1


MSGPACK: dict[str, Any] = {
    "garbage": b"\xc1\xff\x00",
    "nothing": b"",
    "a number": msgpack.packb(5),
    "an array": msgpack.packb([2, "/chat-service", ["a"]]),
    "cut short": msgpack.packb({"type": 2, "nsp": NAMESPACE, "data": ["listOwnSockets"], "id": 1})[:-3],
    "followed by more": msgpack.packb({"type": 2, "nsp": NAMESPACE, "data": ["a"]}) + b"\x00",
    "no type": msgpack.packb({"nsp": NAMESPACE, "data": ["a"]}),
    "boolean type": msgpack.packb({"type": True, "nsp": NAMESPACE, "data": ["a"]}),
    "type of attachments": msgpack.packb({"type": 5, "nsp": NAMESPACE, "data": ["a"]}),
    "type that is an array": msgpack.packb({"type": [2], "nsp": NAMESPACE, "data": ["a"]}),
    "no namespace": msgpack.packb({"type": 2, "data": ["a"]}),
    "namespace that is binary": msgpack.packb({"type": 2, "nsp": b"/chat-service", "data": ["a"]}),
    "no data": msgpack.packb({"type": 2, "nsp": NAMESPACE}),
    "data that is not an array": msgpack.packb({"type": 2, "nsp": NAMESPACE, "data": "roomJoin"}),
    "name that is binary": msgpack.packb({"type": 2, "nsp": NAMESPACE, "data": [b"roomJoin"]}),
    "id that is text": msgpack.packb({"type": 2, "nsp": NAMESPACE, "data": ["a"], "id": "1"}),
    "broken UTF-8": b"\x81\xa4type\xa2\xff\xfe",
    "deep nesting": b"\x81\xa4data" + b"\x91" * 50_000 + b"\xc0",
    "huge length": b"\x81\xa4data\xdd\xff\xff\xff\xff",
    "unknown extension": msgpack.packb(
        {"type": 2, "nsp": NAMESPACE, "data": ["systemMessage", msgpack.ExtType(5, b"x")]}
    ),
    "keys that are not text": b"\x81\x01\x02",
    "text": event("listOwnSockets", id=1),
}


async def recv_fields(raw: RawWebSocket, kind: int) -> dict[str, Any]:
    """The next packet of a type."""
    while True:
        message = await raw.recv()
        fields: Any = msgpack.unpackb(message) if isinstance(message, bytes) else {}
        if fields.get("type") == kind:
            return dict(fields)


@pytest.mark.covers("transport_option:serializer")
@pytest.mark.parametrize("message", MSGPACK.values(), ids=MSGPACK)
async def test_msgpack_garbage(serve: Serve, login: ConnectTo, message: str | bytes) -> None:
    service = await serve(transport_options={"serializer": "msgpack", "max_message_size": LIMIT})
    bystander = await login(service, "bystander", msgpack=True)
    async with websocket(service.port) as raw:
        await raw.send(msgpack.packb({"type": 0, "nsp": NAMESPACE}))
        await recv_fields(raw, 2)
        await raw.send(message)
        await raw.wait_closed()
    await check_gone(service)
    assert len(await bystander.call("listOwnSockets")) == 1


async def test_msgpack_values_that_are_not_data(serve: Serve) -> None:
    service = await serve(transport_options={"serializer": "msgpack"}, use_raw_error_objects=True)
    async with websocket(service.port) as raw:
        await raw.send(msgpack.packb({"type": 0, "nsp": NAMESPACE}))
        await recv_fields(raw, 2)
        for value in (msgpack.Timestamp(1), float("nan"), [2**64 - 1]):
            packet = {"type": 2, "nsp": NAMESPACE, "data": ["systemMessage", value], "id": 1}
            await raw.send(msgpack.packb(packet))
            assert (await recv_fields(raw, 3))["data"][0]["code"] == "badArgument"
