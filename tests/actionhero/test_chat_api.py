"""ActionHero's chat API of the server. A client of any transport is a connection."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from chat_service import ChatServiceError
from chat_service.actionhero import ActionHeroChat, ActionHeroError, Connection
from chat_service.testing import InProcessClient
from tests.support.backends import ONE_STORE
from tests.support.world import Instance, World


async def start(world: World) -> tuple[Instance, ActionHeroChat]:
    instance = world.make()
    chat = ActionHeroChat(instance.service)
    await instance.service.start()
    return instance, chat


def texts(client: InProcessClient) -> list[str]:
    """The texts of the messages that a client has got."""
    return [message.get("textMessage", "hidden") for _, message in client.received("roomMessage")]


async def joined(instance: Instance, name: str, room: str = "lobby") -> InProcessClient:
    client = await instance.login(name)
    await client.call("roomJoin", room)
    return client


async def test_rooms_are_added_listed_and_destroyed(world: World) -> None:
    _, chat = await start(world)
    assert await chat.list() == []
    await chat.add("lobby")
    await chat.add("attic")
    assert (await chat.exists("lobby"), await chat.exists("cellar")) == (True, False)
    with pytest.raises(ActionHeroError, match=r"^room exists$"):
        await chat.add("lobby")
    assert sorted(await chat.list()) == ["attic", "lobby"]
    await chat.destroy("attic")
    assert await chat.list() == ["lobby"]
    with pytest.raises(ActionHeroError, match=r"^room does not exist$"):
        await chat.destroy("attic")
    with pytest.raises(ActionHeroError, match=r"^room does not exist$"):
        await chat.room_status("attic")


async def test_members_of_other_instances_are_added_and_removed(world: World) -> None:
    instance, chat = await start(world)
    there = await world.start(hooks={"on_connect": lambda service, socket_id: socket_id})
    await chat.add("lobby")
    ann = await instance.login("ann")
    # A connection of another instance is a guest, who is named by its id.
    bob = await there.login("bob")
    for member in (ann, bob):
        assert await chat.add_member(member.id, "lobby") is True
        with pytest.raises(ActionHeroError, match=r"^connection already in this room \(lobby\)$"):
            await chat.add_member(member.id, "lobby")
        with pytest.raises(ActionHeroError, match=r"^room does not exist$"):
            await chat.add_member(member.id, "attic")
        assert await chat.remove_member(member.id, "lobby") is True
        with pytest.raises(ActionHeroError, match=r"^connection not in this room \(lobby\)$"):
            await chat.remove_member(member.id, "lobby")


async def test_destroyed_room_tells_its_members_and_is_empty(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")
    ann = await joined(instance, "ann")
    await chat.destroy("lobby")
    await ann.wait_for("roomAccessRemoved", "lobby")
    assert texts(ann) == ["this room has been deleted"]
    assert chat.connection(ann.id).rooms == ()
    await chat.add("lobby")
    assert (await chat.room_status("lobby"))["membersCount"] == 0


async def test_status_has_every_member_and_joined_at_rises(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")
    await joined(instance, "ann")
    before = (await chat.room_status("lobby"))["members"]["ann"]["joinedAt"]
    await asyncio.sleep(0.002)  # another millisecond
    await joined(instance, "bob")
    status = await chat.room_status("lobby")
    assert (status["room"], status["membersCount"]) == ("lobby", 2)
    assert status["members"]["ann"] == {"id": "ann", "joinedAt": before}
    assert status["members"]["bob"]["joinedAt"] > before


async def test_join_and_leave_are_announced_by_the_server(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")

    async def join(connection: Connection, room: str) -> None:
        assert room not in connection.rooms
        await chat.broadcast({}, room, f"in: {connection.user_name}")

    async def leave(connection: Connection, room: str) -> None:
        await chat.broadcast(None, room, f"out: {connection.user_name}")

    chat.add_middleware(name="announce", join=join, leave=leave)
    ann = await joined(instance, "ann")
    bob = await joined(instance, "bob")
    await ann.wait_for("roomMessage", "lobby")
    assert ann.events == []
    await bob.call("roomLeave", "lobby")
    # A joiner does not hear its own announcement, a leaver does.
    assert texts(bob) == ["out: bob"]
    (_, message) = await ann.wait_for("roomMessage", "lobby")
    assert (message["textMessage"], message.get("author")) == ("out: bob", None)
    cat = await joined(instance, "cat")
    await ann.wait_for("roomMessage", "lobby")
    await cat.disconnect()
    assert (await ann.wait_for("roomMessage", "lobby"))[1]["textMessage"] == "out: cat"
    # Neither a repeated join nor a leave of somebody else changes anything.
    await ann.call("roomJoin", "lobby")
    await bob.call("roomLeave", "lobby")
    assert ann.received("roomMessage") == []


async def test_join_and_leave_may_be_refused(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")
    await chat.add("hotel")

    def join(connection: Connection, room: str) -> None:
        if room == "lobby":
            raise ChatServiceError("joining rooms blocked")

    async def leave(connection: Connection, room: str) -> None:
        raise ChatServiceError("Hotel California")

    chat.add_middleware(name="guard", join=join, leave=leave)
    ann = await instance.login("ann")
    assert await ann.error("roomJoin", "lobby") == "ChatServiceError: joining rooms blocked"
    with pytest.raises(ChatServiceError, match="joining rooms blocked"):
        await chat.add_member(ann.id, "lobby")
    await ann.call("roomJoin", "hotel")
    assert await ann.error("roomLeave", "hotel") == "ChatServiceError: Hotel California"
    with pytest.raises(ChatServiceError, match="Hotel California"):
        await chat.remove_member(ann.id, "hotel")
    assert list((await chat.room_status("hotel"))["members"]) == ["ann"]
    assert chat.connection(ann.id).rooms == ("hotel",)
    chat.add_middleware(name="guard")


async def test_leaver_hears_its_announcement_through_a_middleware_that_waits(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")

    async def leave(connection: Connection, room: str) -> None:
        await chat.broadcast(None, room, "out")
        await chat.broadcast(None, room, "really")

    async def say(connection: Connection, room: str, payload: dict[str, Any]) -> dict[str, Any]:
        for _ in range(5):
            await asyncio.sleep(0)
        return payload

    chat.add_middleware(name="announce", leave=leave, say=say)
    ann = await joined(instance, "ann")
    await ann.call("roomLeave", "lobby")
    assert texts(ann) == ["out", "really"]


@ONE_STORE
async def test_leave_that_another_hook_refuses_is_not_announced(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")
    left: list[str] = []
    chat.add_middleware(name="note", leave=lambda connection, room: left.append(connection.id))

    @instance.service.before("roomLeave", priority=5000)
    async def refuse(call: Any) -> None:
        raise ChatServiceError("notAllowed")

    ann = await joined(instance, "ann")
    assert await ann.error("roomLeave", "lobby") == "ChatServiceError: Action is not allowed"
    assert left == []
    # It is announced when it happens.
    await ann.disconnect()
    assert left == [ann.id]


async def test_say_middlewares_run_for_each_recipient_in_order_of_priority(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")
    ann, bob, cat = [await joined(instance, name) for name in ("ann", "bob", "cat")]
    first, waits = asyncio.Event(), asyncio.Event()

    async def second(connection: Connection, room: str, payload: dict[str, Any]) -> dict[str, Any]:
        if connection.user_name == "ann" and not first.is_set():
            first.set()
            await waits.wait()
        payload["message"] += f" to {connection.user_name} from {payload['from']}"
        return payload

    def earlier(connection: Connection, room: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        if connection.user_name == "bob":
            return None
        payload["message"] = "changed"
        return payload

    chat.add_middleware(name="second", priority=2000, say=second)
    chat.add_middleware(name="first", priority=1000, say=earlier)
    await cat.call("roomMessage", "lobby", {"textMessage": "hi"})
    await cat.wait_for("roomMessage", "lobby")
    await first.wait()
    # One who waits does not hold up the others, and gets the message once.
    assert texts(ann) == []
    waits.set()
    (_, message) = await ann.wait_for("roomMessage", "lobby")
    assert message["textMessage"] == "changed to ann from cat"
    await ann.call("roomMessage", "lobby", {"textMessage": "hi"})
    await ann.wait_for("roomMessage", "lobby")
    assert texts(ann) == []
    for number in (1, 2):
        (_, message) = await bob.wait_for("roomMessage", "lobby")
        assert (message["id"], message["hidden"], len(message)) == (number, True, 3)
    assert texts(bob) == []


async def test_error_of_say_drops_the_message_for_its_recipient(world: World, caplog: Any) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")
    ann, bob = [await joined(instance, name) for name in ("ann", "bob")]

    async def say(connection: Connection, room: str, payload: dict[str, Any]) -> dict[str, Any]:
        if connection.user_name == "ann":
            raise ValueError("messages blocked")
        return payload

    chat.add_middleware(name="block", say=say)
    await ann.call("roomMessage", "lobby", {"textMessage": "hi"})
    assert (await bob.wait_for("roomMessage", "lobby"))[1]["textMessage"] == "hi"
    assert (await ann.wait_for("roomMessage", "lobby"))[1]["hidden"] is True
    assert "messages blocked" in caplog.text


async def test_on_say_receive_runs_once_at_the_sender(world: World) -> None:
    instance, chat = await start(world)
    there = await world.start()
    await chat.add("lobby")
    ann, bob = await joined(instance, "ann"), await joined(there, "bob")
    calls = []

    async def receive(connection: Connection, room: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        calls.append((connection.user_name, payload["from"], payload["message"]))
        if payload["message"] == "psst":
            return None
        payload["message"] += "!"
        return payload

    chat.add_middleware(name="receive", on_say_receive=receive)
    await ann.call("roomMessage", "lobby", {"textMessage": "psst"})
    await ann.call("roomMessage", "lobby", {"textMessage": "hi"})
    await chat.broadcast(None, "lobby", "news")
    for client in (ann, bob):
        found = [(await client.wait_for("roomMessage", "lobby"))[1] for _ in range(2)]
        assert [message["textMessage"] for message in found] == ["hi!", "news!"]
    assert calls == [("ann", "ann", "psst"), ("ann", "ann", "hi"), (None, "0", "news")]


async def test_server_speaks_for_a_connection_that_is_in_the_room(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")
    ann = await joined(instance, "ann")
    bob = await instance.login("bob")
    await chat.broadcast(chat.connection(ann.id), "lobby", "mine")
    (_, message) = await ann.wait_for("roomMessage", "lobby")
    assert (message["author"], message["textMessage"]) == ("ann", "mine")
    with pytest.raises(ActionHeroError, match=r"^connection not in this room \(lobby\)$"):
        await chat.broadcast(bob.id, "lobby", "not mine")
    for room, said in (("", "hi"), ("lobby", ""), ("lobby", None)):
        with pytest.raises(ActionHeroError, match=r"^both room and message are required$"):
            await chat.broadcast(None, room, said)


async def test_member_details_are_generated_and_sanitised(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")
    chat.generate_member_details = lambda connection: {"type": connection.type, "secret": "s"}

    def sanitize(details: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"type": details["type"]}

    chat.sanitize_member_details = sanitize
    ann = await joined(instance, "ann")
    (member,) = (await chat.room_status("lobby"))["members"].values()
    assert (member.pop("joinedAt") > 0, member) == (True, {"id": "ann", "type": chat.connection(ann.id).type})


@ONE_STORE
async def test_middleware_of_the_same_name_is_replaced(world: World) -> None:
    instance, chat = await start(world)
    await chat.add("lobby")
    seen: list[str] = []
    chat.add_middleware(name="note", join=lambda connection, room: seen.append("old"))
    chat.add_middleware(name="note", join=lambda connection, room: seen.append("new"))
    await joined(instance, "ann")
    assert seen == ["new"]
