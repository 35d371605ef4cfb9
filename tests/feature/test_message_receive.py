"""The hook on_message_receive: what each recipient gets, in order, whatever the hook does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.contracts.bus import RoomEvent
from chat_service.testing import InProcessClient, wait_until
from tests.support.backends import ONE_STORE
from tests.support.faults import FaultyStore, as_store
from tests.support.markers import user_marker
from tests.support.parts import parts_of
from tests.support.spread import StartSpread
from tests.support.world import Instance, World

Hook = Callable[..., Any]


def message(text: str) -> dict[str, str]:
    return {"textMessage": text}


def texts(client: InProcessClient) -> list[tuple[int, str | None]]:
    """The ids and texts of the messages that a client got; None for a hidden one."""
    return [_shown(args[1]) for args in client.received("roomMessage")]


def _shown(got: dict[str, Any]) -> tuple[int, str | None]:
    if got.get("hidden"):
        assert got.keys() == {"id", "timestamp", "hidden"} and got["timestamp"] > 0
        return got["id"], None
    return got["id"], got["textMessage"]


async def got(client: InProcessClient, count: int) -> list[tuple[int, str | None]]:
    await wait_until(lambda: len(client.received("roomMessage")) >= count, f"{count} messages")
    return texts(client)


def for_bob(service: ChatService, user: str, socket_id: str, room: str, message: dict[str, Any]) -> Any:
    """Bob gets no secrets, and everything else in capitals."""
    if user != "bob":
        return message
    if "secret" in message["textMessage"]:
        return None
    message["textMessage"] = message["textMessage"].upper()
    return {**message, "id": 1000, "timestamp": -5, "for": [user, room, socket_id]}


async def for_bob_later(*args: Any) -> Any:
    await asyncio.sleep(0)
    return for_bob(*args)


@pytest.mark.covers("hook:on_message_receive", "command:roomHistoryGet", "command:roomRecentHistory")
@pytest.mark.parametrize("hook", [for_bob, for_bob_later])
async def test_each_recipient_gets_what_the_hook_returns(spread: StartSpread, hook: Hook) -> None:
    nodes = await spread(hooks={"on_message_receive": hook})
    await nodes.service.add_room("room")
    alice, bob = await nodes[1].joined("alice", "room"), await nodes[2].joined("bob", "room")
    said = ["one", "a secret", "three"]
    for text in said:
        await alice.call("roomMessage", "room", message(text))
    assert await got(alice, 3) == list(enumerate(said, 1))
    for_him = [(1, "ONE"), (2, None), (3, "THREE")]
    assert await got(bob, 3) == for_him
    [_, first], *_ = bob.received("roomMessage")
    assert (first["for"], first["author"]) == (["bob", "room", bob.id], "alice")
    assert first["timestamp"] > 0
    # Histories, and what a join reads.
    newest_first = await bob.call("roomHistoryGet", "room", 0, 10)
    assert [_shown(item) for item in newest_first] == for_him[::-1]
    assert [_shown(item) for item in await bob.call("roomRecentHistory", "room")] == for_him[::-1]
    carol = await nodes[0].login("bob")
    _, _, history = await carol.emit("roomJoin", "room", {"after": 0})
    assert [_shown(item) for item in history["messages"]] == for_him
    assert (history["recovered"], history["lastMessageId"]) == (True, 3)
    # Server code reads what is stored.
    [stored] = await nodes.service.exec_user_command("bob", "roomHistoryGet", "room", 0, 10)
    assert [item["textMessage"] for item in stored] == said[::-1]


class Gate:
    """A hook that waits, for one user, for the messages with the text "wait"."""

    def __init__(self, user: str = "bob") -> None:
        self.user = user
        self.open = asyncio.Event()
        self.waiting = 0
        self.ended = 0

    def __call__(self, service: ChatService, user: str, socket_id: str, room: str, message: Any) -> Any:
        if user != self.user or message["textMessage"] != "wait":
            return message
        return self._wait(message)

    async def _wait(self, message: Any) -> Any:
        self.waiting += 1
        try:
            await self.open.wait()
            return message
        finally:
            self.ended += 1


@pytest.mark.covers("hook:on_message_receive")
async def test_what_comes_later_waits_behind_a_waiting_message(spread: StartSpread) -> None:
    gate = Gate()
    nodes = await spread(hooks={"on_message_receive": gate}, enable_userlist_updates=True)
    service = nodes.service
    for room in ("room", "hall"):
        await service.add_room(room)
    alice = await nodes[1].joined("alice", "room", "hall")
    bob, again = await nodes[2].joined("bob", "room", "hall"), await nodes[2].joined("bob", "room")
    await alice.wait_for("roomUserJoined", "room", "bob")
    for client in (bob, again):
        client.clear()
    for text in ("one", "wait", "three", "wait", "five"):
        await service.broadcast("room", message(text))
    carol = await nodes[0].joined("carol", "room")
    await service.transport.emit_to_channel("room", "news")
    # Only this room waits, and only for this user.
    await service.broadcast("hall", message("elsewhere"))
    await bob.wait_for("roomMessage", "hall")
    assert [text for _, text in await got(alice, 6)] == ["one", "wait", "three", "wait", "five", "elsewhere"]
    assert (await alice.wait_for("news"), await carol.wait_for("news")) == ([], [])
    assert (texts(bob), bob.received("news"), bob.received("roomUserJoined")) == ([(1, "one")], [], [])
    gate.open.set()
    for client in (bob, again):
        await client.wait_for("news")
        assert [args[1]["id"] for args in client.received("roomMessage")] == [1, 2, 3, 4, 5]
        order = [name for name, _ in client.events if name in ("roomMessage", "roomUserJoined")]
        assert order == ["roomMessage"] * 5 + ["roomUserJoined"]
    assert gate.waiting == gate.ended == 4


def raises(*args: Any) -> Any:
    raise RuntimeError("broken hook")


async def raises_later(*args: Any) -> Any:
    raise RuntimeError("broken hook")


async def hangs(*args: Any) -> Any:
    await asyncio.Event().wait()


async def cancels(*args: Any) -> Any:
    raise asyncio.CancelledError


BROKEN: dict[str, tuple[Hook, str]] = {
    "raises": (raises, "broken hook"),
    "raises later": (raises_later, "broken hook"),
    "is cancelled": (cancels, "CancelledError"),
    "takes too long": (hangs, "TimeoutError"),
    "no message": (lambda *args: "garbage", "returned a value that cannot be sent: 'garbage'"),
    "cannot be sent": (lambda *args: {"a": object()}, "returned a value that cannot be sent"),
    "too many binaries": (lambda *args: {"a": [b"1", b"2", b"3"]}, "returned a value that cannot be sent"),
}


@pytest.mark.covers("hook:on_message_receive", "option:hook_timeout")
@pytest.mark.parametrize("broken", BROKEN)
@ONE_STORE
async def test_a_hook_that_fails_hides(world: World, caplog: pytest.LogCaptureFixture, broken: str) -> None:
    hook, logged = BROKEN[broken]
    instance = await world.start(hooks={"on_message_receive": hook}, hook_timeout=0.02, max_attachments=2)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    for text in ("one", "two", "three"):
        await alice.call("roomMessage", "room", message(text))
    assert await got(alice, 3) == [(1, None), (2, None), (3, None)]
    assert [_shown(item) for item in await alice.call("roomRecentHistory", "room")] == [
        (3, None),
        (2, None),
        (1, None),
    ]
    # One line for many failures.
    assert caplog.text.count("the on_message_receive hook failed, so a message was hidden") == 1
    assert logged in caplog.text


@pytest.mark.covers("hook:on_message_receive", "option:receive_backlog_limit")
@ONE_STORE
async def test_too_much_that_waits_ends_the_connection(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A hook that hangs, and a client that floods: nobody else notices."""
    gate = Gate()
    instance = await world.start(hooks={"on_message_receive": gate}, receive_backlog_limit=20_000)
    service = instance.service
    for room in ("room", "hall"):
        await service.add_room(room)
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room", "hall")
    for room in ("room", "hall"):
        await service.broadcast(room, message("wait"))
    count = 0
    while bob.connected:
        await alice.call("roomMessage", "room", message("x" * 100))
        count += 1
        await asyncio.sleep(0)
        assert count < 200
    assert 20 < count < 100
    await wait_until(lambda: gate.ended == gate.waiting == 2, "the end of the hooks")
    assert f"disconnecting socket {bob.id} of user bob as a slow consumer" in caplog.text
    assert len(texts(alice)) == count + 1 and texts(bob) == []
    assert parts_of(service).counters.slow_hooks == 1
    screen = parts_of(service).delivery.screen
    await wait_until(lambda: repr(screen) == "<Screening lines=0 sockets=0>", f"nothing is left: {screen}")
    # The user comes back, and gets what was missed.
    gate.open.set()
    bob = await instance.login("bob")
    _, _, history = await bob.emit("roomJoin", "room", {"recent": 2})
    assert history["lastMessageId"] == count + 1


