"""A stalled machine is distinguished from a fault of the run."""

import asyncio
import time

from tests.chaos.backends import Backend
from tests.chaos.stalls import Stalls

LONG = 0.5


async def _hold_everything_up(stalls: Stalls) -> None:
    # The watch is on its way.
    await asyncio.sleep(0)
    time.sleep(LONG)
    await asyncio.sleep(0.2)


async def test_a_process_that_stands_still_is_noticed_even_during_a_fault():
    async with Stalls(Backend("redis")) as stalls:
        with stalls.expected():
            await _hold_everything_up(stalls)
    assert stalls.longest > LONG / 2
