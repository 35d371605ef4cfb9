"""Messages that are lost for clients: histories rotate while an instance is cut off."""

import asyncio
import contextlib

from chat_service.testing import wait_until
from tests.chaos.client import ConnectFailed, Connection
from tests.chaos.scene import Scene

#: A room keeps few messages when it keeps no more than this many.
FEW = 100
#: Messages beyond what the room keeps.
BEYOND = 5
#: Tries for each room: on a busy machine the instance may lose its lease, and with it the sockets.
ATTEMPTS = 4
#: Seconds in which sockets have to be told what they miss. If it takes longer, the judges decide at the end.
TOLD_IN = 5.0


async def rotate_unheard(scene: Scene) -> None:
    """An instance stands still and loses its bus, while rooms get more messages than they keep."""
    sizes = {room: setup.history_max_size for room, setup in scene.record.rooms.items()}
    for room in sorted((room for room in sizes if sizes[room] <= FEW), key=lambda room: sizes[room]):
        for _ in range(ATTEMPTS):
            if await _rotate(scene, room):
                break
    await scene.pause(0.5, 1.5)


async def _rotate(scene: Scene, room: str) -> bool:
    """Returns whether a socket of the instance was told of a gap."""
    setup = scene.record.rooms[room]
    victim, other = scene.rng.sample(scene.instances.up(), 2)
    # The owner may always join.
    hearer, speaker = (Connection(scene.record, setup.owner, instance) for instance in (victim, other))
    try:
        for connection in (hearer, speaker):
            await connection.open()
            await connection.call("roomJoin", room, {"recent": 1})
        victim.pause()
        try:
            await scene.everywhere("CLIENT", "KILL", "TYPE", "pubsub")
            last = await _fill(speaker, room, setup.history_max_size + BEYOND)
        finally:
            victim.resume()
        with contextlib.suppress(TimeoutError):
            await wait_until(
                lambda: _told_up_to(hearer, room) >= last or not hearer.is_open, "told", timeout=TOLD_IN
            )
        return any(segment.gaps for segment in hearer.tracker.segments)
    except ConnectFailed:
        return False
    finally:
        for connection in (hearer, speaker):
            await connection.close()


def _told_up_to(hearer: Connection, room: str) -> int:
    """The last message that it got, or was told to be missing."""
    gaps = [last for segment in hearer.tracker.segments for *_, last in segment.gaps]
    return max(hearer.newest.get(room, 0), *gaps, 0)


async def _fill(speaker: Connection, room: str, count: int) -> int:
    """Send as many messages. Returns the last id."""
    first = len(speaker.record.entries)
    answers = await asyncio.gather(
        *(
            speaker.call("roomMessage", room, {"textMessage": f"{speaker.user}/rotate/{first}/{number}"})
            for number in range(count)
        )
    )
    return max((message_id for error, message_id in answers if error is None), default=0)
