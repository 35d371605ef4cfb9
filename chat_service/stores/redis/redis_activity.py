"""The part of the Redis store about what users do in rooms besides sending messages."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from chat_service.contracts.bus import Notify
from chat_service.contracts.records import MARKS_LIMIT, Actor, ReadMark, ReadState
from chat_service.errors import ChatServiceError, StoreError
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import EnvelopeCodec
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.permits import Permits
from chat_service.stores.redis.scripts import checked, flag
from chat_service.types import RoomName, UserName

#: Number of rooms that are looked at together. More would take too much memory at once.
ROOMS_TOGETHER = 10_000


class RedisActivity:
    """Notifications and read marks. The methods are described in ``ActivityStore``."""

    client: RedisClient
    keys: Keys
    _codec: EnvelopeCodec
    _permits: Permits

    async def room_notify(self, room: RoomName, actor: Actor, notice: Notify) -> None:
        key = self.keys.room(room)
        answer = await self.client.run(
            scripts.load("room_notify", self._codec.signing),
            [key, self.keys.members(room)],
            actor.name or "",
            flag(actor.bypass),
            self._codec.encode(key, notice),
        )
        checked(answer, noRoom=room, notJoined=room)

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
        actor, place = Actor(user, check_ban=check_ban), self.keys.room(room)
        permit = self._permits.new(actor, place)

        async def mark(is_member: bool, ban_keys: Sequence[str]) -> ReadMark | None:
            script, keys = scripts.load("room_mark_read"), [*self.keys.room_keys(room), *ban_keys]
            answer = await self.client.run(
                script, keys, user, flag(bypass), message_id, limit, flag(is_member)
            )
            read_id, moved, *unknown = checked(answer, noRoom=room, notJoined=room)
            return None if unknown else ReadMark(read_id, moved == 1)

        # Only an admin who is not joined needs a permit.
        done = await mark(permit is not None, [] if permit else self._permits.keys_at(actor, None, place))
        if done is None:
            done = await self._permits.change(actor, place, lambda ban_keys: mark(False, ban_keys))
        if done is None:
            raise StoreError(f"the read mark of room {room} could not be moved")
        return done

    async def rooms_unread(
        self, rooms: Sequence[RoomName], user: UserName, *, bypass: bool = False
    ) -> Mapping[RoomName, ReadState]:
        script, args = scripts.load("room_unread"), (user, flag(bypass))
        distinct, found = list(dict.fromkeys(rooms)), {}
        for start in range(0, len(distinct), ROOMS_TOGETHER):
            part = distinct[start : start + ROOMS_TOGETHER]
            answers = await self.client.run_each(
                script, [self.keys.unread_keys(room) for room in part], *args
            )
            for room, answer in zip(part, answers, strict=True):
                with suppress(ChatServiceError):
                    last_id, read_id = checked(answer, noRoom=room, notJoined=room)
                    found[room] = ReadState(last_id, read_id)
        return found
