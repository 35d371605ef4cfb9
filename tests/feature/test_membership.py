"""Joining and leaving: counts, echoes, what the room is told, and joins made by the server."""

import pytest

from chat_service.testing import FakeClock, InProcessClient
from tests.support.markers import room_marker, told, user_marker
from tests.support.spread import Spread, StartSpread
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World


async def three_sockets(nodes: Spread, user: str) -> list[InProcessClient]:
    """Three sockets of one user at three places, without the events of their logins."""
    clients = [await nodes[place].login(user) for place in range(3)]
    await user_marker(nodes.service, user, *clients)
    for client in clients:
        client.clear()
    return clients


# The counts, and the echoes to the user's other sockets


@pytest.mark.covers("command:roomJoin", "notification:roomJoinedEcho")
async def test_join_counts_the_users_sockets_and_echoes_to_the_others(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room")
    other = await nodes[0].joined("bob", "room")
    first, second, third = await three_sockets(nodes, "alice")
    assert await first.emit("roomJoin", "room") == [None, 1]
    assert await second.emit("roomJoin", "room") == [None, 2]
    for client, echoes in [
        (first, [["room", second.id, 2]]),
        (second, [["room", first.id, 1]]),
        (third, [["room", first.id, 1], ["room", second.id, 2]]),
    ]:
        await user_marker(nodes.service, "alice", client)
        assert told(client) == [("roomJoinedEcho", echo) for echo in echoes]
    await room_marker(nodes.service, "room", other)
    assert told(other) == []


@pytest.mark.covers("command:roomJoin")
async def test_a_second_join_of_a_socket_has_no_effect(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    await nodes.service.add_room("room")
    first, second, _ = await three_sockets(nodes, "alice")
    await first.call("roomJoin", "room")
    assert await second.call("roomJoin", "room") == 2
    await room_marker(nodes.service, "room", first, second)
    await user_marker(nodes.service, "alice", first, second)
    first.clear()
    second.clear()
    assert await first.call("roomJoin", "room") == 2
    await room_marker(nodes.service, "room", first, second)
    await user_marker(nodes.service, "alice", first, second)
    assert (told(first), told(second)) == ([], [])
    await first.call("roomMessage", "room", {"textMessage": "once"})
    await room_marker(nodes.service, "room", first, second)
    for client in (first, second):
        assert [args[1]["textMessage"] for _, args in told(client)] == ["once"]


@pytest.mark.covers("command:roomLeave", "notification:roomLeftEcho")
async def test_leave_counts_the_remaining_sockets_and_echoes_to_the_others(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room")
    first, second, third = clients = await three_sockets(nodes, "alice")
    for client in (first, second):
        await client.call("roomJoin", "room")
    await user_marker(nodes.service, "alice", *clients)
    for client in clients:
        client.clear()
    assert await first.emit("roomLeave", "room") == [None, 1]
    assert await second.emit("roomLeave", "room") == [None, 0]
    for client, echoes in [
        (first, [["room", second.id, 0]]),
        (second, [["room", first.id, 1]]),
        (third, [["room", first.id, 1], ["room", second.id, 0]]),
    ]:
        await user_marker(nodes.service, "alice", client)
        assert told(client) == [("roomLeftEcho", echo) for echo in echoes]


@pytest.mark.covers("command:roomLeave")
async def test_a_leave_without_a_join_has_no_effect(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    await nodes.service.add_room("room")
    first, second, _ = await three_sockets(nodes, "alice")
    bob = await nodes[1].joined("bob", "room")
    await first.call("roomJoin", "room")
    await bob.wait_for("roomUserJoined", "room", "alice")
    await user_marker(nodes.service, "alice", first, second)
    first.clear()
    second.clear()
    assert await second.call("roomLeave", "room") == 1
    assert sorted(await first.call("roomGetAccessList", "room", "userlist")) == ["alice", "bob"]
    stranger = await nodes[2].login("stranger")
    assert await stranger.call("roomLeave", "room") == 0
    await room_marker(nodes.service, "room", bob, first)
    await user_marker(nodes.service, "alice", first, second)
    assert (told(first), told(second), told(bob)) == ([], [], [])


@pytest.mark.covers("command:roomJoin", "command:roomLeave", "error:noRoom")
async def test_missing_rooms(world: World) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    for command in ("roomJoin", "roomLeave"):
        assert await alice.error(command, "nowhere") == wire_error("noRoom", "nowhere")
    assert await alice.call("listOwnSockets") == {alice.id: []}


@pytest.mark.covers("command:roomLeave", "command:roomMessage")
async def test_after_a_leave_the_socket_gets_no_events(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    await nodes.service.add_room("room")
    alice, second = await nodes[0].joined("alice", "room"), await nodes[0].joined("alice", "room")
    await alice.call("roomLeave", "room")
    await user_marker(nodes.service, "alice", alice)
    alice.clear()
    # The user is still joined, with the other socket: only hearing is per socket.
    assert await alice.call("roomMessage", "room", {"textMessage": "hi"}) == 1
    await second.wait_for("roomMessage", "room")
    await room_marker(nodes.service, "room", second)
    await user_marker(nodes.service, "alice", alice)
    assert told(alice) == []


# Notifications to the room


@pytest.mark.covers("notification:roomUserJoined", "notification:roomUserLeft", "command:roomGetAccessList")
async def test_the_room_is_notified_of_first_joins_and_last_leaves(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    await nodes.service.add_room("room")
    bob = await nodes[2].joined("bob", "room")
    await room_marker(nodes.service, "room", bob)
    bob.clear()
    outsider = await nodes[0].login("outsider")
    first, second, _ = await three_sockets(nodes, "alice")
    await first.call("roomJoin", "room")
    await first.wait_for("roomUserJoined", "room", "alice")
    await bob.wait_for("roomUserJoined", "room", "alice")
    await second.call("roomJoin", "room")
    assert sorted(await bob.call("roomGetAccessList", "room", "userlist")) == ["alice", "bob"]
    await first.call("roomLeave", "room")
    await room_marker(nodes.service, "room", bob, second)
    assert told(bob) == []
    assert [name for name, _ in told(second)] == ["roomJoinedEcho", "roomLeftEcho"]
    await second.call("roomLeave", "room")
    assert await bob.wait_for("roomUserLeft") == ["room", "alice"]
    assert await bob.call("roomGetAccessList", "room", "userlist") == ["bob"]
    await room_marker(nodes.service, "room", bob)
    await user_marker(nodes.service, "outsider", outsider)
    await user_marker(nodes.service, "alice", first, second)
    assert (told(bob), told(outsider)) == ([], [])
    for client in (first, second):
        assert client.received("roomUserLeft") == []


@pytest.mark.covers("api:change_userlist_updates", "notification:roomUserJoined", "notification:roomUserLeft")
async def test_the_room_is_notified_only_while_updates_are_on(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room")
    alice, bob = await nodes[0].login("alice"), await nodes[1].joined("bob", "room")
    for enabled in (False, True, False):
        await nodes[2].service.change_userlist_updates("room", enabled)
        info = await bob.call("roomNotificationsInfo", "room")
        assert info == {"enableUserlistUpdates": enabled, "enableAccessListsUpdates": False}
        await alice.call("roomJoin", "room")
        await alice.call("roomLeave", "room")
        await room_marker(nodes.service, "room", bob)
        names = [name for name, _ in told(bob)]
        assert names == (["roomUserJoined", "roomUserLeft"] if enabled else [])
        bob.clear()


@pytest.mark.covers(
    "notification:roomUserLeft", "notification:roomLeftEcho", "notification:socketDisconnectEcho"
)
async def test_a_disconnect_leaves_the_rooms(spread: StartSpread) -> None:
    nodes = await spread(enable_userlist_updates=True)
    for room in ("one", "two"):
        await nodes.service.add_room(room)
    bob = await nodes[1].joined("bob", "one", "two")
    first, second, third = await three_sockets(nodes, "alice")
    for client in (first, second):
        await client.call("roomJoin", "one")
    await first.call("roomJoin", "two")
    for room in ("one", "two"):
        await room_marker(nodes.service, room, bob)
    await user_marker(nodes.service, "alice", second, third)
    for client in (bob, second, third):
        client.clear()
    await first.disconnect()
    await bob.wait_for("roomUserLeft", "two", "alice")
    for client in (second, third):
        await client.wait_for("socketDisconnectEcho", first.id, 2)
        echoes = sorted(client.received("roomLeftEcho"))
        assert echoes == [["one", first.id, 1], ["two", first.id, 0]]
    await second.disconnect()
    await bob.wait_for("roomUserLeft", "one", "alice")
    await third.wait_for("socketDisconnectEcho", second.id, 1)
    await third.wait_for("roomLeftEcho", "one", second.id, 0)
    for room in ("one", "two"):
        await room_marker(nodes.service, room, bob)
        assert await bob.call("roomGetAccessList", room, "userlist") == ["bob"]
    assert told(bob) == []


# When a user was seen


@pytest.mark.covers("command:roomUserSeen")
async def test_user_seen_has_the_time_of_the_last_join_or_leave(world: World) -> None:
    clock = FakeClock(start_ms=1_000_000)
    instance = await world.start(clock=clock, heartbeat_rate=1000.0, heartbeat_timeout=3000.0)
    await instance.service.add_room("room")
    bob = await instance.joined("bob", "room")

    async def seen(name: str) -> dict:
        return await bob.call("roomUserSeen", "room", name)

    assert await seen("bob") == {"joined": True, "timestamp": 1_000_000}
    assert await seen("alice") == {"joined": False, "timestamp": None}
    await clock.advance(1)
    alice = await instance.joined("alice", "room")
    assert await seen("alice") == {"joined": True, "timestamp": 1_001_000}
    await clock.advance(1)
    await alice.call("roomLeave", "room")
    assert await seen("alice") == {"joined": False, "timestamp": 1_002_000}
    await clock.advance(1)
    await alice.call("roomJoin", "room")
    await clock.advance(1)
    await alice.disconnect()
    assert await seen("alice") == {"joined": False, "timestamp": 1_004_000}
    await instance.joined("alice", "room")
    await clock.advance(1)
    await instance.service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    assert await seen("alice") == {"joined": False, "timestamp": 1_005_000}


# Joins made by the server


@pytest.mark.covers("api:exec_user_command", "notification:roomJoinedEcho", "notification:roomLeftEcho")
async def test_the_server_joins_a_socket_on_any_instance(spread: StartSpread) -> None:
    nodes = await spread()
    service = nodes.service
    await service.add_room("room")
    away, near = await nodes[1].login("alice"), await nodes[0].login("alice")
    await user_marker(service, "alice", away, near)
    away.clear()
    context = {"user_name": "alice", "id": away.id}
    assert await service.exec_user_command(context, "roomJoin", "room") == [1]
    for client in (away, near):
        await client.wait_for("roomJoinedEcho", "room", away.id, 1)
    assert await near.call("listOwnSockets") == {away.id: ["room"], near.id: []}
    await room_marker(service, "room", away)
    assert await service.exec_user_command(context, "roomLeave", "room") == [0]
    for client in (away, near):
        await client.wait_for("roomLeftEcho", "room", away.id, 0)
    await user_marker(service, "alice", away, near)
    assert (told(away), told(near)) == ([], [])
    assert await service.exec_user_command(context, "roomLeave", "room") == [0]


@pytest.mark.covers("error:noSocket", "error:invalidSocket", "error:noUser", "api:exec_user_command")
@pytest.mark.parametrize("command", ["roomJoin", "roomLeave"])
async def test_the_server_must_name_a_socket_of_the_user(spread: StartSpread, command: str) -> None:
    nodes = await spread()
    service = nodes.service
    await service.add_room("room")
    await nodes[0].login("alice")
    near, away = await nodes[0].login("bob"), await nodes[1].login("bob")
    assert await raised(service.exec_user_command("alice", command, "room")) == ("noSocket", command)
    for socket_id in (near.id, away.id, "gone"):
        context = {"user_name": "alice", "id": socket_id}
        answer = await raised(service.exec_user_command(context, command, "room"))
        assert answer == ("invalidSocket", socket_id)
    ghost = {"user_name": "ghost", "id": near.id}
    assert await raised(service.exec_user_command(ghost, command, "room")) == ("noUser", "ghost")
    await near.disconnect()
    context = {"user_name": "bob", "id": near.id}
    answer = await raised(service.exec_user_command(context, command, "room"))
    assert answer == ("invalidSocket", near.id)


@pytest.mark.covers("command:roomJoin", "api:exec_user_command")
async def test_permissions_to_join_are_never_bypassed(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room", blacklist=["alice"])
    for alice in (await nodes[0].login("alice"), await nodes[1].login("alice")):
        context = {"user_name": "alice", "id": alice.id, "bypass_permissions": True}
        answer = await raised(nodes.service.exec_user_command(context, "roomJoin", "room"))
        assert answer == ("notAllowed",)
        assert await alice.error("roomJoin", "room") == wire_error("notAllowed")
    assert not await nodes.service.room_has_in_list("room", "userlist", "alice")
