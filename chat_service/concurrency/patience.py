"""How long a command may keep its client waiting for the store, counted from when it came in.

A store bounds each of its operations. A command may need several, and may have waited for others before it:
its ``Patience`` bounds all of that together. What the application's own code takes does not count.
"""

from contextvars import ContextVar
from time import monotonic


class Patience:
    """The time of one command. ``seconds``: from now on."""

    __slots__ = ("excused", "until")

    def __init__(self, seconds: float) -> None:
        #: ``monotonic()`` when it is over.
        self.until = monotonic() + seconds
        #: Seconds that do not count.
        self.excused = 0.0

    @property
    def left(self) -> float:
        """Seconds; negative when it is over."""
        return self.until - monotonic()

    def suspend(self) -> float:
        """The application's code runs now, and what it starts is not bound. Returns what ``resume`` takes."""
        current.set(None)
        return monotonic()

    def resume(self, suspended: float) -> None:
        """The application's code is done."""
        self.excuse(monotonic() - suspended)
        current.set(self)

    def excuse(self, seconds: float) -> None:
        """So many seconds do not count, neither here nor for those who wait for the end of this command."""
        self.until += seconds
        self.excused += seconds


#: That of the running command. None: each operation has the whole time of the store.
current: ContextVar[Patience | None] = ContextVar("chat_service_patience", default=None)
