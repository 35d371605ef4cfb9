"""Joining and leaving rooms: one socket, one room, one at a time, hooks included.

The functions that say so are called inside ``context.serial.hold((socket_id, room))``.
"""

import logging

from chat_service.contracts.bus import RoomCursor
from chat_service.contracts.store import JoinResult
from chat_service.domain.consistency import FailureInfo
from chat_service.domain.context import Context
from chat_service.domain.sessions import Session
from chat_service.errors import ChatServiceError, StoreError, StoreRefusedError
from chat_service.hooks import MembershipInfo, call_hook
from chat_service.types import RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")


def _info(op_type: str, session: Session, room: RoomName) -> FailureInfo:
    return FailureInfo(op_type=op_type, user_name=session.user, room_name=room, id=session.socket_id)


def _user(session: Session) -> UserName:
    if session.user is None:
        raise ChatServiceError("noLogin")
    return session.user


async def join(context: Context, session: Session, room: RoomName, *, is_local_call: bool) -> int:
    """Join a socket of this instance to a room. Call inside the hold. Returns the user's joined sockets."""
    if session.is_closed:
        raise ChatServiceError("invalidSocket", session.socket_id)
    with context.failures.watch_lock(_info("room_join", session, room)):
        before = session.rooms.setdefault(room, None)
        result = await _join_store(context, session, room, before, echo_all=is_local_call)
        if before is not None and not result.changed:
            await context.delivery.abort_join(room, session.socket_id)
            return result.njoined
        if before is not None:
            # The access was lost and given back, and the news of the loss is still on its way.
            context.delivery.expel(room, session.socket_id)
            await context.delivery.release(room)
            await _call_on_leave(context, session, room, 0)
        session.rooms[room] = result.cursor
        context.delivery.complete_join(room, session.socket_id, result.cursor, result.last_message_id)
        await _call_on_join(context, session, room, result, echo_all=is_local_call)
        return result.njoined


async def _join_store(
    context: Context, session: Session, room: RoomName, before: RoomCursor | None, *, echo_all: bool
) -> JoinResult:
    socket_id = session.socket_id
    begun = False
    try:
        await context.delivery.begin_join(room, socket_id)
        begun = True
        return await context.store.room_join(
            room,
            _user(session),
            socket_id,
            session.instance_id or context.instance_id(),
            context.clock.now_ms(),
            announce=context.hooks.get("on_join") is None,
            echo_all=echo_all,
        )
    except BaseException as error:
        if begun:
            await context.delivery.abort_join(room, socket_id)
        if before is None and await _was_undone(context, session, room, error):
            session.rooms.pop(room, None)
        raise


async def _was_undone(context: Context, session: Session, room: RoomName, error: BaseException) -> bool:
    """Whether a failed join has surely left nothing behind; else it is cleaned later."""
    if isinstance(error, ChatServiceError):
        return True
    if isinstance(error, StoreRefusedError):
        # The room has not changed; the index may name it.
        context.failures.suspect_leftovers()
        return True
    try:
        await context.store.room_leave(
            room, _user(session), session.socket_id, context.clock.now_ms(), echo=False
        )
    except StoreError as failure:
        context.failures.store(failure, _info("room_join", session, room))
        return False
    return True


async def _call_on_join(
    context: Context, session: Session, room: RoomName, result: JoinResult, *, echo_all: bool
) -> None:
    hook = context.hooks.get("on_join")
    if hook is None:
        return
    user = _user(session)
    info = MembershipInfo(id=session.socket_id, user_name=user, njoined=result.njoined, room_name=room)
    try:
        await call_hook(hook, context.service, info)
        await context.store.room_announce(room, user, session.socket_id, echo_all=echo_all)
    except BaseException:
        await _forget(context, session, room)
        await leave_store(context, session, room)
        raise


async def leave(context: Context, session: Session, room: RoomName, *, is_local_call: bool) -> int:
    """Leave a room. Call inside the hold. Returns the user's sockets that are still joined.

    Raises ``noRoom`` when there is no such room.
    """
    with context.failures.watch_lock(_info("room_leave", session, room)):
        user = _user(session)
        try:
            result = await context.store.room_leave(
                room, user, session.socket_id, context.clock.now_ms(), echo=True, echo_all=is_local_call
            )
        except StoreRefusedError:
            # It was not done.
            raise
        except StoreError:
            # Perhaps it was done: hear no more. What may be left is cleaned when the store answers again.
            context.failures.has_leftovers = True
            if await _forget(context, session, room):
                await _call_on_leave(context, session, room, 0)
            session.rooms[room] = None
            raise
        was_joined = await _forget(context, session, room)
        if result.changed or was_joined:
            await _call_on_leave(context, session, room, result.njoined)
        if not result.room_exists:
            raise ChatServiceError("noRoom", room)
        return result.njoined


async def leave_by_disconnect(context: Context, session: Session, room: RoomName) -> int | None:
    """Leave a room because the socket is gone. Call inside the hold.

    Returns the user's sockets that are still joined, None when the socket was not joined. Never raises.
    """
    with context.failures.watch_lock(_info("room_leave", session, room)):
        was_joined = await _forget(context, session, room)
        njoined = await leave_store(context, session, room, keep_index=True)
        if njoined is not None or was_joined:
            await _call_on_leave(context, session, room, njoined or 0)
        return njoined


async def leave_store(
    context: Context, session: Session, room: RoomName, *, keep_index: bool = False
) -> int | None:
    """Leave a room in the store, without an echo; what fails is reported."""
    try:
        result = await context.store.room_leave(
            room, _user(session), session.socket_id, context.clock.now_ms(), echo=False, keep_index=keep_index
        )
    except Exception as error:
        context.failures.store(error, _info("room_leave", session, room))
        if session.is_closed:
            session.is_left_over = True
        else:
            # Cleaned when the store answers again, or by the disconnect.
            session.rooms[room] = None
        return None
    return result.njoined if result.changed else None


async def _forget(context: Context, session: Session, room: RoomName) -> bool:
    """Stop hearing a room. Returns whether the socket was joined, as far as is known here: it may have lost
    its access, and the news of that be on its way."""
    cursor = session.rooms.pop(room, None)
    if cursor is None:
        return False
    try:
        await context.delivery.leave(room, session.socket_id)
    except Exception as error:
        context.failures.transport(error, _info("transport_channel", session, room))
    return True


async def _call_on_leave(context: Context, session: Session, room: RoomName, njoined: int) -> None:
    hook = context.hooks.get("on_leave")
    if hook is None:
        return
    info = MembershipInfo(id=session.socket_id, user_name=_user(session), njoined=njoined, room_name=room)
    try:
        await call_hook(hook, context.service, info)
    except Exception:
        logger.exception("on_leave hook failed for %s", info)


def access_removed(
    context: Context, room: RoomName, user: UserName, socket_id: SocketId, cursor: RoomCursor
) -> None:
    """A socket of this instance lost its access to a room at ``cursor``; it hears the room no more."""
    session = context.sessions.get(socket_id)
    if session is not None:
        context.running.spawn(_after_removal(context, session, room, cursor), f"removal from {room}")


async def _after_removal(context: Context, session: Session, room: RoomName, cursor: RoomCursor) -> None:
    async with context.serial.hold((session.socket_id, room)):
        joined = session.rooms.get(room)
        if joined is None or joined.epoch != cursor.epoch or joined.seq >= cursor.seq:
            # Left, or joined anew since then.
            return
        await _forget(context, session, room)
        await _call_on_leave(context, session, room, 0)
