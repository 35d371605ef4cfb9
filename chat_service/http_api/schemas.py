"""JSON Schemas of requests and answers of the HTTP API, for its checks and its OpenAPI document."""

from typing import Any, Final

from chat_service.commands.relations import MAX_REACTION_LENGTH
from chat_service.domain.bans import MAX_REASON, MAX_SECONDS
from chat_service.option_checks import MAX_TTL
from chat_service.protocol.arguments import MAX_KEY_LENGTH, MAX_SAFE_INTEGER
from chat_service.types import DIRECT_LISTS, ROOM_LISTS, USERLIST

Schema = dict[str, Any]

#: Bounds that options set: ``sized`` fills in the numbers.
PAGE, BATCH = "max_page_size", "max_batch_length"

STRING: Final[Schema] = {"type": "string"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": MAX_SAFE_INTEGER}
#: The limits of a history, and the lifetime of an empty room.
BYTES: Final[Schema] = {**COUNT, "minimum": 1, "description": "in bytes"}
TTL: Final[Schema] = {
    "type": "number",
    "minimum": 0,
    "maximum": MAX_TTL,
    "description": "in seconds; 0 for no limit",
}
#: Null for a transport that does not count.
MEASURED: Final[Schema] = {**COUNT, "type": ["integer", "null"]}
NUMBER: Final[Schema] = {"type": "number"}
CURSOR: Final[Schema] = {"type": ["string", "null"]}
NAME: Final[Schema] = {
    "type": "string",
    "description": "the name of a user or room; its maximum length is the option `name_length_limit`",
    "minLength": 1,
    "pattern": "^[^\\u0000-\\u001f\\u007f:{}]+$",
}
NAMES: Final[Schema] = {"type": "array", "items": NAME, "maxItems": 10_000}
EPOCH: Final[Schema] = {
    "type": "string",
    "description": "an epoch, as the server told it",
    "minLength": 1,
    "maxLength": MAX_KEY_LENGTH,
}
KEY: Final[Schema] = {
    "type": "string",
    "description": "names the message, so that a repeated request does not store it again",
    "minLength": 1,
    "maxLength": MAX_KEY_LENGTH,
}
EVENT_NAME: Final[Schema] = {
    "type": "string",
    "description": "what has happened, such as `typing`",
    "minLength": 1,
    "maxLength": MAX_KEY_LENGTH,
}
MESSAGE: Final[Schema] = {
    "type": "object",
    "description": "`{textMessage}`, or any object that a message checker hook accepts",
    "examples": [{"textMessage": "hello"}],
}
STORED: Final[Schema] = {
    "type": "object",
    "description": "a message as it was stored; binary values are texts in base64",
    "properties": {"id": COUNT, "timestamp": COUNT, "author": STRING, "textMessage": STRING},
    "required": ["id", "timestamp"],
}


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    """The schema of an object with exactly these fields."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": [*required],
        "additionalProperties": False,
        **more,
    }


def changes(**fields: Schema) -> Schema:
    """The schema of an object with one or more of these fields."""
    return record({}, fields, minProperties=1)


def array(items: Schema, **more: Any) -> Schema:
    """The schema of a list."""
    return {"type": "array", "items": items, **more}


ERROR: Final = record({"code": STRING, "args": {"type": "array"}, "message": STRING})
_ROOM_FIELDS: Final[dict[str, Schema]] = {
    "name": STRING,
    "owner": {"type": ["string", "null"]},
    "membersCount": COUNT,
    "lastMessageId": COUNT,
    "historySize": COUNT,
    "historyMaxSize": COUNT,
    "whitelistOnly": BOOLEAN,
    "epoch": STRING,
}
ROOM: Final = record(_ROOM_FIELDS)
ROOM_STATUS: Final = record(
    {**_ROOM_FIELDS, "enableUserlistUpdates": BOOLEAN, "enableAccessListsUpdates": BOOLEAN}
)
NEW_ROOM: Final = record(
    {"name": NAME},
    {
        "owner": {**NAME, "type": ["string", "null"]},
        "whitelist": NAMES,
        "blacklist": NAMES,
        "adminlist": NAMES,
        "whitelistOnly": BOOLEAN,
        "historyMaxSize": COUNT,
        "historyMaxBytes": BYTES,
        "historyTtl": TTL,
        "emptyTtl": TTL,
        "enableAccessListsUpdates": BOOLEAN,
        "enableUserlistUpdates": BOOLEAN,
        "existOk": {**BOOLEAN, "description": "leave a room that exists as it is"},
    },
)
ROOM_CHANGES: Final = changes(
    owner={**NAME, "type": ["string", "null"]},
    whitelistOnly=BOOLEAN,
    historyMaxSize=COUNT,
    historyMaxBytes=BYTES,
    historyTtl=TTL,
    emptyTtl=TTL,
    enableAccessListsUpdates=BOOLEAN,
    enableUserlistUpdates=BOOLEAN,
)
NEW_USER: Final = record(
    {"name": NAME},
    {"whitelist": NAMES, "blacklist": NAMES, "whitelistOnly": BOOLEAN, "existOk": BOOLEAN},
)
NEW_BAN: Final = record(
    {},
    {
        "seconds": {"type": "number", "minimum": 0.001, "maximum": MAX_SECONDS},
        "reason": {"type": "string", "maxLength": MAX_REASON},
    },
)
BAN: Final = record(
    {
        "banned": BOOLEAN,
        "until": {"type": ["integer", "null"], "description": "Unix time in ms; null: for good."},
        "reason": {"type": ["string", "null"]},
    }
)
LIST_CHANGES: Final = changes(add=NAMES, remove=NAMES)
NAMED: Final = record({"name": STRING})
ROOM_LIST: Final[Schema] = {"type": "string", "enum": sorted([*ROOM_LISTS, USERLIST])}
USER_LIST: Final[Schema] = {"type": "string", "enum": sorted(DIRECT_LISTS)}
NAMES_PAGE: Final = record({"names": array(STRING), "count": COUNT, "cursor": CURSOR})
_MORE: Final[dict[str, Schema]] = {
    "author": {**NAME, "description": "the user who sends it; a message without one comes from the server"},
    "idempotencyKey": KEY,
    "expectedLastId": {**COUNT, "description": "store it only after this message, else `conflict`"},
    "replyTo": {**COUNT, "description": "the id of the message that this one replies to"},
    "edits": {**COUNT, "description": "the id of the message whose content this one replaces"},
    "deletes": {**COUNT, "description": "the id of the message that this one deletes"},
    "reactsTo": {**COUNT, "description": "the id of the message that gets the `reaction`"},
    "unreactsTo": {**COUNT, "description": "the id of the message from which the `reaction` is taken back"},
    "reaction": {"type": "string", "minLength": 1, "maxLength": MAX_REACTION_LENGTH},
    "targetEpoch": EPOCH,
}
PUBLISH: Final = record({"message": MESSAGE}, _MORE)
PUBLISHED: Final = record({"id": COUNT, "duplicate": BOOLEAN})
BATCH_BODY: Final = record(
    {"messages": array(record({"room": NAME, "message": MESSAGE}, _MORE), minItems=1, maxItems=BATCH)}
)
BATCH_ANSWER: Final = record(
    {
        "results": array(
            {"anyOf": [PUBLISHED, record({"error": ERROR, "status": {"type": "integer"}})]},
        ),
        "failed": COUNT,
    }
)
DIRECT: Final = record({"message": MESSAGE}, {"author": _MORE["author"]})
HISTORY: Final = record(
    {
        "epoch": STRING,
        "lastMessageId": COUNT,
        "recovered": {
            **BOOLEAN,
            "description": "true: the messages are those after `after`; false: they are the newest ones",
        },
        "messages": {**array(STORED), "description": "oldest first"},
        "more": {**BOOLEAN, "description": "whether others follow the last one"},
    }
)
MEMBERS: Final = record(
    {
        "members": array(
            record(
                {"userName": STRING, "joinedAt": {**COUNT, "type": ["integer", "null"]}, "sockets": COUNT},
                {"details": {"description": "any value, with what clients may not see"}},
            )
        ),
        "membersCount": COUNT,
        "cursor": CURSOR,
    }
)
USERS: Final = record({"users": array(record({"name": STRING, "sockets": COUNT})), "cursor": CURSOR})
USER: Final = record({"name": STRING, "sockets": COUNT, "whitelistOnly": BOOLEAN})
SOCKETS: Final = record(
    {
        "sockets": array(
            record({"id": STRING, "instanceId": STRING, "roomsCount": COUNT, "rooms": array(STRING)})
        ),
        "cursor": CURSOR,
    }
)
TOKEN: Final = record({"name": STRING, "scopes": array(STRING), "version": STRING})
STATISTICS: Final = record(
    {
        "instanceId": STRING,
        "time": {**COUNT, "description": "Unix time in ms"},
        "sockets": COUNT,
        "users": COUNT,
        "rooms": {**COUNT, "description": "rooms with joined sockets on this instance"},
        "commands": {**COUNT, "description": "finished commands of clients and of the server"},
        "failures": {**COUNT, "description": "those that ended in an error"},
        "messages": {**COUNT, "description": "messages sent to rooms"},
        "deliveries": {**MEASURED, "description": "events queued for sockets, one per recipient"},
        "sendBufferBytes": MEASURED,
        "logins": COUNT,
        "disconnects": COUNT,
    }
)
INSTANCES: Final = record(
    {
        "instances": array(
            record(
                {
                    "id": STRING,
                    "state": {"type": "string", "enum": ["alive", "lapsed", "recovering"]},
                    "age": NUMBER,
                    "expiresIn": NUMBER,
                    "sockets": COUNT,
                    "isThisOne": BOOLEAN,
                }
            )
        )
    }
)


def sized(schema: Any, bounds: dict[str, int]) -> Any:
    """A schema in which the bounds are replaced by the numbers of the options."""
    if isinstance(schema, dict):
        return {name: sized(value, bounds) for name, value in schema.items()}
    if isinstance(schema, list):
        return [sized(value, bounds) for value in schema]
    return bounds.get(schema, schema) if isinstance(schema, str) else schema
