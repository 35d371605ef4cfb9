"""One at a time per key, first come first served."""

import asyncio
from collections import deque
from collections.abc import Hashable
from contextvars import ContextVar
from types import TracebackType

#: The holds that the running task is inside of.
_held: ContextVar[tuple["Hold", ...]] = ContextVar("chat_service_holds", default=())


class SerialQueue:
    """Lets one holder in per key; the others wait in the order in which they came.

    A hold inside a hold of the same key passes at once, so a hook may run a command on the room that its own
    command is about.
    """

    def __init__(self) -> None:
        # A key is here while it is held, with those who wait for it.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def hold(self, key: Hashable) -> "Hold":
        """An async context manager that is entered when the key is free."""
        return Hold(self, key)

    async def acquire(self, key: Hashable) -> None:
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = deque()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(key)
            raise

    def release(self, key: Hashable) -> None:
        waiting = self._waiting[key]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[key]


class Hold:
    """One stay inside a ``SerialQueue``."""

    def __init__(self, queue: SerialQueue, key: Hashable) -> None:
        self._queue = queue
        self._key = key
        #: False before and after the stay, also for tasks that outlive it.
        self._active = False

    async def __aenter__(self) -> None:
        held = _held.get()
        if any(hold._active and hold._queue is self._queue and hold._key == self._key for hold in held):
            return
        await self._queue.acquire(self._key)
        self._active = True
        self._token = _held.set((*held, self))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active:
            self._active = False
            _held.reset(self._token)
            self._queue.release(self._key)
