"""Waiting in tests for something to become true, with a deadline and a text for when it does not."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def wait_until(
    predicate: Callable[[], bool] | Callable[[], Awaitable[bool]],
    description: str,
    *,
    timeout: float = 20.0,
) -> None:
    """Return as soon as ``predicate()`` is true. Raises ``TimeoutError`` after so many seconds.

    The predicate is asked again after every turn of the event loop, later every few milliseconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    turns = 0
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        if loop.time() > deadline:
            raise TimeoutError(f"waited {timeout} s for {description}")
        turns += 1
        await asyncio.sleep(0 if turns < 50 else 0.005)
