"""Binary values: current official clients close the connection on a packet with more than ten attachments."""

import itertools
from typing import Any

import pytest
import socketio
from aiohttp import web

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.e2e.clients import Client
from tests.e2e.conftest import POLLING, WEBSOCKET, ConnectTo, Serve
from tests.e2e.test_mounting import running
from tests.support.backends import Backend
from tests.support.parts import parts_of
from tests.support.world import name_by_query

SERIALIZERS = ("json", "msgpack")
ACCEPT = {"room_messages_checker": lambda message: None, "direct_messages_checker": lambda message: None}
TOO_MANY = [b"x"] * 11


def values(count: int, start: int = 0) -> dict[str, Any]:
    """A message with this number of binary values, at several depths."""
    found = [bytes([start + number]) for number in range(count)]
    return {"first": found[:1], "rest": {"deep": found[1:]}}


async def read_all(client: Client, room: str, limit: int) -> list[dict[str, Any]]:
    """The whole history, page by page as the contract says. Oldest first."""
    messages: list[dict[str, Any]] = []
    while True:
        after = messages[-1]["id"] if messages else 0
        page = await client.call("roomHistoryGet", room, after, limit)
        if not page:
            return messages
        assert [message["id"] for message in page] == list(range(after + len(page), after, -1))
        messages.extend(reversed(page))


@pytest.mark.covers("option:max_attachments", "command:roomHistoryGet", "command:roomRecentHistory")
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING])
async def test_histories_are_cut_to_what_one_packet_carries(
    backend: Backend, serve: Serve, login: ConnectTo, transports: list[str]
) -> None:
    service = await serve(store=backend.new_store(), hooks=ACCEPT)
    await service.add_room("room")
    client = await login(service, "alice", transports=transports)
    await client.call("roomJoin", "room")
    # Without, with one, with several, with as many as there may be.
    counts = [0, 1, 1, 1, 0, 4, 4, 4, 0, 10, 0, 10, 1, 0, 0, 3, 3, 3, 3]
    for number, count in enumerate(counts):
        assert await client.call("roomMessage", "room", values(count, number)) == number + 1
    _, _, joined = await client.emit("roomJoin", "room", {"after": 0})
    assert [message["id"] for message in joined["messages"]] == [1, 2, 3, 4, 5, 6]
    assert (joined["recovered"], joined["more"]) == (True, True)
    _, _, joined = await client.emit("roomJoin", "room", {"recent": 50})
    assert [message["id"] for message in joined["messages"]] == [17, 18, 19]
    recent = await client.call("roomRecentHistory", "room")
    assert [message["id"] for message in recent] == [19, 18, 17]
    first = await client.call("roomHistoryGet", "room", 0, 100)
    assert [message["id"] for message in first] == [6, 5, 4, 3, 2, 1]
    for limit in (1, 3, 100):
        messages = await read_all(client, "room", limit)
        assert [message["id"] for message in messages] == list(range(1, len(counts) + 1))
        for number, (message, count) in enumerate(zip(messages, counts, strict=True)):
            assert {key: message[key] for key in ("first", "rest")} == values(count, number)
    assert not client.received("disconnect")
    # Server code gets them as they are stored.
    (stored,) = await service.exec_user_command("alice", "roomRecentHistory", "room")
    assert len(stored) == len(counts)


async def test_histories_in_msgpack_are_not_cut(serve: Serve, login: ConnectTo) -> None:
    service = await serve(hooks=ACCEPT, transport_options={"serializer": "msgpack"})
    await service.add_room("room")
    client = await login(service, "alice", msgpack=True)
    await client.call("roomJoin", "room")
    for number in range(30):
        await client.call("roomMessage", "room", values(3, number))
    assert len(await client.call("roomRecentHistory", "room")) == 30


@pytest.mark.covers("option:max_attachments", "error:badArgument")
@pytest.mark.parametrize(
    ("serializer", "kind", "transports"),
    list(itertools.product(SERIALIZERS, ("js", "py"), (WEBSOCKET, POLLING))),
)
async def test_a_message_with_too_many_is_refused(
    serve: Serve, login: ConnectTo, serializer: str, kind: str, transports: list[str]
) -> None:
    service = await serve(hooks=ACCEPT, transport_options={"serializer": serializer})
    await service.add_room("room")
    msgpack = serializer == "msgpack"
    victims = [
        await login(service, "victim", transports=transports, msgpack=msgpack),
        await login(service, "eve", transports=transports, msgpack=msgpack),
    ]
    sender = await login(service, "eve", kind=kind, transports=transports, msgpack=msgpack)
    for client in (*victims, sender):
        await client.call("roomJoin", "room")
    for command, *args in (
        ("roomMessage", "room", values(11)),
        ("directMessage", "victim", values(11)),
        ("systemMessage", TOO_MANY),
        ("systemMessage", {"a": [{"b": TOO_MANY}]}),
    ):
        error = await sender.error(command, *args)
        position = 0 if command == "systemMessage" else 1
        assert error.startswith(f"ChatServiceError: Bad argument at position {position}, value")
    assert await sender.call("roomMessage", "room", values(10)) == 1
    await sender.call("directMessage", "victim", values(10))
    await sender.call("systemMessage", TOO_MANY[1:])
    assert len((await victims[1].wait_for("systemMessage"))[0]) == 10
    await victims[0].wait_for("directMessage")
    for client in victims:
        assert (await client.wait_for("roomMessage"))[1]["rest"] == values(10)["rest"]
        assert not client.received("disconnect")


