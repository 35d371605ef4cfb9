"""The command line page, generated from the commands and the sections of the configuration file."""

import ast
import inspect
from dataclasses import MISSING, fields
from typing import Any

import click

from chat_service.cli import app, login_settings, option_keys, sections, settings
from chat_service.cli.app import NAME, SECTIONS
from chat_service.cli.failures import ExitCode
from chat_service.cli.parameters import TeachingCommand
from chat_service.http_api import api_options
from chat_service.options import Options
from chat_service.stores.redis import redis_options as redis_options
from chat_service.transports.actionhero import ActionHeroOptions
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.transports.streams import LineOptions, WebSocketOptions
from chat_service.uploads import upload_options
from chat_service.webhooks import webhook_options
from tools.gendocs.markdown import block, code, page, table
from tools.gendocs.source import Field, Module, all_fields


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
        "`serve` reads a TOML file. Unknown keys are refused. [Each key has an environment variable"
        "](environment.md), which overrides the file. `chat-service genconfig` prints a file with all "
        "keys.\n\n"
        + f"### [service]\n\n{sections.SECTIONS['service']}\n\n"
        + _options()
        + f"### [store]\n\n{sections.SECTIONS['store']}\n\n"
        + 'The store `"memory"` has only `type` and `lock_ttl`.\n\n'
        + _table([_type_of_store(), *Module(redis_options).fields("RedisOptions")])
        + f"### [transport]\n\n{sections.SECTIONS['transport']}\n\n"
        + _table(
            [item for item in all_fields(SocketIOOptions) if item.name not in ("app", "server", "middleware")]
        )
        + f"### [websocket]\n\n{sections.SECTIONS['websocket']}\n\n"
        + _table([_dialect("websocket"), *all_fields(WebSocketOptions)])
        + f"### [lines]\n\n{sections.SECTIONS['lines']}\n\n"
        + _table([_dialect("lines"), *(item for item in all_fields(LineOptions) if item.name != "tls")])
        + f"### [actionhero]\n\n{sections.SECTIONS['actionhero']} See "
        "[the guide](../guide/moving-from-actionhero.md).\n\n"
        + _table([item for item in all_fields(ActionHeroOptions) if item.name != "payload"])
        + f"### [api]\n\n{sections.SECTIONS['api']}\n\n"
        + _table(Module(api_options).fields("ApiOptions"))
        + f"### [webhooks]\n\n{sections.SECTIONS['webhooks']}\n\n"
        + _table(Module(webhook_options).fields("WebhookOptions"))
        + f"### [uploads]\n\n{sections.SECTIONS['uploads']} See [the guide](../guide/uploads.md).\n\n"
        + _table(Module(upload_options).fields("UploadOptions"))
        + f"### [login]\n\n{sections.SECTIONS['login']}\n\n"
        + _table(Module(login_settings).fields("LoginSettings"))
        + f"### [[rooms]]\n\n{sections.SECTIONS['rooms']}\n\n"
        + _table(Module(sections).fields("RoomSettings"))
        + f"### [process]\n\n{sections.SECTIONS['process']}\n\n"
        + _table(Module(sections).fields("ProcessSettings"))
    )


def environment_page() -> str:
    rows = [
        (
            code(key.variable) + (f", {code(key.short_variable)}" if key.short_variable else ""),
            code(f"[{key.section}] {key.name}"),
            "required" if key.default is MISSING else code(_literal(key.default)),
        )
        for key in option_keys.all_keys().values()
    ]
    return page(
        "Environment variables",
        "Each key of [the configuration file](command-line.md#configuration-file) can be set by the variable "
        "`CHAT_SECTION__KEY`, with two underscores. An option of the command line overrides a variable, a "
        "variable overrides the file, and the file overrides the default; `chat-service serve "
        "--print-config` shows which of them counts. Variables need pydantic-settings, the extra `cli`; the "
        "short ones of secrets do not.\n\n"
        "- Flags are `true` or `false`. Numbers are written as in TOML.\n"
        '- Lists are separated by commas, or JSON: `websocket,polling`, `["websocket"]`. Tables are JSON.\n'
        f"- `{option_keys.NONE}` switches off an option that may be None, such as "
        "`CHAT_SERVICE__COMMAND_RATE`.\n"
        "- An empty variable counts as not set. An unknown one is refused, like an unknown key of the file.\n"
        f"- `{option_keys.ROOMS_VARIABLE}` replaces `[[rooms]]`: names, separated by commas, or a JSON list "
        "of tables.\n"
        "- A variable of `[websocket]` or `[lines]` switches that transport on, like the section.\n\n"
        "One underscore would not do: in a namespace with a Service named `chat`, Kubernetes sets "
        "`CHAT_SERVICE_PORT` in each container.\n\n",
        table(("variable", "key", "default"), rows),
    )


def _options() -> str:
    rows = [
        (code(item.name), code(_literal(item.default)), item.metadata["doc"])
        for item in fields(Options)
        if item.name not in option_keys.SECTIONS_OF_OPTIONS
    ]
    return table(("key", "default", "meaning"), rows)


def _type_of_store() -> Field:
    choices = " or ".join(f'"{name}"' for name in settings.STORES)
    doc = f"{choices}; redis if a url is given, else memory."
    return Field(name="type", type="str", default=None, doc=doc)


def _dialect(section: str) -> Field:
    (doc,) = (key.doc for key in option_keys.keys_of(section) if key.name == "dialect")
    return Field(name="dialect", type="str", default=repr(sections.DIALECTS[0]), doc=doc)


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
    from chat_service.cli.toml_text import literal

    return "none" if value is None else literal(value)
