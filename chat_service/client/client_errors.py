"""Errors of the client, and parsing of errors sent by the service."""

import json
import re
from collections.abc import Mapping
from typing import Any

from chat_service.errors import ERROR_TEXTS, ChatServiceError

PREFIX = "ChatServiceError: "


#: Errors after which a message is retried: the server may have stored it, or could not handle it.
AGAIN = frozenset({"timeout", "internalError", "rateLimited"})


class ChatClientError(Exception):
    """Base class of the errors below. Errors of the service are ``chat_service.ChatServiceError``."""


class ConnectFailedError(ChatClientError):
    """The server cannot be reached, or does not confirm the login in time."""


class NotConnectedError(ChatClientError):
    """There is no connection: it was lost or closed, or the command was not answered in time.

    If the command was sent, it is unknown whether it was carried out.
    """


class OutcomeUnknownError(ChatClientError):
    """A message was sent, but it is unknown whether it is stored.

    There was no answer for so long that the server may have forgotten the idempotency key, or the server
    refused a retry, for example because access to the room was lost, or the client was closed before the
    answer. Sending the message with a new key could store it twice.
    """


class OutboxError(ChatClientError):
    """The outbox is full, or its file cannot be used."""


def from_wire(value: Any) -> ChatServiceError:
    """An error as the server sent it: a text, or an object (option ``use_raw_error_objects``)."""
    if isinstance(value, Mapping) and isinstance(value.get("code"), str):
        arguments = value.get("args")
        return ChatServiceError(value["code"], *(arguments if isinstance(arguments, list) else ()))
    if not isinstance(value, str):
        return ChatServiceError("internalError", value)
    text = value.removeprefix(PREFIX)
    for code, kinds, pattern in _PATTERNS:
        match = pattern.fullmatch(text)
        if match is not None:
            return ChatServiceError(code, *map(_argument, match.groups(), kinds))
    return ChatServiceError(text) if text.isidentifier() else ChatServiceError("internalError", text)


def _pattern(template: str) -> "re.Pattern[str]":
    parts = re.split(r"%[sdj]", template)
    places = [r"(-?\d+)" if kind == "%d" else "(.*)" for kind in re.findall(r"%[sdj]", template)]
    text = re.escape(parts[0])
    for place, part in zip(places, parts[1:], strict=True):
        text += place + re.escape(part)
    return re.compile(text, re.DOTALL)


# Longest first, because one text may be the beginning of another.
_PATTERNS = [
    (code, re.findall(r"%[sdj]", template), _pattern(template))
    for code, template in sorted(ERROR_TEXTS.items(), key=lambda item: -len(item[1]))
    if code != "internalError"
]


def _argument(text: str, kind: str) -> Any:
    if kind == "%d":
        return int(text)
    if kind == "%j":
        try:
            return json.loads(text)
        except ValueError:
            # It was truncated.
            return text
    return text
