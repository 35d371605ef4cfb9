"""Pages generated from the tables: commands, notifications, errors, options and hooks."""

from collections.abc import Sequence
from dataclasses import MISSING, Field, fields

from chat_service import hooks, options
from chat_service.commands.spec import COMMON_ERRORS, Command
from chat_service.commands.table import TABLE
from chat_service.domain import emitter as failures
from chat_service.errors import ERROR_TEXTS
from chat_service.http_api import api_options
from chat_service.options import Options
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.service.composition import DEFAULT_LOCK_TTL, STORE_OPTIONS
from chat_service.stores.redis import redis_options as redis_options
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from chat_service.transports.streams import LineOptions, WebSocketOptions
from chat_service.webhooks import webhook_options
from tools.gendocs.client_types import TYPES
from tools.gendocs.markdown import block, code, codes, page, table
from tools.gendocs.source import Field as SourceField
from tools.gendocs.source import Module, all_fields


def _call(name: str, arguments: list[str]) -> str:
    return f"{name}({', '.join(arguments)})"


def _parameters(row: Command) -> list[str]:
    return [*(argument.name for argument in row.arguments), *(["options?"] if row.options else [])]


def commands() -> str:
    overview = table(
        ("command", "result", "who may"),
        [
            (
                f"[`{_call(row.name, _parameters(row))}`](#{row.name.lower()})",
                row.result,
                row.who,
            )
            for row in TABLE
        ],
    )
    return page(
        "Commands",
        "A command is an `emit` with an ack. The ack is Node-style: `(error, data, ...more)`, always with at "
        "least two values. `error` is null on success; `data` is null if the command has no result; `more` "
        "holds the value that an option has asked for, then values added by hooks. Surplus arguments are not "
        "an error; hooks see them as `rest_args`.\n\n",
        "Some commands take options: an object directly after the declared arguments, with one or more of "
        "the fields listed. A field of a wrong type is a `badArgument`. An object without any known field "
        "is an ordinary surplus argument.\n\n",
        f"In addition to the errors listed, every command can return {codes(COMMON_ERRORS)}. The "
        "[errors page](errors.md) lists the texts.\n\n",
        overview,
        *map(_command, TABLE),
        "## Types\n\nThe types used above, in TypeScript:\n\n",
        block("typescript", TYPES, "declarations"),
    )


def _command(row: Command) -> str:
    parts = [f"## {row.name}\n\n{row.doc}\n\n"]
    if row.arguments:
        arguments = [(code(a.name), code(a.type.typescript), a.type.doc) for a in row.arguments]
        parts.append(table(("argument", "type", "meaning"), arguments))
    if row.options:
        options = [(code(it.name), code(it.type.typescript), it.doc) for it in row.options]
        parts.append(table(("option", "type", "meaning"), options))
    result = row.result if row.result_type == "null" else f"{row.result}: `{row.result_type}`"
    parts.append(f"- Result: {result}.\n- Permitted for: {row.who}.\n")
    if row.extra is not None:
        parts.append(f"- Then `{row.extra.name}`: {row.extra.doc}: `{row.extra.type}`.\n")
    if row.errors:
        parts.append(f"- Errors: {codes(row.errors)}.\n")
    parts.append(f"- Hooks: {codes([row.python_name + '_before', row.python_name + '_after'])}.\n")
    if row.needs_user:
        needs = "a user name and a socket `id`" if row.needs_socket else "a user name"
        parts.append(f"- On the server, `exec_user_command` requires {needs}.\n")
    return "".join(parts) + "\n"


def notifications() -> str:
    rows = []
    for row in NOTIFICATIONS:
        arguments = [f"{name}: {kind}" for name, kind in row.arguments]
        rows.append((code(_call(row.name, arguments)), row.sent_to, row.doc))
    return page(
        "Notifications",
        "Events that the server sends to clients. They have no ack. The types are on the page of the "
        "[commands](commands.md#types).\n\n",
        table(("event", "sent to", "meaning"), rows),
    )


def errors() -> str:
    answering = {
        name: [f"[`{row.name}`](commands.md#{row.name.lower()})" for row in TABLE if name in row.errors]
        for name in ERROR_TEXTS
    }
    return page(
        "Errors",
        "Errors that a client receives in an ack or with `loginRejected`. By default an error is a string, "
        "`ChatServiceError: ` followed by the text; with `use_raw_error_objects` it is an object "
        "`{name, code, args}`. `%s` stands for an argument, `%d` for a number, `%j` for JSON. The "
        "[guide](../guide/errors.md) explains how to handle them.\n\n",
        table(("code", "text"), [(code(name), text) for name, text in ERROR_TEXTS.items()]),
        "## Where errors come from\n\n",
        *(f"- `{name}`: {_by(name, answering[name])}.\n" for name in ERROR_TEXTS),
    )


