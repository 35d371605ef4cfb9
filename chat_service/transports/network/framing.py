"""WebSocket frames (RFC 6455, section 5) and compressed messages (RFC 7692).

Encodes a server's frames and decodes those of clients. Compression keeps no state between messages, so
one compressed frame serves all clients.
"""

import zlib
from collections.abc import Callable

from chat_service.transports.borrowed import mask

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
_FINAL, _COMPRESSED, _RESERVED = 0x80, 0x40, 0x30

#: Close codes (section 7.4.1).
NORMAL_CLOSURE, PROTOCOL_ERROR, NO_CODE, BAD_DATA, TOO_LARGE = 1000, 1002, 1005, 1007, 1009

_SHORT_TEXT = [bytes((_FINAL | TEXT, size)) for size in range(126)]
_LONG_TEXT = bytes((_FINAL | TEXT, 126))
NOT_UTF8 = "a text is not UTF-8"
#: Maximum payload of a control frame in bytes.
_MAX_CONTROL = 125

#: The kind of a message and its content: text, bytes, or a close code.
Message = tuple[int, str | bytes | int]
#: Decompresses a payload into a message of up to this number of bytes.
Decompress = Callable[[bytes, int], bytes]


class FrameError(Exception):
    """A client has violated the protocol. ``code``: the close code for the connection."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


# Encoding


def text_frame(message: bytes) -> bytes:
    """The frame of a text in UTF-8."""
    size = len(message)
    if size < 126:
        return _SHORT_TEXT[size] + message
    if size < 0x10000:
        return _LONG_TEXT + size.to_bytes(2, "big") + message
    return _head(_FINAL | TEXT, size) + message


def binary_frame(message: bytes) -> bytes:
    """The frame of a binary message."""
    return _head(_FINAL | BINARY, len(message)) + message


def compressed_frame(kind: int, payload: bytes) -> bytes:
    """The frame of a text or binary message that is already compressed."""
    return _head(_FINAL | _COMPRESSED | kind, len(payload)) + payload


def close_frame(code: int) -> bytes:
    """The close frame (section 7.4)."""
    return _head(_FINAL | CLOSE, 2) + code.to_bytes(2, "big")


def pong_frame(message: bytes) -> bytes:
    """The pong for a ping with this payload."""
    return _head(_FINAL | PONG, len(message)) + message


def ping_frame() -> bytes:
    """A ping without a payload."""
    return _head(_FINAL | PING, 0)


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 0x10000:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


# Decoding


def unmask(data: bytes | bytearray, key: bytes | bytearray) -> bytes:
    """Apply the mask of a client's frame."""
    payload = bytearray(data)
    mask(bytes(key), payload)
    return bytes(payload)


