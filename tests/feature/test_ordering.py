"""Order: one socket's commands to a room take effect in the order sent, however slow the hooks are."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatService, ChatServiceError
from chat_service.hooks import CommandCall, MembershipInfo
from chat_service.testing import InProcessClient, wait_until
from tests.support.markers import room_marker, told
from tests.support.spread import StartSpread
from tests.support.wire_errors import wire_error
from tests.support.world import World

ORDER = "better:order of one socket's commands"


async def turns(count: int) -> None:
    """Let everything else run this number of times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def at_once(client: InProcessClient, *commands: tuple[Any, ...]) -> list[Any]:
    """Emit commands in this order without waiting for answers; return each one's error or data."""
    acks = await asyncio.gather(*(client.emit(*command) for command in commands))
    return [ack[1] if ack[0] is None else ack[0] for ack in acks]


def text(value: Any) -> dict[str, str]:
    return {"textMessage": str(value)}


@pytest.mark.covers(ORDER, "command:roomMessage", "hook:before")
async def test_messages_are_stored_in_the_order_sent(spread: StartSpread) -> None:
    async def slow(call: CommandCall) -> None:
        # The first ones are the slowest.
        await turns(40 - 2 * int(call.args[1]["textMessage"]))

    nodes = await spread(hooks={"room_message_before": slow})
    await nodes.service.add_room("room")
    alice, bob = await nodes[0].joined("alice", "room"), await nodes[1].joined("bob", "room")
    sent = [("roomMessage", "room", text(number)) for number in range(20)]
    assert await at_once(alice, *sent) == list(range(1, 21))
    for _ in range(20):
        await bob.wait_for("roomMessage")
    history = await bob.call("roomRecentHistory", "room")
    assert [message["textMessage"] for message in reversed(history)] == [str(n) for n in range(20)]


@pytest.mark.covers(ORDER, "command:roomJoin", "command:roomLeave", "command:roomMessage", "hook:on_join")
async def test_joins_leaves_and_messages_take_effect_in_the_order_sent(spread: StartSpread) -> None:
    async def slow(*args: Any) -> None:
        await turns(30)

    names = ("room_join_before", "room_leave_after", "on_join", "on_leave")
    nodes = await spread(hooks=dict.fromkeys(names, slow))
    await nodes.service.add_room("room")
    alice = await nodes[0].login("alice")
    results = await at_once(
        alice,
        ("roomMessage", "room", text("early")),
        ("roomJoin", "room"),
        ("roomMessage", "room", text("first")),
        ("roomJoin", "room"),
        ("roomJoin", 5),
        ("roomLeave", "room"),
        ("roomMessage", "room", text("between")),
        ("roomRecentHistory", "room"),
        ("roomJoin", "room"),
        ("roomMessage", "room", text("second")),
        ("roomLeave", "room"),
    )
    refused = wire_error("notJoined", "room")
    bad = wire_error("badArgument", 0, 5)
    assert results == [refused, 1, 1, 1, bad, 0, refused, refused, 1, 2, 0]
    heard = [message["textMessage"] for _, message in alice.received("roomMessage")]
    assert heard == ["first", "second"]


@pytest.mark.covers(ORDER)
async def test_other_rooms_sockets_and_commands_do_not_wait(world: World) -> None:
    gate = asyncio.Event()

    async def hold(call: CommandCall) -> None:
        if call.args[1] == text("slow"):
            await gate.wait()

    instance = await world.start(hooks={"room_message_before": hold})
    for room in ("room", "other"):
        await instance.service.add_room(room)
    alice, second = [await instance.joined("alice", "room", "other") for _ in range(2)]
    bob = await instance.joined("bob", "room")
    slow = asyncio.create_task(alice.call("roomMessage", "room", text("slow")))
    waiting = asyncio.create_task(alice.call("roomMessage", "room", text("waits")))
    await turns(5)
    assert await second.call("roomMessage", "room", text("x")) == 1
    assert await bob.call("roomMessage", "room", text("x")) == 2
    assert await alice.call("roomMessage", "other", text("x")) == 1
    assert await alice.call("directMessage", "bob", text("x"))
    assert await alice.call("systemMessage", 1) is None
    assert set(await alice.call("listOwnSockets")) == {alice.id, second.id}
    assert not slow.done() and not waiting.done()
    gate.set()
    assert (await slow, await waiting) == (3, 4)


