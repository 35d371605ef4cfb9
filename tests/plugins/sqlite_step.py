"""One atomic step of the SQLite store: a transaction, and what is published when it is committed."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgpack

from chat_service.contracts.bus import Envelope, Notify, Topic, TopicKind
from chat_service.contracts.records import Actor, Ban, Rate
from chat_service.errors import ChatServiceError, StoreError, StoreTimeoutError
from chat_service.types import Message, SocketId, UserName
from tests.plugins.sqlite_bus import Hub

# No waiting for the disk: the file outlives the process, which is all that is asked here.
SCHEMA = """
pragma synchronous = off;
pragma journal_mode = memory;
create table if not exists users (
    name text primary key, whitelist_only int, ephemeral int, ttl real, expires real, birth text);
create table if not exists own_rooms (user text, room text, primary key (user, room));
create table if not exists user_lists (user text, list text, name text, primary key (user, list, name));
create table if not exists bans (user text primary key, until int, reason text, expires real);
create table if not exists sockets (user text, id text, instance text, primary key (user, id));
create table if not exists socket_rooms (user text, id text, room text, primary key (user, id, room));
create table if not exists instances (name text primary key, heartbeat int, claimed int, pulse int);
create table if not exists rooms (
    name text primary key, epoch text, birth text, seq int default 0, last_id int default 0, owner text,
    whitelist_only int, history_max_size int, history_max_bytes int,
    userlist_updates int, access_updates int, history_ttl real, empty_ttl real, expires real,
    counted text, pair text);
create table if not exists room_lists (room text, list text, name text, primary key (room, list, name));
create table if not exists members (
    room text, user text, joined_at int, announced int default 0, primary key (room, user));
create table if not exists joined (
    room text, user text, id text, instance text, details text, changed int, primary key (room, user, id));
create table if not exists seen (room text, user text, timestamp int, primary key (room, user));
create table if not exists marks (room text, user text, id int, primary key (room, user));
create table if not exists changes (room text, epoch text, seq int, body blob);
create table if not exists sent (
    birth text, user text, key text, id int, digest blob, expires real, primary key (birth, user, key));
create table if not exists interactions (
    room text, target int, kind text, user text, reaction text, id int);
create table if not exists paces (what text, user text, due int, primary key (what, user));
create table if not exists messages (room text, id int, body blob, time real, primary key (room, id));
"""


def pack(message: Message) -> bytes:
    packed: bytes = msgpack.packb(message)
    return packed


def unpack(body: Any) -> Message:
    """Raises ``StoreError`` for what no store wrote."""
    try:
        message = msgpack.unpackb(body)
    except Exception as error:
        raise StoreError(f"a stored message is corrupt: {error!r}") from error
    if not isinstance(message, dict):
        raise StoreError("a stored message is corrupt: no map")
    return message


@contextmanager
def wrapped_errors() -> Iterator[None]:
    """Raise what SQLite raises as the errors of the protocol."""
    try:
        yield
    except sqlite3.Error as error:
        kind = StoreTimeoutError if "locked" in str(error) else StoreError
        raise kind(f"SQLite: {error}") from error


def connect(path: str, timeout: float) -> sqlite3.Connection:
    """Open the database and make its tables. ``path``: a file, or an SQLite URI; ``timeout``: seconds."""
    with wrapped_errors():
        database = sqlite3.connect(path, timeout, isolation_level=None, uri=path.startswith("file:"))
        try:
            database.executescript(SCHEMA)
        except BaseException:
            database.close()
            raise
    return database


class Step:
    """Queries in a transaction, and the envelopes that it publishes."""

    def __init__(self, database: sqlite3.Connection, now: float) -> None:
        self._database = database
        #: Unix time in seconds.
        self.now = now
        self.published: list[tuple[Topic, Envelope]] = []

    def run(self, query: str, *values: Any) -> bool:
        """Run a statement; says whether a row was changed."""
        return self._database.execute(query, values).rowcount > 0

    def many(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        self._database.executemany(query, list(rows))

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._database.execute(query, values).fetchall()

    def column(self, query: str, *values: Any) -> list[Any]:
        return [row[0] for row in self.rows(query, *values)]

    def value(self, query: str, *values: Any) -> Any:
        """The only value of the first row, None if there is no row."""
        row = self._database.execute(query, values).fetchone()
        return None if row is None else row[0]

    def publish(self, topic: Topic, envelope: Envelope) -> None:
        self.published.append((topic, envelope))

    def tell_user(self, user: UserName, event: str, *args: Any, exclude: Sequence[SocketId] = ()) -> None:
        self.publish(Topic(TopicKind.USER, user), Notify(event=event, args=args, exclude=tuple(exclude)))

    def find_ban(self, user: UserName) -> Ban | None:
        query = "select until, reason from bans where user = ? and (expires is null or expires > ?)"
        for until, reason in self.rows(query, user, self.now):
            return Ban(until=until, reason=reason)
        return None

    def check_actor(self, actor: Actor) -> None:
        if actor.check_ban and actor.name is not None:
            self.check_ban(actor.name)

    def check_ban(self, user: UserName) -> None:
        ban = self.find_ban(user)
        if ban is not None:
            raise ban.error()

    def forget_expired(self) -> None:
        """Remove the users and rooms whose time is over."""
        self.run("delete from users where expires <= ?", self.now)
        for room in self.column("select name from rooms where expires <= ?", self.now):
            self.delete_room(room)
        # Deleted and ephemeral users, too.
        self.run("delete from own_rooms where user not in (select name from users)")

    def delete_room(self, room: str) -> None:
        self.run("delete from rooms where name = ?", room)
        for table in ("room_lists", "seen", "marks", "messages", "changes", "interactions"):
            self.run(f"delete from {table} where room = ?", room)

    def settle_user(self, user: UserName) -> None:
        """Let a user expire who has a limit of time and nothing but the name, and no other."""
        query = """update users set expires = case when whitelist_only
                or exists (select 1 from sockets where user = users.name)
                or exists (select 1 from user_lists where user = users.name)
                then null else coalesce(expires, ? + ttl) end where name = ?"""
        self.run(query, self.now, user)

    def take_turn(self, what: str, user: UserName, rate: Rate | None) -> None:
        if rate is not None:
            now = round(self.now * 1_000_000)
            self.run("delete from paces where due <= ?", now)
            due = self.value("select due from paces where what = ? and user = ?", what, user) or 0
            self.run("insert or replace into paces values (?, ?, ?)", what, user, rate.take(due, now))

    def check_user(self, user: UserName) -> None:
        if not self.rows("select 1 from users where name = ?", user):
            raise ChatServiceError("noUser", user)


@contextmanager
def step(database: sqlite3.Connection, hub: Hub, now: float) -> Iterator[Step]:
    """A transaction: all or nothing, and published only when it is done.

    It contains no await, so the order of the transactions is that of the publications.
    """
    with wrapped_errors():
        database.execute("begin immediate")
        made = Step(database, now)
        try:
            made.forget_expired()
            yield made
        except BaseException:
            database.execute("rollback")
            raise
        database.execute("commit")
    for topic, envelope in made.published:
        hub.send(topic, envelope)
