"""Drains: unready first, then clients are disconnected in batches after their commands are answered."""

import asyncio

import pytest

from chat_service import CommandCall
from chat_service.domain.connections import SMALLEST_BATCH, TICK
from chat_service.testing import ConnectionRefused, FakeClock, wait_until
from tests.operations.pages import get_json, value
from tests.support.world import World


@pytest.mark.covers("api:drain", "option:drain_delay", "option:drain_seconds")
async def test_drain_turns_unready_then_disconnects_in_batches(world: World) -> None:
    clock = FakeClock()
    instance = await world.start(clock=clock, drain_delay=3, drain_seconds=2 * TICK, operations_port=0)
    port = instance.service.operations.port
    # Enough for two batches above the minimum size.
    clients = [await instance.login(f"user{number}") for number in range(4 * SMALLEST_BATCH)]

    def connected() -> int:
        return sum(client.connected for client in clients)

    drain = asyncio.create_task(instance.service.drain())
    await clock.advance(0)
    status, page = await get_json(port, "/readyz")
    assert status == 503 and page["checks"] == {"service": "draining"}
    assert (await get_json(port, "/healthz"))[0] == 200
    assert value(instance.service, "chat_service_draining") == 1
    await clock.advance(2.9)
    assert connected() == 4 * SMALLEST_BATCH
    # Load balancers may not have noticed yet.
    late = await instance.login("late")
    await late.disconnect()
    await clock.advance(0.1)
    await wait_until(lambda: connected() == 2 * SMALLEST_BATCH, "the first half is away")
    with pytest.raises(ConnectionRefused):
        await instance.transport.connect()
    await clock.advance(TICK)
    await drain
    await wait_until(lambda: connected() == 0, "all are away")
    await instance.service.close()


async def test_few_clients_are_disconnected_immediately(world: World) -> None:
    instance = await world.start(clock=FakeClock(), drain_seconds=3600)
    client = await instance.login("alice")
    await instance.service.drain()
    await wait_until(lambda: not client.connected, "alice is away")


async def test_running_commands_are_answered_first(world: World) -> None:
    gate = asyncio.Event()

    async def wait(call: CommandCall) -> None:
        await gate.wait()

    instance = await world.start(hooks={"room_message_before": wait}, drain_seconds=0)
    await instance.service.add_room("lobby")
    busy, idle = await instance.joined("alice", "lobby"), await instance.login("bob")
    command = asyncio.create_task(busy.call("roomMessage", "lobby", {"textMessage": "last words"}))
    await wait_until(lambda: value(instance.service, "chat_service_commands_in_flight") == 1, "it runs")
    drain = asyncio.create_task(instance.service.drain())
    await wait_until(lambda: not idle.connected, "bob is away")
    assert busy.connected
    gate.set()
    assert await command == 1
    await drain
    await wait_until(lambda: not busy.connected, "alice is away, too")


async def test_hanging_command_does_not_block_a_drain(world: World) -> None:
    clock, gate = FakeClock(), asyncio.Event()

    async def wait(call: CommandCall) -> None:
        await gate.wait()

    instance = await world.start(clock=clock, hooks={"list_own_sockets_before": wait})
    client = await instance.login("alice")
    command = asyncio.create_task(client.emit("listOwnSockets"))
    await wait_until(lambda: value(instance.service, "chat_service_commands_in_flight") == 1, "it runs")
    drain = asyncio.create_task(instance.service.drain())
    for _ in range(10):
        await clock.advance(0.5)
    await drain
    await wait_until(lambda: not client.connected, "alice is away")
    gate.set()
    await command


async def test_close_ends_a_drain(world: World) -> None:
    clock = FakeClock()
    instance = await world.start(clock=clock, drain_delay=3600)
    client = await instance.login("alice")
    drains = [asyncio.create_task(instance.service.drain()) for _ in range(2)]
    await wait_until(lambda: value(instance.service, "chat_service_draining") == 1, "it drains")
    await instance.service.close()
    await asyncio.gather(*drains)
    await wait_until(lambda: not client.connected, "alice is away")
    # A drain after the close does nothing, like one before the start.
    await instance.service.drain()
    await world.make().service.drain()
