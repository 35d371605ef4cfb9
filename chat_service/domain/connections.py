"""The life of a socket on this instance: login, presence, disconnect and drain (protocol.md, Connection)."""

import asyncio
import inspect
import logging
import math
from collections.abc import Awaitable, Mapping
from typing import Any

from chat_service.concurrency.eager import is_being_cancelled
from chat_service.concurrency.time_limit import TimeLimit
from chat_service.contracts.bus import Topic, TopicKind
from chat_service.contracts.records import Departure
from chat_service.domain import bans, membership, removal
from chat_service.domain.context import Context
from chat_service.domain.emitter import FailureInfo
from chat_service.domain.sessions import LoginState, Session
from chat_service.errors import ChatServiceError, StoreRefusedError
from chat_service.hooks import DisconnectInfo, Hook, Login, call_hook, login_of
from chat_service.option_group import is_finite_number
from chat_service.protocol.names import check_name
from chat_service.protocol.values import MAX_DEPTH, count_binary
from chat_service.telemetry import outcome_of
from chat_service.types import EVERYBODY, RoomName, SocketId, UserName, user_channel

logger = logging.getLogger("chat_service")

#: How many rooms a socket that has disconnected leaves before others get their turn.
LEAVES_AT_ONCE = 100


async def login(context: Context, socket_id: SocketId) -> None:
    """Determine the user of a new socket with the ``on_connect`` hook, and tell the client the outcome."""
    session = context.sessions.add(socket_id)
    async with context.serial.hold((socket_id, None)):
        try:
            user, auth_data = await _name_user(context, session)
            if session.is_closed:
                return
            await _enter(context, session, user)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                raise
            context.counters.logins[outcome_of(error)] += 1
            rejection = context.errors.encode(error, f"login of socket {socket_id}")
        else:
            if not session.is_closed:
                context.counters.logins["ok"] += 1
                context.transport.emit(socket_id, "loginConfirmed", (user, {**auth_data, "id": socket_id}))
                context.transport.join_channel(socket_id, EVERYBODY)
                session.end_login(LoginState.CONFIRMED)
                context.login_expiry.set(session, session.expires_at)
                if context.hooks.witness is not None:
                    context.hooks.witness("connect", {"user": user, "socketId": socket_id})
            return
    if not session.is_closed:
        context.transport.emit(socket_id, "loginRejected", (rejection,))
        session.end_login(LoginState.REJECTED)
        if session.early:
            # Send their answers before the connection is closed.
            await session.wait_for_login()
        await context.transport.disconnect(socket_id)


def _ask(hook: Hook, context: Context, session: Session) -> Any:
    """Call ``on_connect``, with a time limit if the hook waits."""
    answer = hook(context.service, session.socket_id)
    return _wait_for(answer, context, session) if inspect.isawaitable(answer) else answer


async def _wait_for(answer: Awaitable[Any], context: Context, session: Session) -> Any:
    """Raises ``timeout`` if it takes longer than ``login_timeout``, or when the client has left."""
    if session.is_closed:
        # It left before the hook could begin.
        asyncio.ensure_future(answer).cancel()
        raise ChatServiceError("timeout")
    limit = session.login_limit = TimeLimit(context.options.login_timeout)
    try:
        return await limit.wait_for(answer)
    except TimeoutError as error:
        if not limit.is_over:
            raise
        raise ChatServiceError("timeout") from error
    finally:
        session.login_limit = None


async def _name_user(context: Context, session: Session) -> tuple[UserName, Mapping[str, Any]]:
    hook = context.hooks.get("on_connect")
    answer = None if hook is None else await call_hook(_ask, hook, context, session)
    if answer is None and context.transport.get_handshake(session.socket_id).takes_guests:
        answer = Login(session.socket_id, ephemeral=True)
    login = login_of(answer)
    name, auth_data = login.name, login.data or {}
    _keep_terms(context, session, login)
    check_name(name, context.options.name_length_limit)
    found, limit = count_binary(auth_data, MAX_DEPTH), context.limits.attachments
    if found is None:
        raise TypeError(f"the on_connect hook returned auth data that cannot be sent: {auth_data!r}")
    if found > limit:
        raise TypeError(
            f"the on_connect hook returned auth data with {found} binary values; max_attachments is {limit}"
        )
    return UserName(name), auth_data


