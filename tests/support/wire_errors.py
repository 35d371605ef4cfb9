"""The form of errors on the wire, written from the contract and not derived from the code."""

import json
from collections.abc import Awaitable
from typing import Any

import pytest

from chat_service import ChatServiceError

#: Texts as Python format strings; ``json`` marks an argument that is shown as JSON.
TEXTS = {
    "badArgument": "Bad argument at position {}, value {json}",
    "banned": "Banned until {}, reason: {}",
    "conflict": "The last message is {}",
    "idempotencyConflict": "Idempotency key {} was used for another message",
    "internalError": "{}",
    "invalidName": "String {} contains invalid characters",
    "invalidSocket": "Socket {} is not connected",
    "limitExceeded": "Exceeded the limit of {}",
    "listLimitExceeded": "Exceeded {} size limit",
    "messageTooLarge": "Message of {} bytes exceeds the limit of {} bytes",
    "noCommand": "No such command {}",
    "noList": "No such list {}",
    "noLogin": "No login provided",
    "noMessage": "No such message {}",
    "noRoom": "No such room {}",
    "noSocket": "Command {} requires a valid socket",
    "noUser": "No such user {}",
    "noUserOnline": "No such user online {}",
    "notAllowed": "Action is not allowed",
    "notJoined": "Not joined to room {}",
    "rateLimited": "Rate limit exceeded, retry in {} ms",
    "roomExists": "Room {} already exists",
    "timeout": "Server operation timeout",
    "userExists": "User {} already exists",
    "userOnline": "User {} is online",
    "wrongArgumentsCount": "Expected {} arguments, got {}",
}


def wire_error(code: str, *args: Any) -> str:
    """The ack's error for a code, as a string."""
    shown = json.dumps(args[-1], separators=(",", ":")) if args else ""
    return "ChatServiceError: " + TEXTS[code].format(*args, json=shown)


async def raised(work: Awaitable[Any]) -> tuple[Any, ...]:
    """The code and the arguments of the error that a call of the server API raises."""
    with pytest.raises(ChatServiceError) as caught:
        await work
    return (caught.value.code, *caught.value.arguments)