async def _by_leaving(instance: Instance, bob: InProcessClient) -> None:
    await bob.call("roomLeave", "room")


async def _by_removal(instance: Instance, bob: InProcessClient) -> None:
    await instance.service.remove_member("bob", "room")


async def _by_lost_access(instance: Instance, bob: InProcessClient) -> None:
    await instance.service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["bob"])
    await bob.wait_for("roomAccessRemoved")


async def _by_disconnect(instance: Instance, bob: InProcessClient) -> None:
    await bob.disconnect()


@pytest.mark.covers("hook:on_message_receive")
@pytest.mark.parametrize("way", [_by_leaving, _by_removal, _by_lost_access, _by_disconnect])
@ONE_STORE
async def test_nothing_comes_after_the_socket_has_left(
    world: World, way: Callable[[Instance, InProcessClient], Awaitable[None]]
) -> None:
    gate = Gate()
    instance = await world.start(hooks={"on_message_receive": gate})
    service = instance.service
    await service.add_room("room")
    bob = await instance.joined("bob", "room")
    for text in ("wait", "two", "wait"):
        await service.broadcast("room", message(text))
    await wait_until(lambda: gate.waiting == 1, "the hook")
    await way(instance, bob)
    await wait_until(lambda: gate.ended == 1, "the end of the hook")
    assert texts(bob) == []
    if way is _by_leaving:
        # It is back, and the hook is asked again.
        gate.open.set()
        await bob.call("roomJoin", "room")
        await service.broadcast("room", message("wait"))
        assert await got(bob, 1) == [(4, "wait")]


