"""Socket.IO packets that refuse invalid or excessive content."""

import json
import logging
import re
from typing import Any

import msgpack
import orjson
from socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, CONNECT, DISCONNECT, EVENT, Packet

from chat_service.protocol.encoded import EncodedMessages
from chat_service.protocol.values import PLACEHOLDER, has_more_values

logger = logging.getLogger("chat_service")

#: Maximum number of binary values in an incoming message.
MAX_ATTACHMENTS = 256
#: Maximum number of values in an incoming packet, unless a server sets its own (``max_message_values``).
MAX_VALUES = 25_000
#: Type, number of attachments, namespace with anything after a question mark, and id.
_START = re.compile(r"([0-6])(?:([0-9]{1,10})-)?(?:(/[^,?]*)(?:\?[^,]*)?(?:,|$))?([0-9]{1,100}(?![0-9]))?")


class StrictJson:
    """JSON according to RFC 8259: without NaN and infinities, in both directions."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return _encoder.encode(value)

    @staticmethod
    def loads(text: str, **_: Any) -> Any:
        return strict_decoder.decode(text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
strict_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def encoded_before(value: Any) -> orjson.Fragment:
    """The default of ``orjson.dumps`` for the data of packets: ``EncodedMessages`` are written as they are.

    orjson raises ``TypeError`` for binary values and others that need the packets of the library. The data
    has been checked (``is_clean_value``), so it contains no NaN, which orjson would write as null.
    """
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


class CheckedPacket(Packet):  # type: ignore[misc]
    """A packet, with the interface that the library's server uses."""

    #: Maximum number of values in an incoming packet; set per server.
    max_values = MAX_VALUES

    def __init__(
        self,
        packet_type: int = EVENT,
        data: Any = None,
        namespace: str | None = None,
        id: int | None = None,
        binary: bool | None = None,
        encoded_packet: str | bytes | None = None,
    ) -> None:
        # Without the stock method, which searches for binary values recursively.
        self.packet_type: Any = packet_type
        self.data = data
        self.namespace = namespace
        self.id = id
        #: Number of attachments that follow it.
        self.attachment_count = 0
        if encoded_packet is not None:
            self.attachment_count = self.decode(encoded_packet) or 0
        elif self.uses_binary_events and packet_type in (EVENT, ACK) and has_binary(data):
            self.packet_type += BINARY_EVENT - EVENT


class JsonPacket(CheckedPacket):
    """The default packet of the protocol."""

    json = StrictJson
    #: Maximum total size in bytes of a packet's attachments; set per server.
    max_attachment_bytes = 1_000_000
    #: Maximum number of attachments of an outgoing packet; set per server.
    max_sent_attachments = 10

    def encode(self) -> str | list[str | bytes]:
        """The text, or a list of the text and its attachments."""
        if self.packet_type not in (BINARY_EVENT, BINARY_ACK):
            return self._text("", self.data)
        attachments: list[str | bytes] = []
        data = _take_out(self.data, attachments, self.max_sent_attachments)
        excess = len(attachments) - self.max_sent_attachments
        if excess > 0:
            # Only for a message that was stored under a higher limit.
            logger.warning("%s binary values past max_attachments are sent as null", excess)
            del attachments[-excess:]
        return [self._text(f"{len(attachments)}-", data), *attachments]

    def _text(self, count: str, data: Any) -> str:
        name = "" if self.namespace in (None, "/") else f"{self.namespace},"
        number = "" if self.id is None else self.id
        rest = "" if data is None else StrictJson.dumps(data)
        return f"{self.packet_type}{count}{name}{number}{rest}"

    def decode(self, encoded_packet: Any) -> int:
        """Parse a text, and return the number of its attachments. Raises ``ValueError``."""
        if not isinstance(encoded_packet, str):
            raise ValueError("unexpected binary data")
        start = _START.match(encoded_packet)
        if start is None:
            raise ValueError("an unknown type of packet")
        self.packet_type, count = int(start[1]), int(start[2] or 0)
        self.namespace = start[3]
        self.id = None if start[4] is None else int(start[4])
        if has_more_values(encoded_packet, self.max_values):
            raise ValueError("too many values")
        rest = encoded_packet[start.end() :]
        self.data = StrictJson.loads(rest) if rest else None
        if count > MAX_ATTACHMENTS:
            raise ValueError("too many attachments")
        _check(self)
        if self.packet_type in (BINARY_EVENT, BINARY_ACK):
            if count == 0:
                # Already complete; the server would wait for attachments.
                self.packet_type -= BINARY_EVENT - EVENT
        elif count:
            raise ValueError("attachments of a packet that has none")
        if not count and (PLACEHOLDER in encoded_packet or "\\u" in encoded_packet):
            restore(self.data, [])
        self._attachments: list[bytes] = []
        self._attachment_bytes = 0
        return count

    def add_attachment(self, attachment: Any) -> bool:
        """Add an attachment, and return whether the packet is complete. Raises ``ValueError``."""
        if not isinstance(attachment, bytes | bytearray):
            raise ValueError("an attachment was expected")
        self._attachment_bytes += len(attachment)
        if self._attachment_bytes > self.max_attachment_bytes:
            raise ValueError("attachments are too large")
        self._attachments.append(bytes(attachment))
        if len(self._attachments) < self.attachment_count:
            return False
        self.data = restore(self.data, self._attachments)
        return True


