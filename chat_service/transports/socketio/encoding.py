"""What is sent on the namespace: encoded once, whatever number of sockets gets it."""

from collections.abc import Sequence
from typing import Any

from engineio import packet as engine_packet
from socketio.packet import ACK, EVENT

from chat_service.transports.socketio.frames import binary_frame, text_frame
from chat_service.transports.socketio.packets import JsonPacket, NotPlainJson, encode_json
from chat_service.transports.socketio.slow_consumers import LivePacket

#: The types of packets that make up a text: an Engine.IO message with a Socket.IO event, or ack, in it.
EVENT_START = f"{engine_packet.MESSAGE}{EVENT}"
ACK_START = f"{engine_packet.MESSAGE}{ACK}"


class Outgoing:
    """One Socket.IO packet, in the forms that transports need."""

    __slots__ = ("_frame", "_is_answer", "_packets", "_parts")

    def __init__(
        self, parts: list[str | bytes] | None, frame: bytes | None = None, *, is_answer: bool = False
    ) -> None:
        """``parts``: the data of its Engine.IO messages; when None, ``frame`` is that of its only one."""
        self._is_answer = is_answer
        self._parts = parts
        self._frame = frame
        self._packets: list[Any] | None = None

    @property
    def frame(self) -> bytes:
        """All of it as WebSocket frames."""
        if self._frame is None:
            self._frame = b"".join(
                binary_frame(bytes(part))
                if isinstance(part, bytes | bytearray)
                else text_frame(b"4" + part.encode())
                for part in self._parts or ()
            )
        return self._frame

    def packets(self) -> list[Any]:
        """Engine.IO packets for a queue. Those of texts are shared by all sessions."""
        if self._packets is None:
            parts = self._parts
            if parts is None:
                parts = self._parts = [_text_of(self.frame)]
            kind = engine_packet.Packet if self._is_answer else LivePacket
            packets = [kind(engine_packet.MESSAGE, part) for part in parts]
            if any(packet.binary for packet in packets):
                # A binary packet keeps the form that its first reader's transport needs.
                return packets
            self._packets = packets
        return self._packets


def _text_of(frame: bytes) -> str:
    """What is in the text frame of an Engine.IO message."""
    size = frame[1]
    header = 2 if size < 126 else 4 if size == 126 else 10
    return frame[header + 1 :].decode()


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
                frame = text_frame(f"{self._ack_start}{number}".encode() + encode_json(values))
                return Outgoing(None, frame, is_answer=True)
            except NotPlainJson:
                pass
        return self._outgoing(ACK, list(values), number)

    def _outgoing(self, kind: int, data: list[Any], number: int | None) -> Outgoing:
        packet = self._packet_class(kind, namespace=self._namespace, id=number, data=data)
        encoded = packet.encode()
        parts = encoded if isinstance(encoded, list) else [encoded]
        return Outgoing(parts, is_answer=kind == ACK)
