"""A room of the SQLite store, within one step."""

import uuid
from collections.abc import Iterable
from typing import Any

from chat_service import rules
from chat_service.contracts.bus import RoomCursor, RoomEvent, Topic, TopicKind
from chat_service.contracts.records import (
    OWNED_ROOMS,
    Actor,
    HistoryQuery,
    JoinHistory,
    MembersPage,
    MemberStatus,
    ReadMark,
    Removal,
    RoomConfig,
    RoomSettings,
    SendConditions,
)
from chat_service.errors import ChatServiceError
from chat_service.types import USERLIST, InstanceId, Message, RoomName, SocketId, UserName
from tests.plugins.sqlite_interactions import Interactions
from tests.plugins.sqlite_step import Step, pack, unpack

COLUMNS = """epoch, birth, seq, last_id, owner, whitelist_only, history_max_size, history_max_bytes,
    userlist_updates, access_updates, history_ttl, empty_ttl"""

#: How many events other than messages a room keeps.
CHANGES_KEPT = 200


def _event(kept: dict[str, Any]) -> RoomEvent:
    removed = {user: tuple(sockets) for user, sockets in kept["removed"].items()}
    lists = {name: tuple(kept[name]) for name in ("args", "exclude", "announced")}
    return RoomEvent(**{**kept, **lists, "removed": removed})


def create(step: Step, name: RoomName, config: RoomConfig, limit: int | None = None) -> None:
    """``limit``: the number of rooms that the owner may have created with one."""
    counted = None if limit is None else config.owner
    if counted is not None and step.value("select count(*) from rooms where counted = ?", counted) >= limit:
        raise ChatServiceError("limitExceeded", OWNED_ROOMS)
    if step.rows("select 1 from rooms where name = ?", name):
        raise ChatServiceError("roomExists", name)
    step.run(
        """insert into rooms (name, epoch, birth, owner, whitelist_only, history_max_size, history_max_bytes,
            userlist_updates, access_updates, history_ttl, empty_ttl, expires, counted)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? + ?, ?)""",
        name,
        uuid.uuid4().hex,
        uuid.uuid4().hex,
        config.owner,
        config.whitelist_only,
        config.history_max_size,
        config.history_max_bytes,
        config.enable_userlist_updates,
        config.enable_access_lists_updates,
        config.history_ttl,
        config.empty_ttl,
        step.now,
        config.empty_ttl,
        counted,
    )
    lists = {"adminlist": config.adminlist, "whitelist": config.whitelist, "blacklist": config.blacklist}
    for list_name, names in lists.items():
        rows = [(name, list_name, item) for item in set(names)]
        step.many("insert into room_lists values (?, ?, ?)", rows)


