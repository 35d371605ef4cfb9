"""Fixtures for Redis-specific tests."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from chat_service.stores.redis import RedisStore
from chat_service.testing.store_suite import Peer, Peers
from tests.redis.pairs import LEASE, Pair
from tests.redis.proxy import Proxy
from tests.support.redis_servers import RedisServer
from tests.support.world import World


class At:
    """A backend at any url, with its own prefix."""

    name = "redis"

    def __init__(self, url: str, **options: Any) -> None:
        self.options = {"url": url, "prefix": f"test{uuid.uuid4().hex[:8]}", **options}

    @property
    def prefix(self) -> str:
        return str(self.options["prefix"])

    def new_store(self, **options: Any) -> RedisStore:
        return RedisStore({**self.options, **options})

    async def leftovers(self) -> list[str]:
        return []


#: Creates a world at a url: ``at(url, **store_options)``.
MakeWorld = Callable[..., World]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis server that the test may stop, kill and corrupt."""
    with RedisServer() as made:
        yield made


@pytest.fixture
def alone(server: RedisServer) -> At:
    """A backend on the test's own server."""
    return At(server.url)


@pytest.fixture
async def peer(alone: At) -> AsyncIterator[Peer]:
    """A store on the test's own server."""
    peers = Peers(alone.new_store)
    yield await peers.open()
    await peers.close()


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[Proxy]:
    """A proxy between the services and the server."""
    async with Proxy(server.port) as made:
        yield made


@pytest.fixture
async def at(proxy: Proxy) -> AsyncIterator[MakeWorld]:
    worlds: list[World] = []

    def make(url: str, **options: Any) -> World:
        worlds.append(World(At(url, **options)))
        return worlds[-1]

    yield make
    for world in reversed(worlds):
        await world.close()


@pytest.fixture
async def pair(at: MakeWorld, server: RedisServer) -> Pair:
    world = at(server.url, command_timeout=0.5, connect_timeout=0.5, probe_interval=0.2)
    made = Pair(await world.start(**LEASE), await world.start(**LEASE))
    await made.enter()
    return made


@pytest.fixture
async def behind(at: MakeWorld, server: RedisServer, proxy: Proxy) -> Pair:
    """``pair`` with the proxy between the first instance and Redis."""
    world = at(proxy.url, command_timeout=0.5, connect_timeout=0.5, probe_interval=0.2)
    assert isinstance(world.backend, At)
    first = await world.start(**LEASE)
    direct = RedisStore({**world.backend.options, "url": server.url})
    made = Pair(first, await world.start(store=direct, **LEASE))
    await made.enter()
    return made
