"""Options shared by several subcommands, and the help of all of them."""

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from chat_service.cli.target import Target
from chat_service.protocol.names import check_name, natural_key
from chat_service.types import UserName

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class TeachingCommand(click.Command):
    """A command whose help ends with examples, one per line, unwrapped."""

    def __init__(self, *args: Any, examples: str = "", **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        #: Shell commands, with comments.
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(" " * formatter.current_indent + line.strip() + "\n")


def text(value: str) -> str:
    """The type of names and messages. Bytes that are invalid in the locale arrive as surrogates."""
    try:
        # In the POSIX locale all bytes beyond ASCII are surrogates. They must then be valid UTF-8.
        return value.encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        shown = value.encode("utf-8", "backslashreplace").decode()
        raise click.BadParameter(f"{shown} is not text in the encoding of this locale") from None


def subcommand(name: str, examples: str, **keywords: Any) -> Callable[[Callable[..., Any]], TeachingCommand]:
    """A decorator: make a subcommand."""
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    return click.command(name, cls=TeachingCommand, examples=examples, context_settings=settings, **keywords)


_TARGET_OPTIONS = (
    click.option(
        "--url", envvar="CHAT_STORE_URL", show_envvar=True, metavar="URL", help="URL of the services' Redis."
    ),
    click.option(
        "--config",
        envvar="CHAT_CONFIG",
        show_envvar=True,
        type=click.Path(dir_okay=False),
        help="The services' TOML file, the same as for serve.",
    ),
    click.option(
        "--store", type=click.Choice(["redis", "memory"]), help="Kind of the store; --url implies redis."
    ),
    click.option("--cluster/--no-cluster", default=None, help="The server is a Redis Cluster."),
    click.option("--prefix", metavar="TEXT", help="Prefix of all keys.  [default: chat]"),
    click.option(
        "--sentinel",
        "sentinels",
        multiple=True,
        metavar="HOST:PORT",
        help="A Sentinel; may be repeated.",
    ),
    click.option("--sentinel-service", metavar="NAME", help="Name of its master.  [default: mymaster]"),
)


#: The parameters of ``target_options``.
TARGET_NAMES = ("url", "config", "store", "cluster", "prefix", "sentinels", "sentinel_service")


def target_options(function: FunctionT) -> FunctionT:
    """A decorator: options that specify the services."""
    for option in reversed(_TARGET_OPTIONS):
        function = option(function)
    return function


def takes_target(function: FunctionT) -> FunctionT:
    """A decorator: options that specify the services; the function gets ``target``."""

    @functools.wraps(function)
    def wrapper(**given: Any) -> Any:
        target = Target.from_options(**{name: given.pop(name) for name in TARGET_NAMES})
        return function(target=target, **given)

    return target_options(wrapper)  # type: ignore[return-value]


def json_option(function: FunctionT) -> FunctionT:
    """A decorator: ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def paging_options(items: str) -> Callable[[FunctionT], FunctionT]:
    """A decorator: ``--limit``, ``--all`` (as ``everything``) and ``--cursor`` of a list of ``items``."""

    def decorate(function: FunctionT) -> FunctionT:
        options = (
            click.option(
                "--limit",
                type=click.IntRange(min=1),
                default=100,
                show_default=True,
                help=f"Approximate number of {items}.",
            ),
            click.option("--all", "everything", is_flag=True, help=f"List all {items}."),
            click.option("--cursor", type=text, help="Continue where an earlier list ended."),
        )
        # As a stack of decorators: the first one comes first in the help.
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def heartbeat_option(function: FunctionT) -> FunctionT:
    """A decorator: ``--heartbeat-timeout``, None if not given."""
    return click.option(
        "--heartbeat-timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="The services' option of the same name.  [default: the file's, otherwise 30]",
    )(function)


def worker_options(function: FunctionT) -> FunctionT:
    """A decorator: ``--workers`` and ``--port-per-worker``."""
    options = (
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="Number of processes that share the port; requires Redis and WebSocket only.  [default: 1]",
        ),
        click.option(
            "--port-per-worker",
            is_flag=True,
            help="Give each worker its own port, PORT, PORT+1, ..., for a proxy with sticky sessions.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def log_options(function: FunctionT) -> FunctionT:
    """A decorator: ``--log-level`` and ``--log-format``."""
    levels, formats = ("debug", "info", "warning", "error"), ("text", "json")
    options = (
        click.option(
            "--log-level",
            type=click.Choice(levels),
            default="info",
            show_default=True,
            help="Minimum level of log messages.",
        ),
        click.option(
            "--log-format",
            type=click.Choice(formats),
            default="text",
            show_default=True,
            help="Format of log messages on stderr.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def complete_rooms(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of rooms, if the store is known and fast, otherwise none."""
    import asyncio

    try:
        target = Target.from_options(**{name: ctx.params.get(name) for name in TARGET_NAMES})
        return asyncio.run(_rooms(target, incomplete))
    except Exception:
        # Errors cannot be reported during completion.
        return []


#: Maximum time in seconds for completion, and maximum number of names.
COMPLETION_TIMEOUT, COMPLETION_NAMES = 1.0, 2000


async def _rooms(target: Target, incomplete: str) -> list[str]:
    import asyncio

    async with asyncio.timeout(COMPLETION_TIMEOUT), target.open() as store:
        page = await store.list_rooms(COMPLETION_NAMES)
    names = [room.name for room in page.items if room.name.startswith(incomplete)]
    return sorted(names, key=natural_key)


def user_name(name: str) -> UserName:
    """The name of a user, who need not exist. Raises ``invalidName``. The services check the length."""
    check_name(name, sys.maxsize)
    return UserName(name)
