"""Idempotency keys in memory, each for a limited time."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from chat_service.types import UserName

#: The birth of a room, the sender or None, and the key.
Scope = tuple[str, UserName | None, str]


class Sent(NamedTuple):
    """What is remembered of a message that was sent with a key."""

    id: int
    digest: bytes
    #: On the clock of ``SentKeys``.
    expires: float


class SentKeys:
    """The keys of all rooms. Each key costs some hundred bytes until it expires."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        """``now``: seconds on a clock that never goes back."""
        self._now = now
        # In the order of sending, so that expired ones are in front.
        self._sent: OrderedDict[Scope, Sent] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sent)

    def find(self, scope: Scope) -> Sent | None:
        """What was sent with a key, None if it is unknown or has expired."""
        sent = self._sent.get(scope)
        return sent if sent is not None and sent.expires > self._now() else None

    def remember(self, scope: Scope, message_id: int, digest: bytes, window: float) -> None:
        """Remember a message for ``window`` seconds, and forget what has expired."""
        now = self._now()
        self._forget(now)
        self._sent.pop(scope, None)
        self._sent[scope] = Sent(message_id, digest, now + window)

    def _forget(self, now: float) -> None:
        # A longer window of another service only delays the keys behind it.
        while self._sent:
            oldest = next(iter(self._sent))
            if self._sent[oldest].expires > now:
                return
            del self._sent[oldest]
