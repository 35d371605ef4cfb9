"""The test kit's clock and ``wait_until``."""

import asyncio

import pytest

from chat_service.clock import SystemClock
from chat_service.testing import FakeClock, wait_until


async def test_the_fake_clock_stands_still() -> None:
    clock = FakeClock(start_ms=5000)
    assert (clock.now_ms(), clock.monotonic()) == (5000, 0.0)
    await asyncio.sleep(0.002)
    assert (clock.now_ms(), clock.monotonic()) == (5000, 0.0)
    await clock.advance(1.5)
    assert (clock.now_ms(), clock.monotonic()) == (6500, 1.5)


async def test_sleepers_wake_in_order_and_at_their_time() -> None:
    clock, woken = FakeClock(start_ms=0), []

    async def sleeper(name: str, *naps: float) -> None:
        for seconds in naps:
            await clock.sleep(seconds)
            woken.append((name, clock.now_ms()))

    tasks = [asyncio.create_task(sleeper("b", 2, 2)), asyncio.create_task(sleeper("a", 1, 1, 1, 5))]
    await asyncio.sleep(0)
    await clock.advance(0.5)
    assert woken == []
    await clock.advance(3.5)
    assert woken == [("a", 1000), ("b", 2000), ("a", 2000), ("a", 3000), ("b", 4000)]
    await clock.advance(10)
    assert woken[5:] == [("a", 8000)]
    assert clock.now_ms() == 14000
    await asyncio.gather(*tasks)


async def test_tasks_about_to_sleep_start_from_the_current_time() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await clock.advance(5)
    assert task.done()


async def test_a_sleeper_may_be_cancelled() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await clock.advance(5)
    assert clock.monotonic() == 5


async def test_system_clock() -> None:
    clock = SystemClock()
    before, ticks = clock.now_ms(), clock.monotonic()
    await clock.sleep(0.002)
    assert clock.now_ms() >= before > 1_600_000_000_000
    assert clock.monotonic() >= ticks + 0.002


async def test_wait_until_returns_when_it_is_true() -> None:
    turns = []

    def many() -> bool:
        turns.append(1)
        return len(turns) == 60

    await wait_until(many, "60 turns")
    assert len(turns) == 60


async def test_wait_until_awaits_coroutines() -> None:
    event = asyncio.Event()

    async def is_set() -> bool:
        return event.is_set()

    asyncio.get_running_loop().call_soon(event.set)
    await wait_until(is_set, "the event")


async def test_wait_until_names_the_condition_on_timeout() -> None:
    with pytest.raises(TimeoutError, match=r"waited 0\.01 s for the impossible"):
        await wait_until(lambda: False, "the impossible", timeout=0.01)


async def test_wait_until_propagates_errors() -> None:
    with pytest.raises(ZeroDivisionError):
        await wait_until(lambda: 1 // 0 == 0, "nothing")
