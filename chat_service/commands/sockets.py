"""Handlers of the commands about a socket: joining and leaving, on whichever instance holds it."""

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from chat_service.commands import conversations, messages
from chat_service.commands.spec import user_of
from chat_service.contracts.records import HistoryQuery
from chat_service.domain import connections, membership
from chat_service.domain.context import Context
from chat_service.domain.membership import JoinOutcome, PlacedHistory
from chat_service.domain.sessions import LoginState, Session
from chat_service.errors import ChatServiceError
from chat_service.hooks import CommandCall
from chat_service.types import RoomName, SocketId, UserName

#: Names of the operations that instances call on each other.
REMOTE_JOIN = "join"
REMOTE_JOIN_WITH_HISTORY = "join with history"
REMOTE_LEAVE = "leave"


async def list_own_sockets(context: Context, call: CommandCall) -> dict[SocketId, list[RoomName]]:
    limit = None if call.is_local_call else context.options.own_sockets_answer_limit
    sockets = await context.store.user_sockets(user_of(call), limit=limit)
    return {socket_id: sorted(info.rooms) for socket_id, info in sockets.items()}


async def room_join(context: Context, call: CommandCall, room_name: RoomName) -> int:
    if call.options:
        return await _join_with_history(context, call, room_name)
    session = _session_here(context, call)
    if session is None:
        njoined: int = await _on_holder(context, call, REMOTE_JOIN, room_name)
        return njoined
    if call.is_local_call:
        return (await _join_at_once(context, session, room_name)).njoined
    njoined, cursor, _ = await membership.join(context, session, room_name, is_local_call=False)
    if cursor is not None:
        call.answered = partial(membership.answer_join_soon, context, session, room_name, cursor)
    return njoined


async def _join_at_once(
    context: Context, session: Session, room: RoomName, query: HistoryQuery | None = None
) -> JoinOutcome:
    """A join by server code: there is no answer to the client that would have to come first."""
    outcome = await membership.join(context, session, room, is_local_call=True, query=query)
    if outcome.cursor is not None:
        membership.answer_join(context, session, room, outcome.cursor)
    return outcome


async def _join_with_history(context: Context, call: CommandCall, room: RoomName) -> int:
    """A join that also reads the messages requested by its options."""
    query = _query_of(context, call)
    session = _session_here(context, call)
    if session is None:
        asked: tuple[Any, ...] = (query.after, query.epoch, query.limit, query.recent)
        if query.fold:
            # Instances of earlier versions know four values.
            asked += (1,)
        njoined, placed = await _on_holder(context, call, REMOTE_JOIN_WITH_HISTORY, room, *asked)
        call.extra = (placed,)
        return int(njoined)
    if call.is_local_call:
        outcome = await _join_at_once(context, session, room, query)
    else:
        join = partial(membership.join, context, session, room, is_local_call=False, query=query)
        outcome = await messages.in_turn(context, call, join)
        if outcome.cursor is not None:
            call.answered = partial(membership.answer_join_soon, context, session, room, outcome.cursor)
    if outcome.history is not None:
        call.extra = (await messages.placed_history(context, call, room, outcome.history),)
    return outcome.njoined


def _as_plain(history: PlacedHistory) -> dict[str, Any]:
    """Convert for the bus, which cannot carry encoded messages."""
    data = messages.as_data(history)
    return {**data, "messages": list(data["messages"])}


def _query_of(context: Context, call: CommandCall) -> HistoryQuery:
    """The query of a join from its options. Raises ``badArgument`` if they contradict each other."""
    after, epoch, recent = (call.options.get(name) for name in ("after", "epoch", "recent"))
    if (after and epoch is None) or (after is None and epoch is not None):
        raise ChatServiceError("badArgument", len(call.args), call.rest_args[0])
    limit = context.options.history_max_get_messages
    return HistoryQuery(
        after=None if after is None else int(after),
        epoch=epoch,
        limit=limit,
        recent=limit if recent is None else min(int(recent), limit),
        max_bytes=context.options.history_max_get_bytes,
        fold=call.options.get("fold", False),
    )


async def login_refresh(context: Context, call: CommandCall, credentials: Any) -> int | None:
    session = _session_here(context, call)
    if session is None:
        raise ChatServiceError("invalidSocket", call.id)
    expires_at = await connections.refresh(context, session, credentials)
    return None if expires_at is None else math.floor(expires_at)


async def room_leave(context: Context, call: CommandCall, room_name: RoomName) -> int:
    session = _session_here(context, call)
    if session is None:
        njoined = int(await _on_holder(context, call, REMOTE_LEAVE, room_name))
    else:
        njoined = await membership.leave(context, session, room_name, is_local_call=call.is_local_call)
    if ":" in room_name or context.options.own_rooms_limit:
        await conversations.unlist(context, user_of(call), room_name)
    return njoined


def _session_here(context: Context, call: CommandCall) -> Session | None:
    """The session of a call's socket, None if it is on another instance or gone."""
    if call.id is None:
        raise ChatServiceError("noSocket", call.command)
    return _own_session(context, user_of(call), call.id)


async def _on_holder(context: Context, call: CommandCall, operation: str, *args: Any) -> Any:
    """Run an operation on the instance that holds the socket."""
    user, socket_id = user_of(call), call.id
    if socket_id is None:
        raise ChatServiceError("noSocket", call.command)
    info = (await context.store.user_sockets(user)).get(socket_id)
    if info is None or info.instance_id == context.instance_id():
        raise ChatServiceError("invalidSocket", socket_id)
    return await context.remote.call(info.instance_id, operation, user, socket_id, *args)


def _own_session(context: Context, user: UserName, socket_id: SocketId) -> Session | None:
    session = context.sessions.get(socket_id)
    if session is None or session.state is not LoginState.CONFIRMED:
        return None
    if session.user != user:
        raise ChatServiceError("invalidSocket", socket_id)
    return session


def register_remote(context: Context) -> None:
    """Allow other instances to join and leave rooms for sockets of this one."""

    async def join(context: Context, session: Session, room: RoomName) -> int:
        return (await _join_at_once(context, session, room)).njoined

    async def leave(context: Context, session: Session, room: RoomName) -> int:
        return await membership.leave(context, session, room, is_local_call=True)

    async def join_with_history(
        context: Context, session: Session, room: RoomName, after: int | None, epoch: str | None, *most: int
    ) -> tuple[int, Any]:
        limit, recent, *fold = most
        query = HistoryQuery(
            after=after,
            epoch=epoch,
            limit=limit,
            recent=recent,
            max_bytes=context.options.history_max_get_bytes,
            fold=bool(fold),
        )
        njoined, _, history = await _join_at_once(context, session, room, query)
        return njoined, None if history is None else _as_plain(history)

    def serve(operation: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(user: UserName, socket_id: SocketId, room: RoomName, *args: Any) -> Any:
            session = _own_session(context, user, socket_id)
            if session is None:
                raise ChatServiceError("invalidSocket", socket_id)
            async with context.serial.hold((socket_id, room)):
                return await operation(context, session, room, *args)

        return run

    context.remote.register(REMOTE_JOIN, serve(join))
    context.remote.register(REMOTE_JOIN_WITH_HISTORY, serve(join_with_history))
    context.remote.register(REMOTE_LEAVE, serve(leave))
