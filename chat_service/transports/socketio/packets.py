"""Socket.IO packets that refuse what no honest client sends."""

import json
import logging
from collections.abc import Callable
from typing import Any

import msgpack
import orjson
from socketio.msgpack_packet import MsgPackPacket
from socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, CONNECT, DISCONNECT, EVENT, Packet

from chat_service.protocol.encoded import EncodedMessages
from chat_service.protocol.values import PLACEHOLDER

logger = logging.getLogger("chat_service")

#: Maximum number of binary values in one message that comes in.
MAX_ATTACHMENTS = 256


class StrictJson:
    """JSON as RFC 8259 has it: no NaN and no infinities, in neither direction."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return _encoder.encode(value)

    @staticmethod
    def loads(text: str, **_: Any) -> Any:
        return _decoder.decode(text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


#: ``scan_json(text, start)`` returns the value that begins there and where it ends, without looking for white
#: space around it. Raises ``StopIteration``, ``ValueError`` or ``RecursionError``.
scan_json: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]


class NotPlainJson(Exception):
    """The data may have binary values or others that only the packets of the library can tell apart."""


def encode_json(data: Any) -> bytes:
    """The data of a packet as JSON in UTF-8. All that is sent in JSON without attachments is encoded here.

    ``data``: checked values (``is_clean_value``), so there is no NaN among the floats, which orjson would
    write as null; ``EncodedMessages`` among them are written as they are. Raises ``NotPlainJson`` for values
    that orjson does not know, binary ones above all.
    """
    try:
        return orjson.dumps(data, _encoded_before)
    except TypeError as error:
        raise NotPlainJson from error


def _encoded_before(value: Any) -> orjson.Fragment:
    if isinstance(value, EncodedMessages):
        return orjson.Fragment(value.json)
    raise TypeError


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
    #: Maximum number of attachments of one packet that is sent; set per server.
    max_sent_attachments = 10

    def decode(self, encoded_packet: Any) -> int:
        if not isinstance(encoded_packet, str):
            raise ValueError("unexpected binary data")
        count: int = super().decode(encoded_packet)
        if count > MAX_ATTACHMENTS:
            raise ValueError("too many attachments")
        self._attachment_bytes = 0
        _check(self)
        if self.packet_type in (BINARY_EVENT, BINARY_ACK):
            if count == 0:
                # Complete as it is; the server would wait for attachments.
                self.packet_type -= BINARY_EVENT - EVENT
        elif count:
            raise ValueError("attachments of a packet that has none")
        if not count and (PLACEHOLDER in encoded_packet or "\\u" in encoded_packet):
            restore(self.data, [])
        return count

    def add_attachment(self, attachment: Any) -> bool:
        if not isinstance(attachment, bytes | bytearray):
            raise ValueError("an attachment was expected")
        self._attachment_bytes += len(attachment)
        if self._attachment_bytes > self.max_attachment_bytes:
            raise ValueError("attachments are too large")
        is_complete: bool = super().add_attachment(attachment)
        return is_complete

    @classmethod
    def reconstruct_binary(cls, data: Any, attachments: list[Any]) -> Any:
        return restore(data, attachments)

    @classmethod
    def data_is_binary(cls, data: Any) -> bool:
        pending = [data]
        while pending:
            item = pending.pop()
            if isinstance(item, bytes | bytearray):
                return True
            if isinstance(item, list | tuple):
                pending.extend(item)
            elif isinstance(item, dict):
                pending.extend(item.values())
        return False

    @classmethod
    def deconstruct_binary(cls, data: Any) -> tuple[Any, list[bytes]]:
        attachments: list[bytes] = []
        taken = _take_out(data, attachments, cls.max_sent_attachments)
        excess = len(attachments) - cls.max_sent_attachments
        if excess > 0:
            # Only of a message that was stored under a larger limit.
            logger.warning("%s binary values past max_attachments are sent as null", excess)
            del attachments[-excess:]
        return taken, attachments


def _take_out(value: Any, attachments: list[bytes], limit: int) -> Any:
    """Put placeholders where binary values are, which go into ``attachments``; None past the limit."""
    if isinstance(value, bytes | bytearray):
        attachments.append(bytes(value))
        return {PLACEHOLDER: True, "num": len(attachments) - 1} if len(attachments) <= limit else None
    if isinstance(value, list | tuple):
        return [_take_out(item, attachments, limit) for item in value]
    if isinstance(value, dict):
        return {key: _take_out(item, attachments, limit) for key, item in value.items()}
    return value


def restore(data: Any, attachments: list[Any]) -> Any:
    """Put the attachments where their placeholders are.

    Raises ``ValueError`` unless each is used once: a second use would make a small message large, and a
    placeholder without attachment, sent on, would cut off whoever receives it.
    """
    unused = dict(enumerate(attachments))

    def put_back(value: Any) -> Any:
        if isinstance(value, list):
            return [put_back(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get(PLACEHOLDER):
            number = value.get("num")
            if type(number) is not int or number not in unused:
                raise ValueError("a bad placeholder")
            return unused.pop(number)
        return {key: put_back(item) for key, item in value.items()}

    restored = put_back(data)
    if unused:
        raise ValueError("an attachment without a placeholder")
    return restored


class MsgpackPacket(MsgPackPacket):  # type: ignore[misc]
    """Packets of the msgpack parser, checked."""

    def decode(self, encoded_packet: Any) -> None:
        if not isinstance(encoded_packet, bytes):
            raise ValueError("unexpected text")
        fields = msgpack.unpackb(encoded_packet, ext_hook=_read_extension)
        if not isinstance(fields, dict):
            raise ValueError("a packet is a map")
        self.packet_type = fields.get("type")
        self.data = fields.get("data")
        self.id = fields.get("id")
        self.namespace = fields.get("nsp")
        if type(self.packet_type) is not int or self.packet_type not in (CONNECT, DISCONNECT, EVENT, ACK):
            raise ValueError("a type that clients do not send")
        if not isinstance(self.namespace, str) or not (self.id is None or type(self.id) is int):
            raise ValueError("bad namespace or id")
        _check(self)

    def _to_dict(self) -> dict[str, Any]:
        fields: dict[str, Any] = super()._to_dict()
        if self.data is None:
            # The parser of the JavaScript client refuses a null here.
            del fields["data"]
        return fields


def _read_extension(code: int, data: bytes) -> Any:
    """What the JavaScript parser writes as extensions: undefined, which is null in JSON, and typed arrays.

    A ``Date`` looks like a typed array of 8 bytes. Other extensions would break whoever receives them.
    """
    if code != 0:
        raise ValueError("an unknown extension")
    return None if data == b"\0" else data


def packet_class(serializer: str, max_bytes: int, max_attachments: int = 10) -> type[Any]:
    """The packet class of a server."""
    if serializer == "msgpack":
        return MsgpackPacket

    class SizedJsonPacket(JsonPacket):
        max_attachment_bytes = max_bytes
        max_sent_attachments = max_attachments

    return SizedJsonPacket
