"""Members that the server adds to rooms and removes from them."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatServiceError, CommandCall, MembershipInfo
from chat_service.contracts.bus import Request
from chat_service.testing import wait_until
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from tests.support.backends import ONE_STORE
from tests.support.faults import FaultyStore, as_store
from tests.support.markers import room_marker, told, user_marker
from tests.support.parts import parts_of
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised
from tests.support.world import World

HI = {"textMessage": "hi"}
ROOM = RoomName("room")


@pytest.mark.covers("api:add_member", "notification:roomJoinedEcho", "notification:roomUserJoined")
async def test_all_sockets_of_a_user_are_added(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    service = nodes.service
    await service.add_room("room")
    watcher = await nodes[1].joined("watcher", "room")
    alices = [await nodes[place].login("alice") for place in range(3)]
    await service.add_member("alice", "room")
    # Again, without any effect.
    await service.add_member("alice", "room")
    await user_marker(service, "alice", *alices)
    await service.broadcast("room", HI)
    for alice in alices:
        await alice.wait_for("roomMessage", "room")
        assert sorted(args[1] for args in alice.received("roomJoinedEcho")) == sorted(
            other.id for other in alices
        )
    await room_marker(service, "room", watcher)
    assert watcher.received("roomUserJoined") == [["room", "alice"]]
    # One that comes later has to join by itself.
    late = await nodes[2].login("alice")
    await service.broadcast("room", HI)
    await alices[0].wait_for("roomMessage", "room")
    await user_marker(service, "alice", late)
    assert told(late) == []


@pytest.mark.covers("api:add_member", "error:invalidSocket", "error:noUserOnline", "error:noUser")
async def test_one_socket_is_added(spread: StartSpread) -> None:
    nodes = await spread()
    service = nodes.service
    await service.add_room("room")
    first, second = await nodes[1].login("alice"), await nodes[2].login("alice")
    bob = await nodes[2].login("bob")
    await service.add_member("alice", "room", second.id)
    await service.broadcast("room", HI)
    await second.wait_for("roomMessage", "room")
    await user_marker(service, "alice", first)
    assert first.received("roomMessage") == []
    assert await raised(service.add_member("alice", "room", bob.id)) == ("invalidSocket", bob.id)
    await service.add_user("carol")
    assert await raised(service.add_member("carol", "room")) == ("noUserOnline", "carol")
    for socket_id in (None, bob.id):
        assert await raised(service.add_member("ghost", "room", socket_id)) == ("noUser", "ghost")


@pytest.mark.covers("api:add_member", "error:notAllowed", "error:noRoom", "error:limitExceeded")
async def test_the_rules_of_a_join_hold(world: World) -> None:
    hooks = {"room_join_before": lambda call: calls.append(call.is_local_call)}
    calls: list[bool] = []
    instance = await world.start(hooks=hooks, rooms_per_socket_limit=1)
    service = instance.service
    await service.add_room("room", blacklist=["alice"])
    await service.add_room("one")
    await service.add_room("two")
    await instance.login("alice")
    assert await raised(service.add_member("alice", "room")) == ("notAllowed",)
    assert await raised(service.add_member("alice", "nowhere")) == ("noRoom", "nowhere")
    await service.add_member("alice", "one")
    assert await raised(service.add_member("alice", "two")) == ("limitExceeded", "rooms of a socket")
    assert calls == [True] * 4
    assert not await service.room_has_in_list("room", "userlist", "alice")


@pytest.mark.covers(
    "api:remove_member", "notification:roomLeftEcho", "notification:roomUserLeft", "hook:on_leave"
)
async def test_all_sockets_of_a_user_are_removed(spread: StartSpread) -> None:
    left: list[str] = []
    hooks = {
        "on_leave": lambda service, info: left.append(info.id),
        "room_leave_before": lambda call: pytest.fail("it was called"),
    }
    nodes = await spread(hooks=hooks, enable_userlist_updates=True)
    service = nodes.service
    await service.add_room("room")
    watcher = await nodes[1].joined("watcher", "room")
    alices = [await nodes[place].joined("alice", "room") for place in range(3)]
    idle = await nodes[2].login("alice")
    await user_marker(service, "alice", *alices)
    for client in (*alices, watcher):
        client.clear()
    await service.remove_member("alice", "room")
    # From here on nothing comes.
    assert sorted(left) == sorted(alice.id for alice in alices)
    assert all(ROOM not in session.rooms for node in nodes.instances for session in _alices(node))
    await service.broadcast("room", HI)
    await watcher.wait_for("roomMessage", "room")
    await user_marker(service, "alice", *alices, idle)
    for alice in (*alices, idle):
        names = [name for name, _ in told(alice)]
        # A socket may still be leaving when the last one of the user has left.
        assert names.count("roomLeftEcho") == 3 and set(names) <= {"roomLeftEcho", "roomUserLeft"}
    assert watcher.received("roomUserLeft") == [["room", "alice"]]
    assert not await service.room_has_in_list("room", "userlist", "alice")
    # Again, without any effect; and they may come back.
    await service.remove_member("alice", "room")
    assert len(left) == 3
    assert await alices[1].call("roomJoin", "room") == 1


def _alices(node: Any) -> Any:
    return parts_of(node.service).sessions.of_user(UserName("alice"))


@pytest.mark.covers("api:remove_member", "error:noUser", "error:noRoom", "error:invalidName")
async def test_removals_of_nobody(world: World) -> None:
    instance = await world.start()
    service = instance.service
    await service.add_room("room")
    await service.add_user("alice")
    assert await raised(service.remove_member("ghost", "room")) == ("noUser", "ghost")
    assert await raised(service.remove_member("alice", "nowhere")) == ("noRoom", "nowhere")
    assert await raised(service.remove_member("a:b", "room")) == ("invalidName", "a:b")
    await service.remove_member("alice", "room")


@pytest.mark.covers("api:remove_member")
async def test_a_join_that_is_under_way_is_removed_too(world: World) -> None:
    store = FaultyStore(world.backend.new_store())
    first, second = await world.start(), await world.start(store=as_store(store))
    await first.service.add_room("room")
    alice = await second.login("alice")
    gate = store.faults.gate("room_announce")
    second.service.on("on_join")(lambda service, info: None)
    joining = asyncio.create_task(alice.emit("roomJoin", "room"))
    await wait_until(lambda: store.faults.waiting == 1, "the join")
    removing = asyncio.create_task(first.service.remove_member("alice", "room"))
    gate.set()
    await removing
    assert await joining == [None, 1]
    await first.service.broadcast("room", HI)
    await user_marker(first.service, "alice", alice)
    assert alice.received("roomMessage") == []
    assert not await first.service.room_has_in_list("room", "userlist", "alice")


@pytest.mark.covers("api:add_member", "api:remove_member", "error:timeout", "option:bus_ack_timeout")
async def test_an_instance_that_does_not_answer(world: World) -> None:
    store = FaultyStore(world.backend.new_store())
    first = await world.start(bus_ack_timeout=0.2)
    second = await world.start(store=as_store(store))
    service = first.service
    await service.add_room("room")
    here, there = await first.login("alice"), await second.login("alice")
    store.loses = lambda topic, envelope: isinstance(envelope, Request)
    # It may be able to answer later, so the outcome is unknown. The others are done.
    assert await raised(service.add_member("alice", "room")) == ("timeout",)
    assert list(parts_of(service).sessions.of_user(UserName("alice"))[0].rooms) == ["room"]
    await there.call("roomJoin", "room")
    assert await raised(service.remove_member("alice", "room")) == ("timeout",)
    await user_marker(service, "alice", here, there)
    assert [args[1] for args in there.received("roomLeftEcho")] == [here.id]
    # Another try ends it, without a lost access.
    store.loses = lambda topic, envelope: False
    await service.remove_member("alice", "room")
    await user_marker(service, "alice", there)
    assert not await service.room_has_in_list("room", "userlist", "alice")
    assert there.received("roomAccessRemoved") == []


@pytest.mark.covers("api:add_member", "api:remove_member", "hook:on_leave")
async def test_sockets_of_dead_instances(world: World) -> None:
    left: list[MembershipInfo] = []
    hooks = {"on_leave": lambda service, info: left.append(info)}
    instance = await world.start(hooks=hooks, bus_ack_timeout=0.1, enable_userlist_updates=True)
    service, store = instance.service, parts_of(instance.service).store
    await service.add_room("room")
    watcher = await instance.joined("watcher", "room")
    user, ghost, dead = UserName("alice"), SocketId("ghost"), InstanceId("deadbeef")
    await store.socket_connect(user, ghost, dead)
    # Nobody is there who could join.
    assert await raised(service.add_member("alice", "room")) == ("noUserOnline", "alice")
    await store.room_join(ROOM, user, ghost, dead, 1, announce=True)
    await service.remove_member("alice", "room")
    assert [(info.id, info.njoined) for info in left] == [("ghost", 0)]
    await watcher.wait_for("roomUserLeft", "room", "alice")
    # The living sockets of the user count.
    alice = await instance.login("alice")
    await service.add_member("alice", "room")
    await alice.wait_for("roomJoinedEcho", "room", alice.id, 1)
    await store.socket_disconnect(user, ghost, dead, [])


@pytest.mark.covers("api:remove_member", "api:add_member")
@ONE_STORE
async def test_hooks_may_add_and_remove_their_own_user(world: World) -> None:
    instance = await world.start()
    service = instance.service
    for room in ("room", "hall"):
        await service.add_room(room)

    @service.before("roomMessage")
    async def move(call: CommandCall) -> Any:
        assert call.user_name is not None
        await service.add_member(call.user_name, "hall")
        await service.remove_member(call.user_name, "room")
        raise ChatServiceError("notAllowed")

    alice, again = await instance.joined("alice", "room"), await instance.joined("alice", "room")
    assert (await alice.emit("roomMessage", "room", HI))[0] is not None
    assert await alice.call("listOwnSockets") == {alice.id: ["hall"], again.id: ["hall"]}


@pytest.mark.covers("api:remove_member")
async def test_a_client_that_joins_all_the_time(world: World) -> None:
    """It may come back, but never stays half in: what the store says is what is delivered."""
    first, second = await world.start(), await world.start()
    service = first.service
    await service.add_room("room")
    alice = await second.login("alice")
    joins = [asyncio.create_task(alice.emit("roomJoin", "room")) for _ in range(20)]
    await asyncio.gather(*(service.remove_member("alice", "room") for _ in range(5)), *joins)
    await service.remove_member("alice", "room")
    alice.clear()
    await service.broadcast("room", HI)
    await user_marker(service, "alice", alice)
    assert (alice.received("roomMessage"), alice.received("roomAccessRemoved")) == ([], [])
    assert await alice.call("listOwnSockets") == {alice.id: []}
