"""Application code that hangs does not block other users."""

import asyncio
import logging
from typing import Any

import pytest

from chat_service.concurrency import time_limit
from chat_service.hooks import Login
from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import Serve, serve
from tests.e2e.raw import polling, websocket
from tests.support.backends import ONE_STORE
from tests.support.parts import parts_of
from tests.support.wire_errors import wire_error
from tests.support.world import World

__all__ = ["serve"]


class Stubborn:
    """A hook that ignores its cancellation until ``release``."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.release = asyncio.Event()
        self.ended = 0

    async def __call__(self, *_: Any) -> None:
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
        self.ended += 1


@ONE_STORE
@pytest.mark.covers("option:hook_timeout", "option:login_timeout")
@pytest.mark.parametrize("hook", ["list_own_sockets_before", "on_join", "on_connect", "on_disconnect"])
async def test_nobody_waits_for_a_hook_that_swallows_its_cancellation(
    world: World, hook: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(time_limit, "GRACE", 0.02)
    stubborn = Stubborn()
    instance = await world.start(hooks={hook: stubborn}, hook_timeout=0.05, login_timeout=0.05)
    await instance.service.add_room("room")
    with caplog.at_level(logging.ERROR, "chat_service"):
        if hook == "on_connect":
            client = await instance.transport.connect(query={"userName": "alice"})
            assert (await client.wait_for("loginRejected"))[0] == wire_error("timeout")
        else:
            client = await instance.transport.login("alice")
            if hook == "on_disconnect":
                await client.disconnect()
                await wait_until(lambda: stubborn.cancelled > 0, "the cancellation")
            else:
                command = ("roomJoin", "room") if hook == "on_join" else ("listOwnSockets",)
                assert await client.error(*command) == wire_error("timeout")
                assert await client.call("directGetWhitelistMode") is False
        await wait_until(lambda: "nobody waits for it any longer" in caplog.text, "the log")
    assert stubborn.cancelled == 1
    stubborn.release.set()
    await wait_until(lambda: stubborn.ended > 0, "the end of the hook")
    caplog.clear()


@pytest.mark.covers("transport_option:middleware", "option:login_timeout")
async def test_a_middleware_that_hangs_refuses_the_connection(serve: Serve) -> None:
    ended: list[str] = []

    async def hangs(handshake: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(handshake.query["userName"])

    service = await serve(transport_options={"middleware": hangs}, login_timeout=0.1)
    async with websocket(service.port) as raw:
        await raw.send(f"40{NAMESPACE},")
        assert '"timeout"' in await raw.recv_start(f"44{NAMESPACE},")
    async with polling(service.port) as other:
        assert await other.post(f"40{NAMESPACE},") == 200
        assert '"timeout"' in (await other.get())[0]
        await other.post("1")
    assert ended == ["raw", "raw"]
    server = service.transport.get_server()
    await wait_until(lambda: not server.eio.sockets and not server.environ, "the connections to be forgotten")


@ONE_STORE
async def test_a_login_with_an_impossible_name_leaves_no_timer(world: World) -> None:
    """The token may be good until next year."""
    instance = await world.start(hooks={"on_connect": lambda *_: Login("a:b", expires_at=4_000_000_000.0)})
    for _ in range(5):
        client = await instance.transport.connect()
        assert (await client.wait_for("loginRejected"))[0] == wire_error("invalidName", "a:b")
    parts = parts_of(instance.service)
    await wait_until(lambda: not len(parts.sessions), "the sessions to be forgotten")
    assert len(parts.login_expiry) == 0
