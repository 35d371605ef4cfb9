"""Socket.IO packets that refuse what no honest client sends."""

import json
from typing import Any

import msgpack
from socketio.msgpack_packet import MsgPackPacket
from socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, CONNECT, EVENT, Packet

#: Binary values in one message at most.
MAX_ATTACHMENTS = 256


class StrictJson:
    """JSON as RFC 8259 has it: no NaN and no infinities, in neither direction."""

    _encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

    @classmethod
    def dumps(cls, value: Any, **_: Any) -> str:
        return cls._encoder.encode(value)

    @staticmethod
    def loads(text: str, **_: Any) -> Any:
        return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check(packet: Any) -> None:
    """Raise ``ValueError`` unless the data fits the type of the packet."""
    kind, data = packet.packet_type, packet.data
    if kind in (EVENT, BINARY_EVENT):
        if not isinstance(data, list) or not data or not isinstance(data[0], str):
            raise ValueError("an event is an array that starts with its name")
    elif kind in (ACK, BINARY_ACK):
        if not isinstance(data, list) or packet.id is None:
            raise ValueError("an ack is an array and has an id")
    elif kind == CONNECT and not (data is None or isinstance(data, dict)):
        raise ValueError("auth is an object")


class JsonPacket(Packet):  # type: ignore[misc]
    """The default packet of the protocol, checked."""

    json = StrictJson
    #: Bytes of all attachments of one packet at most; set per server.
    max_attachment_bytes = 1_000_000

    def decode(self, encoded_packet: Any) -> int:
        if not isinstance(encoded_packet, str):
            raise ValueError("unexpected binary data")
        count: int = super().decode(encoded_packet)
        if count > MAX_ATTACHMENTS:
            raise ValueError("too many attachments")
        self._attachment_bytes = 0
        _check(self)
        return count

    def add_attachment(self, attachment: Any) -> bool:
        if not isinstance(attachment, bytes | bytearray):
            raise ValueError("an attachment was expected")
        self._attachment_bytes += len(attachment)
        if self._attachment_bytes > self.max_attachment_bytes:
            raise ValueError("attachments are too large")
        is_complete: bool = super().add_attachment(attachment)
        return is_complete


class MsgpackPacket(MsgPackPacket):  # type: ignore[misc]
    """Packets of the msgpack parser, checked."""

    def decode(self, encoded_packet: Any) -> None:
        if not isinstance(encoded_packet, bytes):
            raise ValueError("unexpected text")
        fields = msgpack.unpackb(encoded_packet)
        if not isinstance(fields, dict):
            raise ValueError("a packet is a map")
        self.packet_type = fields.get("type")
        self.data = fields.get("data")
        self.id = fields.get("id")
        self.namespace = fields.get("nsp")
        if not isinstance(self.namespace, str) or not (self.id is None or isinstance(self.id, int)):
            raise ValueError("bad namespace or id")
        _check(self)


def packet_class(serializer: str, max_bytes: int) -> type[Any]:
    """The packet class of a server."""
    if serializer == "msgpack":
        return MsgpackPacket

    class SizedJsonPacket(JsonPacket):
        max_attachment_bytes = max_bytes

    return SizedJsonPacket
