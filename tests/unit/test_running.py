"""The work in flight: what a close waits for and cancels."""

import asyncio
import contextvars
import logging

import pytest

from chat_service.concurrency import running as module
from chat_service.concurrency.running import RunningWork
from tests.support.patience import PATIENCE


async def test_idle_when_all_pieces_have_ended() -> None:
    running = RunningWork()
    await running.wait_idle()
    with running.track("b"):
        with running.track("a"), running.track("b"):
            assert (len(running), running.names()) == (3, "a (1), b (2)")
        assert (len(running), running.names()) == (1, "b (1)")
        waiting = asyncio.create_task(running.wait_idle())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting
    assert (len(running), running.names()) == (0, "")


async def test_a_piece_that_raises_has_ended() -> None:
    running = RunningWork()
    with pytest.raises(ZeroDivisionError), running.track("a"):
        raise ZeroDivisionError
    await running.wait_idle()


async def test_background_work_is_tracked_and_its_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    running, gate = RunningWork(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        raise RuntimeError("broken")

    running.spawn(work(), "errand")
    await asyncio.sleep(0)
    assert running.names() == "errand (1)"
    gate.set()
    await running.wait_idle()
    assert "errand failed" in caplog.text
    assert "broken" in caplog.text


async def test_background_work_does_not_inherit_context() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    running, seen = RunningWork(), []

    async def work() -> None:
        seen.append(variable.get())

    variable.set(5)
    await running.spawn(work(), "errand")
    assert seen == [0]


async def test_cancel_ends_inline_and_background_work_but_not_the_caller() -> None:
    running, ended = RunningWork(), []

    async def inline() -> None:
        try:
            with running.track("inline"):
                await asyncio.Event().wait()
        finally:
            ended.append("inline")

    async def background() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("background")

    task = asyncio.create_task(inline())
    running.spawn(background(), "background")
    await asyncio.sleep(0)
    with running.track("caller"):
        await running.cancel()
    assert sorted(ended) == ["background", "inline"]
    assert task.cancelled()
    assert len(running) == 0
    await running.cancel()


async def test_work_that_does_not_end_cannot_hold_up_a_cancel(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "CANCEL_GRACE", 0.01)
    running, gate = RunningWork(), asyncio.Event()

    async def stubborn() -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue

    task = running.spawn(stubborn(), "stubborn")
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        await running.cancel()
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "stubborn" in record.getMessage()
    gate.set()
    await task
