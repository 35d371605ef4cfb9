"""Logins, refusals, several devices, lost connections, and the order of what a client sends."""

import asyncio
from typing import Any

import pytest
import socketio

from chat_service import ChatService, ChatServiceError
from chat_service.testing import wait_until
from tests.e2e.conftest import POLLING, UPGRADE, WEBSOCKET, ConnectTo, Serve
from tests.support.parts import parts_of

WAYS = [WEBSOCKET, POLLING, UPGRADE]


def say(text: str) -> dict[str, str]:
    return {"textMessage": text}


@pytest.mark.covers("notification:loginRejected", "error:noLogin")
@pytest.mark.parametrize("kind", ["js", "py"])
@pytest.mark.parametrize("transports", WAYS)
async def test_a_rejected_login_is_reported_once_and_disconnected(
    serve: Serve, connect: ConnectTo, transports: list[str], kind: str
) -> None:
    service = await serve(hooks={"on_connect": lambda service, id: None})
    client = await connect(service, "alice", transports=transports, kind=kind)
    await client.wait_for("disconnect")
    assert client.received("loginRejected") == [["ChatServiceError: No login provided"]]
    assert not client.received("loginConfirmed")
    eio = service.transport.get_server().eio
    await wait_until(lambda: not eio.sockets, "the connection to be closed")


@pytest.mark.covers("option:use_raw_error_objects", "error:invalidName")
async def test_a_rejection_as_an_object(serve: Serve, connect: ConnectTo) -> None:
    service = await serve(use_raw_error_objects=True)
    client = await connect(service, "", query={"userName": "a:b"})
    expected = {"name": "ChatServiceError", "code": "invalidName", "args": ["a:b"]}
    assert await client.wait_for("loginRejected") == [expected]


@pytest.mark.covers("api:get_handshake_data")
@pytest.mark.parametrize("transports", WAYS)
async def test_handshake_data(serve: Serve, connect: ConnectTo, transports: list[str]) -> None:
    seen: list[Any] = []

    def on_connect(service: ChatService, socket_id: str) -> tuple[str, dict[str, Any]]:
        handshake = service.transport.get_handshake_data(socket_id)
        seen.append(handshake)
        return handshake.query["userName"], {"any": [1, None], "id": "not this"}

    service = await serve(hooks={"on_connect": on_connect})
    name = "A&B=C+D %25;ü"
    client = await connect(
        service,
        name,
        transports=transports,
        auth={"token": "t", "more": [1]},
        query={"userName": name, "empty": ""},
        extraHeaders={"X-Some": "value"},
    )
    confirmed, auth_data = await client.wait_for("loginConfirmed")
    assert (confirmed, auth_data["any"]) == (name, [1, None])
    (handshake,) = seen
    assert handshake.is_connected and handshake.remote_addr == "127.0.0.1"
    assert handshake.query["userName"] == name and handshake.query["empty"] == ""
    assert handshake.auth == {"token": "t", "more": [1]}
    assert handshake.headers["x-some"] == "value"
    assert service.transport.get_handshake_data(auth_data["id"]) == handshake
    await client.disconnect()
    await wait_until(
        lambda: not service.transport.get_handshake_data(auth_data["id"]).is_connected, "the end"
    )


