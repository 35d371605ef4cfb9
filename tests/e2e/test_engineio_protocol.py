"""The protocol of Engine.IO 4 (socketio/engine.io-protocol), check by check, on every carrier.

Messages are echoed here, without Socket.IO above.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chat_service import ChatService
from chat_service.testing import wait_until
from chat_service.transports.socketio.engine import polls
from tests.e2e.raw import SEPARATOR
from tests.e2e.small_buffers import small_service
from tests.support.patience import PATIENCE

CARRIERS = ["own", "app", "asgi"]


class Echo:
    """A service whose Engine.IO layer sends every message back."""

    def __init__(self, service: ChatService, port: int, http: aiohttp.ClientSession) -> None:
        self.port = port
        self._http = http
        self.hub = service.transport.get_server().eio.hub

        async def nobody(*_: Any) -> None:
            pass

        async def echo(peer: Any, data: str | bytes) -> None:
            peer.send(data if isinstance(data, bytes) else "4" + data)

        self.hub.use(nobody, echo, nobody)
        self.hub.is_used = lambda sid: True

    async def request(
        self, query: str, method: str = "GET", body: str | bytes | None = None, **options: Any
    ) -> tuple[int, str]:
        """The status and the text of an answer."""
        url = f"http://127.0.0.1:{self.port}/socket.io/?{query}"
        async with self._http.request(method, url, data=body, **options) as response:
            return response.status, await response.text()

    async def open(self) -> str:
        """A new polling session."""
        status, text = await self.request("EIO=4&transport=polling")
        assert status == 200
        return str(json.loads(text[1:])["sid"])

    async def poll(self, sid: str, *, pings: bool = False) -> tuple[int, str]:
        """``pings``: whether an answer may be a ping; otherwise there is another poll."""
        while True:
            found = await self.request(f"EIO=4&transport=polling&sid={sid}")
            if pings or found != (200, "2"):
                return found

    async def post(self, sid: str, body: str | bytes) -> tuple[int, str]:
        return await self.request(f"EIO=4&transport=polling&sid={sid}", "POST", body)

    def websocket(self, query: str = "EIO=4&transport=websocket") -> connect:
        url = f"ws://127.0.0.1:{self.port}/socket.io/?{query}"
        return connect(url, ping_interval=None, close_timeout=1, compression=None)

    def upgrade(self, sid: str) -> connect:
        return self.websocket(f"EIO=4&transport=websocket&sid={sid}")


@asynccontextmanager
async def echoing(kind: str, **options: Any) -> AsyncIterator[Echo]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        small_service(kind, transport_options=options) as (service, port),
        aiohttp.ClientSession(timeout=timeout) as http,
    ):
        yield Echo(service, port, http)


@pytest.fixture(params=CARRIERS)
async def echo(request: pytest.FixtureRequest) -> AsyncIterator[Echo]:
    async with echoing(request.param, ping_interval=0.5 if request.param == "asgi" else 25.0) as made:
        yield made


async def recv(ws: ClientConnection) -> str | bytes:
    """The next message that is not a ping."""
    async with asyncio.timeout(PATIENCE):
        while (message := await ws.recv()) == "2":
            await ws.send("3")
    return message


async def closed(ws: ClientConnection, *, answers: bool = True) -> list[str | bytes]:
    """What comes until the end. ``answers``: whether pings are answered, and left out."""
    found: list[str | bytes] = []
    try:
        while True:
            async with asyncio.timeout(PATIENCE):
                found.append(await (recv(ws) if answers else ws.recv()))
    except ConnectionClosed:
        return found


async def refused(ws: connect) -> None:
    """A WebSocket that is not let in."""
    with pytest.raises(InvalidStatus) as raised:
        async with ws:
            pass
    assert raised.value.response.status_code in (400, 403)


# The handshake


def check_opening(packet: str, upgrades: list[str]) -> None:
    assert packet.startswith("0")
    value = json.loads(packet[1:])
    assert value.keys() == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
    assert isinstance(value["sid"], str) and value["upgrades"] == upgrades
    assert (value["pingTimeout"], value["maxPayload"]) == (20_000, 1_000_000)
    assert value["pingInterval"] in (500, 25_000)


async def test_polling_opens_a_session(echo: Echo) -> None:
    status, text = await echo.request("EIO=4&transport=polling")
    assert status == 200
    check_opening(text, ["websocket"])


async def test_a_websocket_opens_a_session(echo: Echo) -> None:
    async with echo.websocket() as ws:
        check_opening(str(await recv(ws)), [])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("transport=polling", "Unsupported protocol version"),
        ("EIO=abc&transport=polling", "Unsupported protocol version"),
        ("EIO=3&transport=polling", "Unsupported protocol version"),
        ("EIO=4", "Transport unknown"),
        ("EIO=4&transport=", "Transport unknown"),
        ("EIO=4&transport=abc", "Transport unknown"),
        ("EIO=4&transport=polling&sid=nobody", "Session ID unknown"),
        ("", "Transport unknown"),
    ],
)
async def test_invalid_requests_are_refused(echo: Echo, query: str, message: str) -> None:
    status, text = await echo.request(query)
    assert status == 400 and json.loads(text)["message"] == message
    await refused(echo.websocket(query.replace("polling", "websocket")))
    assert not echo.hub.sockets


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_session_is_opened_by_get_alone(echo: Echo, method: str) -> None:
    status, _ = await echo.request("EIO=4&transport=polling", method, "4hello")
    assert status == 400 and not echo.hub.sockets


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_of_a_session(echo: Echo, method: str) -> None:
    sid = await echo.open()
    assert (await echo.request(f"EIO=4&transport=polling&sid={sid}", method))[0] == 405
    assert (await echo.post(sid, "4hello"))[0] == 200


async def test_an_invalid_websocket_request(echo: Echo) -> None:
    sid = await echo.open()
    assert (await echo.request("EIO=4&transport=websocket"))[0] == 400
    assert (await echo.request(f"EIO=4&transport=websocket&sid={sid}"))[0] == 400
    assert (await echo.request(f"EIO=4&transport=websocket&sid={sid}", "POST", "4hello"))[0] == 400
    assert (await echo.post(sid, "4hello")) == (200, "ok")


# Messages


@pytest.mark.parametrize(
    "body",
    ["4hello", SEPARATOR.join(["4test1", "4test2", "4test3"]), SEPARATOR.join(["4hello", "bAQIDBA=="])],
)
async def test_payloads_there_and_back(echo: Echo, body: str) -> None:
    sid = await echo.open()
    assert await echo.post(sid, body) == (200, "ok")
    assert await echo.poll(sid) == (200, body)


async def test_messages_on_a_websocket(echo: Echo) -> None:
    async with echo.websocket() as ws:
        await recv(ws)
        for message in ("4hello", b"\x01\x02\x03\x04", "4", b"", "4ü\u2028", "4" + "x" * 100_000):
            await ws.send(message)
            assert await recv(ws) == message


@pytest.mark.parametrize("body", ["abc", "", SEPARATOR, "4a" + SEPARATOR, "0{}", "2", "5", "6", "b!"])
async def test_a_bad_payload_ends_the_session(echo: Echo, body: str) -> None:
    sid = await echo.open()
    status, _ = await echo.post(sid, body)
    assert status == (200 if body == "" else 400)
    if body:
        assert (await echo.poll(sid))[0] == 400


@pytest.mark.parametrize("packet", ["abc", "", "0{}", "2", "2probe", "5", "6"])
async def test_a_bad_packet_ends_the_websocket(echo: Echo, packet: str) -> None:
    async with echo.websocket() as ws:
        await recv(ws)
        await ws.send(packet)
        assert await closed(ws) == []
    await wait_until(lambda: not echo.hub.sockets, "the session to be gone")


async def waits(echo: Echo, sid: str) -> None:
    await wait_until(lambda: echo.hub.sockets[sid].polls.is_waiting, "the poll to wait")


async def test_two_polls_at_once_end_the_session(echo: Echo) -> None:
    sid = await echo.open()
    first = asyncio.create_task(echo.poll(sid))
    await waits(echo, sid)
    assert (await echo.poll(sid))[0] == 400
    assert await first == (200, "1")
    assert (await echo.poll(sid))[0] == 400


@pytest.mark.parametrize("kind", CARRIERS)
async def test_an_abandoned_poll_does_not_count(kind: str) -> None:
    async with echoing(kind) as echo:
        sid = await echo.open()
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{echo.port}/socket.io/?EIO=4&transport=polling&sid={sid}"
            poll = asyncio.create_task(http.get(url))
            await waits(echo, sid)
            poll.cancel()
            await asyncio.wait([poll])
        peer = echo.hub.sockets[sid]
        await wait_until(lambda: not peer.polls.is_waiting, "the server to know")
        # Nothing goes to the one that has left.
        assert (await echo.post(sid, "4hello"))[0] == 200
        assert await echo.poll(sid) == (200, "4hello")


# Pings


@pytest.mark.parametrize("kind", CARRIERS)
async def test_pings_and_pongs_of_polling(kind: str) -> None:
    async with echoing(kind, ping_interval=0.2, ping_timeout=10.0) as echo:
        sid = await echo.open()
        for _ in range(3):
            assert await echo.poll(sid, pings=True) == (200, "2")
            assert await echo.post(sid, "3") == (200, "ok")


@pytest.mark.parametrize("kind", CARRIERS)
async def test_pings_and_pongs_of_a_websocket(kind: str) -> None:
    async with echoing(kind, ping_interval=0.2, ping_timeout=10.0) as echo, echo.websocket() as ws:
        await ws.recv()
        for _ in range(3):
            assert await ws.recv() == "2"
            await ws.send("3")
        await ws.send("4hello")
        assert await recv(ws) == "4hello"


@pytest.mark.parametrize("kind", CARRIERS)
async def test_a_polling_session_times_out(kind: str) -> None:
    async with echoing(kind, ping_interval=0.3, ping_timeout=0.2) as echo:
        sid = await echo.open()
        # Not a tick of some timer later.
        await asyncio.sleep(0.3 + 0.2)
        assert (await echo.post(sid, "4hello"))[0] == 400


@pytest.mark.parametrize("kind", CARRIERS)
async def test_a_websocket_session_times_out(kind: str) -> None:
    async with echoing(kind, ping_interval=0.3, ping_timeout=0.2) as echo, echo.websocket() as ws:
        assert (await closed(ws, answers=False))[1:] == ["2"]
        assert not echo.hub.sockets


@pytest.mark.parametrize("kind", CARRIERS)
async def test_an_unsolicited_pong_does_not_extend_the_session(kind: str) -> None:
    async with echoing(kind, ping_interval=0.4, ping_timeout=0.3) as echo, echo.websocket() as ws:
        await ws.recv()
        await ws.send("3")
        assert await closed(ws, answers=False) == ["2"]


# The end


async def test_a_waiting_poll_gets_a_noop_at_the_close(echo: Echo) -> None:
    sid = await echo.open()
    poll = asyncio.create_task(echo.poll(sid))
    await waits(echo, sid)
    assert await echo.post(sid, "1") == (200, "ok")
    assert await poll == (200, "6")
    assert (await echo.poll(sid))[0] == 400


async def test_a_close_on_a_websocket(echo: Echo) -> None:
    async with echo.websocket() as ws:
        await recv(ws)
        await ws.send("1")
        assert await closed(ws) == []
    await wait_until(lambda: not echo.hub.sockets, "the session to be gone")


# Upgrades


async def test_an_upgrade(echo: Echo) -> None:
    sid = await echo.open()
    async with echo.upgrade(sid) as ws:
        await ws.send("2probe")
        assert await recv(ws) == "3probe"
        assert await echo.poll(sid) == (200, "6")
        await ws.send("5")
        await ws.send("4hello")
        assert await recv(ws) == "4hello"
        assert echo.hub.sockets[sid].upgraded


async def test_an_upgrade_while_a_poll_waits(echo: Echo) -> None:
    sid = await echo.open()
    poll = asyncio.create_task(echo.poll(sid))
    await waits(echo, sid)
    async with echo.upgrade(sid) as ws:
        await ws.send("2probe")
        assert await recv(ws) == "3probe"
        assert await poll == (200, "6")
        # What is sent meanwhile comes on the WebSocket.
        assert await echo.post(sid, "4meanwhile") == (200, "ok")
        await ws.send("5")
        assert await recv(ws) == "4meanwhile"


async def test_polls_during_the_upgrade_end(echo: Echo) -> None:
    """A client may get the end of its poll first, and poll again before it knows the answer to its probe."""
    sid = await echo.open()
    async with echo.upgrade(sid) as ws:
        await ws.send("2probe")
        assert await recv(ws) == "3probe"
        for _ in range(3):
            assert await echo.poll(sid) == (200, "6")
        assert await echo.post(sid, "4meanwhile") == (200, "ok")
        assert await echo.poll(sid) == (200, "4meanwhile")
        assert await echo.poll(sid) == (200, "6")
        await ws.send("5")
        await ws.send("4hello")
        assert await recv(ws) == "4hello"


async def test_a_waiting_poll_ends_when_the_upgrade_is_done(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polls, "POLL_GRACE", 60)
    sid = await echo.open()
    async with echo.upgrade(sid) as ws:
        await ws.send("2probe")
        assert await recv(ws) == "3probe"
        assert await echo.poll(sid) == (200, "6")
        late = asyncio.create_task(echo.poll(sid))
        await waits(echo, sid)
        await ws.send("5")
        assert await late == (200, "6")
        await ws.send("4hello")
        assert await recv(ws) == "4hello"


async def test_requests_after_the_upgrade_change_nothing(echo: Echo) -> None:
    sid = await echo.open()
    async with echo.upgrade(sid) as ws:
        await ws.send("2probe")
        assert await recv(ws) == "3probe"
        await ws.send("5")
        await wait_until(lambda: echo.hub.sockets[sid].upgraded, "the upgrade")
        assert (await echo.poll(sid))[0] == 400
        assert (await echo.post(sid, "4hello"))[0] == 400
        async with echo.upgrade(sid) as other:
            assert await closed(other) == []
        await ws.send("4hello")
        assert await recv(ws) == "4hello"


async def test_a_second_websocket_during_an_upgrade(echo: Echo) -> None:
    sid = await echo.open()
    async with echo.upgrade(sid) as ws:
        await ws.send("2probe")
        assert await recv(ws) == "3probe"
        async with echo.upgrade(sid) as other:
            assert await closed(other) == []
        await ws.send("5")
        await ws.send("4hello")
        assert await recv(ws) == "4hello"


@pytest.mark.parametrize("messages", [["4hello"], ["5"], ["2probe", "4hello"], ["2probe", "2probe"], ["2"]])
async def test_an_upgrade_that_fails_leaves_the_session(echo: Echo, messages: list[str]) -> None:
    sid = await echo.open()
    async with echo.upgrade(sid) as ws:
        for message in messages:
            await ws.send(message)
        assert await closed(ws) == (["3probe"] if messages[0] == "2probe" else [])
    assert await echo.post(sid, "4hello") == (200, "ok")
    assert await echo.poll(sid) == (200, "4hello")
    # It may try again.
    async with echo.upgrade(sid) as ws:
        await ws.send("2probe")
        assert await recv(ws) == "3probe"


async def test_losing_the_websocket_during_an_upgrade_keeps_the_session(echo: Echo) -> None:
    sid = await echo.open()
    async with echo.upgrade(sid) as ws:
        await ws.send("2probe")
        assert await recv(ws) == "3probe"
        ws.transport.abort()
    await wait_until(lambda: echo.hub.sockets[sid].upgrade is None, "the server to know")
    assert await echo.post(sid, "4hello") == (200, "ok")
    assert await echo.poll(sid) == (200, "4hello")


async def test_closing_the_session_closes_the_upgrading_websocket(echo: Echo) -> None:
    sid = await echo.open()
    async with echo.upgrade(sid) as ws:
        await ws.send("2probe")
        assert await recv(ws) == "3probe"
        assert await echo.post(sid, "1") == (200, "ok")
        await closed(ws)


# Handshakes of WebSockets


async def test_sub_protocols_and_extensions(echo: Echo) -> None:
    url = f"ws://127.0.0.1:{echo.port}/socket.io/?EIO=4&transport=websocket"
    async with connect(url, subprotocols=["chat", "other"], ping_interval=None) as ws:  # type: ignore[list-item]
        assert ws.subprotocol == "chat"
        await recv(ws)
        await ws.send("4hello")
        assert await recv(ws) == "4hello"


@pytest.mark.parametrize("kind", ["own", "app"])
async def test_compressed_messages(kind: str) -> None:
    async with echoing(kind, compression=True) as echo:
        url = f"ws://127.0.0.1:{echo.port}/socket.io/?EIO=4&transport=websocket"
        async with connect(url, ping_interval=None) as ws:
            assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]  # type: ignore[union-attr]
            await recv(ws)
            for message in ("4hello", "4" + "x" * 100_000, b"y" * 100_000, "4" + "ü" * 5000):
                await ws.send(message)
                assert await recv(ws) == message
        async with echo.websocket() as plain:
            await recv(plain)
            await plain.send("4" + "x" * 5000)
            assert await recv(plain) == "4" + "x" * 5000
