"""Users, their sockets, and the instances of the SQLite store."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import time

from chat_service import rules
from chat_service.contracts.bus import Bus, BusListener, DisconnectUser, Topic, TopicKind
from chat_service.contracts.records import (
    SOCKETS,
    SOCKETS_AND_ROOMS,
    Actor,
    Ban,
    Departure,
    InstanceRecord,
    Page,
    Rate,
    SocketInfo,
    UserConfig,
    UserSummary,
)
from chat_service.errors import ChatServiceError, StoreError
from chat_service.types import InstanceId, Message, SocketId, UserName
from tests.plugins.sqlite_bus import Hub, SqliteBus
from tests.plugins.sqlite_step import Step, connect, step


class SqliteUsers:
    """The part of the store that knows no room.

    ``hub``: the same for all stores over one database. ``timeout``: seconds to wait for a lock. ``now``: the
    Unix time in seconds.
    """

    def __init__(
        self,
        path: str,
        hub: Hub | None = None,
        *,
        timeout: float = 2.0,
        now: Callable[[], float] = time,
    ) -> None:
        self._path = path
        self._hub = hub or Hub()
        self._timeout = timeout
        self._now = now
        self._database: sqlite3.Connection | None = None
        self._bus: SqliteBus | None = None

    @property
    def bus(self) -> Bus:
        if self._bus is None:
            raise StoreError("the store is not open")
        return self._bus

    async def open(self, listener: BusListener) -> None:
        self._database = connect(self._path, self._timeout)
        self._bus = SqliteBus(self._hub, listener)

    async def close(self) -> None:
        if self._bus is not None:
            self._bus.close()
            self._bus = None
        if self._database is not None:
            self._database.close()
            self._database = None

    def _step(self) -> AbstractContextManager[Step]:
        if self._database is None:
            raise StoreError("the store is not open")
        return step(self._database, self._hub, self._now())

    # Users

    async def user_create(self, user: UserName, config: UserConfig) -> None:
        with self._step() as s:
            if s.rows("select 1 from users where name = ?", user):
                raise ChatServiceError("userExists", user)
            query = "insert into users (name, whitelist_only, ephemeral, ttl) values (?, ?, 0, ?)"
            s.run(query, user, config.whitelist_only, config.ttl)
            for list_name, names in (("whitelist", config.whitelist), ("blacklist", config.blacklist)):
                s.many("insert into user_lists values (?, ?, ?)", [(user, list_name, n) for n in set(names)])
            s.settle_user(user)

    async def user_delete(self, user: UserName) -> None:
        with self._step() as s:
            s.check_user(user)
            if s.rows("select 1 from sockets where user = ?", user):
                raise ChatServiceError("userOnline", user)
            s.run("delete from users where name = ?", user)
            s.run("delete from user_lists where user = ?", user)

    async def user_exists(self, user: UserName) -> bool:
        with self._step() as s:
            return bool(s.rows("select 1 from users where name = ?", user))

    async def user_get_list(self, user: UserName, list_name: str) -> list[str]:
        with self._step() as s:
            s.check_user(user)
            return s.column("select name from user_lists where user = ? and list = ?", user, list_name)

    async def user_has_in_list(self, user: UserName, list_name: str, name: str) -> bool:
        return name in await self.user_get_list(user, list_name)

    @contextmanager
    def _step_of(self, user: UserName, check_ban: bool) -> Iterator[Step]:
        """A step that changes a user."""
        with self._step() as s:
            if check_ban:
                s.check_ban(user)
            s.check_user(user)
            yield s

    async def user_add_to_list(
        self, user: UserName, list_name: str, names: Sequence[str], limit: int, *, check_ban: bool = False
    ) -> None:
        with self._step_of(user, check_ban) as s:
            current = s.column("select name from user_lists where user = ? and list = ?", user, list_name)
            rules.check_list_growth(current, names, list_name, limit)
            s.many("insert or ignore into user_lists values (?, ?, ?)", [(user, list_name, n) for n in names])
            s.settle_user(user)

    async def user_remove_from_list(
        self, user: UserName, list_name: str, names: Sequence[str], *, check_ban: bool = False
    ) -> None:
        with self._step_of(user, check_ban) as s:
            query = "delete from user_lists where user = ? and list = ? and name = ?"
            s.many(query, [(user, list_name, n) for n in names])
            s.settle_user(user)

    async def user_get_mode(self, user: UserName) -> bool:
        with self._step() as s:
            s.check_user(user)
            return bool(s.value("select whitelist_only from users where name = ?", user))

    async def user_set_mode(self, user: UserName, whitelist_only: bool, *, check_ban: bool = False) -> None:
        with self._step_of(user, check_ban) as s:
            s.run("update users set whitelist_only = ? where name = ?", whitelist_only, user)
            s.settle_user(user)

    def _lets_write(self, s: Step, user: UserName, sender: str | None) -> bool:
        s.check_user(user)
        query = "select list from user_lists where user = ? and name = ?"
        lists = s.column(query, user, sender)
        return sender not in (None, user) and rules.has_direct_access(
            in_blacklist="blacklist" in lists,
            in_whitelist="whitelist" in lists,
            whitelist_only=bool(s.value("select whitelist_only from users where name = ?", user)),
        )

    async def user_check_direct_access(self, user: UserName, sender: UserName) -> bool:
        with self._step() as s:
            return self._lets_write(s, user, sender)

    async def direct_message(self, user: UserName, sender: Actor, message: Message) -> None:
        with self._step() as s:
            s.check_actor(sender)
            may_write = self._lets_write(s, user, sender.name)
            if not may_write and (not sender.bypass or sender.name == user):
                raise ChatServiceError("notAllowed")
            if not s.rows("select 1 from sockets where user = ?", user):
                raise ChatServiceError("noUserOnline", user)
            s.tell_user(user, "directMessage", message)

    # Bans

    async def user_ban(self, user: UserName, ban: Ban, now: int) -> None:
        with self._step() as s:
            expires = None if ban.until is None else s.now + (ban.until - now) / 1000
            s.run("insert or replace into bans values (?, ?, ?, ?)", user, ban.until, ban.reason, expires)
            s.run("delete from own_rooms where user = ? and room not like '%:%'", user)
            s.publish(Topic(TopicKind.USER, user), DisconnectUser())

    async def user_unban(self, user: UserName) -> bool:
        with self._step() as s:
            was_banned = s.find_ban(user) is not None
            s.run("delete from bans where user = ?", user)
            return was_banned

    async def user_get_ban(self, user: UserName) -> Ban | None:
        with self._step() as s:
            return s.find_ban(user)

    async def banned_users(self, users: Sequence[UserName]) -> Sequence[UserName]:
        with self._step() as s:
            return [user for user in users if s.find_ban(user)]

    # Sockets

    def _count(self, s: Step, user: UserName) -> int:
        return int(s.value("select count(*) from sockets where user = ?", user))

    async def socket_connect(
        self,
        user: UserName,
        socket_id: SocketId,
        instance_id: InstanceId,
        *,
        ephemeral: bool = False,
        limit: int | None = None,
        ttl: float | None = None,
        rate: Rate | None = None,
    ) -> int:
        with self._step() as s:
            s.check_ban(user)
            known = s.rows("select 1 from sockets where user = ? and id = ?", user, socket_id)
            if limit and self._count(s, user) >= limit and not known:
                raise ChatServiceError("limitExceeded", SOCKETS)
            s.take_turn("login", user, None if known else rate)
            query = "insert or ignore into users (name, whitelist_only, ephemeral) values (?, 0, ?)"
            s.run(query, user, ephemeral)
            s.run("update users set ttl = ?, expires = null where name = ?", ttl, user)
            if not ephemeral:
                s.run("update users set ephemeral = 0 where name = ?", user)
            query = "insert or ignore into sockets values (?, ?, ?)"
            is_new, count = s.run(query, user, socket_id, instance_id), self._count(s, user)
            if is_new:
                s.tell_user(user, "socketConnectEcho", socket_id, count, exclude=(socket_id,))
            return count

    async def socket_disconnect(
        self, user: UserName, socket_id: SocketId, instance_id: InstanceId, departures: Sequence[Departure]
    ) -> int:
        with self._step() as s:
            known = s.run("delete from sockets where user = ? and id = ?", user, socket_id)
            s.run("delete from socket_rooms where user = ? and id = ?", user, socket_id)
            count, only = self._count(s, user), (socket_id,)
            if known:
                for left in departures:
                    s.tell_user(user, "roomLeftEcho", left.room, socket_id, left.njoined, exclude=only)
                s.tell_user(user, "socketDisconnectEcho", socket_id, count, exclude=only)
            if known and not count and s.run("delete from users where name = ? and ephemeral", user):
                s.run("delete from user_lists where user = ?", user)
            s.settle_user(user)
            return count

    async def user_sockets(
        self, user: UserName, *, limit: int | None = None
    ) -> Mapping[SocketId, SocketInfo]:
        with self._step() as s:
            s.check_user(user)
            rooms = s.rows("select id, room from socket_rooms where user = ?", user)
            sockets = s.rows("select id, instance from sockets where user = ?", user)
            if limit is not None and len(rooms) + len(sockets) > limit:
                raise ChatServiceError("limitExceeded", SOCKETS_AND_ROOMS)
            return {
                socket_id: SocketInfo(
                    instance_id=instance, rooms=frozenset(room for owner, room in rooms if owner == socket_id)
                )
                for socket_id, instance in sockets
            }

    # Instances

    async def instance_heartbeat(self, instance_id: InstanceId, now: int) -> None:
        with self._step() as s:
            query = """insert into instances values (?, ?, null, 1)
                on conflict do update set heartbeat = excluded.heartbeat, claimed = null, pulse = pulse + 1"""
            s.run(query, instance_id, now)

    async def instance_renew(self, instance_id: InstanceId, now: int) -> bool:
        with self._step() as s:
            query = """update instances set heartbeat = ?, pulse = pulse + 1
                where name = ? and claimed is null"""
            return s.run(query, now, instance_id)

    async def instance_pulses(self) -> Mapping[InstanceId, int]:
        with self._step() as s:
            return dict(s.rows("select name, pulse from instances"))

    async def instance_claim(self, instance_id: InstanceId, now: int, pulse: int) -> int | None:
        with self._step() as s:
            query = "update instances set claimed = ?, pulse = pulse + 1 where name = ? and pulse = ?"
            return pulse + 1 if s.run(query, now, instance_id, pulse) else None

    async def instance_get_heartbeat(self, instance_id: InstanceId) -> int | None:
        return (await self.instances()).get(instance_id)

    async def instance_sockets(self, instance_id: InstanceId) -> Mapping[SocketId, UserName]:
        with self._step() as s:
            return dict(s.rows("select id, user from sockets where instance = ?", instance_id))

    async def instances(self) -> Mapping[InstanceId, int]:
        with self._step() as s:
            return dict(s.rows("select name, heartbeat from instances where claimed is null"))

    async def instance_forget(self, instance_id: InstanceId) -> None:
        with self._step() as s:
            if not s.rows("select 1 from sockets where instance = ?", instance_id):
                s.run("delete from instances where name = ?", instance_id)

    # Lists

    async def list_users(
        self, limit: int, cursor: str | None = None, *, online: bool = True
    ) -> Page[UserSummary]:
        with self._step() as s:
            query = """select name, (select count(*) from sockets where user = name) as n from users
                where name > ? and (n > 0 or not ?) order by name limit ?"""
            rows = s.rows(query, cursor or "", online, limit)
            users = [UserSummary(name=name, sockets=count) for name, count in rows]
            return Page(items=users, cursor=users[-1].name if len(users) == limit else None)

    async def list_instances(self) -> list[InstanceRecord]:
        with self._step() as s:
            query = """select name, heartbeat, claimed, (select count(*) from sockets where instance = i.name)
                from instances i"""
            return [
                InstanceRecord(
                    id=name, heartbeat=None if claimed else heartbeat, claimed=claimed, sockets=count
                )
                for name, heartbeat, claimed, count in s.rows(query)
            ]
