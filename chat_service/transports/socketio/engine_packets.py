"""Engine.IO packets as they come in: what no honest client sends raises ``ValueError``, and nothing else.

The stock decoder tries every text as JSON, which costs twice and fails in its own ways on deep nesting.
"""

import base64

from engineio import packet

#: Packets in one body of a polling client at most. Clients pack what waited during one round trip.
MAX_PACKETS = 1000
SEPARATOR = "\x1e"

_TYPES = {str(number): number for number in range(packet.OPEN, packet.NOOP + 1)}


def decode_packet(data: str | bytes | bytearray, max_bytes: int) -> packet.Packet:
    """The packet in one WebSocket message. ``max_bytes``: of the message at most."""
    if len(data) > max_bytes:
        raise ValueError("the packet is too large")
    if isinstance(data, str):
        return _decode_text(data)
    # An attachment, which may be empty.
    return packet.Packet(packet.MESSAGE, bytes(data))


def decode_payload(body: bytes) -> list[packet.Packet]:
    """The packets in the body of a polling client, in order."""
    if not body:
        return []
    parts = body.decode("utf-8").split(SEPARATOR)
    if len(parts) > MAX_PACKETS:
        raise ValueError("too many packets in one body")
    return [_decode_text(part) for part in parts]


def _decode_text(text: str) -> packet.Packet:
    if text.startswith("b"):
        return packet.Packet(packet.MESSAGE, base64.b64decode(text[1:], validate=True))
    kind = _TYPES.get(text[:1])
    if kind is None:
        raise ValueError("an unknown type of packet")
    return packet.Packet(kind, text[1:])
