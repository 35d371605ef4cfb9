"""Reading and replacing messages of the SQLite store."""

from collections.abc import Collection, Sequence

from chat_service.contracts.records import Actor, HistoryPage
from chat_service.interactions import FoldedPage
from chat_service.types import USERLIST, Message, RoomName, UserName
from tests.plugins.sqlite_activity import SqliteActivity
from tests.plugins.sqlite_room import Room
from tests.plugins.sqlite_step import pack


class SqliteHistories(SqliteActivity):
    """The part of the store about histories."""

    async def room_joined(self, room: RoomName, names: Sequence[UserName]) -> Collection[UserName]:
        with self._step() as s:
            return set(names) & set(Room(s, room).names(USERLIST))

    async def room_history_page(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, *, max_bytes: int | None = None
    ) -> HistoryPage:
        with self._step() as s:
            entry = Room(s, room)
            entry.check(actor)
            found = entry.messages(after or 0, limit, newest=after is None, max_bytes=max_bytes)
            return HistoryPage(found, entry.epoch)

    async def room_history_folded(
        self, room: RoomName, actor: Actor, after: int | None, limit: int, *, max_bytes: int | None = None
    ) -> FoldedPage:
        with self._step() as s:
            entry = Room(s, room)
            entry.check(actor)
            found = entry.messages(after or 0, limit, newest=after is None, max_bytes=max_bytes)
            folds = entry.interactions.fold(actor.name, found, entry.last_id)
            kept = entry.interactions.within(found, folds, max_bytes, oldest=after is not None)
            return FoldedPage(kept, folds, entry.epoch)

    async def room_replace(self, room: RoomName, messages: Sequence[Message]) -> None:
        with self._step() as s:
            Room(s, room)
            query = "update messages set body = ? where room = ? and id = ?"
            for message in messages:
                s.run(query, pack(message), room, message["id"])

    async def room_history(
        self, room: RoomName, actor: Actor, after: int, limit: int, *, max_bytes: int | None = None
    ) -> list[Message]:
        page = await self.room_history_page(room, actor, after, limit, max_bytes=max_bytes)
        return list(page.messages)

    async def room_recent_history(
        self, room: RoomName, actor: Actor, limit: int, *, max_bytes: int | None = None
    ) -> list[Message]:
        page = await self.room_history_page(room, actor, None, limit, max_bytes=max_bytes)
        return list(page.messages)
