"""The protocol of Primus, as its client library speaks it with ActionHero's server."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.actionhero.conftest import Serve, Server
from tests.support.backends import ONE_STORE

pytestmark = [ONE_STORE, pytest.mark.usefixtures("no_error_logs")]


class Frames:
    """A WebSocket without the client library."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, frame: Any) -> None:
        await self.socket.send_str(json.dumps(frame))

    async def read(self, *, besides: str = "primus::ping::") -> Any:
        """The next frame, without pings."""
        while True:
            frame = json.loads(await self.socket.receive_str(timeout=30))
            if not (isinstance(frame, str) and besides and frame.startswith(besides)):
                return frame

    async def end(self) -> list[Any]:
        """The frames until the end, and the code of it."""
        frames = [json.loads(frame.data) async for frame in self.socket]
        return [*frames, self.socket.close_code]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def connect(session: aiohttp.ClientSession, server: Server) -> Frames:
    frames = Frames(await session.ws_connect(f"http://127.0.0.1:{server.service.port}/primus?_primuscb=abc"))
    assert (await frames.read())["context"] == "api"
    return frames


async def test_pings_come_although_the_client_sends(serve: Serve, session: aiohttp.ClientSession) -> None:
    server = await serve(primus={"ping_interval": 0.05})
    frames = await connect(session, server)
    pings = 0
    while pings < 3:
        await frames.send({"event": "detailsView"})
        frame = await frames.read(besides="")
        if isinstance(frame, str):
            assert frame.startswith("primus::ping::1")
            pings += 1


async def test_client_that_answers_no_ping_is_gone(serve: Serve, session: aiohttp.ClientSession) -> None:
    server = await serve(primus={"ping_interval": 0.05})
    frames = await connect(session, server)
    # It may come back: the server does not say that this is final.
    pings = (await frames.end())[:-1]
    assert all(isinstance(frame, str) and frame.startswith("primus::ping::") for frame in pings)


async def test_answered_pings_keep_the_connection(serve: Serve, session: aiohttp.ClientSession) -> None:
    server = await serve(primus={"ping_interval": 0.05})
    frames = await connect(session, server)
    for _ in range(4):
        ping = await frames.read(besides="")
        await frames.send(ping.replace("ping", "pong"))
    await frames.send("primus::id::")
    assert (await frames.read()).startswith("primus::id::")


async def test_end_by_the_server_is_final_unless_it_is_drained(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    server = await serve(drain_delay=0.0, drain_seconds=0.0)
    ann, bob, cat = [await connect(session, server) for _ in range(3)]
    await ann.send("primus::id::")
    socket_id = (await ann.read()).removeprefix("primus::id::")
    await server.service.transport.disconnect_socket(socket_id)
    assert await ann.end() == ["primus::server::close", 1000]
    await bob.send({"event": "quit"})
    assert await bob.end() == ["primus::server::close", 1000]
    await server.service.drain()
    assert await cat.end() == [1012]


async def test_frames_other_than_requests_are_refused(serve: Serve, session: aiohttp.ClientSession) -> None:
    server = await serve()
    frames = await connect(session, server)
    for text in ("{", "[1]", '"hello"', "7", "null"):
        await frames.socket.send_str(text)
        assert (await frames.read())["error"].startswith("Error: the frame is not")
    await frames.send({"event": "dance"})
    assert (await frames.read())["error"] == "Error: verb not found or not allowed (dance)"
    await frames.socket.send_bytes(b"\x00")
    assert (await frames.end())[-1] in (1000, 1008)


async def test_message_of_the_server_reaches_one_connection(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    server = await serve()
    ann = await connect(session, server)
    await ann.send("primus::id::")
    socket_id = (await ann.read()).removeprefix("primus::id::")
    await server.chat.send_message(socket_id, {"context": "alert", "text": "the end is near"})
    assert await ann.read() == {"context": "alert", "text": "the end is near"}
    server.service.send_to_socket(None, socket_id, "custom", 1, {"two": 2})
    assert await ann.read() == {"context": "api", "event": "custom", "args": [1, {"two": 2}]}


async def test_message_has_the_form_that_the_application_gives_it(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    server = await serve()
    server.chat.generate_message_payload = lambda room, message: {"thing": "stuff", "room": room}
    ann = await connect(session, server)
    await ann.send({"event": "roomAdd", "room": "lobby"})
    await ann.read()
    # No client can pretend to be the server.
    await server.chat.broadcast(None, "lobby", {"actionhero": {"context": "response"}})
    assert await ann.read() == {"thing": "stuff", "room": "lobby"}
    server.chat.generate_message_payload = lambda room, message: {"said": message["actionhero"]}
    await server.chat.broadcast(None, "lobby", {"actionhero": {"context": "response"}})
    assert await ann.read() == {"said": {"context": "response"}}
