"""A world for tests of the HTTP API that the store does not affect."""

from collections.abc import AsyncIterator

import pytest

from tests.support.backends import InMemory
from tests.support.world import World


@pytest.fixture
async def one_store() -> AsyncIterator[World]:
    made = World(InMemory())
    try:
        yield made
    finally:
        await made.close()
