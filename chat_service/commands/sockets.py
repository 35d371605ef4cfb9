"""Handlers of the commands about a socket: joining and leaving, on whatever instance it is."""

from collections.abc import Awaitable, Callable
from functools import partial

from chat_service.commands.support import user_of
from chat_service.domain import membership
from chat_service.domain.context import Context
from chat_service.domain.sessions import LoginState, Session
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.types import RoomName, SocketId, UserName

#: Names of the operations that instances ask each other for.
REMOTE_JOIN = "join"
REMOTE_LEAVE = "leave"


async def list_own_sockets(context: Context, call: CommandCall) -> dict[SocketId, list[RoomName]]:
    sockets = await context.store.user_sockets(user_of(call))
    return {socket_id: sorted(info.rooms) for socket_id, info in sockets.items()}


async def room_join(context: Context, call: CommandCall, room_name: RoomName) -> int:
    session = _session_here(context, call)
    if session is None:
        return await _on_holder(context, call, room_name, REMOTE_JOIN)
    if call.is_local_call:
        return await _join(context, session, room_name)
    njoined, cursor = await membership.join(context, session, room_name, is_local_call=False)
    if cursor is not None:
        call.answered = partial(membership.answer_join_soon, context, session, room_name, cursor)
    return njoined


async def _join(context: Context, session: Session, room: RoomName) -> int:
    """A join that server code has asked for: the client gets no answer that would have to come first."""
    njoined, cursor = await membership.join(context, session, room, is_local_call=True)
    if cursor is not None:
        membership.answer_join(context, session, room, cursor)
    return njoined


async def room_leave(context: Context, call: CommandCall, room_name: RoomName) -> int:
    session = _session_here(context, call)
    if session is None:
        return await _on_holder(context, call, room_name, REMOTE_LEAVE)
    return await membership.leave(context, session, room_name, is_local_call=call.is_local_call)


def _session_here(context: Context, call: CommandCall) -> Session | None:
    """The session of a call's socket, None when it is elsewhere or nowhere."""
    if call.id is None:
        raise ChatServiceError("noSocket", call.command)
    return _own_session(context, user_of(call), call.id)


async def _on_holder(context: Context, call: CommandCall, room: RoomName, operation: str) -> int:
    """Run an operation on the instance that holds the socket."""
    user, socket_id = user_of(call), call.id
    if socket_id is None:
        raise ChatServiceError("noSocket", call.command)
    info = (await context.store.user_sockets(user)).get(socket_id)
    if info is None or info.instance_id == context.instance_id():
        raise ChatServiceError("invalidSocket", socket_id)
    result: int = await context.remote.call(info.instance_id, operation, user, socket_id, room)
    return result


def _own_session(context: Context, user: UserName, socket_id: SocketId) -> Session | None:
    session = context.sessions.get(socket_id)
    if session is None or session.state is not LoginState.CONFIRMED:
        return None
    if session.user != user:
        raise ChatServiceError("invalidSocket", socket_id)
    return session


def register_remote(context: Context) -> None:
    """Let other instances join and leave for sockets of this one."""

    async def leave(context: Context, session: Session, room: RoomName) -> int:
        return await membership.leave(context, session, room, is_local_call=True)

    def serve(operation: Callable[..., Awaitable[int]]) -> Callable[..., Awaitable[int]]:
        async def run(user: UserName, socket_id: SocketId, room: RoomName) -> int:
            session = _own_session(context, user, socket_id)
            if session is None:
                raise ChatServiceError("invalidSocket", socket_id)
            async with context.serial.hold((socket_id, room)):
                return await operation(context, session, room)

        return run

    context.remote.register(REMOTE_JOIN, serve(_join))
    context.remote.register(REMOTE_LEAVE, serve(leave))
