"""Running a service as a process: signals, one message for what goes wrong, the exit code."""

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from chat_service.service.process import run_loop, tune_garbage_collector

if TYPE_CHECKING:
    from chat_service.service.chat_service import ChatService

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(service: "ChatService") -> None:
    """Start, wait for SIGINT or SIGTERM, close; on SIGTERM drain before. A second signal ends it at once.

    Raises ``SystemExit`` with code 1, after one line on stderr, when the start or the close fails.
    """
    try:
        run_loop(_run(service))
    except KeyboardInterrupt:
        sys.exit(130)


async def _run(service: "ChatService") -> None:
    stop = asyncio.Event()
    is_drain_asked = False
    loop = asyncio.get_running_loop()

    def on_signal(received: signal.Signals) -> None:
        nonlocal is_drain_asked
        is_drain_asked = received is signal.SIGTERM
        for number in _SIGNALS:
            # From now on they do what they do by default.
            loop.remove_signal_handler(number)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        await service.start()
    except Exception as error:
        _fail("cannot start", error)
    tune_garbage_collector()
    await stop.wait()
    try:
        if is_drain_asked:
            await service.drain()
        await service.close()
    except Exception as error:
        _fail("did not close cleanly", error)


def _fail(what: str, error: Exception) -> None:
    text = str(error) or type(error).__name__
    print(f"chat_service {what}: {text}", file=sys.stderr)
    # The cause is for the command line, whose exit codes say more.
    raise SystemExit(1) from error
