"""``chat-service run``, and finding the service in a module."""

import asyncio
import difflib
import inspect
import os
import signal
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import chat_service
from chat_service.cli import output
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.parameters import log_options, subcommand, worker_options

if TYPE_CHECKING:
    from chat_service.cli.supervisor import Worker


@subcommand(
    "run",
    """
    chat-service run main:service                         # service = ChatService(...) in main.py
    chat-service run --port 9000 --reload main:service    # restart at each change
    chat-service run chat.app:make_service                # a function that returns a ChatService
    chat-service run --workers 4 main:service             # with Redis, WebSocket only
    """,
)
@click.argument("service", metavar="MODULE:ATTRIBUTE")
@click.option("--host", help="Address to listen on.  [default: the service's]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 picks a free one.  [default: the service's]"
)
@worker_options
@click.option("--reload", is_flag=True, help="Restart when source files change; for development.")
@click.option(
    "--reload-dir",
    "reload_dirs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Directory with source files; may be repeated.  [default: --app-dir]",
)
@click.option(
    "--app-dir",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False),
    help="Directory that is searched for modules first.",
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
    """Run a service from your code: an object, or a function without arguments that returns one.

    SIGTERM drains the service: it disconnects clients gradually, then exits. Ctrl+C stops it immediately.
    With several workers, SIGHUP replaces them one at a time with new ones that run the current code.
    """
    arguments = ["run", service, "--app-dir", app_dir, "--log-level", log_level, "--log-format", log_format]
    if reload:
        if workers not in (None, 1):
            raise CliError(ExitCode.USAGE, "--reload and --workers cannot be combined")
        from chat_service.cli.supervisor import own_command

        for option, value in (("--host", host), ("--port", port)):
            if value is not None:
                arguments += [option, str(value)]
        ctx.exit(run_with_reload(own_command(*arguments), reload_dirs or (app_dir,)))
    from chat_service.cli.supervisor import launch

    code = launch(
        load_service(service, app_dir),
        # Workers get their sockets; the number of sockets shows that there are several workers.
        [*arguments, "--workers", str(workers or 1)],
        workers=workers or 1,
        port_per_worker=port_per_worker,
        host=host,
        port=port,
        log_level=log_level,
        log_format=log_format,
    )
    ctx.exit(code)


# --reload: runs the service in a child process that is restarted when its sources change

MISSING = "--reload needs watchfiles: pip install 'watchfiles>=1,<2'"
#: Seconds for a service to close before it is killed.
PATIENCE = 5.0


def run_with_reload(command: Sequence[str], directories: Sequence[str]) -> int:
    """Run a program until a signal, and restart it when a source file below ``directories`` changes."""
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
        _say(f"{_names(path for _, path in changes)} changed: restarting")
        await child.end()
        child = Child(await start_worker(command))
    await child.end()
    return 0


class Child:
    """The service. Its exit is reported, unless it was requested."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._is_asked = False
        self._ending = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        code = await self._worker.ended()
        if not self._is_asked:
            _say(f"the service exited with code {code}; waiting for a change")

    async def end(self) -> None:
        """Wait until it has exited."""
        self._is_asked = True
        # Not SIGTERM: a drain is not useful here.
        self._worker.send(signal.SIGINT)
        await asyncio.wait([self._ending], timeout=PATIENCE)
        self._worker.send(signal.SIGKILL)
        await self._ending


def _names(paths: Iterable[str]) -> str:
    return ", ".join(sorted(os.path.relpath(path) for path in paths))


def _say(line: str) -> None:
    output.complain(f"chat-service: {line}")


def load_service(spec: str, app_dir: str) -> "chat_service.ChatService":
    """Import a service, or call the function that makes one. ``app_dir``: searched first for modules.

    Raises ``CliError`` with a one-line explanation.
    """
    module_name, colon, path = spec.partition(":")
    if not module_name or not colon or not path:
        raise CliError(ExitCode.USAGE, f"expected MODULE:ATTRIBUTE, such as main:service, got {spec}")
    directory = str(Path(app_dir).resolve())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    found = _attribute(_module(module_name, directory), module_name, path)
    return found if isinstance(found, chat_service.ChatService) else _called(found, spec)


def _module(name: str, directory: str) -> Any:
    try:
        is_there = not name.startswith(".") and find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):
        is_there = False
    except Exception as error:
        # A parent package was imported, and failed.
        raise _failure(f"module {name} cannot be imported", error) from error
    if not is_there:
        raise CliError(
            ExitCode.CONFIGURATION, f"there is no module {name} in {directory} or on the Python path"
        )
    try:
        return import_module(name)
    except Exception as error:
        raise _failure(f"module {name} cannot be imported", error) from error


def _attribute(module: Any, module_name: str, path: str) -> Any:
    found = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            names = [known for known in dir(found) if not known.startswith("_")]
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise CliError(ExitCode.CONFIGURATION, f"module {module_name} has no {path}{hint}") from None
    return found


def _called(factory: Any, spec: str) -> "chat_service.ChatService":
    if not callable(factory):
        kind = type(factory).__name__
        raise CliError(
            ExitCode.CONFIGURATION, f"{spec} is neither a ChatService nor a function that returns one: {kind}"
        )
    try:
        made = factory()
    except Exception as error:
        raise _failure(f"{spec} failed", error) from error
    if inspect.iscoroutine(made):
        made.close()
        raise CliError(ExitCode.CONFIGURATION, f"{spec} is a coroutine function; use a plain function")
    if not isinstance(made, chat_service.ChatService):
        raise CliError(ExitCode.CONFIGURATION, f"{spec} did not return a ChatService: {type(made).__name__}")
    return made


def _failure(what: str, error: Exception) -> CliError:
    """One line, with the location in the application's code."""
    place = ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}, line {error.lineno})"
        text = f"{type(error).__name__}: {error.msg}"
    else:
        found = _place(error)
        if found is not None:
            place = f" ({found.filename}, line {found.lineno})"
        text = f"{type(error).__name__}: {error}"
    return CliError(ExitCode.CONFIGURATION, " ".join(f"{what}: {text}{place}".split()))


def _place(error: Exception) -> traceback.FrameSummary | None:
    """The innermost location in the application's own code, or in any code outside this package."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", _PACKAGE))
    ]
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    return next(reversed(own or frames), None)


#: The directories of this package and of libraries.
_PACKAGE: Final = str(Path(chat_service.__file__).parent) + os.sep
_LIBRARIES: Final = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")})
