"""Runs on a caller's own Socket.IO server, with the sessions and the sending of the library.

In this mode, frames are not shared between recipients or joined per turn of the loop, reading does not stop
while answers wait, connections do not take turns, and packets are not checked. A client that does not read is
still disconnected, based on the packets that this process has put into its queue.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from engineio.packet import MESSAGE, Packet

from chat_service.concurrency.eager import Waited
from chat_service.concurrency.running import Background
from chat_service.transports.borrowed import cut, is_over, queue_of, session_of
from chat_service.transports.network.lines import PACKET_OVERHEAD, SLOW_CONSUMER

logger = logging.getLogger("chat_service")

#: Seconds between two checks of a client's backlog.
LOOK_AGAIN = 0.05


class LibrarySession:
    """An ``EngineSession``. Counts unsent bytes by the number of packets in the queue."""

    def __init__(self, owner: "LibrarySessions", session: Any) -> None:
        self._owner = owner
        self._session = session
        #: Sizes of the packets that were last put into the queue.
        self._sizes: deque[tuple[int, bool]] = deque()
        self._bytes = 0
        self._live_bytes = 0

    @property
    def closed(self) -> bool:
        """Whether the session is closed."""
        return is_over(self._session)

    @property
    def unsent(self) -> int:
        """Number of bytes waiting to be sent."""
        waiting = queue_of(self._session).qsize()
        while len(self._sizes) > waiting:
            size, is_live = self._sizes.popleft()
            self._bytes -= size
            self._live_bytes -= size if is_live else 0
        return self._bytes

    def send_all(self, packets: Iterable[str | bytes], *, is_answer: bool = False) -> None:
        """Put packets into the queue."""
        for packet in packets:
            if self.closed:
                return
            data = packet[1:] if isinstance(packet, str) else packet
            size = PACKET_OVERHEAD + len(data)
            queue_of(self._session).put_nowait(Packet(MESSAGE, data))
            self._sizes.append((size, not is_answer))
            self._bytes += size
            self._live_bytes += 0 if is_answer else size
            unsent = self.unsent
            if self._live_bytes > self._owner.send_buffer_limit and len(self._sizes) > 1:
                self._owner.cut(self._session, unsent)
                return

    async def wait_drained(self) -> None:
        """Wait until the backlog is small enough for a large answer, or the session is closed."""
        limit = self._owner.send_buffer_limit
        while self.unsent > limit and not self.closed:  # noqa: ASYNC110 - its queue tells nothing
            await asyncio.sleep(LOOK_AGAIN)

    def wait_for(self, work: Waited) -> None:
        """Does nothing: the library does not stop reading."""

    def unbind(self) -> None:
        """Does nothing: the library keeps track."""


class LibrarySessions:
    """The sessions of a caller's server that have sockets of our namespace."""

    def __init__(self, server: Any, send_buffer_limit: int, background: Background) -> None:
        self._server = server
        self.send_buffer_limit = send_buffer_limit
        #: Number of sockets disconnected because they did not read.
        self.slow_consumers = 0
        self._known: WeakKeyDictionary[Any, LibrarySession] = WeakKeyDictionary()
        self._background = background

    def find(self, sid: str) -> LibrarySession | None:
        """The session with an id."""
        session = session_of(self._server, sid)
        if session is None:
            return None
        if session not in self._known:
            self._known[session] = LibrarySession(self, session)
        return self._known[session]

    def cut(self, session: Any, unsent: int) -> None:
        """Close a session whose client does not read."""
        self.slow_consumers += 1
        logger.warning("closing connection %s as a slow consumer: %s bytes are unsent", session.sid, unsent)
        self._background.once("closing of a slow consumer", partial(cut, session, SLOW_CONSUMER))
