"""Logins that expire: the client is warned, and disconnected unless it renews its login."""

import asyncio
import heapq
import itertools
import logging
from enum import Enum
from typing import Final, NamedTuple

from chat_service.clock import Clock
from chat_service.concurrency.running import Background
from chat_service.contracts.transport import Transport
from chat_service.domain.sessions import Session

logger = logging.getLogger("chat_service")

#: Maximum wait in seconds, because the machine's clock may be set in the meantime.
LONGEST_WAIT: Final = 30.0
#: Size of the heap at which outdated entries are first removed.
FIRST_LIMIT: Final = 256


class _Step(Enum):
    NOTICE = "notice"
    END = "end"


class _Entry(NamedTuple):
    due: float
    #: Orders entries that are due at the same time.
    number: int
    session: Session
    expires_at: float
    step: _Step

    @property
    def is_current(self) -> bool:
        """Whether the login still has this expiry time."""
        return not self.session.is_closed and self.session.expires_at == self.expires_at


class LoginExpiry:
    """The expiry times of this instance's logins, in one heap with one timer.

    ``notice``: seconds before the expiry at which the client gets ``loginExpiring``; ``grace``: seconds
    after it at which the socket is disconnected.
    """

    def __init__(self, transport: Transport, clock: Clock, *, notice: float, grace: float) -> None:
        self._transport = transport
        self._clock = clock
        self._notice = notice
        self._grace = grace
        self._heap: list[_Entry] = []
        #: Twice the size after the last clean-up, so that an addition takes constant time on average.
        self._limit = FIRST_LIMIT
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        #: Number of logins that were disconnected because they had expired.
        self.ended = 0

    def __len__(self) -> int:
        return len(self._heap)

    def start(self, background: Background) -> None:
        """Watch the logins until the background closes."""
        background.keep("login expiry", self._watch)

    def has_ended(self, expires_at: float | None) -> bool:
        """Whether a login with this expiry time has expired, ignoring the grace period."""
        return expires_at is not None and expires_at <= self._now()

    def set(self, session: Session, expires_at: float | None) -> None:
        """Set the expiry time of a login in seconds of Unix time. None: it does not expire."""
        session.expires_at = expires_at
        if expires_at is None:
            return
        if len(self._heap) >= self._limit:
            self._clean()
        step = _Step.NOTICE if self._now() < expires_at else _Step.END
        self._push(session, expires_at, step)

    def _now(self) -> float:
        return self._clock.now_ms() / 1000

    def _push(self, session: Session, expires_at: float, step: _Step) -> None:
        due = expires_at - self._notice if step is _Step.NOTICE else expires_at + self._grace
        entry = _Entry(due, next(self._numbers), session, expires_at, step)
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._changed.set()

    def _clean(self) -> None:
        """Remove the entries of logins that were renewed or disconnected."""
        self._heap = [entry for entry in self._heap if entry.is_current]
        heapq.heapify(self._heap)
        self._limit = max(FIRST_LIMIT, 2 * len(self._heap))

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            await self._do_due()
            if not self._heap:
                await self._changed.wait()
                continue
            wait = min(max(self._heap[0].due - self._now(), 0.0), LONGEST_WAIT)
            sleeping = asyncio.ensure_future(self._clock.sleep(wait))
            waiting = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait((sleeping, waiting), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
                waiting.cancel()

    async def _do_due(self) -> None:
        while self._heap and self._heap[0].due <= self._now():
            entry = heapq.heappop(self._heap)
            if not entry.is_current:
                continue
            session, expires_at = entry.session, entry.expires_at
            if entry.step is _Step.NOTICE:
                left = max(0, round(expires_at - self._now()))
                self._transport.emit(session.socket_id, "loginExpiring", (left,))
                self._push(session, expires_at, _Step.END)
            else:
                self.ended += 1
                logger.info("the login of user %s at socket %s has ended", session.user, session.socket_id)
                await self._transport.disconnect(session.socket_id)
