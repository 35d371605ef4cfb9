"""Leaving a room: the single implementation for commands, disconnects, lost access, recovery and repair.

Some functions must be called inside ``context.serial.hold((socket_id, room))``; they say so.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from chat_service.clock import Clock
from chat_service.contracts.records import Departure, LeaveResult
from chat_service.contracts.store import Store
from chat_service.domain.context import Context
from chat_service.domain.emitter import FailureInfo
from chat_service.domain.sessions import Session
from chat_service.errors import ChatServiceError
from chat_service.hooks import Hooks, MembershipInfo, call_hook
from chat_service.types import InstanceId, RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")


class Reporter(Protocol):
    """Where failures of the store are reported."""

    def store(self, error: Exception, info: FailureInfo) -> None: ...


class Upkeep(Protocol):
    """The parts needed to remove sockets: the ``Context`` of a service, or ``StoreUpkeep``."""

    @property
    def service(self) -> Any: ...
    @property
    def store(self) -> Store: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def failures(self) -> Reporter: ...


class FailureLog:
    """A ``Reporter`` that only logs."""

    def store(self, error: Exception, info: FailureInfo) -> None:
        logger.error("store failure in %s: %r", info, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUpkeep:
    """Maintenance of a store without a service, and therefore without hooks."""

    store: Store
    clock: Clock
    service: None = None
    hooks: Hooks = field(default_factory=lambda: Hooks(None, ()))
    failures: Reporter = field(default_factory=FailureLog)


class Seat(NamedTuple):
    """One socket in one room."""

    user: UserName
    socket_id: SocketId
    room: RoomName

    def failure(self, op_type: str) -> FailureInfo:
        """The details of a failed operation."""
        return FailureInfo(op_type=op_type, user_name=self.user, room_name=self.room, id=self.socket_id)

    def facts(self, njoined: int) -> dict[str, Any]:
        """A join or leave, as reported to a witness."""
        return {"room": self.room, "user": self.user, "socketId": self.socket_id, "sockets": njoined}


def seat_of(session: Session, room: RoomName) -> Seat:
    """Raises ``noLogin`` for a socket whose user is not known yet."""
    if session.user is None:
        raise ChatServiceError("noLogin")
    return Seat(session.user, session.socket_id, room)


# The store and the hook


async def leave_room(
    upkeep: Upkeep,
    seat: Seat,
    *,
    was_joined: bool = False,
    is_told: bool = True,
    echo: bool = False,
    echo_all: bool = False,
    keep_index: bool = False,
) -> LeaveResult:
    """Leave a room in the store, then call ``on_leave`` if the socket was joined.

    ``was_joined``: this instance knows it as joined, even if the store no longer does. ``is_told``: call
    the hook. The other arguments as in ``Store.room_leave``. Raises what the store raises.
    """
    result = await upkeep.store.room_leave(
        seat.room,
        seat.user,
        seat.socket_id,
        upkeep.clock.now_ms(),
        echo=echo,
        echo_all=echo_all,
        keep_index=keep_index,
    )
    if is_told and (result.changed or was_joined):
        await call_on_leave(upkeep, seat, result.njoined)
    return result


async def remove_socket(
    upkeep: Upkeep,
    user: UserName,
    socket_id: SocketId,
    instance_id: InstanceId,
    rooms: Iterable[RoomName],
    *,
    is_told: bool = True,
) -> None:
    """Remove a disconnected socket from its rooms, then from its user and its instance."""
    departures = []
    for room in rooms:
        seat = Seat(user, socket_id, room)
        result = await leave_room(upkeep, seat, is_told=is_told, keep_index=True)
        if result.changed:
            departures.append(Departure(room=room, njoined=result.njoined))
    await upkeep.store.socket_disconnect(user, socket_id, instance_id, departures)


async def call_on_leave(upkeep: Upkeep, seat: Seat, njoined: int) -> None:
    """Exceptions of the hook are logged."""
    if upkeep.hooks.witness is not None:
        upkeep.hooks.witness("leave", seat.facts(njoined))
    hook = upkeep.hooks.get("on_leave")
    if hook is None:
        return
    info = MembershipInfo(id=seat.socket_id, user_name=seat.user, njoined=njoined, room_name=seat.room)
    try:
        await call_hook(hook, upkeep.service, info, limit=upkeep.hooks.timeout)
    except Exception:
        logger.exception("on_leave hook failed for %s", info)


# Ghosts: sockets that are still in a room although they have left it


def may_be_joined(context: Context, room: RoomName, socket_id: SocketId) -> bool:
    """Whether a socket of this instance is joined or joining."""
    session = context.sessions.get(socket_id)
    return session is not None and room in session.rooms


async def leave_ghost(context: Context, seat: Seat) -> None:
    """Remove a socket of this instance from a room unless it is joined."""
    async with context.serial.hold((seat.socket_id, seat.room)):
        session = context.sessions.get(seat.socket_id)
        if session is None or session.rooms.get(seat.room) is None:
            await leave_room(context, seat, is_told=False)
            if session is not None:
                session.rooms.pop(seat.room, None)


# Sockets of this instance


async def forget(context: Context, session: Session, room: RoomName) -> bool:
    """Stop delivering events of a room to the socket. Call inside the hold.

    Returns whether it was joined, as far as known here: its access may have been lost, and the event about
    that may not have arrived yet.
    """
    if session.rooms.pop(room, None) is None:
        return False
    try:
        await context.delivery.leave(room, session.socket_id)
    except Exception as error:
        context.failures.transport(error, seat_of(session, room).failure("transport_channel"))
    return True


async def end_membership(context: Context, session: Session, room: RoomName) -> None:
    """A joined socket has lost its access: remove it, and notify its client. Call inside the hold."""
    await forget(context, session, room)
    await call_on_leave(context, seat_of(session, room), 0)
    tell(context, session, room)


def tell(context: Context, session: Session, room: RoomName) -> None:
    """Notify a socket once that it has lost its access."""
    if room in session.told:
        session.told.discard(room)
    else:
        context.transport.emit(session.socket_id, "roomAccessRemoved", (room,))
