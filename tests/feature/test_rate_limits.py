"""How fast clients may send, and how much one of them may hold: the limits of one user and of one socket."""

import asyncio

import pytest

from chat_service.domain.pace import Pace, RateLimit
from chat_service.testing import wait_until
from tests.support.backends import ONE_STORE
from tests.support.wire_errors import raised, wire_error
from tests.support.world import World


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
async def test_hooks_are_not_run_for_what_is_refused(world: World) -> None:
    runs: list[str] = []
    hooks = {"list_own_sockets_before": lambda call: runs.append(call.command)}
    instance = await world.start(hooks=hooks, command_rate=0.001, command_burst=2)
    client = await instance.transport.login("alice")
    answers = await asyncio.gather(*(client.emit("listOwnSockets") for _ in range(10)))
    assert sum(answer[0] is None for answer in answers) == len(runs) == 2


@ONE_STORE
@pytest.mark.covers("option:rate_limit_disconnect")
@pytest.mark.parametrize("most", [5, None])
async def test_who_goes_on_is_disconnected(world: World, most: int | None) -> None:
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


async def test_the_limits_hold_under_races(world: World) -> None:
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
