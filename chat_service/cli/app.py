"""The group of all subcommands, and the place where errors become lines and exit codes."""

import difflib
import sys
from collections.abc import MutableMapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from chat_service.cli import output
from chat_service.cli.failures import ExitCode, describe
from chat_service.version import __version__

#: The name of the console script.
NAME = "chat-service"

#: The subcommands by section of the help. Each is in the module of the same name.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Run a service": ("run", "serve", "demo"),
    "Inspect running services": ("rooms", "users", "instances", "tail"),
    "Change running services": ("send", "ban", "unban", "kick", "recover"),
    "Set up": ("genconfig", "gentoken", "passwd", "check", "typings", "completion"),
}


class App(click.Group):
    """Finds subcommands in their modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"chat_service.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"There is no such command: {name}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(90)) for name, command in commands if command]
            with formatter.section(title):
                formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run, and end the process with an exit code."""
        output.prepare()
        try:
            result = super().main(args, prog_name or NAME, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except SystemExit:
            # For completion, or for a service that has already reported the reason.
            raise
        except BaseException as error:
            code, text = describe(error)
            if text:
                is_help = isinstance(error, click.exceptions.NoArgsIsHelpError)
                output.complain(text if is_help else f"{NAME}: {text}")
            if isinstance(error, OSError):
                output.give_up_output()
            sys.exit(code)
        sys.exit(result if isinstance(result, int) else ExitCode.OK)


SETTINGS: MutableMapping[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    NAME,
    cls=App,
    context_settings=SETTINGS,
    epilog="For examples, see chat-service COMMAND --help",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def app() -> None:
    """Run chat services, and inspect running ones.

    Commands that inspect running services access their store, so they work with any deployment on
    Redis. Specify the store with --url or --config, or with the environment variables CHAT_STORE_URL
    and CHAT_CONFIG.
    """
