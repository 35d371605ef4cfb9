"""The plain protocol ``chat-service.v1``: JSON frames, on a WebSocket or on lines."""

from collections.abc import Sequence
from typing import Any, Final

from chat_service.transports.streams.dialect import (
    Client,
    Close,
    Conversation,
    LogIn,
    Run,
    Send,
    Steps,
)
from chat_service.transports.streams.wire_json import read_json, write_json

#: The WebSocket subprotocol.
SUBPROTOCOL: Final = "chat-service.v1"
#: Maximum number of characters of an id that is a string.
MAX_ID: Final = 128
#: Number of frames in a row that may be malformed; then the connection is closed.
MAX_FAULTS: Final = 100
#: Largest number that JavaScript can count to.
MAX_NUMBER: Final = 2**53 - 1


def write_answer(number: Any, values: Sequence[Any]) -> bytes:
    """The frame of an ack. ``number``: the id that the client gave to its command."""
    if not values:
        return write_json({"id": number, "results": []})
    results: Any = values[1:]
    if values[0] is not None and len(values) == 2 and values[1] is None:
        results = []
    return write_json({"id": number, "error": values[0], "results": results})


def write_fault(why: str) -> bytes:
    """The answer to a frame that is not understood."""
    return write_json({"id": None, "error": f"Malformed frame: {why}", "results": []})


def write_event(event: str, args: Sequence[Any]) -> bytes:
    """The frame of an event."""
    return write_json({"event": event, "args": args})


def read_frame(value: Any) -> LogIn | Run:
    """The login or the command of a decoded frame. Raises ``ValueError`` with a text for the client."""
    if not isinstance(value, dict):
        raise ValueError("not an object")
    if "login" in value:
        query = value.get("query", {})
        if not isinstance(query, dict) or not all(isinstance(item, str) for item in query.values()):
            raise ValueError("query is not an object of strings")
        return LogIn(value["login"], query)
    command, args, number = value.get("command"), value.get("args", []), value.get("id")
    if not isinstance(command, str) or not command:
        raise ValueError("neither login nor command")
    if not isinstance(args, list):
        raise ValueError("args is not an array")
    if isinstance(number, str):
        is_id = len(number) <= MAX_ID
    else:
        is_id = number is None or (type(number) is int and abs(number) <= MAX_NUMBER)
    if not is_id:
        raise ValueError("id is neither an integer nor a short string")
    return Run(command, args, number)


class PlainConversation(Conversation):
    """A client of the plain protocol. Its first frame logs it in."""

    def __init__(self, max_values: int) -> None:
        self._max_values = max_values
        self._has_begun = False
        #: Number of malformed frames in a row.
        self._faults = 0

    def receive(self, text: str) -> Steps:
        """Part of ``Conversation``."""
        try:
            frame = read_frame(read_json(text, self._max_values))
        except ValueError as error:
            return self.malformed(str(error))
        return self.start(frame)

    def start(self, frame: LogIn | Run) -> Steps:
        """Log in first, unless that was done."""
        if self._has_begun:
            if isinstance(frame, LogIn):
                return self.malformed("a second login")
            self._faults = 0
            return (frame,)
        self._has_begun = True
        return (frame,) if isinstance(frame, LogIn) else (LogIn(), frame)

    def malformed(self, why: str) -> Steps:
        """Part of ``Conversation``."""
        self._faults += 1
        answer = Send(write_fault(why))
        return (answer,) if self._faults < MAX_FAULTS else (answer, Close())

    def answered(self, tag: Any, values: Sequence[Any]) -> Steps:
        """Part of ``Conversation``."""
        return () if tag is None else (Send(write_answer(tag, values)),)


class PlainJson:
    """The dialect of plain WebSockets."""

    name = "websocket"
    subprotocols: Sequence[str] = (SUBPROTOCOL,)

    def __init__(self, max_values: int = 25_000) -> None:
        """``max_values``: maximum number of values in a frame."""
        self._max_values = max_values

    def converse(self, client: Client) -> PlainConversation:
        """Part of ``Dialect``."""
        return PlainConversation(self._max_values)

    def event(self, event: str, args: Sequence[Any]) -> bytes:
        """Part of ``Dialect``."""
        return write_event(event, args)
