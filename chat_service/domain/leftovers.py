"""What the store could not be told while it did not answer: put right when it does again.

After any failure of the store an instance compares its sockets with what the store has of them. A socket that
is gone is removed, a room that a socket is not joined to is left, a socket that the store has lost is added.
"""

import asyncio
import logging

from chat_service.contracts.records import SocketInfo
from chat_service.domain import recovery, removal
from chat_service.domain.context import Context
from chat_service.domain.removal import Seat
from chat_service.domain.sessions import LoginState, Session
from chat_service.types import InstanceId, RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")

#: Sockets that are looked at at the same time. More would keep commands waiting.
CHECKED_AT_ONCE = 8


def clean_soon(context: Context) -> None:
    """Begin to clean in the background if something may be left. Called while the store answers."""
    failures = context.failures
    if failures.has_leftovers and not failures.is_cleaning:
        failures.has_leftovers = False
        failures.is_cleaning = True
        context.running.spawn(_clean_and_say(context), "cleaning after failures of the store")


async def _clean_and_say(context: Context) -> None:
    try:
        await clean(context)
    except Exception as error:
        # Again after the next heartbeat.
        context.failures.has_leftovers = True
        logger.warning("what failures of the store left could not be cleaned yet: %r", error)
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
    left = iter(known.items())
    errors: list[Exception] = []

    async def work() -> None:
        # The iterator is shared: each worker takes the next socket.
        for socket_id, user in left:
            try:
                await _check_socket(context, instance_id, socket_id, user, is_stored=socket_id in stored)
            except Exception as error:
                errors.append(error)

    await asyncio.gather(*(work() for _ in range(CHECKED_AT_ONCE)))
    if errors:
        raise errors[0]


async def _check_socket(
    context: Context, instance_id: InstanceId, socket_id: SocketId, user: UserName, *, is_stored: bool
) -> None:
    # Inside the hold, logins and disconnects are over.
    async with context.serial.hold((socket_id, None)):
        info = (await recovery.sockets_of(context.store, user)).get(socket_id)
        session = context.sessions.get(socket_id)
        if session is None or not session.is_stored:
            rooms = info.rooms if info is not None else ()
            await removal.remove_socket(context, user, socket_id, instance_id, rooms)
            return
        if session.state is LoginState.CONFIRMED and (info is None or not is_stored):
            # A fail-over has lost it.
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
        # Joined since then.
        return
    await removal.leave_room(context, Seat(user, session.socket_id, room), is_told=False, echo=True)
    session.rooms.pop(room, None)