@pytest.mark.covers(ORDER, "better:no reading or posting after a removal")
async def test_a_slow_message_of_a_user_who_was_removed_is_refused(spread: StartSpread) -> None:
    gate = asyncio.Event()
    nodes = await spread(hooks={"room_message_before": _held_by(gate)})
    await nodes.service.add_room("room", owner="owner")
    alice, owner = await nodes[0].joined("alice", "room"), await nodes[1].login("owner")
    message = asyncio.create_task(alice.emit("roomMessage", "room", text("late")))
    await turns(5)
    await owner.call("roomAddToList", "room", "blacklist", ["alice"])
    gate.set()
    assert (await message)[0] == wire_error("notJoined", "room")
    assert await owner.call("roomRecentHistory", "room") == []


def _held_by(gate: asyncio.Event) -> Any:
    async def hold(call: CommandCall) -> None:
        await gate.wait()

    return hold


@pytest.mark.covers(ORDER, "hook:before", "api:exec_user_command")
async def test_a_hook_may_run_a_command_of_the_same_socket_and_room(world: World) -> None:
    async def greet(call: CommandCall) -> None:
        context = {"user_name": call.user_name, "id": call.id}
        if call.args[1] == text("hello"):
            await call.service.exec_user_command(context, "roomMessage", "room", text("before"))

    async def join_first(call: CommandCall) -> None:
        context = {"user_name": call.user_name, "id": call.id, "bypass_hooks": True}
        await call.service.exec_user_command(context, "roomJoin", call.args[0])

    hooks = {"room_message_before": greet, "room_recent_history_before": join_first}
    instance = await world.start(hooks=hooks)
    await instance.service.add_room("room")
    alice = await instance.login("alice")
    assert await alice.call("roomRecentHistory", "room") == []
    assert await alice.call("roomMessage", "room", text("hello")) == 2
    await room_marker(instance.service, "room", alice)
    assert [m["textMessage"] for _, m in alice.received("roomMessage")][:2] == ["before", "hello"]


@pytest.mark.covers(ORDER, "hook:on_join")
async def test_a_failed_command_or_undone_join_does_not_block_the_next(world: World) -> None:
    async def refuse(service: ChatService, info: MembershipInfo) -> None:
        await turns(10)
        if not await service.room_has_in_list("room", "whitelist", info.user_name):
            raise ChatServiceError("notYet")

    instance = await world.start(hooks={"on_join": refuse}, enable_userlist_updates=True)
    service = instance.service
    await service.add_room("room", whitelist=["bob"])
    bob, alice, second = await instance.joined("bob", "room"), *[await instance.login("alice") for _ in "ab"]
    results = await at_once(
        alice, ("roomJoin", "room"), ("roomMessage", "room", text("x")), ("roomLeave", "room")
    )
    assert results == ["ChatServiceError: notYet", wire_error("notJoined", "room"), 0]
    await room_marker(service, "room", bob)
    assert [name for name, _ in told(bob)] == []
    assert second.received("roomJoinedEcho") == []
    assert await alice.call("listOwnSockets") == {alice.id: [], second.id: []}


