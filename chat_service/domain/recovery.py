"""Repair: what a dead instance left, and users and rooms whose state does not fit (server-api.md, Recovery).

All of it is idempotent, and may run on several instances at once.
"""

import asyncio
import logging

from chat_service.contracts.records import SocketInfo
from chat_service.contracts.store import Store
from chat_service.domain import removal
from chat_service.domain.consistency import FailureInfo
from chat_service.domain.context import Context
from chat_service.domain.removal import Seat, Upkeep
from chat_service.errors import ChatServiceError
from chat_service.types import InstanceId, RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")

#: The operation that instances ask each other for.
REMOTE_GHOSTS = "ghosts"
#: Sockets of a dead instance that are removed at the same time. More would keep commands waiting.
REMOVED_AT_ONCE = 16


async def instance_recovery(upkeep: Upkeep, instance_id: InstanceId) -> None:
    """Remove the sockets of a dead instance, with the notifications that follow from that.

    A socket that cannot be removed is reported and does not keep the others waiting. Raises the first
    error at the end; the instance is not forgotten then, so that the recovery is tried again.
    """
    store = upkeep.store
    left = iter((await store.instance_sockets(instance_id)).items())
    errors: list[Exception] = []

    async def work() -> None:
        # The iterator is shared: each worker takes the next socket.
        for socket_id, user in left:
            try:
                info = (await sockets_of(store, user)).get(socket_id)
                rooms = info.rooms if info is not None and info.instance_id == instance_id else ()
                await removal.remove_socket(upkeep, user, socket_id, instance_id, rooms)
            except Exception as error:
                failure = FailureInfo(op_type="instance_recovery", user_name=user, id=socket_id)
                upkeep.failures.store(error, failure)
                errors.append(error)

    await asyncio.gather(*(work() for _ in range(REMOVED_AT_ONCE)))
    if errors:
        raise errors[0]
    await store.instance_forget(instance_id)


async def user_state_sync(context: Context, user: UserName) -> None:
    """Remove a user's sockets that are not there, and rooms that a socket is not joined to.

    Raises ``noUser``.
    """
    for socket_id, info in (await context.store.user_sockets(user)).items():
        if not await _is_alive(context, socket_id, info.instance_id):
            await removal.remove_socket(context, user, socket_id, info.instance_id, info.rooms)
            continue
        for room in info.rooms:
            async with context.serial.hold((socket_id, room)):
                if not await _is_member(context, room, user, socket_id):
                    # Leaving a room that one is not joined to cleans the index.
                    await removal.leave_room(context, Seat(user, socket_id, room))


async def room_state_sync(context: Context, room: RoomName) -> None:
    """Remove members whose sockets are not there, have left, or have no access. Raises ``noRoom``."""
    ghosts: dict[InstanceId, list[Seat]] = {}
    for user, sockets in (await context.store.room_members(room)).items():
        if not sockets or not await context.store.room_check_access(room, user):
            await context.store.room_remove_users(room, [user], context.clock.now_ms())
            continue
        known = await sockets_of(context.store, user)
        for socket_id, instance_id in sockets.items():
            seat = Seat(user, socket_id, room)
            async with context.serial.hold((socket_id, room)):
                info = known.get(socket_id)
                if info is None or not await _is_alive(context, socket_id, instance_id):
                    await removal.leave_room(context, seat)
                    continue
                if room not in info.rooms:
                    # A join of what is joined already writes the index again.
                    await _join_again(context, seat, instance_id)
            ghosts.setdefault(instance_id, []).append(seat)
    await asyncio.gather(*(_leave_ghosts(context, room, *item) for item in ghosts.items()))


async def _join_again(context: Context, seat: Seat, instance_id: InstanceId) -> None:
    room, user, socket_id = seat.room, seat.user, seat.socket_id
    try:
        await context.store.room_join(
            room, user, socket_id, instance_id, context.clock.now_ms(), announce=False
        )
    except ChatServiceError as error:
        if error.code != "banned":
            raise
        await context.store.room_remove_users(room, [user], context.clock.now_ms())


async def _leave_ghosts(context: Context, room: RoomName, instance_id: InstanceId, seats: list[Seat]) -> None:
    """Let the instance that has the sockets take those out of the room that have not joined it."""
    if instance_id == context.instance_id():
        for seat in seats:
            await removal.leave_ghost(context, seat)
        return
    try:
        sockets = [(seat.user, seat.socket_id) for seat in seats]
        await context.remote.call(instance_id, REMOTE_GHOSTS, room, sockets)
    except ChatServiceError as error:
        logger.warning("members of room %s at instance %s are not checked: %s", room, instance_id, error)


def register_remote(context: Context) -> None:
    """Let other instances have the members checked that are sockets of this one."""

    async def leave_ghosts(room: RoomName, sockets: list[tuple[UserName, SocketId]]) -> None:
        for user, socket_id in sockets:
            await removal.leave_ghost(context, Seat(user, socket_id, room))

    context.remote.register(REMOTE_GHOSTS, leave_ghosts)


async def sockets_of(store: Store, user: UserName) -> dict[SocketId, SocketInfo]:
    """The user's sockets; none for an unknown user."""
    try:
        return dict(await store.user_sockets(user))
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
