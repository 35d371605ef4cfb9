"""Archiving every message to SQLite: an ack means stored *and* archived.

The after hook of `roomMessage` waits until its message is committed, so the archive contains every message
whose sender got an id. SQLite runs in its own thread, so the event loop never waits for the disk. Messages
that arrive while a transaction is being written share the next one, so a busy service needs few transactions.

    sqlite3 archive.db "select * from messages where room = 'default' order by id"
"""

import asyncio
import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chat_service import ChatService, CommandCall

#: There is no unique key for room and id, because ids restart when a room is deleted and created again.
SCHEMA = """
create table if not exists messages (
    key integer primary key, room text, id integer, author text, timestamp integer, body text
);
create index if not exists messages_of_room on messages (room, id);
"""
INSERT = "insert into messages (room, id, author, timestamp, body) values (?, ?, ?, ?, ?)"

Row = tuple[str, int, str | None, int, str]


class Archive:
    """The hooks, and the only user of the database."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "archive")
        self._database: sqlite3.Connection | None = None
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def on_start(self, service: ChatService) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        await service.add_room("default", exist_ok=True)

    async def on_close(self, service: ChatService, error: Exception | None) -> None:
        # No command is running now. A command that a slow close cancelled may have left its row here.
        if self._writer is not None:
            await self._writer
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def room_message_after(self, call: CommandCall) -> None:
        if call.message is None:
            return  # refused: nothing was stored
        message = dict(call.message)
        row = (call.args[0], message.pop("id"), message.pop("author", None), message.pop("timestamp"))
        # If this raises, the sender gets an error instead of the id.
        await self._write((*row, json.dumps(message, ensure_ascii=False)))

    async def _write(self, row: Row) -> None:
        """Return when the row is committed."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await loop.run_in_executor(self._thread, self._insert, [row for row, _ in batch])
            except Exception as error:
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in batch:
                    # A cancelled command no longer waits.
                    if not done.done():
                        done.set_result(None)
        self._writer = None

    # Run in the thread

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path)
        # Readers and this writer do not block each other; other instances on this machine may write, too.
        self._database.execute("pragma journal_mode = wal")
        self._database.executescript(SCHEMA)

    def _insert(self, rows: list[Row]) -> None:
        assert self._database is not None  # opened at the start
        with self._database:  # one transaction
            self._database.executemany(INSERT, rows)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()


async def on_connect(service: ChatService, socket_id: str) -> str | None:
    """Trust the name that the client gives. A real service checks a token here."""
    return service.transport.get_handshake_data(socket_id).query.get("userName")


def make_service(path: Path | str, **options: Any) -> ChatService:
    """A service that archives its messages to a file."""
    service = ChatService(hooks=Archive(path), **options)
    service.on("on_connect", on_connect)
    return service


if __name__ == "__main__":
    make_service("archive.db", port=int(os.environ.get("PORT", "8000"))).run()
