"""A clock that tests control."""

import asyncio


class FakeClock:
    """A ``Clock`` that stands still until a test advances it. ``start_ms``: its initial Unix time in ms."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self._start_ms = start_ms
        self._seconds = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._start_ms + round(self._seconds * 1000)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._seconds + seconds, turn))
        await turn

    async def advance(self, seconds: float) -> None:
        """Advance the clock: wake sleepers whose time has come, in order, and let them run."""
        # Tasks about to sleep must start from the current time, not the new one.
        await self._let_run()
        end = self._seconds + seconds
        while due := sorted((item for item in self._sleepers if item[0] <= end), key=lambda item: item[0]):
            when, turn = due[0]
            self._sleepers.remove(due[0])
            self._seconds = max(self._seconds, when)
            if not turn.done():
                turn.set_result(None)
            await self._let_run()
        self._seconds = end
        await self._let_run()

    async def _let_run(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
