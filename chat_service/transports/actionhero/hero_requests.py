"""Reads the requests of ActionHero's clients: words or JSON in a line of TCP, JSON in a frame of Primus."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import orjson

from chat_service.protocol.values import MAX_DEPTH, has_more_values, is_clean_value

#: A verb's name, as clients write it.
ACTION: Final = "action"
FILE: Final = "file"
PARAM_VERBS: Final = frozenset({"paramAdd", "paramDelete", "paramView", "paramsDelete", "paramsView"})
ROOM_VERBS: Final = frozenset({"roomAdd", "roomLeave", "roomView", "say"})
#: The verbs of all connections. A WebSocket has no lasting parameters, and so no verbs for them.
VERBS: Final = frozenset({"detailsView", "documentation", "exit", "quit"}) | ROOM_VERBS
LINE_VERBS: Final = VERBS | PARAM_VERBS

#: The id that a client gave to a request, and finds in the answer.
MessageId = str | int | float

#: Values in one line or frame.
MAX_VALUES: Final = 25_000

_PRIMUS: Final = "primus::"
_PONG: Final = "primus::pong::"
_ASKS_ID: Final = "primus::id::"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of a client."""

    #: One of ``LINE_VERBS``, "action" or "file"; of a frame, any other text that the client sent.
    verb: str
    #: The client's own id for the request, if it gave one.
    message_id: MessageId | None = None
    #: The room of a verb about a room, empty if there is none.
    room: str = ""
    #: The message of ``say``, None if there is none.
    message: Any = None
    #: The name and the value of a parameter.
    key: str = ""
    value: Any = None
    #: The parameters of an action.
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pong:
    """The client's answer to a ping of Primus."""


@dataclass(frozen=True, slots=True)
class AsksId:
    """The client asks for the id of its connection."""


class NotARequestError(ValueError):
    """A frame that is not JSON, or not an object."""


def read_line(line: str, params: dict[str, Any], max_values: int = MAX_VALUES) -> Request:
    """Read a line that is not blank.

    ``params``: the lasting parameters of the connection. An action changes them: its name stays in them, and
    parameters in JSON replace them all. ``max_values``: maximum number of values in JSON.
    """
    verb, _, rest = line.strip().partition(" ")
    message_id = id_of(params.get("messageId"))
    if verb == FILE:
        return Request(verb=FILE, message_id=message_id)
    if verb in ROOM_VERBS:
        room, _, message = rest.lstrip().partition(" ")
        return Request(verb=verb, message_id=message_id, room=room, message=message or None)
    if verb in PARAM_VERBS:
        key, value = _key_and_value(rest.strip())
        return Request(verb=verb, message_id=message_id, key=key, value=value)
    if verb in LINE_VERBS:
        return Request(verb=verb, message_id=message_id)
    body = _object(line, max_values)
    if body is None:
        params["action"] = verb
    else:
        given = body.get("params")
        if isinstance(given, dict):
            params.clear()
            params.update(cast(dict[str, Any], given))
        if "action" in body:
            params["action"] = body["action"]
    return Request(verb=ACTION, message_id=id_of(params.get("messageId")), params=dict(params))


def read_frame(frame: str, max_values: int = MAX_VALUES) -> Request | Pong | AsksId:
    """Read a frame of Primus. ``max_values``: maximum number of values in it. Raises ``NotARequestError``."""
    try:
        body = _decoded(frame, max_values)
    except ValueError:
        raise NotARequestError("the frame is not JSON") from None
    if isinstance(body, str) and body.startswith(_PRIMUS):
        if body.startswith(_PONG):
            return Pong()
        if body == _ASKS_ID:
            return AsksId()
    if not isinstance(body, dict):
        raise NotARequestError("the frame is not an object")
    data = cast(dict[str, Any], body)
    verb = data.pop("event", None)
    message_id = id_of(data.pop("messageId", None))
    if verb == ACTION:
        params = data.get("params")
        known = cast(dict[str, Any], params) if isinstance(params, dict) else {}
        return Request(verb=ACTION, message_id=message_id, params=known)
    room = data.pop("room", "")
    return Request(
        verb=verb if isinstance(verb, str) else _text(verb),
        message_id=message_id,
        room=room if isinstance(room, str) else _text(room),
        message=_said(data),
    )


def id_of(value: Any) -> MessageId | None:
    """A client's id of a request; None for anything but a text or a number."""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) and value else None


def _said(data: dict[str, Any]) -> Any:
    """The message of ``say``: the field of this name, or all fields as words."""
    if not data:
        return None
    if len(data) == 1 or "message" in data:
        return data.get("message", next(iter(data.values())))
    return " ".join(value if isinstance(value, str) else _text(value) for value in data.values())


def _key_and_value(words: str) -> tuple[str, str]:
    """``key=value`` or ``key value``."""
    first, _, rest = words.partition(" ")
    key, sign, value = first.partition("=")
    if sign:
        return key, f"{value} {rest}" if rest else value
    return key, rest


def _object(line: str, max_values: int) -> dict[str, Any] | None:
    """The JSON object in a line, None if it is something else."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        body = _decoded(line, max_values)
    except ValueError:
        return None
    return cast(dict[str, Any], body) if isinstance(body, dict) else None


def _decoded(text: str, max_values: int) -> Any:
    """Raises ``ValueError``, also for values that cannot be sent on, and for too many."""
    if has_more_values(text, max_values):
        raise ValueError("too many values")
    value = orjson.loads(text)
    if not is_clean_value(value, MAX_DEPTH):
        raise ValueError("too deep")
    return value


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
