"""The part of the client about conversations of two users, and the list of the user's rooms."""

from collections.abc import AsyncIterator
from typing import Protocol

from chat_service.client.client_commands import Commands
from chat_service.client.client_room import ClientRoom
from chat_service.client.client_types import OwnRoom


class _Joining(Protocol):
    commands: Commands

    async def join(self, name: str, *, recent: int = 0) -> ClientRoom: ...


class Conversations:
    """Methods of ``ChatClient``."""

    async def conversation(self: _Joining, user_name: str, *, recent: int = 0) -> ClientRoom:
        """Open the conversation with a user, who may be offline, and join its room.

        Its stream begins with its ``recent`` newest messages. Raises the ``ChatServiceError`` of a refusal,
        or ``NotConnectedError``.
        """
        return await self.join(await self.commands.direct_open(user_name), recent=recent)

    async def own_rooms(self: _Joining) -> AsyncIterator[OwnRoom]:
        """The user's rooms that outlive connections: conversations, and joined rooms that were not left.

        Raises ``NotConnectedError``.
        """
        cursor: str | None = None
        while True:
            page = await self.commands.list_own_rooms(cursor=cursor)
            for room in page["rooms"]:
                yield room
            cursor = page["cursor"]
            if cursor is None:
                return
