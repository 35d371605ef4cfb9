"""A service created before a fork: each process becomes a separate instance."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.e2e.clients import PythonClients
from tests.redis.conftest import At
from tests.redis.processes import ROOT
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisServer
from tests.support.world import World

pytestmark = pytest.mark.redis


@pytest.mark.covers("api:instance_uid")
async def test_forked_processes_are_separate_instances(redis_servers: RedisServer) -> None:
    world = World(At(redis_servers.url))
    options = {
        "store_options": world.backend.options,  # type: ignore[attr-defined]
        "heartbeat_rate": 0.5,
        "heartbeat_timeout": 2.0,
    }
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.redis.forked", json.dumps(options), "3"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    clients = PythonClients()
    try:
        assert parent.stdout is not None
        async with asyncio.timeout(PATIENCE):
            lines = [await asyncio.to_thread(parent.stdout.readline) for _ in range(3)]
        workers: list[dict[str, Any]] = [json.loads(line) for line in lines]
        for name in ("uid", "port", "pid", "token"):
            assert len({worker[name] for worker in workers}) == 3, name
        service = (await world.start(heartbeat_rate=60.0, heartbeat_timeout=120.0)).service
        await service.add_room("room")
        for number, worker in enumerate(workers):
            url = f"http://127.0.0.1:{worker['port']}"
            client = await clients.connect(url, f"user{number}", transports=["websocket"])
            await client.wait_for("loginConfirmed")
            await client.call("roomJoin", "room")
            assert list((await service.get_instance_sockets(worker["uid"])).values()) == [f"user{number}"]
        os.kill(workers[0]["pid"], signal.SIGKILL)

        async def is_gone() -> bool:
            return set((await service.room_status("room")).members) == {"user1", "user2"}

        await wait_until(is_gone, "the users of a dead process are gone")
    finally:
        await clients.close()
        parent.terminate()
        await asyncio.to_thread(parent.wait, 20)
        if parent.stdout is not None:
            parent.stdout.close()
        await world.close()
