"""A socket gets no events of a room before the answer to its join, whatever happens in the meantime."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chat_service import CommandCall, MembershipInfo
from chat_service.testing import InProcessClient, wait_until
from tests.support.markers import room_marker
from tests.support.parts import parts_of
from tests.support.spread import StartSpread
from tests.support.world import Instance, World

ROOM_EVENTS = {
    "roomMessage",
    "roomUserJoined",
    "roomUserLeft",
    "roomAccessRemoved",
    "roomModeChanged",
    "news",
}


async def command(client: InProcessClient, name: str, room: str = "room") -> Any:
    """Send a command. Its answer is recorded among the events, in the order of arrival."""
    ack = await client.emit(name, room)
    client.events.append((f"{name} answered", ack))
    return ack


def names(client: InProcessClient) -> list[str]:
    """The room's events and the answers, in the order of arrival."""
    return [name for name, _ in client.events if name in ROOM_EVENTS or name.endswith(" answered")]


class Gate:
    """A hook that waits for a test."""

    def __init__(self, user: str = "alice") -> None:
        self._user = user
        self.entered = asyncio.Event()
        self.open = asyncio.Event()

    async def _wait(self, user: str | None) -> None:
        if user == self._user:
            self.entered.set()
            await self.open.wait()

    async def member_hook(self, _: Any, info: MembershipInfo) -> None:
        await self._wait(info.user_name)

    async def command_hook(self, call: CommandCall) -> None:
        await self._wait(call.user_name)


def hooks_at(place: str, gate: Gate) -> dict[str, Any]:
    return {place: gate.member_hook if place == "on_join" else gate.command_hook}


PLACES = ["on_join", "room_join_after"]
each_place = pytest.mark.parametrize("place", PLACES)


async def post(service: Any, count: int = 1) -> None:
    for _ in range(count):
        await service.exec_user_command(True, "roomMessage", "room", {"textMessage": "hi"})


@pytest.mark.covers("command:roomJoin", "hook:on_join", "notification:roomUserJoined")
@each_place
async def test_messages_wait_for_the_answer_while_a_hook_is_slow(spread: StartSpread, place: str) -> None:
    gate = Gate()
    nodes = await spread(hooks=hooks_at(place, gate), enable_userlist_updates=True)
    await nodes.service.add_room("room")
    bob = await nodes[1].joined("bob", "room")
    alice = await nodes[0].login("alice")
    joining = asyncio.create_task(command(alice, "roomJoin"))
    await gate.entered.wait()
    carol = await nodes[2].joined("carol", "room")
    await post(nodes[1].service, 3)
    await nodes[2].service.transport.send_to_channel(bob.id, "room", "news", 1)
    await carol.disconnect()
    await room_marker(nodes.service, "room", bob)
    assert names(alice) == []
    gate.open.set()
    assert await joining == [None, 1]
    await room_marker(nodes.service, "room", alice)
    told = names(alice)
    assert told[0] == "roomJoin answered"
    # Carol came after Alice, and the own coming is told, too.
    assert told.count("roomUserJoined") == 2
    assert (told.count("news"), told.count("roomUserLeft"), told.count("roomMessage")) == (1, 1, 5)
    ids = [message["id"] for _, message in alice.received("roomMessage")]
    assert ids == [1, 2, 3, 4, 5]


@pytest.mark.covers("notification:roomAccessRemoved", "better:no later message reaches a removed user")
@each_place
@pytest.mark.parametrize("with_on_leave", [False, True], ids=["", "on_leave"])
@pytest.mark.parametrize("how", ["list", "mode", "deletion"])
async def test_lost_access_waits_for_the_answer_and_nothing_comes_between(
    spread: StartSpread, place: str, with_on_leave: bool, how: str
) -> None:
    gate, left = Gate(), []
    hooks = hooks_at(place, gate)
    if with_on_leave:
        hooks["on_leave"] = lambda service, info: left.append((info.id, info.njoined))
    nodes = await spread(hooks=hooks, bus_ack_timeout=0.5)
    service = nodes[1].service
    await service.add_room("room", owner="owner")
    alice = await nodes[0].login("alice")
    other = await nodes[1].login("alice")
    joining = asyncio.create_task(command(alice, "roomJoin"))
    await gate.entered.wait()
    await post(service, 2)
    if how == "deletion":
        await service.delete_room("room")
    elif how == "mode":
        await service.exec_user_command(True, "roomSetWhitelistMode", "room", True)
    else:
        await service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    await other.wait_for("roomAccessRemoved", "room")
    assert names(alice) == []
    gate.open.set()
    assert await joining == [None, 1]
    await wait_until(lambda: len(names(alice)) == 2, "the removal")
    assert names(alice) == ["roomJoin answered", "roomAccessRemoved"]
    if with_on_leave:
        assert left == [(alice.id, 0)]
    else:
        assert left == []


