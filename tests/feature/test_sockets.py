"""One user on many sockets: presence, echoes, the list of sockets, system messages, disconnects."""

import asyncio
from typing import Any

import pytest

from chat_service.domain.inbox import DISCONNECTED_AT_ONCE
from chat_service.testing import wait_until
from chat_service.types import SocketId
from tests.support.markers import told, user_marker
from tests.support.spread import StartSpread
from tests.support.wire_errors import raised
from tests.support.world import World


@pytest.mark.covers("notification:socketConnectEcho", "notification:socketDisconnectEcho")
async def test_connects_and_disconnects_are_echoed_to_the_users_other_sockets(spread: StartSpread) -> None:
    nodes = await spread()
    bob = await nodes[1].login("bob")
    first = await nodes[0].login("alice")
    await user_marker(nodes.service, "alice", first)
    assert told(first) == []
    second = await nodes[1].login("alice")
    third = await nodes[2].login("alice")
    await first.wait_for("socketConnectEcho", second.id, 2)
    await first.wait_for("socketConnectEcho", third.id, 3)
    await second.wait_for("socketConnectEcho", third.id, 3)
    await second.disconnect()
    for client in (first, third):
        await client.wait_for("socketDisconnectEcho", second.id, 2)
    await third.disconnect()
    await first.wait_for("socketDisconnectEcho", third.id, 1)
    await user_marker(nodes.service, "alice", first)
    await user_marker(nodes.service, "bob", bob)
    assert (told(first), told(bob)) == ([], [])
    assert [name for name, _ in third.events if name == "socketConnectEcho"] == []


@pytest.mark.covers("command:listOwnSockets")
async def test_list_own_sockets_has_those_of_every_instance(spread: StartSpread) -> None:
    nodes = await spread()
    for room in ("one", "two"):
        await nodes.service.add_room(room)
    bob = await nodes[0].joined("bob", "one")
    first, second = await nodes[0].login("alice"), await nodes[1].joined("alice", "two", "one")
    third = await nodes[2].joined("alice", "two")
    expected = {first.id: [], second.id: ["one", "two"], third.id: ["two"]}

    async def listed(client: Any) -> dict[str, list[str]]:
        sockets = await client.call("listOwnSockets")
        return {socket_id: sorted(rooms) for socket_id, rooms in sockets.items()}

    for client in (first, second, third):
        assert await listed(client) == expected
    assert await listed(bob) == {bob.id: ["one"]}
    await second.call("roomLeave", "two")
    await third.disconnect()
    assert await listed(first) == {first.id: [], second.id: ["one"]}
    await first.disconnect()
    await second.disconnect()
    assert await nodes.service.exec_user_command("alice", "listOwnSockets") == [{}]


@pytest.mark.covers("command:systemMessage", "notification:systemMessage")
@pytest.mark.parametrize(
    "data", [None, "text", 0, -1.5, True, [], {"a": [1, {"b": b"\x00\xff"}]}, b"", ["é🙂", None]]
)
async def test_system_messages_go_to_the_users_other_sockets(spread: StartSpread, data: Any) -> None:
    nodes = await spread()
    sender, near, away = [await nodes[place].login("alice") for place in (0, 0, 1)]
    bob = await nodes[1].login("bob")
    await user_marker(nodes.service, "alice", sender, near)
    for client in (sender, near):
        client.clear()
    assert await sender.emit("systemMessage", data) == [None, None]
    for client in (near, away):
        assert await client.wait_for("systemMessage") == [data]
    await user_marker(nodes.service, "alice", sender, near, away)
    await user_marker(nodes.service, "bob", bob)
    for client in (sender, near, away, bob):
        assert told(client) == []


