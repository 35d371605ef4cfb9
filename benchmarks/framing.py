"""Prepared client traffic: WebSocket frames with Engine.IO 3 and 4 packets.

The npm package is built on Socket.IO 2, which uses Engine.IO 3; all other servers use Engine.IO 4. Text
frames only, no compression, one namespace.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

NAMESPACE = "/chat-service"

#: Any nonzero key makes the server do the work of unmasking.
_MASK = b"\x37\xfa\x21\x3d"
_TEXT = 0x81  # the final fragment of a text message

#: The same for all requests: a client has one in flight or does not match acks.
_ACK_ID = 1


def text_frame(text: str) -> bytes:
    """A masked WebSocket text frame."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        head = bytes([_TEXT, 0x80 | size])
    elif size < 2**16:
        head = bytes([_TEXT, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([_TEXT, 0x80 | 127]) + size.to_bytes(8, "big")
    mask = (_MASK * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + _MASK + masked.to_bytes(size, "big")


def dumps(value: Any) -> str:
    """JSON without spaces, as JavaScript clients write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A text to send, and the prefix of the expected response. Either may be empty."""

    send: bytes
    expect: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A protocol version."""

    #: Version of Engine.IO: 3 or 4.
    engine: int

    def handshake(self, port: int, user: str) -> Step:
        """The HTTP request that opens a WebSocket."""
        query = f"EIO={self.engine}&transport=websocket&userName={quote(user)}"
        lines = (
            f"GET /socket.io/?{query} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        return Step(send=("\r\n".join(lines) + "\r\n\r\n").encode(), expect=b"HTTP/1.1 101")

    def login(self) -> list[Step]:
        """From the opened WebSocket to the confirmed login."""
        confirmed = self.event_prefix("loginConfirmed")
        connect = text_frame(f"40{NAMESPACE}" if self.engine == 3 else f"40{NAMESPACE},")
        # Engine.IO 3 connects the default namespace automatically and reports it.
        opened = b"40" if self.engine == 3 else b"0{"
        return [Step(send=b"", expect=opened), Step(send=connect, expect=confirmed)]

    def request(self, command: str, *args: Any) -> bytes:
        """A frame with a command that requests an ack."""
        return text_frame(f"42{NAMESPACE},{_ACK_ID}{dumps([command, *args])}")

    @property
    def ack_prefix(self) -> bytes:
        """The prefix of the ack of a successful command."""
        return f"43{NAMESPACE},{_ACK_ID}[null".encode()

    @staticmethod
    def event_prefix(name: str) -> bytes:
        """The prefix of an event from the server."""
        return f'42{NAMESPACE},["{name}"'.encode()

    @property
    def pong(self) -> bytes:
        """A client's response to a server ping; Engine.IO 3 servers send none."""
        return text_frame("3")


SOCKETIO_2 = Dialect(engine=3)
SOCKETIO_4 = Dialect(engine=4)
