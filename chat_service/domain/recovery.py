"""Repair: what a dead instance left, and users and rooms whose state does not fit (server-api.md, Recovery).

All of it is idempotent, and may run on several instances at once.
"""

import asyncio
import logging
from collections.abc import Iterable

from chat_service.contracts.store import Departure, SocketInfo
from chat_service.domain.consistency import FailureInfo
from chat_service.domain.context import Context
from chat_service.errors import ChatServiceError
from chat_service.hooks import MembershipInfo, call_hook
from chat_service.types import InstanceId, RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")


#: Sockets of a dead instance that are removed at the same time. More would keep commands waiting.
REMOVED_AT_ONCE = 16


async def instance_recovery(context: Context, instance_id: InstanceId) -> None:
    """Remove the sockets of a dead instance, with the notifications that follow from that.

    A socket that cannot be removed is reported and does not keep the others waiting. Raises the first
    error at the end; the instance is not forgotten then, so that the recovery is tried again.
    """
    if instance_id == context.instance_id():
        raise ValueError(f"instance {instance_id} is this one, and alive")
    left = iter((await context.store.instance_sockets(instance_id)).items())
    errors: list[Exception] = []

    async def work() -> None:
        # The iterator is shared: each worker takes the next socket.
        for socket_id, user in left:
            try:
                info = (await sockets_of(context, user)).get(socket_id)
                rooms = info.rooms if info is not None and info.instance_id == instance_id else ()
                await remove_socket(context, user, socket_id, instance_id, rooms)
            except Exception as error:
                info_of_it = FailureInfo(op_type="instance_recovery", user_name=user, id=socket_id)
                context.failures.store(error, info_of_it)
                errors.append(error)

    await asyncio.gather(*(work() for _ in range(REMOVED_AT_ONCE)))
    if errors:
        raise errors[0]
    await context.store.instance_forget(instance_id)


async def user_state_sync(context: Context, user: UserName) -> None:
    """Remove a user's sockets that are not there, and rooms that a socket is not joined to.

    Raises ``noUser``.
    """
    for socket_id, info in (await context.store.user_sockets(user)).items():
        if not await _is_alive(context, socket_id, info.instance_id):
            await remove_socket(context, user, socket_id, info.instance_id, info.rooms)
            continue
        for room in info.rooms:
            async with context.serial.hold((socket_id, room)):
                if not await _is_member(context, room, user, socket_id):
                    # Leaving a room that one is not joined to cleans the index.
                    await _leave(context, room, user, socket_id)


async def room_state_sync(context: Context, room: RoomName) -> None:
    """Remove members whose sockets are not there or who have no access. Raises ``noRoom``."""
    for user, sockets in (await context.store.room_members(room)).items():
        if not await context.store.room_check_access(room, user):
            await context.store.room_remove_users(room, [user], context.clock.now_ms())
            continue
        if not sockets:
            await context.store.room_remove_users(room, [user], context.clock.now_ms())
        known = await sockets_of(context, user)
        for socket_id, instance_id in sockets.items():
            async with context.serial.hold((socket_id, room)):
                info = known.get(socket_id)
                if info is None or not await _is_alive(context, socket_id, instance_id):
                    await _leave(context, room, user, socket_id)
                elif room not in info.rooms:
                    # A join of what is joined already writes the index again.
                    await context.store.room_join(
                        room, user, socket_id, instance_id, context.clock.now_ms(), announce=False
                    )


async def sockets_of(context: Context, user: UserName) -> dict[SocketId, SocketInfo]:
    """The user's sockets; none for an unknown user."""
    try:
        return dict(await context.store.user_sockets(user))
    except ChatServiceError:
        return {}


async def _is_alive(context: Context, socket_id: SocketId, instance_id: InstanceId) -> bool:
    if instance_id == context.instance_id():
        return context.sessions.get(socket_id) is not None
    heartbeat = await context.store.instance_get_heartbeat(instance_id)
    return heartbeat is not None and not context.watch.is_dead(instance_id)


async def _is_member(context: Context, room: RoomName, user: UserName, socket_id: SocketId) -> bool:
    try:
        return socket_id in (await context.store.room_members(room)).get(user, {})
    except ChatServiceError:
        return False


async def remove_socket(
    context: Context, user: UserName, socket_id: SocketId, instance_id: InstanceId, rooms: Iterable[RoomName]
) -> None:
    """Take a socket that is gone out of its rooms, then out of its user and its instance."""
    departures = []
    for room in rooms:
        njoined = await _leave(context, room, user, socket_id, keep_index=True)
        if njoined is not None:
            departures.append(Departure(room=room, njoined=njoined))
    await context.store.socket_disconnect(user, socket_id, instance_id, departures)


async def _leave(
    context: Context, room: RoomName, user: UserName, socket_id: SocketId, *, keep_index: bool = False
) -> int | None:
    """Leave a room for a socket that is gone. Returns the sockets still joined, None if it was not joined."""
    result = await context.store.room_leave(
        room, user, socket_id, context.clock.now_ms(), echo=False, keep_index=keep_index
    )
    if not result.changed:
        return None
    hook = context.hooks.get("on_leave")
    if hook is not None:
        info = MembershipInfo(id=socket_id, user_name=user, njoined=result.njoined, room_name=room)
        try:
            await call_hook(hook, context.service, info)
        except Exception:
            logger.exception("on_leave hook failed for %s", info)
    return result.njoined
