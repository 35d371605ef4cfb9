"""The part of the AsyncAPI document about plain WebSockets and lines (docs/guide/plain-protocols.md)."""

from typing import Any, Final

from chat_service.commands.table import TABLE
from chat_service.protocol.notifications import NOTIFICATIONS

#: The ids that a client may give to its commands.
_ID: Final = {"type": ["integer", "string"], "maxLength": 128}

CHANNEL: Final[dict[str, Any]] = {
    "address": "/chat-service/ws",
    "description": "Plain WebSockets with the subprotocol `chat-service.v1`, at the option `path`; and lines "
    "over TCP, with the same frames. `args` and `results` are as in Socket.IO packets.",
    "messages": {
        name: {"$ref": f"#/components/messages/{name}"}
        for name in ("plain.login", "plain.command", "plain.answer", "plain.event")
    },
}


def _frame(title: str, summary: str, required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    payload = {"type": "object", "required": required, "properties": properties}
    return {"name": title, "title": title, "summary": summary, "payload": payload}


def messages() -> dict[str, Any]:
    """The frames."""
    commands = sorted(row.name for row in TABLE)
    events = sorted({event.name for event in NOTIFICATIONS})
    return {
        "plain.login": _frame(
            "login",
            "The first frame: logs in. Any other first frame logs in by the query and headers alone.",
            ["login"],
            {
                "login": {"description": "Any value; `Handshake.auth` of the hook `on_connect`."},
                "query": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        ),
        "plain.command": _frame(
            "command",
            "Runs a command. Without an id there is no answer.",
            ["command"],
            {
                "id": {**_ID, "description": "Repeated in the answer."},
                "command": {
                    "type": "string",
                    "minLength": 1,
                    "description": "A command, or a custom event of the application.",
                    "examples": commands,
                },
                "args": {"type": "array", "default": []},
            },
        ),
        "plain.answer": _frame(
            "answer",
            "The outcome of a command. Answers come in any order. An id of null answers a malformed frame.",
            ["id", "results"],
            {
                "id": {"type": ["integer", "string", "null"]},
                "error": {"description": "Null, or the error in the form of the ack."},
                "results": {"type": "array"},
            },
        ),
        "plain.event": _frame(
            "event",
            "A notification, or an event of the application.",
            ["event", "args"],
            {
                "event": {"type": "string", "examples": events},
                "args": {"type": "array"},
            },
        ),
    }


def operations() -> dict[str, Any]:
    """What each side sends."""

    def of(action: str, name: str, summary: str) -> dict[str, Any]:
        return {
            "action": action,
            "summary": summary,
            "channel": {"$ref": "#/channels/plain"},
            "messages": [{"$ref": f"#/channels/plain/messages/{name}"}],
        }

    command = of("receive", "plain.command", "Run a command.")
    command["reply"] = {
        "channel": {"$ref": "#/channels/plain"},
        "messages": [{"$ref": "#/channels/plain/messages/plain.answer"}],
    }
    return {
        "plain.login": of("receive", "plain.login", "Log in."),
        "plain.command": command,
        "plain.event": of("send", "plain.event", "Notify a client."),
    }
