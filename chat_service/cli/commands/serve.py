"""``chat-service serve``."""

import click

from chat_service.cli import output
from chat_service.cli.parameters import subcommand, worker_options
from chat_service.cli.settings import Settings


@subcommand(
    "serve",
    """
    chat-service serve --config chat.toml
    chat-service serve --config chat.toml --workers 4
    chat-service serve --config chat.toml --print-config    # all settings, and where they come from
    CHAT_SERVICE__PORT=9000 CHAT_LOGIN_SECRET=$(cat secret) chat-service serve --config chat.toml
    CHAT_LOGIN__TYPE=name chat-service serve                # without a file
    """,
)
@click.option(
    "--config",
    envvar="CHAT_CONFIG",
    show_envvar=True,
    type=click.Path(dir_okay=False),
    help="The TOML file.  [default: none, only environment variables]",
)
@click.option("--host", help="Address to listen on.  [default: the file's]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 picks a free one.  [default: the file's]"
)
@click.option(
    "--lines-port",
    type=click.IntRange(0, 65535),
    help="Port of the line transport, which this switches on.  [default: the file's]",
)
@worker_options
@click.option("--print-config", is_flag=True, help="Print the whole configuration without secrets, and exit.")
@click.pass_context
def command(
    ctx: click.Context,
    config: str | None,
    host: str | None,
    port: int | None,
    lines_port: int | None,
    workers: int | None,
    port_per_worker: bool,
    print_config: bool,
) -> None:
    """Run a service from a configuration file, without code.

    The file has the sections [service], [store], [transport], [websocket], [lines], [api], [webhooks],
    [uploads], [login], [process] and [[rooms]]. An unknown key is refused. chat-service genconfig prints a
    file with all keys.

    Every key can also be set by an environment variable: CHAT_SECTION__KEY, such as CHAT_SERVICE__PORT. An
    option of the command line overrides a variable, a variable overrides the file. Secrets have shorter
    variables, too: CHAT_STORE_URL, CHAT_STORE_BUS_SECRET, CHAT_STORE_SENTINEL_PASSWORD, CHAT_LOGIN_SECRET,
    CHAT_LOGIN_SESSION_SECRET, CHAT_LOGIN_OIDC_CLIENT_SECRET, CHAT_API_TOKENS, CHAT_WEBHOOK_SECRETS,
    CHAT_UPLOADS_SECRET.
    """
    from chat_service.cli.assembly import build_service

    settings = Settings.read(config).overridden(host=host, port=port, lines_port=lines_port, workers=workers)
    service = build_service(settings)
    if print_config:
        from chat_service.cli.toml_text import as_ascii, as_toml

        toml = as_toml(settings, shows_sources=True).rstrip("\n")
        output.write(toml if output.writes_unicode() else as_ascii(toml))
        return
    from chat_service.cli.supervisor import launch, warn_of_strangers

    process = settings.process
    if settings.login is not None and "name" in settings.login.kinds:
        warn_of_strangers(service.options.host if host is None else host)
    count = process.workers
    file = [] if config is None else ["--config", config]
    code = launch(
        service,
        ["serve", *file, "--workers", str(count), *_given("--lines-port", lines_port)],
        workers=count,
        port_per_worker=port_per_worker,
        host=host,
        port=port,
        log_level=process.log_level,
        log_format=process.log_format,
    )
    ctx.exit(code)


def _given(name: str, value: int | None) -> list[str]:
    return [] if value is None else [name, str(value)]
