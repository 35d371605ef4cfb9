"""Bans: a banned user is disconnected everywhere, removed from all rooms, and cannot log in."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from chat_service.concurrency.eager import in_task
from chat_service.contracts.records import Ban, Removal
from chat_service.contracts.store import Store
from chat_service.domain import recovery, removal
from chat_service.domain.access_loss import settle
from chat_service.domain.context import Context
from chat_service.domain.removal import Seat, Upkeep
from chat_service.errors import ChatServiceError
from chat_service.types import RoomName, UserName

#: Maximum length of a reason in characters, and of a ban in seconds.
MAX_REASON: Final = 1000
MAX_SECONDS: Final = 10**10
#: Maximum number of rooms from which a banned user is removed concurrently.
ROOMS_AT_ONCE: Final = 16
#: Seconds between two checks whether a join that began before the ban is over.
LOOK_PAUSE: Final = 0.02


def make_ban(now: int, seconds: Any, reason: Any) -> Ban:
    """The ban of these arguments. ``now``: Unix time in ms. Raises ``TypeError``, ``ValueError``."""
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"reason: expected a text or None, got {reason!r}")
    if reason is not None and len(reason) > MAX_REASON:
        raise ValueError(f"reason: expected at most {MAX_REASON} characters, got {len(reason)}")
    if seconds is None:
        return Ban(reason=reason)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"seconds: expected a number or None, got {seconds!r}")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"seconds: expected more than 0 and at most {MAX_SECONDS}, got {seconds!r}")
    return Ban(until=now + max(round(seconds * 1000), 1), reason=reason)


async def ban_user(
    upkeep: Upkeep,
    user: UserName,
    ban: Ban,
    *,
    patience: float,
    may_join: Callable[[Seat], bool] = lambda seat: True,
) -> dict[RoomName, Removal]:
    """Ban a user and remove them from every room. Returns the removals, whose hooks may still be running.

    From then on the store refuses messages and changes of the user, even through an instance that has not
    heard of the ban.
    ``patience``: maximum time in seconds for a join that began before the ban. ``may_join``: whether such a
    join may be running for a room in the user's index; False if it is known to be a leave.
    """
    await in_task()
    await upkeep.store.user_ban(user, ban, upkeep.clock.now_ms())
    removals: dict[RoomName, Removal] = {}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while seats := await _seats(upkeep.store, user):
        await _remove(upkeep, user, dict.fromkeys(seat.room for seat in seats), removals)
        # The index names a room before the socket is in it: the join is still running, or was given up.
        pending = [seat for seat in await _seats(upkeep.store, user) if may_join(seat)]
        if not pending:
            break
        if loop.time() > deadline:
            for seat in pending:
                await removal.leave_room(upkeep, seat)
            break
        await asyncio.sleep(LOOK_PAUSE)
    return removals


async def ban_and_settle(context: Context, user: UserName, ban: Ban) -> None:
    """``ban_user`` by a running service. Returns when the hooks of the removals are done, too."""
    patience = context.store_timeout or context.options.bus_ack_timeout
    removals = await ban_user(
        context, user, ban, patience=patience, may_join=lambda seat: may_be_joining(context, seat)
    )
    await asyncio.gather(*(settle(context, *item) for item in removals.items()))


def may_be_joining(context: Context, seat: Seat) -> bool:
    """Whether, as far as known here, a socket may still join a room that the index names."""
    session = context.sessions.get(seat.socket_id)
    return session is None or seat.room in session.rooms


async def check_user(context: Context, user: str | None) -> None:
    """Raise ``banned`` for a user whose instance may not have heard of the ban."""
    ban = None if user is None else await context.store.user_get_ban(UserName(user))
    if ban is not None:
        raise ban.error()


async def _seats(store: Store, user: UserName) -> list[Seat]:
    sockets = await recovery.sockets_of(store, user)
    return [Seat(user, socket_id, room) for socket_id, info in sockets.items() for room in info.rooms]


async def _remove(
    upkeep: Upkeep, user: UserName, rooms: Iterable[RoomName], removals: dict[RoomName, Removal]
) -> None:
    left = iter(rooms)

    async def work() -> None:
        # The iterator is shared: each worker takes the next room.
        for room in left:
            try:
                removed = await upkeep.store.room_remove_users(room, [user], upkeep.clock.now_ms())
            except ChatServiceError:
                # The room was deleted.
                continue
            if removed is not None:
                removals[room] = removed

    await asyncio.gather(*(work() for _ in range(ROOMS_AT_ONCE)))
