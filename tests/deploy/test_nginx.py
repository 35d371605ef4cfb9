"""The compose file's parts as processes: clients through nginx on two instances, and a drain of one."""

import asyncio
import re
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from chat_service.testing import wait_until
from tests.deploy.followers import Follower
from tests.deploy.site import Instance, site
from tests.e2e.clients import NodeProcess
from tests.operations.pages import get, get_json, scrape
from tests.support.patience import PATIENCE

pytestmark = [pytest.mark.e2e, pytest.mark.redis, pytest.mark.cluster]


async def sockets_of(instance: Instance) -> float:
    return (await scrape(instance.operations_port))["chat_service_sockets"]


async def open_polling_session(url: str, address: str) -> int:
    """A polling session from one of the loopback's addresses; the number of its requests that went well."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        path = f"{url}/socket.io/?EIO=4&transport=polling"
        async with session.get(path) as answer:
            sid = re.search(r'"sid":"([^"]+)"', await answer.text())
        assert sid is not None
        good = 0
        for _ in range(5):
            async with session.post(f"{path}&sid={sid[1]}", data="40/chat-service,{}") as answer:
                good += answer.status == 200
        return good


async def test_clients_on_two_instances_behind_nginx(tmp_path: Path, node_process: NodeProcess) -> None:
    async with site(tmp_path) as made:
        followers = [
            await Follower.connect(node_process, made.url, f"user{number}", "websocket")
            for number in range(4)
        ]
        followers += [
            await Follower.connect(node_process, made.url, "poller", "polling"),
            await Follower.connect(node_process, made.url, "upgrader", "polling", "websocket"),
        ]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(follower.joined.wait() for follower in followers))
        # WebSockets are spread.
        on_each = [await sockets_of(each) for each in made.instances]
        assert sum(on_each) == 6 and min(on_each) >= 2
        for follower in followers:
            await follower.say(f"from {follower.client.name}")
        for follower in followers:
            await wait_until(lambda follower=follower: len(follower.live) == 6, f"{follower.live}")
            assert follower.live == sorted(follower.live)
        assert [await follower.client.transport() for follower in followers[-2:]] == ["polling", "websocket"]
        # Requests of one polling session reach its instance, from wherever they come; both get some.
        assert [await open_polling_session(made.url, f"127.0.0.{number}") for number in range(2, 8)] == [
            5
        ] * 6
        # Nothing but Socket.IO and the page is public. Here the page is off, so there is a greeting.
        assert (await get(made.port, "/"))[0] == 200
        for path in (
            "/metrics",
            "/healthz",
            "/readyz",
            "/api/rooms",
            "/login/../metrics",
            "/chat-service/client.js",
        ):
            assert (await get(made.port, path))[0] == 404
        for follower in followers:
            await follower.stop()
        await node_process.reset()


async def test_a_drain_loses_nothing(tmp_path: Path, node_process: NodeProcess) -> None:
    """One instance is told to go while everybody talks: all clients go on at the other one."""
    async with site(tmp_path, drain_delay="0.5", drain_seconds="1") as made:
        leaving, staying = made.instances
        ways = [("websocket",)] * 4 + [("polling",)]
        followers = [
            await Follower.connect(node_process, made.url, f"user{number}", *way)
            for number, way in enumerate(ways)
        ]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(follower.joined.wait() for follower in followers))
        assert await sockets_of(leaving) >= 1
        going_on = True
        said: dict[int, str] = {}

        async def talk(follower: Follower) -> None:
            number = 0
            while going_on or not number:
                text = f"{follower.client.name} {number}"
                said[await follower.say(text)] = text
                number += 1

        talking = [asyncio.create_task(talk(follower)) for follower in followers]
        await wait_until(lambda: len(said) > 20, "they talk")
        leaving.process.send_signal(signal.SIGTERM)

        async def is_unready() -> bool:
            status, page = await get_json(leaving.operations_port, "/readyz")
            return status == 503 and page["checks"] == {"service": "draining"}

        # Unready first: nobody has been sent away by then.
        await wait_until(is_unready, "it is unready")
        assert await sockets_of(leaving) >= 1
        assert await leaving.process.wait() == 0
        # Sent away, and back at the other instance.

        async def all_are_back() -> bool:
            return await sockets_of(staying) == len(followers)

        await wait_until(all_are_back, "all are at the other instance")
        before = len(said)
        await wait_until(lambda: len(said) > before + 20, "they go on")
        going_on = False
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*talking)
        last = max(said)
        for follower in followers:
            await wait_until(lambda follower=follower: max(follower.messages) >= last, "it has the last one")
            # Everything that was acknowledged, once, under its id, without a gap.
            assert sorted(follower.messages) == list(range(1, max(follower.messages) + 1))
            assert {number: follower.messages[number] for number in said} == said
        assert max(Counter(said.values()).values()) == 1
        assert sum(follower.logins for follower in followers) > len(followers)
        for follower in followers:
            await follower.stop()
        await node_process.reset()


async def test_a_second_signal_ends_a_drain_at_once(tmp_path: Path, node_process: NodeProcess) -> None:
    async with site(tmp_path, drain_delay="3600") as made:
        instance = made.instances[0]
        instance.process.send_signal(signal.SIGTERM)

        async def drains() -> bool:
            return (await scrape(instance.operations_port))["chat_service_draining"] == 1

        await wait_until(drains, "it drains")
        instance.process.send_signal(signal.SIGTERM)
        # It has patience for less than the drain.
        assert await instance.process.wait() == -signal.SIGTERM
