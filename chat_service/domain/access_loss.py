"""Sockets of this instance that lose their access to a room: they hear nothing more, then their leave is
completed.

Many may lose it at once. All are silenced in the same turn of the event loop; the rest is done in slices.
"""

import asyncio
import contextvars
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from chat_service.concurrency.deadlines import current_patience
from chat_service.concurrency.eager import in_task
from chat_service.concurrency.serial import DeadlockError
from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.contracts.records import Removal
from chat_service.domain.context import Context
from chat_service.domain.removal import end_membership, seat_of, tell
from chat_service.domain.sessions import Session
from chat_service.errors import ChatServiceError
from chat_service.types import InstanceId, RoomName, SocketId

logger = logging.getLogger("chat_service")

#: The operation that instances call on each other.
REMOTE_REMOVED = "removed"

#: Number of sockets whose leave begins in one turn of the event loop.
ENDED_AT_ONCE: Final = 50


#: A socket that may have lost its access, and the position of the loss in the room's events.
Loss = tuple[Session, RoomCursor]


def removed_by(context: Context, room: RoomName, event: RoomEvent) -> Iterable[Loss]:
    """The sockets of this instance that may lose their access by an event, with its position.

    All sockets of a removed user, not only those in the event: the room forgot the sockets if this instance
    was considered dead.
    """
    sessions, place, stayed = context.sessions, event.cursor, event.stayed
    if stayed is None:
        return [(session, place) for user in event.removed for session in sessions.of_user(user)]
    feed = context.delivery.feed(room)
    found = map(sessions.get, feed.audience.joins() if feed else ())
    return [(session, place) for session in found if session is not None and session.user not in stayed]


def access_lost(context: Context, room: RoomName, losses: Iterable[Loss]) -> None:
    """Sockets of this instance lost their access, each at a position in the room's events.

    They get no further events from now on. They are notified soon, but after the answer to their join, and
    after ``on_leave``.
    """
    # This may be a great many, so it does little for each.
    lost = [loss for loss in losses if _is_lost(loss[0], room, loss[1])]
    unanswered = _silence(context, room, {session.socket_id: session for session, _ in lost})
    if len(lost) <= ENDED_AT_ONCE:
        _end_soon(context, room, lost, unanswered)
    else:
        context.running.spawn(_end_in_slices(context, room, lost, unanswered), f"removal from {room}")


async def _end_in_slices(
    context: Context, room: RoomName, lost: Sequence[Loss], unanswered: Collection[SocketId]
) -> None:
    for start in range(0, len(lost), ENDED_AT_ONCE):
        _end_soon(context, room, lost[start : start + ENDED_AT_ONCE], unanswered)
        await asyncio.sleep(0)


def _end_soon(
    context: Context, room: RoomName, lost: Sequence[Loss], unanswered: Collection[SocketId]
) -> None:
    """``unanswered``: the sockets whose clients had not been told of their joins when they lost access."""
    may_tell_first = context.hooks.get("on_leave") is None
    for session, place in lost:
        if not _is_lost(session, room, place):
            # It has left, or joined again, in the meantime.
            continue
        if may_tell_first and session.socket_id not in unanswered and room not in session.told:
            tell(context, session, room)
            session.told.add(room)
        context.running.spawn(_end_if_lost(context, session, room, place), f"removal from {room}")


def _is_lost(session: Session, room: RoomName, place: RoomCursor) -> bool:
    """Whether the socket has been joined since before that position, without leaving or rejoining."""
    joined = session.rooms.get(room)
    return joined is not None and joined.epoch == place.epoch and joined.seq < place.seq


def _silence(context: Context, room: RoomName, sessions: Mapping[SocketId, Session]) -> Collection[SocketId]:
    """Returns the sockets whose clients have not been told of their joins yet."""

    def failed(socket_id: SocketId, error: Exception) -> None:
        failure = seat_of(sessions[socket_id], room).failure("transport_channel")
        context.failures.transport(error, failure)

    return context.delivery.silence_all(room, sessions.keys(), failed)


async def _end_if_lost(context: Context, session: Session, room: RoomName, place: RoomCursor) -> None:
    async with context.serial.hold((session.socket_id, room)):
        if _is_lost(session, room, place):
            await end_membership(context, session, room)


# Waiting for hooks on other instances


async def settle(context: Context, room: RoomName, removal: Removal | None) -> None:
    """Wait until the sockets removed by a change have left on every instance, including ``on_leave``.

    Without such a hook there is nothing to wait for. After ``bus_ack_timeout`` the rest continues in the
    background.
    """
    if removal is None or context.hooks.get("on_leave") is None:
        return
    await in_task()
    mine = current_patience.get()
    # The hooks belong to the application.
    suspended = 0.0 if mine is None else mine.suspend()
    try:
        await _wait_for(context, room, removal)
    finally:
        if mine is not None:
            mine.resume(suspended)


async def _wait_for(context: Context, room: RoomName, removal: Removal) -> None:
    work = [
        context.running.spawn(
            _settle_at(context, instance_id, room, removal.cursor, tuple(sockets)),
            f"removal from {room}",
            # Inside the holds of the command, because a socket may remove itself.
            contextvars.copy_context(),
        )
        for instance_id, sockets in removal.sockets.items()
    ]
    _, late = await asyncio.wait(work, timeout=context.options.bus_ack_timeout)
    if late:
        logger.warning("removals from room %s take longer than %s s", room, context.options.bus_ack_timeout)


async def _settle_at(
    context: Context,
    instance_id: InstanceId,
    room: RoomName,
    place: RoomCursor,
    sockets: tuple[SocketId, ...],
) -> None:
    if instance_id == context.instance_id():
        await _settle_here(context, room, place, sockets)
        return
    # Failures were logged. The instance may be dead, and the removal is effective in any case.
    with suppress(ChatServiceError):
        await context.remote.call(instance_id, REMOTE_REMOVED, room, place.epoch, place.seq, sockets)


async def _settle_here(
    context: Context, room: RoomName, place: RoomCursor, sockets: Iterable[SocketId]
) -> None:
    """The event of the removal may arrive later than this, or its hooks may already be running."""
    found = (context.sessions.get(socket_id) for socket_id in sockets)
    sessions = [session for session in found if session is not None]
    lost = {session.socket_id: session for session in sessions if _is_lost(session, room, place)}
    _silence(context, room, lost)
    work: list[asyncio.Task[None]] = []
    try:
        for start in range(0, len(sessions), ENDED_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            part = sessions[start : start + ENDED_AT_ONCE]
            work += [asyncio.ensure_future(_end_or_defer(context, item, room, place)) for item in part]
        await asyncio.gather(*work)
    finally:
        for task in work:
            task.cancel()


async def _end_or_defer(context: Context, session: Session, room: RoomName, place: RoomCursor) -> None:
    try:
        await _end_if_lost(context, session, room, place)
    except DeadlockError:
        # A command of that socket waits for this one.
        context.running.spawn(_end_if_lost(context, session, room, place), f"removal from {room}")


def register_remote(context: Context) -> None:
    """Allow other instances to wait for removals of sockets of this one."""

    async def removed(room: RoomName, epoch: str, seq: int, sockets: list[SocketId]) -> None:
        await _settle_here(context, room, RoomCursor(epoch=epoch, seq=seq), sockets)

    context.remote.register(REMOTE_REMOVED, removed)
