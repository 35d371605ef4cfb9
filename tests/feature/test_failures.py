"""A failing store or bus: the errors for clients, the events for listeners, and the leftovers."""

import asyncio
import contextlib
from typing import Any

import pytest

from chat_service import ChatService, FailureInfo, StoreError, StoreTimeoutError
from chat_service.contracts.bus import Topic, TopicKind
from chat_service.testing import FakeClock, wait_until
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from tests.support.faults import FaultyStore, as_store
from tests.support.parts import parts_of
from tests.support.wire_errors import wire_error
from tests.support.world import Instance, World

LOST = StoreError("the store is away")
SLOW = StoreTimeoutError("the store is slow")
INTERNAL = "ChatServiceError: Internal server error, incident "


class Failing:
    """An instance with a failing store, and the events that its listeners received."""

    def __init__(self, instance: Instance, store: FaultyStore) -> None:
        self.instance = instance
        self.service = instance.service
        self.store = store
        self.faults = store.faults
        self.told: list[tuple[str, Any, Any]] = []
        for event in ("store_consistency_failure", "transport_consistency_failure", "lock_time_exceeded"):
            self.service.on(event, lambda *args, event=event: self.told.append((event, *args)))

    async def service_at(self, world: World) -> ChatService:
        """Another instance with the same clock and no failures."""
        return (await world.start(clock=parts_of(self.service).clock)).service

    async def is_told(self, event: str, cause: Any, **info: Any) -> None:
        await wait_until(lambda: bool(self.told), f"the event {event}")
        assert self.told.pop(0) == (event, cause, FailureInfo(**info))

    async def next_heartbeat(self) -> None:
        """Return when the leftovers of the failures are cleaned up."""
        assert parts_of(self.service).failures.has_leftovers
        clock = parts_of(self.service).clock
        assert isinstance(clock, FakeClock)
        await clock.advance(self.service.options.heartbeat_rate)
        failures = parts_of(self.service).failures
        await wait_until(lambda: not failures.has_leftovers and not failures.is_cleaning, "the cleaning")


@pytest.fixture
async def failing(world: World) -> Failing:
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store), clock=FakeClock())
    await instance.service.add_room("room", owner="alice")
    return Failing(instance, store)


async def members(service: ChatService) -> list[str]:
    [names] = await service.exec_user_command(True, "roomGetAccessList", "room", "userlist")
    return sorted(names)


# Tasks in the background


@pytest.mark.parametrize("error", [asyncio.CancelledError(), RuntimeError("broken")], ids=repr)
async def test_errors_do_not_stop_the_heartbeats(failing: Failing, error: BaseException) -> None:
    clock = parts_of(failing.service).clock
    assert isinstance(clock, FakeClock)
    failing.faults.calls.clear()

    async def beats(count: int) -> None:
        async def has_beaten() -> bool:
            await clock.advance(failing.service.options.heartbeat_rate)
            return failing.faults.calls.count("instance_renew") >= count

        await wait_until(has_beaten, f"{count} heartbeats")

    failing.faults.fail("instance_renew", error)
    await beats(2)
    failing.faults.mend("instance_renew")
    renewals = failing.faults.calls.count("instance_renew")
    await beats(renewals + 1)

    async def is_ready() -> bool:
        return (await failing.service.operations.readiness()).is_ready

    await wait_until(is_ready, "the lease is valid")


async def test_heartbeats_whose_clock_fails_begin_again_and_are_counted(world: World) -> None:
    class Broken(FakeClock):
        is_broken = False

        async def sleep(self, seconds: float) -> None:
            if self.is_broken:
                raise RuntimeError("broken")
            await super().sleep(seconds)

    clock = Broken()
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store), clock=clock)

    def failures() -> float | None:
        name = "chat_service_background_failures_total"
        return instance.service.operations.registry.get_sample_value(name, {"task": "heartbeats"})

    assert failures() == 0
    clock.is_broken = True
    await clock.advance(instance.service.options.heartbeat_rate)
    await wait_until(lambda: (failures() or 0) > 1, "two failures")
    clock.is_broken = False
    store.faults.calls.clear()

    async def beats() -> bool:
        await clock.advance(instance.service.options.heartbeat_rate)
        return "instance_renew" in store.faults.calls

    await wait_until(beats, "a heartbeat")


# Errors that commands tell


