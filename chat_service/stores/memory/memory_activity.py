"""The part of the memory store about what users do in rooms besides sending messages."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from chat_service.contracts.bus import Notify, Topic, TopicKind
from chat_service.contracts.records import MARKS_LIMIT, Actor, ReadMark, ReadState
from chat_service.errors import ChatServiceError
from chat_service.stores.memory.backend import MemoryBackend
from chat_service.stores.memory.room import MemoryRoom
from chat_service.types import RoomName, UserName


class MemoryActivity:
    """Notifications and read marks. The methods are described in ``ActivityStore``."""

    backend: MemoryBackend

    def _of_reader(self, room: RoomName, user: UserName, bypass: bool) -> MemoryRoom:
        entry = self.backend.room(room)
        entry.check_read(Actor(user, bypass))
        return entry

    async def room_notify(self, room: RoomName, actor: Actor, notice: Notify) -> None:
        self.backend.room(room).check_send(actor)
        self.backend.hub.send(Topic(TopicKind.ROOM, room), notice)

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
        entry = self._of_reader(room, user, bypass)
        if not bypass and user not in entry.members:
            self.backend.bans.check_actor(Actor(user, check_ban=check_ban))
        return entry.mark_read(user, message_id, limit)

    async def rooms_unread(
        self, rooms: Sequence[RoomName], user: UserName, *, bypass: bool = False
    ) -> Mapping[RoomName, ReadState]:
        found = {}
        for room in rooms:
            with suppress(ChatServiceError):
                found[room] = self._of_reader(room, user, bypass).unread(user)
        return found
