"""Repairs after dead instances and failed operations. The tests corrupt the state on purpose."""

from typing import Any

import pytest

from chat_service import MembershipInfo
from chat_service.contracts.records import UserConfig
from chat_service.contracts.store import Store
from chat_service.testing import FakeClock, wait_until
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from tests.support.markers import room_marker, told, user_marker
from tests.support.wire_errors import raised
from tests.support.world import Instance, World

ALICE, BOB = UserName("alice"), UserName("bob")
ROOM, HALL = RoomName("room"), RoomName("hall")
DEAD = InstanceId("deadbeef")
GHOST, OTHER_GHOST = SocketId("ghost"), SocketId("other ghost")


class Spoilt:
    """A healthy instance, and a store by which the state is spoilt."""

    def __init__(self, instance: Instance, store: Store, clock: FakeClock) -> None:
        self.instance = instance
        self.service = instance.service
        self.store = store
        self.clock = clock
        self.left: list[MembershipInfo] = []
        self.service.on("on_leave")(lambda service, info: self.left.append(info))

    async def add_ghost(self, user: UserName, socket_id: SocketId, *rooms: RoomName) -> None:
        """A socket of an instance that died, and that somebody has claimed."""
        await self.store.instance_heartbeat(DEAD, self.clock.now_ms() - 100_000)
        pulse = (await self.store.instance_pulses())[DEAD]
        assert await self.store.instance_claim(DEAD, self.clock.now_ms(), pulse)
        await self.store.socket_connect(user, socket_id, DEAD)
        for room in rooms:
            await self.store.room_join(
                room, user, socket_id, DEAD, self.clock.now_ms(), announce=True, echo_all=True
            )

    async def userlist(self, room: str = ROOM) -> list[str]:
        [names] = await self.service.exec_user_command(True, "roomGetAccessList", room, "userlist")
        return sorted(names)


@pytest.fixture
async def spoilt(world: World) -> Spoilt:
    # Nothing is repaired before a test says so: time stands still.
    clock, store = FakeClock(), world.backend.new_store()
    instance = await world.start(store=store, clock=clock, enable_userlist_updates=True)
    for room in (ROOM, HALL):
        await instance.service.add_room(room)
    return Spoilt(instance, store, clock)


# instance_recovery


@pytest.mark.covers(
    "api:instance_recovery",
    "hook:on_leave",
    "notification:roomUserLeft",
    "notification:roomLeftEcho",
    "notification:socketDisconnectEcho",
)
async def test_a_dead_instance_is_recovered_once(spoilt: Spoilt) -> None:
    service = spoilt.service
    await spoilt.add_ghost(ALICE, GHOST, ROOM, HALL)
    await spoilt.add_ghost(BOB, OTHER_GHOST, ROOM)
    alice = await spoilt.instance.joined("alice", "hall")
    carol = await spoilt.instance.joined("carol", "room", "hall")
    assert await service.get_instance_sockets(DEAD) == {GHOST: "alice", OTHER_GHOST: "bob"}
    assert await spoilt.userlist() == ["alice", "bob", "carol"]
    await room_marker(service, "room", carol)
    await room_marker(service, "hall", carol, alice)
    await user_marker(service, "alice", alice)
    for client in (alice, carol):
        client.clear()

    for _ in range(3):
        await service.instance_recovery(DEAD)
    assert await service.get_instance_sockets(DEAD) == {}
    assert await service.get_instance_heartbeat(DEAD) is None
    assert await spoilt.userlist() == ["carol"]
    assert await spoilt.userlist("hall") == ["alice", "carol"]
    assert await alice.call("listOwnSockets") == {alice.id: ["hall"]}
    await room_marker(service, "room", carol)
    await room_marker(service, "hall", carol, alice)
    await user_marker(service, "alice", alice)
    # Each notification once: alice stays in the hall with a living socket.
    assert sorted(told(carol)) == [("roomUserLeft", ["room", "alice"]), ("roomUserLeft", ["room", "bob"])]
    assert sorted(told(alice)) == [
        ("roomLeftEcho", ["hall", GHOST, 1]),
        ("roomLeftEcho", ["room", GHOST, 0]),
        ("socketDisconnectEcho", [GHOST, 1]),
    ]
    assert sorted((info.id, info.room_name, info.njoined) for info in spoilt.left) == [
        (GHOST, "hall", 1),
        (GHOST, "room", 0),
        (OTHER_GHOST, "room", 0),
    ]
    # No longer online.
    await service.delete_user("bob")


