"""The pages that come from the tables: commands, notifications, errors, options, hooks."""

from collections.abc import Sequence
from dataclasses import MISSING, Field, fields

from chat_service import hooks, options
from chat_service.commands.spec import COMMON_ERRORS, Command
from chat_service.commands.table import TABLE
from chat_service.domain import consistency as failures
from chat_service.errors import ERROR_TEXTS
from chat_service.options import Options
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.service.composition import DEFAULT_LOCK_TTL, STORE_OPTIONS
from chat_service.stores.redis import redis_options as redis_options
from chat_service.transports.socketio import socketio_options as socketio_options
from tools.gendocs.client_types import TYPES
from tools.gendocs.markdown import block, code, codes, page, table
from tools.gendocs.source import Field as SourceField
from tools.gendocs.source import Module


def _call(name: str, arguments: list[str]) -> str:
    return f"{name}({', '.join(arguments)})"


def commands() -> str:
    overview = table(
        ("command", "result", "who may"),
        [
            (
                f"[`{_call(row.name, [argument.name for argument in row.arguments])}`](#{row.name.lower()})",
                row.result,
                row.who,
            )
            for row in TABLE
        ],
    )
    return page(
        "Commands",
        "A command is an `emit` with an ack. The ack is Node-style: `(error, data, ...more)`, always with at "
        "least two values. `error` is null on success; `data` is null when a command has no result; `more` "
        "are values that a hook added. Arguments past the declared ones are no error, hooks see them as "
        "`rest_args`.\n\n",
        f"Besides the errors below, every command can answer with {codes(COMMON_ERRORS)}. The "
        "[errors page](errors.md) has the texts.\n\n",
        overview,
        *map(_command, TABLE),
        "## Types\n\nThe types above, in TypeScript:\n\n",
        block("typescript", TYPES, "declarations"),
    )


def _command(row: Command) -> str:
    parts = [f"## {row.name}\n\n{row.doc}\n\n"]
    if row.arguments:
        arguments = [(code(a.name), code(a.type.typescript), a.type.doc) for a in row.arguments]
        parts.append(table(("argument", "type", "meaning"), arguments))
    result = row.result if row.result_type == "null" else f"{row.result}: `{row.result_type}`"
    parts.append(f"- Result: {result}.\n- Who may: {row.who}.\n")
    if row.errors:
        parts.append(f"- Errors: {codes(row.errors)}.\n")
    parts.append(f"- Hooks: {codes([row.python_name + '_before', row.python_name + '_after'])}.\n")
    if row.needs_user:
        needs = "a user name and a socket `id`" if row.needs_socket else "a user name"
        parts.append(f"- On the server, `exec_user_command` needs {needs} for it.\n")
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
        "What a client gets as the error of an ack, or with `loginRejected`. By default it is a string, "
        "`ChatServiceError: ` and the text; with `use_raw_error_objects` it is an object "
        "`{name, code, args}`. `%s` stands for an argument, `%d` for a number, `%j` for JSON. What to do "
        "about them is in the [guide](../guide/errors.md).\n\n",
        table(("code", "text"), [(code(name), text) for name, text in ERROR_TEXTS.items()]),
        "## Who answers with it\n\n",
        *(f"- `{name}`: {_by(name, answering[name])}.\n" for name in ERROR_TEXTS),
    )


def _by(name: str, answering: list[str]) -> str:
    if name in COMMON_ERRORS:
        return "every command"
    if answering:
        return ", ".join(answering)
    return "any event that is not known" if name == "noCommand" else "the [server API](server-api.md) only"


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
        "Options are keyword arguments of `ChatService`, or one `Options` object. One that is unknown or "
        "cannot work raises `ConfigurationError` at once, with a text that names it. "
        "Times are in seconds.\n\n",
        table(("option", "type", "default", "meaning"), rows),
        '## Store options\n\nIn `store_options`, for `store="memory"`:\n\n',
        table(("option", "default", "meaning"), store),
        '## Redis options\n\nIn `store_options`, for `store="redis"`:\n\n',
        _plugin_options(Module(redis_options).fields("RedisOptions")),
        '## Socket.IO options\n\nIn `transport_options`, for `transport="socket.io"`:\n\n',
        _plugin_options(Module(socketio_options).fields("SocketIOOptions")),
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
        "Hooks are given as `hooks=`, a mapping or an object with these attributes, or by decorators of the "
        "service. Plain functions and coroutine functions both work. The [guide](../guide/hooks.md) has "
        "examples.\n\n",
        "## Service hooks\n\nThere is one of each at most: `hooks={...}` or `@service.on(name)`.\n\n",
        rows(dict(hooks.SERVICE_HOOKS)),
        info("DisconnectInfo"),
        info("MembershipInfo"),
        "## Command hooks\n\n"
        "`<command>_before(call)` and `<command>_after(call)`, in snake case, for every command; or "
        "`@service.before(command)` and `@service.after(command)`, with the name in either form and as many "
        "as you like. The order is: argument check, before hooks, command, after hooks. What a before hook "
        "returns other than None ends the command there. What an after hook returns or raises replaces the "
        "outcome; it runs on errors too. A list or tuple is the ack's values, anything else is the one "
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
        "For `service.on(event, listener)`, or as a decorator. What a listener raises is logged.\n\n",
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
