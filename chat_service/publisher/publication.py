"""The ways of a message to the services: what each of them offers, and what can go wrong."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Published(NamedTuple):
    """The id of a stored message. ``duplicate``: it had already been stored with the same key."""

    id: int
    duplicate: bool


class PublishTimeoutError(Exception):
    """It is unknown whether a message is stored. Publish it again with the same ``key``."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"no confirmation in time for the message with the key {self.key}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A message to publish. ``author``: an existing user, or None for the server itself."""

    room: str
    message: dict[str, Any]
    key: str
    author: str | None


class TryAgainError(Exception):
    """An attempt failed in a way that may pass. ``delay``: seconds to wait, as the server asks, or None."""

    def __init__(self, reason: str, delay: float | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


class Route(Protocol):
    """One way. All calls come from the same event loop."""

    async def send(self, posting: Posting) -> Published:
        """Try once. Raises ``TryAgainError``, or ``ChatServiceError`` for a message that is refused."""
        ...

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        ...
