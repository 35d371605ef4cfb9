"""The rooms that count for the limits of their owners, in memory."""

from chat_service.contracts.records import OWNED_ROOMS
from chat_service.errors import ChatServiceError
from chat_service.stores.memory.expiry import Expiry
from chat_service.types import RoomName, UserName


class OwnedRooms:
    """Which rooms were created with a limit and still belong to those who created them."""

    def __init__(self, empty_rooms: Expiry[RoomName]) -> None:
        """``empty_rooms``: the rooms that end by themselves."""
        self._empty_rooms = empty_rooms
        self._owners: dict[RoomName, UserName] = {}
        self._rooms: dict[UserName, set[RoomName]] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def check(self, owner: UserName, limit: int) -> None:
        """Raises ``limitExceeded`` if the user may own no further room."""
        if len(self._rooms.get(owner, ())) >= limit and self._empty_rooms.heap:
            for room in tuple(self._rooms[owner]):
                self._empty_rooms.look(room)
        if len(self._rooms.get(owner, ())) >= limit:
            raise ChatServiceError("limitExceeded", OWNED_ROOMS)

    def add(self, room: RoomName, owner: UserName) -> None:
        """Count a new room."""
        self._owners[room] = owner
        self._rooms.setdefault(owner, set()).add(room)

    def discard(self, room: RoomName, new_owner: UserName | None = None) -> None:
        """Count a room no longer, because it is gone or has another owner."""
        owner = self._owners.get(room)
        if owner is None or owner == new_owner:
            return
        del self._owners[room]
        rooms = self._rooms[owner]
        rooms.remove(room)
        if not rooms:
            del self._rooms[owner]
