"""``chat-service run``."""

import click

from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.parameters import log_options, subcommand, worker_options


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
        from chat_service.cli.launch import own_command
        from chat_service.cli.reload import run_with_reload

        for option, value in (("--host", host), ("--port", port)):
            if value is not None:
                arguments += [option, str(value)]
        ctx.exit(run_with_reload(own_command(*arguments), reload_dirs or (app_dir,)))
    from chat_service.cli.launch import launch
    from chat_service.cli.loading import load_service

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
