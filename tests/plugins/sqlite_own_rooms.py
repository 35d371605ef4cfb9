"""Lists of rooms and conversations of the SQLite store."""

import uuid
from dataclasses import replace

from chat_service import rules
from chat_service.contracts.own_room_store import CONVERSATIONS, Opened, OwnRoom
from chat_service.contracts.records import Actor, Page, Rate, ReadState, Removal, RoomConfig
from chat_service.errors import ChatServiceError
from chat_service.protocol.names import conversation_users
from chat_service.types import RoomName, UserName
from tests.plugins.sqlite_histories import SqliteHistories
from tests.plugins.sqlite_room import Room, create
from tests.plugins.sqlite_step import Step


def _listed(s: Step, user: UserName, room: RoomName) -> bool:
    return bool(s.rows("select 1 from own_rooms where user = ? and room = ?", user, room))


def _check_limit(s: Step, user: UserName, room: RoomName, limit: int) -> None:
    count = s.value("select count(*) from own_rooms where user = ? and room like '%:%'", user)
    if not _listed(s, user, room) and count >= limit:
        raise ChatServiceError("limitExceeded", CONVERSATIONS)


def _birth(s: Step, user: UserName) -> str:
    s.check_user(user)
    s.run("update users set birth = ? where name = ? and birth is null", uuid.uuid4().hex, user)
    return str(s.value("select birth from users where name = ?", user))


class SqliteOwnRooms(SqliteHistories):
    """Every change is one step."""

    async def direct_open(
        self,
        room: RoomName,
        actor: Actor,
        peer: UserName,
        config: RoomConfig,
        now: int,
        *,
        limit: int,
        rate: Rate | None = None,
    ) -> Opened:
        user = actor.name
        if user is None or user == peer:
            raise ChatServiceError("notAllowed")
        with self._step() as s:
            s.check_actor(actor)
            if not _listed(s, user, room):
                s.take_turn("room", user, rate)
            pair = ":".join(_birth(s, name) for name in sorted((user, peer)))
            former = s.value("select pair from rooms where name = ?", room)
            missing = [name for name in (user, peer) if not _listed(s, name, room)]
            if former == pair and not missing:
                return Opened(())
            if not actor.bypass and not self._lets_write(s, peer, user):
                raise ChatServiceError("notAllowed")
            for name in (user, peer):
                _check_limit(s, name, room, limit)
            s.many("insert into own_rooms values (?, ?)", [(name, room) for name in missing])
            removal = None
            if former is not None and former != pair:
                removal = Room(s, room).delete()
                former = None
            names = conversation_users(room) or ()
            if former is None:
                create(s, room, replace(config, whitelist=names, whitelist_only=True))
                s.run("update rooms set pair = ? where name = ?", pair, room)
            rows = [(room, "whitelist", name) for name in names]
            s.many("insert or ignore into room_lists values (?, ?, ?)", rows)
            return Opened(missing, removal)

    async def direct_leave(self, room: RoomName, user: UserName, now: int) -> Removal | None:
        with self._step() as s:
            s.run("delete from own_rooms where user = ? and room = ?", user, room)
            if not s.rows("select 1 from rooms where name = ?", room):
                return None
            entry = Room(s, room)
            s.run("delete from room_lists where room = ? and name = ?", room, user)
            return entry.remove([user], now) if entry.names("whitelist") else entry.delete()

    async def own_rooms(self, user: UserName, limit: int, cursor: str | None = None) -> Page[OwnRoom]:
        with self._step() as s:
            query = "select room from own_rooms where user = ? and room > ? order by room limit ?"
            names = s.column(query, user, cursor or "", limit + 1)
            items = []
            for name in names[:limit]:
                if not s.rows("select 1 from rooms where name = ?", name):
                    s.run("delete from own_rooms where user = ? and room = ?", user, name)
                    continue
                entry = Room(s, name)
                if not rules.has_room_access(entry.facts(user)):
                    s.run("delete from own_rooms where user = ? and room = ?", user, name)
                    continue
                newest = entry.messages(0, 1, newest=True, max_bytes=None)
                at = newest[0].get("timestamp") if newest else None
                state = ReadState(entry.last_id, entry.read_id(user))
                items.append(
                    OwnRoom(name=name, state=state, last_message_at=at if isinstance(at, int) else None)
                )
            return Page(items=items, cursor=names[limit - 1] if len(names) > limit else None)

    async def own_room_remove(self, user: UserName, room: RoomName) -> None:
        if ":" not in room:
            with self._step() as s:
                s.run("delete from own_rooms where user = ? and room = ?", user, room)

    def check_may_join(self, user: UserName, room: RoomName) -> None:
        """Raise ``noRoom`` for a conversation that is not in the list. A refused join ends an entry."""
        with self._step() as s:
            if s.find_ban(user):
                return
            if ":" in room and not _listed(s, user, room):
                raise ChatServiceError("noRoom", room)
            is_there = s.rows("select 1 from rooms where name = ?", room)
            if ":" not in room and not (is_there and rules.has_room_access(Room(s, room).facts(user))):
                s.run("delete from own_rooms where user = ? and room = ?", user, room)

    def list_room(self, s: Step, user: UserName, room: RoomName, limit: int) -> None:
        """Add a joined room to the list, unless that has too many."""
        count = s.value("select count(*) from own_rooms where user = ? and room not like '%:%'", user)
        if ":" not in room and count < limit:
            s.run("insert or ignore into own_rooms values (?, ?)", user, room)
