"""Messages with what others say about them: edits, deletions and reactions are folded in as they arrive."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from chat_service.interactions import DELETION, EDIT, INTERACTIONS, REACTION, RELATES_TO, REPLY
from chat_service.types import Message

#: How many edits, deletions and reactions are remembered whose message is not known yet.
UNHEARD = 200

_ENVELOPE = ("id", "timestamp", "author", RELATES_TO)


class Speaker(Protocol):
    """The methods of a room with which messages refer to others."""

    async def reply(self, message_id: int, message: Mapping[str, Any], *, key: str | None = None) -> int: ...
    async def edit(self, message_id: int, message: Mapping[str, Any], *, key: str | None = None) -> int: ...
    async def delete(self, message_id: int, message: Mapping[str, Any] | None = None) -> int: ...
    async def react(
        self, message_id: int, reaction: str, message: Mapping[str, Any] | None = None
    ) -> int: ...
    async def unreact(
        self, message_id: int, reaction: str, message: Mapping[str, Any] | None = None
    ) -> int: ...


class FoldedMessage:
    """A message of a room in its current form."""

    def __init__(self, room: Speaker, message: Message, *, is_folded: bool) -> None:
        self._room = room
        #: The message with its current content; without content if it is deleted.
        self.message: Message = {name: value for name, value in message.items() if name != INTERACTIONS}
        known: Mapping[str, Any] = message.get(INTERACTIONS, {}) if is_folded else {}
        self.is_edited: bool = known.get("edited", False)
        self.is_deleted: bool = known.get("deleted", False)
        #: Number of users who have given each reaction.
        self.reactions: dict[str, int] = {}
        #: The reactions of this client's user.
        self.own_reactions: set[str] = set()
        for each in known.get("reactions", ()):
            self.reactions[each["reaction"]] = each["count"]
            if each["own"]:
                self.own_reactions.add(each["reaction"])
        self._up_to: int = known.get("upTo", message["id"])

    def __repr__(self) -> str:
        return f"<FoldedMessage {self.message!r:.100}>"

    @property
    def id(self) -> int:
        """The id of the message."""
        number: int = self.message["id"]
        return number

    @property
    def author(self) -> str | None:
        """The user who sent it; None for the server."""
        return self.message.get("author")

    @property
    def reply_to(self) -> int | None:
        """The id of the message that it replies to."""
        relation = self.message.get(RELATES_TO)
        return relation["id"] if relation and relation["type"] == REPLY else None

    async def reply(self, message: Mapping[str, Any], *, key: str | None = None) -> int:
        """Send a reply. See ``ClientRoom.send``."""
        return await self._room.reply(self.id, message, key=key)

    async def edit(self, message: Mapping[str, Any], *, key: str | None = None) -> int:
        """Replace the content; for the author and admins."""
        return await self._room.edit(self.id, message, key=key)

    async def delete(self, message: Mapping[str, Any] | None = None) -> int:
        """Delete the message; for the author and admins."""
        return await self._room.delete(self.id, message)

    async def react(self, reaction: str, message: Mapping[str, Any] | None = None) -> int:
        """Add a reaction of this client's user."""
        return await self._room.react(self.id, reaction, message)

    async def unreact(self, reaction: str, message: Mapping[str, Any] | None = None) -> int:
        """Take a reaction back."""
        return await self._room.unreact(self.id, reaction, message)

    def hear(self, said: Message, user_name: str | None) -> bool:
        """Fold in what a later message says about this one. Returns whether that is news."""
        if said["id"] <= self._up_to:
            return False
        self._up_to = said["id"]
        relation = said[RELATES_TO]
        kind, reaction = relation["type"], relation.get("reaction", "")
        if self.is_deleted:
            return False
        if kind == EDIT:
            content = {name: value for name, value in said.items() if name not in _ENVELOPE}
            self.message, self.is_edited = {**self._envelope(), **content}, True
        elif kind == DELETION:
            self.message, self.is_deleted = self._envelope(), True
            self.reactions.clear()
            self.own_reactions.clear()
        else:
            self._count(reaction, 1 if kind == REACTION else -1, is_own=said.get("author") == user_name)
        return True

    def _envelope(self) -> Message:
        return {name: self.message[name] for name in _ENVELOPE if name in self.message}

    def _count(self, reaction: str, change: int, *, is_own: bool) -> None:
        number = self.reactions.get(reaction, 0) + change
        if number > 0:
            self.reactions[reaction] = number
        else:
            self.reactions.pop(reaction, None)
        if is_own:
            (self.own_reactions.add if change > 0 else self.own_reactions.discard)(reaction)


class FoldedMessages:
    """The newest messages of a room, each in its current form, by id. Iterates over them, oldest first."""

    def __init__(self, room: Speaker, user_name: str | None, limit: int = 1000) -> None:
        """``limit``: number of messages that are kept, and an eighth more for a while."""
        self._room = room
        self._user_name = user_name
        self._limit = limit
        self._messages: dict[int, FoldedMessage] = {}
        # The interactions of messages that are not here: their page may be on its way.
        self._unheard: deque[Message] = deque(maxlen=UNHEARD)

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[FoldedMessage]:
        return iter([self._messages[number] for number in sorted(self._messages)])

    def get(self, message_id: int) -> FoldedMessage | None:
        """The message with an id, if it is kept."""
        return self._messages.get(message_id)

    def take(self, message: Message, *, is_folded: bool = False) -> FoldedMessage | None:
        """Take a message of the room's stream, in the order of ids, or of its history.

        ``is_folded``: it is from a history that was read with ``fold``. Returns the message that is new or
        has changed; None if nothing is to be shown.
        """
        relation = message.get(RELATES_TO)
        if relation is not None and relation["type"] != REPLY:
            target = self._messages.get(relation["id"])
            if target is None:
                self._unheard.append(message)
                return None
            return target if target.hear(message, self._user_name) else None
        if message["id"] in self._messages:
            return None
        made = self._messages[message["id"]] = FoldedMessage(self._room, message, is_folded=is_folded)
        for said in self._unheard:
            if said[RELATES_TO]["id"] == made.id:
                made.hear(said, self._user_name)
        if len(self._messages) > self._limit + self._limit // 8:
            # Many at once, so that a message costs the same however many are kept.
            for number in sorted(self._messages)[: -self._limit]:
                del self._messages[number]
        return made
