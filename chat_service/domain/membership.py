"""Joining and leaving rooms: one operation at a time per socket and room, including hooks.

Some functions must be called inside ``context.serial.hold((socket_id, room))``; they say so.
"""

import asyncio
from dataclasses import replace
from typing import Any, NamedTuple

from chat_service.contracts.bus import RoomCursor
from chat_service.contracts.records import HistoryQuery, JoinHistory, JoinResult
from chat_service.domain import removal
from chat_service.domain.access_loss import access_lost
from chat_service.domain.context import Context
from chat_service.domain.decisions import DecidedJoin
from chat_service.domain.member_details import details_of_socket
from chat_service.domain.removal import Seat, forget, leave_room, seat_of
from chat_service.domain.sessions import Session
from chat_service.errors import ChatServiceError, StoreRefusedError
from chat_service.hooks import Hook, MembershipInfo, call_hook
from chat_service.types import RoomName


class JoinOutcome(NamedTuple):
    """The outcome of a join."""

    #: Number of the user's sockets that are joined now.
    njoined: int
    #: ``answer_join`` has to follow with it; None if the socket was already joined and did not ask for
    #: messages.
    cursor: RoomCursor | None
    #: The messages that the join has read, with the epoch and the last message at its position; None without
    #: a query.
    history: "PlacedHistory | None" = None


class PlacedHistory(NamedTuple):
    """The messages that a join has read.

    The socket gets every message after ``last_message_id``, and none before.
    """

    epoch: str
    last_message_id: int
    read: JoinHistory


async def join(
    context: Context,
    session: Session,
    room: RoomName,
    *,
    is_local_call: bool,
    query: HistoryQuery | None = None,
) -> JoinOutcome:
    """Join a socket of this instance to a room. Call inside the hold.

    The socket gets no events of the room before ``answer_join``. ``query``: also read messages.
    """
    if session.is_closed:
        raise ChatServiceError("invalidSocket", session.socket_id)
    seat = seat_of(session, room)
    if room not in session.rooms and len(session.rooms) >= context.options.rooms_per_socket_limit:
        raise ChatServiceError("limitExceeded", "rooms of a socket")
    with context.failures.watch_lock(seat.failure, "room_join"):
        before = session.rooms.setdefault(room, None)
        place = None
        if query is not None and before is not None:
            place = context.delivery.repeat_join(room, session.socket_id)
        try:
            result = await _join_store(context, session, seat, before, echo_all=is_local_call, query=query)
        except BaseException:
            if place is not None:
                context.delivery.answer_join(room, session.socket_id)
            raise
        if before is not None and not result.changed:
            await context.delivery.abort_join(room, session.socket_id)
            if query is None:
                return JoinOutcome(result.njoined, None)
            return JoinOutcome(result.njoined, before, _placed(result, query, place))
        if before is not None:
            # Access was lost and given back, and the event about the loss has not arrived yet.
            await removal.end_membership(context, session, room)
        await _begin_membership(context, session, seat, result, echo_all=is_local_call)
        placed = None if query is None else _placed(result, query, None)
        return JoinOutcome(result.njoined, result.cursor, placed)


def _placed(result: JoinResult, query: HistoryQuery | None, place: int | None) -> PlacedHistory | None:
    """The messages that the join has read, up to the position of its socket.

    ``place``: the last message that an already joined socket got, or is about to get. The room may be
    further ahead; later messages come after the answer.
    """
    read = result.history
    if read is None or query is None:
        return None
    if place is None or place >= result.last_message_id:
        return PlacedHistory(result.cursor.epoch, result.last_message_id, read)
    if query.after == place and query.epoch in (None, result.cursor.epoch):
        # Nothing is missing, even if later messages are no longer stored: they come live.
        return PlacedHistory(result.cursor.epoch, place, JoinHistory(recovered=True, messages=[]))
    messages = [message for message in read.messages if message["id"] <= place]
    more = read.more and len(messages) == len(read.messages)
    return PlacedHistory(result.cursor.epoch, place, replace(read, messages=messages, more=more))


def answer_join(context: Context, session: Session, room: RoomName, cursor: RoomCursor) -> None:
    """The client knows of the join at ``cursor``: from now on the socket gets later events."""
    if session.rooms.get(room) is cursor:
        context.delivery.answer_join(room, session.socket_id)


def answer_join_soon(context: Context, session: Session, room: RoomName, cursor: RoomCursor) -> None:
    """The client will know of the join before anything else runs: transports send answers immediately."""
    if session.rooms.get(room) is not cursor:
        return
    if context.delivery.has_kept(room, session.socket_id):
        asyncio.get_running_loop().call_soon(answer_join, context, session, room, cursor)
    else:
        context.delivery.answer_join(room, session.socket_id)


async def _join_store(
    context: Context,
    session: Session,
    seat: Seat,
    before: RoomCursor | None,
    *,
    echo_all: bool,
    query: HistoryQuery | None,
) -> JoinResult:
    begun = False
    more: dict[str, Any] = {}
    if context.options.own_rooms_limit and not session.is_ephemeral:
        more["own_limit"] = context.options.own_rooms_limit
    try:
        hook = context.hooks.get("member_details")
        if hook is not None:
            more["details"] = await details_of_socket(context, hook, seat.user, seat.socket_id)
        await context.delivery.begin_join(seat.room, seat.socket_id)
        begun = True
        return await context.store.room_join(
            seat.room,
            seat.user,
            seat.socket_id,
            session.instance_id or context.instance_id(),
            context.clock.now_ms(),
            announce=context.hooks.get("on_join") is None,
            echo_all=echo_all,
            query=query,
            seen_limit=0 if session.is_ephemeral else context.options.seen_limit,
            **more,
        )
    except BaseException as error:
        if begun:
            await context.delivery.abort_join(seat.room, seat.socket_id)
        if before is None and await _has_left_nothing(context, seat, error):
            session.rooms.pop(seat.room, None)
        raise


