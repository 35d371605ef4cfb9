"""Filling gaps: events that the bus lost are read from the store before anything later is delivered."""

import logging
from collections.abc import Mapping, Sequence

from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.contracts.store import SYSTEM, HistoryInfo
from chat_service.domain.context import Context
from chat_service.domain.feed import RoomFeed
from chat_service.errors import ChatServiceError
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")

#: Messages read at once.
PAGE = 500
#: Seconds between two tries while the store cannot be reached: the first, and the longest.
RETRY_FIRST, RETRY_LONGEST = 0.1, 5.0


def on_gap(context: Context, room: RoomName, feed: RoomFeed) -> None:
    """A feed holds its events back because some are missing; fill them in."""
    context.counters.gaps += 1
    # Until it is done the room hears nothing: no error may end it.
    work = context.background.persist("catch-up", lambda: _catch_up(context, room, feed))
    context.running.spawn(work, f"catch-up of {room}")


async def _catch_up(context: Context, room: RoomName, feed: RoomFeed) -> None:
    delay = RETRY_FIRST
    while True:
        try:
            if await _fill(context, room, feed):
                context.counters.gaps_filled += 1
                return
        except Exception as error:
            context.counters.gap_failures += 1
            logger.warning("room %s cannot be caught up yet: %r", room, error)
            await context.clock.sleep(delay)
            delay = min(delay * 2, RETRY_LONGEST)


async def _fill(context: Context, room: RoomName, feed: RoomFeed) -> bool:
    """Read what is missing and resume the feed. False when it has to be done again."""
    # The cursors are read first: a socket that joins meanwhile has another one afterwards.
    cursors = _cursors(context, room)
    epoch, known = feed.epoch, feed.begin_fill()
    try:
        info = await context.store.room_history_info(room, SYSTEM)
        after = feed.last_message_id if info.cursor.epoch == feed.epoch else 0
        if feed.given_message is not None:
            # That one too, to see whether it is still the same.
            after = max(0, after - 1)
        messages = await _read(context, room, after, info)
        # Members are read after the messages: none of them was stored after a removal unseen here.
        members = await context.store.room_members(room)
        joined = {socket_id for sockets in members.values() for socket_id in sockets}
        _leave_ghosts(context, room, members)
        changes = await _read_changes(context, room, feed, info)
    except ChatServiceError:
        if not context.delivery.serves(room, feed):
            return True
        # There is no room: all that was published before is of lives that are over.
        _end(context, room, feed, feed.end_epochs(epoch, known))
        return feed.settle(known)
    if not context.delivery.serves(room, feed):
        # All have left meanwhile. Who came since then has another feed, and hears no old messages.
        return True
    _end(context, room, feed, feed.end_epochs(epoch, known, info.cursor.epoch))
    for socket_id, cursor in cursors.items():
        if socket_id not in joined or (cursor is not None and cursor.epoch != info.cursor.epoch):
            _remove(context, room, socket_id, cursor)
    events = [
        RoomEvent(
            epoch=info.cursor.epoch,
            seq=feed.last_seq or 0,
            last_message_id=message["id"],
            event="roomMessage",
            args=(room, message),
        )
        for message in messages
    ]
    if feed.went_back(info.cursor, info.last_message_id, events):
        context.counters.rooms_lost_messages += 1
        logger.error("room %s has lost messages or other changes; its sockets are told to join again", room)
        await context.store.room_renew(room, info.cursor.epoch, context.clock.now_ms())
        return False
    given = feed.last_message_id
    context.counters.gap_messages += sum(event.last_message_id > given for event in events)
    stored = sorted([*events, *changes], key=_place)
    return feed.resume(info.cursor, info.last_message_id, stored, known)


def _leave_ghosts(
    context: Context, room: RoomName, members: Mapping[UserName, Mapping[SocketId, InstanceId]]
) -> None:
    """Let sockets leave that are said to be here and are not, or have not joined."""
    here = context.instance_id()
    for user, sockets in members.items():
        for socket_id, instance_id in sockets.items():
            if instance_id == here and not _may_be_joined(context, room, socket_id):
                context.running.spawn(_leave_ghost(context, room, user, socket_id), f"ghost in {room}")


def _may_be_joined(context: Context, room: RoomName, socket_id: SocketId) -> bool:
    session = context.sessions.get(socket_id)
    return session is not None and room in session.rooms


async def _leave_ghost(context: Context, room: RoomName, user: UserName, socket_id: SocketId) -> None:
    async with context.serial.hold((socket_id, room)):
        if not _may_be_joined(context, room, socket_id):
            await context.store.room_leave(room, user, socket_id, context.clock.now_ms(), echo=False)


def _cursors(context: Context, room: RoomName) -> Mapping[SocketId, RoomCursor | None]:
    found = {}
    for socket_id in context.delivery.room_sockets(room):
        session = context.sessions.get(socket_id)
        found[socket_id] = session.rooms.get(room) if session else None
    return found


async def _read(context: Context, room: RoomName, after: int, info: HistoryInfo) -> list[Message]:
    """The stored messages with ids past ``after``, up to the last one of ``info``, oldest first."""
    messages: list[Message] = []
    while after < info.last_message_id:
        page = await context.store.room_history(room, SYSTEM, after, PAGE)
        if not page:
            break
        messages.extend(message for message in reversed(page) if message["id"] <= info.last_message_id)
        after = page[0]["id"]
    return messages


async def _read_changes(
    context: Context, room: RoomName, feed: RoomFeed, info: HistoryInfo
) -> Sequence[RoomEvent]:
    """The stored events other than messages that the feed has missed, up to the place of ``info``."""
    if feed.last_seq is None or feed.epoch != info.cursor.epoch or feed.last_seq >= info.cursor.seq:
        return ()
    changes = await context.store.room_changes(room, RoomCursor(epoch=feed.epoch, seq=feed.last_seq))
    return [event for event in changes if event.seq <= info.cursor.seq]


def _place(event: RoomEvent) -> tuple[int, bool, int]:
    """The place among the events of a room: a message precedes the changes that name it as the last one."""
    return event.last_message_id, not event.is_message, event.seq


def _end(context: Context, room: RoomName, feed: RoomFeed, waiting: Mapping[SocketId, RoomCursor]) -> None:
    """Lives of the room that the feed knew are over, and nobody is joined to them any more.

    ``waiting``: sockets that were joined and not admitted yet.
    """
    for socket_id, cursor in waiting.items():
        context.transport.emit(socket_id, "roomAccessRemoved", (room,))
        _remove(context, room, socket_id, cursor)
    for socket_id, joined in _cursors(context, room).items():
        if joined is None or feed.is_over(joined):
            _remove(context, room, socket_id, joined)


def _remove(context: Context, room: RoomName, socket_id: SocketId, cursor: RoomCursor | None) -> None:
    """A socket that had joined at ``cursor`` was found not to be joined any more; when exactly it was
    removed is not known. One that has joined anew since then stays."""
    session = context.sessions.get(socket_id)
    joined = session.rooms.get(room) if session else None
    if joined != cursor:
        return
    context.delivery.expel(room, socket_id)
    if session is not None and session.user is not None and joined is not None:
        after_join = RoomCursor(epoch=joined.epoch, seq=joined.seq + 1)
        context.delivery.on_removed(room, session.user, socket_id, after_join)
