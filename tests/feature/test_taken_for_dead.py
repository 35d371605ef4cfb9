"""An instance that was considered dead while it was paused: the events that its sockets get then."""

from chat_service.domain.lease import Lease
from chat_service.testing import wait_until
from chat_service.types import RoomName, SocketId, UserName
from tests.support.parts import parts_of
from tests.support.world import World


async def test_nothing_is_delivered_while_the_lease_is_uncertain(world: World):
    paused, other = await world.start(), await world.start()
    alice = await other.joined("alice")
    await alice.call("roomCreate", "room", False)
    await alice.call("roomJoin", "room")
    bob = await paused.joined("bob", "room")
    lease = parts_of(paused.service).lease
    assert isinstance(lease, Lease)
    answered = lease._answered
    lease._answered = float("-inf")
    for text in ("one", "two"):
        await alice.call("roomMessage", "room", {"textMessage": text})
    await wait_until(lambda: len(lease._deferred) == 2, "two messages wait")
    assert bob.received("roomMessage") == []
    lease._answered = answered
    lease._run_deferred()
    await alice.call("roomMessage", "room", {"textMessage": "three"})
    assert [(await bob.wait_for("roomMessage"))[1]["id"] for _ in range(3)] == [1, 2, 3]


async def test_a_removed_user_also_loses_sockets_that_the_room_forgot(world: World):
    paused, other = await world.start(), await world.start()
    alice = await other.joined("alice")
    await alice.call("roomCreate", "room", False)
    await alice.call("roomJoin", "room")
    forgotten = await paused.joined("bob", "room")
    known = await other.joined("bob", "room")
    store = parts_of(other.service).store
    # What recovery does with the sockets of a dead instance.
    await store.room_leave(RoomName("room"), UserName("bob"), SocketId(forgotten.id), 1, echo=False)
    await alice.call("roomAddToList", "room", "blacklist", ["bob"])
    await forgotten.wait_for("roomAccessRemoved")
    await known.wait_for("roomAccessRemoved")
    await alice.call("roomMessage", "room", {"textMessage": "not for bob"})
    await alice.wait_for("roomMessage")
    await alice.call("roomRemoveFromList", "room", "blacklist", ["bob"])
    await forgotten.call("roomJoin", "room")
    await alice.call("roomMessage", "room", {"textMessage": "for bob"})
    _, message = await forgotten.wait_for("roomMessage")
    assert message["textMessage"] == "for bob"
