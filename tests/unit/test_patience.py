"""The time of one command: hooks do not count, and waiting commands are not charged for them."""

import asyncio

import pytest

from chat_service.concurrency import deadlines as module
from chat_service.concurrency.deadlines import Patience, current_patience
from chat_service.concurrency.serial import Hold, SerialQueue
from chat_service.hooks import call_hook


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


async def test_time_in_hooks_does_not_count(clock: Clock) -> None:
    mine = Patience(5.0)
    current_patience.set(mine)
    seen: list[Patience | None] = []

    async def hook() -> None:
        seen.append(current_patience.get())
        await asyncio.sleep(0)
        clock.now += 7.0

    def plain() -> None:
        seen.append(current_patience.get())
        clock.now += 1.0
        raise ZeroDivisionError

    clock.now += 2.0
    await call_hook(hook)
    with pytest.raises(ZeroDivisionError):
        await call_hook(plain)
    assert current_patience.get() is mine
    assert seen == [None, None]
    assert (mine.left, mine.excused) == (3.0, 8.0)
    clock.now += 4.0
    assert mine.left == -1.0


async def test_a_wait_knows_the_excused_seconds_of_the_stays_before_it() -> None:
    queue = SerialQueue()
    first, second, third = (queue.hold("key") for _ in range(3))
    assert first.enter_at_once()

    async def enter(hold: Hold, own: float) -> float:
        excused, _ = await hold.enter()
        hold.leave(own)
        return float(excused)

    async def apart() -> list[float]:
        waiting = [asyncio.create_task(enter(second, 2.0)), asyncio.create_task(enter(third, 4.0))]
        await asyncio.sleep(0)
        started.set()
        return list(await asyncio.gather(*waiting))

    first.leave()
    started = asyncio.Event()
    await queue.acquire("key")
    running = asyncio.create_task(apart())
    await started.wait()
    queue.release("key", 1.0)
    assert await running == [1.0, 3.0]
    assert len(queue) == 0
