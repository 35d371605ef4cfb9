"""Detects servers, or a machine, that stall without a fault of the run."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from tests.chaos.backends import Backend

#: Seconds between two looks.
PERIOD = 0.1


class Stalls:
    """Asks every server for an answer again and again while it is entered.

    A disk that is slow to confirm a write holds the whole server up, and a busy machine everything on it. The
    service is not to blame for the consequences.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._is_expected = 0
        self._watching: asyncio.Task[None] | None = None
        #: Seconds of the longest wait for an answer, or of the longest delay of this process.
        self.longest = 0.0

    @contextlib.contextmanager
    def expected(self) -> Iterator[None]:
        """While a fault happens, the servers may stand still. This process never may."""
        self._is_expected += 1
        try:
            yield
        finally:
            self._is_expected -= 1

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch(), name="stalls")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._watching is not None
        self._watching.cancel()
        await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        while True:
            begun, was_expected = time.monotonic(), self._is_expected
            for server in self._backend.servers():
                with contextlib.suppress(OSError):
                    await self._ask(server.port)
            answered = time.monotonic()
            if not was_expected and not self._is_expected:
                self.longest = max(self.longest, answered - begun)
            await asyncio.sleep(PERIOD)
            # No fault delays the run itself: that is the machine.
            self.longest = max(self.longest, time.monotonic() - answered - PERIOD)

    async def _ask(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"PING\r\n")
            await reader.readline()
        finally:
            writer.transport.abort()
