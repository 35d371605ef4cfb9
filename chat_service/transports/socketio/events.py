"""Events of clients, read straight from the text of their packets.

The library reads a packet in several steps, for all kinds of packets. This reads the one kind that nearly all
are, and leaves everything unusual to the library.
"""

from collections.abc import Callable
from typing import Any

from chat_service.protocol.values import PLACEHOLDER
from chat_service.transports.socketio.borrowed import scan_json
from chat_service.transports.socketio.encoding import EVENT_START

#: Maximum number of digits in an event's number; JavaScript counts no further.
MAX_DIGITS = 15


class EventReader:
    """Reads the events of one namespace."""

    __slots__ = ("_size", "_start")

    def __init__(self, namespace: str) -> None:
        self._start = EVENT_START if namespace == "/" else f"{EVENT_START}{namespace},"
        self._size = len(self._start)

    def read(self, text: str) -> tuple[list[Any], int | None] | None:
        """Name and arguments, and the number for the ack; None for what the library has to read.

        ``text``: an Engine.IO message.
        """
        if not text.startswith(self._start):
            return None
        bracket = text.find("[", self._size)
        digits = text[self._size : bracket]
        number: int | None = None
        if digits:
            if not (digits.isdecimal() and digits.isascii()) or len(digits) > MAX_DIGITS:
                return None
            number = int(digits)
        if PLACEHOLDER in text or "\\u" in text:
            # A placeholder, perhaps in disguise.
            return None
        try:
            data, end = scan_json(text, bracket)
        except (ValueError, StopIteration, RecursionError):
            return None
        if end != len(text) or not data or not isinstance(data[0], str):
            return None
        return data, number


#: Handles the event of a text, or returns False.
TakeEvent = Callable[[str], bool]
