"""Middlewares of the chat, as hooks of a service."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from chat_service.contracts.bus import Notify, RoomEvent
from chat_service.domain import screening
from chat_service.domain.context import Context
from chat_service.hooks import CommandCall, Hook, MembershipInfo, call_hook
from chat_service.transports.actionhero.hero_options import Payload
from chat_service.transports.actionhero.hero_views import (
    HERO_MESSAGE,
    HeroPayload,
    as_message,
    payload_of,
    said_in,
    servers_fields,
)
from chat_service.types import RoomName, SocketId


class Hearing:
    """Waits for messages of one room to arrive on this instance. A ``Tap``."""

    def __init__(self, context: Context, room: RoomName) -> None:
        self._context = context
        self.room = room
        self._is_open = False
        self._last = 0
        self._changed = asyncio.Event()

    async def listen(self) -> None:
        """Hear whatever is sent from now on."""
        if not self._is_open:
            self._is_open = True
            await self._context.delivery.taps.open(self.room, self)

    async def wait_for(self, message_id: int) -> None:
        """Return when the message has arrived, or after ``bus_ack_timeout``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._context.options.bus_ack_timeout):
                while self._last < message_id:
                    await self._changed.wait()
                    self._changed.clear()

    async def close(self) -> None:
        """Stop listening."""
        if self._is_open:
            await self._context.delivery.taps.close(self.room, self)

    def hear(self, event: RoomEvent | Notify) -> None:
        """Part of ``Tap``."""
        if isinstance(event, RoomEvent):
            self._last = max(self._last, event.last_message_id)
            self._changed.set()

    def interrupt(self) -> None:
        """Part of ``Tap``."""
        self._last = sys.maxsize
        self._changed.set()


