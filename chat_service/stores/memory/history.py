"""The messages of a room, limited by number, size and age, and their idempotency keys."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple, cast

import msgpack

from chat_service.contracts.records import HistoryQuery, JoinHistory
from chat_service.protocol.encoded import EncodedMessages, decode_text, encode_text
from chat_service.rules import count_within, select_history
from chat_service.types import Message, UserName

#: The first byte of a JSON text, with which no packed message starts.
_OBJECT = ord("{")
#: Number of places of dropped messages from which on they may be removed.
_DROPPED = 1000


class History:
    """The newest ``max_size`` messages, fewer if they have more than ``max_bytes``, but at least one. Ids are
    1, 2, 3, … and keep counting if no messages are kept. Messages that are ``ttl`` seconds old are dropped.

    Messages are kept as JSON texts, the form in which most clients receive them: small, encoded once, and
    safe from changes to messages that were returned. Messages with binary values are packed instead.
    """

    def __init__(
        self,
        max_size: int,
        max_bytes: int | None = None,
        ttl: float | None = None,
        *,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """``now``: seconds on a clock that never goes back."""
        self.max_size = max_size
        self.max_bytes = max_bytes
        #: The bytes of the stored messages.
        self.bytes = 0
        self.last_id = 0
        # Encoded messages, oldest first. Those before ``_start`` are dropped, and empty.
        self._items: list[bytes] = []
        self._start = 0
        #: None: no message is too old.
        self.ttl = ttl
        self._now = now
        # When each item was stored; empty without ``ttl``.
        self._times: list[float] = []
        # Whether a packed message was ever among them.
        self._has_packed = False

    @property
    def size(self) -> int:
        """Number of stored messages."""
        if self.ttl is not None:
            self.drop_old()
        return len(self._items) - self._start

    def append(self, message: Message) -> int:
        """Store a message under the next id. Returns the id."""
        message["id"] = message_id = self.last_id + 1
        if self.max_size:
            encoded = encode_text(message)
            if encoded is None:
                encoded = msgpack.packb(message)
                self._has_packed = True
            else:
                # A copy, since the encoder's result holds on to its buffer of some KB.
                encoded = encoded[:-1] + b"}"
            self._items.append(encoded)
            self.bytes += len(encoded)
            if self.ttl is not None:
                self._times.append(self._now())
                self.drop_old()
            if len(self._items) - self._start > self.max_size or self.max_bytes is not None:
                self._drop_surplus()
        self.last_id = message_id
        return message_id

    def after(self, message_id: int, limit: int, max_bytes: int | None = None) -> Sequence[Message]:
        """The oldest ``limit`` messages with a greater id, newest first.

        ``max_bytes``: fewer of them if they have more bytes in all, but at least one.
        """
        skipped = max(message_id - (self.last_id - self.size), 0)
        return self._newest_first(_oldest_within(self._oldest_first(skipped, limit), max_bytes))

    def recent(self, limit: int, max_bytes: int | None = None) -> Sequence[Message]:
        """The newest ``limit`` messages, newest first. ``max_bytes``: as for ``after``."""
        # Read once: messages may become too old between two looks.
        size = self.size
        count = min(limit, size)
        return self._newest_first(_newest_within(self._oldest_first(size - count, count), max_bytes))

    def find(self, message_id: int) -> Message | None:
        """The stored message with an id, None if there is none."""
        place = self._place(message_id)
        return None if place is None else _decode(self._items[place])

    def size_of(self, message_id: int) -> int:
        """The bytes of a stored message, 0 if there is none."""
        place = self._place(message_id)
        return 0 if place is None else len(self._items[place])

    def replace(self, message: Message) -> None:
        """Put another message in the place of the one with the same id, if it is stored."""
        place, encoded = self._place(message["id"]), encode_text(message)
        if place is not None:
            if encoded is None:
                encoded, self._has_packed = msgpack.packb(message), True
            self.bytes += len(encoded) - len(self._items[place])
            self._items[place] = encoded

    def _place(self, message_id: int) -> int | None:
        skipped = message_id - 1 - (self.last_id - self.size)
        return self._start + skipped if 0 <= skipped < self.size else None

    def read_for_join(self, query: HistoryQuery, epoch: str) -> JoinHistory:
        """The messages that a join in this epoch asks for."""
        is_same, size = query.epoch is None or query.epoch == epoch, self.size
        found = select_history(
            query.after,
            is_same=is_same,
            limit=query.limit,
            recent=query.recent,
            last_id=self.last_id,
            stored=size,
        )
        count = found.last - found.first + 1
        selected = self._oldest_first(found.first - (self.last_id - size) - 1, count)
        within = (_oldest_within if found.recovered else _newest_within)(selected, query.max_bytes)
        more = found.more or (found.recovered and len(within) < len(selected))
        return JoinHistory(recovered=found.recovered, messages=self._decoded(within), more=more)

    def resize(self, max_size: int) -> None:
        """Set the maximum number of messages, dropping the oldest beyond it."""
        self.max_size = max_size
        self._drop_surplus()

    def limit_bytes(self, max_bytes: int) -> None:
        """Set the maximum number of bytes, dropping the oldest messages beyond it."""
        self.max_bytes = max_bytes
        self._drop_surplus()

    def limit_age(self, ttl: float | None) -> None:
        """Set the age in seconds at which messages are dropped; None: at no age."""
        # Messages that were too old until now do not come back.
        self.drop_old()
        if ttl is None:
            self._times.clear()
        elif self.ttl is None:
            self._times = [self._now()] * len(self._items)
        self.ttl = ttl

    def drop_old(self) -> None:
        """Drop the messages that are too old."""
        if self.ttl is not None:
            items, times, start, limit = self._items, self._times, self._start, self._now() - self.ttl
            while start < len(items) and times[start] <= limit:
                self.bytes -= len(items[start])
                items[start] = b""
                start += 1
            self._start = start
            if start * 2 >= len(items) and (start >= _DROPPED or start == len(items)):
                self._free_places()

    def _drop_surplus(self) -> None:
        items, start = self._items, self._start
        count = len(items) - start
        while count > self.max_size or (
            self.max_bytes is not None and self.bytes > self.max_bytes and count > 1
        ):
            self.bytes -= len(items[start])
            items[start] = b""
            start += 1
            count -= 1
        self._start = start
        if start >= _DROPPED and start * 2 >= len(items):
            self._free_places()

    def _free_places(self) -> None:
        del self._items[: self._start]
        del self._times[: self._start]
        self._start = 0

    def _oldest_first(self, skipped: int, count: int) -> list[bytes]:
        first = self._start + skipped
        return self._items[first : first + count] if count > 0 else []

    def _newest_first(self, encoded: list[bytes]) -> Sequence[Message]:
        encoded.reverse()
        return self._decoded(encoded)

    def _decoded(self, encoded: list[bytes]) -> Sequence[Message]:
        if self._has_packed and any(item[0] != _OBJECT for item in encoded):
            return [_decode(item) for item in encoded]
        return EncodedMessages(encoded)


def _oldest_within(encoded: list[bytes], max_bytes: int | None) -> list[bytes]:
    if max_bytes is None or sum(map(len, encoded)) <= max_bytes:
        return encoded
    return encoded[: count_within(map(len, encoded), max_bytes)]


def _newest_within(encoded: list[bytes], max_bytes: int | None) -> list[bytes]:
    if max_bytes is None or sum(map(len, encoded)) <= max_bytes:
        return encoded
    return encoded[len(encoded) - count_within(map(len, reversed(encoded)), max_bytes) :]


def _decode(encoded: bytes) -> Message:
    return cast(Message, decode_text(encoded) if encoded[0] == _OBJECT else msgpack.unpackb(encoded))


#: The birth of a room, the sender or None, and the key.
Scope = tuple[str, UserName | None, str]


class Sent(NamedTuple):
    """The record of a message that was sent with a key."""

    id: int
    digest: bytes
    #: On the clock of ``SentKeys``.
    expires: float


class SentKeys:
    """The keys of all rooms. Each key costs some hundred bytes until it expires."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        """``now``: seconds on a clock that never goes back."""
        self._now = now
        # In the order of sending, so that expired ones are in front.
        self._sent: OrderedDict[Scope, Sent] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sent)

    def find(self, scope: Scope) -> Sent | None:
        """The message sent with a key; None if the key is unknown or has expired."""
        sent = self._sent.get(scope)
        return sent if sent is not None and sent.expires > self._now() else None

    def remember(self, scope: Scope, message_id: int, digest: bytes, window: float) -> None:
        """Remember a message for ``window`` seconds, and forget what has expired."""
        now = self._now()
        self._forget(now)
        self._sent.pop(scope, None)
        self._sent[scope] = Sent(message_id, digest, now + window)

    def _forget(self, now: float) -> None:
        # A longer window of another service only delays the keys behind it.
        while self._sent:
            oldest = next(iter(self._sent))
            if self._sent[oldest].expires > now:
                return
            del self._sent[oldest]
