"""The rooms of users in memory: those in their lists, and those that count for the limits of owners."""

from collections.abc import Iterable, Iterator

from chat_service.contracts.own_room_store import CONVERSATIONS
from chat_service.contracts.records import OWNED_ROOMS
from chat_service.errors import ChatServiceError
from chat_service.stores.memory.expiry import Expiry
from chat_service.types import RoomName, UserName


class OwnRooms:
    """Conversations, whose names have a colon, and other rooms. They go with the user."""

    __slots__ = ("_conversations", "_rooms")

    def __init__(self) -> None:
        self._rooms: set[RoomName] = set()
        self._conversations: set[RoomName] = set()

    def __iter__(self) -> Iterator[RoomName]:
        yield from self._rooms
        yield from self._conversations

    def __contains__(self, room: object) -> bool:
        return room in self._conversations or room in self._rooms

    def add(self, room: RoomName, limit: int) -> None:
        """Add a room that is not a conversation, unless there are too many."""
        if len(self._rooms) < limit:
            self._rooms.add(room)

    def check_conversations(self, room: RoomName, limit: int) -> None:
        """Raise ``limitExceeded`` if the conversation would be one too many."""
        if room not in self._conversations and len(self._conversations) >= limit:
            raise ChatServiceError("limitExceeded", CONVERSATIONS)

    def add_conversation(self, room: RoomName) -> bool:
        """Returns whether it is new."""
        is_new = room not in self._conversations
        self._conversations.add(room)
        return is_new

    def discard(self, room: RoomName) -> None:
        self._rooms.discard(room)
        self._conversations.discard(room)

    def discard_all(self, rooms: Iterable[RoomName]) -> None:
        for room in rooms:
            self.discard(room)

    def clear_rooms(self) -> None:
        """Forget everything but conversations."""
        self._rooms.clear()


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
