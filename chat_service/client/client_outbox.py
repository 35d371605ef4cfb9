"""The outbox: keeps messages until the server has acknowledged or refused them, and stores each once."""

import asyncio
import sqlite3
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from chat_service.client.client_errors import OutboxError, OutcomeUnknownError
from chat_service.errors import ChatServiceError
from chat_service.types import Message

#: Errors that refuse the message itself, whenever it is sent. Others say nothing about an earlier attempt.
FINAL = frozenset({"badArgument", "idempotencyConflict"})

_TABLE = """create table if not exists outbox (
    position integer primary key, key text unique, room text, message blob, sent_at real)"""


@dataclass(slots=True, eq=False)
class Entry:
    """A message that is not acknowledged yet."""

    room: str
    message: Message
    key: str
    #: Further options of the command.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Wall clock time in seconds of the first attempt, None before it.
    sent_at: float | None = None
    #: Whether an earlier program has left it in the file.
    is_restored: bool = False
    #: Resolves with the id of the message, or with its error.
    outcome: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __repr__(self) -> str:
        return f"<Entry {self.key} for {self.room}>"

    def fail(self, error: Exception) -> None:
        """Fail with an error, unless the entry is already resolved."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            # Nobody may be waiting for it.
            self.outcome.exception()


def _unpacked(packed: bytes, key: str) -> tuple[Message, str, Mapping[str, Any]]:
    """The message, its key and its options."""
    found = msgpack.unpackb(packed)
    message, options = found if isinstance(found, list) else (found, {})
    return message, key, options


class Storage:
    """The file of an outbox. Only one program may use it at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = sqlite3.connect(path, isolation_level=None, timeout=0)
            self._file.execute("pragma locking_mode = exclusive")
            self._file.execute("begin exclusive")
            self._file.execute(_TABLE)
            self._file.execute("commit")
        except sqlite3.Error as error:
            raise OutboxError(f"the outbox {path} cannot be used: {error}") from error

    def read(self) -> list[Entry]:
        rows = self._run("select key, room, message, sent_at from outbox order by position")
        return [
            Entry(room, *_unpacked(packed, key), sent_at, is_restored=True)
            for key, room, packed, sent_at in rows
        ]

    def add(self, entry: Entry) -> None:
        # An earlier version reads messages without options.
        packed = msgpack.packb([entry.message, dict(entry.options)] if entry.options else entry.message)
        self._run("insert into outbox (key, room, message) values (?, ?, ?)", entry.key, entry.room, packed)

    def mark(self, entry: Entry) -> None:
        """Record when the entry was first sent, if it was sent."""
        self._run("update outbox set sent_at = ? where key = ?", entry.sent_at, entry.key)

    def remove(self, entry: Entry) -> None:
        self._run("delete from outbox where key = ?", entry.key)

    def close(self) -> None:
        self._file.close()

    def _run(self, statement: str, *values: Any) -> list[Any]:
        try:
            return self._file.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise OutboxError(f"the outbox {self._path} cannot be used: {error}") from error


class Outbox:
    """Queues of messages by room. Decides what to send next; ``ChatClient`` sends it."""

    def __init__(self, *, limit: int, max_age: float, path: Path | None = None) -> None:
        """``limit``: maximum number of entries. ``max_age``: how long an entry is retried after its first
        attempt, in seconds.
        """
        self._limit = limit
        self._max_age = max_age
        self._queues: dict[str, deque[Entry]] = {}
        self._keys: set[str] = set()
        self._storage = None if path is None else Storage(path)
        for entry in () if self._storage is None else self._storage.read():
            self._append(entry)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Entry]:
        for queue in self._queues.values():
            yield from queue

    def rooms(self) -> list[str]:
        """The rooms with waiting entries."""
        return list(self._queues)

    def add(
        self, room: str, message: Mapping[str, Any], key: str | None, options: Mapping[str, Any]
    ) -> Entry:
        """Put a message at the end of its room's queue. Raises ``OutboxError`` if the outbox is full."""
        if len(self) >= self._limit:
            raise OutboxError(f"the outbox is full: {self._limit} messages are not acknowledged yet")
        entry = Entry(room, dict(message), uuid.uuid4().hex if key is None else key, options)
        if entry.key in self._keys:
            raise OutboxError(f"a message with the key {entry.key} is in the outbox already")
        if self._storage is not None:
            self._storage.add(entry)
        self._append(entry)
        return entry

    def _append(self, entry: Entry) -> None:
        self._keys.add(entry.key)
        self._queues.setdefault(entry.room, deque()).append(entry)

    def head(self, room: str) -> Entry | None:
        """The next entry to send to a room. Entries that are too old fail."""
        queue = self._queues.get(room)
        while queue:
            entry = queue[0]
            if entry.sent_at is None or time.time() - entry.sent_at <= self._max_age:
                return entry
            text = f"message {entry.key} for {room} got no answer in {self._max_age:g} s"
            self.end(entry, OutcomeUnknownError(text))
        return None

    def begin(self, entry: Entry) -> None:
        """Record that the entry is about to be sent."""
        if entry.sent_at is None:
            entry.sent_at = time.time()
            if self._storage is not None:
                self._storage.mark(entry)

    def postpone(self, entry: Entry, *, is_repeat: bool) -> None:
        """Keep the entry until its room is joined, because the server has just refused it."""
        if not is_repeat:
            # It is certainly not stored, and does not age.
            entry.sent_at = None
            if self._storage is not None:
                self._storage.mark(entry)

    def refuse(self, entry: Entry, error: ChatServiceError, *, is_repeat: bool) -> None:
        """The server has refused the entry. ``is_repeat``: it was sent before, and may have been stored."""
        if not is_repeat or error.code in FINAL:
            self.end(entry, error)
            return
        unknown = OutcomeUnknownError(
            f"message {entry.key} for {entry.room} was refused when repeated: {error}"
        )
        unknown.__cause__ = error
        self.end(entry, unknown)

    def end(self, entry: Entry, outcome: int | Exception) -> None:
        """Remove an entry that is acknowledged with an id, or has failed permanently."""
        queue = self._queues.get(entry.room)
        if queue is not None and entry in queue:
            queue.remove(entry)
            self._keys.discard(entry.key)
            if not queue:
                del self._queues[entry.room]
            if self._storage is not None:
                self._storage.remove(entry)
        if not isinstance(outcome, int):
            entry.fail(outcome)
        elif not entry.outcome.done():
            entry.outcome.set_result(outcome)

    def fail_all(self, error: Exception) -> None:
        """Stop sending. Entries in a file stay there; of the others, those that were sent may be stored."""
        for entry in self:
            is_kept = self._storage is not None and not isinstance(error, ChatServiceError)
            if entry.sent_at is not None and not is_kept:
                # This error does not refuse what was sent before.
                text = f"message {entry.key} for {entry.room} got no answer before the end: {error}"
                entry.fail(OutcomeUnknownError(text))
            else:
                entry.fail(error)

    def close(self, error: Exception) -> None:
        """Fail the entries of this program. The next program sends those in a file."""
        self.fail_all(error)
        if self._storage is not None:
            self._storage.close()
