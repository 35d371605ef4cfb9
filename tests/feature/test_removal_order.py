"""Lost access: ``on_leave`` runs first; then the removed user is notified and the remover answered."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatService, MembershipInfo
from chat_service.contracts.bus import Topic, TopicKind
from chat_service.testing import InProcessClient, wait_until
from tests.support.markers import room_marker
from tests.support.parts import parts_of
from tests.support.spread import Spread, StartSpread
from tests.support.world import World

each_way = pytest.mark.parametrize("how", ["list", "mode", "deletion", "owner"])


class SlowLeave:
    """An ``on_leave`` hook that waits, and writes down when it is done."""

    def __init__(self, turns: int = 30) -> None:
        self.done: list[tuple[str, str]] = []
        self.entered = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self._turns = turns

    async def hook(self, service: ChatService, info: MembershipInfo) -> None:
        assert info.njoined == 0
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        for _ in range(self._turns):
            await asyncio.sleep(0)
        self.done.append((info.user_name, info.id))


async def remove(service: ChatService, how: str) -> None:
    """Take Alice's access to the room."""
    if how == "list":
        await service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    elif how == "mode":
        await service.exec_user_command(True, "roomSetWhitelistMode", "room", True)
    elif how == "deletion":
        await service.delete_room("room")
    else:
        await service.change_room_owner("room", None)


async def start(spread: StartSpread, slow: SlowLeave, how: str, **options: Any) -> Spread:
    nodes = await spread(hooks={"on_leave": slow.hook}, **options)
    by_owner = how == "owner"
    await nodes.service.add_room(
        "room", owner="alice" if by_owner else "owner", whitelist_only=by_owner, whitelist=["bob"]
    )
    return nodes


@pytest.mark.covers("hook:on_leave", "notification:roomAccessRemoved", "command:roomAddToList")
@each_way
async def test_the_hook_runs_before_the_answer_and_the_notification(spread: StartSpread, how: str) -> None:
    slow = SlowLeave()
    nodes = await start(spread, slow, how)
    sockets = [await nodes[place].joined("alice", "room") for place in range(3)]
    ids = {("alice", client.id) for client in sockets}
    told_early: list[InProcessClient] = []

    async def watch(client: InProcessClient) -> None:
        await client.wait_for("roomAccessRemoved", "room")
        if ("alice", client.id) not in slow.done:
            told_early.append(client)

    watching = [asyncio.create_task(watch(client)) for client in sockets]
    await remove(nodes[1].service, how)
    assert set(slow.done) == ids
    await asyncio.gather(*watching)
    assert told_early == [] and len(slow.done) == len(ids)


