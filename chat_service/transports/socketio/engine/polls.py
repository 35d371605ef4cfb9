"""The parts of a peer: its polls, one at a time, its upgrade to a WebSocket, and its owner."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from chat_service.concurrency.deadlines import Deadlines
from chat_service.transports.network.lines import CLOSE_GRACE, NOBODY, Line, Receiver
from chat_service.transports.socketio.engine.session import PROBED, Poll, ProbeStep, Session

P = TypeVar("P")

#: Maximum time in seconds for an upgrade.
UPGRADE_GRACE = 10.0
#: Maximum duration of polls during an upgrade, in seconds. A client that gets the answer to its poll before
#: the answer to its probe polls again, and upgrades when that poll ends, too.
POLL_GRACE = 0.1


class Polls:
    """The polls of one session, used instead of a ``Line``. ``receiver`` is told how the client keeps up."""

    __slots__ = ("_done", "_fetched", "_future", "_is_there", "_session", "receiver")

    def __init__(self, session: Session, receiver: Receiver) -> None:
        self._session = session
        self.receiver = receiver
        # Number of polls answered since the last check.
        self._fetched = 0
        self._future: asyncio.Future[list[str | bytes]] | None = None
        #: Whether the client of the waiting poll is still connected.
        self._is_there: Callable[[], bool] | None = None
        #: Waiters until everything has been fetched.
        self._done: asyncio.Future[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a poll is waiting for packets, and its client for the answer."""
        return self._future is not None and (self._is_there is None or self._is_there())

    @property
    def unsent(self) -> int:
        """Number of bytes waiting for polls."""
        waiting = self._session.waiting
        return waiting.bytes if waiting is not None else 0

    @property
    def is_full(self) -> bool:
        """Whether the backlog is too large to handle further requests."""
        waiting = self._session.waiting
        return waiting is not None and waiting.is_full

    def send(self, packet: str | bytes, *, is_answer: bool = False) -> None:
        """Queue a packet for a poll. Dropped if the session no longer polls."""
        waiting = self._session.waiting
        if waiting is None:
            return
        was_full = waiting.is_full
        waiting.put(packet, is_answer=is_answer)
        self.answer()
        if waiting.is_over_limit:
            self.receiver.slow(waiting.bytes)
        elif waiting.is_full and not was_full:
            self._fetched = 0
            self.receiver.full()

    async def poll(self, is_there: Callable[[], bool]) -> list[str | bytes] | Poll:
        """The packets for a poll, or the reason why there are none. ``is_there``: whether its client is
        still connected.
        """
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
        """Answer the waiting poll with the queued packets."""
        if self.is_waiting:
            packets = self._session.answer()
            if packets:
                self._give(packets)
                self._took()

    def end(self, packets: list[str | bytes]) -> None:
        """Answer the waiting poll, if there is one. It is the last."""
        self._give(packets)
        # They refer to each other.
        self.receiver = NOBODY

    def _give(self, packets: list[str | bytes]) -> None:
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_result(packets)

    def _took(self) -> None:
        self._fetched += 1
        if not self.is_full:
            self.receiver.drained()
        if self._done is not None and not self._session.waiting and not self._done.done():
            self._done.set_result(None)

    def has_drained(self) -> bool:
        """Whether a poll was answered since the last call."""
        fetched, self._fetched = self._fetched, 0
        return fetched > 0

    async def wait_fetched(self) -> None:
        """Wait until the client has fetched its packets, or its time is up."""
        if self._session.waiting:
            self._done = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._done], timeout=CLOSE_GRACE)


class Upgrade:
    """A WebSocket that requests a polling session: its ``Receiver`` until the client has confirmed."""

    __slots__ = ("_is_over", "_loop", "_on_end", "_polls", "_reminder", "_session", "_timer", "line")

    #: It sends only a few packets, which never wait.
    is_blocked = False

    def __init__(
        self, session: Session, polls: Polls, line: Line, on_end: Callable[[Line | None], None]
    ) -> None:
        """``on_end``: called with the session's WebSocket, or with None if the requesting one is gone."""
        self._session = session
        self._polls = polls
        self._on_end = on_end
        self._is_over = False
        self.line = line
        line.receiver = self
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(UPGRADE_GRACE, self.cancel)
        self._reminder: asyncio.TimerHandle | None = None

    def take(self, packet: str | bytes) -> None:
        """Part of ``Receiver``."""
        if self._is_over:
            return
        match self._session.probe(packet):
            case ProbeStep.ANSWER:
                self.line.send(PROBED)
                self._end_poll()
            case ProbeStep.UPGRADE:
                self._end()
                self._on_end(self.line)
            case ProbeStep.FAIL:
                self.cancel()

    def _end_poll(self) -> None:
        self._session.remind()
        self._polls.answer()
        self._reminder = self._loop.call_later(POLL_GRACE, self._end_poll)

    def cancel(self) -> None:
        """Stop the upgrade: the session continues with polling, or is closed."""
        self._end()
        self.line.close()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._timer.cancel()
            if self._reminder is not None:
                self._reminder.cancel()
            self._session.end_probe()

    def full(self) -> None:
        """Part of ``Receiver``: too little is sent before the end of the upgrade to reach a limit."""

    def drained(self) -> None:
        """Part of ``Receiver``."""

    def slow(self, unsent: int) -> None:
        """Part of ``Receiver``: too little is sent before the end of the upgrade to reach a limit."""

    def violated(self, why: str) -> None:
        """Part of ``Receiver``: the session goes on without the upgrade."""

    def lost(self) -> None:
        """Part of ``Receiver``."""
        self._end()
        self._on_end(None)


class Owner(Protocol[P]):
    """The owner of the peers, see ``Hub``."""

    send_buffer_limit: int
    #: Maximum number of concurrent tasks that handle events of one client.
    max_waiting: int
    #: Handles a message. Raises ``ValueError`` for a message that violates the protocol.
    on_message: Callable[[P, str | bytes], Awaitable[None]]
    #: Called with a closed peer and the reason.
    on_end: Callable[[P, str], Coroutine[Any, Any, None]]
    #: Peers that have to answer a ping in time.
    silent: Deadlines[P]
    #: Peers that have to read some of their backlog in time.
    stalled: Deadlines[P]

    def watch(self, peer: P) -> None:
        """The client is alive: schedule the next ping."""
        ...

    def forget(self, peer: P) -> None:
        """The session is closed."""
        ...

    def found_slow(self, sid: str, unsent: int) -> None:
        """A session is being closed because this number of bytes waits for it."""
        ...
