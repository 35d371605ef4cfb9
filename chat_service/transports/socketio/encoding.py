"""What is sent on the namespace: encoded once, whatever number of sockets gets it."""

from collections.abc import Sequence
from typing import Any

from socketio.packet import ACK, EVENT

from chat_service.transports.socketio.engine.framing import text_frame
from chat_service.transports.socketio.engine.payload import MESSAGE
from chat_service.transports.socketio.engine.websocket import make_compressed_frame, make_frame
from chat_service.transports.socketio.packets import JsonPacket, NotPlainJson, encode_json

#: The types of packets that make up a text: an Engine.IO message with a Socket.IO event, or ack, in it.
EVENT_START = f"{MESSAGE}{EVENT}"
ACK_START = f"{MESSAGE}{ACK}"


class Outgoing:
    """One Socket.IO packet, in the forms that transports need. Each form is made once."""

    __slots__ = ("_compressed", "_frame", "_packets")

    def __init__(self, packets: list[str | bytes] | None, frame: bytes | None = None) -> None:
        """``packets``: those of Engine.IO that it is; when None, ``frame`` is that of its only one."""
        self._packets = packets
        self._frame = frame
        self._compressed: bytes | None = None

    @property
    def frame(self) -> bytes:
        """All of it as WebSocket frames."""
        if self._frame is None:
            self._frame = b"".join(map(make_frame, self.packets))
        return self._frame

    @property
    def compressed_frame(self) -> bytes:
        """The same for clients that take compressed messages."""
        if self._compressed is None:
            self._compressed = b"".join(map(make_compressed_frame, self.packets))
        return self._compressed

    @property
    def packets(self) -> list[str | bytes]:
        """All of it as Engine.IO packets."""
        if self._packets is None:
            self._packets = [_text_of(self.frame)]
        return self._packets


def _text_of(frame: bytes) -> str:
    """What is in a text frame."""
    size = frame[1]
    return frame[2 if size < 126 else 4 if size == 126 else 10 :].decode()


class Encoder:
    """Encodes the events and acks of one namespace for one server."""

    def __init__(self, namespace: str, packet_class: Any) -> None:
        """``packet_class``: that of the server."""
        self._namespace = namespace
        self._packet_class = packet_class
        self._is_json = isinstance(packet_class, type) and issubclass(packet_class, JsonPacket)
        name = "" if namespace == "/" else f"{namespace},"
        self._event_start = f"{EVENT_START}{name}".encode()
        self._ack_start = f"{ACK_START}{name}"

    def event(self, event: str, args: Sequence[Any]) -> Outgoing:
        if self._is_json:
            try:
                return Outgoing(None, text_frame(self._event_start + encode_json([event, *args])))
            except NotPlainJson:
                pass
        return self._outgoing(EVENT, [event, *args], None)

    def ack(self, number: int, values: Sequence[Any]) -> Outgoing:
        """``number``: the id that the client gave to its event."""
        if self._is_json:
            try:
                return Outgoing(None, text_frame(f"{self._ack_start}{number}".encode() + encode_json(values)))
            except NotPlainJson:
                pass
        return self._outgoing(ACK, list(values), number)

    def _outgoing(self, kind: int, data: list[Any], number: int | None) -> Outgoing:
        packet = self._packet_class(kind, namespace=self._namespace, id=number, data=data)
        encoded = packet.encode()
        parts = encoded if isinstance(encoded, list) else [encoded]
        return Outgoing([MESSAGE + part if isinstance(part, str) else bytes(part) for part in parts])