#: The names of ActionHero's transports, with the types of their connections.
_HERO_TYPES: Final = {"primus": "websocket", "socket": "socket"}
_NOTHING: Final = object()
#: Seconds between two looks at whether a recipient's middlewares are done.
_SAY_PAUSE: Final = 0.005
#: What ``broadcast`` is sending in this task. It may have forms that the service does not accept of clients.
said_here: ContextVar[Any] = ContextVar("hero_said", default=_NOTHING)
#: The leave whose middlewares are running in this task.
leave_here: ContextVar[Hearing | None] = ContextVar("hero_leave", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection, as middlewares see it."""

    #: The id of its socket, "0" for a message of the server.
    id: str
    #: The name of its user: of a connection without a login, its id.
    user_name: str | None
    #: The transport: "socket" for lines of TCP and "websocket" for Primus, as in ActionHero.
    type: str
    fingerprint: str
    remote_ip: str | None
    #: The rooms that it has joined; empty for a connection of another instance.
    rooms: tuple[str, ...]


#: The sender of the server's own messages.
SERVER: Final = Connection(id="0", user_name=None, type="server", fingerprint="0", remote_ip=None, rooms=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMiddleware:
    """Functions or coroutine functions that see and change the chat. Lower priorities run first."""

    name: str
    priority: int = 100
    #: ``join(connection, room)``, before a connection joins. Raising refuses the join.
    join: Hook | None = None
    #: ``leave(connection, room)``, before a connection leaves. Raising refuses the leave, unless the
    #: connection has gone or has lost its access.
    leave: Hook | None = None
    #: ``on_say_receive(connection, room, payload)``, once for each message. Returns the payload to send, or
    #: None to send nothing.
    on_say_receive: Hook | None = None
    #: ``say(connection, room, payload)``, for each recipient. Returns the payload for this one, or None.
    say: Hook | None = None


class Middlewares:
    """The middlewares of one service. Its hooks are set when the first middleware needs them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._middlewares: Sequence[ChatMiddleware] = ()
        self._kinds: set[str] = set()
        # Leaves of (socket, room) whose middlewares have run before the change.
        self._announced: set[tuple[str, str]] = set()
        #: The form in which clients of ActionHero get a message.
        self.payload: Payload = payload_of
        # A removal of members waits for this hook on every instance.
        context.hooks.wrap("on_leave", self._around_leave)
        # ``broadcast`` needs it in any case.
        context.hooks.add_before("roomMessage", self._before_message, 0)

    def add(self, added: ChatMiddleware) -> None:
        """Add one. It replaces one of the same name."""
        kept = [item for item in self._middlewares if item.name != added.name]
        self._middlewares = sorted([*kept, added], key=lambda item: item.priority)
        hooks = self._context.hooks
        if self._is_first("join", added.join):
            hooks.add_before("roomJoin", self._before_join)
        if self._is_first("leave", added.leave):
            # The last one, so that no other hook can refuse the leave after it has been announced.
            hooks.set_last_before("roomLeave", self._before_leave)
            hooks.add_after("roomLeave", self._after_leave)
        if self._is_first("say", added.say):
            hooks.wrap(screening.HOOK, self._around_receive)
            # The service may have started already.
            screening.install(self._context)

    def _is_first(self, kind: str, hook: Hook | None) -> bool:
        if hook is None or kind in self._kinds:
            return False
        self._kinds.add(kind)
        return True

    def _of(self, kind: str) -> Sequence[Hook]:
        """The functions of the middlewares for one occasion, in their order."""
        found = (getattr(item, kind) for item in self._middlewares)
        return [hook for hook in found if hook is not None]

    async def _call(self, hook: Hook, *args: Any) -> Any:
        return await call_hook(hook, *args, limit=self._context.hooks.timeout)

    # Join and leave

    async def _before_join(self, call: CommandCall) -> None:
        room = call.args[0]
        if call.id is None or self.is_joined(call.id, room) or not await self._context.service.has_room(room):
            # Nothing is going to change.
            return
        for hook in self._of("join"):
            await self._call(hook, self.connection(call.id), room)

    async def _before_leave(self, call: CommandCall) -> None:
        room = call.args[0]
        if call.id is None or not self.is_joined(call.id, room):
            # For a socket of another instance, that one runs them.
            return
        # The one who leaves hears what is said about it.
        hearing = Hearing(self._context, RoomName(room))
        token = leave_here.set(hearing)
        try:
            await self._run_leave(call.id, room)
            await self._wait_for_says(call.id, room)
        finally:
            leave_here.reset(token)
            await hearing.close()
        self._announced.add((call.id, room))

    async def _wait_for_says(self, socket_id: str, room: str) -> None:
        """A message for a recipient passes its middlewares first, for up to ``bus_ack_timeout``."""
        screen = self._context.delivery.screen
        with suppress(TimeoutError):
            async with asyncio.timeout(self._context.options.bus_ack_timeout):
                # The screen tells nobody when it is done.
                while screen is not None and socket_id in screen.waiting(RoomName(room)):  # noqa: ASYNC110
                    await asyncio.sleep(_SAY_PAUSE)

    async def _after_leave(self, call: CommandCall) -> None:
        if call.id is not None:
            self._announced.discard((call.id, call.args[0]))

    def _around_leave(self, own: Hook | None) -> Hook:
        async def on_leave(service: Any, info: MembershipInfo) -> None:
            if (info.id, info.room_name) not in self._announced:
                await self._run_leave(info.id, info.room_name)
            if own is not None:
                await self._call(own, service, info)

        return on_leave

    async def _run_leave(self, socket_id: str, room: str) -> None:
        for hook in self._of("leave"):
            await self._call(hook, self.connection(socket_id), room)

    # Messages

    async def _before_message(self, call: CommandCall) -> list[Any] | None:
        """The message of ``broadcast``, or the middlewares' version of a message, replaces the argument."""
        said = said_here.get()
        room, message = call.args
        author = {"author": message["author"]} if "author" in message and call.user_name is None else {}
        if said is not _NOTHING:
            said_here.set(_NOTHING)
            message = {**as_message(said), **author}
        hooks = self._of("on_say_receive")
        if hooks:
            sender = SERVER if call.id is None else self.connection(call.id)
            stamp = {
                "author": call.user_name or author.get("author"),
                "timestamp": self._context.clock.now_ms(),
            }
            payload: Any = dict(self.payload(room, {**message, **stamp}))
            for hook in hooks:
                payload = await self._call(hook, sender, room, payload)
                if payload is None:
                    return [None]
            said = payload.get("message")
            if said != said_in(message):
                message = {**as_message(said), **author}
        call.args[1] = message
        return None

    def _around_receive(self, own: Hook | None) -> Hook:
        async def on_message_receive(
            service: Any, user: str, socket_id: str, room: str, message: Mapping[str, Any]
        ) -> Mapping[str, Any] | None:
            given: Any = message
            if own is not None:
                given = await self._call(own, service, user, socket_id, room, message)
                if given is None:
                    return None
            payload = await self._say(socket_id, room, given)
            if payload is None:
                return None
            said = payload.get("message")
            changed = given if said == said_in(given) else {**servers_fields(given), **as_message(said)}
            if self._context.transport.get_handshake(SocketId(socket_id)).transport in _HERO_TYPES:
                return {**changed, HERO_MESSAGE: HeroPayload(payload)}
            return changed

        return on_message_receive

    async def _say(self, socket_id: str, room: str, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """The middlewares' version of a message for one recipient."""
        connection = self.connection(socket_id)
        payload: Any = dict(self.payload(room, message))
        for hook in self._of("say"):
            payload = await self._call(hook, connection, room, payload)
            if payload is None:
                return None
        return dict(payload)

    # Connections

    def connection(self, connection_id: str) -> Connection:
        """The facts that this instance knows about a connection."""
        socket_id = SocketId(connection_id)
        handshake = self._context.transport.get_handshake(socket_id)
        session = self._context.sessions.get(socket_id)
        rooms = {} if session is None else session.rooms
        return Connection(
            id=connection_id,
            user_name=None if session is None else session.user,
            type=_HERO_TYPES.get(handshake.transport, handshake.transport),
            fingerprint=handshake.fingerprint or connection_id,
            remote_ip=handshake.remote_addr,
            rooms=tuple(room for room, joined in rooms.items() if joined is not None),
        )

    def is_joined(self, connection_id: str, room: str) -> bool:
        """Whether a connection of this instance is in a room."""
        session = self._context.sessions.get(SocketId(connection_id))
        return session is not None and session.rooms.get(RoomName(room)) is not None
