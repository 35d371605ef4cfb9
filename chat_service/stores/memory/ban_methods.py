"""The part of the memory store that concerns bans."""

from collections.abc import Sequence

from chat_service.contracts.bus import DisconnectUser, Topic, TopicKind
from chat_service.contracts.records import Ban
from chat_service.stores.memory.backend import MemoryBackend
from chat_service.types import UserName


class BanMethods:
    """Bans of users. The methods are described in ``UserStore``."""

    backend: MemoryBackend

    async def user_ban(self, user: UserName, ban: Ban, now: int) -> None:
        self.backend.bans.set(user, ban, now)
        self.backend.hub.send(Topic(TopicKind.USER, user), DisconnectUser())

    async def user_unban(self, user: UserName) -> bool:
        return self.backend.bans.remove(user)

    async def user_get_ban(self, user: UserName) -> Ban | None:
        return self.backend.bans.find(user)

    async def banned_users(self, users: Sequence[UserName]) -> Sequence[UserName]:
        return [user for user in users if self.backend.bans.find(user) is not None]
