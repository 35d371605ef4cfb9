"""Engine.IO packets as they are on the wire. Malformed ones raise ``ValueError``, and nothing else.

A packet is a text that begins with the digit of its type, or bytes, which are a message.
"""

import base64
from collections.abc import Iterable, Iterator

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"

#: Between the packets of one body.
SEPARATOR = "\x1e"
#: What a client asks a new WebSocket with, and what the server answers.
PROBE = f"{PING}probe"
PROBED = f"{PONG}probe"
#: Before a message that is bytes, where only text can be sent.
_BINARY = "b"


def read_payload(body: bytes) -> Iterator[str | bytes]:
    """The packets in the body of a request, one after another. The bytes bound their number."""
    if not body:
        return
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ValueError("the body is not UTF-8") from error
    start, end = 0, len(text)
    while start <= end:
        stop = text.find(SEPARATOR, start)
        if stop < 0:
            stop = end
        yield _read_part(text[start:stop])
        start = stop + 1


def _read_part(part: str) -> str | bytes:
    if part.startswith(_BINARY):
        return base64.b64decode(part[1:], validate=True)
    if not part:
        raise ValueError("an empty packet")
    return part


def write_payload(packets: Iterable[str | bytes]) -> bytes:
    """The body of an answer to a poll."""
    return SEPARATOR.join(
        _BINARY + base64.b64encode(packet).decode() if isinstance(packet, bytes) else packet
        for packet in packets
    ).encode()
