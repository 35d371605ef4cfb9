"""Metrics, logs and spans for network clients, on the transport's fast path."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chat_service import CommandCall
from chat_service.operations.logging import configure
from tests.e2e.conftest import ConnectTo, Serve, connect, node_process, serve
from tests.operations.pages import value

__all__ = ["connect", "node_process", "serve"]

pytestmark = pytest.mark.e2e


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    stream = io.StringIO()
    configure("json", stream=stream)
    yield stream
    root.setLevel(level)
    root.handlers[:] = handlers


async def test_deliveries_and_fan_out(serve: Serve, connect: ConnectTo) -> None:
    service = await serve()
    await service.add_room("lobby")
    ways = (["websocket"], ["websocket"], ["polling"])
    clients = [await connect(service, f"user{number}", transports=way) for number, way in enumerate(ways)]
    for client in clients:
        await client.wait_for("loginConfirmed")
        await client.call("roomJoin", "lobby")

    def count(name: str) -> float:
        return value(service, f"chat_service_{name}") or 0

    broadcasts, deliveries = count("broadcasts_total"), count("deliveries_total")
    for number in range(5):
        await clients[0].call("roomMessage", "lobby", {"textMessage": str(number)})
    for client in clients:
        await client.wait_for("roomMessage", "lobby")
    assert count("broadcasts_total") - broadcasts == 5
    assert count("deliveries_total") - deliveries == 15
    assert count("slow_consumers_total") == 0
    assert count("send_buffer_bytes") >= 0
    await clients[0].disconnect()
    await clients[1].wait_for("roomMessage", "lobby")
    labels = {"command": "roomMessage", "origin": "client", "outcome": "ok"}
    assert value(service, "chat_service_commands_total", **labels) == 5


async def test_logs_and_spans_of_the_fast_path(serve: Serve, connect: ConnectTo, log: io.StringIO) -> None:
    async def hook(call: CommandCall) -> None:
        logging.getLogger("app").info("seen")

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    service = await serve(hooks={"room_message_before": hook}, tracing=provider)
    await service.add_room("lobby")
    clients = [await connect(service, name) for name in ("alice", "bob")]
    for client in clients:
        await client.wait_for("loginConfirmed")
        await client.call("roomJoin", "lobby")
    exporter.clear()
    for client in clients:
        await client.call("roomMessage", "lobby", {"textMessage": "hello"})
    lines = [json.loads(line) for line in log.getvalue().splitlines() if '"logger": "app"' in line]
    assert [(line["user"], line["room"], line["command"]) for line in lines] == [
        ("alice", "lobby", "roomMessage"),
        ("bob", "lobby", "roomMessage"),
    ]
    spans = exporter.get_finished_spans()
    assert [(span.name, (span.attributes or {})["chat_service.user"]) for span in spans] == [
        ("chat roomMessage", "alice"),
        ("chat roomMessage", "bob"),
    ]
    # Each span starts its own trace: no context leaks from one command to the next.
    assert all(span.parent is None for span in spans)
