"""Limits how long a command may wait for the store, counted from its arrival.

A store limits each of its operations. A command may need several and may have waited for other commands; its
``Patience`` limits all of that together. Time spent in the application's code does not count.
"""

from contextvars import ContextVar
from time import monotonic


class Patience:
    """The time left for a command. ``seconds``: from now on."""

    __slots__ = ("excused", "until")

    def __init__(self, seconds: float) -> None:
        #: ``monotonic()`` at the end.
        self.until = monotonic() + seconds
        #: Excluded time in seconds.
        self.excused = 0.0

    @property
    def left(self) -> float:
        """The remaining time in seconds; negative after the end."""
        return self.until - monotonic()

    def suspend(self) -> float:
        """Stop counting while the application's code runs. Returns the argument for ``resume``."""
        current.set(None)
        return monotonic()

    def resume(self, suspended: float) -> None:
        """Continue counting after the application's code."""
        self.excuse(monotonic() - suspended)
        current.set(self)

    def excuse(self, seconds: float) -> None:
        """Exclude time from this command and from those that wait for its end."""
        self.until += seconds
        self.excused += seconds


#: The patience of the running command. None: each operation has the store's full timeout.
current: ContextVar[Patience | None] = ContextVar("chat_service_patience", default=None)
