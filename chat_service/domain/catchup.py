"""Fills gaps: events lost by the bus are read from the store before later ones are delivered."""

import logging
from collections.abc import Callable, Mapping, Sequence

from chat_service.contracts.bus import RoomEvent
from chat_service.contracts.records import SYSTEM, HistoryInfo
from chat_service.domain import removal
from chat_service.domain.access_loss import access_lost
from chat_service.domain.context import Context
from chat_service.domain.decisions import CaughtUp, Given, Missed, Snapshot
from chat_service.domain.feed import RoomFeed
from chat_service.domain.removal import Seat
from chat_service.errors import ChatServiceError
from chat_service.types import InstanceId, Message, RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")

#: Maximum number of messages per read.
PAGE = 500
#: Minimum and maximum delay in seconds between attempts while the store cannot be reached.
RETRY_FIRST, RETRY_LONGEST = 0.1, 5.0

#: Delivers an event to the sockets of this instance, or reports missing ones.
Give = Callable[[RoomName, Given | Missed], None]


def begin(context: Context, room: RoomName, feed: RoomFeed, give: Give) -> None:
    """Fill in missing events of a feed that holds back others, in the background."""
    context.counters.gaps += 1
    # The room gets no events until this is done, so no error may stop it.
    work = context.background.persist("catch-up", lambda: _catch_up(context, room, feed, give))
    context.running.spawn(work, f"catch-up of {room}")


async def _catch_up(context: Context, room: RoomName, feed: RoomFeed, give: Give) -> None:
    delay = RETRY_FIRST
    while True:
        try:
            if await _fill(context, room, feed, give):
                context.counters.gaps_filled += 1
                return
        except Exception as error:
            context.counters.gap_failures += 1
            logger.warning("room %s cannot be caught up yet: %r", room, error)
            await context.clock.sleep(delay)
            delay = min(delay * 2, RETRY_LONGEST)


async def _fill(context: Context, room: RoomName, feed: RoomFeed, give: Give) -> bool:
    """Read the room and let the feed continue. Returns whether nothing is missing any longer."""
    reading = feed.begin_reading()
    snapshot = await _read(context, room, feed)
    if context.delivery.feed(room) is not feed:
        # All sockets have left in the meantime. New ones have another feed and get no old messages.
        return True
    known = feed.last_message_id
    caught_up = feed.catch_up(reading, snapshot)
    if caught_up.lost:
        found = ((context.sessions.get(socket_id), place) for socket_id, place in caught_up.lost.items())
        access_lost(context, room, ((session, place) for session, place in found if session is not None))
    if snapshot is not None and caught_up.has_gone_back:
        context.counters.rooms_lost_messages += 1
        logger.error("room %s has lost messages or other changes; its sockets are told to join again", room)
        await context.store.room_renew(room, snapshot.cursor.epoch, context.clock.now_ms())
        return False
    context.counters.gap_messages += _count_filled(caught_up, known)
    for item in caught_up.given:
        give(room, item)
    return caught_up.is_complete


def _count_filled(caught_up: CaughtUp, known: int) -> int:
    events = [item.event for item in caught_up.given if isinstance(item, Given)]
    return sum(event.seq == FILLED and event.last_message_id > known for event in events)


#: Messages read from the history do not have a sequence number.
FILLED = 0


async def _read(context: Context, room: RoomName, feed: RoomFeed) -> Snapshot | None:
    """The current state of the room, None if it does not exist. Raises what the store raises."""
    try:
        info = await context.store.room_history_info(room, SYSTEM)
        messages = await _read_messages(context, room, feed.known_message(info.cursor.epoch), info)
        # Read members after the messages: then none of the messages was stored after a removal unseen here.
        members = await context.store.room_members(room)
        changes = await _read_changes(context, room, feed, info)
    except ChatServiceError:
        return None
    _leave_ghosts(context, room, members)
    filled = [
        RoomEvent(info.cursor.epoch, FILLED, message["id"], "roomMessage", (room, message))
        for message in messages
    ]
    return Snapshot(
        cursor=info.cursor,
        last_message_id=info.last_message_id,
        events=sorted([*filled, *changes], key=_place),
        joined={socket_id for sockets in members.values() for socket_id in sockets},
    )


async def _read_messages(context: Context, room: RoomName, after: int, info: HistoryInfo) -> list[Message]:
    """The stored messages with ids above ``after``, up to the last one of ``info``, oldest first."""
    messages: list[Message] = []
    while after < info.last_message_id:
        page = await context.store.room_history(
            room, SYSTEM, after, PAGE, max_bytes=context.options.history_max_get_bytes
        )
        if not page:
            break
        messages.extend(message for message in reversed(page) if message["id"] <= info.last_message_id)
        after = page[0]["id"]
    return messages


async def _read_changes(
    context: Context, room: RoomName, feed: RoomFeed, info: HistoryInfo
) -> Sequence[RoomEvent]:
    """The stored events other than messages that the feed has missed, up to the position of ``info``."""
    known = feed.place_in(info.cursor.epoch)
    if known is None or known.seq >= info.cursor.seq:
        return ()
    changes = await context.store.room_changes(room, known)
    return [event for event in changes if event.seq <= info.cursor.seq]


def _place(event: RoomEvent) -> tuple[int, bool, int]:
    """The order among the events of a room: a message precedes the changes that name it as the last one."""
    return event.last_message_id, not event.is_message, event.seq


def _leave_ghosts(
    context: Context, room: RoomName, members: Mapping[UserName, Mapping[SocketId, InstanceId]]
) -> None:
    """Remove sockets that are listed for this instance but do not exist here, or have not joined."""
    here = context.instance_id()
    for user, sockets in members.items():
        for socket_id, instance_id in sockets.items():
            if instance_id == here and not removal.may_be_joined(context, room, socket_id):
                seat = Seat(user, socket_id, room)
                context.running.spawn(removal.leave_ghost(context, seat), f"ghost in {room}")
