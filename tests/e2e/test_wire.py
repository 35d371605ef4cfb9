"""Both client libraries over every transport, in JSON and in msgpack, with text and with binary values."""

import itertools
from typing import Any

import pytest

from tests.e2e.clients import UNDEFINED, TypedArray
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo, Serve

TRANSPORTS = {"websocket": WEBSOCKET, "polling": POLLING, "upgrade": UPGRADE}
SERIALIZERS = ("json", "msgpack")

NESTED = {"name": "photo", "parts": [b"\x00\xff", {"deep": [[b""], {"er": b"\x80" * 1000}]}], "n": 1.5}


def accept(message: dict[str, Any]) -> None:
    """A message checker that lets everything pass."""


@pytest.mark.covers(
    "transport_option:serializer", "transport_option:transports", "notification:loginConfirmed"
)
@pytest.mark.parametrize(
    ("kind", "transports", "serializer"), list(itertools.product(("js", "py"), TRANSPORTS, SERIALIZERS))
)
async def test_login_join_talk_read(
    serve: Serve, connect: ConnectTo, kind: str, transports: str, serializer: str
) -> None:
    service = await serve(
        hooks={"room_messages_checker": accept}, transport_options={"serializer": serializer}
    )
    await service.add_room("room", owner="admin")
    client = await connect(
        service, "alice", kind=kind, transports=TRANSPORTS[transports], msgpack=serializer == "msgpack"
    )
    name, auth_data = await client.wait_for("loginConfirmed")
    (sockets,) = (await service.get_instance_sockets()).items()
    assert (name, auth_data["id"]) == (sockets[1], sockets[0])

    assert await client.call("roomJoin", "room") == 1
    assert await client.call("roomMessage", "room", {"text": "héllo \u2028 \U0001f600", "x": None}) == 1
    room, message = await client.wait_for("roomMessage")
    assert (room, message["text"], message["author"]) == ("room", "héllo \u2028 \U0001f600", "alice")
    # Without binary values it is sent as stored.
    for history in (("roomRecentHistory", "room"), ("roomHistoryGet", "room", 0, 10)):
        assert await client.call(*history) == [message]
    assert await client.call("roomHistoryGet", "room", 1, 10) == []
    # Binary values anywhere, there and back: in a notification and in an ack.
    assert await client.call("roomMessage", "room", NESTED) == 2
    room, message = await client.wait_for("roomMessage")
    assert {key: message[key] for key in NESTED} == NESTED
    newest, oldest = await client.call("roomRecentHistory", "room")
    assert {key: newest[key] for key in NESTED} == NESTED
    assert oldest["x"] is None and type(oldest["id"]) is int
    assert await client.error("roomJoin", "nowhere") == "ChatServiceError: No such room nowhere"
    # A command without a result has two values in its ack all the same.
    assert await client.emit("roomSetWhitelistMode", "room", True) == [
        "ChatServiceError: Action is not allowed",
        None,
    ]
    assert await client.emit("directSetWhitelistMode", True) == [None, None]


@pytest.mark.parametrize("serializer", SERIALIZERS)
async def test_binary_reaches_every_kind_of_receiver(serve: Serve, login: ConnectTo, serializer: str) -> None:
    service = await serve(
        hooks={"room_messages_checker": accept, "direct_messages_checker": accept},
        transport_options={"serializer": serializer},
    )
    await service.add_room("room", owner="admin")
    clients = [
        await login(service, f"{kind}{how}", kind=kind, transports=via, msgpack=serializer == "msgpack")
        for kind, (how, via) in itertools.product(("js", "py"), TRANSPORTS.items())
    ]
    for client in clients:
        await client.call("roomJoin", "room")
    for number, sender in enumerate(clients, 1):
        assert await sender.call("roomMessage", "room", {**NESTED, "from": number}) == number
    for client in clients:
        for number in range(1, len(clients) + 1):
            message = (await client.wait_for("roomMessage"))[1]
            assert (message["id"], message["from"]) == (number, number)
            assert {key: message[key] for key in NESTED} == NESTED
    await clients[0].call("directMessage", clients[-1].name, {"b": [b"1", b"1", b"2"]})
    assert (await clients[-1].wait_for("directMessage"))[0]["b"] == [b"1", b"1", b"2"]


