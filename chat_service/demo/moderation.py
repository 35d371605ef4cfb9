"""Removing users from a room without blocking them: they may rejoin.

Client request (with an ack, like a command): ``roomRemoveUser(room, user)``, for the room's owner and admins.
Event to the removed user: ``roomUserRemoved(room, by)``.

A room's lists cannot do this: clients rejoin when they lose access, so the effect of a brief blacklisting
would depend on timing. Instead, the server leaves the room for each of the user's sockets, and no list
changes.
"""

from typing import Any

from chat_service.demo.limits import MAX_USER_NAME, check_name, may_remove
from chat_service.errors import ChatServiceError
from chat_service.service import ChatService
from chat_service.types import user_channel


class Moderation:
    """Handles the request."""

    def __init__(self, service: ChatService) -> None:
        self._service = service

    def bind(self, socket_id: str, user: str) -> None:
        """Bind the request of a user's new socket."""

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
            # Disconnected meanwhile, and therefore no longer in the room.
            if error.code != "invalidSocket":
                raise
