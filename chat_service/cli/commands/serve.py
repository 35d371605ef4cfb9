"""``chat-service serve``."""

import click

from chat_service.cli import output, streams
from chat_service.cli.parameters import subcommand, worker_options


@subcommand(
    "serve",
    """
    chat-service serve --config chat.toml
    chat-service serve --config chat.toml --workers 4
    chat-service serve --config chat.toml --print-config    # everything, with the defaults
    CHAT_LOGIN_SECRET=$(cat secret) chat-service serve --config chat.toml
    """,
)
@click.option(
    "--config",
    required=True,
    envvar="CHAT_CONFIG",
    show_envvar=True,
    type=click.Path(dir_okay=False),
    help="The TOML file.",
)
@click.option("--host", help="Address to listen on.  [default: that of the file]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port, 0 for a free one.  [default: that of the file]"
)
@worker_options
@click.option("--print-config", is_flag=True, help="Print the whole configuration without secrets, and end.")
@click.pass_context
def command(
    ctx: click.Context,
    config: str,
    host: str | None,
    port: int | None,
    workers: int | None,
    port_per_worker: bool,
    print_config: bool,
) -> None:
    """Run a service that a file describes, without code.

    The file has the sections [service], [store], [transport], [login], [process] and [[rooms]]. A key that is
    not known is refused. Secrets may come from the environment instead: CHAT_STORE_URL,
    CHAT_STORE_BUS_SECRET, CHAT_STORE_SENTINEL_PASSWORD, CHAT_LOGIN_SECRET.
    """
    from chat_service.cli.assembly import build_service
    from chat_service.cli.settings import Settings

    settings = Settings.read(config)
    service = build_service(settings)
    if print_config:
        from chat_service.cli.printing import as_ascii, as_toml

        toml = as_toml(settings).rstrip("\n")
        output.write(toml if streams.writes_unicode() else as_ascii(toml))
        return
    from chat_service.cli.launch import launch, warn_of_strangers

    process = settings.process
    if settings.login is not None and settings.login.type == "name":
        warn_of_strangers(service.options.host if host is None else host)
    count = process.workers if workers is None else workers
    code = launch(
        service,
        ["serve", "--config", config, "--workers", str(count)],
        workers=count,
        port_per_worker=port_per_worker,
        host=host,
        port=port,
        log_level=process.log_level,
        log_format=process.log_format,
    )
    ctx.exit(code)
