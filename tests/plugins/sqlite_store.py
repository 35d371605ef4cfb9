"""A store over SQLite: a third-party plugin, written only from the text of the protocol.

Every step is one transaction over all tables, so what the protocol allows to take two steps takes one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chat_service import rules
from chat_service.contracts.bus import RoomCursor, RoomEvent
from chat_service.contracts.records import (
    SEEN_LIMIT,
    Actor,
    HistoryInfo,
    HistoryQuery,
    JoinResult,
    LeaveResult,
    MembersPage,
    Page,
    Removal,
    RoomConfig,
    RoomQuota,
    RoomSettings,
    RoomSummary,
    SendConditions,
    SendResult,
    UserSeen,
)
from chat_service.contracts.store import Store
from chat_service.errors import ChatServiceError
from chat_service.types import USERLIST, InstanceId, Message, RoomName, SocketId, UserName
from tests.plugins.sqlite_own_rooms import SqliteOwnRooms
from tests.plugins.sqlite_room import Room, create
from tests.plugins.sqlite_step import Step


class SqliteStore(SqliteOwnRooms):
    """The whole ``Store``: rooms upon users."""

    # Rooms

    async def room_create(self, room: RoomName, config: RoomConfig, quota: RoomQuota | None = None) -> None:
        if quota is not None and config.owner is not None:
            with self._step() as s:
                s.check_ban(config.owner)
                s.take_turn("room", config.owner, quota.rate)
        with self._step() as s:
            if quota is not None and config.owner is not None:
                # The user may have been banned since the first step.
                s.check_ban(config.owner)
            create(s, room, config, None if quota is None else quota.limit)

    async def room_delete(self, room: RoomName, actor: Actor) -> Removal | None:
        with self._step() as s:
            s.check_actor(actor)
            entry = Room(s, room)
            entry.check(actor, owner=True)
            return entry.delete()

    async def room_renew(self, room: RoomName, epoch: str, now: int) -> Removal | None:
        with self._step() as s:
            entry = Room(s, room)
            return entry.renew(now) if entry.epoch == epoch else None

    async def room_exists(self, room: RoomName) -> bool:
        with self._step() as s:
            return bool(s.rows("select 1 from rooms where name = ?", room))

    async def room_join(
        self,
        room: RoomName,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        now: int,
        *,
        announce: bool,
        echo_all: bool = False,
        query: HistoryQuery | None = None,
        seen_limit: int = SEEN_LIMIT,
        details: str | None = None,
        own_limit: int = 0,
    ) -> JoinResult:
        self.check_may_join(user, room)
        with self._step() as s:
            s.check_ban(user)
            entry = Room(s, room)
            if not rules.has_room_access(entry.facts(user)):
                raise ChatServiceError("notAllowed")
            self.list_room(s, user, room, own_limit)
            place, last_id = entry.cursor, entry.last_id
            if s.rows("select 1 from sockets where user = ? and id = ?", user, socket_id):
                s.run("insert or ignore into socket_rooms values (?, ?, ?)", user, socket_id, room)
            is_new = s.run("insert or ignore into members values (?, ?, ?, 0)", room, user, now)
            if is_new and seen_limit:
                entry.mark_seen(user, now)
                entry.forget_seen(seen_limit)
            statement = "insert or ignore into joined values (?, ?, ?, ?, null, null)"
            changed = s.run(statement, room, user, socket_id, instance_id)
            if changed and details is not None:
                entry.set_details(user, socket_id, details)
            entry.settle()
            if changed and announce:
                self._announce(s, entry, user, socket_id, echo_all)
            return JoinResult(
                njoined=len(entry.sockets(user)),
                changed=changed,
                cursor=place,
                last_message_id=last_id,
                history=None if query is None else entry.read_for_join(user, query),
            )

    def _announce(self, s: Step, room: Room, user: UserName, socket_id: SocketId, echo_all: bool) -> None:
        room.announce(user)
        exclude = () if echo_all else (socket_id,)
        njoined = len(room.sockets(user))
        s.tell_user(user, "roomJoinedEcho", room.name, socket_id, njoined, exclude=exclude)

    async def room_announce(
        self, room: RoomName, user: UserName, socket_id: SocketId, *, echo_all: bool = False
    ) -> None:
        with self._step() as s:
            query = "select 1 from joined where room = ? and user = ? and id = ?"
            if s.rows(query, room, user, socket_id):
                self._announce(s, Room(s, room), user, socket_id, echo_all)

    async def room_leave(
        self,
        room: RoomName,
        user: UserName,
        socket_id: SocketId,
        now: int,
        *,
        echo: bool,
        echo_all: bool = False,
        keep_index: bool = False,
    ) -> LeaveResult:
        with self._step() as s:
            if not keep_index:
                query = "delete from socket_rooms where user = ? and id = ? and room = ?"
                s.run(query, user, socket_id, room)
            if not s.rows("select 1 from rooms where name = ?", room):
                return LeaveResult(njoined=0, changed=False, room_exists=False)
            entry = Room(s, room)
            query = "delete from joined where room = ? and user = ? and id = ?"
            changed, njoined = s.run(query, room, user, socket_id), len(entry.sockets(user))
            if changed and not njoined and entry.end_presence(user, now):
                entry.tell("roomUserLeft", user, exclude=(socket_id,))
            if changed and not entry.names(USERLIST):
                entry.settle()
            if changed and echo:
                exclude = () if echo_all else (socket_id,)
                s.tell_user(user, "roomLeftEcho", room, socket_id, njoined, exclude=exclude)
            return LeaveResult(njoined=njoined, changed=changed)

    async def room_message(self, room: RoomName, actor: Actor, message: Message) -> int:
        return (await self.room_send(room, actor, message, SendConditions())).id

    async def room_send(
        self, room: RoomName, actor: Actor, message: Message, conditions: SendConditions
    ) -> SendResult:
        with self._step() as s:
            entry, key, expected = Room(s, room), conditions.key, conditions.expected_last_id
            if key is not None:
                message_id = entry.sent(actor.name, key, conditions.digest)
                if message_id is not None:
                    return SendResult(message_id, True)
            if not actor.bypass and actor.name not in entry.names(USERLIST):
                raise ChatServiceError("notJoined", room)
            recipient = conditions.recipient
            if recipient is not None:
                if not actor.bypass and not self._lets_write(s, recipient, actor.name):
                    raise ChatServiceError("notAllowed")
                if recipient not in entry.names("whitelist"):
                    return SendResult(0, False)
            if expected is not None and expected != entry.last_id:
                raise ChatServiceError("conflict", entry.last_id)
            relation = conditions.relation
            said = None
            if relation is not None:
                facts = entry.facts(actor.name)
                said = entry.interactions.judge(actor, relation, facts, entry.last_id, entry.epoch)
            if said is not None:
                if key is not None:
                    entry.remember(actor.name, key, said, conditions)
                return SendResult(said, True)
            if actor.name is not None:
                s.take_turn(f"message:{room}", actor.name, conditions.rate)
            message_id = entry.add_message(message)
            if relation is not None:
                entry.interactions.relate(actor, relation, message_id)
            if key is not None:
                entry.remember(actor.name, key, message_id, conditions)
            return SendResult(message_id, False)

    async def room_history_info(self, room: RoomName, actor: Actor) -> HistoryInfo:
        with self._step() as s:
            entry = Room(s, room)
            entry.check(actor)
            return HistoryInfo(
                size=s.value("select count(*) from messages where room = ?", room),
                max_size=entry.history_max_size,
                last_message_id=entry.last_id,
                cursor=entry.cursor,
            )

    async def room_settings(self, room: RoomName, actor: Actor) -> RoomSettings:
        with self._step() as s:
            entry = Room(s, room)
            entry.check(actor)
            return entry.settings()

    async def room_get_list(self, room: RoomName, actor: Actor, list_name: str) -> list[str]:
        with self._step() as s:
            entry = Room(s, room)
            entry.check(actor)
            return entry.names(list_name)

    async def room_user_seen(self, room: RoomName, actor: Actor, user: UserName) -> UserSeen:
        with self._step() as s:
            entry = Room(s, room)
            entry.check(actor)
            timestamp = s.value("select timestamp from seen where room = ? and user = ?", room, user)
            return UserSeen(joined=user in entry.names(USERLIST), timestamp=timestamp)

    async def room_change_list(
        self,
        room: RoomName,
        actor: Actor,
        list_name: str,
        now: int,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        limit: int,
    ) -> Removal | None:
        with self._step() as s:
            s.check_actor(actor)
            entry = Room(s, room)
            facts, names_owner = entry.facts(actor.name), entry.owner in {*add, *remove}
            if not actor.bypass and not rules.may_change_list(facts, list_name, names_owner=names_owner):
                raise ChatServiceError("notAllowed")
            before = set(entry.names(list_name))
            rules.check_list_growth(before, add, list_name, limit)
            added = [name for name in dict.fromkeys(add) if name not in before]
            s.many("insert into room_lists values (?, ?, ?)", [(room, list_name, n) for n in added])
            removed = [name for name in dict.fromkeys(remove) if name in before.union(added)]
            query = "delete from room_lists where room = ? and list = ? and name = ?"
            s.many(query, [(room, list_name, n) for n in removed])
            for event, names in (("roomAccessListAdded", added), ("roomAccessListRemoved", removed)):
                if names and entry.access_updates:
                    entry.tell(event, list_name, names)
            return entry.remove_without_access([*add, *remove], now)

    async def room_set_mode(
        self, room: RoomName, actor: Actor, now: int, whitelist_only: bool
    ) -> Removal | None:
        with self._step() as s:
            s.check_actor(actor)
            entry = Room(s, room)
            entry.check(actor, admin=True)
            entry.set("whitelist_only", whitelist_only)
            if entry.access_updates:
                entry.tell("roomModeChanged", whitelist_only)
            return entry.remove_without_access(entry.names(USERLIST), now)

    async def room_set_owner(self, room: RoomName, now: int, owner: UserName | None) -> Removal | None:
        with self._step() as s:
            entry = Room(s, room)
            former = entry.owner
            entry.set("owner", owner)
            s.run("update rooms set counted = null where name = ? and counted is not ?", room, owner)
            return entry.remove_without_access([former] if former is not None else [], now)

    async def room_set_history_max_size(self, room: RoomName, size: int) -> None:
        with self._step() as s:
            entry = Room(s, room)
            entry.set("history_max_size", size)
            entry.trim()

    async def room_set_history_max_bytes(self, room: RoomName, size: int) -> None:
        with self._step() as s:
            entry = Room(s, room)
            entry.set("history_max_bytes", size)
            entry.trim()

    async def room_set_history_ttl(self, room: RoomName, ttl: float | None) -> None:
        with self._step() as s:
            entry = Room(s, room)
            if entry.history_ttl is None:
                s.run("update messages set time = ? where room = ?", s.now, room)
            entry.set("history_ttl", ttl)

    async def room_set_empty_ttl(self, room: RoomName, ttl: float | None) -> None:
        with self._step() as s:
            entry = Room(s, room)
            entry.set("empty_ttl", ttl)
            entry.settle()

    async def room_set_updates(
        self, room: RoomName, *, userlist: bool | None = None, access_lists: bool | None = None
    ) -> None:
        with self._step() as s:
            entry = Room(s, room)
            for column, value in (("userlist_updates", userlist), ("access_updates", access_lists)):
                if value is not None:
                    entry.set(column, value)

    async def room_has_in_list(self, room: RoomName, list_name: str, name: str) -> bool:
        with self._step() as s:
            return name in Room(s, room).names(list_name)

    async def room_check_access(self, room: RoomName, user: UserName) -> bool:
        with self._step() as s:
            return rules.has_room_access(Room(s, room).facts(user))

    async def room_members(self, room: RoomName) -> Mapping[UserName, Mapping[SocketId, InstanceId]]:
        with self._step() as s:
            found: dict[UserName, dict[SocketId, InstanceId]] = {
                UserName(user): {} for user in Room(s, room).names(USERLIST)
            }
            for user, socket_id, instance in s.rows(
                "select user, id, instance from joined where room = ?", room
            ):
                found[user][socket_id] = instance
            return found

    async def room_members_page(
        self, room: RoomName, actor: Actor, limit: int, cursor: str | None = None
    ) -> MembersPage:
        with self._step() as s:
            entry = Room(s, room)
            entry.check(actor)
            return entry.members_page(limit, cursor)

    async def room_set_details(
        self, room: RoomName, user: UserName, socket_id: SocketId, details: str | None, shown: Any
    ) -> None:
        with self._step() as s:
            entry = Room(s, room)
            if not entry.set_details(user, socket_id, details):
                raise ChatServiceError("notJoined", room)
            query = "select announced from members where room = ? and user = ?"
            if s.value(query, room, user) and entry.userlist_updates:
                entry.tell("roomMemberUpdated", user, shown)

    async def room_changes(self, room: RoomName, cursor: RoomCursor) -> Sequence[RoomEvent]:
        with self._step() as s:
            return Room(s, room).changes(cursor)

    async def room_remove_users(self, room: RoomName, users: Sequence[UserName], now: int) -> Removal | None:
        with self._step() as s:
            return Room(s, room).remove(users, now)

    # Lists

    def _summary(self, s: Step, room: RoomName) -> RoomSummary:
        entry = Room(s, room)
        return RoomSummary(
            name=room,
            owner=entry.owner,
            members_count=len(entry.names(USERLIST)),
            last_message_id=entry.last_id,
            history_size=s.value("select count(*) from messages where room = ?", room),
            history_max_size=entry.history_max_size,
            whitelist_only=bool(entry.whitelist_only),
            epoch=entry.epoch,
        )

    async def room_summary(self, room: RoomName) -> RoomSummary:
        with self._step() as s:
            return self._summary(s, room)

    async def list_rooms(self, limit: int, cursor: str | None = None) -> Page[RoomSummary]:
        with self._step() as s:
            # A cursor is the last name of the page before, and no name is empty.
            query = "select name from rooms where name > ? order by name limit ?"
            names = s.column(query, cursor or "", limit)
            rooms = [self._summary(s, name) for name in names]
            return Page(items=rooms, cursor=names[-1] if len(names) == limit else None)


def _conforms(store: SqliteStore) -> Store:
    return store
