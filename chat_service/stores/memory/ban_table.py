"""Bans of users in memory."""

from collections.abc import Callable
from math import inf
from time import monotonic

from chat_service.contracts.records import Actor, Ban
from chat_service.types import UserName


class Bans:
    """The bans of all users. They do not depend on whether a user exists."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        """``now``: seconds on a clock that never goes back."""
        self._now = now
        #: Each ban with its end on that clock.
        self._bans: dict[UserName, tuple[Ban, float]] = {}

    def __len__(self) -> int:
        return len(self._bans)

    def set(self, user: UserName, ban: Ban, now_ms: int) -> None:
        """Ban a user, and forget the bans that have ended. ``now_ms``: Unix time in ms."""
        now = self._now()
        self._bans = {name: entry for name, entry in self._bans.items() if entry[1] > now}
        self._bans[user] = ban, inf if ban.until is None else now + (ban.until - now_ms) / 1000

    def find(self, user: UserName) -> Ban | None:
        """The ban of a user, None if there is none or it has ended."""
        entry = self._bans.get(user)
        return entry[0] if entry is not None and entry[1] > self._now() else None

    def remove(self, user: UserName) -> bool:
        """End a ban. Returns whether there was one."""
        was_banned = self.find(user) is not None
        self._bans.pop(user, None)
        return was_banned

    def check_actor(self, actor: Actor) -> None:
        """Raise ``banned`` if the actor is banned and this has to be checked."""
        if actor.check_ban and actor.name is not None:
            self.check(actor.name)

    def check(self, user: UserName) -> None:
        """Raise ``banned`` if the user is banned."""
        # Most services have no bans.
        ban = self.find(user) if self._bans else None
        if ban is not None:
            raise ban.error()
