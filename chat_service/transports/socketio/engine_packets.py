"""Engine.IO packets as they come in: what no honest client sends raises ``ValueError``, and nothing else.

The stock decoder tries every text as JSON, which costs twice and fails in its own ways on deep nesting.
"""

import base64
from collections.abc import Iterator
from typing import Any

from engineio import packet

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


async def read_body(environ: dict[str, Any], max_bytes: int) -> bytes:
    """The body of a request."""
    length = int(environ.get("CONTENT_LENGTH", "0"))
    if length > max_bytes:
        raise ValueError("the body is too large")
    stream, body = environ["wsgi.input"], bytearray()
    try:
        # One read may return less than the whole body.
        while len(body) < length and (part := await stream.read(length - len(body))):
            body += part
    except Exception as error:
        raise ValueError(f"the body does not come: {error!r}") from None
    if len(body) < length:
        raise ValueError("the body is not complete")
    return bytes(body)


def decode_payload(body: bytes) -> Iterator[packet.Packet]:
    """The packets in the body of a polling client, in order. Clients pack by bytes, whatever their number."""
    if body:
        for part in body.decode("utf-8").split(SEPARATOR):
            yield _decode_text(part)


def _decode_text(text: str) -> packet.Packet:
    if text.startswith("b"):
        return packet.Packet(packet.MESSAGE, base64.b64decode(text[1:], validate=True))
    kind = _TYPES.get(text[:1])
    if kind is None:
        raise ValueError("an unknown type of packet")
    return packet.Packet(kind, text[1:])
