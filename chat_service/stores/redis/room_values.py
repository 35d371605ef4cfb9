"""The values of rooms in the form that scripts take and return them."""

import hashlib
import io
import logging
import re
import uuid
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import msgpack

from chat_service.contracts.bus import RoomCursor
from chat_service.contracts.records import HistoryQuery, Removal
from chat_service.errors import StoreError
from chat_service.interactions import Folds, Marks, Relation
from chat_service.protocol.encoded import EncodedMessages, decode_text, encode_text
from chat_service.stores.redis.envelopes import pack
from chat_service.stores.redis.link import Encodable
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName

#: First byte of a packed message. A JSON text starts with a brace instead.
PACKED = b"\x01"

_ID = itemgetter("id")

#: Maximum number of corrupt messages that a process logs.
MAX_REPORTS = 100

_TIMESTAMP = re.compile(rb'"timestamp":([0-9]{1,16})(?:,"author":"(?:[^"\\]|\\.)*")?\}\Z', re.DOTALL)
_PACKED_TIMESTAMP = pack("timestamp")

logger = logging.getLogger("chat_service")


def new_epoch() -> str:
    return uuid.uuid4().hex[:16]


class RemovedUser(NamedTuple):
    """A user removed from a room, with the sockets that were joined and the tokens of their joins."""

    user: UserName
    sockets: tuple[tuple[SocketId, str], ...]


class Removed(NamedTuple):
    """The users who were removed, and where their sockets are.

    ``freed``: the user for whose limit the room counts no longer, and the room's birth. ``leaving``: the
    change whose slices tell who was removed, if there are too many for one script.
    """

    users: list[RemovedUser]
    removal: Removal | None
    freed: tuple[UserName, str] | None = None
    leaving: str | None = None


class Cleared(NamedTuple):
    """A slice of the users whom a change removed. ``quiet``: those who may have joined again."""

    users: list[RemovedUser]
    quiet: list[RemovedUser]
    sockets: dict[InstanceId, list[SocketId]]
    #: How many users are left for further slices.
    left: int


class UnfinishedRemovalError(StoreError):
    """A script has changed nothing: it has to wait for the end of the removal ``leaving``."""

    def __init__(self, leaving: str) -> None:
        super().__init__(f"the removal {leaving} is not finished")
        self.leaving = leaving


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


def stored_form(message: Message) -> Encodable:
    """A message as it is stored, under its own id."""
    text = encode_text({"id": message["id"], **message})
    if text is not None:
        return text
    rest = {name: value for name, value in message.items() if name != "id"}
    return PACKED + pack(message["id"]) + pack(rest)


def relation_arguments(actor: UserName | None, relation: Relation | None) -> tuple[Encodable, ...]:
    """The arguments of ``lib/interactions.lua``; none without a relation."""
    if relation is None:
        return ()
    ends: tuple[Encodable, Encodable] = ("", "")
    name = None if actor is None else encode_text(actor)
    if name is not None:
        ends = (b',"author":' + name + b"}", pack("author") + pack(actor))
    return relation.kind, relation.id, relation.reaction, relation.epoch or "", relation.limit, *ends


def query_arguments(query: HistoryQuery | None) -> tuple[Encodable, ...]:
    """The arguments of ``lib/join_history.lua``; none without a query, which then costs nothing."""
    if query is None:
        return ()
    after = "" if query.after is None else query.after
    budget = "" if query.max_bytes is None else query.max_bytes
    return after, query.epoch or "", query.limit, query.recent, budget, "1" if query.fold else "0"


def removed_users(
    removed: tuple[list[list[bytes]], bytes | None],
    epoch: bytes,
    seq: int,
    counted: bytes | None = None,
    birth: bytes | None = None,
) -> Removed:
    freed = None if counted is None or birth is None else (UserName(counted.decode()), birth.decode())
    gone, leaving = removed
    users, places = _gone_users(gone)
    if leaving is None and not users:
        return Removed([], None, freed)
    removal = Removal(cursor=RoomCursor(epoch=epoch.decode(), seq=seq), sockets=places)
    return Removed(users, removal, freed, None if leaving is None else leaving.decode())


def cleared_users(gone: list[list[bytes]], quiet: list[list[bytes]], left: int) -> Cleared:
    users, places = _gone_users(gone)
    return Cleared(users, _gone_users(quiet)[0], places, left)


