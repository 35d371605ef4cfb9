"""Event loop and garbage collector settings for our own processes. Importing this sets nothing."""

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine
from typing import Any

#: Thresholds of the garbage collector (Python: 700 to 2,000 objects). Commands create few reference cycles,
#: and each collection pauses all clients.
GC_THRESHOLDS = (50_000, 20, 50)


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest available event loop."""
    fill_descriptors()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def fill_descriptors() -> None:
    """Open closed standard descriptors. Otherwise the loop could get them, at which libuv aborts."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system assigns the lowest free descriptor.
            os.open(os.devnull, os.O_RDWR)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop factory if it is installed, else None (asyncio's)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def tune_garbage_collector() -> None:
    """Exclude all existing objects from collection. Call this once everything permanent is created."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
