"""Background tasks: errors are logged and counted, failed work restarts, and a close ends everything."""

import asyncio
import contextvars
import itertools
import logging
import random

import pytest

from chat_service.concurrency import running as module
from chat_service.concurrency.running import Background, end
from chat_service.testing import wait_until


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_FIRST", 0.001)
    monkeypatch.setattr(module, "RESTART_LONGEST", 0.004)
    monkeypatch.setattr(module, "CANCEL_AGAIN", 0.01)


@pytest.fixture(params=[RuntimeError("broken"), OSError(24, "too many"), asyncio.CancelledError()], ids=repr)
def error(request: pytest.FixtureRequest) -> BaseException:
    return request.param


async def test_failing_work_restarts(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    background, begun = Background(), itertools.count(1)
    seen = 0

    async def work() -> None:
        nonlocal seen
        seen = next(begun)
        if seen < 4:
            raise error
        await asyncio.Event().wait()

    task = background.keep("looking", work)
    assert repr(background) == "<Background ['looking']>"
    await wait_until(lambda: seen == 4, "the fourth time")
    assert background.failures == {"looking": 3}
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 3
    assert all("background task looking failed and restarts in" in r.getMessage() for r in records)
    assert all(record.exc_info is not None for record in records)
    await background.close()
    await background.close()
    assert task.cancelled()


async def test_finished_work_does_not_restart() -> None:
    background, runs = Background(), 0

    async def work() -> None:
        nonlocal runs
        runs += 1

    await background.keep("errand", work)
    assert (runs, background.failures) == (1, {})


async def test_error_of_one_time_work_is_only_logged(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    background = Background()

    async def work() -> None:
        raise error

    await background.once("errand", work)
    assert background.failures == {"errand": 1}
    assert "background task errand failed and is given up" in caplog.text


async def test_delays_grow_and_reset_after_success(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    background = Background()
    monkeypatch.setattr(random, "uniform", lambda low, high: high)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    turns = 0
    waiting = asyncio.sleep

    async def work() -> None:
        nonlocal turns
        turns += 1
        if turns == 5:
            await waiting(0.02)
        if turns < 7:
            raise RuntimeError("broken")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await background.persist("looking", work)
    assert pauses == [0.001, 0.002, 0.004, 0.004, 0.001, 0.002]


async def test_close_ends_tasks_in_any_state() -> None:
    background, hung = Background(), asyncio.Event()

    async def fails() -> None:
        raise RuntimeError("broken")

    async def hangs() -> None:
        hung.set()
        await asyncio.Event().wait()

    tasks = [background.keep("failing", fails), background.keep("hanging", hangs)]
    await hung.wait()
    # This one has not even started.
    tasks += [background.once("new", hangs)]
    await background.close()
    assert all(task.cancelled() for task in tasks)


async def test_error_during_cancellation_does_not_restart_the_work(caplog: pytest.LogCaptureFixture) -> None:
    background, runs = Background(), 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("broken at the end")

    task = background.keep("looking", work)
    await wait_until(lambda: runs == 1, "it runs")
    await background.close()
    assert task.done() and (runs, background.failures) == (1, {})
    assert "broken at the end" in caplog.text


async def test_swallowed_cancellation_is_repeated() -> None:
    background, runs = Background(), 0

    async def work() -> None:
        nonlocal runs
        while runs < 3:
            runs += 1
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    task = background.keep("stubborn", work)
    await wait_until(lambda: runs == 1, "it runs")
    await end(None, task)
    assert task.done() and runs == 3


async def test_tasks_do_not_inherit_the_context_of_their_starter() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    background, seen = Background(), []

    async def work() -> None:
        seen.append(variable.get())

    variable.set(5)
    await background.keep("kept", work)
    await background.once("once", work)
    assert seen == [0, 0]
