"""Metrics: values, names and labels."""

import asyncio
import re

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from chat_service import ChatServiceError, CommandCall
from chat_service.contracts.bus import RoomEvent
from chat_service.operations import METRICS
from chat_service.telemetry import DURATION_BOUNDS, Durations
from chat_service.testing import FakeClock, wait_until
from chat_service.types import InstanceId
from tests.operations.pages import value
from tests.support.faults import FaultyStore, as_store
from tests.support.parts import parts_of
from tests.support.world import World

UNITS = ("_seconds", "_bytes", "_total", "_info")
#: Gauges without a unit.
NUMBERS = {
    "chat_service_running",
    "chat_service_draining",
    "chat_service_commands_in_flight",
    "chat_service_sockets",
    "chat_service_connections",
    "chat_service_pending_connections",
    "chat_service_users",
    "chat_service_transport_connections",
    "chat_service_webhook_circuit_open",
    "chat_service_webhook_events_waiting",
    "chat_service_rooms_served",
    "chat_service_bus_subscriptions",
    "chat_service_bus_lost_subscriptions",
}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric) -> None:
    assert re.fullmatch(r"chat_service(_[a-z]+)+", metric.name)
    assert metric.name.endswith(UNITS) or metric.name in NUMBERS
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert all(re.fullmatch(r"[a-z_]+", label) for label in metric.labels)
    assert metric.doc.endswith(".")


def test_names_are_unique() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))


async def test_both_formats_are_valid_and_complete(world: World) -> None:
    instance = await world.start()
    await instance.joined("alice")
    registry = instance.service.operations.registry
    for encoded, parser in (
        (generate_latest(registry), parse),
        (generate_openmetrics(registry), parse_openmetrics),
    ):
        families = {family.name for family in parser(encoded.decode())}
        assert {metric.name.removesuffix("_total").removesuffix("_info") for metric in METRICS} <= {
            name.removesuffix("_info") for name in families
        }


async def test_commands_are_counted_by_name_origin_and_outcome(world: World) -> None:
    instance = await world.start()
    service = instance.service

    def count(command: str, outcome: str, origin: str = "client") -> float | None:
        labels = {"command": command, "outcome": outcome, "origin": origin}
        return value(service, "chat_service_commands_total", **labels)

    client = await instance.login("alice")
    await client.call("roomCreate", "lobby", False)
    await client.call("roomJoin", "lobby")
    for text in ("one", "two"):
        await client.call("roomMessage", "lobby", {"textMessage": text})
    await client.error("roomMessage", "nowhere", {"textMessage": "three"})
    await client.error("roomMessage", "lobby")
    assert count("roomCreate", "ok") == 1
    assert count("roomMessage", "ok") == 2
    assert count("roomMessage", "noRoom") == 1
    assert count("roomMessage", "wrongArgumentsCount") == 1
    assert count("roomMessage", "ok", "server") is None
    labels = {"command": "roomMessage", "origin": "client"}
    assert value(service, "chat_service_command_duration_seconds_count", **labels) == 4

    await service.exec_user_command(True, "roomMessage", "lobby", {"textMessage": "four"})
    with pytest.raises(ChatServiceError):
        await service.exec_user_command("alice", "roomMessage", "nowhere", {"textMessage": "five"})
    assert count("roomMessage", "ok", "server") == 1
    assert count("roomMessage", "noRoom", "server") == 1
    assert count("roomMessage", "ok") == 2


async def test_clients_cannot_add_label_values(world: World) -> None:
    def refuse(call: CommandCall) -> None:
        raise ChatServiceError(f"code {call.args[0]['number']}")

    instance = await world.start(hooks={"system_message_before": refuse})
    service = instance.service
    client = await instance.login("alice")
    service.transport.bind_handler(client.id, "dance", lambda: "done")
    for number in range(50):
        await client.error(f"event {number}")
        await client.error("systemMessage", {"number": number})
    await client.call("dance")
    client_labels = {
        (sample.labels["command"], sample.labels["outcome"])
        for family in service.operations.registry.collect()
        for sample in family.samples
        if sample.name == "chat_service_commands_total"
    }
    assert {("unknown", "noCommand"), ("systemMessage", "application"), ("custom", "ok")} <= client_labels
    assert len(client_labels) == 5


