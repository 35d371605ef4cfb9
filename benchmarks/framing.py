"""Prepared client traffic: WebSocket frames of Socket.IO, and of the protocol of centrifuge.

The npm package is built on Socket.IO 2, which uses Engine.IO 3; the other Socket.IO servers use Engine.IO 4.
Text frames only, no compression, one namespace.
"""

import json
from dataclasses import dataclass
from typing import Any, Protocol
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


def _upgrade(port: int, target: str) -> Step:
    """The HTTP request that opens a WebSocket."""
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    return Step(send=("\r\n".join(lines) + "\r\n\r\n").encode(), expect=b"HTTP/1.1 101")


class Dialect(Protocol):
    """What the clients of a server send, and what they get."""

    @property
    def ack_prefix(self) -> bytes:
        """The prefix of the answer to a message that was sent."""
        ...

    @property
    def delivery_prefix(self) -> bytes:
        """The prefix of a room message."""
        ...

    @property
    def ping(self) -> bytes:
        """A ping of the server."""
        ...

    @property
    def pong(self) -> bytes:
        """The frame that answers it."""
        ...

    def handshake(self, port: int, user: str) -> Step:
        """The HTTP request that opens a WebSocket."""
        ...

    def login(self) -> list[Step]:
        """From the opened WebSocket to the confirmed login."""
        ...

    def join(self, room: str) -> Step:
        """Join a room."""
        ...

    def request(self, command: str, *args: Any) -> bytes:
        """A frame with a command that requests an answer. Every server has ``roomMessage(room, message)``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketIO:
    """Socket.IO with the commands and events of chat-service."""

    #: Version of Engine.IO: 3 or 4.
    engine: int
    #: Engine.IO 3 servers send none.
    ping: bytes = b"2"

    def handshake(self, port: int, user: str) -> Step:
        return _upgrade(port, f"/socket.io/?EIO={self.engine}&transport=websocket&userName={quote(user)}")

    def login(self) -> list[Step]:
        confirmed = self.event_prefix("loginConfirmed")
        connect = text_frame(f"40{NAMESPACE}" if self.engine == 3 else f"40{NAMESPACE},")
        # Engine.IO 3 connects the default namespace automatically and reports it.
        opened = b"40" if self.engine == 3 else b"0{"
        return [Step(send=b"", expect=opened), Step(send=connect, expect=confirmed)]

    def join(self, room: str) -> Step:
        return Step(send=self.request("roomJoin", room), expect=self.ack_prefix)

    def request(self, command: str, *args: Any) -> bytes:
        return text_frame(f"42{NAMESPACE},{_ACK_ID}{dumps([command, *args])}")

    @property
    def ack_prefix(self) -> bytes:
        return f"43{NAMESPACE},{_ACK_ID}[null".encode()

    @staticmethod
    def event_prefix(name: str) -> bytes:
        """The prefix of an event from the server."""
        return f'42{NAMESPACE},["{name}"'.encode()

    @property
    def delivery_prefix(self) -> bytes:
        return self.event_prefix("roomMessage")

    @property
    def pong(self) -> bytes:
        return text_frame("3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Centrifuge:
    """The JSON protocol of centrifuge, whose channels are rooms."""

    ack_prefix: bytes = b'{"id":1,"publish"'
    delivery_prefix: bytes = b'{"push"'
    ping: bytes = b"{}"

    @property
    def pong(self) -> bytes:
        return text_frame("{}")

    def handshake(self, port: int, user: str) -> Step:
        return _upgrade(port, f"/connection/websocket?userName={quote(user)}")

    def login(self) -> list[Step]:
        return [self._step("connect", {})]

    def join(self, room: str) -> Step:
        return self._step("subscribe", {"channel": room})

    def request(self, command: str, *args: Any) -> bytes:
        if command != "roomMessage":
            raise ValueError(f"centrifuge does not know {command}")
        room, message = args
        return self._frame("publish", {"channel": room, "data": message})

    def _step(self, method: str, arguments: dict[str, Any]) -> Step:
        return Step(send=self._frame(method, arguments), expect=f'{{"id":{_ACK_ID},"{method}"'.encode())

    @staticmethod
    def _frame(method: str, arguments: dict[str, Any]) -> bytes:
        return text_frame(dumps({"id": _ACK_ID, method: arguments}))


SOCKETIO_2 = SocketIO(engine=3)
SOCKETIO_4 = SocketIO(engine=4)
CENTRIFUGE = Centrifuge()
