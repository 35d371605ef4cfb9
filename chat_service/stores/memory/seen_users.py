"""When the users of a room joined or left."""

from collections.abc import Container
from itertools import islice

from chat_service.types import UserName


class SeenUsers(dict[UserName, int]):
    """User to the Unix time in ms of the last join or leave. Those who did so longest ago come first."""

    def join(self, user: UserName, now: int, limit: int, members: Container[UserName]) -> None:
        """Remember a user who joins. Beyond the limit, others who are no members are forgotten."""
        self.pop(user, None)
        self[user] = now
        if len(self) > limit:
            left = (user for user in self if user not in members)
            for user in list(islice(left, len(self) - limit)):
                del self[user]

    def leave(self, user: UserName, now: int) -> None:
        """Users whose joins were not remembered are not remembered when they leave either."""
        if self.pop(user, None) is not None:
            self[user] = now
