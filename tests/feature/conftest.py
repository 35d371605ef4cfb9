"""Fixtures of the feature tests."""

from typing import Any

import pytest

from tests.support.spread import Spread, StartSpread
from tests.support.world import World


@pytest.fixture(params=[1, 3], ids=["1 instance", "3 instances"])
def spread(request: pytest.FixtureRequest, world: World) -> StartSpread:
    """Starts the service on one instance, and in another run of the test on three."""

    async def start(**options: Any) -> Spread:
        return Spread([await world.start(**options) for _ in range(request.param)])

    return start
