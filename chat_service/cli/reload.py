"""``run --reload``: the service in a child process that is started again when its sources change."""

import asyncio
import os
import signal
from collections.abc import Iterable, Sequence

from chat_service.cli import streams
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.supervisor import Worker, start_worker

MISSING = "--reload needs watchfiles: pip install 'watchfiles>=1,<2'"
#: Seconds that a service may take to close before it is ended.
PATIENCE = 5.0


def run_with_reload(command: Sequence[str], directories: Sequence[str]) -> int:
    """Run a program until a signal, and again at each change of a source below ``directories``."""
    try:
        import watchfiles  # noqa: F401 - whether it is there
    except ImportError:
        raise CliError(ExitCode.CONFIGURATION, MISSING) from None
    return asyncio.run(_run(command, directories))


async def _run(command: Sequence[str], directories: Sequence[str]) -> int:
    from watchfiles import PythonFilter, awatch

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    child = Child(await start_worker(command))
    sources = PythonFilter(extra_extensions=(".toml",))
    async for changes in awatch(*directories, watch_filter=sources, stop_event=stop, debounce=200):
        _say(f"{_names(path for _, path in changes)} changed: starting again")
        await child.end()
        child = Child(await start_worker(command))
    await child.end()
    return 0


class Child:
    """The service; its end is told, unless it is asked for."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._is_asked = False
        self._ending = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        code = await self._worker.ended()
        if not self._is_asked:
            _say(f"the service ended with code {code}; waiting for a change")

    async def end(self) -> None:
        """Return when it has ended."""
        self._is_asked = True
        # Not SIGTERM: nobody wants a drain here.
        self._worker.send(signal.SIGINT)
        await asyncio.wait([self._ending], timeout=PATIENCE)
        self._worker.send(signal.SIGKILL)
        await self._ending


def _names(paths: Iterable[str]) -> str:
    return ", ".join(sorted(os.path.relpath(path) for path in paths))


def _say(line: str) -> None:
    streams.complain(f"chat-service: {line}")