@pytest.mark.covers("hook:on_message_receive")
@ONE_STORE
async def test_nothing_comes_after_access_was_lost_while_a_command_runs(world: World) -> None:
    """The rest of the leave waits for the command, but the messages that wait are gone at once."""
    gate, command = Gate(), asyncio.Event()

    async def before(call: Any) -> None:
        if call.user_name == "bob":
            await command.wait()

    instance = await world.start(hooks={"on_message_receive": gate, "room_message_before": before})
    service = instance.service
    await service.add_room("room")
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    await bob.send("roomMessage", "room", message("mine"))
    await service.broadcast("room", message("wait"))
    await wait_until(lambda: gate.waiting == 1, "the hook")
    await service.exec_user_command(True, "roomAddToList", "room", "blacklist", ["bob"])
    await service.broadcast("room", message("after"))
    assert [text for _, text in await got(alice, 2)] == ["wait", "after"]
    gate.open.set()
    await wait_until(lambda: gate.ended == 1, "the end of the hook")
    await user_marker(service, "bob", bob)
    command.set()
    await bob.wait_for("roomAccessRemoved")
    assert texts(bob) == []


@pytest.mark.covers("hook:on_message_receive", "api:remove_member")
@ONE_STORE
async def test_a_hook_may_remove_its_recipient(world: World) -> None:
    ended: list[str] = []

    async def remove(service: ChatService, user: str, socket_id: str, room: str, message: Any) -> Any:
        if user == "bob":
            await service.remove_member(user, room)
            ended.append(socket_id)
        return message

    instance = await world.start(hooks={"on_message_receive": remove})
    service = instance.service
    await service.add_room("room")
    alice = await instance.joined("alice", "room")
    bobs = [await instance.joined("bob", "room") for _ in range(2)]
    await alice.call("roomMessage", "room", message("hi"))
    assert await got(alice, 1) == [(1, "hi")]
    await wait_until(lambda: bool(ended), "the removal")
    for bob in bobs:
        await user_marker(service, "bob", bob)
        assert texts(bob) == []
        assert await bob.call("roomLeave", "room") == 0
    assert not await service.room_has_in_list("room", "userlist", "bob")


