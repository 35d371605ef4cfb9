"""A room in memory: its state, its rules and the events it publishes."""

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from chat_service import rules
from chat_service.contracts.bus import RoomCursor, RoomEvent, Topic, TopicKind, message_event
from chat_service.contracts.records import (
    Actor,
    HistoryInfo,
    HistoryPage,
    MembersPage,
    MemberStatus,
    ReadMark,
    ReadState,
    RoomConfig,
    RoomSettings,
    RoomSummary,
    SendConditions,
    SendResult,
    UserSeen,
)
from chat_service.errors import ChatServiceError
from chat_service.stores.memory.history import History, SentKeys
from chat_service.stores.memory.interaction_table import InteractionTable
from chat_service.stores.memory.leaving import REMOVED_AT_ONCE, Leaving, Member
from chat_service.stores.memory.marks import ReadMarks, SeenUsers
from chat_service.stores.memory.paces import Paces
from chat_service.types import USERLIST, InstanceId, Message, RoomName, SocketId, UserName

#: Number of events other than messages that a room keeps.
CHANGES_KEPT = 200


def new_epoch() -> str:
    return uuid.uuid4().hex[:16]


class MemoryRoom:
    """State and rules of one room. Each method checks, changes and publishes in one step."""

    def __init__(
        self,
        name: RoomName,
        config: RoomConfig,
        emit: Callable[[Topic, RoomEvent], None],
        now: Callable[[], float],
    ) -> None:
        """``now``: seconds on a clock that never goes back."""
        self.name = name
        self._topic = Topic(TopicKind.ROOM, name)
        self.epoch = new_epoch()
        #: Identifies this life of the room, also when the epoch changes.
        self.birth = self.epoch
        self.pair: tuple[object, object] | None = None  # the births of the two users of a conversation
        self.seq = 0
        self.owner = config.owner
        self.whitelist_only = config.whitelist_only
        self.enable_userlist_updates = config.enable_userlist_updates
        self.enable_access_lists_updates = config.enable_access_lists_updates
        # Dicts used as ordered sets.
        self.lists: dict[str, dict[str, None]] = {
            "adminlist": dict.fromkeys(config.adminlist),
            "blacklist": dict.fromkeys(config.blacklist),
            "whitelist": dict.fromkeys(config.whitelist),
        }
        self.members: dict[UserName, Member] = {}
        #: Changes that removed many users and are not finished.
        self.leaving: list[Leaving] = []
        self.is_deleted = False
        self.seen = SeenUsers()
        self.marks = ReadMarks()
        #: Time in seconds after which the room goes when it is empty; None: never.
        self.empty_ttl = config.empty_ttl
        self.history = History(config.history_max_size, config.history_max_bytes, config.history_ttl, now=now)
        self.interactions = InteractionTable(self.history)
        # The latest events other than messages.
        self._changes: deque[RoomEvent] = deque(maxlen=CHANGES_KEPT)
        self._emit = emit

    # Facts and checks

    def facts(self, user: str | None) -> rules.RoomFacts:
        return rules.RoomFacts(
            is_owner=user is not None and user == self.owner,
            in_adminlist=user in self.lists["adminlist"],
            in_blacklist=user in self.lists["blacklist"],
            in_whitelist=user in self.lists["whitelist"],
            whitelist_only=self.whitelist_only,
            joined=user in self.members,
        )

    def check_read(self, actor: Actor) -> None:
        if actor.bypass or actor.name in self.members:
            # Same as rules.may_read, without gathering all facts.
            return
        if not rules.may_read(self.facts(actor.name)):
            raise ChatServiceError("notJoined", self.name)

    def check_send(self, actor: Actor) -> None:
        if not actor.bypass and actor.name not in self.members:
            raise ChatServiceError("notJoined", self.name)

    def check_owner(self, actor: Actor) -> None:
        if not actor.bypass and not self.facts(actor.name).is_owner:
            raise ChatServiceError("notAllowed")

    # Reading

    def settings(self) -> RoomSettings:
        return RoomSettings(
            owner=self.owner,
            whitelist_only=self.whitelist_only,
            enable_userlist_updates=self.enable_userlist_updates,
            enable_access_lists_updates=self.enable_access_lists_updates,
        )

    def summary(self) -> RoomSummary:
        return RoomSummary(
            name=self.name,
            owner=self.owner,
            members_count=len(self.members),
            last_message_id=self.history.last_id,
            history_size=self.history.size,
            history_max_size=self.history.max_size,
            whitelist_only=self.whitelist_only,
            epoch=self.epoch,
        )

    def history_info(self) -> HistoryInfo:
        history = self.history
        return HistoryInfo(
            size=history.size, max_size=history.max_size, last_message_id=history.last_id, cursor=self.cursor
        )

    def names(self, list_name: str) -> Iterable[str]:
        return self.members if list_name == USERLIST else self.lists[list_name]

    def user_seen(self, user: UserName) -> UserSeen:
        return UserSeen(joined=user in self.members, timestamp=self.seen.get(user))

    def members_page(self, names: Iterable[UserName], cursor: str | None) -> MembersPage:
        """``names``: those of the members on the page."""
        return MembersPage(
            owner=self.owner,
            epoch=self.epoch,
            last_message_id=self.history.last_id,
            members_count=len(self.members),
            members=[self._member_status(name, self.members[name]) for name in names],
            cursor=cursor,
        )

    @staticmethod
    def _member_status(user: UserName, member: Member) -> MemberStatus:
        return MemberStatus(
            user_name=user,
            joined_at=member.joined_at,
            sockets=len(member.sockets),
            details=member.shown_details,
        )

    def unread(self, user: UserName) -> ReadState:
        return ReadState(self.history.last_id, self.marks.of(user))

    def mark_read(self, user: UserName, message_id: int, limit: int) -> ReadMark:
        return self.marks.move(user, min(message_id, self.history.last_id), limit, self.members)

    def page(self, after: int | None, limit: int, max_bytes: int | None) -> HistoryPage:
        history = self.history
        found = history.recent(limit, max_bytes) if after is None else history.after(after, limit, max_bytes)
        return HistoryPage(found, self.epoch)

    @property
    def cursor(self) -> RoomCursor:
        return RoomCursor(epoch=self.epoch, seq=self.seq)

    # Membership

    def check_join(self, user: UserName) -> None:
        if not rules.has_room_access(self.facts(user)):
            raise ChatServiceError("notAllowed")

    def join(
        self,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        now: int,
        seen_limit: int,
        details: str | None,
    ) -> tuple[int, bool]:
        """Returns the number of the user's joined sockets, and whether this one is new."""
        member = self.members.get(user)
        if member is None:
            for leaving in self.leaving:
                leaving.settle(user)
            member = self.members[user] = Member(joined_at=now)
            if seen_limit:
                self.seen.join(user, now, seen_limit, self.members)
        changed = socket_id not in member.sockets
        if changed:
            member.sockets[socket_id] = instance_id
            if details is not None:
                member.set_details(socket_id, details)
        return len(member.sockets), changed

    def announce(self, user: UserName, socket_id: SocketId) -> int:
        """Announce a user once. Returns the user's joined sockets, 0 if this one is not joined."""
        member = self.members.get(user)
        if member is None or socket_id not in member.sockets:
            return 0
        if not member.announced:
            member.announced = True
            if self.enable_userlist_updates:
                self.notify("roomUserJoined", self.name, user)
        return len(member.sockets)

    def leave(self, user: UserName, socket_id: SocketId, now: int) -> tuple[int, bool]:
        """Returns the number of the user's sockets still joined, and whether this one was joined."""
        member = self.members.get(user)
        if member is None or socket_id not in member.sockets:
            return len(member.sockets) if member else 0, False
        del member.sockets[socket_id]
        member.set_details(socket_id, None)
        if not member.sockets:
            del self.members[user]
            self.seen.leave(user, now)
            if member.announced and self.enable_userlist_updates:
                self.notify("roomUserLeft", self.name, user, exclude=(socket_id,))
        return len(member.sockets), True

    def set_details(self, user: UserName, socket_id: SocketId, details: str | None, shown: Any) -> None:
        member = self.members.get(user)
        if member is None or socket_id not in member.sockets:
            raise ChatServiceError("notJoined", self.name)
        member.set_details(socket_id, details)
        if member.announced and self.enable_userlist_updates:
            self.notify("roomMemberUpdated", self.name, user, shown)

    def remove(self, users: Iterable[UserName], now: int) -> Leaving | None:
        """Remove users by a single event; None if none of them is joined."""
        gone = {user: member for user in users if (member := self.members.pop(user, None)) is not None}
        return self._depart(gone, now)

    def _remove_others(self, stayed: Iterable[UserName], now: int) -> Leaving | None:
        """Remove all but some of the members."""
        gone = self.members
        self.members = {user: gone.pop(user) for user in stayed}
        return self._depart(gone, now)

    def _depart(self, gone: dict[UserName, Member], now: int) -> Leaving | None:
        if not gone:
            return None
        tell = partial(self._tell_left, now)
        if len(gone) <= REMOVED_AT_ONCE:
            tell(gone)
            return Leaving(gone, self.cursor, lambda users: None)
        if len(self.members) < len(gone):
            self._publish(stayed=frozenset(self.members))
        else:
            self._publish(removed=dict.fromkeys(gone, ()))
        leaving = Leaving(gone, self.cursor, tell)
        self.leaving.append(leaving)
        return leaving

    def _tell_left(self, now: int, gone: Mapping[UserName, Member]) -> None:
        """Publish that removed users have left."""
        announced: list[UserName] = []
        for user, member in gone.items():
            self.seen.leave(user, now)
            if member.announced and self.enable_userlist_updates:
                announced.append(user)
        removed = {user: tuple(member.sockets) for user, member in gone.items()}
        if not self.is_deleted:
            self._publish(removed=removed, announced=tuple(announced))

    def delete(self) -> Leaving | None:
        """Remove all members for ever."""
        leaving = self.remove(list(self.members), 0)
        self.is_deleted = True
        return leaving

    def renew(self, now: int) -> Leaving | None:
        """Start a new epoch without members. Returns those who were joined."""
        self.epoch, self.seq = new_epoch(), 0
        # This event also reaches instances with sockets in the room that the room has lost.
        self._publish()
        return self._remove_others((), now)

    def remove_without_access(self, candidates: Iterable[str], now: int) -> Leaving | None:
        """Remove the candidates who may not stay."""
        users = [UserName(user) for user in candidates if user in self.members]
        return self.remove([user for user in users if not rules.has_room_access(self.facts(user))], now)

    def remove_all_without_access(self, now: int) -> Leaving | None:
        """Remove the members who may not stay. Looks at the names in the lists if these are fewer."""
        if not self.whitelist_only:
            blacklist = self.lists["blacklist"]
            fewer = self.members if len(self.members) < len(blacklist) else blacklist
            return self.remove_without_access(list(fewer), now)
        named = {*self.lists["whitelist"], *self.lists["adminlist"], self.owner}
        users = [user for user in self.members if user in named]
        return self._remove_others([user for user in users if rules.has_room_access(self.facts(user))], now)

    # Messages and settings

    def send(
        self,
        actor: Actor,
        message: Message,
        conditions: SendConditions,
        sent_keys: SentKeys,
        paces: Paces,
        check_recipient: Callable[[UserName, Actor], None],
    ) -> SendResult:
        key, digest, window, expected, rate, relation, recipient = conditions
        scope = None if key is None else (self.birth, actor.name, key)
        sent = None if scope is None else sent_keys.find(scope)
        if sent is not None:
            if sent.digest != digest:
                raise ChatServiceError("idempotencyConflict", key)
            return SendResult(sent.id, True)
        if actor.bypass or actor.name in self.members:
            if recipient is not None:
                check_recipient(recipient, actor)
                if recipient not in self.lists["whitelist"]:
                    return SendResult(0, False)
            if expected is not None and expected != self.history.last_id:
                raise ChatServiceError("conflict", self.history.last_id)
            said = None
            if relation is not None:
                is_admin = actor.bypass or rules.is_admin(self.facts(actor.name))
                said = self.interactions.judge(relation, actor.name, is_admin=is_admin, epoch=self.epoch)
            if said is not None:
                if scope is not None:
                    sent_keys.remember(scope, said, digest, window)
                return SendResult(said, True)
            if rate is not None and actor.name is not None:
                paces.take(("message", self.name, actor.name), rate)
        message_id = self.add_message(actor, message)
        if relation is not None:
            self.interactions.add(relation, actor.name, message_id)
        if scope is not None:
            sent_keys.remember(scope, message_id, digest, window)
        return SendResult(message_id, False)

    def add_message(self, actor: Actor, message: Message) -> int:
        if not actor.bypass and actor.name not in self.members:
            raise ChatServiceError("notJoined", self.name)
        message_id = self.history.append(message)
        self.seq += 1
        self._emit(self._topic, message_event(self.epoch, self.seq, message_id, (self.name, message)))
        return message_id

    def change_list(
        self, actor: Actor, list_name: str, add: Sequence[str], remove: Sequence[str], limit: int
    ) -> None:
        facts, names_owner = self.facts(actor.name), self.owner in {*add, *remove}
        if not actor.bypass and not rules.may_change_list(facts, list_name, names_owner=names_owner):
            raise ChatServiceError("notAllowed")
        names = self.lists[list_name]
        rules.check_list_growth(names, add, list_name, limit)
        added = [name for name in dict.fromkeys(add) if name not in names]
        names.update(dict.fromkeys(added))
        removed = [name for name in dict.fromkeys(remove) if name in names]
        for name in removed:
            del names[name]
        if self.enable_access_lists_updates:
            if added:
                self.notify("roomAccessListAdded", self.name, list_name, added)
            if removed:
                self.notify("roomAccessListRemoved", self.name, list_name, removed)

    def set_mode(self, actor: Actor, whitelist_only: bool) -> None:
        if not actor.bypass and not rules.is_admin(self.facts(actor.name)):
            raise ChatServiceError("notAllowed")
        self.whitelist_only = whitelist_only
        if self.enable_access_lists_updates:
            self.notify("roomModeChanged", self.name, whitelist_only)

    # Events

    def changes(self, cursor: RoomCursor) -> list[RoomEvent]:
        """The kept events other than messages after a cursor."""
        return [event for event in self._changes if event.epoch == cursor.epoch and event.seq > cursor.seq]

    def notify(self, event: str, *args: Any, exclude: tuple[SocketId, ...] = ()) -> None:
        self._publish(event=event, args=args, exclude=exclude)

    def _publish(self, **event: Any) -> None:
        self.seq += 1
        last_id = self.history.last_id
        made = RoomEvent(epoch=self.epoch, seq=self.seq, last_message_id=last_id, **event)
        self._changes.append(made)
        self._emit(self._topic, made)
