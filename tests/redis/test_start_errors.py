"""Start failures give one clear message, from ``start()`` and from a process."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.errors import ConfigurationError, StoreError, StoreTimeoutError
from chat_service.testing import InProcessTransport
from tests.redis.fake_redis import fake_redis
from tests.redis.processes import ROOT
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisCluster, RedisServer, free_port

pytestmark = pytest.mark.redis

#: Yields invalid store options and the expected message.
Trouble = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[tuple[dict[str, Any], str]]]


@asynccontextmanager
async def too_old(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    async with fake_redis("# Server\r\nredis_version:6.2.14\r\ncluster_enabled:0\r\n") as url:
        yield {"url": url}, "Redis at {address} has version 6.2.14; 7.0 or newer is required"


@asynccontextmanager
async def too_old_cluster(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    async with fake_redis("# Server\r\nredis_version:6.2.14\r\ncluster_enabled:1\r\n") as url:
        yield {"url": url, "cluster": True}, "Redis at {address} has version 6.2.14; 7.0 or newer is required"


@asynccontextmanager
async def no_redis_at_all(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    async with fake_redis("hello") as url:
        yield {"url": url}, "Redis at {address} has version unknown; 7.0 or newer is required"


@asynccontextmanager
async def unreachable(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    yield {"url": f"redis://127.0.0.1:{free_port()}"}, "Redis at {address} cannot be reached: "


@asynccontextmanager
async def unreachable_cluster(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    options = {"url": f"redis://127.0.0.1:{free_port()}", "cluster": True}
    yield options, "Redis at {address} cannot be reached: "


@asynccontextmanager
async def unreachable_sentinels(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    port = free_port()
    message = f"no Sentinel of 127.0.0.1:{port} knows a reachable master named mymaster"
    yield {"sentinels": [["127.0.0.1", port]]}, message


@asynccontextmanager
async def silent(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    """A server that accepts connections and stays silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(-1)
        writer.transport.abort()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield (
        {"url": url, "connect_timeout": 0.2, "command_timeout": 0.2},
        "Redis at {address} cannot be reached: no answer in 0.2 s",
    )
    listener.close()


@asynccontextmanager
async def wrong_password(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    with RedisServer("--requirepass", "right") as server:
        url = f"redis://:wrong@127.0.0.1:{server.port}"
        yield {"url": url}, "Redis at {address} refused the login: "


@asynccontextmanager
async def no_password(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    with RedisServer("--requirepass", "right") as server:
        yield {"url": server.url}, "Redis at {address} refused the login: NOAUTH "


@asynccontextmanager
async def a_cluster_after_all(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    cluster: RedisCluster = request.getfixturevalue("cluster_servers")
    message = "Redis at {address} is a cluster node: set store_options cluster=True"
    yield {"url": cluster.url}, message


@asynccontextmanager
async def no_cluster(request: pytest.FixtureRequest) -> AsyncIterator[tuple[dict[str, Any], str]]:
    server: RedisServer = request.getfixturevalue("redis_servers")
    message = "Redis at {address} is not a cluster node: set store_options cluster=False"
    yield {"url": server.url, "cluster": True}, message


TROUBLES: dict[str, tuple[Trouble, type[Exception]]] = {
    "too old": (too_old, ConfigurationError),
    "too old cluster": (too_old_cluster, ConfigurationError),
    "no Redis": (no_redis_at_all, ConfigurationError),
    "unreachable": (unreachable, StoreTimeoutError),
    "unreachable cluster": (unreachable_cluster, StoreTimeoutError),
    "unreachable sentinels": (unreachable_sentinels, StoreTimeoutError),
    "silent": (silent, StoreTimeoutError),
    "wrong password": (wrong_password, StoreError),
    "no password": (no_password, StoreError),
    "an unexpected cluster": (a_cluster_after_all, ConfigurationError),
    "no cluster": (no_cluster, ConfigurationError),
}


def _pattern(options: dict[str, Any], message: str) -> str:
    address = options.get("url", "").rpartition("@")[2].removeprefix("redis://").partition("/")[0]
    return message.replace(".", r"\.").format(address=address)


@pytest.mark.covers(
    "store_option:url", "store_option:cluster", "store_option:sentinels", "store_option:connect_timeout"
)
@pytest.mark.parametrize("name", TROUBLES)
async def test_start_raises_one_clear_message(name: str, request: pytest.FixtureRequest) -> None:
    trouble, kind = TROUBLES[name]
    async with trouble(request) as (options, message):
        service = ChatService(store="redis", store_options=options, transport=InProcessTransport())
        with pytest.raises(kind, match=_pattern(options, message)) as caught:
            async with asyncio.timeout(PATIENCE):
                await service.start()
        assert type(caught.value) is kind
        assert "\n" not in str(caught.value) and "right" not in str(caught.value)
        await service.close()


def run_service(options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    program = (
        "import json, sys; from chat_service import ChatService;"
        "ChatService(host='127.0.0.1', port=0, store='redis', store_options=json.loads(sys.argv[1])).run()"
    )
    return subprocess.run(
        [sys.executable, "-c", program, json.dumps(options)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("name", ["too old", "unreachable", "wrong password", "no password", "no cluster"])
async def test_process_ends_with_one_line(name: str, request: pytest.FixtureRequest) -> None:
    async with TROUBLES[name][0](request) as (options, message):
        done = await asyncio.to_thread(run_service, options)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("chat_service cannot start: Redis at 127.0.0.1")
    assert line.removeprefix("chat_service cannot start: ").startswith(
        _pattern(options, message).replace("\\", "")
    )


@pytest.mark.covers("store_option:url", "store_option:prefix", "option:store_options")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "http://127.0.0.1"}, "store_options url: "),
        ({"url": "127.0.0.1:6379"}, "store_options url: "),
        ({"url": "redis://127.0.0.1:port"}, "store_options url: "),
        ({"url": 5}, "store_options url: "),
        (
            {"prefix": ""},
            "store_options prefix: expected printable ASCII characters without braces or '@', got",
        ),
        ({"prefix": "{x}"}, "store_options prefix: expected .*, got '{x}'"),
        ({"prefix": "ü"}, "store_options prefix: expected .*, got 'ü'"),
        ({"prefx": "x"}, "unknown store_options prefx; did you mean prefix"),
    ],
)
async def test_invalid_options_are_refused_before_the_start(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ChatService(store="redis", store_options=options)
