"""JSON Schemas of the TypeScript types in the tables."""

import re
from typing import Any

from chat_service.commands.spec import Command
from chat_service.commands.table import TABLE
from chat_service.errors import ERROR_TEXTS
from chat_service.options import Options
from chat_service.protocol.arguments import MAX_KEY_LENGTH, MAX_SAFE_INTEGER, Argument, CommandOption
from chat_service.types import DIRECT_LISTS, ROOM_LISTS, USERLIST
from tools.gendocs.client_types import TYPES

Schema = dict[str, Any]

#: Types whose TypeScript is not just a list of fields.
_ALIASES: dict[str, Schema] = {
    "Name": {
        "description": "The name of a user or room.",
        "type": "string",
        "minLength": 1,
        "maxLength": Options().name_length_limit,
        "pattern": "^[^\\x00-\\x1f\\x7f:{}]+$",
    },
    "RoomName": {
        "description": "The name of a room, or of the conversation of two users.",
        "anyOf": [
            {"$ref": "#/components/schemas/Name"},
            {"type": "string", "pattern": "^direct:[^\\x00-\\x1f\\x7f:{}]+:[^\\x00-\\x1f\\x7f:{}]+$"},
        ],
    },
    "ChatMessage": {
        "description": (
            "A message as sent by a client: exactly `{textMessage}`, or with a message checker hook any "
            "object that it accepts, including binary values."
        ),
        "type": "object",
        "examples": [{"textMessage": "hello"}],
    },
    "SentMessage": {
        "description": "A direct message as received.",
        "type": "object",
        "required": ["timestamp"],
        "properties": {
            "textMessage": {"type": "string"},
            "timestamp": {"type": "integer", "description": "Unix time in ms"},
            "author": {
                "type": "string",
                "description": "missing if the server sent the message without a user",
            },
        },
        "additionalProperties": True,
    },
    "StoredMessage": {
        "description": "A room message as received. Ids in a room count 1, 2, 3, and so on.",
        "allOf": [
            {"$ref": "#/components/schemas/SentMessage"},
            {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "integer", "minimum": 1},
                    "relatesTo": {"$ref": "#/components/schemas/Relation"},
                    "interactions": {"$ref": "#/components/schemas/Interactions"},
                },
            },
        ],
    },
    "AuthData": {
        "description": "The socket's id, and the auth data returned by on_connect.",
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string"}},
        "additionalProperties": True,
    },
    "ErrorCode": {
        "description": "A code from the table, or one of the application's.",
        "type": "string",
        "examples": sorted(ERROR_TEXTS),
        "x-texts": dict(ERROR_TEXTS),
    },
    "ChatError": {
        "description": "A string, or an object if the option use_raw_error_objects is on.",
        "oneOf": [
            {
                "type": "string",
                "pattern": "^ChatServiceError: ",
                "examples": ["ChatServiceError: No login provided"],
            },
            {
                "type": "object",
                "required": ["name", "code", "args"],
                "properties": {
                    "name": {"const": "ChatServiceError"},
                    "code": {"$ref": "#/components/schemas/ErrorCode"},
                    "args": {"type": "array", "description": "the values for the placeholders in the text"},
                },
                "additionalProperties": False,
            },
        ],
    },
}

#: Types of arguments that are more precise than their TypeScript.
_ARGUMENTS: dict[str, Schema] = {
    "room name": {"$ref": "#/components/schemas/RoomName"},
    "user name": {"$ref": "#/components/schemas/Name"},
    "user names": {"type": "array", "items": {"$ref": "#/components/schemas/Name"}},
    "room names": {"type": "array", "items": {"$ref": "#/components/schemas/RoomName"}},
    "event name": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    "message id": {"type": "integer", "minimum": 0, "maximum": MAX_SAFE_INTEGER},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_SAFE_INTEGER},
    "page limit": {"type": "integer", "minimum": 1, "maximum": MAX_SAFE_INTEGER},
    "idempotency key": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
}

_PRIMITIVES: dict[str, Schema] = {
    "string": {"type": "string"},
    "number": {"type": "integer"},  # All numbers are counts, ids and times.
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "unknown": {},
}


def schemas() -> dict[str, Schema]:
    """All named types: the aliases, and the interfaces of the TypeScript text."""
    interfaces = re.findall(r"^interface (\w+) \{\n(.*?)^\}", TYPES, re.M | re.S)
    options = {row.options_type: _options(row) for row in TABLE if row.options}
    return _ALIASES | {name: _interface(body) for name, body in interfaces} | options


def _options(command: Command) -> Schema:
    return {
        "description": f"Options of {command.name}, after its arguments. Other fields are left to hooks.",
        "type": "object",
        "properties": {option.name: _option(option) for option in command.options},
        "additionalProperties": True,
    }


def _option(option: CommandOption) -> Schema:
    kind = option.type
    return {"description": option.doc, **(_ARGUMENTS.get(kind.name) or schema_of(kind.typescript))}


def _interface(body: str) -> Schema:
    text = re.sub(r"/\*\*.*?\*/", "", body, flags=re.S)
    fields = re.findall(r"(\w+)(\??): ([^;]+);", text)
    return {
        "type": "object",
        "required": [name for name, optional, _ in fields if not optional],
        "properties": {name: schema_of(kind) for name, _, kind in fields},
    }


def schema_of(typescript: str) -> Schema:
    """The schema of a type as written in the tables. Raises ``LookupError`` if it is unknown."""
    kind = typescript.strip()
    if " | " in kind:
        return {"oneOf": [schema_of(part) for part in kind.split(" | ")]}
    if kind.endswith("[]"):
        return {"type": "array", "items": schema_of(kind.removesuffix("[]"))}
    if match := re.fullmatch(r"Record<string, (.+)>", kind):
        return {"type": "object", "additionalProperties": schema_of(match[1])}
    if match := re.fullmatch(r'"(\w+)"', kind):
        return {"const": match[1]}
    if kind in _PRIMITIVES:
        return dict(_PRIMITIVES[kind])
    if kind in _ALIASES or re.search(rf"^interface {kind} ", TYPES, re.M):
        return {"$ref": f"#/components/schemas/{kind}"}
    raise LookupError(f"there is no JSON Schema for the type {kind}")


def argument_schema(command: Command, argument: Argument) -> Schema:
    """The schema of one argument of a command."""
    kind = argument.type
    if kind.name == "list name":
        return {"type": "string", "enum": list_names(command)}
    return dict(_ARGUMENTS.get(kind.name) or schema_of(kind.typescript))


def list_names(command: Command) -> list[str]:
    """The lists that a command accepts: `userlist` is read-only."""
    if not command.takes_room:
        return sorted(DIRECT_LISTS)
    return sorted(ROOM_LISTS | {USERLIST} if command.name == "roomGetAccessList" else ROOM_LISTS)