@pytest.mark.covers("command:roomJoin", "command:roomLeave")
async def test_leaves_and_joins_and_repeated_joins_under_load(spread: StartSpread) -> None:
    """Pipelined by several sockets, while others write."""

    async def on_join(service: Any, info: MembershipInfo) -> None:
        for _ in range(int(info.id[-1], 16) % 4):
            await asyncio.sleep(0)

    nodes = await spread(hooks={"on_join": on_join})
    await nodes.service.add_room("room")
    writers = [await nodes[place].joined(f"writer{place}", "room") for place in range(3)]
    clients = [await nodes[place].login(f"user{place % 4}") for place in range(6)]
    is_over = False

    async def write(writer: InProcessClient) -> None:
        while not is_over:
            await writer.call("roomMessage", "room", {"textMessage": "x"})
            await asyncio.sleep(0)

    writing = [asyncio.create_task(write(writer)) for writer in writers]
    order = ["roomJoin", "roomJoin", "roomLeave", "roomJoin", "roomLeave", "roomLeave", "roomJoin"]
    for _ in range(3):
        await asyncio.gather(*(command(client, name) for client in clients for name in order))
        await asyncio.gather(*(command(client, "roomLeave") for client in clients))
    await asyncio.gather(*(command(client, "roomJoin") for client in clients))
    is_over = True
    await asyncio.gather(*writing)
    last = await room_marker(nodes.service, "room", *clients)
    for client in clients:
        check_record(client, last)


def check_record(client: InProcessClient, last: int) -> None:
    """Messages come only between a join's answer and the next leave, there all of them, and in order."""
    is_joined, previous = False, 0
    for name, args in client.events:
        if name == "roomJoin answered":
            assert args[0] is None
            if not is_joined:
                is_joined, previous = True, 0
        elif name == "roomLeave answered":
            assert args[0] is None
            is_joined = False
        elif name == "roomMessage":
            assert is_joined, f"a message that is not expected: {client.events}"
            message_id = args[1]["id"]
            assert previous == 0 or message_id == previous + 1
            previous = message_id
    assert previous == last


@pytest.mark.covers("command:roomJoin")
async def test_a_before_hook_that_changes_the_room(world: World) -> None:
    gate = Gate()

    def before(call: CommandCall) -> None:
        call.args[0] = "room"

    instance = await world.start(hooks={"room_join_before": before, "room_join_after": gate.command_hook})
    service = instance.service
    await service.add_room("room", owner="owner")
    alice, bob = await instance.login("alice"), await instance.login("bob")
    joining = asyncio.create_task(command(alice, "roomJoin", "elsewhere"))
    await gate.entered.wait()
    assert await bob.call("roomJoin", "room") == 1
    await post(service)
    await bob.wait_for("roomMessage", "room")
    await service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    await post(service)
    await bob.wait_for("roomMessage", "room")
    assert names(alice) == []
    gate.open.set()
    await joining
    await wait_until(lambda: len(names(alice)) > 1, "the removal")
    assert names(alice) == ["roomJoin answered", "roomAccessRemoved"]


@pytest.mark.covers("command:roomJoin", "hook:on_join", "hook:call.answered")
async def test_a_hook_that_leaves_and_joins_again(world: World) -> None:
    async def on_join(service: Any, info: MembershipInfo) -> None:
        if info.user_name == "alice" and not again:
            again.append(True)
            context = {"user_name": "alice", "id": info.id}
            await service.exec_user_command(context, "roomLeave", "room")
            await service.exec_user_command(context, "roomJoin", "room")

    again: list[bool] = []
    instance = await world.start(hooks={"on_join": on_join})
    await instance.service.add_room("room")
    alice = await instance.login("alice")
    assert await alice.call("roomJoin", "room") == 1
    await room_marker(instance.service, "room", alice)
    assert len(alice.received("roomMessage")) == 1


