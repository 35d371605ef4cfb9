"""``chat-service run``."""

import asyncio
import os
import signal
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from chat_service.cli import output
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.parameters import log_options, subcommand, worker_options

if TYPE_CHECKING:
    from chat_service.cli.supervisor import Worker


@subcommand(
    "run",
    """
    chat-service run main:service                         # service = ChatService(...) in main.py
    chat-service run --port 9000 --reload main:service    # start again at each change
    chat-service run chat.app:make_service                # a function that returns a ChatService
    chat-service run --workers 4 main:service             # over Redis, WebSocket alone
    """,
)
@click.argument("service", metavar="MODULE:ATTRIBUTE")
@click.option("--host", help="Address to listen on.  [default: that of the service]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port, 0 for a free one.  [default: that of the service]"
)
@worker_options
@click.option("--reload", is_flag=True, help="Start again when sources change; for development.")
@click.option(
    "--reload-dir",
    "reload_dirs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Where sources are; may be given several times.  [default: that of --app-dir]",
)
@click.option(
    "--app-dir",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False),
    help="Where modules are looked for first.",
)
@log_options
@click.pass_context
def command(
    ctx: click.Context,
    service: str,
    host: str | None,
    port: int | None,
    workers: int | None,
    port_per_worker: bool,
    reload: bool,
    reload_dirs: tuple[str, ...],
    app_dir: str,
    log_level: str,
    log_format: str,
) -> None:
    """Run a service of your code: an object, or a function without arguments that makes one.

    SIGTERM sends the clients away bit by bit and ends (a drain), Ctrl+C ends at once. With several workers,
    SIGHUP replaces them one after the other, by new ones with the code as it is then.
    """
    arguments = ["run", service, "--app-dir", app_dir, "--log-level", log_level, "--log-format", log_format]
    if reload:
        if workers not in (None, 1):
            raise CliError(ExitCode.USAGE, "--reload and --workers do not go together")
        from chat_service.cli.supervisor import own_command

        for option, value in (("--host", host), ("--port", port)):
            if value is not None:
                arguments += [option, str(value)]
        ctx.exit(run_with_reload(own_command(*arguments), reload_dirs or (app_dir,)))
    from chat_service.cli.loading import load_service
    from chat_service.cli.supervisor import launch

    code = launch(
        load_service(service, app_dir),
        # Workers get their sockets; the number of them says that they are not alone.
        [*arguments, "--workers", str(workers or 1)],
        workers=workers or 1,
        port_per_worker=port_per_worker,
        host=host,
        port=port,
        log_level=log_level,
        log_format=log_format,
    )
    ctx.exit(code)


# --reload: the service in a child process that is started again when its sources change

MISSING = "--reload needs watchfiles: pip install 'watchfiles>=1,<2'"
#: Seconds that a service may take to close before it is ended.
PATIENCE = 5.0


def run_with_reload(command: Sequence[str], directories: Sequence[str]) -> int:
    """Run a program until a signal, and again at each change of a source below ``directories``."""
    try:
        import watchfiles  # noqa: F401 - whether it is there
    except ImportError:
        raise CliError(ExitCode.CONFIGURATION, MISSING) from None
    return asyncio.run(_watch(command, directories))


async def _watch(command: Sequence[str], directories: Sequence[str]) -> int:
    from watchfiles import PythonFilter, awatch

    from chat_service.cli.supervisor import start_worker

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

    def __init__(self, worker: "Worker") -> None:
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
    output.complain(f"chat-service: {line}")
