"""What a room in memory remembers about its users: read marks, and their last joins and leaves."""

from collections.abc import Container
from itertools import islice

from chat_service.contracts.records import ReadMark
from chat_service.types import UserName


class ReadMarks:
    """The marks of one room. They go with it."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        # In the order of the last moves: low ids tend to come first.
        self._marks: dict[UserName, int] = {}

    def __len__(self) -> int:
        return len(self._marks)

    def of(self, user: UserName) -> int:
        """The id up to which a user has read, 0 without a mark."""
        return self._marks.get(user, 0)

    def move(self, user: UserName, message_id: int, limit: int, members: Container[UserName]) -> ReadMark:
        """Move a mark forward. Beyond the limit, marks of users who are not members are forgotten."""
        before = self._marks.get(user, 0)
        if message_id <= before:
            return ReadMark(before, False)
        self._marks.pop(user, None)
        self._marks[user] = message_id
        excess = len(self._marks) - limit
        if excess > 0:
            others = [name for name in self._marks if name not in members and name != user]
            for name in sorted(others, key=self._marks.__getitem__)[:excess]:
                del self._marks[name]
        return ReadMark(message_id, True)


class SeenUsers(dict[UserName, int]):
    """User to the Unix time in ms of the last join or leave. Those who did so longest ago come first."""

    def join(self, user: UserName, now: int, limit: int, members: Container[UserName]) -> None:
        """Remember a user who joins. Beyond the limit, others who are not members are forgotten."""
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
