"""``chat-service demo``."""

import click

from chat_service.cli.parameters import subcommand


@subcommand(
    "demo",
    """
    chat-service demo
    chat-service demo --port 9000
    chat-service demo --url redis://localhost      # several demos can share it
    """,
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 picks a free one."
)
@click.option(
    "--url", envvar="CHAT_STORE_URL", show_envvar=True, metavar="URL", help="A Redis.  [default: memory]"
)
@click.option("--cluster", is_flag=True, help="The server is a Redis Cluster.")
@click.option("--prefix", metavar="TEXT", help="Prefix of all keys.  [default: chat]")
@click.option(
    "--uploads",
    type=click.Path(file_okay=False),
    help="Folder for files that people share.  [default: a temporary one]",
)
def command(
    host: str, port: int, url: str | None, cluster: bool, prefix: str | None, uploads: str | None
) -> None:
    """Run the web chat: a web page and its service.

    Anyone can log in with any name. Use it to try things out, not on the internet.
    """
    from chat_service.cli.failures import CliError, describe
    from chat_service.demo import main

    options: dict[str, object] = {}
    if url is not None:
        options = {"url": url, "cluster": cluster}
        if prefix is not None:
            options["prefix"] = prefix
    files = None if uploads is None else {"folder": uploads}
    try:
        main(host, port, store="redis" if url is not None else "memory", store_options=options, uploads=files)
    except SystemExit as end:
        if isinstance(end.__context__, Exception):
            code, text = describe(end.__context__)
            raise CliError(code, f"cannot start: {text}") from None
        raise
