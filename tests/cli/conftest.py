"""The command line, run in a thread beside services that live in the test's own loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chat_service.cli import app
from tests.conftest import BACKENDS
from tests.support.backends import InRedis
from tests.support.redis_servers import RedisCluster, RedisServer
from tests.support.world import World

#: Variables that would say which services.
VARIABLES = ("CHAT_STORE_URL", "CHAT_CONFIG", "CHAT_STORE_BUS_SECRET", "CHAT_LOGIN_SECRET", "CHAT_TOKEN")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def invoke(*args: str, **options: Any) -> Result:
    """Run a command without a service; only for tests that are not coroutines."""
    return CliRunner().invoke(app, args, **options)


class Site:
    """Services over one Redis or cluster, and the command line that looks into them."""

    def __init__(self, backend: InRedis) -> None:
        self.backend = backend
        self.world = World(backend)
        given = backend.options
        self.options = ["--url", str(given["url"]), "--prefix", backend.prefix]
        if given["cluster"]:
            self.options.append("--cluster")

    async def run(self, *args: str, input: str | None = None, code: int = 0) -> Result:
        """Run a command against the services, and check its exit code."""
        call: Callable[[], Result] = lambda: invoke(*args, *self.options, input=input)  # noqa: E731
        result = await asyncio.to_thread(call)
        assert result.exit_code == code, (result.exit_code, result.output)
        return result

    async def json(self, *args: str, **options: Any) -> Any:
        """What a command prints with ``--json``."""
        result = await self.run(*args, "--json", **options)
        return json.loads(result.stdout)

    def keys(self) -> dict[bytes, Any]:
        """Everything that is stored."""
        found = {}
        for client in self.backend.clients():
            with client:
                for key in client.scan_iter(f"{self.backend.prefix}:*"):
                    found[key] = client.dump(key)
        return found


@asynccontextmanager
async def _site(servers: RedisServer | RedisCluster) -> AsyncIterator[Site]:
    backend = InRedis(servers)
    made = Site(backend)
    try:
        yield made
    finally:
        await made.world.close()
    assert await backend.leftovers() == []


@pytest.fixture(params=[name for name in BACKENDS if name != "memory"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """On one Redis, and on a cluster."""
    async with _site(request.getfixturevalue(f"{request.param}_servers")) as made:
        yield made


@pytest.fixture
async def redis_site(redis_servers: RedisServer) -> AsyncIterator[Site]:
    """On one Redis alone: for tests of processes, to which the store does not matter."""
    async with _site(redis_servers) as made:
        yield made