def _by(name: str, answering: list[str]) -> str:
    if name in COMMON_ERRORS:
        return "every command and custom event" if name == "noLogin" else "every command"
    if answering:
        return ", ".join(answering)
    return "any unknown event" if name == "noCommand" else "the [server API](server-api.md) only"


def _default(field: Field[object]) -> str:
    return code("{}" if field.default is MISSING else repr(field.default))


def option_page() -> str:
    rows = [
        (code(field.name), code(typed.type), _default(field), str(field.metadata["doc"]))
        for field, typed in zip(fields(Options), Module(options).fields("Options"), strict=True)
    ]
    store = [(code(name), code(DEFAULT_LOCK_TTL), doc) for name, doc in STORE_OPTIONS.items()]
    return page(
        "Options",
        "Pass options as keyword arguments of `ChatService` or as an `Options` object. An unknown or invalid "
        "option immediately raises `ConfigurationError` with a text that names it. "
        "Times are in seconds.\n\n",
        table(("option", "type", "default", "meaning"), rows),
        '## Store options\n\nIn `store_options`, for `store="memory"`:\n\n',
        table(("option", "default", "meaning"), store),
        '## Redis options\n\nIn `store_options`, for `store="redis"`:\n\n',
        _plugin_options(Module(redis_options).fields("RedisOptions")),
        '## Socket.IO options\n\nIn `transport_options`, for `transport="socket.io"`:\n\n',
        _plugin_options(all_fields(SocketIOOptions)),
        "## Plain WebSocket options\n\nKeywords of `WebSocketTransport`. "
        "[The guide](../guide/plain-protocols.md) explains the protocol. On the port of another transport, "
        "the options of that one decide which requests are let in.\n\n",
        _plugin_options(all_fields(WebSocketOptions)),
        "## Line options\n\nKeywords of `LineTransport`.\n\n",
        _plugin_options(all_fields(LineOptions)),
        "## HTTP API options\n\nIn `api_options`. [The guide](../guide/http-api.md) explains the API.\n\n",
        _plugin_options(Module(api_options).fields("ApiOptions")),
        "## Webhook options\n\nIn `webhook_options`. [The guide](../guide/webhooks.md) explains them.\n\n",
        _plugin_options(Module(webhook_options).fields("WebhookOptions")),
    )


def _plugin_options(made: Sequence[SourceField]) -> str:
    rows = [(code(field.name), code(field.type), code(field.default or ""), field.doc) for field in made]
    return table(("option", "type", "default", "meaning"), rows)


def hook_page() -> str:
    source = Module(hooks)

    def rows(signatures: dict[str, hooks.Signature]) -> str:
        return table(
            ("name", "called with", "meaning"),
            [(code(name), code(f"({row.arguments})"), row.doc) for name, row in signatures.items()],
        )

    def info(name: str) -> str:
        made = [(code(field.name), code(field.type), field.doc) for field in source.fields(name)]
        return f"### {name}\n\n{source.class_doc(name)}\n\n" + table(("field", "type", "meaning"), made)

    return page(
        "Hooks and events",
        "Pass hooks as `hooks=`, a mapping or an object with these attributes, or use decorators of the "
        "service. Both functions and coroutine functions work. The [guide](../guide/hooks.md) has "
        "examples.\n\n",
        "## Service hooks\n\nEach can be set once, with `hooks={...}` or `@service.on(name)`.\n\n",
        rows(dict(hooks.SERVICE_HOOKS)),
        info("DisconnectInfo"),
        info("MembershipInfo"),
        "## Command hooks\n\n"
        "`<command>_before(call)` and `<command>_after(call)`, in snake case, for every command; or "
        "`@service.before(command)` and `@service.after(command)`, with the name in either form and as many "
        "as you like. The order is: argument check, before hooks, command, after hooks. If a before hook "
        "returns anything but None, that is the result and the command does not run. After hooks also run on "
        "errors; if one raises or returns anything but None, that replaces the outcome. "
        "A list or tuple becomes the ack's values, anything else its single "
        "value.\n\n",
        table(
            ("command", "before", "after"),
            [
                (code(row.name), code(row.python_name + "_before"), code(row.python_name + "_after"))
                for row in TABLE
            ],
        ),
        info("CommandCall"),
        "## Events\n\n"
        "Use `service.on(event, listener)`, or the decorator form. Exceptions in listeners are logged.\n\n",
        rows(dict(hooks.EVENTS)),
        "### FailureInfo\n\n",
        _failure_info(),
    )


def _failure_info() -> str:
    source = Module(failures)
    made = [(code(field.name), code(field.type)) for field in source.fields("FailureInfo")]
    operations = [
        (code(name), operation.doc, code(operation.npm_name) if operation.npm_name else "")
        for name, operation in failures.OPERATIONS.items()
    ]
    return (
        source.class_doc("FailureInfo")
        + "\n\n"
        + table(("field", "type"), made)
        + "\n\nThe values of `op_type`:\n\n"
        + table(("op_type", "what failed", "`opType` of the npm package"), operations)
    )