@pytest.mark.covers("hook:on_leave", "better:no later message reaches a removed user")
@each_way
async def test_removed_users_get_nothing_while_the_hook_runs(spread: StartSpread, how: str) -> None:
    slow = SlowLeave()
    slow.gate = asyncio.Event()
    nodes = await start(spread, slow, how)
    alice, bob = await nodes[0].joined("alice", "room"), await nodes[1].joined("bob", "room")
    removing = asyncio.create_task(remove(nodes[2].service, how))
    await slow.entered.wait()
    if how == "deletion":
        await nodes.service.add_room("room")
    else:
        await room_marker(nodes[1].service, "room", bob)
    await nodes[2].service.transport.emit_to_channel("room", "news", 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert alice.events == [] and not removing.done()
    slow.gate.set()
    await removing
    await alice.wait_for("roomAccessRemoved", "room")
    assert alice.events == []


@pytest.mark.covers("hook:on_leave", "option:bus_ack_timeout")
async def test_a_hook_that_hangs_does_not_block_others_for_long(spread: StartSpread) -> None:
    slow = SlowLeave()
    slow.gate = asyncio.Event()
    nodes = await start(spread, slow, "list", bus_ack_timeout=0.2)
    alice = await nodes[0].joined("alice", "room")
    await remove(nodes[1].service, "list")
    assert slow.done == [] and alice.events == []
    slow.gate.set()
    await alice.wait_for("roomAccessRemoved", "room")
    assert slow.done == [("alice", alice.id)]


@pytest.mark.covers("hook:on_leave", "command:roomDelete")
async def test_a_socket_that_removes_itself(world: World) -> None:
    slow = SlowLeave()
    instance = await world.start(hooks={"on_leave": slow.hook})
    alice = await instance.login("alice")
    await alice.call("roomCreate", "room", False)
    await alice.call("roomJoin", "room")
    assert await alice.call("roomDelete", "room") is None
    assert slow.done == [("alice", alice.id)]
    await alice.wait_for("roomAccessRemoved", "room")
    assert alice.received("roomAccessRemoved") == []


@pytest.mark.covers("hook:on_leave", "command:roomAddToList")
async def test_two_users_who_remove_each_other(world: World) -> None:
    slow = SlowLeave()
    instance = await world.start(hooks={"on_leave": slow.hook}, bus_ack_timeout=20.0)
    await instance.service.add_room("room", adminlist=["alice", "bob"])
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")

    async def kick(client: InProcessClient, other: str) -> None:
        await client.emit("roomRemoveFromList", "room", "adminlist", [other])
        await client.emit("roomAddToList", "room", "blacklist", [other])

    async with asyncio.timeout(10):
        await asyncio.gather(kick(alice, "bob"), kick(bob, "alice"))
    names = await instance.service.exec_user_command(True, "roomGetAccessList", "room", "userlist")
    await wait_until(lambda: len(slow.done) == 2 - len(names[0]), f"the hooks: {slow.done}, {names}")


@pytest.mark.covers("hook:on_leave")
async def test_a_dead_instance_does_not_block_others_for_long(world: World) -> None:
    slow = SlowLeave()
    here = await world.start(hooks={"on_leave": slow.hook}, bus_ack_timeout=0.2)
    there = await world.start()
    await here.service.add_room("room")
    await there.joined("alice", "room")
    context = parts_of(there.service)
    # It hears nothing of the requests that are meant for it.
    await context.store.bus.unsubscribe(Topic(TopicKind.INSTANCE, context.instance_id()))
    await remove(here.service, "list")
    assert not await here.service.room_has_in_list("room", "userlist", "alice")


@pytest.mark.covers("notification:roomAccessRemoved")
@each_way
async def test_without_a_hook_removed_users_are_notified_immediately(spread: StartSpread, how: str) -> None:
    """Also while a command of theirs runs in the room."""
    gate, entered = asyncio.Event(), asyncio.Event()

    async def before(call: Any) -> None:
        entered.set()
        await gate.wait()

    nodes = await spread(hooks={"room_get_owner_before": before})
    await nodes.service.add_room("room", owner="alice", whitelist_only=how == "owner")
    if how != "owner":
        await nodes.service.change_room_owner("room", "owner")
    alice = await nodes[0].joined("alice", "room")
    waiting = asyncio.create_task(alice.emit("roomGetOwner", "room"))
    await entered.wait()
    await remove(nodes[1].service, how)
    await alice.wait_for("roomAccessRemoved", "room")
    gate.set()
    await waiting
    await alice.call("listOwnSockets")
    assert alice.received("roomAccessRemoved") == []


@pytest.mark.covers("notification:roomAccessRemoved", "command:roomLeave")
@pytest.mark.parametrize("with_hook", [False, True], ids=["", "on_leave"])
async def test_a_leave_during_the_removal_is_notified_once(world: World, with_hook: bool) -> None:
    gate, entered, left = asyncio.Event(), asyncio.Event(), []

    async def before(call: Any) -> None:
        entered.set()
        await gate.wait()

    hooks: dict[str, Any] = {"room_leave_before": before}
    if with_hook:
        hooks["on_leave"] = lambda service, info: left.append(info.id)
    instance = await world.start(hooks=hooks, bus_ack_timeout=0.1)
    service = instance.service
    await service.add_room("room")
    alice = await instance.joined("alice", "room")
    leaving = asyncio.create_task(alice.emit("roomLeave", "room"))
    await entered.wait()
    await service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["alice"])
    gate.set()
    assert await leaving == [None, 0]
    await alice.wait_for("roomAccessRemoved", "room")
    await service.exec_user_command(True, "roomRemoveFromList", "room", "blacklist", ["alice"])
    # And the next time once more.
    assert await alice.call("roomJoin", "room") == 1
    await service.delete_room("room")
    await alice.wait_for("roomAccessRemoved", "room")
    await alice.call("listOwnSockets")
    assert alice.received("roomAccessRemoved") == []
    assert left == ([alice.id] * 2 if with_hook else [])
