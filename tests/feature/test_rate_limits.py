"""Rate limits, and limits on what one user or socket may hold."""

import asyncio

import pytest

from chat_service.contracts.records import Rate, RoomConfig, RoomQuota
from chat_service.domain.pace import Pace, RateLimit
from chat_service.errors import ChatServiceError
from chat_service.stores.memory.backend import MemoryBackend
from chat_service.stores.memory.paces import SWEEP_FROM, Paces
from chat_service.testing import wait_until
from chat_service.types import RoomName, UserName
from tests.support.backends import ONE_STORE
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World

TEXT = {"textMessage": "hello"}


def send(limit: RateLimit, pace: Pace, now: float) -> int | None:
    """What the gateway does; returns the ms to wait when it is too fast."""
    if pace.due < now:
        pace.due = now
    if pace.due - now > limit.tolerance:
        return int(limit.refuse(pace, now).arguments[0])
    pace.due += limit.interval
    return None


def test_a_burst_and_then_the_rate() -> None:
    limit, pace = RateLimit(10, 5), Pace()
    assert [send(limit, pace, 1000.0) for _ in range(6)] == [None] * 5 + [100]
    assert send(limit, pace, 1000.09) == 10
    assert [send(limit, pace, 1000.11), send(limit, pace, 1000.11)] == [None, 90]
    # All of it is there again after burst / rate seconds, and no more than that after an hour.
    assert [send(limit, pace, 1001.0) for _ in range(6)].count(None) == 5
    assert [send(limit, pace, 4600.0) for _ in range(6)].count(None) == 5


def test_without_a_limit() -> None:
    limit, pace = RateLimit(None, 1), Pace()
    assert [send(limit, pace, 1.0) for _ in range(10_000)] == [None] * 10_000


@ONE_STORE
@pytest.mark.covers("option:command_rate", "option:command_burst", "error:rateLimited")
async def test_all_sockets_of_a_user_share_the_limit_and_no_other_user_does(world: World) -> None:
    instance = await world.start(command_rate=0.001, command_burst=6)
    first, second = [await instance.transport.login("alice") for _ in range(2)]
    bob = await instance.transport.login("bob")
    for client in (first, second) * 3:
        await client.call("directGetWhitelistMode")
    for client in (first, second):
        error = await client.error("directGetWhitelistMode")
        assert error.startswith("ChatServiceError: Rate limit exceeded, retry in ")
        assert 900_000 < int(error.split()[-2]) <= 1_000_000
    # Custom events and unknown ones count, server code does not.
    for event in ("custom", "unknown"):
        assert "Rate limit" in await first.error(event)
    assert await instance.service.exec_user_command("alice", "directGetWhitelistMode") == [False]
    assert await bob.call("directGetWhitelistMode") is False
    # Another socket does not bring another allowance.
    third = await instance.transport.login("alice")
    assert "Rate limit" in await third.error("directGetWhitelistMode")


@ONE_STORE
async def test_hooks_do_not_run_for_refused_commands(world: World) -> None:
    runs: list[str] = []
    hooks = {"list_own_sockets_before": lambda call: runs.append(call.command)}
    instance = await world.start(hooks=hooks, command_rate=0.001, command_burst=2)
    client = await instance.transport.login("alice")
    answers = await asyncio.gather(*(client.emit("listOwnSockets") for _ in range(10)))
    assert sum(answer[0] is None for answer in answers) == len(runs) == 2


@ONE_STORE
@pytest.mark.covers("option:rate_limit_disconnect")
@pytest.mark.parametrize("most", [5, None])
async def test_a_client_that_keeps_exceeding_the_limit_is_disconnected(
    world: World, most: int | None
) -> None:
    instance = await world.start(command_rate=0.001, command_burst=1, rate_limit_disconnect=most)
    client = await instance.transport.login("alice")
    await client.call("listOwnSockets")
    for _ in range(5):
        assert "Rate limit" in await client.error("listOwnSockets")
    assert client.connected
    await client.emit("listOwnSockets")
    if most is None:
        assert client.connected
    else:
        await wait_until(lambda: not client.connected, "the end of the connection")


