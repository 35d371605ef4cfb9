"""Metrics and health of an instance over Redis."""

import asyncio
import logging

import pytest

from chat_service.testing import wait_until
from tests.operations.pages import value
from tests.redis.conftest import At, MakeWorld, at, proxy, server
from tests.redis.proxy import Proxy
from tests.support.redis_servers import RedisServer

__all__ = ["at", "proxy", "server"]

pytestmark = pytest.mark.redis


async def test_store_times_and_subscriptions(at: MakeWorld, server: RedisServer) -> None:
    instance = await at(server.url, probe_interval=0.05).start()
    service = instance.service
    await service.add_room("lobby")
    before = value(service, "chat_service_store_duration_seconds_count")
    assert before is not None and before >= 2
    assert await service.has_room("lobby")
    assert value(service, "chat_service_store_duration_seconds_count") == before + 1
    # The topics of all instances, of this instance, of alice and of the room.
    await instance.joined("alice", "lobby")
    assert value(service, "chat_service_bus_subscriptions") == 4
    await wait_until(lambda: (value(service, "chat_service_bus_lag_seconds") or 0) > 0, "a probe came back")
    lag = value(service, "chat_service_bus_lag_seconds")
    assert lag is not None and lag < 5


async def test_foreign_envelopes_are_counted(
    at: MakeWorld, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    world = at(server.url, bus_secret="quiet")
    instance = await world.start()
    backend = world.backend
    assert isinstance(backend, At)
    with server.client() as client:
        channels = [name.decode() for name in client.pubsub_shardchannels(f"{backend.prefix}:*")]
        for channel in channels:
            client.spublish(channel, b"\x01forged")
    rejected = "chat_service_bus_rejected_envelopes_total"
    await wait_until(lambda: value(instance.service, rejected) == len(channels) > 0, "all were counted")


async def test_instance_with_a_silent_bus_is_unready_until_it_recovers(
    at: MakeWorld, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "chat_service")
    instance = await at(proxy.url, probe_interval=0.1, connect_timeout=0.5).start()
    operations = instance.service.operations
    assert (await operations.readiness()).is_ready
    [bus] = [connection for connection in proxy.connections if connection.is_bus]
    # Only the probe can detect the failure, and reconnecting is impossible.
    proxy.half_open = True
    proxy.deaf = lambda connection: connection is bus

    async def bus_is(text: str) -> bool:
        return text in str((await operations.readiness()).as_dict()["checks"].get("bus"))

    await wait_until(lambda: bus_is("no answer"), "the probe has no answer")
    await wait_until(lambda: bus_is("lost subscriptions"), "the bus is given up")
    lost = value(instance.service, "chat_service_bus_lost_subscriptions")
    assert lost is not None and lost > 0
    proxy.mend()
    proxy.cut()
    await wait_until(lambda: bus_is("ok"), "it hears again")

    async def is_ready() -> bool:
        return (await operations.readiness()).is_ready

    await wait_until(is_ready, "it is ready again")


async def test_unreachable_store_is_counted(
    at: MakeWorld, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "chat_service")
    instance = await at(proxy.url, command_timeout=0.2, connect_timeout=0.2).start()
    service = instance.service
    labels = {"kind": "timeout"}
    assert value(service, "chat_service_store_failures_total", **labels) == 0
    proxy.half_open = True
    proxy.cut()
    await asyncio.sleep(0)
    readiness = await service.operations.readiness()
    assert readiness.as_dict()["checks"]["store"] != "ok"
    failures = value(service, "chat_service_store_failures_total", **labels)
    assert failures is not None and failures >= 1
    proxy.mend()
    proxy.cut()

    async def is_ready() -> bool:
        return (await service.operations.readiness()).is_ready

    await wait_until(is_ready, "it is ready again")
