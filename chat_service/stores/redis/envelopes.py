"""The binary form of envelopes on the bus. ``lua/lib/bus.lua`` implements the same layout:

    version 1 (1 byte) + [HMAC-SHA1 of channel, NUL and the rest (20 bytes)] + msgpack fields + msgpack body
    version 2 (1 byte) + seal (40 digits) + stamp (16 digits) + msgpack fields + msgpack body

The signature is present only if there is a secret. With one, scripts turn envelopes that nothing else numbers
into version 2, unless ``bus_stamps`` is "none": see ``stamps.py``. The seal is the signature of version,
stamp and what would be the signature in version 1, so a script need not read the whole envelope. It has
hexadecimal digests instead of binary ones, inside and outside, which cost Redis less. The body of a room
event or notification is the list of its arguments. The body of a message is the message without its id, which
only the script knows. For a message without binary values, a JSON array replaces fields and body: epoch, seq,
id, room and the message.
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
    NotifySocket,
    Reply,
    Request,
    RoomEvent,
)
from chat_service.protocol.encoded import decode_text
from chat_service.stores.redis.scripts import UNSIGNED, SigningKeys
from chat_service.types import InstanceId, SocketId, UserName

VERSION: Final = b"\x01"
#: The version of an envelope with a stamp.
STAMPED: Final = b"\x02"
SEAL_SIZE, STAMP_SIZE = 40, 16
SIGNATURE_SIZE: Final = 20
#: Maximum size of an envelope in bytes. Longer ones are dropped unread.
MAX_SIZE: Final = 64 * 1024 * 1024

#: The first byte of a message as JSON, with which no packed fields start.
JSON_START: Final = b"["

#: The kind of an envelope, its first field. Versions that do not know a kind drop it.
ROOM_EVENT, MESSAGE, NOTIFY, DISCONNECT_USER, DISCONNECT_SOCKET, REQUEST, REPLY, APPLICATION_EVENT = range(8)
NOTIFY_SOCKET: Final = 8


class BadEnvelopeError(ValueError):
    """The bytes are not a valid envelope, or not signed with our secret."""


def pack(value: Any) -> bytes:
    """Encode plain data as msgpack."""
    packed: bytes = msgpack.packb(value)
    return packed


class EnvelopeCodec:
    """Encodes and decodes envelopes, signed if ``secret`` is not empty."""

    def __init__(self, secret: bytes, *, has_stamps: bool = False) -> None:
        self._secret = secret
        #: Whether scripts stamp envelopes that nothing else numbers.
        self.has_stamps = has_stamps and bool(secret)
        key = hashlib.sha1(secret, usedforsecurity=False).digest() if len(secret) > 64 else secret
        padded = key.ljust(64, b"\0")
        #: See ``SigningKeys``.
        self.signing: SigningKeys = UNSIGNED
        if secret:
            inner, outer = (bytes(byte ^ pad for byte in padded) for pad in (0x36, 0x5C))
            self.signing = inner, outer, b"1" if has_stamps else b""

    def _sign(self, channel: str, payload: bytes) -> bytes:
        if not self._secret:
            return b""
        return hmac.digest(self._secret, channel.encode() + b"\0" + payload, "sha1")

    def encode(self, channel: str, envelope: Envelope) -> bytes:
        """Encode an envelope for a channel. Only scripts encode room events, and add stamps."""
        payload = _encode(envelope)
        return VERSION + self._sign(channel, payload) + payload

    def decode(self, channel: str, data: bytes) -> Envelope:
        """Decode an envelope from a channel. Safe for untrusted data. Raises ``BadEnvelopeError``."""
        return self.read(channel, data)[0]

    def read(self, channel: str, data: bytes) -> tuple[Envelope, int | None]:
        """``decode`` that also returns the stamp (us), None without one."""
        version = data[:1]
        if len(data) > MAX_SIZE or version not in (VERSION, STAMPED):
            raise BadEnvelopeError("unknown version or too long")
        if version == STAMPED:
            return self._read_stamped(channel, data[1:])
        payload = data[1:]
        if self._secret:
            signature, payload = payload[:SIGNATURE_SIZE], payload[SIGNATURE_SIZE:]
            if not hmac.compare_digest(signature, self._sign(channel, payload)):
                raise BadEnvelopeError("bad signature")
        return _decode_checked(payload), None

    def _read_stamped(self, channel: str, sealed: bytes) -> tuple[Envelope, int]:
        if not self._secret:
            raise BadEnvelopeError("a version with a stamp, but we have no secret")
        seal, rest = sealed[:SEAL_SIZE], sealed[SEAL_SIZE:]
        stamp, payload = rest[:STAMP_SIZE], rest[STAMP_SIZE:]
        if not hmac.compare_digest(seal, self._seal(stamp, self._sign(channel, payload))):
            raise BadEnvelopeError("bad signature")
        return _decode_checked(payload), int(stamp)

    def _seal(self, stamp: bytes, signature: bytes) -> bytes:
        inner, outer, _ = self.signing
        return _sha1_hex(outer + _sha1_hex(inner + STAMPED + stamp + signature))


def _sha1_hex(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()


def decode_room_event(payload: bytes) -> RoomEvent:
    """Decode an event kept in a room, without version and signature. Raises ``BadEnvelopeError``."""
    event = _decode_checked(payload)
    if not isinstance(event, RoomEvent):
        raise BadEnvelopeError("expected a room event")
    return event


def _decode_checked(payload: bytes) -> Envelope:
    try:
        if payload[:1] == JSON_START:
            # What most envelopes are.
            return _json_message(*decode_text(payload))
        return _decode(payload)
    except BadEnvelopeError:
        raise
    except Exception as error:
        raise BadEnvelopeError(f"not an envelope: {error!r}") from error


def _encode(envelope: Envelope) -> bytes:
    match envelope:
        case Notify(event=event, args=args, exclude=exclude):
            return pack([NOTIFY, event, exclude]) + pack(args)
        case NotifySocket(socket_id=socket_id, event=event, args=args):
            return pack([NOTIFY_SOCKET, event, socket_id]) + pack(args)
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
            raise TypeError("only the store's scripts publish room events")


def _decode(payload: bytes) -> Envelope:
    # A list or map cannot have more items than bytes, so a short payload cannot allocate large ones.
    size = len(payload)
    unpacker = msgpack.Unpacker(
        max_buffer_size=MAX_SIZE,
        max_array_len=size,
        max_map_len=size // 2,
        # The hook is not called for timestamps, which are extensions too.
        max_ext_len=0,
        ext_hook=_no_extension,
        strict_map_key=True,
    )
    unpacker.feed(payload)
    kind, *fields = unpacker.unpack()
    decode: Callable[[list[Any], Any], Envelope] = _DECODERS[kind]
    body = unpacker.unpack() if kind in _WITH_BODY else None
    if unpacker.tell() != len(payload):
        raise BadEnvelopeError("extra bytes at the end")
    return decode(fields, body)


def _no_extension(code: int, data: bytes) -> Any:
    raise BadEnvelopeError(f"extension type {code}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadEnvelopeError("expected a text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise BadEnvelopeError("expected a number")
    return value


def _sockets(value: Any) -> tuple[SocketId, ...]:
    return tuple(SocketId(_text(item)) for item in value)


def _args(body: Any) -> tuple[Any, ...]:
    if not isinstance(body, list):
        raise BadEnvelopeError("expected a list")
    return tuple(body)


def _room_event(fields: list[Any], body: Any) -> RoomEvent:
    epoch, seq, last_id, event, exclude, removed, announced, *stayed = fields
    if len(stayed) > 1:
        raise BadEnvelopeError("too many fields")
    return RoomEvent(
        epoch=_text(epoch),
        seq=_number(seq),
        last_message_id=_number(last_id),
        event=_text(event),
        args=_args(body),
        exclude=_sockets(exclude),
        removed={UserName(_text(user)): _sockets(sockets) for user, *sockets in removed},
        announced=tuple(UserName(_text(user)) for user in announced),
        stayed=frozenset(UserName(_text(user)) for user in stayed[0]) if stayed else None,
    )


def _message(fields: list[Any], body: Any) -> RoomEvent:
    epoch, seq, message_id, room = fields
    if not isinstance(body, dict):
        raise BadEnvelopeError("expected a message")
    body["id"] = _number(message_id)
    return RoomEvent(
        epoch=_text(epoch),
        seq=_number(seq),
        last_message_id=message_id,
        event="roomMessage",
        args=(_text(room), body),
    )


def _json_message(epoch: Any, seq: Any, message_id: Any, room: Any, message: Any) -> RoomEvent:
    # A single check, since most envelopes come here. JSON yields exactly these types.
    if not (
        epoch.__class__ is room.__class__ is str
        and seq.__class__ is message_id.__class__ is int
        and seq >= 0 <= message_id
        and message.__class__ is dict
        and message.get("id") == message_id
    ):
        raise BadEnvelopeError("expected a message")
    return RoomEvent(epoch, seq, message_id, "roomMessage", (room, message))


def _notify(fields: list[Any], body: Any) -> Notify:
    event, exclude = fields
    return Notify(event=_text(event), args=_args(body), exclude=_sockets(exclude))


def _notify_socket(fields: list[Any], body: Any) -> NotifySocket:
    event, socket_id = map(_text, fields)
    return NotifySocket(socket_id=SocketId(socket_id), event=event, args=_args(body))


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
    NOTIFY_SOCKET: _notify_socket,
    DISCONNECT_USER: lambda fields, body: DisconnectUser(),
    DISCONNECT_SOCKET: lambda fields, body: DisconnectSocket(socket_id=SocketId(_text(fields[0]))),
    REQUEST: _request,
    REPLY: _reply,
    APPLICATION_EVENT: _application_event,
}
_WITH_BODY = frozenset({ROOM_EVENT, MESSAGE, NOTIFY, NOTIFY_SOCKET, REQUEST, REPLY, APPLICATION_EVENT})
