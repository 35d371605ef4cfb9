"""Bad polling requests, stalled connections, and clients that come and go at the wrong time."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from chat_service.transports.socketio.engine import polls
from tests.e2e.clients import NAMESPACE, Client
from tests.e2e.conftest import ConnectTo, Serve
from tests.e2e.raw import SEPARATOR, event, polling, websocket
from tests.e2e.test_bad_packets import check_gone

LIMIT = 100_000


@pytest.fixture
async def service(serve: Serve) -> ChatService:
    return await serve(transport_options={"max_message_size": LIMIT})


@pytest.fixture
async def bystander(service: ChatService, login: ConnectTo) -> AsyncIterator[Client]:
    """Another client, which is served all the time."""
    client: Client = await login(service, "bystander")
    yield client
    assert len(await client.call("listOwnSockets")) == 1
    assert not client.received("disconnect")


BODIES: dict[str, str | bytes] = {
    "broken UTF-8": b"42\xff\xfe",
    "unpaired surrogate": b"42\xed\xa0\x80",
    "empty packets": SEPARATOR,
    "unknown type": "9",
    "bad base64": "b=",
    "form of old clients": 'd=42["a"]',
    "ping": "2probe",
    "too large": "4" + "x" * LIMIT,
    "deep nesting": "4" + "[" * 50_000,
    "broken event": f"42{NAMESPACE},[",
    "binary before an event": "bAAAA",
    "after the end": SEPARATOR.join(["1", event("listOwnSockets"), f"40{NAMESPACE},"]),
    "after a broken event": SEPARATOR.join([f"42{NAMESPACE},[", f"40{NAMESPACE},", event("listOwnSockets")]),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("logged_in", [False, True])
async def test_bad_body(service: ChatService, bystander: Client, body: str | bytes, logged_in: bool) -> None:
    async with polling(service.port) as raw:
        if logged_in:
            await raw.login()
        assert await raw.post(body) == 400
        # The session is over.
        assert await raw.get_status() == 400
        assert await raw.post("3") == 400
    await check_gone(service)


async def test_end_of_a_session_during_a_poll(service: ChatService, bystander: Client) -> None:
    async with polling(service.port) as raw:
        await raw.login()
        poll = asyncio.create_task(raw.get())
        eio = service.transport.get_server().eio
        await wait_until(lambda: eio.sockets[raw.sid].polls.is_waiting, "the poll to wait")
        assert await raw.post("42,[") == 400
        # The poll ends, and the next one is refused.
        assert await poll == ["6"]
    await check_gone(service)


@pytest.mark.parametrize("length", ["10", "5000"])
async def test_body_that_does_not_arrive(service: ChatService, bystander: Client, length: str) -> None:
    async with polling(service.port) as raw:
        await raw.login()
        _, writer = await asyncio.open_connection("127.0.0.1", service.port)
        path = f"/socket.io/?EIO=4&transport=polling&sid={raw.sid}"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n42".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await check_gone(service)


async def test_large_body_without_a_length(service: ChatService, bystander: Client) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    async with polling(service.port) as raw:
        # Not all of it is read.
        assert await raw.post(parts()) == 400  # type: ignore[arg-type]
        assert await raw.get_status() == 400
    await check_gone(service)


async def test_body_without_a_length(service: ChatService, bystander: Client) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"40/chat", b"-service,", b"\x1e3"):
            yield part

    async with polling(service.port) as raw:
        assert await raw.post(parts()) == 200  # type: ignore[arg-type]
        assert (await raw.get())[0].startswith(f"40{NAMESPACE},")
        await raw.post("1")
    await check_gone(service)


@pytest.mark.parametrize(
    ("method", "query", "headers", "status"),
    [
        ("GET", "", {}, 400),
        ("GET", "EIO=3&transport=polling", {}, 400),
        ("GET", "EIO=4&transport=carrier-pigeon", {}, 400),
        ("GET", "EIO=4&transport=polling&sid=nobody", {}, 400),
        ("POST", "EIO=4&transport=polling&sid=nobody", {}, 400),
        ("POST", "EIO=4&transport=polling", {}, 400),
        ("GET", "EIO=4&transport=polling&j=x", {}, 400),
        ("GET", "EIO=4&transport=websocket", {}, 400),
        ("GET", "EIO=4&transport=websocket", {"Upgrade": "websocket"}, 400),
        ("GET", "EIO=4&transport=websocket", {"Upgrade": "websocket", "Connection": "Upgrade"}, 400),
        ("GET", "EIO=4&transport=polling", {"Origin": "http://evil.example"}, 400),
        ("PUT", "EIO=4&transport=polling", {}, 400),
        ("DELETE", "EIO=4&transport=polling", {}, 400),
        ("HEAD", "EIO=4&transport=polling", {}, 400),
    ],
)
async def test_bad_request(
    service: ChatService, bystander: Client, method: str, query: str, headers: dict[str, str], status: int
) -> None:
    url = f"http://127.0.0.1:{service.port}/socket.io/?{query}"
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=headers) as response:
        assert response.status == status
    await check_gone(service)


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n", b""]
)
async def test_data_that_is_not_http(service: ChatService, bystander: Client, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(data)
    writer.write_eof()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    await check_gone(service)


@pytest.mark.parametrize("name", ["connect", "disconnect"])
async def test_events_with_the_names_of_the_library_from_a_socket_that_leaves(
    service: ChatService, bystander: Client, name: str
) -> None:
    """An event that is handled after the socket is gone must not connect it again."""
    async with polling(service.port) as raw:
        await raw.login()
        for argument in ({"QUERY_STRING": "userName=admin"}, "text", None):
            packets = [f"40{NAMESPACE},", event(name, argument, argument), f"41{NAMESPACE},"]
            assert await raw.post(SEPARATOR.join([f"41{NAMESPACE},", *packets])) == 200

        async def is_alone() -> bool:
            return list((await service.get_instance_sockets()).values()) == ["bystander"]

        await wait_until(is_alone, "no socket to be left")
        await raw.post("1")
    await check_gone(service)


@pytest.mark.covers("transport_option:middleware")
async def test_a_client_that_leaves_during_the_middleware(serve: Serve, login: ConnectTo) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(handshake: Any) -> None:
        if handshake.query["userName"] == "raw":
            entered.set()
            await release.wait()

    service = await serve(transport_options={"middleware": slow})
    await login(service, "bystander")
    async with polling(service.port) as raw:
        connecting = asyncio.create_task(raw.post(f"40{NAMESPACE},"))
        await entered.wait()
        assert await raw.post("1") == 200
        release.set()
        await connecting
        await check_gone(service)


@pytest.mark.covers("transport_option:connect_timeout")
async def test_connection_without_a_namespace_is_closed(serve: Serve, login: ConnectTo) -> None:
    service = await serve(transport_options={"connect_timeout": 0.5})
    await login(service, "bystander")
    async with websocket(service.port) as idle, websocket(service.port) as active:
        await active.login()
        await idle.wait_closed()
        assert (await active.ack("listOwnSockets"))[0] is None
    await check_gone(service)


@pytest.mark.covers("transport_option:ping_interval", "transport_option:ping_timeout", "hook:on_disconnect")
async def test_clients_that_answer_no_pings_are_closed(serve: Serve, login: ConnectTo) -> None:
    reasons: list[str] = []
    service = await serve(
        hooks={"on_disconnect": lambda service, info: reasons.append(info.user_name)},
        transport_options={"ping_interval": 0.1, "ping_timeout": 1.0},
    )
    bystander = await login(service, "bystander")
    async with websocket(service.port, "half") as half, polling(service.port, "open") as silent:
        await half.login()
        await silent.login()
        messages = await half.wait_closed()
        assert "2" in messages
        await wait_until(lambda: sorted(reasons) == ["half", "open"], "both to be gone")
    await check_gone(service)
    assert len(await bystander.call("listOwnSockets")) == 1


async def test_upgrade_that_is_not_completed(
    service: ChatService, bystander: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polls, "UPGRADE_GRACE", 0.1)
    async with polling(service.port) as raw:
        await raw.login()
        async with websocket(service.port, sid=raw.sid) as ws:
            await ws.send("2probe")
            assert await ws.recv() == "3probe"
            await ws.wait_closed()
        # It continues with polling.
        assert (await raw.ack("listOwnSockets"))[0] is None
        for first in ("3probe", "2other", "9", "", f"40{NAMESPACE},"):
            async with websocket(service.port, sid=raw.sid) as ws:
                await ws.send(first)
                assert await ws.wait_closed() == []
        async with websocket(service.port, sid=raw.sid) as ws:
            await ws.send("2probe")
            await ws.send("4no upgrade")
            assert await ws.wait_closed() == ["3probe"]
        assert (await raw.ack("listOwnSockets"))[0] is None
        await raw.post("1")
    await check_gone(service)


async def test_end_of_a_session_during_its_upgrade(service: ChatService, bystander: Client) -> None:
    async with polling(service.port) as raw:
        await raw.login()
        async with websocket(service.port, sid=raw.sid) as ws:
            await ws.send("2probe")
            assert await ws.recv() == "3probe"
            assert await raw.post("1") == 200
            await ws.wait_closed()
    await check_gone(service)


async def test_second_upgrade_of_a_session(service: ChatService, bystander: Client) -> None:
    async with polling(service.port) as raw:
        await raw.login()
        async with websocket(service.port, sid=raw.sid) as ws:
            await ws.send("2probe")
            assert await ws.recv() == "3probe"
            # Others are accepted, closed at once, and change nothing.
            async with websocket(service.port, sid=raw.sid) as other:
                assert await other.wait_closed() == []
            await ws.send("5")
            assert (await ws.ack("listOwnSockets"))[0] is None
            async with websocket(service.port, sid=raw.sid) as other:
                assert await other.wait_closed() == []
            assert await raw.get_status() == 400
            assert await raw.post("3") == 400
            assert (await ws.ack("listOwnSockets"))[0] is None
    await check_gone(service)


@pytest.mark.covers("transport_option:max_message_size")
async def test_body_of_just_the_largest_size(serve: Serve) -> None:
    service = await serve(transport_options={"max_message_size": 200})
    async with polling(service.port) as raw:
        await raw.login()
        frame = event("nothing", "", id=7)
        answer = await raw.ack("nothing", "x" * (200 - len(frame)))
        assert answer[0] == "ChatServiceError: No such command nothing"
        assert await raw.post(event("nothing", "x" * (201 - len(frame)), id=7)) == 400


async def test_messages_in_one_body_are_answered_in_order(service: ChatService, bystander: Client) -> None:
    async with polling(service.port) as raw:
        await raw.login()
        count = 1500
        bodies = [event("listOwnSockets", id=number) for number in range(count)]
        assert await raw.post(SEPARATOR.join(bodies)) == 200
        ids: list[int] = []
        while len(ids) < count:
            for packet in await raw.get():
                start, _, rest = packet.partition("[")
                if start.startswith(f"43{NAMESPACE},"):
                    assert json.loads("[" + rest)[0] is None
                    ids.append(int(start.rpartition(",")[2]))
        assert ids == list(range(count))
        await raw.post("1")
    await check_gone(service)