@pytest.mark.covers("error:timeout", "error:internalError")
@pytest.mark.parametrize(
    ("method", "command", "args"),
    [
        ("room_message", "roomMessage", ("room", {"textMessage": "hi"})),
        ("room_recent_history", "roomRecentHistory", ("room",)),
        ("room_history", "roomHistoryGet", ("room", 0, 1)),
        ("room_history_info", "roomHistoryInfo", ("room",)),
        ("room_settings", "roomGetOwner", ("room",)),
        ("room_change_list", "roomAddToList", ("room", "whitelist", ["bob"])),
        ("room_leave", "roomLeave", ("room",)),
        ("room_create", "roomCreate", ("new", False)),
        ("room_delete", "roomDelete", ("room",)),
        ("user_add_to_list", "directAddToList", ("whitelist", ["bob"])),
        ("user_sockets", "listOwnSockets", ()),
        ("publish", "systemMessage", ("hi",)),
        ("room_notify", "roomEvent", ("room", "typing", True)),
        ("room_mark_read", "roomMarkRead", ("room", 1)),
        ("rooms_unread", "roomGetUnread", (["room"],)),
    ],
)
async def test_commands_report_that_the_store_failed(
    failing: Failing, method: str, command: str, args: tuple[Any, ...]
) -> None:
    alice = await failing.instance.joined("alice", "room")
    failing.faults.fail(method, SLOW)
    assert await alice.error(command, *args) == wire_error("timeout")
    failing.faults.fail(method, LOST)
    assert (await alice.error(command, *args)).startswith(INTERNAL)
    failing.faults.mend(method)
    assert (await alice.emit(command, *args))[0] is None
    # Whether a leave was done is unknown.
    failed = {"room_leave": [SLOW, LOST]}.get(method, [])
    await wait_until(lambda: len(failing.told) == len(failed), f"{failed} in {failing.told}")
    assert [(name, error, info.op_type) for name, error, info in failing.told] == [
        ("store_consistency_failure", error, "room_leave") for error in failed
    ]


@pytest.mark.covers("notification:loginRejected", "error:timeout")
@pytest.mark.parametrize("method", ["socket_connect", "subscribe"])
async def test_a_login_that_cannot_be_stored_is_rejected(failing: Failing, method: str) -> None:
    failing.faults.fail(method, SLOW)
    client = await failing.instance.transport.connect(query={"userName": "alice"})
    assert await client.wait_for("loginRejected") == [wire_error("timeout")]
    await wait_until(lambda: not client.connected, "the disconnect")
    failing.faults.mend(method)
    assert await failing.service.get_instance_sockets() == {}
    alice = await failing.instance.login("alice")
    assert await alice.call("listOwnSockets") == {alice.id: []}


@pytest.mark.covers("error:timeout")
async def test_a_login_that_was_stored_despite_an_error_is_undone(failing: Failing) -> None:
    failing.faults.fail("socket_connect", SLOW, done=True)
    client = await failing.instance.transport.connect(query={"userName": "alice"})
    await client.wait_for("loginRejected")
    await wait_until(lambda: not client.connected, "the disconnect")
    assert await failing.service.get_instance_sockets() == {}


@pytest.mark.covers("error:timeout", "command:roomJoin")
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done all the same"])
async def test_a_join_that_failed_leaves_nothing(failing: Failing, done: bool) -> None:
    alice = await failing.instance.login("alice")
    failing.faults.fail("room_join", SLOW, done=done)
    assert await alice.error("roomJoin", "room") == wire_error("timeout")
    failing.faults.mend("room_join")
    assert await members(failing.service) == []
    assert await alice.call("listOwnSockets") == {alice.id: []}
    assert await alice.call("roomJoin", "room") == 1
    assert failing.told == []


@pytest.mark.covers("event:store_consistency_failure")
async def test_a_join_that_cannot_be_undone_is_reported_and_ends_with_the_socket(failing: Failing) -> None:
    alice = await failing.instance.login("alice")
    failing.faults.fail("room_join", SLOW, done=True)
    failing.faults.fail("room_leave", LOST)
    assert await alice.error("roomJoin", "room") == wire_error("timeout")
    await failing.is_told(
        "store_consistency_failure",
        LOST,
        op_type="room_join",
        user_name="alice",
        room_name="room",
        id=alice.id,
    )
    assert await members(failing.service) == ["alice"]
    failing.faults.mend("room_leave")
    await alice.disconnect()
    assert await members(failing.service) == []


