"""Spans: one per command with its attributes, and none without the option."""

import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from chat_service import ChatService, ChatServiceError, CommandCall, ConfigurationError
from chat_service.commands.gateway import Gateway
from tests.support.parts import parts_of
from tests.support.world import World


class Spans:
    """The exported spans."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def take(self) -> list[ReadableSpan]:
        """Return and forget the spans so far."""
        spans = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return spans


@pytest.fixture
def spans() -> Spans:
    return Spans()


def attributes(span: ReadableSpan) -> dict[str, object]:
    return {name.removeprefix("chat_service."): value for name, value in (span.attributes or {}).items()}


@pytest.mark.covers("option:tracing")
async def test_each_command_has_a_span(world: World, spans: Spans) -> None:
    instance = await world.start(tracing=spans.provider)
    service = instance.service
    await service.add_room("lobby")
    service.command("remindOf", {"text": "text", "roomName": "room"})(lambda call, text, room: None)
    client = await instance.joined("alice", "lobby")
    spans.take()
    await client.call("remindOf", "tea", "hall")
    [span] = spans.take()
    assert (attributes(span)["command"], attributes(span)["room"]) == ("remindOf", "hall")
    await client.call("roomMessage", "lobby", {"textMessage": "hello"})
    [span] = spans.take()
    assert span.name == "chat roomMessage" and span.kind is SpanKind.SERVER
    assert attributes(span) == {
        "command": "roomMessage",
        "instance": service.instance_uid,
        "user": "alice",
        "socket": client.id,
        "room": "lobby",
        "outcome": "ok",
    }
    assert span.status.status_code is StatusCode.UNSET

    await client.error("roomMessage", "nowhere", {"textMessage": "hello"})
    [span] = spans.take()
    # A client's mistake is not an error of the server.
    assert attributes(span)["outcome"] == "noRoom" and span.status.status_code is StatusCode.UNSET
    assert not span.events

    service.transport.bind_handler(client.id, "dance", lambda: "done")
    await client.call("dance")
    await client.error("x" * 1000)
    assert [span.name for span in spans.take()] == ["chat custom", "chat unknown"]


async def test_commands_of_hooks_are_children(world: World, spans: Spans) -> None:
    async def answer(call: CommandCall) -> None:
        await call.service.exec_user_command(True, "roomMessage", "log", {"textMessage": "seen"})

    instance = await world.start(hooks={"system_message_after": answer}, tracing=spans.provider)
    await instance.service.add_room("log")
    client = await instance.login("alice")
    await client.call("systemMessage", "x")
    child, parent = spans.take()
    assert child.name == "chat roomMessage" and child.kind is SpanKind.INTERNAL
    assert parent.name == "chat systemMessage"
    assert child.parent is not None and parent.context is not None
    assert child.parent.span_id == parent.context.span_id
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_server_faults_are_errors(world: World, spans: Spans, caplog) -> None:
    def broken(call: CommandCall) -> None:
        raise KeyError("on purpose")

    instance = await world.start(hooks={"list_own_sockets_before": broken}, tracing=spans.provider)
    client = await instance.login("alice")
    await client.error("listOwnSockets")
    [span] = spans.take()
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["outcome"] == "internalError"
    assert [event.name for event in span.events] == ["exception"]
    with pytest.raises(ChatServiceError):
        await instance.service.exec_user_command(True, "roomMessage", "nowhere", {"textMessage": "x"})
    [span] = spans.take()
    assert attributes(span)["outcome"] == "noRoom" and "user" not in attributes(span)


async def test_without_the_option_there_are_no_spans(world: World, spans: Spans) -> None:
    instance = await world.start()
    assert parts_of(instance.service).tracing is None
    assert type(instance.transport._handler) is Gateway


def test_without_the_option_opentelemetry_is_not_imported() -> None:
    code = (
        "import sys, chat_service; chat_service.ChatService(); "
        "print('chat_service.operations.tracing' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_option_requires_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chat_service.operations.tracing", None)
    with pytest.raises(ConfigurationError, match="opentelemetry-api"):
        ChatService(tracing=True)


async def test_true_uses_the_global_provider(world: World) -> None:
    instance = await world.start(tracing=True)
    client = await instance.login("alice")
    # Without an SDK the global provider creates no-op spans.
    assert await client.call("listOwnSockets") == {client.id: []}
