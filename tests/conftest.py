"""Fixtures that every test can use. Tests never ask which store they run on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.backends import Backend, InMemory
from tests.support.world import World

BACKENDS = ["memory"]


@pytest.fixture(autouse=True)
async def no_leaks() -> AsyncIterator[None]:
    """Fail a test that leaves tasks behind."""
    before = asyncio.all_tasks()
    yield
    for _ in range(20):
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"the test left tasks behind: {left}")


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """Where the state of the test lives. Fails a test after which something is left without an owner."""
    made = InMemory()
    yield made
    assert await made.leftovers() == []


@pytest.fixture
async def world(backend: Backend) -> AsyncIterator[World]:
    """Makes service instances over the backend: ``instance = await world.start(option=...)``."""
    made = World(backend)
    try:
        yield made
    finally:
        await made.close()
