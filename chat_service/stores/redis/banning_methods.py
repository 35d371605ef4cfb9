"""The part of the Redis store that concerns bans."""

from collections.abc import Sequence

from chat_service.contracts.records import Ban
from chat_service.stores.redis.user_scripts import UserScripts
from chat_service.types import UserName


class BanMethodsOverRedis:
    """Bans of users. The methods are described in ``UserStore``."""

    _users: UserScripts

    async def user_ban(self, user: UserName, ban: Ban, now: int) -> None:
        await self._users.ban(user, ban, now)

    async def user_unban(self, user: UserName) -> bool:
        return await self._users.unban(user)

    async def user_get_ban(self, user: UserName) -> Ban | None:
        return await self._users.get_ban(user)

    async def banned_users(self, users: Sequence[UserName]) -> Sequence[UserName]:
        return await self._users.banned(users)
