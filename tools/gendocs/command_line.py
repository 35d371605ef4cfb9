"""The command line page, generated from the commands and the sections of the configuration file."""

import ast
import inspect
from dataclasses import fields
from typing import Any

import click

from chat_service.cli import app, sections, settings
from chat_service.cli.app import NAME, SECTIONS
from chat_service.cli.failures import ExitCode
from chat_service.cli.parameters import TeachingCommand
from chat_service.http_api import api_options
from chat_service.options import Options
from chat_service.stores.redis import redis_options as redis_options
from chat_service.transports.socketio import socketio_options as socketio_options
from chat_service.transports.streams import line_transport as line_transport
from chat_service.transports.streams import websocket_transport as websocket_transport
from chat_service.webhooks import webhook_options
from tools.gendocs.markdown import block, code, page, table
from tools.gendocs.source import Field, Module
from tools.gendocs.tables import stream_fields


def command_line_page() -> str:
    return page(
        "Command line",
        f"`{NAME} COMMAND --help` shows the same. [The guide](../guide/command-line.md) explains how to use "
        "it and what `--json` prints.\n\n",
        *(_section(title, names) for title, names in SECTIONS.items()),
        "## Exit codes\n\n",
        table(("code", "when"), [(str(int(each)), each.doc) for each in ExitCode]),
        _file(),
    )


def _section(title: str, names: tuple[str, ...]) -> str:
    return f"## {title}\n\n" + "".join(map(_command, names))


def _command(name: str) -> str:
    # With their settings: click keeps the help option that it is asked for first.
    ctx = click.Context(app, info_name=NAME, **app.context_settings)
    command = app.get_command(ctx, name)
    if not isinstance(command, TeachingCommand):
        raise TypeError(f"{name} has no examples")
    inner = click.Context(command, parent=ctx, info_name=name, **command.context_settings)
    usage = " ".join([inner.command_path, *command.collect_usage_pieces(inner)])
    rows = []
    for option in command.get_params(inner):
        record = option.get_help_record(inner)
        if record is not None and record[1] and "--help" not in option.opts:
            rows.append((code(record[0]), record[1].replace("  [", " [")))
    return (
        f"### {name}\n\n"
        + inspect.cleandoc(command.help or "").replace("\b\n", "")
        + "\n\n"
        + block("text", usage, "how it is called")
        + table(("option", "meaning"), rows)
        + block("sh", inspect.cleandoc("\n" + command.examples), "needs a service")
    )


def _file() -> str:
    return (
        "## Configuration file\n\n"
        "`serve` reads a TOML file. Unknown keys are refused. To keep secrets out of the file, set these "
        "environment variables, which override keys:\n\n"
        + table(
            ("variable", "key"),
            [(code(name), code(f"[{section}] {key}")) for name, (section, key) in sections.SECRETS.items()],
        )
        + f"### [service]\n\n{sections.SECTIONS['service']}\n\n"
        + _options()
        + f"### [store]\n\n{sections.SECTIONS['store']}\n\n"
        + 'The store `"memory"` has only `type` and `lock_ttl`.\n\n'
        + _table([_type_of_store(), *Module(redis_options).fields("RedisOptions")])
        + f"### [transport]\n\n{sections.SECTIONS['transport']}\n\n"
        + _table(
            [
                item
                for item in Module(socketio_options).fields("SocketIOOptions")
                if item.name not in ("app", "server", "middleware")
            ]
        )
        + f"### [websocket]\n\n{sections.SECTIONS['websocket']}\n\n"
        + _table(stream_fields(websocket_transport, "WebSocketOptions"))
        + f"### [lines]\n\n{sections.SECTIONS['lines']}\n\n"
        + _table([item for item in stream_fields(line_transport, "LineOptions") if item.name != "tls"])
        + f"### [api]\n\n{sections.SECTIONS['api']}\n\n"
        + _table(Module(api_options).fields("ApiOptions"))
        + f"### [webhooks]\n\n{sections.SECTIONS['webhooks']}\n\n"
        + _table(Module(webhook_options).fields("WebhookOptions"))
        + f"### [login]\n\n{sections.SECTIONS['login']}\n\n"
        + _table(Module(sections).fields("LoginSettings"))
        + f"### [[rooms]]\n\n{sections.SECTIONS['rooms']}\n\n"
        + _table(Module(sections).fields("RoomSettings"))
        + f"### [process]\n\n{sections.SECTIONS['process']}\n\n"
        + _table(Module(sections).fields("ProcessSettings"))
    )


def _options() -> str:
    rows = [
        (code(item.name), code(_literal(item.default)), item.metadata["doc"])
        for item in fields(Options)
        if item.name not in settings.SECTIONS_OF_OPTIONS
    ]
    return table(("key", "default", "meaning"), rows)


def _type_of_store() -> Field:
    choices = " or ".join(f'"{name}"' for name in settings.STORES)
    doc = f"{choices}; redis if a url is given, else memory."
    return Field(name="type", type="str", default=None, doc=doc)


def _table(items: list[Field]) -> str:
    rows = [
        (code(item.name), "" if item.default is None else code(_literal(_value(item.default))), item.doc)
        for item in items
    ]
    return table(("key", "default", "meaning"), rows)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except ValueError:
        return {}


def _literal(value: Any) -> str:
    from chat_service.cli.commands.serve import literal

    return "none" if value is None else literal(value)
