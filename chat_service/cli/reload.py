"""``run --reload``: the service in a child process that is started again when its sources change."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Sequence

from chat_service.cli.failures import CliError, ExitCode

MISSING = "--reload needs watchfiles: pip install 'chat-service[reload]'"
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
    child = await _spawn(command)
    watcher = asyncio.create_task(_report_end(child))
    sources = PythonFilter(extra_extensions=(".toml",))
    async for changes in awatch(*directories, watch_filter=sources, stop_event=stop, debounce=200):
        _say(f"{_names(path for _, path in changes)} changed: starting again")
        await _end(child, watcher)
        child = await _spawn(command)
        watcher = asyncio.create_task(_report_end(child))
    return await _end(child, watcher)


async def _spawn(command: Sequence[str]) -> asyncio.subprocess.Process:
    # Ctrl+C of the terminal is for this process, which passes it on.
    return await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
    )


async def _report_end(child: asyncio.subprocess.Process) -> None:
    code = await child.wait()
    _say(f"the service ended with code {code}; waiting for a change")


async def _end(child: asyncio.subprocess.Process, watcher: "asyncio.Task[None]") -> int:
    watcher.cancel()
    await asyncio.wait([watcher])
    if child.returncode is None:
        # Not SIGTERM: nobody wants a drain here.
        child.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(PATIENCE):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
    return 0


def _names(paths: Iterable[str]) -> str:
    return ", ".join(sorted(os.path.relpath(path) for path in paths))


def _say(line: str) -> None:
    print(f"chat-service: {line}", file=sys.stderr, flush=True)
