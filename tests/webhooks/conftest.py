"""Fixtures for the tests of webhooks."""

from collections.abc import AsyncIterator

import pytest

from tests.support.world import World
from tests.webhooks.back_ends import BackEnd, back_end


@pytest.fixture
async def decider() -> AsyncIterator[BackEnd]:
    """A back end that answers ``{}`` by default."""
    async with back_end() as made:
        yield made


@pytest.fixture
async def world(decider: BackEnd, world: World) -> World:
    """The services of a test, which close before its back end ends."""
    return world
