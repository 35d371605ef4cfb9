"""Clients that do not read: they are disconnected before what waits for them fills the memory.

Answers that a client has asked for do not count. While they wait, its next requests do.
"""

import asyncio
import logging
from functools import partial
from typing import Any

from engineio import packet as engine_packet

from chat_service.concurrency.background import Background

logger = logging.getLogger("chat_service")

#: Why such a socket ends.
SLOW_CONSUMER = "slow consumer"
#: Bytes that a packet in a queue takes besides its data, so that many small ones are not free.
PACKET_OVERHEAD = 128
#: How many packets are put into a queue of the library from one look at its bytes to the next.
LOOK_EVERY = 16


class LivePacket(engine_packet.Packet):  # type: ignore[misc]
    """A packet that the client has not asked for."""


class SizedQueue(asyncio.Queue[Any]):
    """The queue of an Engine.IO session, which knows how much is in it. None in it is the end."""

    # Both are called by the methods of the base class, and are made to be overridden.

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        #: Bytes of the packets in the queue.
        self.bytes = 0
        #: Bytes among them that the client has not asked for.
        self.live_bytes = 0
        #: Packets that were taken.
        self.taken = 0

    def _put(self, item: Any) -> None:
        size = size_of(item)
        self.bytes += size
        if isinstance(item, LivePacket):
            self.live_bytes += size
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        size = size_of(item)
        self.bytes -= size
        self.taken += 1
        if isinstance(item, LivePacket):
            self.live_bytes -= size
        return item


def size_of(packet: Any) -> int:
    """Bytes that a packet takes while it waits."""
    if packet is None:
        return 0
    data = packet.data
    return PACKET_OVERHEAD + (len(data) if isinstance(data, str | bytes | bytearray) else 0)


def unsent_bytes(queue: Any) -> int:
    """Bytes of the packets in the queue of a session, ours or the library's."""
    return queue.bytes if isinstance(queue, SizedQueue) else sum(map(size_of, queue._queue))


def _live_bytes(queue: Any) -> int:
    if isinstance(queue, SizedQueue):
        return queue.live_bytes
    return sum(size_of(packet) for packet in queue._queue if isinstance(packet, LivePacket))


def unsent_of(session: Any) -> int:
    """Bytes that wait for a session, ours or the library's."""
    unsent = getattr(session, "unsent", None)
    return unsent if isinstance(unsent, int) else unsent_bytes(session.queue)


class SlowConsumers:
    """Bounds the bytes in the queues of Engine.IO sessions. WebSockets of our own bound theirs themselves."""

    def __init__(self, send_buffer_limit: int) -> None:
        self.send_buffer_limit = send_buffer_limit
        #: Sockets that were disconnected for not reading.
        self.count = 0
        #: The tasks that close such sessions.
        self.background = Background()

    def found(self, sid: str, unsent: int) -> None:
        """A session is being closed since so many bytes wait for it."""
        self.count += 1
        logger.warning("connection %s is cut as a slow consumer: %s bytes are unsent", sid, unsent)

    def check(self, session: Any) -> None:
        """Close a session if too much waits in its queue; a packet was put into it just now.

        One packet alone may be larger than the limit.
        """
        queue = session.queue
        is_ours = isinstance(queue, SizedQueue)
        if not is_ours and queue.qsize() % LOOK_EVERY:
            return
        if queue.qsize() > 1 and _live_bytes(queue) > self.send_buffer_limit:
            self.cut(session)
        elif is_ours and queue.bytes > self.send_buffer_limit and not session.is_full:
            session.full()

    def cut(self, session: Any) -> None:
        """End the session of a client that does not read."""
        if session.closing or session.closed:
            return
        if getattr(session, "connection", None) is not None:
            session.connection.cut(session.connection.unsent)
            return
        queue = session.queue
        self.found(session.sid, unsent_bytes(queue))
        while not queue.empty():
            queue.get_nowait()
            queue.task_done()
        close = partial(session.close, wait=False, abort=True, reason=SLOW_CONSUMER)
        self.background.once("closing of a slow consumer", close)
