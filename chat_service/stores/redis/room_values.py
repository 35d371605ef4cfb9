"""The values of rooms in the form that scripts take and return them."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgpack

from chat_service.contracts.bus import RoomCursor
from chat_service.contracts.records import HistoryQuery, JoinHistory, Removal
from chat_service.errors import StoreError
from chat_service.protocol.encoded import EncodedMessages, decode_text, encode_text
from chat_service.stores.redis.envelopes import pack
from chat_service.stores.redis.link import Encodable
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName

#: First byte of a packed message. A JSON text starts with a brace instead.
PACKED = b"\x01"

_ID = itemgetter("id")


class RemovedUser(NamedTuple):
    """A user removed from a room, with the sockets that were joined and the tokens of their joins."""

    user: UserName
    sockets: tuple[tuple[SocketId, str], ...]


class Removed(NamedTuple):
    """The users who were removed, and where their sockets are."""

    users: list[RemovedUser]
    removal: Removal | None


def message_form(room: RoomName, message: Message) -> tuple[Encodable, ...]:
    """A message as ``room_message.lua`` expects it."""
    if "id" in message:
        # The store assigns the id.
        message = {name: value for name, value in message.items() if name != "id"}
    text, name = encode_text(message), encode_text(room)
    if text is None or name is None:
        return ("0", pack(message), room)
    # The text that follows the id: a comma and the other fields, if any.
    return ("1", b"," + text[1:] if message else text[1:], name)


def query_arguments(query: HistoryQuery | None) -> tuple[Encodable, ...]:
    """The arguments of ``lib/join_history.lua``; none without a query, which then costs nothing."""
    if query is None:
        return ()
    after = "" if query.after is None else query.after
    return after, query.epoch or "", query.limit, query.recent


def join_history(room: RoomName, read: list[Any]) -> JoinHistory | None:
    if not read:
        return None
    recovered, more, newest_first = read
    messages = stored_messages(room, newest_first[::-1])
    return JoinHistory(recovered=recovered == 1, messages=messages, more=more == 1)


def removed_users(gone: list[list[bytes]], epoch: bytes, seq: int) -> Removed:
    users: list[RemovedUser] = []
    places: dict[InstanceId, list[SocketId]] = {}
    for user, *rest in gone:
        fields = [field.decode() for field in rest]
        sockets = [SocketId(socket) for socket in fields[::3]]
        users.append(RemovedUser(UserName(user.decode()), tuple(zip(sockets, fields[2::3], strict=True))))
        for socket_id, instance in zip(sockets, fields[1::3], strict=True):
            places.setdefault(InstanceId(instance), []).append(socket_id)
    if not users:
        return Removed([], None)
    return Removed(users, Removal(cursor=RoomCursor(epoch=epoch.decode(), seq=seq), sockets=places))


def stored_messages(room: RoomName, stored: list[bytes]) -> Sequence[Message]:
    """Decode stored messages, each as JSON or packed. Raises ``StoreError``."""
    messages = EncodedMessages(stored)
    try:
        # Check that all of it is valid before it goes to clients: Redis holds data that others could change.
        if len(list(map(_ID, messages.as_list()))) == len(stored):
            return messages
    except (ValueError, TypeError, KeyError):
        # Some are packed or corrupt.
        pass
    return [_stored_message(room, item) for item in stored]


def _stored_message(room: RoomName, item: bytes) -> Message:
    """Decode ``{"id":1,…}``, or the byte 1 followed by the packed id and the packed rest."""
    try:
        if item[:1] == PACKED:
            unpacker = msgpack.Unpacker(max_buffer_size=len(item))
            unpacker.feed(item[1:])
            message_id, message = unpacker.unpack(), unpacker.unpack()
            message["id"] = message_id
        else:
            message = decode_text(item)
        _ID(message)
    except Exception as error:
        raise StoreError(f"corrupt message {item!r} in room {room}: {error}") from error
    found: Message = message
    return found


def member_sockets(room: RoomName, packed: bytes) -> list[tuple[str, str, str]]:
    """The sockets of a packed member, with the instance and token of each."""
    try:
        _, *fields = msgpack.unpackb(packed)
        return list(zip(fields[::3], fields[1::3], fields[2::3], strict=True))
    except Exception as error:
        raise StoreError(f"corrupt member in room {room}: {error}") from error
