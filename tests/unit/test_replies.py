"""Work that waits for replies without a task."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from chat_service.concurrency import eager
from chat_service.concurrency.running import RunningWork
from chat_service.concurrency.serial import SerialQueue
from tests.support.patience import PATIENCE

variable: ContextVar[int] = ContextVar("variable", default=0)


async def begin(work: Coroutine[Any, Any, Any], then: Callable[[Any], None]) -> eager.Begun | None:
    """Start work that may wait without a task, in a loop callback."""
    loop = asyncio.get_running_loop()
    begun: list[eager.Begun | None] = []
    loop.call_soon(lambda: begun.append(eager.run_in(loop, work, then)))
    await asyncio.sleep(0)
    return begun[0]


async def settle(reply: eager.Reply, result: Any) -> None:
    """Settle a reply in a loop callback."""
    asyncio.get_running_loop().call_soon(reply.settle, result)
    await asyncio.sleep(0)


def make_reply() -> eager.Reply:
    return eager.Reply(loop=asyncio.get_running_loop())


async def test_work_goes_on_with_a_reply_at_once_and_without_a_task() -> None:
    replies, results, ended = [make_reply(), make_reply()], list[Any](), list[Any]()
    running = RunningWork()

    async def work() -> Any:
        token = variable.set(5)
        with running.track("work"):
            found = [await reply for reply in replies]
            with running.track("inner"):
                assert isinstance(eager.current_work(), eager.Begun)
            variable.reset(token)
            return found, asyncio.current_task()

    begun = await begin(work(), results.append)
    assert begun is not None and begun.task is None
    begun.add_done_callback(ended.append)
    await settle(replies[0], 1)
    assert (results, ended, len(running)) == ([], [], 1)
    await settle(replies[1], 2)
    assert (results, ended, len(running)) == ([([1, 2], None)], [begun], 0)
    await settle(replies[1], 3)
    assert len(results) == 1


async def test_work_without_a_task_gets_a_failure_in_the_next_turn() -> None:
    reply, results = make_reply(), list[Any]()

    async def work() -> str:
        try:
            return str(await reply)
        except ZeroDivisionError:
            return "failed"

    begun = await begin(work(), results.append)
    assert begun is not None and begun.task is None
    reply.fail(ZeroDivisionError())
    assert results == []
    await asyncio.sleep(0)
    assert results == ["failed"]


@pytest.mark.parametrize("first", [True, False])
async def test_work_gets_a_task_when_it_waits_for_anything_but_a_reply(first: bool) -> None:
    reply, results, ended = make_reply(), list[Any](), list[Any]()

    async def work() -> Any:
        if not first:
            await reply
        await eager.in_task()
        async with asyncio.timeout(PATIENCE):
            await (reply if first else asyncio.sleep(0))
        return asyncio.current_task()

    begun = await begin(work(), results.append)
    assert begun is not None and (begun.task is not None) == first
    begun.add_done_callback(ended.append)
    await asyncio.sleep(0)
    await settle(reply, 1)
    task = begun.as_task()
    assert task is not None
    await task
    assert results == ended == [task]


async def test_work_without_a_task_is_cancelled_like_any_other() -> None:
    reply, queue, running = make_reply(), SerialQueue(), RunningWork()
    results, ended = list[Any](), list[Any]()

    async def work() -> None:
        with running.track("work"):
            async with queue.hold("key"):
                await reply

    begun = await begin(work(), results.append)
    assert begun is not None
    begun.add_done_callback(ended.append)
    await running.cancel()
    assert (len(running), len(queue), results, len(ended)) == (0, 0, [], 1)
    await settle(reply, "too late")
    await asyncio.sleep(0)
    assert results == []


async def test_work_that_cancels_all_running_work_goes_on_itself() -> None:
    reply, running, results = make_reply(), RunningWork(), list[Any]()

    async def work() -> str:
        with running.track("work"):
            await reply
            await running.cancel()
        return "done"

    assert await begin(work(), results.append) is not None
    await settle(reply, 1)
    assert results == ["done"]


@pytest.mark.parametrize("at_end", [False, True])
async def test_what_work_without_a_task_raises_is_logged(
    at_end: bool, caplog: pytest.LogCaptureFixture
) -> None:
    reply, ended = make_reply(), list[Any]()

    async def work() -> None:
        await reply
        if not at_end:
            raise ZeroDivisionError

    def then(_: Any) -> None:
        raise ZeroDivisionError

    begun = await begin(work(), then)
    assert begun is not None
    begun.add_done_callback(ended.append)
    await settle(reply, 1)
    assert ended == [begun] and "ZeroDivisionError" in caplog.text


async def test_finished_work_without_a_task_leaves_no_garbage() -> None:
    async def work(reply: eager.Reply) -> None:
        await reply

    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            reply = make_reply()
            assert await begin(work(reply), lambda result: None) is not None
            await settle(reply, 1)
        assert gc.collect() < 100
    finally:
        gc.enable()