@pytest.mark.covers("command:systemMessage", "api:exec_user_command")
async def test_a_system_message_of_the_server_goes_to_all_sockets_but_the_named_one(
    spread: StartSpread,
) -> None:
    nodes = await spread()
    clients = [await nodes[place].login("alice") for place in range(3)]
    await nodes.service.exec_user_command("alice", "systemMessage", "all")
    for client in clients:
        assert await client.wait_for("systemMessage") == ["all"]
    context = {"user_name": "alice", "id": clients[1].id}
    await nodes.service.exec_user_command(context, "systemMessage", "others")
    for client in (clients[0], clients[2]):
        assert await client.wait_for("systemMessage") == ["others"]
    await user_marker(nodes.service, "alice", clients[1])
    assert clients[1].received("systemMessage") == []


@pytest.mark.covers("api:disconnect_user_sockets", "notification:socketDisconnectEcho")
async def test_the_server_disconnects_all_sockets_of_a_user(spread: StartSpread) -> None:
    nodes = await spread()
    await nodes.service.add_room("room", enable_userlist_updates=True)
    bob = await nodes[1].joined("bob", "room")
    clients = [await nodes[place].joined("alice", "room") for place in range(3)]
    await nodes.service.disconnect_user_sockets("alice")
    for client in clients:
        await wait_until(lambda client=client: not client.connected, "the disconnect")
    await bob.wait_for("roomUserLeft", "room", "alice")
    assert bob.connected

    async def are_gone() -> bool:
        return await nodes.service.exec_user_command("alice", "listOwnSockets") == [{}]

    await wait_until(are_gone, "the end of alice's sockets")
    assert await bob.call("roomGetAccessList", "room", "userlist") == ["bob"]
    again = await nodes[0].joined("alice", "room")
    assert await again.call("listOwnSockets") == {again.id: ["room"]}


@pytest.mark.covers("error:userOnline", "error:userExists", "api:delete_user", "api:add_user")
async def test_presence_is_per_user_over_all_instances(spread: StartSpread) -> None:
    nodes = await spread()
    clients = [await nodes[place].login("alice") for place in range(3)]
    assert await raised(nodes.service.add_user("alice")) == ("userExists", "alice")
    for client in clients:
        assert await raised(nodes.service.delete_user("alice")) == ("userOnline", "alice")
        await client.disconnect()
    await nodes.service.delete_user("alice")
    assert not await nodes[1].service.has_user("alice")
    assert await raised(nodes.service.delete_user("alice")) == ("noUser", "alice")


@pytest.mark.covers("hook:on_disconnect", "notification:roomLeftEcho")
async def test_echoes_of_a_disconnect_come_in_order(world: World) -> None:
    instance = await world.start()
    for room in ("one", "two", "three"):
        await instance.service.add_room(room)
    first, second = await instance.joined("alice", "one"), await instance.joined("alice", "one", "two")
    first.clear()
    await second.disconnect()
    await user_marker(instance.service, "alice", first)
    events = told(first)
    assert sorted(events[:-1]) == [
        ("roomLeftEcho", ["one", second.id, 1]),
        ("roomLeftEcho", ["two", second.id, 0]),
    ]
    assert events[-1] == ("socketDisconnectEcho", [second.id, 1])


async def test_many_sockets_of_a_user_are_disconnected_in_slices(
    spread: StartSpread, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = (await spread())[0]
    clients = [await node.login("alice") for _ in range(2 * DISCONNECTED_AT_ONCE + 5)]
    loop, disconnect, turn, turns = asyncio.get_running_loop(), node.transport.disconnect, 0, dict[int, int]()
    ticking: list[asyncio.Handle] = []

    def count_turns() -> None:
        nonlocal turn
        turn += 1
        ticking[:] = [loop.call_soon(count_turns)]

    async def counted(socket_id: SocketId, *, may_return: bool = False) -> None:
        turns[turn] = turns.get(turn, 0) + 1
        await disconnect(socket_id, may_return=may_return)

    monkeypatch.setattr(node.transport, "disconnect", counted)
    count_turns()
    try:
        await node.service.disconnect_user_sockets("alice")
        await wait_until(lambda: not any(client.connected for client in clients), "all are disconnected")
    finally:
        ticking[0].cancel()
    assert sum(turns.values()) == len(clients)
    assert max(turns.values()) <= DISCONNECTED_AT_ONCE
