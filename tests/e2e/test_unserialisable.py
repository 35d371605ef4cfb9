"""Data that cannot be encoded in a packet: the caller gets an error, and the connection stays open."""

import asyncio
import enum
from typing import Any, NamedTuple

import pytest

from chat_service import ChatService, ChatServiceError, MemoryStore
from tests.e2e.conftest import ConnectTo, Serve
from tests.support.world import name_by_query

INTERNAL = "ChatServiceError: Internal server error, incident "


class Point(NamedTuple):
    x: int
    y: int


class Real(float):
    """As numpy's: a float that is not quite one."""


class Colour(enum.StrEnum):
    RED = "red"


LOOP: list[Any] = []
LOOP.append(LOOP)

CANNOT: dict[str, Any] = {
    "an object": object(),
    "a set": {1, 2},
    "an exception": ValueError("x"),
    "a number key": {1: 2},
    "a large number": 2**64,
    "not a number": float("nan"),
    "infinity": [float("inf")],
    "half a character": "\ud800",
    "half a character as a key": {"a": {"\udfff": 1}},
    "a loop": LOOP,
    "a complex number": {"deep": [{"er": 1j}]},
    "memory": memoryview(b"x"),
    "a false placeholder": [b"x", {"_placeholder": True, "num": 7}],
}
CAN: dict[str, tuple[Any, Any]] = {
    "a named tuple": (Point(1, 2), [1, 2]),
    "a subclass of float": ({"at": Real(1.5)}, {"at": 1.5}),
    "an enum": (Colour.RED, "red"),
}
each_serializer = pytest.mark.parametrize("serializer", ["json", "msgpack"])
each_transport = pytest.mark.parametrize(
    "transports", [["websocket"], ["polling"]], ids=["websocket", "polling"]
)


async def start(serve: Serve, serializer: str, **hooks: Any) -> ChatService:
    service = await serve(hooks=hooks, transport_options={"serializer": serializer})
    await service.add_room("room")
    return service


# What is not sent is logged as an error, which other tests here must not have.
@pytest.fixture(autouse=True)
def no_error_logs() -> None:
    pass


@each_serializer
@each_transport
async def test_results_of_hooks_and_handlers(
    serve: Serve, login: ConnectTo, serializer: str, transports: list[str]
) -> None:
    given: Any = None
    places = {"before": "listOwnSockets", "after": "directGetWhitelistMode", "bound": "custom"}

    def give(*_: Any) -> Any:
        return [given]

    service = await start(
        serve, serializer, list_own_sockets_before=give, direct_get_whitelist_mode_after=give
    )
    client = await login(service, "alice", transports=transports, msgpack=serializer == "msgpack")
    [socket_id] = await service.get_instance_sockets()
    service.transport.bind_handler(socket_id, "custom", give)
    for what, value in CANNOT.items():
        given = value
        for place, command in places.items():
            ack = await client.emit(command)
            assert str(ack[0]).startswith(INTERNAL), (what, place, ack)
    for what, (value, expected) in CAN.items():
        given = value
        for place, command in places.items():
            assert await client.emit(command) == [None, expected], (what, place)
    given = None
    assert await client.call("roomJoin", "room") == 1
    assert not client.received("disconnect")


@each_serializer
@pytest.mark.parametrize("raw", [False, True], ids=["texts", "raw errors"])
async def test_errors_of_hooks(serve: Serve, login: ConnectTo, serializer: str, raw: bool) -> None:
    errors: list[Exception] = [
        *(ChatServiceError("odd", value) for value in CANNOT.values()),
        *(ChatServiceError("noRoom", value) for value in CANNOT.values()),
        ChatServiceError("\ud800"),
        RuntimeError("\ud800"),
    ]
    left = iter(errors)

    def fail(*_: Any) -> None:
        raise next(left)

    service = await serve(
        hooks={"list_own_sockets_before": fail},
        transport_options={"serializer": serializer},
        use_raw_error_objects=raw,
        expose_internal_errors=True,
    )
    client = await login(service, "alice", msgpack=serializer == "msgpack")
    for error in errors:
        [refusal, result] = await client.emit("listOwnSockets")
        assert (refusal["name"] if raw else refusal).startswith("ChatServiceError"), error
        assert result is None
    assert not client.received("disconnect")


@each_serializer
async def test_messages_and_events_of_server_code(serve: Serve, login: ConnectTo, serializer: str) -> None:
    service = await start(serve, serializer, room_messages_checker=lambda message: None)
    client = await login(service, "alice", msgpack=serializer == "msgpack")
    await client.call("roomJoin", "room")
    for what, value in CANNOT.items():
        message = {"data": value}
        with pytest.raises(ChatServiceError, match="Bad argument"):
            await service.exec_user_command(True, "roomMessage", "room", message)
        with pytest.raises(TypeError, match="cannot be serialised"):
            service.transport.emit_to_channel("room", "news", value)
        with pytest.raises(TypeError, match="cannot be serialised"):
            service.cluster_bus.emit("news", value)
        assert what
    for number, (value, expected) in enumerate(CAN.values(), 1):
        await service.exec_user_command(True, "roomMessage", "room", {"data": value})
        await service.transport.emit_to_channel("room", "news", value)
        assert (await client.wait_for("roomMessage"))[1]["data"] == expected
        assert await client.wait_for("news") == [expected]
        newest, *_ = await client.call("roomRecentHistory", "room")
        assert newest["id"] == number
    assert not client.received("disconnect")


@each_serializer
@pytest.mark.parametrize("raw", [False, True], ids=["texts", "raw errors"])
async def test_invalid_results_of_a_store_plugin(
    serve: Serve, login: ConnectTo, serializer: str, raw: bool
) -> None:
    class OddStore(MemoryStore):
        async def room_recent_history(self, *_: Any, **__: Any) -> Any:
            return [{"at": object()}]

    service = await serve(
        store=OddStore(), use_raw_error_objects=raw, transport_options={"serializer": serializer}
    )
    await service.add_room("room")
    client = await login(service, "alice", msgpack=serializer == "msgpack")
    await client.call("roomJoin", "room")
    refusal = await client.error("roomRecentHistory", "room")
    if raw:
        assert (refusal["name"], refusal["code"]) == ("ChatServiceError", "internalError")
    else:
        assert refusal.startswith(INTERNAL)
    assert await client.call("roomLeave", "room") == 0


@each_serializer
async def test_auth_data_and_refusals(serve: Serve, connect: ConnectTo, serializer: str) -> None:
    from socketio.exceptions import ConnectionRefusedError as Refused

    values: list[Any] = list(CANNOT.values())
    errors = [Refused("no", value) for value in values] + [
        ChatServiceError("\ud800"),
        ChatServiceError("odd", *values),
        ConnectionRefusedError("\ud800"),
        asyncio.CancelledError(),
    ]
    left: list[BaseException] = []
    given: Any = None

    async def middleware(handshake: Any) -> None:
        if left:
            raise left.pop()

    def on_connect(service: ChatService, socket_id: str) -> Any:
        return name_by_query(service, socket_id), {"data": given}

    service = await serve(
        hooks={"on_connect": on_connect},
        transport_options={"serializer": serializer, "middleware": middleware},
    )
    for value in CANNOT.values():
        given = value
        client = await connect(service, "alice", msgpack=serializer == "msgpack")
        [rejection] = await client.wait_for("loginRejected")
        assert rejection.startswith(INTERNAL)
    for error in errors:
        left.append(error)
        client = await connect(service, "alice", msgpack=serializer == "msgpack")
        assert await client.wait_for("connect_error"), error
