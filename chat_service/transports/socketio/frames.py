"""WebSocket frames of a server (RFC 6455, section 5): whole messages, neither masked nor compressed."""

TEXT = 0x81
BINARY = 0x82
CLOSE = 0x88
PONG = 0x8A

_SHORT_TEXT = [bytes((TEXT, size)) for size in range(126)]


def text_frame(message: bytes) -> bytes:
    """The frame of a text in UTF-8."""
    size = len(message)
    if size < 126:
        return _SHORT_TEXT[size] + message
    return _header(TEXT, size) + message


def binary_frame(message: bytes) -> bytes:
    return _header(BINARY, len(message)) + message


def close_frame(code: int) -> bytes:
    """``code``: why the connection ends (section 7.4)."""
    return _header(CLOSE, 2) + code.to_bytes(2, "big")


def pong_frame(message: bytes) -> bytes:
    """The answer to a ping with this message, 125 bytes at most."""
    return _header(PONG, len(message)) + message


def _header(kind: int, size: int) -> bytes:
    if size < 126:
        return bytes((kind, size))
    if size < 0x10000:
        return bytes((kind, 126)) + size.to_bytes(2, "big")
    return bytes((kind, 127)) + size.to_bytes(8, "big")
