"""Sending the clients of this instance away, a few at a time, so that the others can take them."""

import asyncio
import math

from chat_service.domain.context import Context
from chat_service.types import SocketId

#: Seconds between two batches.
TICK = 0.1
#: Sockets of one batch at least: a few clients need no long time.
SMALLEST_BATCH = 10
#: Seconds that the running commands of a socket have to end before it is disconnected; or ``close_timeout``.
COMMAND_GRACE = 2.0
#: Seconds between two looks whether they have.
LOOK = 0.01


async def send_away(context: Context, seconds: float) -> None:
    """Disconnect all sockets, evenly over so many seconds at most; their clients connect again elsewhere.

    Returns when the last one was told.
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
    # What it has asked for is answered first.
    while session is not None and session.in_flight and tries:
        tries -= 1
        await context.clock.sleep(LOOK)
    await context.transport.disconnect(socket_id, may_return=True)
