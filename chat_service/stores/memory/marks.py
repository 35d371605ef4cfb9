"""How far users have read a room in memory."""

from collections.abc import Container

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