@pytest.mark.covers("transport_option:middleware")
@pytest.mark.parametrize("kind", ["js", "py"])
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING])
@pytest.mark.parametrize(
    ("raised", "message", "data"),
    [
        (socketio.exceptions.ConnectionRefusedError("no ticket", {"price": 5}), "no ticket", {"price": 5}),
        (ConnectionRefusedError("go away"), "go away", None),
        (ChatServiceError("notAllowed"), "Action is not allowed", {"code": "notAllowed", "args": []}),
        (ChatServiceError("tired", object()), "tired", {"code": "tired", "args": ['"<object>"']}),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_middleware_refuses(
    serve: Serve,
    connect: ConnectTo,
    transports: list[str],
    kind: str,
    raised: Exception,
    message: str,
    data: Any,
) -> None:
    calls: list[str] = []

    def first(handshake: Any) -> None:
        calls.append(handshake.query["userName"])

    async def second(handshake: Any) -> None:
        await asyncio.sleep(0)
        if handshake.query["userName"] == "mallory":
            raise raised

    service = await serve(transport_options={"middleware": [first, second]})
    mallory = await connect(service, "mallory", transports=transports, kind=kind)
    error = await mallory.wait_for("connect_error")
    if kind == "py":
        (error,) = error
        error = [error["message"], error.get("data")]
    assert error == [message, data] or (data is None and error[0] == message)
    alice = await connect(service, "alice", transports=transports, kind=kind)
    await alice.wait_for("loginConfirmed")
    assert calls == ["mallory", "alice"]
    assert not mallory.received("loginConfirmed") and not mallory.received("loginRejected")


@pytest.mark.covers("transport_option:middleware", "option:expose_internal_errors")
@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("kind", [RuntimeError, TypeError])
async def test_a_broken_middleware_shows_its_text_only_if_enabled(
    serve: Serve,
    connect: ConnectTo,
    caplog: pytest.LogCaptureFixture,
    exposed: bool,
    kind: type[Exception],
) -> None:
    def broken(handshake: Any) -> None:
        raise kind("secret")

    service = await serve(expose_internal_errors=exposed, transport_options={"middleware": broken})
    client = await connect(service, "alice")
    message = (await client.wait_for("connect_error"))[0]
    assert ("secret" in message) is exposed
    assert "secret" in caplog.text
    caplog.clear()


@pytest.mark.covers("better:noCommand for unknown events", "error:noCommand")
async def test_unknown_events_get_an_error(serve: Serve, login: ConnectTo) -> None:
    service = await serve()
    client = await login(service, "alice")
    for event in ("nothing", "roomjoin", "__init__", "*", "x" * 300, "message"):
        expected = event if len(event) <= 256 else event[:256] + "…"
        assert await client.error(event, 1) == f"ChatServiceError: No such command {expected}"
    await client.tell("nothing", 1)
    assert await client.call("listOwnSockets")


@pytest.mark.covers("better:noLogin before login")
async def test_commands_before_the_login_wait_for_it(serve: Serve, connect: ConnectTo) -> None:
    release = asyncio.Event()

    async def on_connect(service: ChatService, socket_id: str) -> str:
        await release.wait()
        return "alice"

    service = await serve(hooks={"on_connect": on_connect})
    client = await connect(service, "alice")
    await client.wait_for("connect")
    early = asyncio.create_task(client.call("listOwnSockets"))
    unknown = asyncio.create_task(client.error("nothing"))
    [session] = parts_of(service).sessions.all()
    await wait_until(lambda: len(session.early) == 2, "both to wait")
    assert not early.done()
    assert not unknown.done()
    release.set()
    assert len(await early) == 1
    assert await unknown == "ChatServiceError: No such command nothing"


@pytest.mark.covers("api:disconnect_user_sockets")
async def test_several_devices_of_one_user(serve: Serve, login: ConnectTo) -> None:
    service = await serve()
    await service.add_room("room")
    phone = await login(service, "alice", transports=POLLING)
    desk = await login(service, "alice", kind="py")
    tablet = await login(service, "alice", transports=UPGRADE)
    assert [(await phone.wait_for("socketConnectEcho"))[1] for _ in range(2)] == [2, 3]
    assert [await client.call("roomJoin", "room") for client in (phone, desk, tablet)] == [1, 2, 3]
    await desk.call("roomMessage", "room", say("hi"))
    for client in (phone, desk, tablet):
        assert (await client.wait_for("roomMessage"))[1]["id"] == 1
    await tablet.disconnect()
    echo = await phone.wait_for("roomLeftEcho")
    assert echo[::2] == ["room", 2]
    assert (await phone.wait_for("socketDisconnectEcho"))[1] == 2
    assert len(await phone.call("listOwnSockets")) == 2
    await service.disconnect_user_sockets("alice")
    for client in (phone, desk):
        await client.wait_for("disconnect")


@pytest.mark.parametrize("transports", WAYS)
async def test_a_lost_connection_is_restored(serve: Serve, login: ConnectTo, transports: list[str]) -> None:
    service = await serve()
    await service.add_room("room")
    client = await login(
        service,
        "alice",
        transports=transports,
        reconnection=True,
        reconnectionDelay=10,
        reconnectionDelayMax=20,
    )
    await client.call("roomJoin", "room")
    await client.drop()
    await client.wait_for("disconnect")
    await client.wait_for("loginConfirmed")
    await wait_until(lambda: len(service.transport.get_server().eio.sockets) == 1, "the old one to be gone")
    assert list((await client.call("listOwnSockets")).values()) == [[]]
    assert await client.call("roomJoin", "room") == 1


@pytest.mark.covers("better:order of one socket's commands")
@pytest.mark.parametrize("transports", WAYS)
async def test_a_burst_is_answered_and_takes_effect_in_order(
    serve: Serve, login: ConnectTo, transports: list[str]
) -> None:
    service = await serve(history_max_get_messages=500)
    await service.add_room("room")
    client = await login(service, "alice", transports=transports)
    emits: list[tuple[str, list[Any]]] = [("roomJoin", ["room"])]
    emits += [("roomMessage", ["room", say(str(number))]) for number in range(1, 201)]
    emits += [("roomLeave", ["room"]), ("roomMessage", ["room", say("late")])]
    acks = await client.burst(*emits)
    assert [ack[0] for ack in acks] == list(range(203))
    assert [ack[1:] for ack in acks[:201]] == [[None, 1], *([None, number] for number in range(1, 201))]
    assert acks[201][1:] == [None, 0]
    assert acks[202][1:] == ["ChatServiceError: Not joined to room room", None]
    received = [args[1] for args in client.received("roomMessage")]
    assert [message["textMessage"] for message in received] == [str(number) for number in range(1, 201)]


@pytest.mark.parametrize("transports", WAYS)
async def test_a_burst_from_the_server_reaches_python_clients(
    serve: Serve, login: ConnectTo, transports: list[str]
) -> None:
    service = await serve()
    await service.add_room("room")
    client = await login(service, "alice", kind="py", transports=transports)
    await client.call("roomJoin", "room")
    for number in range(200):
        service.transport.emit_to_channel("room", "tick", number)
    ticks = [(await client.wait_for("tick"))[0] for _ in range(200)]
    assert ticks == list(range(200))


@pytest.mark.covers("api:bind_handler", "api:emit_to_channel", "api:send_to_channel", "api:get_socket")
async def test_custom_events(serve: Serve, login: ConnectTo) -> None:
    service = await serve()
    await service.add_room("room")
    alice, bob = await login(service, "alice"), await login(service, "bob", kind="py")
    ids = {name: id for id, name in (await service.get_instance_sockets()).items()}
    for client in (alice, bob):
        await client.call("roomJoin", "room")
    service.transport.bind_handler(ids["alice"], "sum", lambda *numbers: (sum(numbers), b"\x01"))
    assert await alice.emit("sum", 1, 2, 3) == [None, 6, b"\x01"]
    service.transport.emit_to_channel("room", "hello", bytearray(b"x"), ("a", b"b"))
    for client in (alice, bob):
        assert await client.wait_for("hello") == [b"x", ["a", b"b"]]
    service.transport.send_to_channel(ids["alice"], "room", "others", 1)
    service.transport.emit_to_channel("room", "end")
    assert await bob.wait_for("others") == [1]
    await alice.wait_for("end")
    assert not alice.received("others")
    assert service.transport.get_socket(ids["bob"]).upgraded
    assert service.transport.get_socket("nobody") is None
