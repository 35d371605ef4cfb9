"""The messages of a room in a circular buffer with consecutive ids."""

from collections.abc import Sequence
from itertools import islice
from typing import cast

import msgpack

from chat_service.contracts.records import HistoryQuery, JoinHistory
from chat_service.protocol.encoded import EncodedMessages, decode_text, encode_text
from chat_service.rules import select_history
from chat_service.types import Message

#: The first byte of a JSON text, with which no packed message starts.
_OBJECT = ord("{")


class History:
    """The newest ``max_size`` messages. Ids are 1, 2, 3, … and keep counting if no messages are kept.

    Messages are kept as JSON texts, the form in which most clients receive them: small, encoded once, and
    safe from changes to messages that were returned. Messages with binary values are packed instead.
    """

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self.last_id = 0
        # Encoded messages; once full, a ring with the oldest message at ``_start``.
        self._ring: list[bytes] = []
        self._start = 0
        # Whether a packed message was ever among them.
        self._has_packed = False

    @property
    def size(self) -> int:
        """Number of stored messages."""
        return len(self._ring)

    def append(self, message: Message) -> int:
        """Store a message under the next id. Returns the id."""
        message["id"] = message_id = self.last_id + 1
        if self.max_size:
            encoded = encode_text(message)
            if encoded is None:
                encoded = msgpack.packb(message)
                self._has_packed = True
            if len(self._ring) < self.max_size:
                self._ring.append(encoded)
            else:
                self._ring[self._start] = encoded
                self._start = (self._start + 1) % self.max_size
        self.last_id = message_id
        return message_id

    def after(self, message_id: int, limit: int) -> Sequence[Message]:
        """The oldest ``limit`` messages with a greater id, newest first."""
        skipped = max(message_id - (self.last_id - self.size), 0)
        return self._newest_first(skipped, min(limit, self.size - skipped))

    def recent(self, limit: int) -> Sequence[Message]:
        """The newest ``limit`` messages, newest first."""
        count = min(limit, self.size)
        return self._newest_first(self.size - count, count)

    def read_for_join(self, query: HistoryQuery, epoch: str) -> JoinHistory:
        """The messages that a join in this epoch asks for."""
        is_same = query.epoch is None or query.epoch == epoch
        found = select_history(
            query.after,
            is_same=is_same,
            limit=query.limit,
            recent=query.recent,
            last_id=self.last_id,
            stored=self.size,
        )
        skipped = found.first - (self.last_id - self.size) - 1
        messages = self._decoded(self._oldest_first(skipped, found.last - found.first + 1))
        return JoinHistory(recovered=found.recovered, messages=messages, more=found.more)

    def resize(self, max_size: int) -> None:
        """Set the maximum number of messages, dropping the oldest beyond it."""
        kept = min(max_size, self.size)
        self._ring = self._oldest_first(self.size - kept, kept)
        self._start = 0
        self.max_size = max_size

    def _oldest_first(self, skipped: int, count: int) -> list[bytes]:
        if count <= 0:
            return []
        begin = (self._start + skipped) % len(self._ring)
        messages = self._ring[begin : begin + count]
        messages.extend(islice(self._ring, count - len(messages)))
        return messages

    def _newest_first(self, skipped: int, count: int) -> Sequence[Message]:
        encoded = self._oldest_first(skipped, count)
        encoded.reverse()
        return self._decoded(encoded)

    def _decoded(self, encoded: list[bytes]) -> Sequence[Message]:
        if self._has_packed and any(item[0] != _OBJECT for item in encoded):
            return [_decode(item) for item in encoded]
        return EncodedMessages(encoded)


def _decode(encoded: bytes) -> Message:
    return cast(Message, decode_text(encoded) if encoded[0] == _OBJECT else msgpack.unpackb(encoded))