@pytest.mark.covers("api:emit_to_channel", "api:send_to_channel", "api:bind_handler", "hook:on_connect")
@pytest.mark.parametrize("serializer", SERIALIZERS)
async def test_server_code_gets_an_error_for_too_many(
    serve: Serve, login: ConnectTo, connect: ConnectTo, serializer: str, caplog: pytest.LogCaptureFixture
) -> None:
    def on_connect(service: ChatService, socket_id: str) -> tuple[str, dict[str, Any]]:
        name = service.transport.get_handshake_data(socket_id).query["userName"]
        return name, {"many": TOO_MANY[: 11 if name == "greedy" else 10]}

    service = await serve(
        hooks={**ACCEPT, "on_connect": on_connect, "room_user_seen_before": lambda call: TOO_MANY},
        transport_options={"serializer": serializer},
    )
    await service.add_room("room")
    msgpack = serializer == "msgpack"
    client = await login(service, "alice", msgpack=msgpack)
    await client.call("roomJoin", "room")
    for emit in (
        lambda *data: service.transport.emit_to_channel("room", "event", *data),
        lambda *data: service.transport.send_to_channel("nobody", "room", "event", *data),
    ):
        with pytest.raises(
            ValueError, match="event event: the data contains 11 binary values; max_attachments is 10"
        ):
            emit(TOO_MANY)
        await emit({"a": TOO_MANY[:5]}, TOO_MANY[:5])
        assert len((await client.wait_for("event"))[1]) == 5
    # Events among instances are not for clients.
    await service.cluster_bus.emit("any", TOO_MANY)
    (socket_id,) = await service.get_instance_sockets()
    service.transport.bind_handler(socket_id, "many", lambda: TOO_MANY)
    for event, *args in (("many",), ("roomUserSeen", "room", "alice")):
        assert "Internal server error, incident" in await client.error(event, *args)
        assert "returned 11 binary values; max_attachments is 10" in caplog.text
        caplog.clear()
    with pytest.raises(Exception, match="Bad argument at position 1"):
        await service.exec_user_command(True, "roomMessage", "room", values(11))
    greedy = await connect(service, "greedy", msgpack=msgpack)
    assert "Internal server error" in (await greedy.wait_for("loginRejected"))[0]
    assert "auth data with 11 binary values; max_attachments is 10" in caplog.text
    caplog.clear()
    assert not client.received("disconnect")


async def test_results_of_hooks_that_change_messages_are_checked(
    serve: Serve, login: ConnectTo, caplog: pytest.LogCaptureFixture
) -> None:
    def before(call: Any) -> None:
        call.args[1] = {"many": TOO_MANY}

    service = await serve(hooks={**ACCEPT, "room_message_before": before})
    await service.add_room("room")
    client = await login(service, "alice")
    await client.call("roomJoin", "room")
    assert "Internal server error" in await client.error("roomMessage", "room", {"a": 1})
    assert "left bad arguments" in caplog.text
    caplog.clear()


@pytest.mark.covers("option:max_attachments")
async def test_a_custom_limit(serve: Serve, login: ConnectTo) -> None:
    service = await serve(hooks=ACCEPT, max_attachments=2)
    await service.add_room("room")
    client = await login(service, "alice")
    await client.call("roomJoin", "room")
    assert "Bad argument" in await client.error("roomMessage", "room", values(3))
    for _ in range(3):
        await client.call("roomMessage", "room", values(1))
    assert len(await client.call("roomRecentHistory", "room")) == 2
    assert len(await client.call("roomHistoryGet", "room", 0, 5)) == 2


async def test_messages_stored_under_a_larger_limit(
    backend: Backend, serve: Serve, login: ConnectTo, caplog: pytest.LogCaptureFixture
) -> None:
    """One message comes all the same, without the values that its reader does not take."""
    roomy = await serve(store=backend.new_store(), hooks=ACCEPT, max_attachments=20)
    service = await serve(store=backend.new_store(), hooks=ACCEPT)
    await roomy.add_room("room")
    client = await login(service, "alice")
    await client.call("roomJoin", "room")
    many = {"many": [bytes([number]) for number in range(12)]}
    await roomy.exec_user_command(True, "roomMessage", "room", {**many, "author": "x"})
    await roomy.exec_user_command(True, "roomMessage", "room", {"one": b"1", "author": "x"})
    expected = [*many["many"][:10], None, None]
    assert (await client.wait_for("roomMessage"))[1]["many"] == expected
    (message,) = await client.call("roomHistoryGet", "room", 0, 10)
    assert message["many"] == expected
    (message,) = await client.call("roomHistoryGet", "room", 1, 10)
    assert message["one"] == b"1"
    assert [message["id"] for message in await client.call("roomRecentHistory", "room")] == [2]
    assert not client.received("disconnect")
    assert "binary values past max_attachments are sent as null" in caplog.text


async def test_histories_of_your_own_server_are_cut(connect: ConnectTo) -> None:
    app = web.Application()
    server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=0.1, monitor_clients=False)
    server.attach(app)
    service = ChatService(hooks={"on_connect": name_by_query, **ACCEPT}, transport_options={"server": server})
    async with running(app) as port, service:
        await service.add_room("room")
        client = await connect(port, "alice")
        await client.wait_for("loginConfirmed")
        await client.call("roomJoin", "room")
        for number in range(12):
            await client.call("roomMessage", "room", values(1, number))
        assert len(await client.call("roomRecentHistory", "room")) == 10
        assert [m["id"] for m in await read_all(client, "room", 100)] == list(range(1, 13))
        await client.disconnect()
        await wait_until(lambda: len(parts_of(service).sessions) == 0, "the client to be gone")
