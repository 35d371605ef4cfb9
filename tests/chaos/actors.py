"""Users of a run: each socket slot acts randomly, and reconnects when its connection is lost."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Coroutine
from typing import Any

from tests.chaos.client import ConnectFailed, Connection
from tests.chaos.instances import InstanceProcess, Instances
from tests.chaos.record import Record
from tests.chaos.tracking import Standing

#: How often each kind of action is taken.
WEIGHTS = {
    "message": 30,
    "readback": 6,
    "burst": 4,
    "join": 14,
    "leave": 8,
    "read": 10,
    "ask": 8,
    "direct": 8,
    "own": 6,
    "ban": 3,
    "pardon": 5,
    "mode": 2,
    "admins": 1,
    "life": 2,
    "drop": 2,
}
#: How often each carrier is taken.
CARRIERS = {"websocket": 6, "upgrade": 2, "polling": 2}
#: How often a message is sent with the same key until there is a clear answer, and the answers that are none.
REPEATS = 40
UNCLEAR = frozenset({"lost", "timeout", "internalError"})
#: Messages that are read at a time.
PAGE = 50


class World:
    """What all slots share."""

    def __init__(self, record: Record, instances: Instances, users: list[str], pace: float) -> None:
        self.record = record
        self.instances = instances
        self.users = users
        self.rooms = list(record.rooms)
        #: Mean seconds between two actions of a slot.
        self.pace = pace
        self.is_over = False
        self.slots: list[Slot] = []
        self._numbers = itertools.count(1)

    def message(self, user: str) -> dict[str, Any]:
        """A message with a text that no other one has."""
        return {"textMessage": f"{user}/{next(self._numbers)}"}

    def connections(self, user: str) -> list[Connection]:
        """The open connections of a user."""
        slots = (slot.connection for slot in self.slots if slot.user == user)
        return [connection for connection in slots if connection is not None and connection.is_open]


class Slot:
    """One socket of a user, and the next one when that is lost.

    ``instance``: the only one that it connects to; None: any.
    """

    def __init__(
        self, world: World, user: str, rng: random.Random, instance: InstanceProcess | None = None
    ) -> None:
        self._world = world
        self.user = user
        self._rng = rng
        self.instance = instance
        self.connection: Connection | None = None
        #: Rooms to be in, joined again after a loss.
        self._wanted: set[str] = set()
        #: Epoch and last message of the rooms where it knows what it has seen.
        self._positions: dict[str, tuple[str, int]] = {}
        self._later: set[asyncio.Task[Any]] = set()

    @property
    def is_online(self) -> bool:
        return self.connection is not None and self.connection.is_open

    # Connecting

    async def connect(self) -> Connection:
        """The open connection; connects to any instance, until it works, and joins the wanted rooms."""
        while True:
            if self.connection is not None and self.connection.is_open:
                return self.connection
            if self.connection is not None:
                await self.connection.close()
                for room in list(self._positions):
                    self._note_position(self.connection, room)
                self.connection = None
            up = [self.instance] if self.instance is not None else self._world.instances.up()
            if up:
                carrier = self._rng.choices(list(CARRIERS), list(CARRIERS.values()))[0]
                connection = Connection(self._world.record, self.user, self._rng.choice(up), carrier)
                try:
                    await connection.open()
                except ConnectFailed:
                    pass
                else:
                    self.connection = connection
                    for room in sorted(self._wanted):
                        await self._enter(connection, room)
                    continue
            await asyncio.sleep(self._rng.uniform(0.1, 0.5))

    async def _enter(self, connection: Connection, room: str) -> None:
        """Join, mostly with a cursor: from where the slot has left off, as far as it knows."""
        cursor = self._cursor(room)
        connection.newest.pop(room, None)
        error, _, extra = await connection.call_with_options("roomJoin", room, *([cursor] if cursor else []))
        # Messages that come without an answer to the join, or without a cursor, do not tell what came before.
        self._positions.pop(room, None)
        if error is not None or not extra:
            return
        epoch, more, messages = extra[0]["epoch"], extra[0]["more"], extra[0]["messages"]
        last = messages[-1]["id"] if messages else extra[0]["lastMessageId"]
        while more and last < extra[0]["lastMessageId"]:
            error, messages, found = await connection.call_with_options(
                "roomHistoryGet", room, last, PAGE, {"epoch": True}
            )
            if error is not None or not messages or found != [epoch]:
                return
            last = messages[0]["id"]
        self._positions[room] = epoch, last

    def _cursor(self, room: str) -> dict[str, Any]:
        """Options of a join; empty for one without."""
        if self._rng.random() < 0.1:
            return {}
        if room in self._positions:
            epoch, last = self._positions[room]
            return {"after": last, "epoch": epoch}
        return self._rng.choice([{"after": 0}, {"recent": self._rng.randint(1, 20)}])

    def _note_position(self, connection: Connection, room: str) -> None:
        """What came live follows what the join said."""
        if room in self._positions and room in connection.newest:
            epoch, last = self._positions[room]
            self._positions[room] = epoch, max(last, connection.newest[room])

    async def close(self) -> None:
        for task in self._later:
            task.cancel()
        if self._later:
            await asyncio.wait(self._later)
        if self.connection is not None:
            await self.connection.close()

    # Acting

    async def run(self) -> None:
        """Do random things until the run is over."""
        while not self._world.is_over:
            connection = await self.connect()
            action = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            await getattr(self, f"_{action}")(connection)
            await asyncio.sleep(self._rng.expovariate(1 / self._world.pace))
        if self._later:
            await asyncio.wait(self._later)

    def _any_room(self) -> str:
        return self._rng.choice(self._world.rooms)

    def _joined_room(self, connection: Connection) -> str:
        joined = connection.tracker.rooms(Standing.IN)
        # Now and then one that it is not joined to.
        return self._rng.choice(joined) if joined and self._rng.random() < 0.95 else self._any_room()

    def _other_users(self) -> list[str]:
        return self._rng.sample([user for user in self._world.users if user != self.user], 2)

    async def _message(self, connection: Connection) -> None:
        room, message = self._joined_room(connection), self._world.message(self.user)
        dice = self._rng.random()
        if dice < 0.2:
            await connection.call("roomMessage", room, message)
        elif dice < 0.3:
            expected = {"expectedLastId": connection.tracker.last_id(room)}
            await connection.call("roomMessage", room, message, expected)
        else:
            await self._send_once(connection, room, message)

    async def _send_once(self, connection: Connection, room: str, message: dict[str, Any]) -> int | None:
        """Send with a key until there is an answer that says what happened; now and then more often, also by
        several sockets at a time. Returns the id."""
        key = {"idempotencyKey": message["textMessage"]}
        if self._rng.random() < 0.1:
            for other in self._world.connections(self.user):
                self._start(other.call("roomMessage", room, message, key))
        for _ in range(REPEATS):
            error, message_id = await connection.call("roomMessage", room, message, key)
            if error not in UNCLEAR:
                break
            await asyncio.sleep(self._rng.uniform(0.05, 0.4))
            connection = await self.connect()
        else:
            return None
        dice = self._rng.random()
        if dice < 0.15:
            others = self._world.connections(self.user) or [connection]
            await self._rng.choice(others).call("roomMessage", room, message, key)
        elif dice < 0.18:
            # Another message under the same key.
            await connection.call("roomMessage", room, self._world.message(self.user), key)
        return message_id if error is None else None

    async def _readback(self, connection: Connection) -> None:
        """Read one's own message, if possible by another socket, and so by another instance."""
        room = self._joined_room(connection)
        message_id = await self._send_once(connection, room, self._world.message(self.user))
        if message_id is not None:
            found = self._world.connections(self.user)
            others = [other for other in found if other.tracker.standing(room) is Standing.IN]
            others = [other for other in others if other.instance is not connection.instance] or others
            if others:
                await self._rng.choice(others).call(
                    "roomHistoryGet", room, message_id - 1, 5, {"epoch": True}
                )

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work, name="in passing")
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _burst(self, connection: Connection) -> None:
        """Several messages on their way at the same time, and nobody waits for the answers."""
        room = self._joined_room(connection)
        for _ in range(self._rng.randint(2, 6)):
            message = self._world.message(self.user)
            options = [{"idempotencyKey": message["textMessage"]}] if self._rng.random() < 0.5 else []
            self._start(connection.call("roomMessage", room, message, *options))
        await asyncio.sleep(0)

    async def _join(self, connection: Connection) -> None:
        room = self._any_room()
        if not connection.tracker.is_busy(room):
            self._wanted.add(room)
            self._note_position(connection, room)
            await self._enter(connection, room)

    async def _leave(self, connection: Connection) -> None:
        room = self._joined_room(connection)
        if not connection.tracker.is_busy(room):
            self._wanted.discard(room)
            await connection.call("roomLeave", room)

    async def _read(self, connection: Connection) -> None:
        room = self._joined_room(connection)
        which = self._rng.randrange(3)
        if which == 0:
            await connection.call("roomRecentHistory", room)
        elif which == 1:
            after = max(0, connection.tracker.last_id(room) - self._rng.randint(0, 30))
            await connection.call("roomHistoryGet", room, after, self._rng.randint(1, 50), {"epoch": True})
        else:
            await connection.call("roomHistoryInfo", room)

    async def _ask(self, connection: Connection) -> None:
        room = self._joined_room(connection)
        commands: list[tuple[Any, ...]] = [
            (
                "roomGetAccessList",
                room,
                self._rng.choice(["userlist", "blacklist", "whitelist", "adminlist"]),
            ),
            ("roomGetOwner", room),
            ("roomGetWhitelistMode", room),
            ("roomNotificationsInfo", room),
            ("roomUserSeen", room, self._rng.choice(self._world.users)),
        ]
        await connection.call(*self._rng.choice(commands))

    async def _direct(self, connection: Connection) -> None:
        other = self._other_users()
        await self._rng.choice(
            [
                lambda: connection.call("directMessage", other[0], self._world.message(self.user)),
                lambda: connection.call("directAddToList", "blacklist", other[:1]),
                lambda: connection.call("directRemoveFromList", "blacklist", other),
                lambda: connection.call("directGetAccessList", "blacklist"),
                lambda: connection.call("directGetWhitelistMode"),
                lambda: connection.call("directSetWhitelistMode", self._rng.random() < 0.2),
            ]
        )()

    async def _own(self, connection: Connection) -> None:
        if self._rng.random() < 0.5:
            await connection.call("listOwnSockets")
        else:
            await connection.call("systemMessage", self._world.message(self.user))

    # Administration

    def _managed_room(self) -> str | None:
        managed = [room for room, setup in self._world.record.rooms.items() if self.user in setup.immune]
        return self._rng.choice(managed) if managed else None

    async def _ban(self, connection: Connection) -> None:
        room = self._managed_room()
        if room is not None:
            immune = self._world.record.rooms[room].immune
            victims = [user for user in self._other_users() if user not in immune]
            if victims:
                await connection.call("roomAddToList", room, "blacklist", victims)

    async def _pardon(self, connection: Connection) -> None:
        room = self._managed_room()
        if room is not None:
            victims = self._rng.sample(self._world.users, len(self._world.users) // 2)
            await connection.call("roomRemoveFromList", room, "blacklist", victims)

    async def _mode(self, connection: Connection) -> None:
        room = self._managed_room()
        if room is None:
            return
        if self._rng.random() < 0.5:
            command = self._rng.choice(["roomAddToList", "roomRemoveFromList"])
            await connection.call(command, room, "whitelist", self._other_users())
        else:
            await connection.call("roomSetWhitelistMode", room, self._rng.random() < 0.3)

    async def _admins(self, connection: Connection) -> None:
        room = self._managed_room()
        if room is not None:
            immune = sorted(self._world.record.rooms[room].immune)
            await connection.call("roomAddToList", room, "adminlist", immune)

    async def _life(self, connection: Connection) -> None:
        """Delete or create one of the rooms that do not last."""
        rooms = [room for room, setup in self._world.record.rooms.items() if not setup.is_kept]
        room = self._rng.choice(rooms)
        if self._world.record.rooms[room].owner == self.user:
            command = self._rng.choice(["roomDelete", "roomCreate"])
            await connection.call(command, room, *([False] if command == "roomCreate" else []))
        else:
            # Refused. Always the same room: without an answer the judges take its life for ended.
            await connection.call("roomDelete", self._world.rooms[2])

    async def _drop(self, connection: Connection) -> None:
        await connection.close()

    # The end

    async def resolve(self) -> None:
        """Find out about joins and leaves without a clear outcome, by asking for one of both again."""
        while True:
            connection = await self.connect()
            unclear = connection.tracker.rooms(Standing.UNKNOWN, Standing.JOINING, Standing.LEAVING)
            if not unclear:
                return
            for room in unclear:
                if room in self._wanted:
                    await self._enter(connection, room)
                else:
                    await connection.call("roomLeave", room)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)