async def _has_left_nothing(context: Context, seat: Seat, error: BaseException) -> bool:
    """Whether a join that failed in the store has certainly not happened, or was undone."""
    if isinstance(error, ChatServiceError):
        return True
    if isinstance(error, StoreRefusedError):
        # The room has not changed, but the index may name it.
        context.failures.suspect_leftovers()
        return True
    return await _undo(context, seat, "room_join")


async def _begin_membership(
    context: Context, session: Session, seat: Seat, result: JoinResult, *, echo_all: bool
) -> None:
    """The store has joined the socket. Fully undone if the transport or ``on_join`` raises."""
    room, socket_id = seat.room, seat.socket_id
    join = DecidedJoin(result.cursor, result.last_message_id)
    try:
        lost_at = context.delivery.decide_join(room, socket_id, seat.user, join)
    except BaseException:
        session.rooms.pop(room, None)
        await context.delivery.abort_join(room, socket_id)
        # Without a hook, the others have already been notified.
        await _undo_or_keep(context, session, seat, echo=context.hooks.get("on_join") is None)
        raise
    session.rooms[room] = result.cursor
    session.told.discard(room)
    if lost_at is not None:
        access_lost(context, room, [(session, lost_at)])
    hook = context.hooks.get("on_join")
    if hook is not None:
        await _call_on_join(context, session, seat, result, hook, echo_all=echo_all)
    if context.hooks.witness is not None:
        context.hooks.witness("join", seat.facts(result.njoined))


async def _call_on_join(
    context: Context, session: Session, seat: Seat, result: JoinResult, hook: Hook, *, echo_all: bool
) -> None:
    room, socket_id = seat.room, seat.socket_id
    info = MembershipInfo(id=socket_id, user_name=seat.user, njoined=result.njoined, room_name=room)
    try:
        await call_hook(hook, context.service, info, limit=context.hooks.timeout)
        await context.store.room_announce(room, seat.user, socket_id, echo_all=echo_all)
    except BaseException:
        await forget(context, session, room)
        await _undo_or_keep(context, session, seat)
        raise


async def _undo_or_keep(context: Context, session: Session, seat: Seat, *, echo: bool = False) -> None:
    if not await _undo(context, seat, "room_leave", echo=echo):
        _keep_in_mind(session, seat.room)


async def _undo(context: Context, seat: Seat, op_type: str, *, echo: bool = False) -> bool:
    """Undo a failed join in the store. Returns whether nothing is left; otherwise it is cleaned up later."""
    try:
        # It did not count as a join, so ``on_leave`` is not called.
        await leave_room(context, seat, is_told=False, echo=echo)
    except Exception as error:
        context.failures.store(error, seat.failure(op_type))
        return False
    return True


def _keep_in_mind(session: Session, room: RoomName) -> None:
    """The store may have the socket in the room. It is removed when the store answers again, or at the
    disconnect.
    """
    if session.is_closed:
        session.is_left_over = True
    else:
        session.rooms[room] = None


async def leave(context: Context, session: Session, room: RoomName, *, is_local_call: bool) -> int:
    """Leave a room. Call inside the hold. Returns the number of the user's sockets that are still joined.

    Raises ``noRoom`` if the room does not exist.
    """
    seat = seat_of(session, room)
    with context.failures.watch_lock(seat.failure, "room_leave"):
        try:
            result = await leave_room(context, seat, is_told=False, echo=True, echo_all=is_local_call)
        except (ChatServiceError, StoreRefusedError):
            # The leave has not happened.
            raise
        except Exception as error:
            # The leave may have happened: the socket gets no more events.
            context.failures.store(error, seat.failure("room_leave"))
            if await forget(context, session, room):
                await removal.call_on_leave(context, seat, 0)
            session.rooms[room] = None
            raise
        was_joined = await forget(context, session, room)
        if result.changed or was_joined:
            await removal.call_on_leave(context, seat, result.njoined)
        if was_joined and not result.changed:
            # Its access was lost, and the event about it may not have arrived yet.
            removal.tell(context, session, room)
        if not result.room_exists:
            raise ChatServiceError("noRoom", room)
        return result.njoined


async def leave_by_disconnect(context: Context, session: Session, room: RoomName) -> int | None:
    """Leave a room because the socket is gone. Call inside the hold.

    Returns the number of the user's sockets that are still joined, None if the socket was not joined. Never
    raises.
    """
    seat = seat_of(session, room)
    with context.failures.watch_lock(seat.failure, "room_leave"):
        was_joined = await forget(context, session, room)
        try:
            result = await leave_room(context, seat, was_joined=was_joined, keep_index=True)
        except Exception as error:
            context.failures.store(error, seat.failure("room_leave"))
            _keep_in_mind(session, room)
            if was_joined:
                await removal.call_on_leave(context, seat, 0)
            return None
        return result.njoined if result.changed else None
