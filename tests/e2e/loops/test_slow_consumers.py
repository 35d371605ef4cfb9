"""Clients that do not read are cut off, do not affect others, and may reconnect."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import ConnectTo
from tests.e2e.raw import polling
from tests.e2e.stopped import StoppedReader, stopped_reader
from tests.support.parts import parts_of
from tests.support.world import name_by_query

LIMIT = 256 * 1024
SIZE = 32 * 1024
#: More than the system and the limit may keep for a connection that is not read.
SYSTEM = 4 * 1024 * 1024


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Awaitable[ChatService]]]:
    """Makes a service for whose clients the system keeps little, so that the limit is soon met."""
    services: list[ChatService] = []

    async def start(hooks: dict[str, Any] | None = None, **options: Any) -> ChatService:
        service = ChatService(
            transport_options=options,
            hooks={"on_connect": name_by_query, **(hooks or {})},
            enable_direct_messages=True,
        )
        listening = socket.create_server(("127.0.0.1", 0))
        # Accepted connections have the same.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        service.listen_at(sockets=[listening])
        services.append(service)
        await service.start()
        await service.add_room("room")
        return service

    yield start
    for service in services:
        await service.close()


@pytest.fixture
async def service(make: Callable[..., Awaitable[ChatService]]) -> ChatService:
    return await make(send_buffer_limit=LIMIT)


def statistics(service: ChatService) -> Any:
    return parts_of(service).transport.statistics()  # type: ignore[attr-defined]


async def talk_until_cut(service: ChatService, speaker: Any, count: int) -> int:
    """Send messages until this number of readers is cut off. Returns the number of messages."""
    sent = 0
    while statistics(service).slow_consumers < count:
        assert sent * SIZE < SYSTEM, "nobody is cut"
        await speaker.call("roomMessage", "room", {"textMessage": "x" * SIZE})
        sent += 1
        assert statistics(service).send_buffer_bytes <= count * (LIMIT + SIZE + 200)
    return sent


@pytest.mark.covers("transport_option:send_buffer_limit")
async def test_readers_that_stop_are_disconnected_and_may_return(
    service: ChatService, login: ConnectTo, caplog: pytest.LogCaptureFixture
) -> None:
    speaker = await login(service, "speaker")
    await speaker.call("roomJoin", "room")
    async with AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(stopped_reader(service.port, f"reader{number}", "room"))
            for number in range(10)
        ]
        sent = await talk_until_cut(service, speaker, 10)
        await wait_until(lambda: len(parts_of(service).sessions) == 1, "all but the speaker to be gone")
        assert parts_of(service).counters.disconnects["slow consumer"] == 10
        assert statistics(service).send_buffer_bytes == 0
        # The others got everything.
        ids = [(await speaker.wait_for("roomMessage"))[1]["id"] for _ in range(sent)]
        assert ids == list(range(1, sent + 1))
        # What got through came in order and whole, and then the connection is lost, without a word.
        for reader in readers:
            await reader.read_to_end()
            received = [message["id"] for _, message in reader.messages("roomMessage")]
            assert received == list(range(1, len(received) + 1)) and len(received) < sent
    assert caplog.text.count("slow consumer") == 10
    async with stopped_reader(service.port, "reader0", "room"):
        assert len(parts_of(service).sessions) == 2


async def test_a_reader_that_was_slow_for_a_while_gets_everything_in_order(
    service: ChatService, login: ConnectTo
) -> None:
    speaker = await login(service, "speaker")
    await speaker.call("roomJoin", "room")
    async with stopped_reader(service.port, "reader", "room") as reader:
        sent = 0
        while statistics(service).send_buffer_bytes < LIMIT // 2:
            await speaker.call("roomMessage", "room", {"textMessage": "x" * SIZE})
            sent += 1
        assert statistics(service).slow_consumers == 0
        await reader.read_until(f'"id":{sent}'.encode())
        assert [message["id"] for _, message in reader.messages("roomMessage")] == list(range(1, sent + 1))
        await reader.send(f'42{NAMESPACE},2["roomLeave","room"]')
        await reader.read_until(f"43{NAMESPACE},2[null,0]".encode())
        assert statistics(service).send_buffer_bytes == 0


async def test_one_large_packet_passes_but_not_a_second_one(
    make: Callable[..., Awaitable[ChatService]], login: ConnectTo
) -> None:
    service = await make(hooks={"direct_messages_checker": lambda message: None}, send_buffer_limit=1000)
    speaker = await login(service, "speaker")
    text = "x" * 900_000

    async def write(reader: StoppedReader) -> None:
        await speaker.call("directMessage", "reader", {"textMessage": text})

    async with stopped_reader(service.port, "reader") as reader:
        for _ in range(3):
            await write(reader)
            # It is larger than the limit, but nothing else waits.
            await reader.read_until(b'"author":"speaker"}]')
            assert len(reader.messages("directMessage")) == 1
            reader.received = b"\r\n\r\n"
        for _ in range(SYSTEM // len(text)):
            await write(reader)
            if statistics(service).slow_consumers:
                break
        await wait_until(lambda: len(parts_of(service).sessions) == 1, "the reader to be gone")
        assert statistics(service).slow_consumers == 1


async def test_a_client_that_stops_polling(service: ChatService, login: ConnectTo) -> None:
    speaker = await login(service, "speaker")
    await speaker.call("roomJoin", "room")
    async with polling(service.port, "poller") as raw:
        await raw.login()
        assert await raw.ack("roomJoin", "room") == [None, 1]
        await talk_until_cut(service, speaker, 1)
        await wait_until(lambda: len(parts_of(service).sessions) == 1, "the poller to be gone")
        assert await raw.get_status() == 400
    async with polling(service.port, "poller") as raw:
        await raw.login()
        assert (await raw.ack("listOwnSockets"))[0] is None
        await raw.post("1")