class Room:
    """Raises ``noRoom`` when there is none."""

    def __init__(self, step: Step, name: RoomName) -> None:
        rows = step.rows(f"select {COLUMNS} from rooms where name = ?", name)
        if not rows:
            raise ChatServiceError("noRoom", name)
        (
            self.epoch,
            self.birth,
            self.seq,
            self.last_id,
            self.owner,
            self.whitelist_only,
            self.history_max_size,
            self.history_max_bytes,
            self.userlist_updates,
            self.access_updates,
            self.history_ttl,
            self.empty_ttl,
        ) = rows[0]
        self.name = name
        self._step = step
        self.interactions = Interactions(step, name)
        if self.history_ttl is not None:
            query = "delete from messages where room = ? and time <= ?"
            step.run(query, name, step.now - self.history_ttl)

    @property
    def cursor(self) -> RoomCursor:
        return RoomCursor(epoch=self.epoch, seq=self.seq)

    def set(self, column: str, value: Any) -> None:
        setattr(self, column, value)
        self._step.run(f"update rooms set {column} = ? where name = ?", value, self.name)

    def publish(self, **event: Any) -> None:
        self.set("seq", self.seq + 1)
        room_event = RoomEvent(epoch=self.epoch, seq=self.seq, last_message_id=self.last_id, **event)
        if not room_event.is_message:
            self.keep(room_event)
        self._step.publish(Topic(TopicKind.ROOM, self.name), room_event)

    def settle(self) -> None:
        """Let the room expire if it is empty, and not otherwise."""
        query = """update rooms set expires = case when exists (select 1 from members where room = rooms.name)
                   then null else ? + empty_ttl end where name = ?"""
        self._step.run(query, self._step.now, self.name)

    def keep(self, event: RoomEvent) -> None:
        """Keep an event for instances that miss it; the oldest ones make room."""
        body = pack({**event._asdict(), "removed": dict(event.removed)})
        self._step.run("insert into changes values (?, ?, ?, ?)", self.name, event.epoch, event.seq, body)
        self._step.run(
            """delete from changes where room = ? and rowid not in
                (select rowid from changes where room = ? order by rowid desc limit ?)""",
            self.name, self.name, CHANGES_KEPT,
        )  # fmt: skip

    def changes(self, cursor: RoomCursor) -> list[RoomEvent]:
        """The kept events after a place."""
        query = "select body from changes where room = ? and epoch = ? and seq > ? order by seq"
        bodies = self._step.column(query, self.name, cursor.epoch, cursor.seq)
        return [_event(unpack(body)) for body in bodies]

    def tell(self, event: str, *args: Any, exclude: tuple[SocketId, ...] = ()) -> None:
        self.publish(event=event, args=(self.name, *args), exclude=exclude)

    # Facts and rights

    def names(self, list_name: str) -> list[str]:
        if list_name == USERLIST:
            return self._step.column("select user from members where room = ?", self.name)
        query = "select name from room_lists where room = ? and list = ?"
        return self._step.column(query, self.name, list_name)

    def facts(self, user: str | None) -> rules.RoomFacts:
        return rules.RoomFacts(
            is_owner=user is not None and user == self.owner,
            in_adminlist=user in self.names("adminlist"),
            in_blacklist=user in self.names("blacklist"),
            in_whitelist=user in self.names("whitelist"),
            whitelist_only=bool(self.whitelist_only),
            joined=user in self.names(USERLIST),
        )

    def check(self, actor: Actor, *, owner: bool = False, admin: bool = False) -> None:
        """Refuse users who are not the owner or not an admin, otherwise users who may not read."""
        if actor.bypass:
            return
        facts = self.facts(actor.name)
        if (owner and not facts.is_owner) or (admin and not rules.is_admin(facts)):
            raise ChatServiceError("notAllowed")
        if not rules.may_read(facts) and not owner and not admin:
            raise ChatServiceError("notJoined", self.name)

    def settings(self) -> RoomSettings:
        return RoomSettings(
            owner=self.owner,
            whitelist_only=bool(self.whitelist_only),
            enable_userlist_updates=bool(self.userlist_updates),
            enable_access_lists_updates=bool(self.access_updates),
        )

    # Members

    def sockets(self, user: UserName) -> list[SocketId]:
        return self._step.column("select id from joined where room = ? and user = ?", self.name, user)

    def set_details(self, user: UserName, socket_id: SocketId, details: str | None) -> bool:
        """Returns whether the socket is joined."""
        query = """update joined set details = ?, changed = (select coalesce(max(changed), 0) + 1 from joined)
                   where room = ? and user = ? and id = ?"""
        return self._step.run(query, details, self.name, user, socket_id)

    def members_page(self, limit: int, cursor: str | None) -> MembersPage:
        """In the order of names, so a cursor is the last name of the page before. No name is empty."""
        query = """select user, joined_at,
                     (select count(*) from joined where room = members.room and user = members.user),
                     (select details from joined where room = members.room and user = members.user
                        and details is not null order by changed desc limit 1)
                   from members where room = ? and user > ? order by user limit ?"""
        rows = self._step.rows(query, self.name, cursor or "", limit + 1)
        page = rows[:limit]
        return MembersPage(
            owner=self.owner,
            epoch=self.epoch,
            last_message_id=self.last_id,
            members_count=self._step.value("select count(*) from members where room = ?", self.name),
            members=[
                MemberStatus(user_name=UserName(user), joined_at=at, sockets=sockets, details=details)
                for user, at, sockets, details in page
            ],
            cursor=page[-1][0] if page and len(rows) > limit else None,
        )

    def mark_seen(self, user: UserName, now: int) -> None:
        self._step.run("insert or replace into seen values (?, ?, ?)", self.name, user, now)

    def forget_seen(self, limit: int) -> None:
        count = self._step.value("select count(*) from seen where room = ?", self.name)
        query = """delete from seen where rowid in (select rowid from seen where room = ? and user not in
                   (select user from members where room = ?) order by timestamp limit ?)"""
        self._step.run(query, self.name, self.name, max(0, count - limit))

    def read_id(self, user: UserName) -> int:
        return self._step.value("select id from marks where room = ? and user = ?", self.name, user) or 0

    def mark_read(self, user: UserName, message_id: int, limit: int) -> ReadMark:
        message_id, before = min(message_id, self.last_id), self.read_id(user)
        if message_id <= before:
            return ReadMark(before, False)
        self._step.run("insert or replace into marks values (?, ?, ?)", self.name, user, message_id)
        count = self._step.value("select count(*) from marks where room = ?", self.name)
        query = """delete from marks where rowid in (select rowid from marks where room = ? and user != ?
                   and user not in (select user from members where room = ?) order by id limit ?)"""
        self._step.run(query, self.name, user, self.name, max(0, count - limit))
        return ReadMark(message_id, True)

    def announce(self, user: UserName) -> None:
        """Tell of a joined user whom the room was not told of yet."""
        query = "update members set announced = 1 where room = ? and user = ? and announced = 0"
        if self._step.run(query, self.name, user) and self.userlist_updates:
            self.tell("roomUserJoined", user)

    def end_presence(self, user: UserName, now: int) -> bool:
        """Returns whether the room is to be told of it."""
        query = "select announced from members where room = ? and user = ?"
        announced = self._step.value(query, self.name, user)
        for table in ("members", "joined"):
            self._step.run(f"delete from {table} where room = ? and user = ?", self.name, user)
        self._step.run("update seen set timestamp = ? where room = ? and user = ?", now, self.name, user)
        return bool(announced and self.userlist_updates)

    def renew(self, now: int) -> Removal | None:
        """Begin another life, with nobody in it."""
        self.set("epoch", uuid.uuid4().hex)
        self.set("seq", 0)
        self.publish()
        return self.remove(self.names(USERLIST), now)

    def remove(self, users: Iterable[str], now: int) -> Removal | None:
        """Remove those of the users who are joined."""
        members = set(self.names(USERLIST))
        gone = [UserName(user) for user in dict.fromkeys(users) if user in members]
        if not gone:
            return None
        removed = {user: tuple(self.sockets(user)) for user in gone}
        places: dict[InstanceId, list[SocketId]] = {}
        for user in gone:
            query = "select id, instance from joined where room = ? and user = ?"
            for socket_id, instance in self._step.rows(query, self.name, user):
                places.setdefault(InstanceId(instance), []).append(SocketId(socket_id))
        announced = tuple(user for user in gone if self.end_presence(user, now))
        self.publish(removed=removed, announced=announced)
        for user, sockets in removed.items():
            self._step.run("delete from socket_rooms where user = ? and room = ?", user, self.name)
            if ":" not in self.name:
                self._step.run("delete from own_rooms where user = ? and room = ?", user, self.name)
            self._step.tell_user(user, "roomAccessRemoved", self.name, exclude=sockets)
        self.settle()
        return Removal(cursor=self.cursor, sockets=places)

    def remove_without_access(self, candidates: Iterable[str], now: int) -> Removal | None:
        return self.remove([user for user in candidates if not rules.has_room_access(self.facts(user))], now)

    def delete(self) -> Removal | None:
        removal = self.remove(self.names(USERLIST), 0)
        self._step.delete_room(self.name)
        return removal

    # Messages

    def trim(self) -> None:
        oldest = self.last_id - self.history_max_size
        if self.history_max_bytes is not None:
            query = "select length(body) from messages where room = ? order by id desc"
            kept = rules.count_within(self._step.column(query, self.name), self.history_max_bytes)
            oldest = max(oldest, self.last_id - kept)
        self._step.run("delete from messages where room = ? and id <= ?", self.name, oldest)

    def add_message(self, message: Message) -> int:
        stored = {**message, "id": self.last_id + 1}
        self.set("last_id", self.last_id + 1)
        values = (self.name, self.last_id, pack(stored), self._step.now)
        self._step.run("insert into messages values (?, ?, ?, ?)", *values)
        self.trim()
        self.publish(event="roomMessage", args=(self.name, unpack(pack(stored))))
        return int(self.last_id)

    def sent(self, user: UserName | None, key: str, digest: bytes) -> int | None:
        """The id of the message that was sent with a key, None if the key is not remembered."""
        query = """select id, digest from sent where birth = ? and user = ? and key = ? and expires > ?"""
        for message_id, its_digest in self._step.rows(query, self.birth, user or "", key, self._step.now):
            if its_digest != digest:
                raise ChatServiceError("idempotencyConflict", key)
            return int(message_id)
        return None

    def remember(self, user: UserName | None, key: str, message_id: int, conditions: SendConditions) -> None:
        now = self._step.now
        self._step.run("delete from sent where expires <= ?", now)
        values = (self.birth, user or "", key, message_id, conditions.digest, now + conditions.window)
        self._step.run("insert into sent values (?, ?, ?, ?, ?, ?)", *values)

    def read_for_join(self, reader: UserName, query: HistoryQuery) -> JoinHistory:
        found = rules.select_history(
            query.after,
            is_same=query.epoch in (None, self.epoch),
            limit=query.limit,
            recent=query.recent,
            last_id=self.last_id,
            stored=self._step.value("select count(*) from messages where room = ?", self.name),
        )
        count, newest = found.last - found.first + 1, not found.recovered
        newest_first = self.messages(found.first - 1, count, newest=newest, max_bytes=query.max_bytes)
        folds = self.interactions.fold(reader, newest_first, self.last_id) if query.fold else None
        if folds is not None:
            newest_first = self.interactions.within(
                newest_first, folds, query.max_bytes, oldest=found.recovered
            )
        more = found.more or (found.recovered and len(newest_first) < count)
        return JoinHistory(recovered=found.recovered, messages=newest_first[::-1], more=more, folds=folds)

    def messages(self, after: int, limit: int, *, newest: bool, max_bytes: int | None) -> list[Message]:
        """At most ``limit`` messages past ``after``, the newest or the oldest ones of them, newest first."""
        order = "desc" if newest else "asc"
        where = f"from messages where room = ? and id > ? order by id {order} limit ?"
        if max_bytes is not None:
            sizes = self._step.column(f"select length(body) {where}", self.name, after, limit)
            limit = rules.count_within(sizes, max_bytes)
        bodies = self._step.column(f"select body {where}", self.name, after, limit)
        return [unpack(body) for body in (bodies if newest else reversed(bodies))]
