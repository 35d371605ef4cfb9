"""Logins that expire: notice, refresh and grace period; users who are deleted with their last socket."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatService, ChatServiceError, Login
from chat_service.contracts.records import SYSTEM
from chat_service.testing import FakeClock, wait_until
from chat_service.types import RoomName
from tests.support.backends import ONE_STORE, InMemory, InRedis
from tests.support.parts import parts_of
from tests.support.world import Instance, World

ROOM = RoomName("lobby")


async def start(world: World, clock: FakeClock, answer: Any = None, **options: Any) -> Instance:
    """Logins end after 1,000 s. ``answer``: what ``on_refresh`` returns or raises."""
    now = clock.now_ms() / 1000

    async def on_refresh(service: ChatService, socket_id: str, credentials: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer(credentials) if callable(answer) else answer

    hooks: dict[str, Any] = {"on_connect": lambda *_: Login("alice", {"role": "x"}, expires_at=now + 1000)}
    if answer is not None:
        hooks["on_refresh"] = on_refresh
    return await world.start(clock=clock, hooks=hooks, auto_recovery=False, **options)


@ONE_STORE
@pytest.mark.covers("notification:loginExpiring", "option:login_expiry_notice", "option:login_expiry_grace")
async def test_a_client_is_warned_and_then_disconnected(world: World) -> None:
    clock = FakeClock()
    instance = await start(world, clock, login_expiry_notice=100, login_expiry_grace=20)
    client = await instance.transport.connect()
    assert await client.wait_for("loginConfirmed") == ["alice", {"role": "x", "id": client.id}]
    await clock.advance(899)
    assert client.received("loginExpiring") == []
    await clock.advance(2)
    assert client.received("loginExpiring") == [[100]]
    await clock.advance(118)
    assert client.connected
    await clock.advance(2)
    await wait_until(lambda: not client.connected, "the end of the connection")
    assert client.received("loginExpiring") == [[100]]


@ONE_STORE
@pytest.mark.covers("command:loginRefresh", "hook:on_refresh")
async def test_a_refreshed_login_stays_connected(world: World) -> None:
    clock = FakeClock()
    end = clock.now_ms() / 1000
    instance = await start(world, clock, lambda seconds: end + seconds)
    client = await instance.transport.login("alice")
    assert await client.call("loginRefresh", 3000) == end + 3000
    await clock.advance(2900)
    assert client.connected and client.received("loginExpiring") == []
    # During the grace as well.
    await clock.advance(110)
    assert client.received("loginExpiring") == [[60]]
    assert await client.call("loginRefresh", 5000) == end + 5000
    await clock.advance(100)
    assert client.connected
    # A nearer end is taken as well.
    assert await client.call("loginRefresh", 3200) == end + 3200
    await clock.advance(30)
    assert client.received("loginExpiring")[1:] == [[60]]
    await clock.advance(100)
    await wait_until(lambda: not client.connected, "the end of the connection")


@ONE_STORE
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, "notAllowed"),
        (Login("bob"), "notAllowed"),
        (5, "notAllowed"),  # an end long ago
        (ChatServiceError("badToken"), "badToken"),
        (lambda _: None, "internalError"),
        ("soon", "internalError"),
        (float("nan"), "internalError"),
        (True, "internalError"),
    ],
)
async def test_a_refused_refresh_changes_nothing(world: World, answer: Any, error: str) -> None:
    clock = FakeClock()
    instance = await start(world, clock, answer, use_raw_error_objects=True)
    client = await instance.transport.login("alice")
    assert (await client.error("loginRefresh", "token"))["code"] == error
    await clock.advance(950)
    assert client.received("loginExpiring") == [[60]]
    await clock.advance(80)
    await wait_until(lambda: not client.connected, "the end of the connection")


@ONE_STORE
async def test_a_refresh_may_return_a_login_that_does_not_expire(world: World) -> None:
    clock = FakeClock()
    instance = await start(world, clock, Login("alice"))
    client = await instance.transport.login("alice")
    assert await client.call("loginRefresh", None) is None
    await clock.advance(5000)
    assert client.connected and client.received("loginExpiring") == []


@ONE_STORE
async def test_a_refresh_that_hangs_is_timed_out(world: World) -> None:
    async def forever(*_: Any) -> None:
        await asyncio.Event().wait()

    hooks = {"on_connect": lambda *_: "alice", "on_refresh": forever}
    instance = await world.start(hooks=hooks, login_timeout=0.05)
    client = await instance.transport.login("alice")
    assert await client.error("loginRefresh", 1) == "ChatServiceError: Server operation timeout"


@ONE_STORE
@pytest.mark.parametrize("end", [1, "never", float("inf")])
async def test_invalid_expiry_times(world: World, end: Any) -> None:
    instance = await world.start(hooks={"on_connect": lambda *_: Login("alice", expires_at=end)})
    client = await instance.transport.connect()
    await wait_until(lambda: not client.connected, "the end of the connection")
    assert [name for name, _ in client.events] == ["loginRejected"]


@ONE_STORE
async def test_refreshes_and_disconnects_leave_nothing_behind(world: World) -> None:
    clock = FakeClock()
    end = clock.now_ms() / 1000 + 10_000
    instance = await start(world, clock, lambda number: end + number)
    client = await instance.transport.login("alice")
    for number in range(1000):
        await client.call("loginRefresh", number)
    assert len(parts_of(instance.service).login_expiry) < 600
    for _ in range(600):
        await (await instance.transport.login("alice")).disconnect()
    assert len(parts_of(instance.service).login_expiry) < 600


# Ephemeral users


def ephemeral(service: ChatService, socket_id: str) -> Login:
    query = service.transport.get_handshake_data(socket_id).query
    return Login(query["userName"], ephemeral="durable" not in query)


async def test_guests_leave_nothing_in_the_store(world: World, backend: InMemory | InRedis) -> None:
    """Hundreds of users send messages, join, keep lists and leave, and nothing is left in the store."""
    instance = await world.start(hooks={"on_connect": ephemeral})
    await instance.service.add_room(ROOM, enable_userlist_updates=True)
    host = await instance.transport.login("host", query={"durable": "1"})
    await host.call("roomJoin", ROOM)
    before = await backend.inventory()

    async def visit(number: int) -> None:
        name = f"guest{number}"
        client = await instance.transport.login(name)
        await client.call("roomJoin", ROOM)
        await client.call("directAddToList", "blacklist", ["host"])
        assert (await host.call("roomUserSeen", ROOM, name))["joined"]
        if number % 2:
            await client.call("roomLeave", ROOM)
        await client.disconnect()

    for first in range(0, 200, 20):
        await asyncio.gather(*(visit(first + number) for number in range(20)))
    await wait_until(lambda: len(parts_of(instance.service).sessions) == 1, "the end of the visits")
    for number in range(200):
        assert not await instance.service.has_user(f"guest{number}")
    assert await backend.inventory() == before
    assert await host.call("roomUserSeen", ROOM, "guest7") == {"joined": False, "timestamp": None}


async def test_an_ephemeral_login_of_a_user_who_is_known_keeps_the_user(world: World) -> None:
    instance = await world.start(hooks={"on_connect": ephemeral})
    await instance.service.add_user("alice", blacklist=["eve"])
    await (await instance.transport.login("alice")).disconnect()
    guest = await instance.transport.login("bob")
    stays = await instance.transport.login("bob", query={"durable": "1"})
    await stays.call("directAddToList", "blacklist", ["eve"])
    await guest.disconnect()
    await stays.disconnect()
    sessions = parts_of(instance.service).sessions
    await wait_until(lambda: len(sessions) == 0, "the disconnects")
    for name in ("alice", "bob"):
        assert await instance.service.user_has_in_list(name, "blacklist", "eve")


@pytest.mark.covers("option:seen_limit")
async def test_a_room_remembers_a_limited_number_of_users(world: World) -> None:
    instance = await world.start(seen_limit=10)
    await instance.service.add_room(ROOM)
    stays = await instance.transport.login("first")
    await stays.call("roomJoin", ROOM)
    for number in range(60):
        client = await instance.transport.login(f"user{number}")
        await client.call("roomJoin", ROOM)
        await client.call("roomLeave", ROOM)
    store = parts_of(instance.service).store
    seen = [await store.room_user_seen(ROOM, SYSTEM, f"user{number}") for number in range(60)]  # type: ignore[arg-type]
    # The joined user takes one place, and the last one has just gone.
    assert 9 <= sum(item.timestamp is not None for item in seen) <= 11
    assert seen[59].timestamp is not None
    assert (await stays.call("roomUserSeen", ROOM, "first"))["timestamp"] is not None
