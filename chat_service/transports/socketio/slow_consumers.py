"""Clients that do not read: they are disconnected before what waits for them fills the memory."""

import asyncio
import logging
from typing import Any

logger = logging.getLogger("chat_service")

#: Why such a socket ends.
SLOW_CONSUMER = "slow consumer"
#: Bytes that a packet in a queue takes besides its data, so that many small ones are not free.
PACKET_OVERHEAD = 128
#: How many packets are put into a queue of the library from one look at its bytes to the next.
LOOK_EVERY = 16


class SizedQueue(asyncio.Queue[Any]):
    """The queue of an Engine.IO session, which knows how much is in it. None in it is the end."""

    # Both are called by the methods of the base class, and are made to be overridden.

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        #: Bytes of the packets in the queue.
        self.bytes = 0

    def _put(self, item: Any) -> None:
        self.bytes += _size(item)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self.bytes -= _size(item)
        return item


def _size(packet: Any) -> int:
    if packet is None:
        return 0
    data = packet.data
    return PACKET_OVERHEAD + (len(data) if isinstance(data, str | bytes | bytearray) else 0)


def unsent_bytes(queue: Any) -> int:
    """Bytes of the packets in the queue of a session, ours or the library's."""
    return queue.bytes if isinstance(queue, SizedQueue) else sum(map(_size, queue._queue))


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
        self._closing: set[asyncio.Task[None]] = set()

    def found(self, sid: str, unsent: int) -> None:
        """A session is being closed since so many bytes wait for it."""
        self.count += 1
        logger.warning("connection %s is cut as a slow consumer: %s bytes are unsent", sid, unsent)

    def check(self, session: Any) -> None:
        """Close a session if too much waits in its queue; a packet was put into it just now.

        One packet alone may be larger than the limit.
        """
        queue = session.queue
        if queue.qsize() == 1:
            return
        if isinstance(queue, SizedQueue):
            unsent = queue.bytes
        elif queue.qsize() % LOOK_EVERY == 0:
            unsent = unsent_bytes(queue)
        else:
            return
        if unsent > self.send_buffer_limit and not session.closing:
            self.found(session.sid, unsent)
            self._close(session)

    def _close(self, session: Any) -> None:
        queue = session.queue
        while not queue.empty():
            queue.get_nowait()
            queue.task_done()
        task = asyncio.get_running_loop().create_task(
            session.close(wait=False, abort=True, reason=SLOW_CONSUMER)
        )
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