@pytest.mark.covers("hook:on_message_receive")
async def test_messages_that_are_filled_in_go_through_the_hook(world: World) -> None:
    store = FaultyStore(world.backend.new_store())
    hooks = {"on_message_receive": for_bob_later}
    first = await world.start()
    second = await world.start(store=as_store(store), hooks=hooks)
    await first.service.add_room("room")
    bob = await second.joined("bob", "room")
    lost = (2, 3)
    store.loses = lambda topic, envelope: isinstance(envelope, RoomEvent) and envelope.last_message_id in lost
    for text in ("one", "a secret", "three", "four"):
        await first.service.broadcast("room", message(text))
    assert await got(bob, 4) == [(1, "ONE"), (2, None), (3, "THREE"), (4, "FOUR")]


@pytest.mark.covers("hook:on_message_receive")
@ONE_STORE
async def test_messages_during_a_join_come_after_its_answer_through_the_hook(world: World) -> None:
    gate, joined = asyncio.Event(), asyncio.Event()

    async def on_join(service: ChatService, info: Any) -> None:
        joined.set()
        await gate.wait()

    instance = await world.start(hooks={"on_message_receive": for_bob_later, "on_join": on_join})
    await instance.service.add_room("room")
    bob = await instance.login("bob")
    joining = asyncio.create_task(bob.emit("roomJoin", "room"))
    await joined.wait()
    for text in ("one", "a secret"):
        await instance.service.broadcast("room", message(text))
    gate.set()
    assert await joining == [None, 1]
    assert await got(bob, 2) == [(1, "ONE"), (2, None)]


@pytest.mark.covers("hook:on_message_receive", "api:on")
@ONE_STORE
async def test_without_the_hook_nothing_is_asked(world: World) -> None:
    instance = await world.start()
    service = instance.service
    assert parts_of(service).delivery.screen is None
    await service.add_room("room")
    alice = await instance.joined("alice", "room")
    await service.broadcast("room", message("one"))
    # It may be set later, too.
    service.on("on_message_receive")(lambda *args: None)
    await service.broadcast("room", message("two"))
    assert await got(alice, 2) == [(1, "one"), (2, None)]


@pytest.mark.covers("hook:on_message_receive", "command:roomRecentHistory", "command:roomJoin")
async def test_folded_histories_hide_what_is_hidden(world: World) -> None:
    """Neither a hidden message nor a hidden edit shows in what is folded."""
    instance = await world.start(hooks={"on_message_receive": for_bob})
    await instance.service.add_room("room")
    alice, bob = await instance.joined("alice", "room"), await instance.joined("bob", "room")
    for text, options in {
        "one": {},
        "a secret": {},
        "a secret edit": {"edits": 1},
        "known": {"edits": 2},
        "three": {},
        "third": {"edits": 5},
    }.items():
        await alice.call("roomMessage", "room", message(text), options)
    [newest_first] = (await bob.emit("roomRecentHistory", "room", {"fold": True}))[1:]
    one, secret, edit, *others = newest_first[::-1]
    assert (one["textMessage"], one["interactions"]["edited"]) == ("ONE", True)
    for hidden in (secret, edit):
        assert hidden.keys() == {"id", "timestamp", "hidden"}
    assert [item.get("textMessage") for item in others] == [None, "THIRD", None]
    again = await instance.login("bob")
    _, _, history = await again.emit("roomJoin", "room", {"after": 0, "fold": True})
    for item in (*history["messages"], *newest_first):
        # Names the socket.
        item.pop("for", None)
    assert history["messages"] == newest_first[::-1]
