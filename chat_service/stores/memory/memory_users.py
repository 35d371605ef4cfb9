"""The part of the memory store that concerns users, their sockets and their bans."""

from collections.abc import Mapping, Sequence

from chat_service import rules
from chat_service.contracts.bus import DisconnectUser, Topic, TopicKind
from chat_service.contracts.records import (
    SOCKETS_AND_ROOMS,
    Actor,
    Ban,
    Departure,
    Rate,
    SocketInfo,
    UserConfig,
)
from chat_service.errors import ChatServiceError
from chat_service.stores.memory.backend import MemoryBackend, MemoryUser
from chat_service.types import InstanceId, Message, SocketId, UserName


class MemoryUsers:
    """Users. The methods are described in ``UserStore``."""

    backend: MemoryBackend

    async def user_create(self, user: UserName, config: UserConfig) -> None:
        if self.backend.has_user(user):
            raise ChatServiceError("userExists", user)
        self.backend.add_user(user, MemoryUser(config))

    async def user_delete(self, user: UserName) -> None:
        if self.backend.user(user).sockets:
            raise ChatServiceError("userOnline", user)
        self.backend.idle_users.cancel(user)
        del self.backend.users[user]

    async def user_exists(self, user: UserName) -> bool:
        return self.backend.has_user(user)

    async def user_get_list(self, user: UserName, list_name: str) -> list[str]:
        return list(self.backend.user(user).lists[list_name])

    async def user_has_in_list(self, user: UserName, list_name: str, name: str) -> bool:
        return name in self.backend.user(user).lists[list_name]

    def _user_to_change(self, user: UserName, check_ban: bool) -> MemoryUser:
        if check_ban:
            self.backend.bans.check(user)
        return self.backend.user(user)

    async def user_add_to_list(
        self, user: UserName, list_name: str, names: Sequence[str], limit: int, *, check_ban: bool = False
    ) -> None:
        entry = self._user_to_change(user, check_ban)
        current = entry.lists[list_name]
        rules.check_list_growth(current, names, list_name, limit)
        current.update(dict.fromkeys(names))
        self.backend.settle_user(user, entry)

    async def user_remove_from_list(
        self, user: UserName, list_name: str, names: Sequence[str], *, check_ban: bool = False
    ) -> None:
        entry = self._user_to_change(user, check_ban)
        for name in names:
            entry.lists[list_name].pop(name, None)
        self.backend.settle_user(user, entry)

    async def user_get_mode(self, user: UserName) -> bool:
        return self.backend.user(user).whitelist_only

    async def user_set_mode(self, user: UserName, whitelist_only: bool, *, check_ban: bool = False) -> None:
        entry = self._user_to_change(user, check_ban)
        entry.whitelist_only = whitelist_only
        self.backend.settle_user(user, entry)

    async def user_check_direct_access(self, user: UserName, sender: UserName) -> bool:
        return self.backend.user(user).lets_write(sender) and user != sender

    async def direct_message(self, user: UserName, sender: Actor, message: Message) -> None:
        self.backend.bans.check_actor(sender)
        recipient = self.backend.user(user)
        may_write = sender.bypass or (sender.name is not None and recipient.lets_write(sender.name))
        if user == sender.name or not may_write:
            raise ChatServiceError("notAllowed")
        if not recipient.sockets:
            raise ChatServiceError("noUserOnline", user)
        self.backend.notify_user(user, "directMessage", message)

    # Sockets

    async def socket_connect(
        self,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        *,
        ephemeral: bool = False,
        limit: int | None = None,
        ttl: float | None = None,
        rate: Rate | None = None,
    ) -> int:
        return self.backend.connect(user, socket_id, instance_id, ephemeral, limit, ttl, rate)

    async def socket_disconnect(
        self, user: UserName, socket_id: SocketId, instance_id: InstanceId, departures: Sequence[Departure]
    ) -> int:
        return self.backend.disconnect(user, socket_id, instance_id, departures)

    async def user_sockets(
        self, user: UserName, *, limit: int | None = None
    ) -> Mapping[SocketId, SocketInfo]:
        sockets = self.backend.user(user).sockets
        if limit is not None and sum(1 + len(entry.rooms) for entry in sockets.values()) > limit:
            raise ChatServiceError("limitExceeded", SOCKETS_AND_ROOMS)
        return {
            socket_id: SocketInfo(instance_id=entry.instance_id, rooms=frozenset(entry.rooms))
            for socket_id, entry in sockets.items()
        }

    # Bans

    async def user_ban(self, user: UserName, ban: Ban, now: int) -> None:
        self.backend.bans.set(user, ban, now)
        if (entry := self.backend.users.get(user)) is not None:
            entry.own_rooms.clear_rooms()
        self.backend.hub.send(Topic(TopicKind.USER, user), DisconnectUser())

    async def user_unban(self, user: UserName) -> bool:
        return self.backend.bans.remove(user)

    async def user_get_ban(self, user: UserName) -> Ban | None:
        return self.backend.bans.find(user)

    async def banned_users(self, users: Sequence[UserName]) -> Sequence[UserName]:
        return [user for user in users if self.backend.bans.find(user) is not None]