def _keep_terms(context: Context, session: Session, login: Login) -> None:
    """Record the expiry time of a login. Raises ``noLogin`` if it has already expired."""
    check_expiry(login.expires_at)
    if context.login_expiry.has_ended(login.expires_at):
        raise ChatServiceError("noLogin")
    session.expires_at, session.is_ephemeral = login.expires_at, bool(login.ephemeral)


def check_expiry(expires_at: Any) -> None:
    """Raise ``TypeError`` unless the value is None or seconds of Unix time."""
    if expires_at is not None and not is_finite_number(expires_at):
        raise TypeError(
            f"a login must expire at a number of seconds of Unix time, or be None; got {expires_at!r}"
        )


async def refresh(context: Context, session: Session, credentials: Any) -> float | None:
    """Renew a login with the ``on_refresh`` hook. Returns its new expiry time.

    Raises ``notAllowed`` without a hook, for another user, and for an expiry time in the past; ``timeout``;
    ``banned``.
    """
    hook = context.hooks.get("on_refresh")
    if hook is None:
        raise ChatServiceError("notAllowed")
    limit = context.options.login_timeout
    answer = await call_hook(hook, context.service, session.socket_id, credentials, limit=limit)
    if isinstance(answer, Login):
        if answer.name != session.user:
            raise ChatServiceError("notAllowed")
        expires_at = answer.expires_at
    elif answer is None:
        # Most likely a missing return statement, which must not create a login without expiry.
        raise TypeError("the on_refresh hook returned None; expected seconds of Unix time or a Login")
    else:
        expires_at = answer
    check_expiry(expires_at)
    if context.login_expiry.has_ended(expires_at):
        raise ChatServiceError("notAllowed")
    await bans.check_user(context, session.user)
    if not session.is_closed:
        context.login_expiry.set(session, expires_at)
    return expires_at


async def _enter(context: Context, session: Session, user: UserName) -> None:
    topic = Topic(TopicKind.USER, user)
    await context.delivery.interest.acquire(topic)
    context.sessions.name_user(session, user)
    try:
        context.transport.join_channel(session.socket_id, user_channel(user))
    except BaseException:
        await _release(context, session, user)
        raise
    session.is_stored = True
    instance_id = session.instance_id = context.instance_id()
    try:
        await context.store.socket_connect(
            user,
            session.socket_id,
            instance_id,
            ephemeral=session.is_ephemeral,
            limit=context.options.sockets_per_user_limit,
            ttl=context.options.user_ttl,
            rate=context.rates.logins,
        )
    except Exception as error:
        if isinstance(error, StoreRefusedError):
            # The user does not have the socket, but the instance may.
            context.failures.suspect_leftovers()
        else:
            # The store may or may not know the socket: remove it again.
            await _leave_store(context, session, user, [])
        session.is_stored = False
        await _release(context, session, user)
        raise


async def disconnect(context: Context, socket_id: SocketId) -> None:
    """A socket has disconnected: leave its rooms, notify the user's other sockets, call ``on_disconnect``."""
    session = context.sessions.get(socket_id)
    if session is None:
        return
    session.end_login(LoginState.CLOSED)
    if session.login_limit is not None:
        # The result of the hook is no longer needed.
        session.login_limit.expire()
    async with context.serial.hold((socket_id, None)):
        user = session.user
        if user is None or not session.is_stored:
            context.sessions.remove(session)
            return
        departures = await _leave_rooms(context, session)
        nconnected = await _leave_store(context, session, user, departures)
        context.sessions.remove(session)
        await _release(context, session, user)
        await _call_on_disconnect(context, session, user, nconnected, departures)


async def abandon(context: Context, session: Session) -> None:
    """Remove a socket from the store, without hooks, because its disconnect could not. Never raises."""
    user = session.user
    context.sessions.remove(session)
    if user is None or not session.is_stored:
        return
    try:
        # The index may still name rooms that were already left.
        info = (await context.store.user_sockets(user)).get(session.socket_id)
    except Exception:
        info = None
    rooms = {*session.rooms, *(info.rooms if info else ())}
    instance_id = session.instance_id or context.instance_id()
    try:
        await removal.remove_socket(context, user, session.socket_id, instance_id, rooms, is_told=False)
    except Exception as error:
        context.failures.store(error, _info("socket_disconnect", session))