@pytest.mark.covers("event:store_consistency_failure", "hook:on_join")
async def test_a_refused_join_that_cannot_be_undone_ends_with_the_socket(failing: Failing) -> None:
    @failing.service.on("on_join")
    def refuse(service: ChatService, info: Any) -> None:
        raise RuntimeError("no")

    alice = await failing.instance.login("alice")
    failing.faults.fail("room_leave", LOST)
    assert (await alice.error("roomJoin", "room")).startswith(INTERNAL)
    await failing.is_told(
        "store_consistency_failure",
        LOST,
        op_type="room_leave",
        user_name="alice",
        room_name="room",
        id=alice.id,
    )
    failing.faults.mend("room_leave")
    await alice.disconnect()
    assert await members(failing.service) == []


@pytest.mark.covers("event:store_consistency_failure")
async def test_a_disconnect_that_cannot_leave_its_rooms(failing: Failing) -> None:
    gone: list[Any] = []
    failing.service.on("on_disconnect")(lambda service, info: gone.append((info.id, info.rooms_removed)))
    alice = await failing.instance.joined("alice", "room")
    failing.faults.fail("room_leave", LOST)
    await alice.disconnect()
    await failing.is_told(
        "store_consistency_failure",
        LOST,
        op_type="room_leave",
        user_name="alice",
        room_name="room",
        id=alice.id,
    )
    assert gone == [(alice.id, [])]
    assert await members(failing.service) == ["alice"]
    failing.faults.mend("room_leave")
    await failing.next_heartbeat()
    assert await members(failing.service) == []
    assert await failing.service.get_instance_sockets() == {}


#: What a store plugin may raise, besides the errors of its contract.
CAUSES = [LOST, SLOW, OSError("no route"), KeyError("room"), RuntimeError("the pool is closed")]
each_cause = pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: type(cause).__name__)


