"""The part of the Redis store that concerns users, their sockets and their bans."""

from collections.abc import Mapping, Sequence

from chat_service.contracts.records import Actor, Ban, Departure, Rate, SocketInfo, UserConfig
from chat_service.errors import ChatServiceError, StoreRefusedError
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.memberships import Memberships
from chat_service.stores.redis.permits import Permits
from chat_service.stores.redis.user_scripts import InstanceCommands, UserScripts
from chat_service.types import InstanceId, Message, SocketId, UserName


class RedisUsers:
    """Users. The methods are described in ``UserStore``."""

    keys: Keys
    _users: UserScripts
    _instances: InstanceCommands
    _permits: Permits
    _memberships: Memberships

    async def user_create(self, user: UserName, config: UserConfig) -> None:
        await self._users.create(user, config)

    async def user_delete(self, user: UserName) -> None:
        await self._users.delete(user)

    async def user_exists(self, user: UserName) -> bool:
        return await self._users.exists(user)

    async def user_get_list(self, user: UserName, list_name: str) -> list[str]:
        return await self._users.get_list(user, list_name)

    async def user_has_in_list(self, user: UserName, list_name: str, name: str) -> bool:
        return await self._users.has_in_list(user, list_name, name)

    async def user_add_to_list(
        self, user: UserName, list_name: str, names: Sequence[str], limit: int, *, check_ban: bool = False
    ) -> None:
        await self._users.add_to_list(user, list_name, names, limit, check_ban)

    async def user_remove_from_list(
        self, user: UserName, list_name: str, names: Sequence[str], *, check_ban: bool = False
    ) -> None:
        await self._users.remove_from_list(user, list_name, names, check_ban)

    async def user_get_mode(self, user: UserName) -> bool:
        return await self._users.get_mode(user)

    async def user_set_mode(self, user: UserName, whitelist_only: bool, *, check_ban: bool = False) -> None:
        await self._users.set_mode(user, whitelist_only, check_ban)

    async def user_check_direct_access(self, user: UserName, sender: UserName) -> bool:
        return await self._users.check_direct_access(user, sender) and user != sender

    async def direct_message(self, user: UserName, sender: Actor, message: Message) -> bool | None:
        place = self.keys.user(user)
        permit = self._permits.new(sender, place)
        ban_keys = self._permits.keys_at(sender, permit, place)
        is_here = None
        if permit is not None:
            try:
                is_here = await self._permits.give(permit, self._memberships.here)
            except StoreRefusedError:
                # Redis refuses changes where the sender's ban would be, so nobody bans the sender meanwhile:
                # reading the ban is enough for a message that is not stored.
                ban = await self._users.get_ban(permit.user)
                if ban is not None:
                    raise ban.error() from None
                permit, ban_keys = None, ()
        with self._permits.using(permit):
            await self._users.direct_message(user, sender, message, ban_keys)
        return is_here

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
        await self._instances.add_socket(instance_id, socket_id, user)
        try:
            return await self._users.connect(user, socket_id, instance_id, ephemeral, limit, ttl, rate)
        except ChatServiceError:
            # Refused. A socket that was there before stays until its disconnect.
            if not await self._users.has_socket(user, socket_id):
                await self._instances.remove_socket(instance_id, socket_id)
            raise

    async def socket_disconnect(
        self, user: UserName, socket_id: SocketId, instance_id: InstanceId, departures: Sequence[Departure]
    ) -> int:
        nconnected = await self._users.disconnect(user, socket_id, departures)
        await self._instances.remove_socket(instance_id, socket_id)
        return nconnected

    async def user_sockets(
        self, user: UserName, *, limit: int | None = None
    ) -> Mapping[SocketId, SocketInfo]:
        return await self._users.sockets(user, limit)

    # Bans

    async def user_ban(self, user: UserName, ban: Ban, now: int) -> None:
        await self._users.ban(user, ban, now)

    async def user_unban(self, user: UserName) -> bool:
        return await self._users.unban(user)

    async def user_get_ban(self, user: UserName) -> Ban | None:
        return await self._users.get_ban(user)

    async def banned_users(self, users: Sequence[UserName]) -> Sequence[UserName]:
        return await self._users.banned(users)
