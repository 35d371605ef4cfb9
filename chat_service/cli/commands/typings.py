"""``chat-service typings``."""

from pathlib import Path

import click

from chat_service.cli import output
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.parameters import subcommand


@subcommand(
    "typings",
    """
    chat-service typings main:service > src/service-commands.ts
    chat-service typings main:service --language python --output service_commands.py
    chat-service typings main:service --language markdown     # their documentation
    """,
)
@click.argument("service", metavar="MODULE:ATTRIBUTE")
@click.option(
    "--language",
    type=click.Choice(["typescript", "python", "markdown"]),
    default="typescript",
    show_default=True,
    help="What to write.",
)
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: print]",
)
@click.option(
    "--app-dir",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False),
    help="Directory that is searched for modules first.",
)
def command(service: str, language: str, path: Path | None, app_dir: str) -> None:
    """Write declarations of the commands that your code has added with service.command.

    The typed clients use them: client.command(name, ...) in TypeScript, a class of methods in Python.
    """
    from chat_service.cli.commands.run import load_service
    from chat_service.commands.declarations import LANGUAGES

    rows = load_service(service, app_dir).own_commands()
    if not rows:
        raise CliError(
            ExitCode.CONFIGURATION, f"{service} has no commands of its own: add them with service.command"
        )
    text = LANGUAGES[language](rows)
    if path is None:
        output.write(text.rstrip("\n"))
    else:
        path.write_text(text, encoding="utf-8")
