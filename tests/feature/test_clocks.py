"""Leases while the wall clocks of machines are set: living instances stay, and dead ones are recovered."""

import asyncio
import itertools
from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.support.clocks import SteppedClock
from tests.support.parts import parts_of
from tests.support.world import Instance, World

RATE, TIMEOUT = 0.2, 1.0
LEASE: dict[str, Any] = {"heartbeat_rate": RATE, "heartbeat_timeout": TIMEOUT}
HOUR = 3_600_000


async def _outlast(seconds: float) -> None:
    end = asyncio.get_running_loop().time() + seconds
    await wait_until(lambda: asyncio.get_running_loop().time() > end, "time passes")


def _lost(instances: list[Instance]) -> int:
    counters = [parts_of(instance.service).counters for instance in instances]
    return sum(each.leases_lost + sum(each.recoveries.values()) for each in counters)


@pytest.mark.covers("option:heartbeat_timeout", "option:auto_recovery")
async def test_setting_a_clock_does_not_affect_a_live_instance(world: World) -> None:
    """One clock, two against each other, or all of them go forward and back."""
    clocks = [SteppedClock() for _ in range(3)]
    instances = [await world.start(clock=clock, **LEASE) for clock in clocks]
    await instances[0].service.add_room("room")
    clients = [await instance.joined(f"user{at}", "room") for at, instance in enumerate(instances)]
    uids = [instance.service.instance_uid for instance in instances]
    for steps in ((1, 0, 0), (-1, 0, 0), (1, -1, 0), (-1, 2, 0), (1, 1, 1), (-1, -1, -1), (0, 0, 0)):
        for clock, hours in zip(clocks, steps, strict=True):
            clock.step_ms = hours * HOUR
        await _outlast(1.2 * TIMEOUT)
        await instances[0].service.user_state_sync("user1")
        await instances[0].service.room_state_sync("room")
        assert _lost(instances) == 0, steps
    assert [instance.service.instance_uid for instance in instances] == uids
    assert all(client.connected for client in clients)
    assert set((await instances[0].service.room_status("room")).members) == {"user0", "user1", "user2"}
    states = {str(item.state) for item in await instances[0].service.list_instances()}
    assert states == {"alive"}


async def test_clocks_that_are_set_all_the_time(world: World) -> None:
    """They show the same few moments again and again, also to the millisecond."""

    class Stuck(SteppedClock):
        moments = itertools.cycle([1, HOUR, 1, 1, 2 * HOUR])

        def now_ms(self) -> int:
            return next(self.moments)

    instances = [await world.start(clock=Stuck(), **LEASE) for _ in range(3)]
    clients = [await instance.login(f"user{at}") for at, instance in enumerate(instances)]
    await _outlast(3 * TIMEOUT)
    assert all(client.connected for client in clients)
    assert _lost(instances) == 0


@pytest.mark.parametrize("step", [0, HOUR, -HOUR])
async def test_a_dead_instance_is_recovered_whatever_its_clock_showed(world: World, step: int) -> None:
    survivor = await world.start(**LEASE)
    await survivor.service.add_room("room", enable_userlist_updates=True)
    alice = await survivor.joined("alice", "room")
    dead = await world.start(clock=SteppedClock(step), **LEASE)
    await dead.joined("bob", "room")
    await _outlast(2 * RATE)
    # Stop its heartbeats.
    await parts_of(dead.service).background.close()
    await alice.wait_for("roomUserLeft", "room", "bob")

    async def is_alone() -> bool:
        known = {str(item.id) for item in await survivor.service.list_instances()}
        return known == {survivor.service.instance_uid}

    await wait_until(is_alone, "the dead instance is forgotten")
    assert parts_of(survivor.service).counters.leases_lost == 0
    assert alice.connected
