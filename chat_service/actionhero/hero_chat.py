"""The chat API of ActionHero's servers over a ``ChatService``, for programs that move from there."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from chat_service.actionhero.hero_middlewares import (
    ChatMiddleware,
    Connection,
    Middlewares,
    leave_here,
    said_here,
)
from chat_service.contracts.transport import Transport
from chat_service.errors import ChatServiceError
from chat_service.hooks import Hook, call_hook
from chat_service.service.chat_service import ChatService
from chat_service.transports.actionhero.hero_dialect import ActionHeroDialect
from chat_service.transports.actionhero.hero_options import Payload
from chat_service.transports.actionhero.hero_texts import HERO_TEXTS
from chat_service.transports.actionhero.hero_views import HERO_MESSAGE, room_view
from chat_service.transports.transport_group import TransportGroup
from chat_service.types import SocketId

#: Rooms, and members of a room, that are read at a time.
_PAGE: Final = 1000
#: The sender of a message: a connection or its id; None or {} for the server; {"id": …} for an invented
#: sender.
Sender = Connection | str | Mapping[str, Any] | None


class ActionHeroError(ChatServiceError):
    """An error with the text that it has in ActionHero. Its codes are those of the service."""

    texts = {  # noqa: RUF012 - overridden, never changed
        "alreadyJoined": HERO_TEXTS["connection_already_in_room"],
        "noRoom": HERO_TEXTS["connection_room_not_exist"],
        "notJoined": HERO_TEXTS["connection_not_in_room"],
        "roomExists": HERO_TEXTS["connection_room_exists"],
        "roomAndMessageRequired": HERO_TEXTS["connection_room_and_message"],
    }


@contextmanager
def _hero_errors() -> Iterator[None]:
    """Give errors of the service the texts of ActionHero."""
    try:
        yield
    except ChatServiceError as error:
        if type(error) is ChatServiceError and error.code in ActionHeroError.texts:
            raise ActionHeroError(error.code, *error.arguments) from error
        raise


def _dialects(transport: Transport) -> Iterator[ActionHeroDialect]:
    """The dialects of ActionHero that a service speaks."""
    members = transport.members if isinstance(transport, TransportGroup) else (transport,)
    for member in members:
        dialect = getattr(member, "dialect", None)
        if isinstance(dialect, ActionHeroDialect):
            yield dialect


class ActionHeroChat:
    """ActionHero's chat API over a service. A connection is named by the id of its socket.

    Errors are ``ActionHeroError``s. Middlewares run for the clients of all transports. One for recipients is
    costly: with it, every message is encoded for each of them.
    """

    def __init__(self, service: ChatService) -> None:
        """Create it before the service starts."""
        self._service = service
        self._context = service._context
        self._middlewares = Middlewares(self._context)
        #: A function of a joining ``Connection``: the details of it that are stored beside its membership, up
        #: to 1 KiB as JSON. None stores none.
        self.generate_member_details: Hook | None = None
        #: A function of stored details: those that clients see. None shows everything.
        self.sanitize_member_details: Hook | None = None
        hooks = self._context.hooks
        hooks.wrap("member_details", self._around_details)
        hooks.wrap("public_member_details", lambda own: self.sanitize_member_details or own)
        for dialect in _dialects(self._context.transport):
            self._middlewares.payload = dialect.payload

    # Rooms

    async def add(self, room: str) -> None:
        """Create a room. Raises ``roomExists``."""
        with _hero_errors():
            await self._service.add_room(room)

    async def destroy(self, room: str) -> None:
        """Tell the members that the room has been deleted, and delete it. Raises ``noRoom``."""
        await self.broadcast(None, room, HERO_TEXTS["connection_room_has_been_deleted"])
        with _hero_errors():
            await self._service.delete_room(room)

    async def exists(self, room: str) -> bool:
        """Whether a room exists."""
        return await self._service.has_room(room)

    async def list(self) -> list[str]:
        """The names of all rooms."""
        found: dict[str, None] = {}
        cursor, is_last = None, False
        while not is_last:
            page = await self._service.list_rooms(_PAGE, cursor)
            found.update(dict.fromkeys(room.name for room in page.items))
            cursor, is_last = page.cursor, page.cursor is None
        return [*found]

    async def room_status(self, room: str) -> dict[str, Any]:
        """``{room, membersCount, members: {id: {id, joinedAt}}}`` with all members. Raises ``noRoom``."""
        status: dict[str, Any] = {}
        members: dict[str, Any] = {}
        options: dict[str, Any] = {"limit": _PAGE}
        while True:
            with _hero_errors():
                (page,) = await self._service.exec_user_command(True, "roomGetStatus", room, options=options)
            status = room_view({**page, "members": [await self._shown(member) for member in page["members"]]})
            members.update(status["members"])
            if page["cursor"] is None:
                return {**status, "members": members}
            options = {"limit": _PAGE, "cursor": page["cursor"]}

    async def _shown(self, member: Mapping[str, Any]) -> Mapping[str, Any]:
        """A member with the details that clients may see."""
        sanitize = self._context.hooks.get("public_member_details")
        details = member.get("details")
        if sanitize is None or details is None:
            return member
        return {**member, "details": await call_hook(sanitize, details, limit=self._context.hooks.timeout)}

    # Members

    async def add_member(self, connection_id: str, room: str) -> bool:
        """Join a connection of any instance to a room.

        Raises ``alreadyJoined``, ``noRoom``, and what a middleware raises.
        """
        user = await self._user_of(connection_id)
        if room in await self._rooms_of(user, connection_id):
            raise ActionHeroError("alreadyJoined", room)
        await self._run(user, connection_id, "roomJoin", room)
        return True

    async def remove_member(self, connection_id: str, room: str) -> bool:
        """Remove a connection of any instance from a room.

        Raises ``notJoined``, and for a connection of this instance what a middleware raises.
        """
        user = await self._user_of(connection_id)
        if room not in await self._rooms_of(user, connection_id):
            raise ActionHeroError("notJoined", room)
        await self._run(user, connection_id, "roomLeave", room)
        return True

    async def _run(self, user: str, connection_id: str, command: str, room: str) -> None:
        caller = {"user_name": user, "id": connection_id}
        with _hero_errors():
            await self._service.exec_user_command(caller, command, room)

    async def _user_of(self, connection_id: str) -> str:
        """The user of a connection; one of another instance has no login, and so is named by its id."""
        session = self._context.sessions.get(SocketId(connection_id))
        return connection_id if session is None or session.user is None else session.user

    async def _rooms_of(self, user: str, connection_id: str) -> Collection[str]:
        session = self._context.sessions.get(SocketId(connection_id))
        if session is not None:
            return [room for room, joined in session.rooms.items() if joined is not None]
        with _hero_errors():
            (sockets,) = await self._service.exec_user_command(user, "listOwnSockets")
        if connection_id not in sockets:
            raise ActionHeroError("invalidSocket", connection_id)
        rooms: Collection[str] = sockets[connection_id]
        return rooms

    # Messages

    async def broadcast(self, connection: Sender, room: str, message: Any) -> None:
        """Send a message to a room.

        ``connection``: the ``Connection`` that says it, or its id, which must be in the room; None or an
        empty mapping for the server, whose id is "0"; a mapping with the ``id`` of an invented sender.
        ``message``: a text or other JSON. Raises ``noRoom``, ``notJoined``, ``roomAndMessageRequired`` and
        what a middleware raises.
        """
        if not room or message is None or message == "":
            raise ActionHeroError("roomAndMessageRequired")
        body: dict[str, Any] = {"textMessage": ""}
        caller: Any = True
        if isinstance(connection, Mapping):
            if connection.get("id") is not None:
                body["author"] = str(connection["id"])
        elif connection is not None:
            socket_id = connection if isinstance(connection, str) else connection.id
            caller = {"user_name": await self._user_of(socket_id), "id": socket_id}
        hearing = leave_here.get()
        if hearing is not None and hearing.room == room:
            await hearing.listen()
        else:
            hearing = None
        token = said_here.set(message)
        try:
            with _hero_errors():
                results = await self._service.exec_user_command(caller, "roomMessage", room, body)
        finally:
            said_here.reset(token)
        if hearing is not None and isinstance(results[0], int):
            await hearing.wait_for(results[0])

    async def send_message(self, connection_id: str, message: Mapping[str, Any]) -> None:
        """Send a message of any form to a connection of ActionHero's clients, on any instance."""
        session = self._context.sessions.get(SocketId(connection_id))
        user = None if session is None else session.user
        await self._service.send_to_socket(user, connection_id, HERO_MESSAGE, message)

    # What applications replace

    @property
    def generate_message_payload(self) -> Payload:
        """A function of a room and of a stored message: the form in which ActionHero's clients get it.

        Assign another one to replace it.
        """
        return self._middlewares.payload

    @generate_message_payload.setter
    def generate_message_payload(self, payload: Payload) -> None:
        self._middlewares.payload = payload
        for dialect in _dialects(self._context.transport):
            dialect.payload = payload

    def _around_details(self, own: Hook | None) -> Hook | None:
        generate = self.generate_member_details
        if generate is None:
            return own
        return lambda service, user, socket_id: generate(self.connection(socket_id))

    def add_middleware(self, middleware: ChatMiddleware | None = None, **fields: Any) -> None:
        """Add a ``ChatMiddleware``, or one of these fields. It replaces one of the same name."""
        self._middlewares.add(ChatMiddleware(**fields) if middleware is None else middleware)

    def connection(self, connection_id: str) -> Connection:
        """The facts that this instance knows about a connection."""
        return self._middlewares.connection(connection_id)
