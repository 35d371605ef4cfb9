"""Guests of real processes: a crash leaves no data of theirs, and they survive a rolling restart."""

from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.e2e.clients import PythonClient, PythonClients
from tests.redis.conftest import At, MakeWorld
from tests.redis.processes import ServiceProcess
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis

LEASE = {"heartbeat_rate": 0.3, "heartbeat_timeout": 1.2}
GUESTS = 8


def keys_of(server: RedisServer, prefix: str) -> dict[str, int]:
    """All keys except those of instances and events about to expire; hashes with their sizes."""
    with server.client() as client:
        found = [key.decode() for key in client.scan_iter(f"{prefix}:*", count=1000)]
        return {
            key: client.hlen(key) if client.type(key) == b"hash" else 1
            for key in found
            if ":instances:" not in key and not key.endswith(":changes")
        }


async def enter(clients: PythonClients, service: ServiceProcess, name: str) -> PythonClient:
    client = await clients.connect(service.url, name, transports=["websocket"])
    await client.wait_for("loginConfirmed", name)
    await client.call("roomJoin", "room")
    return client


async def test_guests_of_a_crashed_instance_leave_nothing(at: MakeWorld, server: RedisServer) -> None:
    world = at(server.url)
    assert isinstance(world.backend, At)
    options: dict[str, Any] = world.backend.options
    survivor = await world.start(**LEASE)
    await survivor.service.add_room("room")
    before = keys_of(server, world.backend.prefix)
    clients = PythonClients()
    with ServiceProcess(store_options=options, enable_direct_messages=True, **LEASE) as victim:
        await victim.ready()
        for number in range(GUESTS):
            client = await enter(clients, victim, f"guest{number}")
            await client.call("directAddToList", "blacklist", ["host"])
        assert len(keys_of(server, world.backend.prefix)) > len(before) + 3 * GUESTS
        victim.kill()
    await clients.close()

    def is_clean() -> bool:
        return keys_of(server, str(options["prefix"])) == before

    await wait_until(is_clean, "the recovery")
    assert not await survivor.service.has_user("guest0")
    assert before == keys_of(server, str(options["prefix"]))


async def test_a_guest_is_kept_while_instances_restart_in_turn(at: MakeWorld, server: RedisServer) -> None:
    """With a socket on another instance, the guest's lists outlive each restart."""
    backend = At(server.url)
    clients = PythonClients()
    settings: dict[str, Any] = {"store_options": backend.options, "enable_direct_messages": True, **LEASE}
    with ServiceProcess(**settings) as first, ServiceProcess(**settings) as second:
        for service in (first, second):
            await service.ready()
        await first.call("add_room", "room")
        before = keys_of(server, backend.prefix)
        await enter(clients, first, "guest")
        stays = await enter(clients, second, "guest")
        await stays.call("directAddToList", "blacklist", ["host"])
        assert first.close() == 0
        assert await second.call("user_has_in_list", "guest", "blacklist", "host")
        with ServiceProcess(**settings) as fresh:
            await fresh.ready()
            moved = await enter(clients, fresh, "guest")
            assert second.close() == 0
            assert await moved.call("directGetAccessList", "blacklist") == ["host"]
            assert await fresh.call("room_has_in_list", "room", "userlist", "guest")
            await clients.close()
            await wait_until(lambda: keys_of(server, backend.prefix) == before, "the end of the guest")