@pytest.mark.covers("api:instance_recovery")
async def test_recovery_of_an_unknown_instance(spoilt: Spoilt) -> None:
    await spoilt.service.instance_recovery("never was")
    with pytest.raises(ValueError, match="is this one, and alive"):
        await spoilt.service.instance_recovery(spoilt.service.instance_uid)


@pytest.mark.covers("api:instance_recovery")
async def test_an_instance_that_has_a_socket_the_user_does_not_know(spoilt: Spoilt) -> None:
    await spoilt.add_ghost(ALICE, GHOST)
    # The same id elsewhere by now: it no longer belongs to the dead instance.
    alice = await spoilt.instance.joined("alice", "room")
    await spoilt.store.socket_connect(ALICE, SocketId(alice.id), DEAD)
    await spoilt.service.instance_recovery(DEAD)
    assert await spoilt.service.get_instance_sockets(DEAD) == {}
    assert await spoilt.userlist() == ["alice"]


@pytest.mark.covers("api:instance_recovery", "api:get_instance_heartbeat")
async def test_recovery_of_a_dead_instance_by_several_at_once(world: World, spoilt: Spoilt) -> None:
    other = await world.start(clock=spoilt.clock)
    await spoilt.add_ghost(ALICE, GHOST, ROOM)
    carol = await other.joined("carol", "room")
    await room_marker(other.service, "room", carol)
    carol.clear()
    for service in (spoilt.service, other.service, spoilt.service):
        await service.instance_recovery(DEAD)
    await room_marker(other.service, "room", carol)
    assert told(carol) == [("roomUserLeft", ["room", "alice"])]


# user_state_sync


@pytest.mark.covers("api:user_state_sync", "error:noUser")
async def test_a_users_dead_sockets_are_removed(spoilt: Spoilt) -> None:
    assert await raised(spoilt.service.user_state_sync("ghosty")) == ("noUser", "ghosty")
    await spoilt.add_ghost(ALICE, GHOST, ROOM)
    alice = await spoilt.instance.joined("alice", "room", "hall")
    for _ in range(2):
        await spoilt.service.user_state_sync("alice")
    assert await alice.call("listOwnSockets") == {alice.id: ["hall", "room"]}
    assert await spoilt.service.get_instance_sockets(DEAD) == {}
    await user_marker(spoilt.service, "alice", alice)
    assert told(alice) == [("roomLeftEcho", ["room", GHOST, 1]), ("socketDisconnectEcho", [GHOST, 1])]
    assert await alice.call("roomMessage", "room", {"textMessage": "still here"}) == 1
    # The instance itself is left to its own recovery.
    await spoilt.service.instance_recovery(DEAD)


@pytest.mark.covers("api:user_state_sync")
async def test_a_users_sockets_that_this_instance_does_not_have(spoilt: Spoilt) -> None:
    uid = InstanceId(spoilt.service.instance_uid)
    await spoilt.store.socket_connect(ALICE, GHOST, uid)
    await spoilt.store.room_join(ROOM, ALICE, GHOST, uid, 0, announce=True)
    for _ in range(2):
        await spoilt.service.user_state_sync("alice")
    assert await spoilt.service.get_instance_sockets() == {}
    assert await spoilt.userlist() == []


@pytest.mark.covers("api:user_state_sync", "option:heartbeat_timeout")
async def test_sockets_of_living_instances_stay(world: World, spoilt: Spoilt) -> None:
    other = await world.start(clock=spoilt.clock)
    alice = await other.joined("alice", "room")
    await spoilt.service.user_state_sync("alice")
    await spoilt.service.room_state_sync("room")
    assert await alice.call("listOwnSockets") == {alice.id: ["room"]}
    assert await spoilt.userlist() == ["alice"]