async def _release(context: Context, session: Session, user: UserName) -> None:
    try:
        await context.delivery.interest.release(Topic(TopicKind.USER, user))
    except Exception as error:
        context.failures.transport(error, _info("transport_channel", session))


def _info(op_type: str, session: Session) -> FailureInfo:
    return FailureInfo(op_type=op_type, user_name=session.user, id=session.socket_id)


async def _leave_rooms(context: Context, session: Session) -> list[Departure]:
    async def leave(room: RoomName) -> Departure | None:
        async with context.serial.hold((session.socket_id, room)):
            njoined = await membership.leave_by_disconnect(context, session, room)
        return None if njoined is None else Departure(room=room, njoined=njoined)

    rooms = list(session.rooms)
    # A single room, the most common case, needs no task.
    left = [await leave(rooms[0])] if len(rooms) == 1 else []
    for start in range(0, len(rooms) if len(rooms) > 1 else 0, LEAVES_AT_ONCE):
        if start:
            # Others get their turn.
            await asyncio.sleep(0)
        left += await asyncio.gather(*map(leave, rooms[start : start + LEAVES_AT_ONCE]))
    return [departure for departure in left if departure is not None]


async def _leave_store(
    context: Context, session: Session, user: UserName, departures: list[Departure]
) -> int:
    if session.is_left_over:
        # The index must keep the rooms that are not left yet.
        return 0
    try:
        # This may not be the current id: an instance that starts over takes a new one immediately.
        instance_id = session.instance_id or context.instance_id()
        return await context.store.socket_disconnect(user, session.socket_id, instance_id, departures)
    except Exception as error:
        context.failures.store(error, _info("socket_disconnect", session))
        return 0


async def _call_on_disconnect(
    context: Context, session: Session, user: UserName, nconnected: int, departures: list[Departure]
) -> None:
    rooms = [departure.room for departure in departures]
    if context.hooks.witness is not None:
        facts = {"user": user, "socketId": session.socket_id, "sockets": nconnected, "rooms": rooms}
        context.hooks.witness("disconnect", facts)
    hook = context.hooks.get("on_disconnect")
    if hook is None:
        return
    info = DisconnectInfo(
        id=session.socket_id,
        user_name=user,
        nconnected=nconnected,
        rooms_removed=rooms,
        joined_sockets=[departure.njoined for departure in departures],
    )
    try:
        await call_hook(hook, context.service, info, limit=context.hooks.timeout)
    except Exception:
        logger.exception("on_disconnect hook failed for %s", info)


#: Seconds between two batches.
TICK = 0.1
#: Minimum number of sockets per batch, so that a few clients do not take long.
SMALLEST_BATCH = 10
#: Seconds for the running commands of a socket to finish before it is disconnected; at most
#: ``close_timeout``.
COMMAND_GRACE = 2.0
#: Seconds between two checks whether they have finished.
LOOK = 0.01


async def send_away(context: Context, seconds: float) -> None:
    """Disconnect all sockets, spread evenly over at most this number of seconds. Their clients reconnect
    elsewhere.

    Returns when the last one has been disconnected.
    """
    sockets = list(context.transport.socket_ids())
    batch = max(SMALLEST_BATCH, math.ceil(len(sockets) * TICK / seconds) if seconds else len(sockets))
    for first in range(0, len(sockets), batch):
        if first:
            await context.clock.sleep(TICK)
        await asyncio.gather(
            *(_send_away(context, socket_id) for socket_id in sockets[first : first + batch])
        )


async def _send_away(context: Context, socket_id: SocketId) -> None:
    session = context.sessions.get(socket_id)
    tries = math.ceil(min(COMMAND_GRACE, context.options.close_timeout) / LOOK)
    # Answer its pending commands first.
    while session is not None and session.in_flight and tries:
        tries -= 1
        await context.clock.sleep(LOOK)
    await context.transport.disconnect(socket_id, may_return=True)
