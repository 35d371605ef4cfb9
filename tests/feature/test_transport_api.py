"""The public part of the transport, on one instance and on several."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatService, ChatServiceError, ConfigurationError, StoreError, user_channel
from chat_service.commands.table import COMMANDS
from chat_service.contracts.transport import Handshake
from chat_service.testing import wait_until
from tests.support.backends import ONE_STORE
from tests.support.faults import FaultyStore, as_store
from tests.support.markers import room_marker, told, user_marker
from tests.support.patience import PATIENCE
from tests.support.spread import StartSpread
from tests.support.wire_errors import wire_error
from tests.support.world import World


@pytest.mark.covers("api:get_handshake_data")
async def test_handshake_data(world: World) -> None:
    first, second = await world.start(), await world.start()
    alice = await first.login(
        "alice", query={"a": "1"}, headers={"x-token": "abc"}, auth={"password": ["1", 2]}
    )
    data = first.service.transport.get_handshake_data(alice.id)
    assert data == Handshake(
        is_connected=True,
        query={"userName": "alice", "a": "1"},
        headers={"x-token": "abc"},
        auth={"password": ["1", 2]},
        remote_addr="127.0.0.1",
        transport="in-process",
        fingerprint=alice.id,
    )
    nothing = Handshake(is_connected=False)
    assert (dict(nothing.query), dict(nothing.headers), nothing.auth, nothing.remote_addr) == (
        {},
        {},
        None,
        None,
    )
    # A socket elsewhere, one that is nowhere, and one that has gone.
    assert second.service.transport.get_handshake_data(alice.id) == nothing
    assert first.service.transport.get_handshake_data("nowhere") == nothing
    await alice.disconnect()
    assert first.service.transport.get_handshake_data(alice.id) == nothing


# Custom events


@pytest.mark.covers("api:bind_handler")
@pytest.mark.parametrize(
    ("answer", "ack"),
    [
        (None, [None, None]),
        (5, [None, 5]),
        ([1, b"2"], [None, 1, b"2"]),
        ((1,), [None, 1]),
        ([], [None, None]),
        ({"a": 1}, [None, {"a": 1}]),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
@ONE_STORE
async def test_bound_handlers_answer(world: World, answer: Any, ack: list[Any], kind: str) -> None:
    seen: list[Any] = []

    def plain(*args: Any) -> Any:
        seen.append(args)
        return answer

    async def later(*args: Any) -> Any:
        return plain(*args)

    instance = await world.start()
    alice, bob = await instance.login("alice"), await instance.login("bob")
    instance.service.transport.bind_handler(alice.id, "ask", plain if kind == "plain" else later)
    assert await alice.emit("ask", 1, {"b": [b"c"]}) == ack
    assert seen == [(1, {"b": [b"c"]})]
    assert await bob.error("ask") == wire_error("noCommand", "ask")


@pytest.mark.covers("api:bind_handler", "hook:on_connect", "better:noCommand for unknown events")
async def test_on_connect_binds_handlers(world: World) -> None:
    def on_connect(service: ChatService, socket_id: str) -> str:
        service.transport.bind_handler(socket_id, "ping me", lambda: "pong")
        return "alice"

    instance = await world.start(hooks={"on_connect": on_connect})
    alice = await instance.login("alice")
    assert await alice.call("ping me") == "pong"
    assert await alice.error("ping you") == wire_error("noCommand", "ping you")


@pytest.mark.covers("api:bind_handler", "error:wrongArgumentsCount")
async def test_clients_may_send_any_number_of_arguments(world: World) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    bind = instance.service.transport.bind_handler
    bind(alice.id, "two", lambda first, second=2: [[first, second]])
    bind(alice.id, "all", lambda first, *rest: [[first, *rest]])
    bind(alice.id, "none", lambda: "nothing")
    # A built-in function without a signature.
    bind(alice.id, "dict", dict)
    assert await alice.call("two", 1) == [1, 2]
    assert await alice.call("two", 1, 3, "more", "and more") == [1, 3]
    assert await alice.call("all", 1, 2, 3) == [1, 2, 3]
    assert await alice.call("none", "more") == "nothing"
    assert await alice.call("dict", [["a", 1]]) == {"a": 1}
    for event in ("two", "all"):
        assert await alice.error(event) == wire_error("wrongArgumentsCount", 1, 0)


@pytest.mark.covers("api:bind_handler", "error:internalError")
async def test_errors_of_handlers(world: World, caplog: pytest.LogCaptureFixture) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    bind = instance.service.transport.bind_handler

    def refuse() -> None:
        raise ChatServiceError("tooEarly", 5)

    def break_down() -> None:
        raise RuntimeError("secret")

    bind(alice.id, "refuse", refuse)
    bind(alice.id, "break", break_down)
    bind(alice.id, "nonsense", lambda: object())
    assert await alice.error("refuse") == "ChatServiceError: tooEarly"
    for event in ("break", "nonsense"):
        error = await alice.error(event)
        assert error.startswith("ChatServiceError: Internal server error, incident ")
        assert "secret" not in error
    assert "secret" in caplog.text
    bind(alice.id, "refuse", lambda: "changed my mind")
    assert await alice.call("refuse") == "changed my mind"


@pytest.mark.covers("api:bind_handler", "error:invalidSocket")
async def test_events_that_cannot_be_bound(world: World) -> None:
    first, second = await world.start(), await world.start()
    alice = await first.login("alice")
    bind = first.service.transport.bind_handler
    for command in COMMANDS:
        with pytest.raises(ValueError, match=f"{command} is a command: use its hooks"):
            bind(alice.id, command, print)
    reserved = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]
    for event in [*reserved, "", None, 5]:
        with pytest.raises(ValueError, match="is not a valid event name"):
            bind(alice.id, event, print)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="event ask: expected a function, got 5"):
        bind(alice.id, "ask", 5)  # type: ignore[arg-type]
    for service, socket_id in ((first.service, "nowhere"), (second.service, alice.id)):
        with pytest.raises(ChatServiceError) as caught:
            service.transport.bind_handler(socket_id, "ask", print)
        assert (caught.value.code, caught.value.arguments) == ("invalidSocket", (socket_id,))


# Channels


@pytest.mark.covers("api:emit_to_channel")
async def test_emit_to_a_room(spread: StartSpread) -> None:
    made = await spread()
    await made.service.add_room("room")
    alice, bob = await made[1].joined("alice", "room"), await made[2].joined("bob", "room")
    outsider = await made[1].login("carol")
    await made.service.transport.emit_to_channel("room", "news", 1, {"b": b"c"})
    for client in (alice, bob):
        assert await client.wait_for("news") == [1, {"b": b"c"}]
    await user_marker(made.service, "carol", outsider)
    assert outsider.received("news") == []


@pytest.mark.covers("api:emit_to_channel")
async def test_emit_to_a_user(spread: StartSpread) -> None:
    made = await spread()
    alices = [await made[place].login("alice") for place in range(3)]
    bob = await made[1].login("bob")
    await made.service.transport.emit_to_channel(user_channel("alice"), "news")
    for client in alices:
        assert await client.wait_for("news") == []
    await user_marker(made.service, "bob", bob)
    assert told(bob) == []


@pytest.mark.covers("api:send_to_channel")
async def test_send_to_all_but_one(spread: StartSpread) -> None:
    made = await spread()
    await made.service.add_room("room")
    alice, bob = await made[1].joined("alice", "room"), await made[2].joined("bob", "room")
    await made.service.transport.send_to_channel(alice.id, "room", "news", 5)
    assert await bob.wait_for("news") == [5]
    await room_marker(made.service, "room", alice)
    assert alice.received("news") == []
    second = await made[0].login("alice")
    await made.service.transport.send_to_channel(alice.id, user_channel("alice"), "more")
    await second.wait_for("more")
    await user_marker(made.service, "alice", alice)
    assert alice.received("more") == []


@pytest.mark.covers("api:emit_to_channel", "api:send_to_channel")
async def test_events_come_in_the_order_of_the_calls(world: World) -> None:
    first, second = await world.start(), await world.start()
    alice = await second.login("alice")
    for number in range(50):
        # No command has to wait for them.
        if number % 2:
            first.service.transport.emit_to_channel(user_channel("alice"), "news", number)
        else:
            first.service.transport.send_to_channel("nobody", user_channel("alice"), "news", number)
    await wait_until(lambda: len(alice.received("news")) == 50, "all events")
    assert [args[0] for args in alice.received("news")] == list(range(50))


@pytest.mark.covers("api:emit_to_channel", "api:send_to_channel")
@pytest.mark.parametrize("event", ["", "connect", "disconnect", None, 5])
@ONE_STORE
async def test_events_have_names(world: World, event: Any) -> None:
    transport = (await world.start()).service.transport
    with pytest.raises(ValueError, match="is not a valid event name"):
        transport.emit_to_channel("room", event)
    with pytest.raises(ValueError, match="is not a valid event name"):
        transport.send_to_channel("id", "room", event)


@pytest.mark.covers("api:emit_to_channel", "api:send_to_channel", "api:cluster_bus.emit")
@pytest.mark.parametrize("value", [object(), float("nan"), {1: 2}, "\ud800", 2**64, {1, 2}])
@ONE_STORE
async def test_data_that_cannot_be_sent(world: World, value: Any) -> None:
    service = (await world.start()).service
    with pytest.raises(TypeError, match="event news: the data cannot be serialised"):
        service.transport.emit_to_channel("room", "news", 1, [value])
    with pytest.raises(TypeError, match="event news: the data cannot be serialised"):
        service.transport.send_to_channel("id", "room", "news", value)
    with pytest.raises(TypeError, match="event news: the data cannot be serialised"):
        service.cluster_bus.emit("news", value)


@pytest.mark.covers("api:emit_to_channel")
async def test_errors_of_the_bus_reach_the_awaiting_caller_or_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store))
    store.faults.fail("publish", StoreError("no bus"))
    with pytest.raises(StoreError, match="no bus"):
        await instance.service.transport.emit_to_channel("room", "news")
    caplog.clear()
    task = instance.service.transport.emit_to_channel("room", "news")
    await asyncio.wait([task])
    await wait_until(lambda: "a notification could not be sent" in caplog.text, "the log")
    store.faults.mend("publish")


# Sockets and the server


@pytest.mark.covers("api:get_socket", "api:get_server")
async def test_the_librarys_own_objects(world: World) -> None:
    first, second = await world.start(), await world.start()
    alice = await first.login("alice")
    assert first.service.transport.get_socket(alice.id) is alice
    assert second.service.transport.get_socket(alice.id) is None
    assert first.service.transport.get_socket("nowhere") is None
    assert first.service.transport.get_server() is first.transport


@pytest.mark.covers("api:disconnect_socket")
async def test_disconnect_a_socket_anywhere(spread: StartSpread) -> None:
    made = await spread()
    here, there = await made[0].login("alice"), await made[1].login("alice")
    stays = await made[1].login("alice")
    for client in (here, there):
        await made.service.transport.disconnect_socket(client.id)
        await wait_until(lambda client=client: not client.connected, "the disconnect")
        await stays.wait_for("socketDisconnectEcho", client.id)
    await made.service.transport.disconnect_socket("nowhere")
    assert await stays.call("listOwnSockets") == {stays.id: []}


@pytest.mark.covers("api:disconnect_socket", "hook:before")
async def test_a_hook_may_disconnect_its_own_socket(world: World) -> None:
    def hook(call: Any) -> None:
        call.service.transport.disconnect_socket(call.id)

    instance = await world.start(hooks={"room_join_before": hook})
    await instance.service.add_room("room")
    alice = await instance.login("alice")
    async with asyncio.timeout(PATIENCE):
        await alice.emit("roomJoin", "room")
    await wait_until(lambda: not alice.connected, "the disconnect")

    async def is_gone() -> bool:
        return await instance.service.get_instance_sockets() == {}

    await wait_until(is_gone, "the socket to be gone")
    assert await instance.service.room_has_in_list("room", "userlist", "alice") is False
