"""Repair: leftovers of a dead instance, and inconsistent users and rooms (server-api.md, Recovery).

All of it is idempotent, and may run on several instances at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from chat_service.contracts.records import SocketInfo
from chat_service.contracts.store import Store
from chat_service.domain import removal
from chat_service.domain.context import Context
from chat_service.domain.emitter import FailureInfo
from chat_service.domain.removal import Seat, Upkeep
from chat_service.domain.sessions import LoginState, Session
from chat_service.errors import ChatServiceError
from chat_service.types import InstanceId, RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")

#: The operation that instances call on each other.
REMOTE_GHOSTS = "ghosts"
#: Maximum number of sockets of a dead instance removed concurrently. More would delay commands.
REMOVED_AT_ONCE = 16
#: Maximum number of this instance's sockets compared with the store concurrently.
CHECKED_AT_ONCE = 8


async def instance_recovery(upkeep: Upkeep, instance_id: InstanceId) -> None:
    """Remove the sockets of a dead instance, with the resulting notifications.

    A socket that cannot be removed is reported and does not delay the others. Raises the first error at the
    end; the instance is then not forgotten, so that the recovery is retried.
    """
    store = upkeep.store

    async def remove(socket_id: SocketId, user: UserName) -> None:
        try:
            info = (await sockets_of(store, user)).get(socket_id)
            rooms = info.rooms if info is not None and info.instance_id == instance_id else ()
            await removal.remove_socket(upkeep, user, socket_id, instance_id, rooms)
        except Exception as error:
            failure = FailureInfo(op_type="instance_recovery", user_name=user, id=socket_id)
            upkeep.failures.store(error, failure)
            raise

    await _for_each(await store.instance_sockets(instance_id), remove, REMOVED_AT_ONCE)
    await store.instance_forget(instance_id)


async def _for_each(
    sockets: Mapping[SocketId, UserName],
    act: Callable[[SocketId, UserName], Awaitable[None]],
    at_once: int,
) -> None:
    """Call a function for each socket, several at a time. Raises the first error at the end."""
    left = iter(sockets.items())
    errors: list[Exception] = []

    async def work() -> None:
        # The iterator is shared: each worker takes the next socket.
        for socket_id, user in left:
            try:
                await act(socket_id, user)
            except Exception as error:
                errors.append(error)

    await asyncio.gather(*(work() for _ in range(at_once)))
    if errors:
        raise errors[0]


async def user_state_sync(context: Context, user: UserName) -> None:
    """Remove a user's missing sockets, and rooms that a socket is not joined to.

    Raises ``noUser``.
    """
    for socket_id, info in (await context.store.user_sockets(user)).items():
        if not await _is_alive(context, socket_id, info.instance_id):
            await removal.remove_socket(context, user, socket_id, info.instance_id, info.rooms)
            continue
        for room in info.rooms:
            async with context.serial.hold((socket_id, room)):
                if not await _is_member(context, room, user, socket_id):
                    # Leaving a room that the socket has not joined cleans the index.
                    await removal.leave_room(context, Seat(user, socket_id, room))


async def room_state_sync(context: Context, room: RoomName) -> None:
    """Remove members whose sockets are missing, have left, or have no access. Raises ``noRoom``."""
    # Finishes an interrupted removal.
    await context.store.room_remove_users(room, [], context.clock.now_ms())
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
                    # Joining again writes the index again.
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
    """Let the instance that holds the sockets remove those that have not joined the room."""
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
    """Allow other instances to have members checked that are sockets of this one."""

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


# After failures of the store


def clean_soon(context: Context) -> None:
    """Start to clean up in the background if leftovers may exist. Called while the store answers."""
    failures = context.failures
    if failures.has_leftovers and not failures.is_cleaning:
        failures.has_leftovers = False
        failures.is_cleaning = True
        context.running.spawn(_clean_and_say(context), "cleaning after failures of the store")


async def _clean_and_say(context: Context) -> None:
    try:
        await clean(context)
    except Exception as error:
        # Retry after the next heartbeat.
        context.failures.has_leftovers = True
        logger.warning("leftovers of store failures could not be cleaned up yet: %r", error)
    finally:
        context.failures.is_cleaning = False


async def clean(context: Context) -> None:
    """Compare every socket of this instance with the store. Raises the first error at the end."""
    instance_id = context.instance_id()
    stored = await context.store.instance_sockets(instance_id)
    known = dict(stored)
    for session in context.sessions.all():
        if session.user is not None:
            known.setdefault(session.socket_id, session.user)

    async def check(socket_id: SocketId, user: UserName) -> None:
        await _check_socket(context, instance_id, socket_id, user, is_stored=socket_id in stored)

    await _for_each(known, check, CHECKED_AT_ONCE)


async def _check_socket(
    context: Context, instance_id: InstanceId, socket_id: SocketId, user: UserName, *, is_stored: bool
) -> None:
    # Inside the hold, no login or disconnect is running.
    async with context.serial.hold((socket_id, None)):
        info = (await sockets_of(context.store, user)).get(socket_id)
        session = context.sessions.get(socket_id)
        if session is None or not session.is_stored:
            rooms = info.rooms if info is not None else ()
            await removal.remove_socket(context, user, socket_id, instance_id, rooms)
            return
        if session.state is LoginState.CONFIRMED and (info is None or not is_stored):
            # A failover has lost it.
            await context.store.socket_connect(
                user, socket_id, session.instance_id or instance_id, ephemeral=session.is_ephemeral
            )
    if session.state is LoginState.CONFIRMED:
        await _check_rooms(context, session, user, info)


async def _check_rooms(context: Context, session: Session, user: UserName, info: SocketInfo | None) -> None:
    unsure = {room for room, cursor in session.rooms.items() if cursor is None}
    not_joined = set(info.rooms if info is not None else ()) - session.rooms.keys()
    for room in unsure | not_joined:
        async with context.serial.hold((session.socket_id, room)):
            await _leave(context, session, user, room)


async def _leave(context: Context, session: Session, user: UserName, room: RoomName) -> None:
    if session.is_closed or session.rooms.get(room) is not None:
        # It has joined in the meantime.
        return
    await removal.leave_room(context, Seat(user, session.socket_id, room), is_told=False, echo=True)
    session.rooms.pop(room, None)
