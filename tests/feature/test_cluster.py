"""Application events to every instance, and heartbeats."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatServiceError, ConfigurationError
from chat_service.testing import FakeClock, wait_until
from tests.support.world import World


@pytest.mark.covers("api:cluster_bus.on", "api:cluster_bus.emit")
@pytest.mark.parametrize("kind", ["plain", "coroutine", "decorator"])
async def test_events_reach_every_instance(world: World, kind: str) -> None:
    instances = [await world.start() for _ in range(3)]
    seen: list[list[Any]] = [[] for _ in instances]
    for instance, events in zip(instances, seen, strict=True):

        def plain(*data: Any, events: list[Any] = events) -> None:
            events.append(data)

        async def later(*data: Any, events: list[Any] = events) -> None:
            await asyncio.sleep(0)
            events.append(data)

        bus = instance.service.cluster_bus
        if kind == "plain":
            assert bus.on("news", plain) is plain
        elif kind == "coroutine":
            bus.on("news", later)
        else:
            assert bus.on("news")(plain) is plain
    await instances[1].service.cluster_bus.emit("other")
    await instances[1].service.cluster_bus.emit("news", 1, {"a": [b"b", None]})
    for events in seen:
        await wait_until(lambda events=events: events == [(1, {"a": [b"b", None]})], "the event")


@pytest.mark.covers("api:cluster_bus.emit")
async def test_events_come_in_order(world: World) -> None:
    first, second = await world.start(), await world.start()
    seen: list[int] = []
    second.service.cluster_bus.on("count", seen.append)
    for number in range(50):
        first.service.cluster_bus.emit("count", number)
    await wait_until(lambda: len(seen) == 50, "all events")
    assert seen == list(range(50))


@pytest.mark.covers("api:cluster_bus.on")
async def test_a_raising_listener_does_not_stop_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    instance = await world.start()
    seen: list[str] = []

    def broken() -> None:
        raise ChatServiceError("broken listener")

    instance.service.cluster_bus.on("news", broken)
    instance.service.cluster_bus.on("news", lambda: seen.append("second"))
    await instance.service.cluster_bus.emit("news")
    await wait_until(lambda: seen == ["second"], "the second listener")
    assert "broken listener" in caplog.text


@pytest.mark.covers("api:cluster_bus.on", "api:cluster_bus.emit")
async def test_invalid_events_are_refused(world: World) -> None:
    bus = (await world.start()).service.cluster_bus
    with pytest.raises(ConfigurationError, match="event news: expected a function, got 5"):
        bus.on("news", 5)  # type: ignore[call-overload]
    for event in ("", None, 5):
        with pytest.raises(ValueError, match="is not a valid event name"):
            bus.emit(event)  # type: ignore[arg-type]


async def test_clients_do_not_get_cluster_events(world: World) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    seen: list[Any] = []
    instance.service.cluster_bus.on("roomMessage", lambda *data: seen.append(data))
    await instance.service.cluster_bus.emit("roomMessage", "room", {})
    await wait_until(lambda: bool(seen), "the event")
    assert alice.events == []


# Instances


@pytest.mark.covers("api:instance_uid", "api:get_instance_sockets")
async def test_instances_know_their_sockets(world: World) -> None:
    first, second = await world.start(), await world.start()
    assert first.service.instance_uid != second.service.instance_uid
    alice, bob = await first.login("alice"), await second.login("bob")
    other = await second.login("alice")
    for service in (first.service, second.service):
        assert await service.get_instance_sockets(first.service.instance_uid) == {alice.id: "alice"}
        assert await service.get_instance_sockets(second.service.instance_uid) == {
            bob.id: "bob",
            other.id: "alice",
        }
        assert await service.get_instance_sockets("unknown") == {}
    assert await first.service.get_instance_sockets() == {alice.id: "alice"}


@pytest.mark.covers("api:get_instance_heartbeat", "option:heartbeat_rate")
async def test_heartbeats(world: World) -> None:
    clock = FakeClock(start_ms=1_000_000)
    first = await world.start(clock=clock, heartbeat_rate=5, heartbeat_timeout=20)
    second = await world.start(clock=clock, heartbeat_rate=8, heartbeat_timeout=20)
    ids = first.service.instance_uid, second.service.instance_uid

    async def beats() -> list[int | None]:
        return [await first.service.get_instance_heartbeat(uid) for uid in ids]

    async def are(*expected: int) -> None:
        async def reached() -> bool:
            return await beats() == list(expected)

        await wait_until(reached, f"heartbeats {expected}")

    await are(1_000_000, 1_000_000)
    assert await first.service.get_instance_heartbeat() == 1_000_000
    await clock.advance(4.9)
    await are(1_000_000, 1_000_000)
    await clock.advance(0.1)
    await are(1_005_000, 1_000_000)
    await clock.advance(3)
    await are(1_005_000, 1_008_000)
    assert await first.service.get_instance_heartbeat("unknown") is None
    await second.service.close()
    assert await first.service.get_instance_heartbeat(ids[1]) is None
