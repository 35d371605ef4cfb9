"""What only a process of our own may set: its event loop and its garbage collector. Imports set nothing."""

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine
from typing import Any

#: Objects of the youngest generation before a collection (Python: 700 to 2,000), and collections of one
#: generation per collection of the next older one. Commands make few cycles, and each look at them stops
#: all clients.
GC_THRESHOLDS = (50_000, 20, 50)


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest event loop there is."""
    fill_descriptors()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def fill_descriptors() -> None:
    """Open the standard descriptors that are closed: the loop would get them, and libuv aborts at that."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # It takes the lowest one that is free.
            os.open(os.devnull, os.O_RDWR)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """That of uvloop where it is installed, which it is where it can be. None: the one of asyncio."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def tune_garbage_collector() -> None:
    """Call when everything that stays for the life of the process is there: it is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