@pytest.mark.covers(ORDER, "hook:on_join", "hook:on_leave", "api:exec_user_command")
async def test_joins_and_leaves_of_a_socket_and_room_never_overlap(spread: StartSpread) -> None:
    log: list[tuple[str, str]] = []

    def hook(name: str) -> Any:
        async def run(service: ChatService, info: MembershipInfo) -> None:
            log.append((name, "begin"))
            await turns(7)
            log.append((name, "end"))

        return run

    nodes = await spread(hooks={"on_join": hook("join"), "on_leave": hook("leave")})
    await nodes.service.add_room("room")
    alice = await nodes[0].login("alice")
    context = {"user_name": "alice", "id": alice.id}
    work: list[Any] = []
    for number in range(12):
        command = "roomJoin" if number % 2 else "roomLeave"
        other = "roomLeave" if number % 2 else "roomJoin"
        work.append(alice.call(command, "room"))
        work.append(nodes[number].service.exec_user_command(context, other, "room"))
    await asyncio.gather(*work)
    await alice.disconnect()
    assert len(log) >= 4
    expected = [("join", "begin"), ("join", "end"), ("leave", "begin"), ("leave", "end")]
    assert log == expected * (len(log) // 4)


@pytest.mark.covers(ORDER, "notification:roomLeftEcho")
async def test_commands_sent_before_a_disconnect_are_finished_first(spread: StartSpread) -> None:
    gate = asyncio.Event()
    nodes = await spread(hooks={"room_message_before": _held_by(gate)}, enable_userlist_updates=True)
    await nodes.service.add_room("room")
    alice, bob = await nodes[0].joined("alice", "room"), await nodes[1].joined("bob", "room")
    message = asyncio.create_task(alice.emit("roomMessage", "room", text("last words")))
    late_join = asyncio.create_task(alice.emit("roomJoin", "room"))
    await turns(5)
    leaving = asyncio.create_task(alice.disconnect())
    await turns(5)
    gate.set()
    await asyncio.gather(message, late_join, leaving)
    await bob.wait_for("roomUserLeft", "room", "alice")
    assert [message["textMessage"] for _, message in bob.received("roomMessage")] == ["last words"]
    assert await bob.call("roomGetAccessList", "room", "userlist") == ["bob"]
    assert await nodes.service.exec_user_command("alice", "listOwnSockets") == [{}]


@pytest.mark.covers(ORDER, "command:roomDelete", "command:roomJoin", "notification:roomMessage")
@pytest.mark.parametrize("joins", [1, 2, 3])
async def test_joins_that_waited_while_the_room_was_recreated(world: World, joins: int) -> None:
    gate = asyncio.Event()
    instance = await world.start(hooks={"room_get_owner_before": _held_by(gate)})
    service = instance.service
    await service.add_room("room")
    alice = await instance.joined("alice", "room")
    waiting = asyncio.create_task(at_once(alice, ("roomGetOwner", "room"), *[("roomJoin", "room")] * joins))
    await turns(5)
    await service.delete_room("room")
    await service.add_room("room")
    gate.set()
    assert await waiting == [wire_error("notJoined", "room"), *[1] * joins]
    for _ in range(2):
        await room_marker(service, "room", alice)
    ids = [message["id"] for _, message in alice.received("roomMessage")]
    assert ids == [1, 2]
    bob = await instance.joined("bob", "room")
    await room_marker(service, "room", alice, bob)
    await wait_until(lambda: len(alice.received("roomMessage")) == 3, "the third message")


@pytest.mark.covers("command:roomDelete", "command:roomJoin", "notification:roomAccessRemoved")
async def test_a_short_life_of_a_room_that_the_instance_missed(world: World) -> None:
    gate = asyncio.Event()
    instance = await world.start(hooks={"room_get_owner_before": _held_by(gate)})
    service = instance.service
    await service.add_room("room")
    alice, bob = await instance.joined("alice", "room"), await instance.login("bob")
    waiting = asyncio.create_task(alice.emit("roomGetOwner", "room"))
    await turns(5)
    # Alice's command keeps the instance listening to the room that was.
    await service.delete_room("room")
    await service.add_room("room")
    await bob.call("roomJoin", "room")
    await service.exec_user_command(True, "roomMessage", "room", text("unheard"))
    await service.delete_room("room")
    for client in (alice, bob):
        await client.wait_for("roomAccessRemoved", "room")
    gate.set()
    assert (await waiting)[0] == wire_error("noRoom", "room")
    await service.add_room("room")
    for client in (alice, bob):
        client.clear()
        assert await client.call("roomJoin", "room") == 1
    await room_marker(service, "room", alice, bob)
    assert (told(alice), told(bob)) == ([], [])