@pytest.mark.covers("option:rooms_per_socket_limit", "error:limitExceeded")
async def test_a_socket_may_join_a_limited_number_of_rooms(world: World) -> None:
    instance = await world.start(rooms_per_socket_limit=2)
    for name in ("one", "two", "three"):
        await instance.service.add_room(name)
    client, other = [await instance.transport.login("alice") for _ in range(2)]
    for name in ("one", "two", "one"):
        await client.call("roomJoin", name)
    assert await client.error("roomJoin", "three") == wire_error("limitExceeded", "rooms of a socket")
    assert await client.call("listOwnSockets") == {client.id: ["one", "two"], other.id: []}
    await other.call("roomJoin", "three")
    await client.call("roomLeave", "two")
    await client.call("roomJoin", "three")


@pytest.mark.covers("option:sockets_per_user_limit", "error:limitExceeded")
async def test_a_user_may_have_a_limited_number_of_sockets_on_all_instances(world: World) -> None:
    one, two = [await world.start(sockets_per_user_limit=2) for _ in range(2)]
    first, second = await one.transport.login("alice"), await two.transport.login("alice")
    for instance in (one, two):
        third = await instance.transport.connect(query={"userName": "alice"})
        assert await third.wait_for("loginRejected") == [wire_error("limitExceeded", "sockets of a user")]
        await wait_until(lambda client=third: not client.connected, "the end")
        # What was refused is not among the sockets of the instance either.
        assert len(await instance.service.get_instance_sockets()) == 1
    assert set(await first.call("listOwnSockets")) == {first.id, second.id}
    await second.disconnect()
    await wait_until(lambda: bool(first.received("socketDisconnectEcho")), "the disconnect")
    await two.transport.login("alice")


@pytest.mark.covers("option:own_sockets_answer_limit", "error:limitExceeded")
async def test_an_answer_has_a_limited_number_of_sockets_and_rooms(world: World) -> None:
    instance = await world.start(own_sockets_answer_limit=3)
    await instance.service.add_room("one")
    await instance.service.add_room("two")
    client, other = [await instance.transport.login("alice") for _ in range(2)]
    await client.call("roomJoin", "one")
    assert await client.call("listOwnSockets") == {client.id: ["one"], other.id: []}
    await client.call("roomJoin", "two")
    refused = wire_error("limitExceeded", "sockets of a user and their rooms")
    assert await client.error("listOwnSockets") == refused
    # Server code is not held to it.
    [sockets] = await instance.service.exec_user_command("alice", "listOwnSockets")
    assert sockets == {client.id: ["one", "two"], other.id: []}


async def test_the_limits_hold_under_concurrency(world: World) -> None:
    instance = await world.start(sockets_per_user_limit=5, rooms_per_socket_limit=5)
    for number in range(20):
        await instance.service.add_room(f"room{number}")
    clients = [await instance.transport.connect(query={"userName": "alice"}) for _ in range(20)]
    await wait_until(lambda: sum(client.connected for client in clients) == 5, "the refusals")
    (client, *_) = [client for client in clients if client.connected]
    await client.wait_for("loginConfirmed")
    joins = [client.emit("roomJoin", f"room{number}") for number in range(20)]
    answers = await asyncio.gather(*joins)
    assert sum(answer[0] is None for answer in answers) == 5
    assert len((await client.call("listOwnSockets"))[client.id]) == 5


async def test_a_server_call_is_held_to_the_rooms_of_a_socket_too(world: World) -> None:
    instance = await world.start(rooms_per_socket_limit=1)
    for name in ("one", "two"):
        await instance.service.add_room(name)
    client = await instance.joined("alice", "one")
    work = instance.service.exec_user_command({"user_name": "alice", "id": client.id}, "roomJoin", "two")
    assert await raised(work) == ("limitExceeded", "rooms of a socket")


def wait_in(error: str) -> int:
    """The ms to wait that an error tells."""
    begin, end = "ChatServiceError: Rate limit exceeded, retry in ", " ms"
    assert error.startswith(begin) and error.endswith(end), error
    return int(error.removeprefix(begin).removesuffix(end))


