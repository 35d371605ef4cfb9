"""Packets of the namespace: encodes each once for all sockets, and decodes plain events from their text.

The library decodes all kinds of packets in several steps. ``EventReader`` decodes the most common kind
directly, and leaves all others to the library.
"""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from socketio.packet import ACK, EVENT

from chat_service.protocol.values import PLACEHOLDER, has_more_values
from chat_service.transports.borrowed import scanner_of
from chat_service.transports.network.framing import text_frame
from chat_service.transports.network.websocket import make_compressed_frame, make_frame
from chat_service.transports.socketio.engine.session import MESSAGE
from chat_service.transports.socketio.packets import (
    MAX_VALUES,
    JsonPacket,
    encoded_before,
    strict_decoder,
)

#: The type digits of a text packet: an Engine.IO message that contains a Socket.IO event or ack.
EVENT_START = f"{MESSAGE}{EVENT}"
ACK_START = f"{MESSAGE}{ACK}"


class Outgoing:
    """One Socket.IO packet in the forms that transports need. Each form is created once."""

    __slots__ = ("_compressed", "_frame", "_packets")

    def __init__(self, packets: list[str | bytes] | None, frame: bytes | None = None) -> None:
        """``packets``: its Engine.IO packets; if None, it has a single one, whose frame is ``frame``."""
        self._packets = packets
        self._frame = frame
        self._compressed: bytes | None = None

    @property
    def frame(self) -> bytes:
        """The whole packet as WebSocket frames."""
        if self._frame is None:
            self._frame = b"".join(map(make_frame, self.packets))
        return self._frame

    @property
    def compressed_frame(self) -> bytes:
        """The same for clients that accept compressed messages."""
        if self._compressed is None:
            self._compressed = b"".join(map(make_compressed_frame, self.packets))
        return self._compressed

    @property
    def packets(self) -> list[str | bytes]:
        """The whole packet as Engine.IO packets."""
        if self._packets is None:
            self._packets = [_text_of(self.frame)]
        return self._packets


def _text_of(frame: bytes) -> str:
    """The content of a text frame."""
    size = frame[1]
    return frame[2 if size < 126 else 4 if size == 126 else 10 :].decode()


class Encoder:
    """Encodes the events and acks of one namespace for one server."""

    def __init__(self, namespace: str, packet_class: Any) -> None:
        """``packet_class``: the packet class of the server."""
        self._namespace = namespace
        self._packet_class = packet_class
        self._is_json = isinstance(packet_class, type) and issubclass(packet_class, JsonPacket)
        name = "" if namespace == "/" else f"{namespace},"
        self._event_start = f"{EVENT_START}{name}".encode()
        self._ack_start = f"{ACK_START}{name}".encode()

    def event(self, event: str, args: Sequence[Any]) -> Outgoing:
        frame = self.event_frame(event, args)
        return self._outgoing(EVENT, [event, *args], None) if frame is None else Outgoing(None, frame)

    def event_frame(self, event: str, args: Sequence[Any]) -> bytes | None:
        """The single frame of an event, None if it takes more than that."""
        if self._is_json:
            try:
                return text_frame(self._event_start + orjson.dumps([event, *args], encoded_before))
            except TypeError:
                pass
        return None

    def ack(self, number: int, values: Sequence[Any]) -> Outgoing:
        """``number``: the id that the client assigned to its event."""
        frame = self.ack_frame(number, values)
        return self._outgoing(ACK, list(values), number) if frame is None else Outgoing(None, frame)

    def ack_frame(self, number: int, values: Sequence[Any]) -> bytes | None:
        """The single frame of an ack, None if it takes more than that."""
        if self._is_json:
            try:
                return text_frame(b"%b%d%b" % (self._ack_start, number, orjson.dumps(values, encoded_before)))
            except TypeError:
                pass
        return None

    def _outgoing(self, kind: int, data: list[Any], number: int | None) -> Outgoing:
        packet = self._packet_class(kind, namespace=self._namespace, id=number, data=data)
        encoded = packet.encode()
        parts = encoded if isinstance(encoded, list) else [encoded]
        return Outgoing([MESSAGE + part if isinstance(part, str) else bytes(part) for part in parts])


#: Scans JSON without Python's wrapper around the scanner written in C.
scan_json = scanner_of(strict_decoder)

#: Maximum number of digits in an event's number; JavaScript cannot count further.
MAX_DIGITS = 15


class EventReader:
    """Decodes the events of one namespace."""

    __slots__ = ("_max_values", "_size", "_start")

    def __init__(self, namespace: str, max_values: int = MAX_VALUES) -> None:
        """``max_values``: as in packets."""
        self._max_values = max_values
        self._start = EVENT_START if namespace == "/" else f"{EVENT_START}{namespace},"
        self._size = len(self._start)

    def read(self, text: str) -> tuple[list[Any], int | None] | None:
        """The name, the arguments and the number for the ack; None if the library has to decode it.

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
            # A placeholder, possibly disguised.
            return None
        size = len(text)
        if size > self._max_values and has_more_values(text, self._max_values):
            return None
        try:
            data, end = scan_json(text, bracket)
        except (ValueError, StopIteration, RecursionError):
            return None
        if end != size or not data or not isinstance(data[0], str):
            return None
        return data, number


#: Handles the event in a text, or returns False.
TakeEvent = Callable[[str], bool]