class FrameReader:
    """Decodes messages from the bytes that a client sends. Feed it, then take messages until there are
    none.

    After a ``FrameError`` it cannot be used any longer.
    """

    __slots__ = ("_data", "_decompress", "_kind", "_max_size", "_needed", "_parts", "_start")

    def __init__(self, max_size: int, decompress: Decompress | None = None) -> None:
        """``max_size``: maximum size of a message. ``decompress``: set if clients may send compressed
        messages.
        """
        self._max_size = max_size
        self._decompress = decompress
        #: Received bytes; those from ``_start`` on have not been decoded yet.
        self._data: bytes | bytearray = b""
        self._start = 0
        #: Number of bytes that the next frame needs, as far as known.
        self._needed = 2
        #: Kind and beginning of a fragmented message.
        self._kind = 0
        self._parts: bytearray | None = None

    @property
    def unread(self) -> int:
        """Number of bytes that are not decoded yet."""
        return len(self._data) - self._start

    def single(self, data: bytes) -> str | None:
        """The message in data that is exactly one text frame, the most common case.

        None for all other data, and if earlier bytes are waiting: then use ``feed``.
        """
        size = len(data)
        if size < 6 or data[0] != 0x81 or self._start != len(self._data) or self._parts is not None:
            return None
        length, begin = data[1] - 0x80, 6
        if length == 126 and size >= 8:
            length, begin = (data[2] << 8) | data[3], 8
        if length != size - begin or length > self._max_size:
            return None
        payload = bytearray(data)
        del payload[:begin]
        mask(data[begin - 4 : begin], payload)
        try:
            return payload.decode()
        except UnicodeDecodeError as error:
            raise FrameError(BAD_DATA, NOT_UTF8) from error

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        left = len(self._data) - self._start
        if not left:
            self._data = data
        elif isinstance(self._data, bytearray):
            if self._start:
                del self._data[: self._start]
            self._data += data
        else:
            self._data = bytearray(self._data[self._start :])
            self._data += data
        self._start = 0

    def take(self) -> Message | None:
        """The next message, or None if it is incomplete. Raises ``FrameError``."""
        while True:
            data, start = self._data, self._start
            have = len(data) - start
            if have < self._needed:
                return None
            first, second = data[start], data[start + 1]
            if second < 0x80:
                raise FrameError(PROTOCOL_ERROR, "a frame without a mask")
            size, head = second & 0x7F, start + 2
            if size > 125:
                width = 2 if size == 126 else 8
                if have < 2 + width:
                    self._needed = 2 + width
                    return None
                size = int.from_bytes(data[head : head + width], "big")
                head += width
            if size > self._max_size:
                raise FrameError(TOO_LARGE, "a frame is too large")
            begin = head + 4
            end = begin + size
            if end > len(data):
                # Without waiting for the rest, which may never come.
                self._check_head(first)
                if first & 0x08 and size > _MAX_CONTROL:
                    raise FrameError(PROTOCOL_ERROR, "a control frame is too large")
                self._needed = end - start
                return None
            self._start, self._needed = end, 2
            payload = unmask(data[begin:end], data[head:begin])
            # A complete text, the most common case.
            if first == 0x81 and self._parts is None:
                return TEXT, _decode(payload)
            message = self._take_frame(first, payload)
            if message is not None:
                return message

    def _check_head(self, first: int) -> None:
        """Raise ``FrameError`` for the first byte of a frame that clients must not send."""
        kind = first & 0x0F
        may_be_compressed = self._decompress is not None and kind in (TEXT, BINARY)
        if first & _RESERVED or (first & _COMPRESSED and not may_be_compressed):
            raise FrameError(PROTOCOL_ERROR, "reserved bits are set")
        if kind & 0x08:
            if kind not in (CLOSE, PING, PONG):
                raise FrameError(PROTOCOL_ERROR, "an unknown kind of control frame")
            if not first & _FINAL:
                raise FrameError(PROTOCOL_ERROR, "a control frame in fragments")
        elif kind == _CONTINUATION:
            if self._parts is None:
                raise FrameError(PROTOCOL_ERROR, "a continuation of nothing")
        elif kind not in (TEXT, BINARY):
            raise FrameError(PROTOCOL_ERROR, "an unknown kind of frame")
        elif self._parts is not None:
            raise FrameError(PROTOCOL_ERROR, "a message inside a message")

    def _take_frame(self, first: int, payload: bytes) -> Message | None:
        self._check_head(first)
        kind = first & 0x0F
        if kind & 0x08:
            return _control(kind, payload)
        if kind != _CONTINUATION:
            self._kind = first & (_COMPRESSED | 0x0F)
        if self._parts is not None:
            if len(self._parts) + len(payload) > self._max_size:
                raise FrameError(TOO_LARGE, "a message is too large")
            self._parts += payload
        elif not first & _FINAL:
            self._parts = bytearray(payload)
        if not first & _FINAL:
            return None
        if self._parts is not None:
            payload, self._parts = bytes(self._parts), None
        return self._message(payload)

    def _message(self, payload: bytes) -> Message:
        if self._kind & _COMPRESSED and self._decompress is not None:
            payload = self._decompress(payload, self._max_size)
        if self._kind & 0x0F == TEXT:
            return TEXT, _decode(payload)
        return BINARY, payload


def _decode(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise FrameError(BAD_DATA, NOT_UTF8) from error


def _control(kind: int, payload: bytes) -> Message:
    if len(payload) > _MAX_CONTROL:
        raise FrameError(PROTOCOL_ERROR, "a control frame is too large")
    if kind != CLOSE:
        return kind, payload
    if not payload:
        return CLOSE, NO_CODE
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not _may_be_sent(code):
        raise FrameError(PROTOCOL_ERROR, "a close with a bad code")
    _decode(payload[2:])
    return CLOSE, code


def _may_be_sent(code: int) -> bool:
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


#: Smaller messages are sent uncompressed.
MIN_COMPRESSED_SIZE = 1024
#: Fast rather than small, because it runs on the event loop.
_LEVEL = 1
#: The bytes that the sender of a message omits at its end.
_DEFLATE_TAIL = b"\x00\x00\xff\xff"

_DEFLATE = "permessage-deflate"
#: Neither side keeps a window from one message to the next.
DEFLATE_ANSWER = f"{_DEFLATE}; server_no_context_takeover; client_no_context_takeover"


def accepts_deflate(offered: str) -> bool:
    """Whether ``DEFLATE_ANSWER`` answers one of the offers in a header ``Sec-WebSocket-Extensions``."""
    return any(_fits(offer) for offer in offered.split(","))


def _fits(offer: str) -> bool:
    name, *parameters = (part.strip() for part in offer.split(";"))
    if name != _DEFLATE:
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
            # A smaller window would require separate frames for this client.
            if value != "15":
                return False
        else:
            return False
    return True


def _is_window(value: str) -> bool:
    return value.isascii() and value.isdecimal() and value == str(int(value)) and 8 <= int(value) <= 15


def compress(message: bytes) -> bytes:
    """The payload of a compressed frame."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH))[: -len(_DEFLATE_TAIL)]


def decompress(payload: bytes, max_size: int) -> bytes:
    """The message in a compressed frame. Raises ``FrameError`` if it is damaged or too large."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        message = unpacker.decompress(payload + _DEFLATE_TAIL, max_size + 1)
    except zlib.error as error:
        raise FrameError(BAD_DATA, "a compressed message is damaged") from error
    if len(message) > max_size:
        raise FrameError(TOO_LARGE, "a compressed message is too large")
    return message
