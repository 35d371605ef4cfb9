"""The rooms in the list of one user in memory."""

from collections.abc import Iterable, Iterator

from chat_service.contracts.own_room_store import CONVERSATIONS
from chat_service.errors import ChatServiceError
from chat_service.types import RoomName


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
        """Add a room that is no conversation, unless there are too many."""
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
