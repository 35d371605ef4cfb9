"""Envelopes as bytes on the bus: a version, a signature when there is a secret, packed fields, a body.

Lua makes some of them (``lua/lib/bus.lua``), so the layout stands in two places:

    version (1 byte) + [HMAC-SHA1 of channel, NUL and the rest (20 bytes)] + msgpack fields + msgpack body

The body of a room event and of a notification is the list of its arguments; of a message it is the message
without its id, which only the script knew. A message without binary values has a JSON array instead of
fields and body: epoch, seq, id, room and the message.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final

import msgpack

from chat_service.contracts.bus import (
    ApplicationEvent,
    DisconnectSocket,
    DisconnectUser,
    Envelope,
    Notify,
    Reply,
    Request,
    RoomEvent,
)
from chat_service.protocol.encoded import decode_text
from chat_service.types import InstanceId, SocketId, UserName

VERSION: Final = b"\x01"
SIGNATURE_SIZE: Final = 20
#: Bytes of an envelope at most; what is longer is dropped unread.
MAX_SIZE: Final = 64 * 1024 * 1024

#: What a message as JSON begins with, and no list of packed fields.
JSON_START: Final = b"["

#: The first field of an envelope.
ROOM_EVENT, MESSAGE, NOTIFY, DISCONNECT_USER, DISCONNECT_SOCKET, REQUEST, REPLY, APPLICATION_EVENT = range(8)


class BadEnvelopeError(ValueError):
    """Bytes on the bus that are no envelope, or not one of ours."""


def pack(value: Any) -> bytes:
    """Plain data as msgpack."""
    packed: bytes = msgpack.packb(value)
    return packed


class EnvelopeCodec:
    """Encodes and decodes envelopes. ``secret``: signs them, when not empty."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        key = hashlib.sha1(secret, usedforsecurity=False).digest() if len(secret) > 64 else secret
        padded = key.ljust(64, b"\0")
        #: What scripts need to sign: the inner and the outer key of the HMAC, empty without a secret.
        self.inner_key = bytes(byte ^ 0x36 for byte in padded) if secret else b""
        self.outer_key = bytes(byte ^ 0x5C for byte in padded) if secret else b""

    def _sign(self, channel: str, payload: bytes) -> bytes:
        if not self._secret:
            return b""
        return hmac.digest(self._secret, channel.encode() + b"\0" + payload, "sha1")

    def encode(self, channel: str, envelope: Envelope) -> bytes:
        """The bytes of an envelope for a channel. Room events are made by scripts."""
        payload = _encode(envelope)
        return VERSION + self._sign(channel, payload) + payload

    def decode(self, channel: str, data: bytes) -> Envelope:
        """The envelope that came on a channel. Raises ``BadEnvelopeError``; data of anybody is safe here."""
        if len(data) > MAX_SIZE or data[:1] != VERSION:
            raise BadEnvelopeError("unknown version or too long")
        payload = data[1:]
        if self._secret:
            signature, payload = payload[:SIGNATURE_SIZE], payload[SIGNATURE_SIZE:]
            if not hmac.compare_digest(signature, self._sign(channel, payload)):
                raise BadEnvelopeError("bad signature")
        return _decode_checked(payload)


def decode_room_event(payload: bytes) -> RoomEvent:
    """An event that a script kept in the room, without version and signature. Raises ``BadEnvelopeError``."""
    event = _decode_checked(payload)
    if not isinstance(event, RoomEvent):
        raise BadEnvelopeError("an event of a room was expected")
    return event


def _decode_checked(payload: bytes) -> Envelope:
    try:
        return _decode(payload)
    except BadEnvelopeError:
        raise
    except Exception as error:
        raise BadEnvelopeError(f"not an envelope: {error!r}") from error


def _encode(envelope: Envelope) -> bytes:
    match envelope:
        case Notify(event=event, args=args, exclude=exclude):
            return pack([NOTIFY, event, exclude]) + pack(args)
        case DisconnectUser():
            return pack([DISCONNECT_USER])
        case DisconnectSocket(socket_id=socket_id):
            return pack([DISCONNECT_SOCKET, socket_id])
        case Request(id=request_id, reply_to=reply_to, operation=operation, args=args):
            return pack([REQUEST, request_id, reply_to, operation]) + pack(args)
        case Reply(id=request_id, result=result, error=error):
            return pack([REPLY, request_id]) + pack([result, error])
        case ApplicationEvent(event=event, args=args):
            return pack([APPLICATION_EVENT, event]) + pack(args)
        case RoomEvent():
            raise TypeError("room events are published by the store's scripts alone")


