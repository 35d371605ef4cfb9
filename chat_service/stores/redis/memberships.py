"""Joining and leaving rooms, whose state lies in two slots: that of the room and that of the user."""

import itertools
import uuid
from collections.abc import Callable, Iterator

from chat_service.contracts.bus import Notify, Topic, TopicKind
from chat_service.contracts.records import HistoryQuery, JoinResult, LeaveResult
from chat_service.errors import ChatServiceError, StoreRefusedError, StoreTimeoutError
from chat_service.stores.redis.permits import Permits
from chat_service.stores.redis.redis_bus import RedisBus
from chat_service.stores.redis.room_scripts import RoomScripts
from chat_service.stores.redis.user_scripts import UserScripts
from chat_service.types import InstanceId, RoomName, SocketId, UserName


def _echo(event: str, room: RoomName, socket_id: SocketId, njoined: int, echo_all: bool) -> Notify:
    return Notify(event=event, args=(room, socket_id, njoined), exclude=() if echo_all else (socket_id,))


class Memberships:
    """Two idempotent steps for each change. A room is added to the user's index before the socket is added to
    the room, and removed after it, so the index is always a superset."""

    def __init__(
        self, rooms: RoomScripts, users: UserScripts, permits: Permits, bus: Callable[[], RedisBus]
    ) -> None:
        self._rooms = rooms
        self._users = users
        self._permits = permits
        self._bus = bus
        #: The instance that this store serves, known from its first heartbeat on.
        self.here: InstanceId | None = None
        # Tokens distinguish the joins of a socket and must be unique across processes. The process may fork
        # after this store is created, so ``begin`` initialises them.
        self.tokens: Iterator[str] = iter(())

    def begin(self) -> None:
        """Call once before the first join of this process."""
        begin = uuid.uuid4().hex[:8]
        self.tokens = (f"{begin}-{number}" for number in itertools.count(1))

    async def join(
        self,
        room: RoomName,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        now: int,
        *,
        announce: bool,
        echo_all: bool,
        query: HistoryQuery | None,
        seen_limit: int,
        details: str | None,
        own_limit: int,
    ) -> JoinResult:
        token = next(self.tokens)
        try:
            presence = await self._users.index_add(user, socket_id, room, token, instance_id, own_limit)
            result = await self._rooms.join(
                room,
                user,
                socket_id,
                instance_id,
                token,
                now,
                announce=announce,
                query=query,
                seen_limit=seen_limit,
                details=details,
                ban_keys=self._permits.keys_of_join(room, token),
            )
        except StoreRefusedError:
            # A repeated join would change nothing, so it also works while Redis refuses changes.
            joined = await self._rooms.joined(room, user, socket_id, query)
            if joined is None:
                raise
            return joined
        except ChatServiceError:
            await self._users.index_remove(user, room, [(socket_id, token)], unlist=own_limit > 0)
            raise
        if result.changed and announce and (echo_all or presence.sockets > 1):
            echo = _echo("roomJoinedEcho", room, socket_id, result.njoined, echo_all)
            await self._tell_user(user, echo, is_local=not presence.elsewhere)
        return result

    async def announce(self, room: RoomName, user: UserName, socket_id: SocketId, *, echo_all: bool) -> None:
        njoined = await self._rooms.announce(room, user, socket_id)
        if njoined:
            echo = _echo("roomJoinedEcho", room, socket_id, njoined, echo_all)
            await self._tell_user(user, echo, is_local=False)

    async def leave(
        self,
        room: RoomName,
        user: UserName,
        socket_id: SocketId,
        now: int,
        *,
        echo: bool,
        echo_all: bool,
        keep_index: bool,
    ) -> LeaveResult:
        result = await self._rooms.leave(room, user, socket_id, now)
        if keep_index:
            return result
        notice = None
        if result.changed and echo:
            notice = _echo("roomLeftEcho", room, socket_id, result.njoined, echo_all)
        try:
            # Takes the same route as the echo of a join, which keeps the two in order.
            is_ours = await self._users.index_remove(user, room, [(socket_id, "")], notice, here=self.here)
        except StoreRefusedError as error:
            # The room itself has been left.
            raise StoreTimeoutError(f"room {room} stays in the index of user {user}: {error}") from error
        if is_ours and notice:
            self._bus().deliver(Topic(TopicKind.USER, user), notice)
        return result

    async def _tell_user(self, user: UserName, notice: Notify, *, is_local: bool) -> None:
        """``is_local``: all the user's sockets are on this instance, so the notice can bypass Redis."""
        topic = Topic(TopicKind.USER, user)
        if is_local:
            self._bus().deliver(topic, notice)
        else:
            await self._bus().publish(topic, notice)
