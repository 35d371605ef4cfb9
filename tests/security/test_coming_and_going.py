"""Connections that cause work without a login: clients that come and go, and unknown namespaces."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE
from tests.e2e.conftest import Serve, serve
from tests.e2e.raw import SEPARATOR, event, polling, websocket
from tests.support.world import name_by_query

__all__ = ["serve"]

#: How often a client comes and goes. Without a bound, so many hooks ran at once.
CYCLES = 2000
#: Events of one connection that may be in progress.
MOST = 100


class Hanging:
    """A hook that waits for ``gate`` if it is called for the user "raw"."""

    def __init__(self) -> None:
        self.calls = self.running = self.peak = 0
        self.gate = asyncio.Event()

    async def on_connect(self, service: ChatService, socket_id: str) -> str:
        name = str(name_by_query(service, socket_id))
        await self._wait(name)
        return name

    async def on_disconnect(self, service: ChatService, info: Any) -> None:
        await self._wait(info.user_name)

    async def _wait(self, name: str) -> None:
        if name != "raw":
            return
        self.calls += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1


@asynccontextmanager
async def cycling(port: int | None, way: str) -> AsyncIterator["asyncio.Task[None]"]:
    """A client that connects and disconnects over and over, as fast as it can."""
    cycle = [f"40{NAMESPACE},", f"41{NAMESPACE},"]
    if way == "polling":
        async with polling(port) as raw:

            async def post() -> None:
                assert await raw.post(SEPARATOR.join(cycle * CYCLES)) == 200

            task = asyncio.create_task(post())
            yield task
            await task
            await raw.post("1")
        return
    async with websocket(port) as raw_ws:

        async def send() -> None:
            for packet in cycle * CYCLES:
                await raw_ws.send(packet)

        task = asyncio.create_task(send())
        yield task
        await task


@pytest.mark.covers("hook:on_disconnect", "transport_option:max_waiting_events")
@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_hooks_of_one_connection_that_comes_and_goes_are_bounded(serve: Serve, way: str) -> None:
    hanging = Hanging()
    service = await serve(
        hooks={"on_disconnect": hanging.on_disconnect}, transport_options={"max_waiting_events": MOST}
    )
    async with websocket(service.port, "other") as other, cycling(service.port, way):
        await other.login()
        await wait_until(lambda: hanging.running >= MOST, "as many as there may be")
        for _ in range(20):
            assert (await other.ack("listOwnSockets"))[0] is None
        assert hanging.running == MOST
        hanging.gate.set()
    await wait_until(lambda: not hanging.running, "the hooks to end")
    # It went on after the gate had opened.
    assert hanging.calls > MOST
    assert hanging.peak == MOST


@pytest.mark.covers("hook:on_connect")
async def test_logins_end_with_their_clients_however_soon_they_leave(serve: Serve) -> None:
    hanging = Hanging()
    service = await serve(hooks={"on_connect": hanging.on_connect})
    async with cycling(service.port, "websocket") as sending:
        async with websocket(service.port, "other") as other:
            await other.login()
            await sending
            for _ in range(20):
                assert (await other.ack("listOwnSockets"))[0] is None
        await wait_until(lambda: not hanging.running, "the logins to end")
    # The limit of a login that nobody waits for is far away.
    assert hanging.peak < CYCLES / 10


@pytest.mark.covers("transport_option:connect_timeout")
@pytest.mark.parametrize("name", ["", "/,", "/other,"])
async def test_namespaces_that_nobody_serves_are_refused_and_do_not_keep_a_connection(
    serve: Serve, name: str
) -> None:
    """Neither a connect there nor events make a connection one that is used."""
    service = await serve(transport_options={"connect_timeout": 0.5})
    async with websocket(service.port, "other") as other, websocket(service.port) as raw:
        await other.login()
        await raw.send(f"40{name}")
        assert "Invalid namespace" in await raw.recv_start(f"44{'' if name == '/,' else name}")
        for number in range(200):
            await raw.send(f"42{name}{number}" + '["listOwnSockets"]')
        answers = await raw.wait_closed()
        assert not [answer for answer in answers if str(answer).startswith("43")]
        assert (await other.ack("listOwnSockets"))[0] is None
    server = service.transport.get_server()
    await wait_until(lambda: not server.eio.sockets and not server.environ, "the connections to be forgotten")


@pytest.mark.covers("transport_option:max_waiting_events")
async def test_bodies_that_come_at_once_share_the_bound_of_their_session(serve: Serve) -> None:
    """49 requests with 1,000 commands each are no way around it."""
    running = peak = calls = 0
    gate = asyncio.Event()

    async def slow(number: int) -> int:
        nonlocal running, peak, calls
        calls += 1
        running += 1
        peak = max(peak, running)
        await gate.wait()
        running -= 1
        return number

    def on_connect(service: ChatService, socket_id: str) -> str | None:
        service.transport.bind_handler(socket_id, "slow", slow)
        return name_by_query(service, socket_id)

    service = await serve(hooks={"on_connect": on_connect}, transport_options={"max_waiting_events": MOST})
    bodies, each = 49, 50
    async with websocket(service.port, "other") as other, polling(service.port) as raw:
        await other.login()
        await raw.login()
        body = SEPARATOR.join(event("slow", number) for number in range(each))
        posts = [asyncio.create_task(raw.post(body)) for _ in range(bodies)]
        await wait_until(lambda: running >= MOST, "as many as there may be")
        for _ in range(20):
            assert (await other.ack("listOwnSockets"))[0] is None
        assert running == MOST
        gate.set()
        assert await asyncio.gather(*posts) == [200] * bodies
        await wait_until(lambda: calls == bodies * each and not running, "all events")
        assert peak == MOST
        await raw.post("1")