def _decode(payload: bytes) -> Envelope:
    if payload[:1] == JSON_START:
        return _json_message(*decode_text(payload))
    # No list or map can have more items than there are bytes: a short payload makes no large ones.
    size = len(payload)
    unpacker = msgpack.Unpacker(
        max_buffer_size=MAX_SIZE,
        max_array_len=size,
        max_map_len=size // 2,
        # Timestamps are extensions that the hook does not see.
        max_ext_len=0,
        ext_hook=_no_extension,
        strict_map_key=True,
    )
    unpacker.feed(payload)
    kind, *fields = unpacker.unpack()
    decode: Callable[[list[Any], Any], Envelope] = _DECODERS[kind]
    body = unpacker.unpack() if kind in _WITH_BODY else None
    if unpacker.tell() != len(payload):
        raise BadEnvelopeError("bytes after the end")
    return decode(fields, body)


def _no_extension(code: int, data: bytes) -> Any:
    raise BadEnvelopeError(f"extension type {code}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadEnvelopeError("text was expected")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise BadEnvelopeError("a number was expected")
    return value


def _sockets(value: Any) -> tuple[SocketId, ...]:
    return tuple(SocketId(_text(item)) for item in value)


def _args(body: Any) -> tuple[Any, ...]:
    if not isinstance(body, list):
        raise BadEnvelopeError("a list was expected")
    return tuple(body)


def _room_event(fields: list[Any], body: Any) -> RoomEvent:
    epoch, seq, last_id, event, exclude, removed, announced = fields
    return RoomEvent(
        epoch=_text(epoch),
        seq=_number(seq),
        last_message_id=_number(last_id),
        event=_text(event),
        args=_args(body),
        exclude=_sockets(exclude),
        removed={UserName(_text(user)): _sockets(sockets) for user, *sockets in removed},
        announced=tuple(UserName(_text(user)) for user in announced),
    )


def _message(fields: list[Any], body: Any) -> RoomEvent:
    epoch, seq, message_id, room = fields
    if not isinstance(body, dict):
        raise BadEnvelopeError("a message was expected")
    body["id"] = _number(message_id)
    return RoomEvent(
        epoch=_text(epoch),
        seq=_number(seq),
        last_message_id=message_id,
        event="roomMessage",
        args=(_text(room), body),
    )


def _json_message(epoch: Any, seq: Any, message_id: Any, room: Any, message: Any) -> RoomEvent:
    # One look at all, since most envelopes come here. JSON gives these very types, and no others.
    if not (
        epoch.__class__ is room.__class__ is str
        and seq.__class__ is message_id.__class__ is int
        and seq >= 0 <= message_id
        and message.__class__ is dict
        and message.get("id") == message_id
    ):
        raise BadEnvelopeError("a message was expected")
    return RoomEvent(epoch, seq, message_id, "roomMessage", (room, message))


def _notify(fields: list[Any], body: Any) -> Notify:
    event, exclude = fields
    return Notify(event=_text(event), args=_args(body), exclude=_sockets(exclude))


def _request(fields: list[Any], body: Any) -> Request:
    request_id, reply_to, operation = map(_text, fields)
    return Request(id=request_id, reply_to=InstanceId(reply_to), operation=operation, args=_args(body))


def _reply(fields: list[Any], body: Any) -> Reply:
    (request_id,) = map(_text, fields)
    result, error = body
    if error is not None:
        code, arguments = error
        error = (_text(code), _args(arguments))
    return Reply(id=request_id, result=result, error=error)


def _application_event(fields: list[Any], body: Any) -> ApplicationEvent:
    (event,) = map(_text, fields)
    return ApplicationEvent(event=event, args=_args(body))


_DECODERS: dict[int, Callable[[list[Any], Any], Envelope]] = {
    ROOM_EVENT: _room_event,
    MESSAGE: _message,
    NOTIFY: _notify,
    DISCONNECT_USER: lambda fields, body: DisconnectUser(),
    DISCONNECT_SOCKET: lambda fields, body: DisconnectSocket(socket_id=SocketId(_text(fields[0]))),
    REQUEST: _request,
    REPLY: _reply,
    APPLICATION_EVENT: _application_event,
}
_WITH_BODY = frozenset({ROOM_EVENT, MESSAGE, NOTIFY, REQUEST, REPLY, APPLICATION_EVENT})