@pytest.mark.covers("option:room_message_rate", "option:room_message_burst")
async def test_messages_of_a_user_to_a_room_are_counted_on_all_instances(world: World) -> None:
    options = {"room_message_rate": 0.001, "room_message_burst": 4}
    one, two = [await world.start(**options) for _ in range(2)]
    for room in ("room", "hall"):
        await one.service.add_room(room)
    near, far = [await each.joined("alice", "room", "hall") for each in (one, two)]
    bob = await two.joined("bob", "room")
    keyed = {"idempotencyKey": "k"}
    assert await near.call("roomMessage", "room", TEXT, keyed) == 1
    for number, client in enumerate((far, near, far), 2):
        assert await client.call("roomMessage", "room", TEXT) == number
    for client in (near, far):
        assert 900_000 < wait_in(await client.error("roomMessage", "room", TEXT)) <= 1_000_000
    # A repeat of what was stored is answered; a new key does not help.
    assert await far.emit("roomMessage", "room", TEXT, keyed) == [None, 1, {"duplicate": True}]
    assert wait_in(await far.error("roomMessage", "room", TEXT, {"idempotencyKey": "new"})) > 0
    # Other rooms, other users, other commands and the server's own calls go on.
    assert await near.call("roomMessage", "hall", TEXT) == 1
    assert await bob.call("roomMessage", "room", TEXT) == 5
    assert len(await near.call("roomRecentHistory", "room")) == 5
    assert await one.service.exec_user_command("alice", "roomMessage", "room", TEXT) == [6]
    assert await one.service.exec_user_command(True, "roomMessage", "room", TEXT) == [7]


@ONE_STORE
async def test_hooks_hear_of_a_message_that_the_store_refused(world: World) -> None:
    errors: list[str] = []
    hooks = {"room_message_after": lambda call: errors.append(call.error.code if call.error else "")}
    instance = await world.start(hooks=hooks, room_message_rate=0.001, room_message_burst=1)
    await instance.service.add_room("room")
    client = await instance.joined("alice", "room")
    await client.call("roomMessage", "room", TEXT)
    await client.error("roomMessage", "room", TEXT)
    assert errors == ["", "rateLimited"]


@ONE_STORE
async def test_refusals_of_both_layers_in_a_row_end_the_connection(world: World) -> None:
    instance = await world.start(room_message_rate=0.001, room_message_burst=1, rate_limit_disconnect=3)
    await instance.service.add_room("room")
    client = await instance.joined("alice", "room")
    await client.call("roomMessage", "room", TEXT)
    for _ in range(2):
        for _ in range(3):
            await client.error("roomMessage", "room", TEXT)
        # Anything else in between begins anew, even if it fails.
        await client.error("roomJoin", "nowhere")
    assert client.connected
    for _ in range(3):
        await client.error("roomMessage", "room", TEXT)
    await client.emit("roomMessage", "room", TEXT)
    await wait_until(lambda: not client.connected, "the end of the connection")


@pytest.mark.covers("option:login_rate", "option:login_burst")
async def test_logins_of_a_user_are_counted_on_all_instances(world: World) -> None:
    one, two = [await world.start(login_rate=0.001, login_burst=2) for _ in range(2)]
    first = await one.login("alice")
    await first.disconnect()
    await two.login("alice")
    for instance in (one, two):
        refused = await instance.transport.connect(query={"userName": "alice"})
        [rejection] = await refused.wait_for("loginRejected")
        assert 900_000 < wait_in(rejection) <= 1_000_000
        await wait_until(lambda client=refused: not client.connected, "the end")
    assert len(await two.service.get_instance_sockets()) == 1
    await two.login("bob")


@pytest.mark.covers("option:room_create_rate", "option:room_create_burst")
async def test_new_rooms_of_a_user_are_counted_on_all_instances(world: World) -> None:
    one, two = [await world.start(room_create_rate=0.001, room_create_burst=2) for _ in range(2)]
    near, far = await one.login("alice"), await two.login("alice")
    await near.call("roomCreate", "one", False)
    assert await far.error("roomCreate", "one", False) == wire_error("roomExists", "one")
    for client in (near, far):
        assert 900_000 < wait_in(await client.error("roomCreate", "two", False)) <= 1_000_000
    assert not await one.service.has_room("two")
    # Server code is exempt, also on behalf of the user.
    await one.service.exec_user_command("alice", "roomCreate", "two", False)
    await one.service.add_room("three", owner="alice")
    bob = await two.login("bob")
    await bob.call("roomCreate", "four", False)


