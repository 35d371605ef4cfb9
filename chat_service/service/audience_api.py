"""The part of the server API that reaches clients: messages and events to rooms, users and sockets."""

import asyncio
from collections.abc import Sequence
from typing import Any

from chat_service.commands import server_members
from chat_service.commands.relations import erase_message
from chat_service.contracts.bus import EVERYONE, Notify, NotifySocket, Topic, TopicKind
from chat_service.contracts.records import Page, ReadState
from chat_service.domain import listing
from chat_service.errors import ChatServiceError
from chat_service.service.server_api import ServerAPI
from chat_service.service.server_arguments import whole_number
from chat_service.service.transport_api import check_event
from chat_service.types import Message, SocketId


class AudienceAPI(ServerAPI):
    """Methods with which server code reaches clients, on all instances."""

    # Sending

    async def broadcast(self, room: str, message: Message) -> Any:
        """Store a message of the server in a room and send it to everyone there, as ``roomMessage`` does.

        Without a user, the message keeps the ``author`` that it has, if any. Its format is checked, and the
        hooks of ``roomMessage`` run. Returns the id of the message, or what a hook returned instead. Raises
        ``noRoom``, ``badArgument``.
        """
        return (await self.exec_user_command(True, "roomMessage", room, message))[0]

    async def erase_message(self, room: str, message_id: int) -> None:
        """Remove the content of a message and of its edits from the store, for moderation or privacy.

        Everyone in the room gets a deletion by the server first, unless the message was deleted before. What
        is left has its ``id``, ``timestamp`` and ``author``, and ``erased: true``. Reads all later messages
        of the room once. Raises ``noRoom``, ``noMessage``.
        """
        self._context.check_open()
        await erase_message(self._context, self._room(room), whole_number("message_id", message_id, 1))

    def broadcast_all(self, event: str, *data: Any) -> "asyncio.Task[None]":
        """Send an event to every socket with a confirmed login, on all instances.

        At most once, and in the order of the calls; the order among events to users and to rooms is not
        defined. Awaiting the returned task raises errors of the bus. Raises ``ValueError``, ``TypeError`` for
        an event or data that clients cannot receive.
        """
        check_event(event, data, self._context.limits.attachments)
        return self._publisher.publish(EVERYONE, Notify(event=event, args=data))

    def send_to_user(self, user: str, event: str, *data: Any) -> "asyncio.Task[None]":
        """Send an event to all sockets of a user, on all instances. Nothing happens if there are none.

        Sent as by ``broadcast_all``, to the user's instances only. Raises ``invalidName`` as well.
        """
        topic = Topic(TopicKind.USER, self._user(user))
        check_event(event, data, self._context.limits.attachments)
        return self._publisher.publish(topic, Notify(event=event, args=data))

    def send_to_socket(
        self, user: str | None, socket_id: str, event: str, *data: Any
    ) -> "asyncio.Task[None]":
        """Send an event to one socket of a user, on any instance. An unknown socket is ignored.

        With the user, only the user's instances get the event, in order with ``send_to_user``. A socket of
        another user is ignored. With None for the user, the event goes to every instance, and only the one
        that has the socket uses it: give the user whenever it is known. Raises as ``send_to_user`` does.
        """
        topic = EVERYONE if user is None else Topic(TopicKind.USER, self._user(user))
        if not isinstance(socket_id, str):
            raise TypeError(f"expected the id of a socket, got {socket_id!r}")
        check_event(event, data, self._context.limits.attachments)
        envelope = NotifySocket(socket_id=SocketId(socket_id), event=event, args=data)
        return self._publisher.publish(topic, envelope)

    async def send_room_event(
        self, room: str, name: str, data: Any = None, *, author: str | None = None
    ) -> None:
        """Send an event to the joined sockets of a room, as ``roomEvent`` does. Nothing is stored.

        ``author``: the user in whose name it is sent, who need not be in the room. The rate and the size are
        not limited. Raises ``noRoom``, ``noUser``, ``badArgument``.
        """
        who: Any = True if author is None else {"user_name": author, "bypass_permissions": True}
        await self.exec_user_command(who, "roomEvent", room, name, data)

    # Read marks

    async def mark_read(self, user: str, room: str, message_id: int) -> int:
        """Move a user's mark in a room to a message, whether they are in the room or not.

        All sockets of the user get ``roomReadEcho`` if it has moved; it never moves back. An id after the
        last message means the last one. Returns the id up to which the user has read now. Raises ``noUser``,
        ``noRoom``.
        """
        who = {"user_name": user, "bypass_permissions": True}
        read_id: int = (await self.exec_user_command(who, "roomMarkRead", room, message_id))[0]
        return read_id

    async def get_unread(self, user: str, rooms: Sequence[str]) -> dict[str, ReadState]:
        """How far a user has read rooms, whether they are in them or not, and how many messages follow.

        Takes any number of rooms, and leaves out those that do not exist. Raises ``noUser``, ``invalidName``.
        """
        self._context.check_open()
        names, store = [self._room(room) for room in rooms], self._context.store
        if not await store.user_exists(self._user(user)):
            raise ChatServiceError("noUser", user)
        found = await store.rooms_unread(names, self._user(user), bypass=True)
        return {str(room): state for room, state in found.items()}

    # Members

    async def list_members(
        self, room: str, limit: int = 100, cursor: str | None = None
    ) -> Page[listing.RoomMember]:
        """A page of the joined users of a room, in any order, with all their details.

        ``limit``: 1 to 10000; a page never has more. A user who is joined all the time is on at least one
        page. ``cursor``: None for the first page, then the previous page's ``cursor``, which is None after
        the last one. Raises ``noRoom``, and ``ValueError`` for an invalid limit or cursor.
        """
        self._context.check_open()
        return await listing.members(self._context.store, self._room(room), limit, cursor)

    async def add_member(self, user: str, room: str, socket_id: str | None = None) -> None:
        """Join one socket of a user to a room, or all their sockets, on all instances, as ``roomJoin`` does.

        The rules, limits and hooks of ``roomJoin`` apply, and all sockets of the user get
        ``roomJoinedEcho``. ``socket_id``: None for all sockets that are connected now; later ones have to
        join by themselves. Raises ``noUser``, ``noRoom``, ``notAllowed``, ``banned``, ``limitExceeded``,
        ``noUserOnline`` without a socket, ``invalidSocket`` for a given socket that the user does not have,
        and ``timeout`` if another instance does not answer. An error of one socket does not keep the others
        out.
        """
        self._context.check_open()
        name, target = self._user(user), self._room(room)

        async def join(one: str) -> None:
            await self.exec_user_command({"user_name": name, "id": one}, "roomJoin", target)

        if socket_id is not None:
            await join(socket_id)
        else:
            await server_members.join_all(self._context, name, join)

    async def remove_member(self, user: str, room: str) -> None:
        """Remove all sockets of a user from a room, on all instances, as if each had sent ``roomLeave``.

        The user gets ``roomLeftEcho`` for each socket and the room gets ``roomUserLeft``; there is no
        ``roomAccessRemoved``, because the user may join again. The hook ``on_leave`` runs, but not the hooks
        of ``roomLeave``. Once this has returned, no instance delivers to these sockets. Does nothing if the
        user is not in the room. Raises ``noUser``, ``noRoom``, and ``timeout`` if a living instance does not
        answer within ``bus_ack_timeout``: then its sockets may still be in the room. Call it again.
        """
        self._context.check_open()
        await server_members.leave_all(self._context, self._user(user), self._room(room))
