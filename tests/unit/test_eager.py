"""Eager coroutines, which get a task only when they wait."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from chat_service.concurrency import eager
from chat_service.concurrency.running import RunningWork
from chat_service.concurrency.serial import SerialQueue
from tests.support.patience import PATIENCE

variable: ContextVar[int] = ContextVar("variable", default=0)


class Started:
    """The outcome of started work."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.task: asyncio.Task[None] | None = None


async def start(work: Coroutine[Any, Any, Any]) -> Started:
    """Start work in a loop callback, outside any task."""
    started = Started()

    def begin() -> None:
        started.task = eager.start(work, started.results.append)

    asyncio.get_running_loop().call_soon(begin)
    await asyncio.sleep(0)
    return started


async def test_work_that_never_waits_runs_without_a_task() -> None:
    async def work() -> Any:
        return asyncio.current_task(), eager.current_work()

    started = await start(work())
    ((task, current),) = started.results
    assert started.task is None and task is None and isinstance(current, eager.Begun)


async def test_extra_arguments_follow_the_result() -> None:
    seen: list[Any] = []

    async def work() -> int:
        return 1

    asyncio.get_running_loop().call_soon(eager.start, work(), lambda *args: seen.append(args), 2, 3)
    await asyncio.sleep(0)
    assert seen == [(1, 2, 3)]


async def test_waiting_work_continues_in_a_task() -> None:
    release = asyncio.get_running_loop().create_future()

    async def work() -> Any:
        before = eager.current_work()
        result = await release
        assert eager.current_work() is before
        return result, asyncio.current_task()

    started = await start(work())
    assert started.task is not None and started.results == []
    release.set_result("x")
    await started.task
    assert started.results == [("x", started.task)]


@pytest.mark.parametrize("wait", [lambda: asyncio.sleep(0), lambda: asyncio.sleep(0.001), eager.in_task])
async def test_ways_to_wait(wait: Callable[[], Awaitable[None]]) -> None:
    async def work() -> bool:
        await wait()
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0)
        return asyncio.current_task() is not None

    started = await start(work())
    assert started.task is not None
    await started.task
    assert started.results == [True]


async def test_in_task_does_nothing_inside_a_task() -> None:
    steps: list[str] = []

    async def work() -> None:
        await eager.in_task()
        steps.append("work")

    task = asyncio.create_task(work())
    asyncio.get_running_loop().call_soon(steps.append, "later")
    await task
    assert steps == ["work", "later"]


async def test_work_started_in_a_task_gets_its_own_task() -> None:
    seen: list[Any] = []

    async def work() -> Any:
        return asyncio.current_task()

    task = eager.start(work(), seen.append)
    assert task is not None and seen == []
    await task
    assert seen == [task]


@pytest.mark.parametrize("waits", [False, True])
async def test_errors_are_raised(waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ZeroDivisionError

    if waits:
        started = await start(work())
        assert started.task is not None
        with pytest.raises(ZeroDivisionError):
            await started.task
        assert started.results == []
    else:
        errors: list[BaseException] = []

        def begin() -> None:
            with pytest.raises(ZeroDivisionError) as raised:
                eager.start(work(), errors.append)
            errors.append(raised.value)

        asyncio.get_running_loop().call_soon(begin)
        await asyncio.sleep(0)
        assert len(errors) == 1


@pytest.mark.parametrize("turns", [0, 3])
async def test_cancellation_reaches_the_work_even_before_the_first_step_of_the_task(turns: int) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    tasks: list[asyncio.Task[None]] = []

    def begin() -> None:
        task = eager.start(work(), ended.append)
        assert task is not None
        tasks.append(task)
        if not turns:
            task.cancel()

    asyncio.get_running_loop().call_soon(begin)
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert ended == ["cleaned up"]


async def test_work_that_suppresses_cancellation_has_a_result() -> None:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "stubborn"
        return ""

    started = await start(work())
    assert started.task is not None
    started.task.cancel()
    await started.task
    assert started.results == ["stubborn"]


async def test_work_has_its_own_context() -> None:
    async def work() -> int:
        token = variable.set(5)
        await asyncio.sleep(0)
        found = variable.get()
        # A token is valid only in the context that created it.
        variable.reset(token)
        return found

    started = await start(work())
    assert variable.get() == 0 and started.task is not None
    await started.task
    assert started.results == [5]


async def test_holds_and_running_work_start_before_the_task_and_end_in_it() -> None:
    running, queue, release = RunningWork(), SerialQueue(), asyncio.Event()

    async def work() -> None:
        with running.track("outer"):
            async with queue.hold("key"):
                await release.wait()
                with running.track("inner"):
                    await asyncio.sleep(0)

    started = await start(work())
    assert (running.names(), len(queue)) == ("outer (1)", 1)
    release.set()
    assert started.task is not None
    await started.task
    assert (len(running), len(queue)) == (0, 0)


async def test_running_work_with_a_task_can_be_cancelled_or_spared() -> None:
    running = RunningWork()

    async def work(name: str) -> None:
        with running.track(name):
            await asyncio.sleep(0)
            with running.track("inner"):
                await asyncio.Event().wait()

    spared, cancelled = await start(work("spare")), await start(work("other"))
    assert spared.task is not None and cancelled.task is not None
    for _ in range(3):
        await asyncio.sleep(0)
    await running.cancel(spare="spare")
    assert cancelled.task.cancelled() and not spared.task.done()
    await running.cancel()
    assert spared.task.cancelled()


async def test_task_created_by_the_work_is_separate_work() -> None:
    seen: list[Any] = []

    async def child() -> None:
        seen.append(eager.current_work() is asyncio.current_task())

    async def work() -> None:
        seen.append(asyncio.create_task(child()))

    await start(work())
    await seen[0]
    assert seen[1:] == [True]


async def test_task_shows_the_position_of_the_work() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    started = await start(work())
    assert started.task is not None
    assert "work() running at" in repr(started.task)
    started.task.cancel()
    await asyncio.wait([started.task])


async def test_finished_work_leaves_no_garbage() -> None:
    """Reference cycles would cause collector pauses for all clients."""

    async def work() -> None:
        await asyncio.sleep(0)

    started: list[asyncio.Task[None] | None] = []
    loop = asyncio.get_running_loop()
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            loop.call_soon(lambda: started.append(eager.start(work(), lambda result: None)))
        await asyncio.sleep(0)
        await asyncio.gather(*(task for task in started if task is not None))
        assert len(started) == 100
        started.clear()
        await asyncio.sleep(0)
        assert gc.collect() < 100
    finally:
        gc.enable()