def has_binary(data: Any) -> bool:
    """Whether the data of a packet contains binary values."""
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


def _take_out(value: Any, attachments: list[str | bytes], limit: int) -> Any:
    """Replace binary values by placeholders, and append them to ``attachments``, or None beyond the limit."""
    if isinstance(value, bytes | bytearray):
        attachments.append(bytes(value))
        return {PLACEHOLDER: True, "num": len(attachments) - 1} if len(attachments) <= limit else None
    if isinstance(value, list | tuple):
        return [_take_out(item, attachments, limit) for item in value]
    if isinstance(value, dict):
        return {key: _take_out(item, attachments, limit) for key, item in value.items()}
    return value


def restore(data: Any, attachments: list[Any]) -> Any:
    """Replace placeholders by their attachments.

    Raises ``ValueError`` unless each is used exactly once. A second use would make a small message large. A
    placeholder without an attachment would, if sent on, disconnect the recipients.
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


class MsgpackPacket(CheckedPacket):
    """Packets of the msgpack parser."""

    uses_binary_events = False

    def encode(self) -> bytes:
        """The whole packet."""
        fields = {"type": self.packet_type, "nsp": self.namespace}
        # The parser of the JavaScript client refuses null for both.
        if self.data is not None:
            fields["data"] = self.data
        if self.id is not None:
            fields["id"] = self.id
        packed: bytes = msgpack.packb(fields)
        return packed

    def decode(self, encoded_packet: Any) -> int:
        """Parse a packet. Raises ``ValueError`` and the errors of msgpack."""
        if not isinstance(encoded_packet, bytes):
            raise ValueError("unexpected text")
        fields = _unpack(encoded_packet, self.max_values)
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
        return 0


def _unpack(packed: bytes, limit: int) -> Any:
    """Decode msgpack. Raises ``ValueError`` if it contains more values than ``limit``."""
    if len(packed) <= limit:
        return msgpack.unpackb(packed, ext_hook=_read_extension)
    # The fields of the packet beside the data are none of them.
    most = left = limit + 3

    def count(found: Any) -> Any:
        nonlocal left
        left -= len(found) or 1
        if left < 0:
            raise ValueError("too many values")
        return found

    return msgpack.unpackb(
        packed,
        ext_hook=_read_extension,
        list_hook=count,
        object_hook=count,
        max_array_len=most,
        max_map_len=most,
    )


def _read_extension(code: int, data: bytes) -> Any:
    """Decode extensions of the JavaScript parser: undefined, which is null in JSON, and typed arrays.

    A ``Date`` looks like a typed array of 8 bytes. Other extensions would disconnect the recipients.
    """
    if code != 0:
        raise ValueError("an unknown extension")
    return None if data == b"\0" else data


def packet_class(
    serializer: str, max_bytes: int, most_values: int = MAX_VALUES, max_attachments: int = 10
) -> type[Any]:
    """The packet class of a server."""
    if serializer == "msgpack":

        class SizedMsgpackPacket(MsgpackPacket):
            max_values = most_values

        return SizedMsgpackPacket

    class SizedJsonPacket(JsonPacket):
        max_values = most_values
        max_attachment_bytes = max_bytes
        max_sent_attachments = max_attachments

    return SizedJsonPacket