@pytest.mark.covers("event:store_consistency_failure", "api:room_state_sync", "command:roomLeave")
@each_cause
@pytest.mark.parametrize("done", [False, True], ids=["undone", "done"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
async def test_a_failed_leave_is_reported_and_repaired(
    world: World, failing: Failing, cause: Exception, done: bool, elsewhere: bool
) -> None:
    left: list[Any] = []
    failing.service.on("on_leave")(lambda service, info: left.append(info.id))
    alice = await failing.instance.joined("alice", "room")
    failing.faults.fail("room_leave", cause, done=done)
    assert await alice.error("roomLeave", "room")
    await failing.is_told(
        "store_consistency_failure",
        cause,
        op_type="room_leave",
        user_name="alice",
        room_name="room",
        id=alice.id,
    )
    failing.faults.mend("room_leave")
    assert left == [alice.id]
    service = await failing.service_at(world) if elsewhere else failing.service
    await service.room_state_sync("room")
    assert await members(service) == []
    assert await alice.call("listOwnSockets") == {alice.id: []}
    assert await alice.call("roomJoin", "room") == 1
    assert left == [alice.id]


@pytest.mark.covers("event:store_consistency_failure", "api:room_state_sync", "command:roomJoin")
@each_cause
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
async def test_a_join_that_cannot_be_undone_is_reported_and_repaired(
    world: World, failing: Failing, cause: Exception, elsewhere: bool
) -> None:
    alice = await failing.instance.login("alice")
    failing.faults.fail("room_join", cause, done=True)
    failing.faults.fail("room_leave", cause)
    assert await alice.error("roomJoin", "room")
    await failing.is_told(
        "store_consistency_failure",
        cause,
        op_type="room_join",
        user_name="alice",
        room_name="room",
        id=alice.id,
    )
    failing.faults.mend("room_join")
    failing.faults.mend("room_leave")
    service = await failing.service_at(world) if elsewhere else failing.service
    assert await members(service) == ["alice"]
    await service.room_state_sync("room")
    assert await members(service) == []
    assert await alice.call("listOwnSockets") == {alice.id: []}
    # Joined users stay.
    assert await alice.call("roomJoin", "room") == 1
    await service.room_state_sync("room")
    assert await members(service) == ["alice"]


@pytest.mark.covers("event:store_consistency_failure", "api:user_state_sync")
@each_cause
@pytest.mark.parametrize("method", ["room_leave", "socket_disconnect"])
async def test_a_failed_disconnect_is_reported_and_repaired(
    failing: Failing, cause: Exception, method: str
) -> None:
    alice = await failing.instance.joined("alice", "room")
    failing.faults.fail(method, cause)
    await alice.disconnect()
    info = {"room_name": "room"} if method == "room_leave" else {}
    await failing.is_told(
        "store_consistency_failure", cause, op_type=method, user_name="alice", id=alice.id, **info
    )
    failing.faults.mend(method)
    await failing.service.user_state_sync("alice")
    assert await members(failing.service) == []
    assert await failing.service.get_instance_sockets() == {}


@pytest.mark.covers("notification:loginRejected", "event:store_consistency_failure")
@each_cause
async def test_a_login_that_cannot_be_undone_is_reported(failing: Failing, cause: Exception) -> None:
    failing.faults.fail("socket_connect", cause, done=True)
    failing.faults.fail("socket_disconnect", cause)
    client = await failing.instance.transport.connect(query={"userName": "alice"})
    await client.wait_for("loginRejected")
    await failing.is_told(
        "store_consistency_failure", cause, op_type="socket_disconnect", user_name="alice", id=client.id
    )
    await wait_until(lambda: not client.connected, "the disconnect")
    failing.faults.mend("socket_connect")
    failing.faults.mend("socket_disconnect")
    await failing.service.user_state_sync("alice")
    assert await failing.service.get_instance_sockets() == {}


async def test_a_leave_without_an_answer_is_completed_later(failing: Failing) -> None:
    alice = await failing.instance.joined("alice", "room")
    bob = await failing.instance.joined("bob", "room")
    failing.faults.fail("room_leave", SLOW)
    assert await alice.error("roomLeave", "room") == wire_error("timeout")
    assert await members(failing.service) == ["alice", "bob"]
    await bob.call("roomMessage", "room", {"textMessage": "not for alice"})
    await bob.wait_for("roomMessage")
    assert alice.received("roomMessage") == []
    failing.faults.mend("room_leave")
    await failing.next_heartbeat()
    assert await members(failing.service) == ["bob"]
    assert await alice.call("listOwnSockets") == {alice.id: []}


async def test_a_socket_that_the_store_has_lost_is_added_again(failing: Failing) -> None:
    """As after a fail-over; the instance looks after an interruption of its subscriptions."""
    alice = await failing.instance.joined("alice", "room")
    inner = failing.store.inner
    await inner.socket_disconnect(
        UserName("alice"), SocketId(alice.id), InstanceId(failing.service.instance_uid), []
    )
    assert await alice.call("listOwnSockets") == {}
    assert failing.store.listener is not None
    failing.store.listener.on_interruption(Topic(TopicKind.USER, "alice"))
    await failing.next_heartbeat()
    assert list(await alice.call("listOwnSockets")) == [alice.id]
    assert await failing.service.get_instance_sockets() == {alice.id: "alice"}


async def test_missing_members_are_removed_after_an_interruption(failing: Failing) -> None:
    bob = await failing.instance.joined("bob", "room")
    instance_id = InstanceId(failing.service.instance_uid)
    await failing.store.inner.room_join(
        RoomName("room"), UserName("ghost"), SocketId("gone"), instance_id, 1, announce=True
    )
    assert await members(failing.service) == ["bob", "ghost"]
    assert failing.store.listener is not None
    failing.store.listener.on_interruption(Topic(TopicKind.ROOM, "room"))

    async def has_left() -> bool:
        return await members(failing.service) == ["bob"]

    await wait_until(has_left, "the ghost is gone")
    assert await bob.call("roomMessage", "room", {"textMessage": "hi"}) == 1


async def test_a_join_without_an_answer_is_undone_later(failing: Failing) -> None:
    alice = await failing.instance.login("alice")
    failing.faults.fail("room_join", SLOW, done=True)
    failing.faults.fail("room_leave", SLOW)
    assert await alice.error("roomJoin", "room") == wire_error("timeout")
    assert await members(failing.service) == ["alice"]
    failing.faults.mend("room_join")
    failing.faults.mend("room_leave")
    await failing.next_heartbeat()
    assert await members(failing.service) == []
    assert await alice.call("roomJoin", "room") == 1


@pytest.mark.covers("event:store_consistency_failure", "api:user_state_sync")
async def test_a_disconnect_that_cannot_be_stored(failing: Failing) -> None:
    alice = await failing.instance.joined("alice", "room")
    failing.faults.fail("socket_disconnect", LOST)
    await alice.disconnect()
    await failing.is_told(
        "store_consistency_failure", LOST, op_type="socket_disconnect", user_name="alice", id=alice.id
    )
    assert await members(failing.service) == []
    assert await failing.service.get_instance_sockets() == {alice.id: "alice"}
    failing.faults.mend("socket_disconnect")
    await failing.service.user_state_sync("alice")
    assert await failing.service.get_instance_sockets() == {}


@pytest.mark.covers("event:transport_consistency_failure")
async def test_a_leave_that_cannot_unsubscribe(failing: Failing) -> None:
    alice = await failing.instance.joined("alice", "room")
    failing.faults.fail("unsubscribe", LOST)
    assert await alice.call("roomLeave", "room") == 0
    await failing.is_told(
        "transport_consistency_failure",
        LOST,
        op_type="transport_channel",
        user_name="alice",
        room_name="room",
        id=alice.id,
    )
    failing.faults.mend("unsubscribe")
    assert await alice.call("roomJoin", "room") == 1
    await alice.call("roomMessage", "room", {"textMessage": "hi"})
    await alice.wait_for("roomMessage")


@pytest.mark.covers("event:transport_consistency_failure", "hook:on_disconnect")
async def test_a_disconnect_that_cannot_unsubscribe(failing: Failing) -> None:
    gone: list[Any] = []
    failing.service.on("on_disconnect")(lambda service, info: gone.append(info.id))
    alice = await failing.instance.login("alice")
    failing.faults.fail("unsubscribe", LOST)
    await alice.disconnect()
    await failing.is_told(
        "transport_consistency_failure", LOST, op_type="transport_channel", user_name="alice", id=alice.id
    )
    assert gone == [alice.id]
    assert await failing.service.get_instance_sockets() == {}
    failing.faults.mend("unsubscribe")


@pytest.mark.covers("event:store_consistency_failure")
async def test_a_heartbeat_that_fails(world: World) -> None:
    store, clock = FaultyStore(world.backend.new_store()), FakeClock()
    failing = Failing(await world.start(store=as_store(store), clock=clock), store)
    store.faults.fail("instance_renew", LOST)
    await clock.advance(10)
    await failing.is_told("store_consistency_failure", LOST, op_type="heartbeat")
    store.faults.mend("instance_renew")
    await clock.advance(10)
    now = clock.now_ms()

    async def is_alive() -> bool:
        return await failing.service.get_instance_heartbeat() == now

    await wait_until(is_alive, "the next heartbeat")


# Locks


@pytest.mark.covers("event:lock_time_exceeded", "store_option:lock_ttl")
@pytest.mark.parametrize("what", ["room_join", "room_leave"])
async def test_a_lock_that_is_held_too_long(world: World, what: str) -> None:
    gate = asyncio.Event()

    async def wait(service: ChatService, info: Any) -> None:
        await gate.wait()

    store = FaultyStore(world.backend.new_store())
    hook = "on_join" if what == "room_join" else "on_leave"
    instance = await world.start(store=as_store(store), store_options={"lock_ttl": 0.01}, hooks={hook: wait})
    failing = Failing(instance, store)
    await instance.service.add_room("room")
    alice = await instance.login("alice")
    if what == "room_leave":
        await alice.call("roomJoin", "room")
        # On a slow machine the join has taken longer, too.
        await instance.service.operations.readiness()
        failing.told.clear()
    command = "roomJoin" if what == "room_join" else "roomLeave"
    running = asyncio.create_task(alice.call(command, "room"))
    await failing.is_told(
        "lock_time_exceeded",
        f"{alice.id}:room",
        op_type=what,
        user_name="alice",
        room_name="room",
        id=alice.id,
    )
    # It was only told: the hook is not cut off, and it is told once.
    assert not running.done()
    gate.set()
    await running
    assert failing.told == []


async def test_a_cancelled_server_call_leaves_nothing(failing: Failing) -> None:
    """The caller of a command may stop waiting for it."""
    alice = await failing.instance.login("alice")
    gate = failing.faults.gate("room_join")
    context = {"user_name": "alice", "id": alice.id}
    joining = asyncio.create_task(failing.service.exec_user_command(context, "roomJoin", "room"))
    await wait_until(lambda: failing.faults.waiting == 1, "the join")
    joining.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await joining
    gate.set()
    assert await members(failing.service) == []
    assert await alice.call("roomJoin", "room") == 1