@pytest.mark.covers("command:roomJoin")
@pytest.mark.parametrize("kind", ["refused", "repeated", "by the server"])
async def test_a_join_not_made_by_the_client_changes_nothing(spread: StartSpread, kind: str) -> None:
    gate = Gate("nobody")
    nodes = await spread(hooks={"room_join_after": gate.command_hook})
    await nodes.service.add_room("room", blacklist=["alice"] if kind == "refused" else [])
    alice = await nodes[0].login("alice")
    if kind == "refused":
        assert (await command(alice, "roomJoin"))[0] is not None
        await post(nodes[1].service)
        assert await alice.call("listOwnSockets") == {alice.id: []}
        assert names(alice) == ["roomJoin answered"]
        return
    if kind == "by the server":
        context = {"user_name": "alice", "id": alice.id}
        assert await nodes[1].service.exec_user_command(context, "roomJoin", "room") == [1]
    else:
        await command(alice, "roomJoin")
        await command(alice, "roomJoin")
    await post(nodes[1].service, 2)
    await room_marker(nodes.service, "room", alice)
    assert [message["id"] for _, message in alice.received("roomMessage")] == [1, 2, 3]


@pytest.mark.covers("command:roomJoin")
@each_place
async def test_a_socket_that_disconnects_before_the_answer(world: World, place: str) -> None:
    gate = Gate()
    instance = await world.start(hooks=hooks_at(place, gate))
    await instance.service.add_room("room")
    alice, bob = await instance.login("alice"), await instance.joined("bob", "room")
    joining = asyncio.create_task(command(alice, "roomJoin"))
    await gate.entered.wait()
    going = asyncio.create_task(alice.disconnect())
    await post(instance.service)
    gate.open.set()
    await asyncio.gather(joining, going)
    assert not await instance.service.room_has_in_list("room", "userlist", "alice")
    await bob.call("roomLeave", "room")
    assert parts_of(instance.service).delivery.rooms() == []


Refusal = Callable[..., Any]


async def failing_channel(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the transport refuse sockets of users whose names begin with "no"."""
    join = instance.transport.join_channel

    def refuse(socket_id: Any, channel: Any) -> None:
        if str(channel) in ("room", "user:nora"):
            raise RuntimeError("the transport is full")
        join(socket_id, channel)

    monkeypatch.setattr(instance.transport, "join_channel", refuse)


@pytest.mark.covers("command:roomJoin")
@pytest.mark.parametrize("hook", [False, True], ids=["", "on_join"])
async def test_a_join_that_the_transport_refuses_is_undone(
    world: World, monkeypatch: pytest.MonkeyPatch, hook: bool
) -> None:
    called: list[Any] = []
    hooks = {"on_leave": lambda service, info: called.append(info)}
    if hook:
        hooks["on_join"] = lambda service, info: called.append(info)
    instance = await world.start(hooks=hooks, enable_userlist_updates=True)
    other = await world.start()
    service = instance.service
    await service.add_room("room")
    bob = await other.joined("bob", "room")
    alice, second = await instance.login("alice"), await other.login("alice")
    with monkeypatch.context() as patch:
        await failing_channel(instance, patch)
        for _ in range(2):
            assert "Internal server error" in await alice.error("roomJoin", "room")
    assert await alice.call("listOwnSockets") == {alice.id: [], second.id: []}
    assert not await service.room_has_in_list("room", "userlist", "alice")
    assert parts_of(service).delivery.rooms() == []
    assert ("room", "room") not in parts_of(service).delivery.interest.topics()
    await room_marker(service, "room", bob)
    # Other sockets that were told of the join are also told of its end.
    assert len(bob.received("roomUserJoined")) == len(bob.received("roomUserLeft"))
    joined, left = second.received("roomJoinedEcho"), second.received("roomLeftEcho")
    assert len(joined) == len(left) == (0 if hook else 2)
    assert names(alice) == [] and called == []
    assert await alice.call("roomJoin", "room") == 1
    await room_marker(service, "room", alice)


@pytest.mark.covers("notification:loginRejected")
async def test_a_login_that_the_transport_refuses_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await world.start()
    context = parts_of(instance.service)
    with monkeypatch.context() as patch:
        await failing_channel(instance, patch)
        client = await instance.transport.connect(query={"userName": "nora"})
        await client.wait_for("loginRejected")
        await wait_until(lambda: not client.connected, "the disconnect")
    assert ("user", "nora") not in context.delivery.interest.topics()
    await wait_until(lambda: len(context.sessions) == 0, "the session to be gone")
    assert not await instance.service.has_user("nora")
    assert await instance.service.get_instance_sockets() == {}
    await instance.login("nora")