def _gone_users(gone: list[list[bytes]]) -> tuple[list[RemovedUser], dict[InstanceId, list[SocketId]]]:
    users: list[RemovedUser] = []
    places: dict[InstanceId, list[SocketId]] = {}
    for user, *rest in gone:
        fields = [field.decode() for field in rest]
        sockets = [SocketId(socket) for socket in fields[::3]]
        users.append(RemovedUser(UserName(user.decode()), tuple(zip(sockets, fields[2::3], strict=True))))
        for socket_id, instance in zip(sockets, fields[1::3], strict=True):
            places.setdefault(InstanceId(instance), []).append(socket_id)
    return users, places


class CorruptMessages:
    """Logs stored messages that cannot be read: each once, up to a total number."""

    def __init__(self) -> None:
        self._known: set[tuple[RoomName, bytes]] = set()

    def found(self, room: RoomName, item: bytes, error: Exception) -> None:
        known = (room, hashlib.sha1(item, usedforsecurity=False).digest())
        if known in self._known or len(self._known) >= MAX_REPORTS:
            return
        self._known.add(known)
        more = "" if len(self._known) < MAX_REPORTS else "; further corrupt messages are not logged"
        logger.error(
            "a stored message of room %s is corrupt and left out: %d bytes, %.100r…, %.200r%s",
            room, len(item), bytes(item[:30]), error, more,
        )  # fmt: skip


def stored_messages(room: RoomName, stored: list[bytes], corrupt: CorruptMessages) -> Sequence[Message]:
    """Decode stored messages, each as JSON or packed. Those that cannot be read are left out and logged."""
    messages = EncodedMessages(stored)
    try:
        # Check that all of it is valid before it goes to clients: Redis holds data that others could change.
        types = list(map(type, map(_ID, messages.as_list())))
        if types.count(int) == len(types) == len(stored):
            return messages
    except (ValueError, TypeError, KeyError):
        # Some are packed or corrupt.
        pass
    found: list[Message] = []
    for item in stored:
        try:
            found.append(_stored_message(item))
        except Exception as error:
            corrupt.found(room, item, error)
    return found


def read_folds(
    room: RoomName,
    ids: list[int],
    lists: Sequence[list[bytes | None]],
    last_id: int,
    corrupt: CorruptMessages,
) -> Folds:
    """``lists``: what others say about each of the ids, the reader's own reactions, and the last edits."""
    marks: dict[int, Marks] = {}
    edits: list[bytes] = []
    for message_id, said, own, edit in zip(ids, *lists, strict=True):
        if said is not None:
            marks[message_id] = _marks(room, said, own)
        if edit is not None:
            edits.append(edit)
    found = stored_messages(room, edits, corrupt) if edits else ()
    return Folds(marks, {message["id"]: message for message in found}, last_id)


def _marks(room: RoomName, said: bytes, own: bytes | None) -> Marks:
    try:
        edit, deletion, *reactions = msgpack.unpackb(said)
        given = [] if own is None else msgpack.unpackb(own)
        counts = dict(zip(reactions[::2], reactions[1::2], strict=True))
        return Marks(edit, deletion, counts, dict(zip(given[::2], given[1::2], strict=True)))
    except Exception as error:
        raise StoreError(f"corrupt interactions in room {room}: {error}") from error


def _stored_message(item: bytes) -> Message:
    """Decode ``{"id":1,…}``, or the byte 1 followed by the packed id and the packed rest."""
    if item[:1] == PACKED:
        unpacker = msgpack.Unpacker(max_buffer_size=len(item))
        unpacker.feed(item[1:])
        message_id, message = unpacker.unpack(), unpacker.unpack()
        message["id"] = message_id
    else:
        message = decode_text(item)
    if not isinstance(message, dict) or not isinstance(message["id"], int):
        raise TypeError("expected an object with an id")
    return message


def timestamp_at(end: bytes) -> int | None:
    """The timestamp of a message in ms. ``end``: of the stored message, where only its author follows."""
    found = _TIMESTAMP.search(end)
    if found is not None:
        return int(found[1])
    packed = end.rpartition(_PACKED_TIMESTAMP)[2]
    try:
        at, *author = msgpack.Unpacker(io.BytesIO(packed))
    except (ValueError, msgpack.UnpackException):
        return None
    is_end = not author or (len(author) == 2 and author[0] == "author")
    return at if is_end and isinstance(at, int) else None


def member_sockets(room: RoomName, packed: bytes) -> list[tuple[str, str, str]]:
    """The sockets of a packed member, with the instance and token of each."""
    try:
        _, *fields = msgpack.unpackb(packed)
        return list(zip(fields[::3], fields[1::3], fields[2::3], strict=True))
    except Exception as error:
        raise StoreError(f"corrupt member in room {room}: {error}") from error
