"""Users who leave a room by a change: a few at once, many in slices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from chat_service.contracts.bus import RoomCursor
from chat_service.types import InstanceId, SocketId, UserName

#: How many users one event removes by name, and how many a slice deals with.
REMOVED_AT_ONCE = 200


@dataclass(slots=True)
class Member:
    """A joined user. ``announced``: set by an announcement, even if userlist updates are off."""

    sockets: dict[SocketId, InstanceId] = field(default_factory=dict)
    announced: bool = False
    #: Unix time in ms at which the first socket joined.
    joined_at: int = 0
    #: The details of sockets, the latest ones last; None before the first ones.
    details: dict[SocketId, str] | None = None

    def set_details(self, socket_id: SocketId, details: str | None) -> None:
        if self.details is not None:
            self.details.pop(socket_id, None)
        if details is not None:
            self.details = {**(self.details or {}), socket_id: details}

    @property
    def shown_details(self) -> str | None:
        return next(reversed(self.details.values()), None) if self.details else None


class Leaving:
    """The users whom a change has removed. They are out already; the rest is done in slices."""

    def __init__(
        self,
        users: dict[UserName, Member],
        cursor: RoomCursor,
        tell: Callable[[Mapping[UserName, Member]], None],
    ) -> None:
        """``cursor``: the position of the change. ``tell``: updates the room and tells it who have left."""
        self.cursor = cursor
        #: The sockets of the slices so far.
        self.sockets: dict[InstanceId, list[SocketId]] = {}
        #: Whether the event loop turns before each slice.
        self.is_large = len(users) > REMOVED_AT_ONCE
        self._tell = tell
        self._left = users
        # Users who joined again before their slice.
        self._settled: set[UserName] = set()

    @property
    def is_over(self) -> bool:
        return not self._left

    def settle(self, user: UserName) -> None:
        """The user is about to join again: tell the room of the leave before."""
        member = self._left.get(user)
        if member is not None and user not in self._settled:
            self._settled.add(user)
            self._tell({user: member})

    def take(self) -> dict[UserName, tuple[tuple[SocketId, ...], bool]]:
        """Do a slice. Returns the sockets of its users, and whether each user has not joined again."""
        part = dict(islice(self._left.items(), REMOVED_AT_ONCE))
        for user, member in part.items():
            del self._left[user]
            for socket_id, instance_id in member.sockets.items():
                self.sockets.setdefault(instance_id, []).append(socket_id)
        fresh = {user: member for user, member in part.items() if user not in self._settled}
        if fresh:
            self._tell(fresh)
        return {user: (tuple(member.sockets), user in fresh) for user, member in part.items()}
