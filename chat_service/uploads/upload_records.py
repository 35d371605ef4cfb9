"""The index of files: who stored what, how much, and until when. The default keeps it in SQLite."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol, TypeVar

from chat_service.uploads.storage import UploadedFile
from chat_service.uploads.upload_errors import UploadError

T = TypeVar("T")

#: Maximum time in seconds to wait for other processes.
_BUSY_TIMEOUT: Final = 10.0
_COLUMNS: Final = tuple(item.name for item in fields(UploadedFile))
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, room TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
    bytes INTEGER NOT NULL, width INTEGER, height INTEGER, created REAL NOT NULL, expires REAL,
    -- Until then an upload may run; NULL: it is complete.
    unfinished_until REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_of_users ON files (user, bytes);
CREATE INDEX IF NOT EXISTS files_of_rooms ON files (room, bytes);
CREATE INDEX IF NOT EXISTS expiring_files ON files (expires) WHERE expires IS NOT NULL;
CREATE INDEX IF NOT EXISTS unfinished_files ON files (unfinished_until) WHERE unfinished_until IS NOT NULL;
-- Sums over all files, so that no upload has to add them up.
CREATE TABLE IF NOT EXISTS totals (only INTEGER PRIMARY KEY CHECK (only = 1), files INTEGER, bytes INTEGER);
INSERT OR IGNORE INTO totals VALUES (1, 0, 0);
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON files BEGIN
    UPDATE totals SET files = files + 1, bytes = bytes + NEW.bytes;
END;
CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON files BEGIN
    UPDATE totals SET files = files - 1, bytes = bytes - OLD.bytes;
END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The most that may be stored."""

    user_bytes: int
    user_files: int
    room_bytes: int
    total_bytes: int
    total_files: int


class UploadRecords(Protocol):
    """Keeps what is known of files. Each method is one atomic step."""

    async def open(self) -> None:
        """Prepare. Idempotent."""
        ...

    async def reserve(self, file: UploadedFile, quotas: Quotas, until: float) -> None:
        """Note an upload that begins, with the space that it needs.

        ``until``: Unix time in seconds at which it is given up unless it is complete. Raises
        ``uploadTicketUsed`` if the id is known, ``uploadQuota`` with "user", "room" or "service".
        """
        ...

    async def complete(self, file: UploadedFile) -> bool:
        """Note that a file is stored. Returns False if its record was deleted meanwhile."""
        ...

    async def get(self, file_id: str) -> UploadedFile | None:
        """A complete file; None if there is none."""
        ...

    async def remove(self, file_ids: Sequence[str]) -> None:
        """Forget files, whose content has been deleted."""
        ...

    async def due(self, now: float, limit: int) -> list[str]:
        """Ids of files to delete: expired ones, and uploads that were given up."""
        ...

    async def of_user(self, user: str, limit: int) -> list[str]:
        """Ids of files of a user, complete or not."""
        ...

    async def of_room(self, room: str, limit: int) -> list[str]:
        """Ids of files of a room, complete or not."""
        ...

    async def totals(self) -> tuple[int, int]:
        """Number and bytes of all files, with those that are being uploaded."""
        ...

    async def close(self) -> None:
        """Release everything. Idempotent."""
        ...


class SqliteRecords:
    """An index in an SQLite file, which the processes of one machine may share."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"SqliteRecords({os.fspath(self._path)!r})"

    async def open(self) -> None:
        """See ``UploadRecords``."""
        await self._run(lambda _: None)

    async def reserve(self, file: UploadedFile, quotas: Quotas, until: float) -> None:
        """See ``UploadRecords``."""

        def work(db: sqlite3.Connection) -> None:
            if db.execute("SELECT 1 FROM files WHERE id = ?", (file.id,)).fetchone():
                raise UploadError("uploadTicketUsed")
            for what, query, values, most in (
                ("service", "SELECT files, bytes FROM totals", (), (quotas.total_files, quotas.total_bytes)),
                ("room", _SUMS.format("room"), (file.room,), (None, quotas.room_bytes)),
                ("user", _SUMS.format("user"), (file.user,), (quotas.user_files, quotas.user_bytes)),
            ):
                count, size = db.execute(query, values).fetchone()
                if (most[0] is not None and count >= most[0]) or size + file.bytes > most[1]:
                    raise UploadError("uploadQuota", what)
            names = ", ".join((*_COLUMNS, "unfinished_until"))
            marks = ", ".join("?" * (len(_COLUMNS) + 1))
            values = (*(getattr(file, name) for name in _COLUMNS), until)
            db.execute(f"INSERT INTO files ({names}) VALUES ({marks})", values)  # noqa: S608 - our own columns

        await self._run(work)

    async def complete(self, file: UploadedFile) -> bool:
        """See ``UploadRecords``."""

        def work(db: sqlite3.Connection) -> bool:
            done = db.execute(
                "UPDATE files SET type = ?, width = ?, height = ?, unfinished_until = NULL WHERE id = ?",
                (file.type, file.width, file.height, file.id),
            )
            return done.rowcount == 1

        return await self._run(work)

    async def get(self, file_id: str) -> UploadedFile | None:
        """See ``UploadRecords``."""
        names = ", ".join(_COLUMNS)
        query = f"SELECT {names} FROM files WHERE id = ? AND unfinished_until IS NULL"  # noqa: S608 - our own columns

        def work(db: sqlite3.Connection) -> UploadedFile | None:
            row = db.execute(query, (file_id,)).fetchone()
            return UploadedFile(**dict(zip(_COLUMNS, row, strict=True))) if row else None

        return await self._run(work)

    async def remove(self, file_ids: Sequence[str]) -> None:
        """See ``UploadRecords``."""
        rows = [(file_id,) for file_id in file_ids]
        await self._run(lambda db: db.executemany("DELETE FROM files WHERE id = ?", rows))

    async def due(self, now: float, limit: int) -> list[str]:
        """See ``UploadRecords``."""
        query = (
            "SELECT id FROM files WHERE expires <= ? "
            "UNION SELECT id FROM files WHERE unfinished_until <= ? LIMIT ?"
        )
        return await self._ids(query, (now, now, limit))

    async def of_user(self, user: str, limit: int) -> list[str]:
        """See ``UploadRecords``."""
        return await self._ids("SELECT id FROM files WHERE user = ? LIMIT ?", (user, limit))

    async def of_room(self, room: str, limit: int) -> list[str]:
        """See ``UploadRecords``."""
        return await self._ids("SELECT id FROM files WHERE room = ? LIMIT ?", (room, limit))

    async def totals(self) -> tuple[int, int]:
        """See ``UploadRecords``."""
        count, size = await self._run(lambda db: db.execute("SELECT files, bytes FROM totals").fetchone())
        return int(count), int(size)

    async def close(self) -> None:
        """See ``UploadRecords``."""
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                await asyncio.to_thread(connection.close)

    async def _ids(self, query: str, values: tuple[Any, ...]) -> list[str]:
        return await self._run(lambda db: [row[0] for row in db.execute(query, values)])

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a transaction in a thread, one at a time."""

        def step() -> T:
            db = self._connection
            if db is None:
                db = self._connection = _connect(self._path)
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
            return result

        async with self._lock:
            running = asyncio.ensure_future(asyncio.to_thread(step))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                # The thread goes on, and nobody else may use the connection until it has finished.
                await asyncio.wait([running])
                raise


_SUMS: Final = "SELECT count(*), coalesce(sum(bytes), 0) FROM files WHERE {} = ?"


def _connect(path: str | os.PathLike[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)
    return connection
