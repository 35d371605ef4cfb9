"""Compressed messages (RFC 7692), without state between them, so that one compressed frame serves all."""

import zlib

from chat_service.transports.socketio.engine.framing import BAD_DATA, TOO_LARGE, FrameError

#: Messages with fewer bytes are sent as they are.
THRESHOLD = 1024
#: Cheap rather than small: it runs on the event loop.
LEVEL = 1
#: What the sender of a message leaves away at its end.
_TAIL = b"\x00\x00\xff\xff"

NAME = "permessage-deflate"
#: Neither side keeps a window from one message to the next.
ANSWER = f"{NAME}; server_no_context_takeover; client_no_context_takeover"


def accepts(offered: str) -> bool:
    """Whether ``ANSWER`` is an answer to one of the offers in a header ``Sec-WebSocket-Extensions``."""
    return any(_fits(offer) for offer in offered.split(","))


def _fits(offer: str) -> bool:
    name, *parameters = (part.strip() for part in offer.split(";"))
    if name != NAME:
        return False
    seen: set[str] = set()
    for parameter in parameters:
        key, has_value, value = (part.strip() for part in parameter.partition("="))
        value = value.strip('"')
        if key in seen:
            return False
        seen.add(key)
        if key in ("server_no_context_takeover", "client_no_context_takeover"):
            if has_value:
                return False
        elif key == "client_max_window_bits":
            if has_value and not _is_window(value):
                return False
        elif key == "server_max_window_bits":
            # Frames for a smaller window would have to be made for this client alone.
            if value != "15":
                return False
        else:
            return False
    return True


def _is_window(value: str) -> bool:
    return value.isascii() and value.isdecimal() and value == str(int(value)) and 8 <= int(value) <= 15


def compress(message: bytes) -> bytes:
    """The payload of a compressed frame."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


def decompress(payload: bytes, max_size: int) -> bytes:
    """The message in a compressed frame. Raises ``FrameError`` when it is damaged, or larger than that."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        message = unpacker.decompress(payload + _TAIL, max_size + 1)
    except zlib.error as error:
        raise FrameError(BAD_DATA, "a compressed message is damaged") from error
    if len(message) > max_size:
        raise FrameError(TOO_LARGE, "a compressed message is too large")
    return message
