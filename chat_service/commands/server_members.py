"""Members that server code adds to rooms and removes from them, whichever instances have their sockets."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from chat_service.commands import conversations
from chat_service.commands.sockets import REMOTE_LEAVE
from chat_service.concurrency.eager import in_task
from chat_service.domain import membership, removal
from chat_service.domain.context import Context
from chat_service.domain.removal import Seat
from chat_service.errors import ChatServiceError
from chat_service.types import InstanceId, RoomName, SocketId, UserName

#: Maximum number of a user's sockets that join or leave concurrently.
AT_ONCE: Final = 16


async def join_all(context: Context, user: UserName, join: Callable[[SocketId], Awaitable[object]]) -> None:
    """Call ``join`` for every socket of a user, and raise the first error at the end.

    Sockets that go away in the meantime, or with an instance that has died, do not count. Raises ``noUser``,
    and ``noUserOnline`` if no socket is left.
    """
    await in_task()
    joined: list[SocketId] = []

    async def act(socket_id: SocketId, instance_id: InstanceId) -> None:
        if context.watch.is_dead(instance_id):
            return
        try:
            await join(socket_id)
        except ChatServiceError as error:
            is_gone = error.code == "invalidSocket" or await _has_died(context, instance_id, error)
            if not is_gone:
                raise
        else:
            joined.append(socket_id)

    sockets = await context.store.user_sockets(user)
    places = {socket_id: info.instance_id for socket_id, info in sockets.items()}
    await _for_each(places.items(), act)
    if not joined:
        raise ChatServiceError("noUserOnline", user)


async def leave_all(context: Context, user: UserName, room: RoomName) -> None:
    """Let every socket of a user leave a room, with the notifications of a leave.

    On return no instance delivers the room's events to them, unless they have joined again. Each instance
    that has one of them ends its own deliveries, so that nobody needs to be told of a lost access. The
    sockets of a dead instance leave in the store. Raises the first error at the end: ``timeout`` for a living
    instance that does not answer. Raises ``noUser``, ``noRoom`` before.
    """
    await in_task()
    sockets = await context.store.user_sockets(user)
    # The index names a room before the socket is in it, so it has all that have joined or are about to.
    places = {socket_id: info.instance_id for socket_id, info in sockets.items() if room in info.rooms}
    if not places and not await context.store.room_exists(room):
        raise ChatServiceError("noRoom", room)

    async def act(socket_id: SocketId, instance_id: InstanceId) -> None:
        try:
            await _leave(context, Seat(user, socket_id, room), instance_id)
        except ChatServiceError as error:
            # The room was deleted, and with it the membership.
            if error.code != "noRoom":
                raise

    await _for_each(places.items(), act)
    await conversations.unlist(context, user, room)


async def _leave(context: Context, seat: Seat, instance_id: InstanceId) -> None:
    user, socket_id, room = seat
    if instance_id == context.instance_id():
        async with context.serial.hold((socket_id, room)):
            session = context.sessions.get(socket_id)
            if session is not None and session.user == user:
                await membership.leave(context, session, room, is_local_call=True)
                return
            # A leftover in the store.
            await removal.leave_room(context, seat, echo=True, echo_all=True)
        return
    try:
        if not context.watch.is_dead(instance_id):
            await context.remote.call(instance_id, REMOTE_LEAVE, user, socket_id, room)
            return
    except ChatServiceError as error:
        # A living instance that has not answered may still be delivering, and may still leave.
        if error.code != "invalidSocket" and not await _has_died(context, instance_id, error):
            raise
        await removal.leave_room(context, seat, echo=True, echo_all=True)


async def _has_died(context: Context, instance_id: InstanceId, error: ChatServiceError) -> bool:
    """Whether an instance that has not answered is dead: then it delivers nothing any more."""
    if error.code != "timeout":
        return False
    heartbeat = await context.store.instance_get_heartbeat(instance_id)
    return heartbeat is None or context.watch.is_dead(instance_id)


async def _for_each(
    places: Iterable[tuple[SocketId, InstanceId]], act: Callable[[SocketId, InstanceId], Awaitable[None]]
) -> None:
    """Call a function for each socket, several at a time. Raises the first error at the end."""
    left = iter(places)
    errors: list[Exception] = []

    async def work() -> None:
        # The iterator is shared: each worker takes the next socket.
        for socket_id, instance_id in left:
            try:
                await act(socket_id, instance_id)
            except Exception as error:
                errors.append(error)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    if errors:
        raise errors[0]
