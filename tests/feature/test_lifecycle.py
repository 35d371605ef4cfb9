"""Start and close: once and in order, despite all errors."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chat_service import ChatService, CloseTimeoutError, CommandCall, ServiceClosedError, StoreError
from chat_service.testing import ConnectionRefused, InProcessTransport, wait_until
from tests.support.backends import ONE_STORE
from tests.support.faults import FaultyStore, as_store
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE
from tests.support.world import World


@pytest.mark.covers("api:start", "api:close")
async def test_start_twice_and_close_twice(world: World) -> None:
    instance = await world.start()
    await instance.service.start()
    alice = await instance.login("alice")
    await asyncio.gather(instance.service.close(), instance.service.close())
    await instance.service.close()
    assert not alice.connected
    with pytest.raises(ServiceClosedError, match="the service was closed: create a new one"):
        await instance.service.start()


@pytest.mark.covers("api:start")
async def test_a_second_start_waits_for_the_first(world: World) -> None:
    gate, calls = asyncio.Event(), []

    async def on_start(service: ChatService) -> None:
        calls.append(service)
        await gate.wait()

    instance = world.make(hooks={"on_start": on_start})
    first = asyncio.create_task(instance.service.start())
    await wait_until(lambda: bool(calls), "on_start")
    second = asyncio.create_task(instance.service.start())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not second.done()
    gate.set()
    await second
    await instance.login("alice")
    await first
    assert len(calls) == 1


@pytest.mark.covers("api:start", "api:close")
async def test_close_during_the_start_ends_it(world: World) -> None:
    entered = asyncio.Event()

    async def on_start(service: ChatService) -> None:
        entered.set()
        await asyncio.Event().wait()

    instance = world.make(hooks={"on_start": on_start})
    starting = asyncio.create_task(instance.service.start())
    waiting = asyncio.create_task(instance.service.start())
    await entered.wait()
    async with asyncio.timeout(PATIENCE):
        await instance.service.close()
    with pytest.raises(ServiceClosedError, match="the service was closed while it started"):
        await starting
    with pytest.raises(ServiceClosedError, match="the service could not start"):
        await waiting
    with pytest.raises(ConnectionRefused):
        await instance.transport.connect()
    with pytest.raises(ServiceClosedError):
        await instance.service.start()


@pytest.mark.covers("api:close")
async def test_a_start_that_ignores_the_close_accepts_no_clients(world: World) -> None:
    entered = asyncio.Event()

    async def on_start(service: ChatService) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    instance = world.make(hooks={"on_start": on_start})
    starting = asyncio.create_task(instance.service.start())
    await entered.wait()
    await instance.service.close()
    with pytest.raises(ServiceClosedError, match="the service was closed while it started"):
        await starting
    with pytest.raises(ConnectionRefused):
        await instance.transport.connect()


@pytest.mark.covers("api:start")
async def test_a_start_that_is_cancelled_leaves_nothing(world: World) -> None:
    entered = asyncio.Event()

    async def on_start(service: ChatService) -> None:
        entered.set()
        await asyncio.Event().wait()

    instance = world.make(hooks={"on_start": on_start})
    starting = asyncio.create_task(instance.service.start())
    await entered.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    with pytest.raises(ServiceClosedError):
        await instance.service.start()


@pytest.mark.covers("api:start")
@pytest.mark.parametrize("method", ["open", "subscribe", "instance_heartbeat"])
async def test_a_store_that_fails_at_the_start(world: World, method: str) -> None:
    store = FaultyStore(world.backend.new_store())
    if method == "open":

        async def refuse(listener: Any) -> None:
            raise StoreError("no server at the address")

        store.open = refuse  # type: ignore[method-assign]
    else:
        store.faults.fail(method, StoreError("no server at the address"))
    instance = world.make(store=as_store(store))
    with pytest.raises(StoreError, match="no server at the address"):
        await instance.service.start()
    with pytest.raises(ServiceClosedError):
        await instance.service.start()


@pytest.mark.covers("api:close")
async def test_closing_a_service_that_never_started(world: World) -> None:
    instance = world.make()
    await instance.service.close()
    with pytest.raises(ServiceClosedError):
        await instance.service.start()


@pytest.mark.covers("api:start", "api:close")
async def test_as_a_context_manager(world: World) -> None:
    transport = InProcessTransport()
    async with ChatService(store=world.backend.new_store(), transport=transport) as service:
        assert "running" in repr(service)
        # The service does not open its own port.
        assert service.port is None
        client = await transport.connect()
        await client.wait_for("loginRejected")
    assert "closed" in repr(service)
    with pytest.raises(ConnectionRefused):
        await transport.connect()


async def test_a_context_manager_closes_after_an_error(world: World) -> None:
    transport = InProcessTransport()
    with pytest.raises(ZeroDivisionError):
        async with ChatService(store=world.backend.new_store(), transport=transport):
            raise ZeroDivisionError
    with pytest.raises(ConnectionRefused):
        await transport.connect()


CALLS: dict[str, Callable[[ChatService], Awaitable[Any]]] = {
    "exec_user_command": lambda service: service.exec_user_command(True, "roomGetOwner", "room"),
    "add_user": lambda service: service.add_user("alice"),
    "delete_user": lambda service: service.delete_user("alice"),
    "has_user": lambda service: service.has_user("alice"),
    "user_has_in_list": lambda service: service.user_has_in_list("alice", "whitelist", "bob"),
    "has_direct_access": lambda service: service.has_direct_access("alice", "bob"),
    "disconnect_user_sockets": lambda service: service.disconnect_user_sockets("alice"),
    "add_room": lambda service: service.add_room("room"),
    "delete_room": lambda service: service.delete_room("room"),
    "has_room": lambda service: service.has_room("room"),
    "room_has_in_list": lambda service: service.room_has_in_list("room", "whitelist", "bob"),
    "has_room_access": lambda service: service.has_room_access("room", "bob"),
    "change_room_owner": lambda service: service.change_room_owner("room", "bob"),
    "change_room_history_max_size": lambda service: service.change_room_history_max_size("room", 1),
    "change_access_lists_updates": lambda service: service.change_access_lists_updates("room", True),
    "change_userlist_updates": lambda service: service.change_userlist_updates("room", True),
    "instance_recovery": lambda service: service.instance_recovery("dead"),
    "user_state_sync": lambda service: service.user_state_sync("alice"),
    "room_state_sync": lambda service: service.room_state_sync("room"),
    "get_instance_heartbeat": lambda service: service.get_instance_heartbeat(),
    "get_instance_sockets": lambda service: service.get_instance_sockets(),
    "emit_to_channel": lambda service: service.transport.emit_to_channel("room", "news"),
    "send_to_channel": lambda service: service.transport.send_to_channel("id", "room", "news"),
    "add_member": lambda service: service.add_member("alice", "room"),
    "remove_member": lambda service: service.remove_member("alice", "room"),
    "broadcast": lambda service: service.broadcast("room", {"textMessage": "hi"}),
    "broadcast_all": lambda service: service.broadcast_all("news"),
    "send_to_user": lambda service: service.send_to_user("alice", "news"),
    "send_to_socket": lambda service: service.send_to_socket("alice", "id", "news"),
    "disconnect_socket": lambda service: service.transport.disconnect_socket("id"),
    "cluster_bus.emit": lambda service: service.cluster_bus.emit("news"),
}


@pytest.mark.parametrize("name", CALLS)
@ONE_STORE
async def test_nothing_works_before_the_start_and_after_the_close(world: World, name: str) -> None:
    async def call() -> Any:
        return await CALLS[name](instance.service)

    instance = world.make()
    with pytest.raises(ServiceClosedError, match="the service is not running: start it first"):
        await call()
    await instance.service.start()
    await instance.service.close()
    with pytest.raises(ServiceClosedError):
        await call()


# Work in flight


@pytest.mark.covers("api:close")
async def test_close_waits_for_running_commands(world: World) -> None:
    gate, entered, done = asyncio.Event(), asyncio.Event(), []

    async def wait(call: CommandCall) -> None:
        entered.set()
        await gate.wait()

    instance = await world.start(hooks={"room_message_before": wait})
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")

    async def post() -> None:
        done.append(await alice.emit("roomMessage", "room", {"textMessage": "last words"}))

    posting = asyncio.create_task(post())
    await entered.wait()
    closing = asyncio.create_task(instance.service.close())
    await wait_until(lambda: not alice.connected, "the disconnect")
    with pytest.raises(ConnectionRefused):
        await instance.transport.connect()
    assert not closing.done()
    gate.set()
    await closing
    await posting
    assert len(done) == 1


@pytest.mark.covers("option:close_timeout", "api:close")
@pytest.mark.parametrize("hook", ["room_message_before", "room_message_after", "room_messages_checker"])
async def test_close_cancels_slow_commands(world: World, hook: str) -> None:
    entered, errors = asyncio.Event(), []

    async def hang(value: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    instance = await world.start(
        hooks={hook: hang, "on_close": lambda service, error: errors.append(error)}, close_timeout=0.05
    )
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    posting = asyncio.create_task(alice.emit("roomMessage", "room", {"textMessage": "hi"}))
    await entered.wait()
    with pytest.raises(
        CloseTimeoutError, match=r"still running after 0\.05 s, and cancelled: .*roomMessage \(1\)"
    ):
        await instance.service.close()
    assert posting.cancelled()
    [error] = errors
    assert isinstance(error, CloseTimeoutError)
    # Once it was told; the service is closed all the same.
    await instance.service.close()
    with pytest.raises(ServiceClosedError):
        await instance.service.has_room("room")


@pytest.mark.covers("option:close_timeout", "hook:on_join", "hook:on_leave", "hook:on_disconnect")
@pytest.mark.parametrize("hook", ["on_join", "on_leave", "on_disconnect"])
async def test_hooks_that_hang_until_the_close_are_cancelled(world: World, hook: str) -> None:
    entered = asyncio.Event()

    async def hang(*args: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    instance = await world.start(hooks={hook: hang}, close_timeout=0.05)
    await instance.service.add_room("room")
    alice = await instance.login("alice")
    joining = asyncio.create_task(alice.emit("roomJoin", "room"))
    if hook != "on_join":
        await joining
        going = asyncio.create_task(alice.disconnect())
    await entered.wait()
    with pytest.raises(CloseTimeoutError, match="still running"):
        await instance.service.close()
    assert (joining if hook == "on_join" else going).cancelled()


@pytest.mark.covers("option:close_timeout")
async def test_a_close_with_a_timeout_of_zero(world: World) -> None:
    instance = await world.start(close_timeout=0)
    await instance.login("alice")
    # The disconnect of a client may be done in time or not.
    try:
        async with asyncio.timeout(PATIENCE):
            await instance.service.close()
    except CloseTimeoutError:
        pass
    with pytest.raises(ServiceClosedError):
        await instance.service.has_room("room")


@pytest.mark.covers("option:close_timeout", "hook:on_close")
async def test_on_close_that_hangs(world: World) -> None:
    async def hang(service: ChatService, error: Exception | None) -> None:
        await asyncio.Event().wait()

    instance = await world.start(hooks={"on_close": hang}, close_timeout=0.05)
    with pytest.raises(CloseTimeoutError, match=r"the on_close hook took more than 0\.05 s"):
        await instance.service.close()


@pytest.mark.covers("hook:on_close")
async def test_a_timeout_of_on_close_itself_is_passed_on(world: World) -> None:
    def on_close(service: ChatService, error: Exception | None) -> None:
        raise TimeoutError("of the hook")

    instance = await world.start(hooks={"on_close": on_close})
    with pytest.raises(TimeoutError, match="of the hook"):
        await instance.service.close()


@pytest.mark.covers("api:close")
async def test_a_store_that_fails_at_the_close(world: World) -> None:
    store = FaultyStore(world.backend.new_store())
    closed: list[Any] = []
    instance = await world.start(store=as_store(store))
    instance.service.on("closed", closed.append)
    error = StoreError("lost")
    store.faults.fail("instance_forget", error)
    with pytest.raises(StoreError, match="lost"):
        await instance.service.close()
    assert closed == [error]
    assert store.faults.calls[-1] == "close"
    # The others forget what it could not say, when its lease has lapsed.
    other = await world.start()
    await other.service.instance_recovery(instance.service.instance_uid)


# Events


@pytest.mark.covers("event:ready", "event:closed", "api:on")
@pytest.mark.parametrize("kind", ["plain", "coroutine", "decorator"])
async def test_ready_and_closed(world: World, kind: str) -> None:
    events: list[Any] = []
    instance = world.make()
    service = instance.service

    async def ready() -> None:
        events.append("ready")

    async def closed(error: Exception | None) -> None:
        events.append(("closed", error))

    if kind == "coroutine":
        assert service.on("ready", ready) is ready
        service.on("closed", closed)
    elif kind == "decorator":
        assert service.on("ready")(ready) is ready
        service.on("closed")(closed)
    else:
        service.on("ready", lambda: events.append("ready"))
        service.on("closed", lambda error: events.append(("closed", error)))
    await service.start()
    await wait_until(lambda: events == ["ready"], "ready")
    await service.close()
    assert events == ["ready", ("closed", None)]


@pytest.mark.covers("event:closed")
async def test_closed_reports_the_error(world: World) -> None:
    events: list[Any] = []

    def on_close(service: ChatService, error: Exception | None) -> None:
        raise LookupError("lost")

    instance = await world.start(hooks={"on_close": on_close})
    instance.service.on("closed", events.append)
    with pytest.raises(LookupError):
        await instance.service.close()
    [error] = events
    assert isinstance(error, LookupError)


@pytest.mark.covers("event:ready")
async def test_a_raising_listener_does_not_stop_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []
    instance = world.make()

    def broken() -> None:
        raise RuntimeError("broken listener")

    instance.service.on("ready", broken)
    instance.service.on("ready", lambda: events.append("second"))
    await instance.service.start()
    await wait_until(lambda: events == ["second"], "the second listener")
    assert "broken listener" in caplog.text


@pytest.mark.covers("api:port", "option:port", "option:host", "option:transport")
async def test_the_port_is_known_while_it_is_open() -> None:
    service = ChatService(host="127.0.0.1", port=0)
    assert service.port is None
    async with service:
        port = service.port
        assert port
        second = ChatService(host="127.0.0.1", port=port)
        with pytest.raises(OSError, match=str(port)):
            await second.start()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    assert service.port is None


@pytest.mark.covers("event:closed")
@pytest.mark.parametrize("fails", ["on_start", "listen", "store", "close during the start"])
async def test_closed_reports_a_failed_start(
    world: World, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    closed: list[Any] = []
    entered = asyncio.Event()

    async def on_start(service: ChatService) -> None:
        entered.set()
        if fails == "on_start":
            raise RuntimeError(fails)
        if fails != "listen":
            await asyncio.sleep(3600)

    async def fail(*_: Any) -> None:
        raise RuntimeError(fails)

    instance = world.make(hooks={"on_start": on_start})
    service = instance.service
    service.on("closed", closed.append)
    if fails == "store":
        monkeypatch.setattr(parts_of(service).store, "open", fail)
    if fails == "listen":
        monkeypatch.setattr(instance.transport, "listen", fail)
    if fails == "close during the start":
        starting = asyncio.create_task(service.start())
        await entered.wait()
        await service.close()
        with pytest.raises(ServiceClosedError):
            await starting
        # It was supposed to end, so this is not an error.
        assert closed == [None]
        return
    with pytest.raises(RuntimeError, match=fails) as caught:
        await service.start()
    assert closed == [caught.value]
    await service.close()
    assert len(closed) == 1
