"""Several workers with an operations port each, and their replacement by SIGHUP."""

import signal
import sys
from pathlib import Path

import pytest

from chat_service.testing import wait_until
from tests.deploy.site import SECRET, free_port
from tests.e2e.processes import run
from tests.operations.pages import get_json
from tests.support.redis_servers import RedisServer

pytestmark = [pytest.mark.e2e, pytest.mark.redis]

CONFIG = """
[service]
port = 0
operations_port = {port}
[transport]
transports = ["websocket"]
[store]
type = "redis"
[login]
type = "jwt"
[process]
workers = 2
"""


@pytest.mark.covers("api:operations.listen_at")
async def test_workers_are_replaced_under_their_operations_ports(tmp_path: Path) -> None:
    port = free_port(2)
    config = tmp_path / "chat.toml"
    config.write_text(CONFIG.format(port=port))
    command: list[str | Path] = [sys.executable, "-m", "chat_service", "serve", "--config", config]

    async def instances() -> list[str]:
        found = [await get_json(port + number, "/readyz") for number in range(2)]
        assert [status for status, _ in found] == [200, 200]
        return [page["instance"] for _, page in found]

    with RedisServer() as redis:
        env = {"CHAT_STORE_URL": redis.url, "CHAT_LOGIN_SECRET": SECRET}
        async with run(*command, "--host", "127.0.0.1", env=env) as process:
            await process.wait_for(", 2 workers, ")
            before = await instances()
            process.send_signal(signal.SIGHUP)
            await wait_until(lambda: process.errors.count("is replaced") == 2, "both are replaced")
            after = await instances()
            assert len({*before, *after}) == 4
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
