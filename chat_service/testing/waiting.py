"""Waiting for a condition in tests, with a deadline and a helpful error."""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable


def patience() -> float:
    """Seconds that a test waits for something that has to come, unless it says otherwise."""
    return float(os.environ.get("CHAT_TEST_PATIENCE", "20"))


async def wait_until(
    predicate: Callable[[], bool] | Callable[[], Awaitable[bool]],
    description: str,
    *,
    timeout: float | None = None,
) -> None:
    """Return as soon as ``predicate()`` is true. Raises ``TimeoutError`` after ``timeout`` seconds.

    ``timeout``: if None, the environment variable CHAT_TEST_PATIENCE or 20. Raise it on slow machines.
    The predicate is called after every turn of the event loop, later every few milliseconds.
    """
    loop = asyncio.get_running_loop()
    seconds = patience() if timeout is None else timeout
    deadline = loop.time() + seconds
    turns = 0
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        if loop.time() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {description}")
        turns += 1
        await asyncio.sleep(0 if turns < 50 else 0.005)
