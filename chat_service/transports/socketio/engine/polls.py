"""How a polling client fetches what waits for it: one poll at a time."""

import asyncio
from collections.abc import Callable

from chat_service.transports.socketio.engine.lines import CLOSE_GRACE
from chat_service.transports.socketio.engine.session import Poll, Session


class Polls:
    """The polls of one session. ``on_fetched`` is called when one has got something."""

    __slots__ = ("_done", "_fetched", "_future", "_is_there", "_on_fetched", "_session")

    def __init__(self, session: Session, on_fetched: Callable[[], None]) -> None:
        self._session = session
        self._on_fetched = on_fetched
        # Polls that were answered since somebody has asked.
        self._fetched = 0
        self._future: asyncio.Future[list[str | bytes]] | None = None
        #: Whether the client of that poll still waits for the answer.
        self._is_there: Callable[[], bool] | None = None
        #: Who waits until everything was fetched.
        self._done: asyncio.Future[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a poll waits for packets, and its client for the answer."""
        return self._future is not None and (self._is_there is None or self._is_there())

    async def poll(self, is_there: Callable[[], bool]) -> list[str | bytes] | Poll:
        """The packets for a poll, or why there are none. ``is_there``: whether its client still is."""
        if self._future is not None and not self.is_waiting:
            self._future.cancel()
            self._session.leave_poll()
        answer = self._session.poll()
        if answer is not Poll.WAIT:
            if isinstance(answer, list):
                self._took()
            return answer
        future: asyncio.Future[list[str | bytes]] = asyncio.get_running_loop().create_future()
        self._future, self._is_there = future, is_there
        try:
            return await future
        finally:
            if self._future is future:
                self._future = None
                self._session.leave_poll()

    def answer(self) -> None:
        """Give the poll that waits what there is for it."""
        if self.is_waiting:
            packets = self._session.answer()
            if packets:
                self.end(packets)
                self._took()

    def end(self, packets: list[str | bytes]) -> None:
        """Answer the poll that waits, if there is one."""
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_result(packets)

    def _took(self) -> None:
        self._fetched += 1
        self._on_fetched()
        if self._done is not None and not self._session.waiting and not self._done.done():
            self._done.set_result(None)

    def has_drained(self) -> bool:
        """Whether a poll was answered since the last call."""
        fetched, self._fetched = self._fetched, 0
        return fetched > 0

    async def wait_fetched(self) -> None:
        """Return when the client has fetched what waits for it, or has had time to."""
        if self._session.waiting:
            self._done = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._done], timeout=CLOSE_GRACE)
