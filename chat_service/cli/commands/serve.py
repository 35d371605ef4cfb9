"""``chat-service serve``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import Any, Final

import click

from chat_service.cli import output
from chat_service.cli.parameters import subcommand, worker_options
from chat_service.cli.sections import LoginSettings, ProcessSettings, RoomSettings
from chat_service.cli.settings import SECTIONS_OF_OPTIONS, Settings
from chat_service.options import Options
from chat_service.redaction import redacted


@subcommand(
    "serve",
    """
    chat-service serve --config chat.toml
    chat-service serve --config chat.toml --workers 4
    chat-service serve --config chat.toml --print-config    # all settings, including defaults
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
    config: str,
    host: str | None,
    port: int | None,
    lines_port: int | None,
    workers: int | None,
    port_per_worker: bool,
    print_config: bool,
) -> None:
    """Run a service from a configuration file, without code.

    The file has the sections [service], [store], [transport], [websocket], [lines], [api], [webhooks],
    [login], [process] and [[rooms]]. An unknown key is refused. Secrets may come from the environment
    instead: CHAT_STORE_URL, CHAT_STORE_BUS_SECRET, CHAT_STORE_SENTINEL_PASSWORD, CHAT_LOGIN_SECRET,
    CHAT_API_TOKENS, CHAT_WEBHOOK_SECRETS.
    """
    from chat_service.cli.assembly import build_service

    settings = Settings.read(config)
    if lines_port is not None:
        settings = replace(settings, line_options={**(settings.line_options or {}), "port": lines_port})
    service = build_service(settings)
    if print_config:
        toml = as_toml(settings).rstrip("\n")
        output.write(toml if output.writes_unicode() else as_ascii(toml))
        return
    from chat_service.cli.supervisor import launch, warn_of_strangers

    process = settings.process
    if settings.login is not None and settings.login.type == "name":
        warn_of_strangers(service.options.host if host is None else host)
    count = process.workers if workers is None else workers
    code = launch(
        service,
        ["serve", "--config", config, "--workers", str(count), *_given("--lines-port", lines_port)],
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


# --print-config

_ELSEWHERE: Final = frozenset({*SECTIONS_OF_OPTIONS, "app", "server", "middleware"})


def as_toml(settings: Settings) -> str:
    """An equivalent file, in which only the secrets are missing."""
    from chat_service.http_api.api_options import ApiOptions
    from chat_service.stores.redis.redis_options import RedisOptions
    from chat_service.transports.socketio.socketio_options import SocketIOOptions
    from chat_service.transports.streams import LineOptions, WebSocketOptions
    from chat_service.webhooks.webhook_options import WebhookOptions

    blocks = [_section("[service]", _with_defaults(Options, settings.service))]
    store = {"type": settings.store_type}
    if settings.store_type == "redis":
        store |= _with_defaults(RedisOptions, settings.store_options)
    else:
        store |= settings.store_options
    blocks.append(_section("[store]", store))
    blocks.append(_section("[transport]", _with_defaults(SocketIOOptions, settings.transport_options)))
    if settings.websocket_options is not None:
        blocks.append(_section("[websocket]", _with_defaults(WebSocketOptions, settings.websocket_options)))
    if settings.line_options is not None:
        lines = _with_defaults(LineOptions, settings.line_options)
        # An object, which no file can have.
        lines.pop("tls")
        blocks.append(_section("[lines]", lines))
    blocks.append(_section("[api]", _with_defaults(ApiOptions, settings.api_options)))
    blocks.append(_section("[webhooks]", _with_defaults(WebhookOptions, settings.webhook_options)))
    if settings.login is not None:
        blocks.append(_section("[login]", _values(LoginSettings, settings.login)))
    blocks.append(_section("[process]", _values(ProcessSettings, settings.process)))
    blocks += [_section("[[rooms]]", _values(RoomSettings, room)) for room in settings.rooms]
    return "\n".join(blocks)


def _with_defaults(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        item.name: given.get(item.name, _default(item))
        for item in fields(kind)
        if item.name not in _ELSEWHERE
    }


def _default(item: "Field[Any]") -> Any:
    return item.default_factory() if item.default_factory is not MISSING else item.default


def _values(kind: type[Any], record: Any) -> dict[str, Any]:
    return {item.name: getattr(record, item.name) for item in fields(kind)}


def _section(head: str, values: Mapping[str, Any]) -> str:
    return "".join([f"{head}\n", *_lines(values)])


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if value is None:
            # TOML has no null.
            yield f"# {name} =\n"
        else:
            yield f"{name} = {literal(redacted(name, value))}\n"


def literal(value: Any) -> str:
    """Encode a value as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _quoted(value)
        case Mapping():
            inner = ", ".join(f"{_quoted(str(key))} = {literal(item)}" for key, item in value.items())
            return "{ " + inner + " }" if inner else "{}"
        case _:
            return "[" + ", ".join(map(literal, value)) + "]"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else _escape(each) for each in escaped) + '"'


def as_ascii(toml: str) -> str:
    """The same document in ASCII. Other characters only occur in quoted strings, which allow escapes."""
    return re.sub(r"[^\x00-\x7f]", lambda found: _escape(found[0]), toml)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