@pytest.mark.covers("api:user_state_sync")
async def test_rooms_in_the_index_that_the_socket_is_not_in(spoilt: Spoilt) -> None:
    alice = await spoilt.instance.login("alice")
    await spoilt.store.room_join(
        ROOM, ALICE, SocketId(alice.id), InstanceId(spoilt.service.instance_uid), 0, announce=False
    )
    await spoilt.store.room_leave(ROOM, ALICE, SocketId(alice.id), 0, echo=False, keep_index=True)
    assert await alice.call("listOwnSockets") == {alice.id: ["room"]}
    for _ in range(2):
        await spoilt.service.user_state_sync("alice")
    assert await alice.call("listOwnSockets") == {alice.id: []}
    assert spoilt.left == []


# room_state_sync


@pytest.mark.covers("api:room_state_sync", "error:noRoom", "notification:roomUserLeft")
async def test_dead_members_are_removed(spoilt: Spoilt) -> None:
    assert await raised(spoilt.service.room_state_sync("attic")) == ("noRoom", "attic")
    carol = await spoilt.instance.joined("carol", "room")
    await spoilt.add_ghost(ALICE, GHOST, ROOM, HALL)
    await room_marker(spoilt.service, "room", carol)
    carol.clear()
    for _ in range(2):
        await spoilt.service.room_state_sync("room")
    assert await spoilt.userlist() == ["carol"]
    await room_marker(spoilt.service, "room", carol)
    assert told(carol) == [("roomUserLeft", ["room", "alice"])]
    # This call does not affect the other room.
    assert await spoilt.userlist("hall") == ["alice"]
    await spoilt.service.instance_recovery(DEAD)
    assert await spoilt.userlist("hall") == []


@pytest.mark.covers("api:room_state_sync")
async def test_members_with_an_unknown_socket_are_removed(spoilt: Spoilt) -> None:
    await spoilt.store.user_create(BOB, UserConfig())
    await spoilt.store.room_join(ROOM, BOB, GHOST, DEAD, 0, announce=True)
    await spoilt.store.room_join(ROOM, ALICE, OTHER_GHOST, DEAD, 0, announce=True)
    assert await spoilt.userlist() == ["alice", "bob"]
    for _ in range(2):
        await spoilt.service.room_state_sync("room")
    assert await spoilt.userlist() == []


@pytest.mark.covers("api:room_state_sync")
async def test_healthy_members_stay_as_they_are(spoilt: Spoilt) -> None:
    alice, other = [await spoilt.instance.joined("alice", "room") for _ in range(2)]
    await user_marker(spoilt.service, "alice", alice, other)
    for client in (alice, other):
        client.clear()
    await spoilt.service.room_state_sync("room")
    assert await spoilt.userlist() == ["alice"]
    await room_marker(spoilt.service, "room", alice, other)
    assert told(alice) == told(other) == []
    assert spoilt.left == []


# Without an operator


@pytest.mark.covers("option:auto_recovery", "option:heartbeat_timeout", "api:get_instance_sockets")
@pytest.mark.parametrize("enabled", [True, False])
async def test_survivors_recover_a_dead_instance(world: World, enabled: bool) -> None:
    clock, store = FakeClock(), world.backend.new_store()
    instance = await world.start(
        store=store, clock=clock, auto_recovery=enabled, heartbeat_rate=10, heartbeat_timeout=30
    )
    await instance.service.add_room("room")
    await store.instance_heartbeat(DEAD, clock.now_ms())
    await store.socket_connect(ALICE, GHOST, DEAD)
    await store.room_join(ROOM, ALICE, GHOST, DEAD, 0, announce=True)

    async def sockets() -> dict[str, Any]:
        return await instance.service.get_instance_sockets(DEAD)

    begin = clock.now_ms()

    async def is_recovered() -> bool:
        await clock.advance(1)
        return await sockets() == {}

    async def is_late() -> bool:
        await clock.advance(1)
        return (await instance.service.get_instance_heartbeat() or 0) - begin > 90_000

    if enabled:
        await wait_until(is_recovered, "the recovery")
        assert clock.now_ms() - begin > 30_000
        assert await instance.service.room_has_in_list("room", "userlist", "alice") is False
    else:
        await wait_until(is_late, "many heartbeats")
        assert await sockets() == {GHOST: "alice"}
        await instance.service.instance_recovery(DEAD)
