"""Messages and events that server code sends to rooms, users and sockets."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chat_service import ChatService, ChatServiceError
from chat_service.testing import wait_until
from tests.support.backends import ONE_STORE
from tests.support.markers import user_marker
from tests.support.spread import StartSpread
from tests.support.world import World

HI = {"textMessage": "hi"}


@pytest.mark.covers("api:broadcast", "error:noRoom")
async def test_broadcast_stores_and_sends_a_message(spread: StartSpread) -> None:
    made = await spread()
    await made.service.add_room("room")
    alice, bob = await made[1].joined("alice", "room"), await made[2].joined("bob", "room")
    assert await made.service.broadcast("room", {**HI, "author": "the house"}) == 1
    for client in (alice, bob):
        room, message = await client.wait_for("roomMessage")
        assert (room, message["id"], message["author"]) == ("room", 1, "the house")
    assert [message["id"] for message in await bob.call("roomRecentHistory", "room")] == [1]
    with pytest.raises(ChatServiceError, match="No such room"):
        await made.service.broadcast("nowhere", HI)


@pytest.mark.covers("api:broadcast", "error:badArgument")
@ONE_STORE
async def test_broadcast_checks_the_format_and_runs_hooks(world: World) -> None:
    service = (await world.start(hooks={"room_message_before": lambda call: "replaced"})).service
    await service.add_room("room")
    assert await service.broadcast("room", HI) == "replaced"
    with pytest.raises(ChatServiceError) as caught:
        await service.broadcast("room", {"text": "hi"})
    assert caught.value.code == "badArgument"


@pytest.mark.covers("api:broadcast_all")
async def test_broadcast_all_reaches_whoever_is_logged_in(spread: StartSpread) -> None:
    made = await spread(hooks={"on_connect": lambda service, socket_id: None})
    stranger = await made[1].transport.connect()
    await stranger.wait_for("loginRejected")
    made = await spread()
    clients = [await made[place].login(name) for place, name in enumerate(("alice", "alice", "bob"))]
    for number in range(20):
        made.service.broadcast_all("news", number, {"b": b"c"})
    for client in clients:
        await wait_until(lambda client=client: len(client.received("news")) == 20, "the news")
        assert client.received("news") == [[number, {"b": b"c"}] for number in range(20)]
    assert stranger.received("news") == []


@pytest.mark.covers("api:broadcast_all")
@ONE_STORE
async def test_broadcast_all_comes_after_the_confirmation(world: World) -> None:
    delivered = asyncio.Event()

    async def on_connect(service: ChatService, socket_id: str) -> str:
        service.broadcast_all("news", "early")
        service.send_to_socket(None, socket_id, "news", "early")
        service.cluster_bus.emit("delivered")
        await delivered.wait()
        return "alice"

    instance = await world.start(hooks={"on_connect": on_connect})
    instance.service.cluster_bus.on("delivered", delivered.set)
    client = await instance.transport.login("alice")
    await instance.service.broadcast_all("news", "late")
    assert await client.wait_for("news") == ["late"]


@pytest.mark.covers("api:send_to_user", "api:send_to_socket")
async def test_send_to_a_user_and_to_one_socket(spread: StartSpread) -> None:
    made = await spread()
    first, second = await made[1].login("alice"), await made[2].login("alice")
    bob = await made[1].login("bob")
    service = made.service
    service.send_to_user("alice", "badge", 1)
    service.send_to_socket("alice", first.id, "badge", 2)
    # Not this user's, and nobody's.
    service.send_to_socket("bob", first.id, "badge", 3)
    service.send_to_socket("alice", "nowhere", "badge", 4)
    await service.send_to_user("alice", "badge", 5)
    await wait_until(lambda: len(second.received("badge")) == 2, "the events")
    await wait_until(lambda: len(first.received("badge")) == 3, "the events")
    assert first.received("badge") == [[1], [2], [5]]
    assert second.received("badge") == [[1], [5]]
    await user_marker(service, "bob", bob)
    assert bob.received("badge") == []


@pytest.mark.covers("api:send_to_socket")
async def test_send_to_a_socket_without_its_user(spread: StartSpread) -> None:
    made = await spread()
    first, second = await made[1].login("alice"), await made[2].login("alice")
    await made.service.send_to_socket(None, second.id, "badge", 1)
    assert await second.wait_for("badge") == [1]
    await made.service.broadcast_all("last")
    await first.wait_for("last")
    assert first.received("badge") == []


CALLS: dict[str, Callable[..., Any]] = {
    "broadcast_all": lambda service, event, *data: service.broadcast_all(event, *data),
    "send_to_user": lambda service, event, *data: service.send_to_user("alice", event, *data),
    "send_to_socket": lambda service, event, *data: service.send_to_socket(None, "id", event, *data),
}


@pytest.mark.covers("api:broadcast_all", "api:send_to_user", "api:send_to_socket")
@pytest.mark.parametrize("name", CALLS)
@ONE_STORE
async def test_events_that_cannot_be_sent(world: World, name: str) -> None:
    service = (await world.start(max_attachments=1)).service
    for event in ("", "connect", None):
        with pytest.raises(ValueError, match="is not a valid event name"):
            CALLS[name](service, event)
    with pytest.raises(TypeError, match="event news: the data cannot be serialised"):
        CALLS[name](service, "news", object())
    with pytest.raises(ValueError, match="max_attachments is 1"):
        CALLS[name](service, "news", b"1", b"2")


@pytest.mark.covers("api:send_to_user", "api:send_to_socket", "error:invalidName")
@ONE_STORE
async def test_recipients_have_valid_names(world: World) -> None:
    service = (await world.start()).service
    for name in ("a:b", ""):
        with pytest.raises(ChatServiceError, match="contains invalid"):
            service.send_to_user(name, "news")
        with pytest.raises(ChatServiceError, match="contains invalid"):
            service.send_to_socket(name, "id", "news")
    with pytest.raises(TypeError, match="expected a name, got 5"):
        service.send_to_user(5, "news")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected the id of a socket, got None"):
        service.send_to_socket("alice", None, "news")  # type: ignore[arg-type]
