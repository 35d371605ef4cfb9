"""Removing a person from a room without blocking them: they may come back.

Request of clients (with an ack, as a command): ``roomRemoveUser(room, user)``, for the room's owner and
admins. Event to the removed person: ``roomUserRemoved(room, by)``.

The lists of a room cannot do this. A person on the blacklist for a moment is told that access is lost, and
clients then try to join again: whether they succeed would depend on how soon the name is taken off. Here
the server leaves the room for each of the person's sockets, on every instance, and no list changes.
"""

from typing import Any

from chat_service.demo.limits import MAX_USER_NAME, check_name, may_remove
from chat_service.errors import ChatServiceError
from chat_service.service import ChatService
from chat_service.types import user_channel


class Moderation:
    """Answers the request."""

    def __init__(self, service: ChatService) -> None:
        self._service = service

    def bind(self, socket_id: str, user: str) -> None:
        """Let a user's new socket ask."""

        async def room_remove_user(room: Any = None, name: Any = None, *_: Any) -> None:
            await self._remove(user, room, name)

        self._service.transport.bind_handler(socket_id, "roomRemoveUser", room_remove_user)

    async def _remove(self, user: str, room: Any, name: Any) -> None:
        """Raises ``notAllowed``, ``notJoined``, ``noRoom``, ``noUser``, ``invalidName``."""
        check_name(name, MAX_USER_NAME)
        run = self._service.exec_user_command
        [owner] = await run(user, "roomGetOwner", room)
        [admins] = await run(user, "roomGetAccessList", room, "adminlist")
        if not may_remove(user, name, owner, admins):
            raise ChatServiceError("notAllowed")
        [sockets] = await run(name, "listOwnSockets")
        joined = [socket_id for socket_id, rooms in sockets.items() if room in rooms]
        if joined:
            self._service.transport.emit_to_channel(user_channel(name), "roomUserRemoved", room, user)
        for socket_id in joined:
            await self._leave(name, socket_id, room)

    async def _leave(self, name: str, socket_id: str, room: str) -> None:
        try:
            await self._service.exec_user_command({"user_name": name, "id": socket_id}, "roomLeave", room)
        except ChatServiceError as error:
            # Disconnected meanwhile, and so out of the room.
            if error.code != "invalidSocket":
                raise
