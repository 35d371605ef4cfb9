"""A simple model of a store: plain sets and lists, without atomicity or indexes.

Methods are named like those of ``Store`` and return the comparable part of their results. Publications are
collected in ``told``, with the instances that must receive them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat_service.contracts.records import Actor, RoomConfig, SendConditions
from chat_service.errors import ChatServiceError
from chat_service.testing.store_suite.base import Told, told
from chat_service.types import UserName

#: The sockets that were removed, sorted; None when nobody was.
Removed = list[str] | None


@dataclass
class User:
    lists: dict[str, set[str]] = field(default_factory=lambda: {"blacklist": set(), "whitelist": set()})
    mode: bool = False
    #: The rooms of each connected socket.
    sockets: dict[str, set[str]] = field(default_factory=dict)
    #: The instance of each connected socket.
    places: dict[str, str] = field(default_factory=dict)


@dataclass
class Room:
    owner: str | None
    mode: bool
    max_size: int
    userlist_updates: bool
    access_updates: bool
    lists: dict[str, set[str]]
    members: dict[str, set[str]] = field(default_factory=dict)
    announced: set[str] = field(default_factory=set)
    seen: dict[str, int] = field(default_factory=dict)
    joined_at: dict[str, int] = field(default_factory=dict)
    #: The details of sockets, the latest ones last.
    details: dict[str, str] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    last_id: int = 0
    #: The id up to which each user has read.
    marks: dict[str, int] = field(default_factory=dict)
    #: What was sent with each user's keys: id and digest.
    sent: dict[tuple[str | None, str], tuple[int, bytes]] = field(default_factory=dict)

    def is_admin(self, user: str | None) -> bool:
        return user is not None and (user == self.owner or user in self.lists["adminlist"])

    def leaves(self, user: str, now: int) -> None:
        """The last socket of a user has left. Who was not remembered is not remembered then either."""
        del self.joined_at[user]
        if user in self.seen:
            self.seen[user] = now

    def lets_in(self, user: str) -> bool:
        if self.is_admin(user):
            return True
        return user not in self.lists["blacklist"] and (not self.mode or user in self.lists["whitelist"])


class Model:
    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.rooms: dict[str, Room] = {}
        #: (topic name, publication, the instances that must receive it; None: all)
        self.told: list[tuple[str, Told, set[str] | None]] = []

    # Parts

    def user(self, name: str) -> User:
        if name not in self.users:
            raise ChatServiceError("noUser", name)
        return self.users[name]

    def room(self, name: str) -> Room:
        if name not in self.rooms:
            raise ChatServiceError("noRoom", name)
        return self.rooms[name]

    def readable(self, name: str, actor: Actor) -> Room:
        room = self.room(name)
        if not actor.bypass and actor.name not in room.members and not room.is_admin(actor.name):
            raise ChatServiceError("notJoined", name)
        return room

    def tell_room(self, name: str, *words: Any, **more: Any) -> None:
        self.told.append((name, told(*words, **more), None))

    def echo(self, user: str, socket: str, *words: Any) -> None:
        places = self.users[user].places if user in self.users else {}
        needed = {place for other, place in places.items() if other != socket}
        self.told.append((user, told(*words, exclude=[socket]), needed))

    def remove(self, name: str, users: Collection[str], now: int) -> Removed:
        room = self.rooms[name]
        removed = {user: sorted(room.members.pop(user)) for user in sorted(users) if user in room.members}
        if not removed:
            return None
        announced = [user for user in removed if user in room.announced and room.userlist_updates]
        room.announced -= set(removed)
        self.tell_room(name, removed=removed, announced=announced)
        for user, sockets in removed.items():
            room.leaves(user, now)
            for socket in sockets:
                room.details.pop(socket, None)
                self.users[user].sockets.get(socket, set()).discard(name)
            self.told.append((user, told("roomAccessRemoved", name, exclude=sockets), None))
        return sorted(socket for sockets in removed.values() for socket in sockets)

    def remove_without_access(self, name: str, users: Collection[str], now: int) -> Removed:
        return self.remove(name, [user for user in users if not self.rooms[name].lets_in(user)], now)

    # Users and sockets

    def user_delete(self, user: str) -> None:
        if self.user(user).sockets:
            raise ChatServiceError("userOnline", user)
        del self.users[user]

    def user_add_to_list(self, user: str, list_name: str, names: Sequence[str], limit: int) -> None:
        names_now = self.user(user).lists[list_name]
        if set(names) - names_now and len(names_now | set(names)) > limit:
            raise ChatServiceError("listLimitExceeded", list_name)
        names_now.update(names)

    def user_remove_from_list(self, user: str, list_name: str, names: Sequence[str]) -> None:
        self.user(user).lists[list_name].difference_update(names)

    def user_set_mode(self, user: str, mode: bool) -> None:
        self.user(user).mode = mode

    def direct_message(self, user: str, actor: Actor, message: dict[str, Any]) -> None:
        to = self.user(user)
        allowed = actor.name not in to.lists["blacklist"] and (
            not to.mode or actor.name in to.lists["whitelist"]
        )
        if actor.name == user or not (actor.bypass or allowed):
            raise ChatServiceError("notAllowed")
        if not to.sockets:
            raise ChatServiceError("noUserOnline", user)
        self.told.append((user, told("directMessage", message), None))

    def socket_connect(self, user: str, socket: str, instance: str) -> int:
        entry = self.users.setdefault(user, User())
        sockets = entry.sockets
        if socket not in sockets:
            sockets[socket] = set()
            entry.places[socket] = instance
            self.echo(user, socket, "socketConnectEcho", socket, len(sockets))
        return len(sockets)

    def socket_disconnect(self, user: str, socket: str) -> int:
        sockets = self.users[user].sockets if user in self.users else {}
        if socket in sockets:
            del sockets[socket], self.users[user].places[socket]
            self.echo(user, socket, "socketDisconnectEcho", socket, len(sockets))
        return len(sockets)

    # Rooms

    def room_create(self, name: str, config: RoomConfig) -> None:
        if name in self.rooms:
            raise ChatServiceError("roomExists", name)
        self.rooms[name] = Room(
            owner=config.owner,
            mode=config.whitelist_only,
            max_size=config.history_max_size,
            userlist_updates=config.enable_userlist_updates,
            access_updates=config.enable_access_lists_updates,
            lists={
                "adminlist": set(config.adminlist),
                "blacklist": set(config.blacklist),
                "whitelist": set(config.whitelist),
            },
        )

    def room_delete(self, name: str, actor: Actor) -> Removed:
        room = self.room(name)
        if not actor.bypass and (actor.name is None or actor.name != room.owner):
            raise ChatServiceError("notAllowed")
        removed = self.remove(name, set(room.members), 0)
        del self.rooms[name]
        return removed

    def room_join(
        self,
        name: str,
        user: str,
        socket: str,
        now: int,
        announce: bool,
        is_remembered: bool,
        details: str | None,
    ) -> tuple[int, bool, int]:
        room = self.room(name)
        if not room.lets_in(user):
            raise ChatServiceError("notAllowed")
        if user not in room.members:
            room.members[user] = set()
            room.joined_at[user] = now
            if is_remembered:
                room.seen[user] = now
        self.users[user].sockets[socket].add(name)
        changed = socket not in room.members[user]
        room.members[user].add(socket)
        if changed and details is not None:
            room.details[socket] = details
        if changed and announce:
            self.room_announce(name, user, socket)
        return len(room.members[user]), changed, room.last_id

    def room_announce(self, name: str, user: str, socket: str) -> None:
        room = self.rooms.get(name)
        if room is None or socket not in room.members.get(user, ()):
            return
        if user not in room.announced:
            room.announced.add(user)
            if room.userlist_updates:
                self.tell_room(name, "roomUserJoined", name, user)
        self.echo(user, socket, "roomJoinedEcho", name, socket, len(room.members[user]))

    def room_leave(self, name: str, user: str, socket: str, now: int, echo: bool) -> tuple[int, bool, bool]:
        if user in self.users:
            self.users[user].sockets.get(socket, set()).discard(name)
        room = self.rooms.get(name)
        if room is None:
            return 0, False, False
        joined = room.members.get(user, set())
        if socket not in joined:
            return len(joined), False, True
        joined.discard(socket)
        room.details.pop(socket, None)
        if not joined:
            del room.members[user]
            room.leaves(user, now)
            if user in room.announced and room.userlist_updates:
                self.tell_room(name, "roomUserLeft", name, user, exclude=[socket])
            room.announced.discard(user)
        if echo:
            self.echo(user, socket, "roomLeftEcho", name, socket, len(joined))
        return len(joined), True, True

    def room_set_details(self, name: str, user: str, socket: str, details: str | None) -> None:
        room = self.room(name)
        if socket not in room.members.get(user, ()):
            raise ChatServiceError("notJoined", name)
        room.details.pop(socket, None)
        if details is not None:
            room.details[socket] = details
        if user in room.announced and room.userlist_updates:
            self.tell_room(name, "roomMemberUpdated", name, user, details)

    def members_page(self, name: str, actor: Actor) -> dict[str, tuple[int, int, str | None]]:
        """When each user has joined, with how many sockets, and the details that were set last."""
        room = self.readable(name, actor)
        found = {}
        for user, sockets in room.members.items():
            texts = [text for socket, text in room.details.items() if socket in sockets]
            found[user] = room.joined_at[user], len(sockets), texts[-1] if texts else None
        return found

    def room_message(self, name: str, actor: Actor, message: dict[str, Any]) -> int:
        room = self.room(name)
        if not actor.bypass and actor.name not in room.members:
            raise ChatServiceError("notJoined", name)
        room.last_id += 1
        stored = {**message, "id": room.last_id}
        room.messages = [*room.messages, stored][-room.max_size :] if room.max_size else []
        self.tell_room(name, "roomMessage", name, stored)
        return room.last_id

    def room_send(
        self, name: str, actor: Actor, message: dict[str, Any], conditions: SendConditions
    ) -> tuple[int, bool]:
        room, key, expected = self.room(name), conditions.key, conditions.expected_last_id
        if key is not None and (actor.name, key) in room.sent:
            message_id, digest = room.sent[actor.name, key]
            if digest != conditions.digest:
                raise ChatServiceError("idempotencyConflict", key)
            return message_id, True
        if not actor.bypass and actor.name not in room.members:
            raise ChatServiceError("notJoined", name)
        if expected is not None and expected != room.last_id:
            raise ChatServiceError("conflict", room.last_id)
        message_id = self.room_message(name, actor, message)
        if key is not None:
            room.sent[actor.name, key] = message_id, conditions.digest
        return message_id, False

    def room_mark_read(self, name: str, user: str, message_id: int, bypass: bool) -> tuple[int, bool]:
        room = self.readable(name, Actor(name=UserName(user), bypass=bypass))
        before = room.marks.get(user, 0)
        room.marks[user] = max(before, min(message_id, room.last_id))
        return room.marks[user], room.marks[user] > before

    def rooms_unread(self, names: Sequence[str], user: str, bypass: bool) -> dict[str, int]:
        found = {}
        for name in names:
            room = self.rooms.get(name)
            if room is not None and (bypass or user in room.members or room.is_admin(user)):
                found[name] = room.last_id - room.marks.get(user, 0)
        return found

    def room_history(self, name: str, actor: Actor, after: int, limit: int) -> list[dict[str, Any]]:
        following = [item for item in self.readable(name, actor).messages if item["id"] > after]
        return following[:limit][::-1]

    def room_recent_history(self, name: str, actor: Actor, limit: int) -> list[dict[str, Any]]:
        return self.readable(name, actor).messages[-limit:][::-1]

    def room_get_list(self, name: str, actor: Actor, list_name: str) -> list[str]:
        room = self.readable(name, actor)
        return sorted(room.members if list_name == "userlist" else room.lists[list_name])

    def room_user_seen(self, name: str, actor: Actor, user: str) -> tuple[bool, int | None]:
        room = self.readable(name, actor)
        return user in room.members, room.seen.get(user)

    def room_change_list(
        self, name: str, actor: Actor, list_name: str, now: int, add: list[str], remove: list[str], limit: int
    ) -> Removed:
        room = self.room(name)
        if not actor.bypass and (actor.name is None or actor.name != room.owner):
            touches_owner = room.owner in {*add, *remove}
            if not room.is_admin(actor.name) or list_name == "adminlist" or touches_owner:
                raise ChatServiceError("notAllowed")
        names = room.lists[list_name]
        if set(add) - names and len(names | set(add)) > limit:
            raise ChatServiceError("listLimitExceeded", list_name)
        added = [item for item in dict.fromkeys(add) if item not in names]
        names.update(added)
        removed = [item for item in dict.fromkeys(remove) if item in names]
        names.difference_update(removed)
        for event, changed in (("roomAccessListAdded", added), ("roomAccessListRemoved", removed)):
            if changed and room.access_updates:
                self.tell_room(name, event, name, list_name, changed)
        return self.remove_without_access(name, {*add, *remove}, now)

    def room_set_mode(self, name: str, actor: Actor, now: int, mode: bool) -> Removed:
        room = self.room(name)
        if not actor.bypass and not room.is_admin(actor.name):
            raise ChatServiceError("notAllowed")
        room.mode = mode
        if room.access_updates:
            self.tell_room(name, "roomModeChanged", name, mode)
        return self.remove_without_access(name, set(room.members), now)

    def room_set_owner(self, name: str, now: int, owner: str | None) -> Removed:
        room = self.room(name)
        former, room.owner = room.owner, owner
        return self.remove_without_access(name, {former} if former is not None else set(), now)

    def room_set_history_max_size(self, name: str, size: int) -> None:
        room = self.room(name)
        room.max_size = size
        room.messages = room.messages[-size:] if size else []

    def room_set_updates(self, name: str, userlist: bool | None, access_lists: bool | None) -> None:
        room = self.room(name)
        room.userlist_updates = room.userlist_updates if userlist is None else userlist
        room.access_updates = room.access_updates if access_lists is None else access_lists

    def room_remove_users(self, name: str, users: Sequence[str], now: int) -> Removed:
        self.room(name)
        return self.remove(name, set(users), now)
