"""What clients send, as bytes made beforehand: WebSocket frames around Engine.IO 3 and 4 packets.

Engine.IO 3 is what Socket.IO 2 speaks, the version that the npm package is built on; Engine.IO 4 is spoken by
all others. Only text frames, no compression, one namespace.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

NAMESPACE = "/chat-service"

#: Any key will do, as long as it costs the server the work of unmasking.
_MASK = b"\x37\xfa\x21\x3d"
_TEXT = 0x81  # the final fragment of a text message

#: Every request has it: a client has one in flight, or does not look at which one an ack is for.
_ACK_ID = 1


def text_frame(text: str) -> bytes:
    """A masked WebSocket frame with a text in it."""
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
    """JSON as JavaScript clients write it: no blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something to send, and how the text begins that has to come then. Either may be empty."""

    send: bytes
    expect: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A version of the protocol."""

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
        # Engine.IO 3 connects the default namespace by itself, and says so.
        opened = b"40" if self.engine == 3 else b"0{"
        return [Step(send=b"", expect=opened), Step(send=connect, expect=confirmed)]

    def request(self, command: str, *args: Any) -> bytes:
        """A frame with a command that wants an ack."""
        return text_frame(f"42{NAMESPACE},{_ACK_ID}{dumps([command, *args])}")

    @property
    def ack_prefix(self) -> bytes:
        """How the ack of a command begins that went well."""
        return f"43{NAMESPACE},{_ACK_ID}[null".encode()

    @staticmethod
    def event_prefix(name: str) -> bytes:
        """How an event of the server begins."""
        return f'42{NAMESPACE},["{name}"'.encode()

    @property
    def pong(self) -> bytes:
        """What a client answers to a ping of the server; the servers of Engine.IO 3 send none."""
        return text_frame("3")


SOCKETIO_2 = Dialect(engine=3)
SOCKETIO_4 = Dialect(engine=4)
