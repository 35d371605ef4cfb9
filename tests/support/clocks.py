"""Clocks that are wrong, and that tests can set."""

from chat_service.clock import SystemClock


class SteppedClock(SystemClock):
    """The machine's clock, but its wall clock is ``step_ms`` ahead; a test may set that at any time."""

    def __init__(self, step_ms: int = 0) -> None:
        self.step_ms = step_ms

    def now_ms(self) -> int:
        return super().now_ms() + self.step_ms
