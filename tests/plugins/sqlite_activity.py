"""Notifications and read marks of the SQLite store."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from chat_service.contracts.bus import Notify, Topic, TopicKind
from chat_service.contracts.records import MARKS_LIMIT, Actor, ReadMark, ReadState
from chat_service.errors import ChatServiceError
from chat_service.types import USERLIST, RoomName, UserName
from tests.plugins.sqlite_room import Room
from tests.plugins.sqlite_users import SqliteUsers


class SqliteActivity(SqliteUsers):
    """What users do in rooms besides sending messages."""

    async def room_notify(self, room: RoomName, actor: Actor, notice: Notify) -> None:
        with self._step() as s:
            entry = Room(s, room)
            if not actor.bypass and actor.name not in entry.names(USERLIST):
                raise ChatServiceError("notJoined", room)
            s.publish(Topic(TopicKind.ROOM, room), notice)

    async def room_mark_read(
        self,
        room: RoomName,
        user: UserName,
        message_id: int,
        *,
        bypass: bool = False,
        limit: int = MARKS_LIMIT,
        check_ban: bool = False,
    ) -> ReadMark:
        with self._step() as s:
            entry = Room(s, room)
            entry.check(Actor(user, bypass))
            if not bypass and not entry.facts(user).joined:
                s.check_actor(Actor(user, check_ban=check_ban))
            return entry.mark_read(user, message_id, limit)

    async def rooms_unread(
        self, rooms: Sequence[RoomName], user: UserName, *, bypass: bool = False
    ) -> Mapping[RoomName, ReadState]:
        found = {}
        with self._step() as s:
            for room in rooms:
                with suppress(ChatServiceError):
                    entry = Room(s, room)
                    entry.check(Actor(user, bypass))
                    found[room] = ReadState(entry.last_id, entry.read_id(user))
        return found
