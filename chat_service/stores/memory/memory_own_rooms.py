"""The part of the memory store about the rooms in the lists of users, and conversations."""

from dataclasses import replace

from chat_service import rules
from chat_service.contracts.own_room_store import Opened, OwnRoom
from chat_service.contracts.records import Actor, Page, Rate, Removal, RoomConfig
from chat_service.errors import ChatServiceError
from chat_service.protocol.names import conversation_users
from chat_service.stores.memory.backend import MemoryBackend, next_names
from chat_service.stores.memory.room import MemoryRoom
from chat_service.types import RoomName, UserName


class MemoryOwnRooms:
    """Lists of rooms. The methods are described in ``OwnRoomStore``."""

    backend: MemoryBackend

    async def direct_open(
        self,
        room: RoomName,
        actor: Actor,
        peer: UserName,
        config: RoomConfig,
        now: int,
        *,
        limit: int,
        rate: Rate | None = None,
    ) -> Opened:
        backend, user = self.backend, actor.name
        if user is None or user == peer:
            raise ChatServiceError("notAllowed")
        backend.bans.check_actor(actor)
        mine = backend.user(user)
        if rate is not None and room not in mine.own_rooms:
            backend.paces.take(("room", user), rate)
        mine.own_rooms.check_conversations(room, limit)
        theirs = backend.user(peer)
        # In the order of the names, whoever asks.
        pair = (mine.birth, theirs.birth) if user < peer else (theirs.birth, mine.birth)
        former = backend.rooms[room] if backend.has_room(room) else None
        if former is not None and former.pair == pair and room in mine.own_rooms and room in theirs.own_rooms:
            return Opened(())
        if not actor.bypass and not theirs.lets_write(user):
            raise ChatServiceError("notAllowed")
        theirs.own_rooms.check_conversations(room, limit)
        listed = [
            name for name, entry in ((user, mine), (peer, theirs)) if entry.own_rooms.add_conversation(room)
        ]
        config = replace(config, whitelist=conversation_users(room) or (), whitelist_only=True)
        if former is not None and former.pair == pair:
            former.lists["whitelist"] = dict.fromkeys(config.whitelist)
            return Opened(listed)
        leaving = None
        if former is not None:
            backend.remove_room(room)
            leaving = former.delete()
        made = MemoryRoom(room, config, backend.hub.send, backend.now)
        made.pair = pair
        backend.add_room(made)
        if former is None:
            return Opened(listed)
        return Opened(listed, await backend.finish_removal(former, leaving))

    async def direct_leave(self, room: RoomName, user: UserName, now: int) -> Removal | None:
        entry = self.backend.users.get(user)
        if entry is not None:
            entry.own_rooms.discard(room)
        if not self.backend.has_room(room):
            return None
        left = self.backend.rooms[room]
        left.lists["whitelist"].pop(user, None)
        if left.lists["whitelist"]:
            return await self.backend.finish_removal(left, left.remove((user,), now))
        self.backend.remove_room(room)
        return await self.backend.finish_removal(left, left.delete())

    async def own_rooms(self, user: UserName, limit: int, cursor: str | None = None) -> Page[OwnRoom]:
        entry = self.backend.users.get(user)
        if entry is None:
            return Page(items=())
        names, following = next_names(entry.own_rooms, limit, cursor)
        items, lost = [], []
        for name in names:
            room = self.backend.rooms[name] if self.backend.has_room(name) else None
            if room is None or not rules.has_room_access(room.facts(user)):
                lost.append(name)
                continue
            newest = room.history.recent(1)
            at = newest[0].get("timestamp") if newest else None
            last_at = at if isinstance(at, int) else None
            items.append(OwnRoom(name=name, state=room.unread(user), last_message_at=last_at))
        entry.own_rooms.discard_all(lost)
        return Page(items=items, cursor=following)

    def check_listed(self, user: UserName, room: RoomName) -> None:
        """Raise ``noRoom`` unless the user has the conversation in their list."""
        entry = self.backend.users.get(user)
        if entry is None or room not in entry.own_rooms:
            raise ChatServiceError("noRoom", room)

    def list_room(self, user: UserName, room: RoomName, limit: int) -> None:
        """Add a room that is not a conversation to the list of a user."""
        entry = self.backend.users.get(user)
        if entry is not None and ":" not in room:
            entry.own_rooms.add(room, limit)

    def check_recipient(self, recipient: UserName, sender: Actor) -> None:
        """Raise ``noUser``, or ``notAllowed`` if their lists do not let the sender write to them."""
        if sender.bypass:
            return
        entry = self.backend.user(recipient)
        if sender.name is None or not entry.lets_write(sender.name):
            raise ChatServiceError("notAllowed")

    async def own_room_remove(self, user: UserName, room: RoomName) -> None:
        self.backend.unlist(user, room)