@pytest.mark.covers("option:rooms_owned_limit", "error:limitExceeded")
async def test_a_user_may_own_a_limited_number_of_rooms_on_all_instances(world: World) -> None:
    one, two = [await world.start(rooms_owned_limit=2) for _ in range(2)]
    near, far, bob = await one.login("alice"), await two.login("alice"), await two.login("bob")
    refused = wire_error("limitExceeded", "rooms of a user")
    await near.call("roomCreate", "one", False)
    assert await far.error("roomCreate", "one", False) == wire_error("roomExists", "one")
    await far.call("roomCreate", "two", False)
    for client in (near, far):
        assert await client.error("roomCreate", "three", False) == refused
    assert not await one.service.has_room("three")
    await bob.call("roomCreate", "three", False)
    # Server code is exempt, also on behalf of the user, and what it creates does not count.
    await one.service.add_room("four", owner="alice")
    await two.service.exec_user_command("alice", "roomCreate", "five", False)
    # It does not matter which user deletes the room.
    await near.call("roomDelete", "one")
    await far.call("roomCreate", "one", False)
    await two.service.delete_room("two")
    await near.call("roomCreate", "two", False)
    assert await far.error("roomCreate", "six", False) == refused
    # Neither does it free a place to leave.
    for client in (near, far):
        await client.disconnect()
    await one.service.delete_user("alice")
    again = await one.login("alice")
    assert await again.error("roomCreate", "six", False) == refused


def test_rooms_that_went_by_themselves_count_no_longer_in_memory() -> None:
    now = 0.0
    backend = MemoryBackend(lambda: now)
    config, quota = RoomConfig(owner=UserName("alice"), empty_ttl=10.0), RoomQuota(limit=2)
    for name in ("one", "two"):
        backend.create_room(RoomName(name), config, quota)
        now += 5.0
    now = 9.0
    with pytest.raises(ChatServiceError, match="limit of rooms of a user"):
        backend.create_room(RoomName("three"), config, quota)
    now = 11.0
    backend.create_room(RoomName("three"), config, quota)
    with pytest.raises(ChatServiceError, match="limit of rooms of a user"):
        backend.create_room(RoomName("four"), config, quota)
    now = 100.0
    backend.look_after()
    assert len(backend.owned_rooms) == 0


def test_what_a_shared_rate_stores() -> None:
    assert Rate.of(None, 5) is None
    rate = Rate.of(10, 3)
    assert rate == Rate(100_000, 200_000)
    due, now = 0, 5_000_000
    for _ in range(3):
        due = rate.take(due, now)
    assert due == now + 300_000
    for later, wait in ((0, 100), (1, 100), (99_000, 1), (99_999, 1)):
        with pytest.raises(ChatServiceError) as caught:
            rate.take(due, now + later)
        assert caught.value.arguments == (wait,)
    assert rate.take(due, now + 100_000) == due + 100_000
    # If the clock is set back by an hour, users do not have to wait for an hour.
    with pytest.raises(ChatServiceError) as caught:
        rate.take(due, now - 3_600_000_000)
    assert caught.value.arguments == (100,)
    # The slowest rate and any burst stay exact in floating-point numbers.
    slowest = Rate.of(1e-6, 2**53 - 1)
    assert slowest is not None and sum(slowest) < 2**52


def test_senders_who_may_go_on_are_forgotten() -> None:
    now = 0
    paces = Paces(lambda: now)
    rate = Rate(1000, 0)
    for number in range(5 * SWEEP_FROM):
        now += 1_000_000
        paces.take(("login", f"user{number}"), rate)
    assert len(paces) < SWEEP_FROM
    with pytest.raises(ChatServiceError):
        paces.take(("login", f"user{number}"), rate)