@pytest.mark.covers("command:systemMessage", "notification:systemMessage")
async def test_system_messages_carry_any_data(serve: Serve, login: ConnectTo) -> None:
    service = await serve()
    one = await login(service, "alice")
    other = await login(service, "alice", transports=POLLING)
    values: list[Any] = [None, 0, -1.25, "", [], {}, {"a": [b"x", {"b": b"y"}]}, b"raw", True]
    for data in values:
        await one.call("systemMessage", data)
        assert await other.wait_for("systemMessage") == [data]


@pytest.mark.parametrize("serializer", SERIALIZERS)
async def test_javascript_values_without_a_python_equivalent(
    serve: Serve, login: ConnectTo, serializer: str
) -> None:
    service = await serve(transport_options={"serializer": serializer})
    one = await login(service, "alice", msgpack=serializer == "msgpack")
    other = await login(service, "alice", msgpack=serializer == "msgpack")
    # Without an ack the msgpack parser writes the packet's id as undefined.
    await one.tell("systemMessage", UNDEFINED)
    assert await other.wait_for("systemMessage") == [None]
    assert await one.emit("systemMessage", [UNDEFINED, TypedArray(b"\x01\x02\x03"), b"buffer"]) == [
        None,
        None,
    ]
    assert await other.wait_for("systemMessage") == [[None, b"\x01\x02\x03", b"buffer"]]


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_server_ends_a_connection(
    serve: Serve, login: ConnectTo, transports: str, serializer: str
) -> None:
    service = await serve(transport_options={"serializer": serializer})
    client = await login(service, "alice", transports=TRANSPORTS[transports], msgpack=serializer == "msgpack")
    await service.disconnect_user_sockets("alice")
    assert await client.wait_for("disconnect") == ["io server disconnect"]


@pytest.mark.covers("hook:after", "command:roomRecentHistory", "command:roomHistoryGet")
async def test_hooks_and_server_code_get_histories_as_lists(serve: Serve, connect: ConnectTo) -> None:
    service = await serve()
    await service.add_room("room")
    client = await connect(service, "alice", kind="py")
    await client.call("roomJoin", "room")
    await client.call("roomMessage", "room", {"textMessage": "hello"})

    @service.after("roomRecentHistory")
    def mark(call: Any) -> list[Any]:
        (messages,) = call.results
        assert type(messages) is list
        return [[{**message, "seen": True} for message in messages], "more"]

    (answer,) = await service.exec_user_command("alice", "roomHistoryGet", "room", 0, 5)
    assert type(answer) is list
    assert await client.emit("roomRecentHistory", "room") == [None, [{**answer[0], "seen": True}], "more"]
    assert await client.call("roomHistoryGet", "room", 0, 5) == answer


@pytest.mark.covers("hook:before", "command:roomRecentHistory", "command:roomHistoryGet", "command:roomJoin")
@pytest.mark.parametrize("name", ["before", "after"])
async def test_hooks_that_only_watch_leave_histories_as_they_are(
    serve: Serve, connect: ConnectTo, name: str
) -> None:
    service = await serve()
    await service.add_room("room")
    calls: list[str] = []
    for command in ("roomJoin", "roomRecentHistory", "roomHistoryGet"):
        getattr(service, name)(command)(lambda call: calls.append(call.command))
    client = await connect(service, "alice", kind="py")
    await client.call("roomJoin", "room")
    await client.call("roomMessage", "room", {"textMessage": "hello"})
    (message,) = await client.call("roomRecentHistory", "room")
    assert await client.call("roomHistoryGet", "room", 0, 5) == [message]
    error, njoined, history = await client.emit("roomJoin", "room", {"after": 0})
    assert (error, njoined, history["messages"]) == (None, 1, [message])
    assert calls == ["roomJoin", "roomRecentHistory", "roomHistoryGet", "roomJoin"]