async def test_incidents_and_failed_logins_are_counted(world: World) -> None:
    def broken(call: CommandCall) -> None:
        raise KeyError("on purpose")

    instance = await world.start(hooks={"list_own_sockets_before": broken})
    service = instance.service
    client = await instance.login("alice")
    await client.error("listOwnSockets")
    assert value(service, "chat_service_internal_errors_total") == 1
    labels = {"command": "listOwnSockets", "origin": "client", "outcome": "internalError"}
    assert value(service, "chat_service_commands_total", **labels) == 1
    nobody = await instance.transport.connect()
    await nobody.wait_for("loginRejected")
    assert value(service, "chat_service_logins_total", outcome="ok") == 1
    assert value(service, "chat_service_logins_total", outcome="noLogin") == 1


async def test_sockets_users_rooms_and_disconnects(world: World) -> None:
    instance = await world.start()
    service = instance.service
    await service.add_room("one")
    await service.add_room("two")
    first = await instance.joined("alice", "one", "two")
    await instance.joined("alice", "one")
    await instance.joined("bob", "one")
    assert value(service, "chat_service_sockets") == 3
    assert value(service, "chat_service_users") == 2
    assert value(service, "chat_service_rooms_served") == 2
    await first.disconnect()
    assert value(service, "chat_service_sockets") == 2
    assert value(service, "chat_service_rooms_served") == 1
    assert value(service, "chat_service_disconnects_total", reason="client disconnect") == 1


async def test_commands_in_flight(world: World) -> None:
    gate = asyncio.Event()

    async def wait(call: CommandCall) -> None:
        await gate.wait()

    instance = await world.start(hooks={"list_own_sockets_before": wait})
    client = await instance.login("alice")
    running = [asyncio.create_task(client.emit("listOwnSockets")) for _ in range(3)]
    flying = "chat_service_commands_in_flight"
    await wait_until(lambda: value(instance.service, flying) == 3, "all three run")
    gate.set()
    await asyncio.gather(*running)
    assert value(instance.service, flying) == 0


def test_histogram_buckets() -> None:
    durations = Durations()
    for seconds in (0.0, 0.0005, 0.0006, 99.0):
        durations.observe(seconds)
    assert durations.counts[:2] == [2, 1] and durations.counts[-1] == 1
    assert len(durations) == 4 and durations.total == pytest.approx(99.0011)
    assert list(DURATION_BOUNDS) == sorted(DURATION_BOUNDS)


async def test_gaps_and_filled_messages(world: World) -> None:
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store))
    service = instance.service
    await service.add_room("lobby")
    client = await instance.joined("alice", "lobby")
    store.loses = lambda topic, envelope: isinstance(envelope, RoomEvent) and envelope.is_message
    for text in ("one", "two"):
        await client.call("roomMessage", "lobby", {"textMessage": text})
    await wait_until(lambda: len(store.lost) == 2, "both are lost")
    store.loses = lambda topic, envelope: False
    assert value(service, "chat_service_gaps_total") == 0
    await client.call("roomMessage", "lobby", {"textMessage": "three"})
    await wait_until(lambda: len(client.received("roomMessage")) == 3, "all came")
    await wait_until(lambda: value(service, "chat_service_gaps_filled_total") == 1, "it is counted")
    assert value(service, "chat_service_gaps_total") == 1
    # The third one may come from the history, too.
    assert value(service, "chat_service_gap_messages_total") in (2, 3)
    assert value(service, "chat_service_gap_failures_total") == 0


async def test_recovery_is_counted(world: World) -> None:
    clock = FakeClock()
    survivor = await world.start(clock=clock)
    dead = InstanceId("dead")
    store = parts_of(survivor.service).store
    await store.instance_heartbeat(dead, clock.now_ms())

    async def is_counted() -> bool:
        await clock.advance(1)
        # Answered after what the lease has asked of the store: time does not run away from it.
        await survivor.service.get_instance_heartbeat()
        return value(survivor.service, "chat_service_recoveries_total", outcome="ok") == 1

    await wait_until(is_counted, "it is counted")
    assert value(survivor.service, "chat_service_leases_lost_total") == 0


async def test_lost_lease_is_counted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    instance = await world.start(clock=clock)
    service = instance.service
    await parts_of(service).store.instance_forget(parts_of(service).instance_id())
    former = service.instance_uid
    await clock.advance(10)
    await wait_until(lambda: service.instance_uid != former, "it has started over")
    assert value(service, "chat_service_leases_lost_total") == 1
