"""One run: servers, instances, users and faults, all of it drawn from one seed; and its judgement."""

import asyncio
import contextlib
import json
import logging
import random
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.errors import ChatServiceError
from chat_service.stores.redis import RedisStore
from chat_service.testing import wait_until
from chat_service.types import RoomName, UserName
from tests.chaos.actors import Slot, World
from tests.chaos.backends import Backend
from tests.chaos.checker import is_at_rest, judge
from tests.chaos.faults import BUS_LOSES, CLOSES, FAULTS
from tests.chaos.history_judge import HistoryVerdict, judge_history
from tests.chaos.instances import Instances
from tests.chaos.readers import read_everything
from tests.chaos.record import FinalRoom, FinalState, Record, RoomSetup
from tests.chaos.scene import Scene
from tests.chaos.stalls import Stalls
from tests.chaos.tracking import Standing
from tests.chaos.verdict import Rule, Verdict
from tests.support.patience import PATIENCE

logger = logging.getLogger("chaos")

HEARTBEAT_RATE, HEARTBEAT_TIMEOUT = 0.4, 2.5
#: Seconds for the run to settle after the last fault.
REST_IN = 45.0
#: Seconds for which a server may not answer without any instance noticing it.
LONGEST_STALL = 0.7
#: Messages that the first rooms keep.
HISTORY_SIZES = {0: 40, 1: 0}
#: Users who may be administrators; the others may be banned.
ADMINS = 6


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run. ``seconds``: of random actions, longer where ``commands`` are not sent by then.

    ``pace``: mean seconds between two of a socket.
    """

    seed: int
    backend: str = "redis"
    faults: tuple[str, ...] = ()
    seconds: float = 10.0
    commands: int = 0
    users: int = 20
    rooms: int = 10
    instances: int = 3
    pace: float = 0.35

    @property
    def command(self) -> str:
        """The command line that runs it again."""
        faults = f" --faults {','.join(self.faults)}" if self.faults else ""
        return (
            f"python -m tests.chaos --seed {self.seed} --backend {self.backend}{faults} "
            f"--seconds {self.seconds:g} --pace {self.pace:g}"
        )

    @property
    def allowed(self) -> frozenset[Rule]:
        """The rules that the faults may break."""
        return frozenset().union(*(FAULTS[name].allowed for name in self.faults))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run that was judged. ``folder``: logs and record of a bad one, else None."""

    plan: Plan
    verdict: Verdict
    second: HistoryVerdict
    commands: int
    messages: int
    faults: int
    folder: Path | None

    @property
    def is_good(self) -> bool:
        """What both judges say."""
        return self.verdict.is_good and self.second.is_good


def _rooms(plan: Plan, rng: random.Random, users: list[str]) -> dict[str, RoomSetup]:
    """The last two rooms are deleted and created in the run. Of the others one has a short history, and one
    has none."""
    rooms = {}
    for number in range(plan.rooms):
        admins = rng.sample(users[:ADMINS], 3)
        rooms[f"room{number}"] = RoomSetup(
            owner=admins[0],
            immune=frozenset(admins),
            history_max_size=HISTORY_SIZES.get(number, 10000),
            is_kept=number < plan.rooms - 2,
        )
    return rooms


async def _create_rooms(store: RedisStore, rooms: Mapping[str, RoomSetup]) -> None:
    """Those that are there already stay as they are."""
    for name, setup in rooms.items():
        config = RoomConfig(
            owner=UserName(setup.owner),
            adminlist=sorted(setup.immune - {setup.owner}),
            history_max_size=setup.history_max_size,
            enable_userlist_updates=True,
            enable_access_lists_updates=True,
        )
        try:
            await store.room_create(RoomName(name), config)
        except ChatServiceError as error:
            if error.code != "roomExists":
                raise


class Scenario:
    """Runs a plan once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._rng = random.Random(plan.seed)
        self._users = [f"user{number}" for number in range(plan.users)]
        self.record = Record(_rooms(plan, self._rng, self._users))
        self._folder = Path(tempfile.mkdtemp(prefix="chat-chaos-"))
        self._backend = Backend(plan.backend)
        self._slots: list[Slot] = []
        self._instances: Instances | None = None
        self._faults = 0
        self._stalls = Stalls(self._backend)

    async def run(self) -> Outcome:
        """Raises what goes wrong in the run itself; nothing of it is left running."""
        verdict, is_good = None, False
        try:
            verdict, second, final = await self._run()
            is_good = verdict.is_good and second.is_good
        finally:
            for slot in self._slots:
                await slot.close()
            if self._instances is not None:
                await self._instances.stop()
            await self._backend.stop()
            if is_good:
                shutil.rmtree(self._folder, ignore_errors=True)
            else:
                (self._folder / "record.jsonl").write_text("\n".join(self.record.lines()))
        if not is_good:
            texts = [f"{kind}: {what}" for kind, what in second.findings]
            texts += map(str, (*verdict.violations, *verdict.allowed))
            (self._folder / "verdict.txt").write_text("\n".join([*texts, repr(final)]))
        messages = sum(len(room.history) for room in final.rooms.values())
        return Outcome(
            plan=self.plan, verdict=verdict, second=second, commands=self._sent(), messages=messages,
            faults=self._faults, folder=None if is_good else self._folder,
        )  # fmt: skip

    def _sent(self) -> int:
        return sum(type(entry).__name__ == "Sent" for entry in self.record.entries)

    async def _run(self) -> tuple[Verdict, HistoryVerdict, FinalState]:
        plan, rng = self.plan, self._rng
        await self._backend.start()
        await self._restore_rooms()
        options = {
            "store_options": dict(self._backend.instance_options),
            "heartbeat_rate": HEARTBEAT_RATE,
            "heartbeat_timeout": HEARTBEAT_TIMEOUT,
        }
        instances = self._instances = Instances(options, self._folder)
        await asyncio.gather(*(instances.start() for _ in range(plan.instances)))
        world = World(self.record, instances, self._users, plan.pace)
        self._slots = [
            Slot(world, user, random.Random(rng.random()))
            for user in self._users
            for _ in range(rng.choice([1, 2, 2, 3]))
        ]
        world.slots = self._slots
        fault_rng = random.Random(rng.random())
        async with self._stalls:
            async with asyncio.TaskGroup() as group:
                for slot in self._slots:
                    group.create_task(slot.run())
                await self._make_trouble(instances, fault_rng)
                world.is_over = True
            final = await self._rest(world)
        verdict = judge(self.record, final, allowed=self._allowed, alive=len(instances.up()))
        if self._stalls.longest > LONGEST_STALL:
            verdict.notes["ms for which everything stood still"] = round(self._stalls.longest * 1000)
        sizes = {room: setup.history_max_size for room, setup in self.record.rooms.items()}
        entries = map(json.loads, self.record.lines())
        second = judge_history(entries, sizes, [instance.number for instance in instances.up()])
        return verdict, second, final

    @property
    def _allowed(self) -> frozenset[Rule]:
        """The rules that may be broken: by the faults, or by a machine that is too busy for the leases and
        time-outs of this run."""
        is_stalled = self._stalls.longest > LONGEST_STALL
        return self.plan.allowed | (BUS_LOSES | CLOSES if is_stalled else frozenset())

    async def _restore_rooms(self) -> None:
        store = await self._backend.store()
        try:
            await _create_rooms(store, self.record.rooms)
        finally:
            await store.close()

    async def _make_trouble(self, instances: Instances, rng: random.Random) -> None:
        """Let the faults happen one after the other, each at least once, until the time is over."""
        end = time.monotonic() + self.plan.seconds
        scene = Scene(self._backend, instances, rng, self.record, self._restore_rooms)
        await asyncio.sleep(min(2.0, self.plan.seconds / 4))
        number = 0
        faults = self.plan.faults
        while faults and (number < len(faults) or time.monotonic() < end):
            name = faults[number % len(faults)]
            number += 1
            logger.info("fault: %s", name)
            self.record.received("", "fault", name)
            try:
                fault = FAULTS[name]
                with contextlib.nullcontext() if fault.servers_answer else self._stalls.expected():
                    await fault.run(scene)
            finally:
                await scene.heal()
            self.record.received("", "healed", name)
            self._faults += 1
            await asyncio.sleep(rng.uniform(0.3, 1.5))
        await asyncio.sleep(max(0.0, end - time.monotonic()))
        await wait_until(lambda: self._sent() >= self.plan.commands, "commands enough", timeout=PATIENCE)

    # Coming to rest

    async def _rest(self, world: World) -> FinalState:
        """Wait until nothing changes, ask the service, and read the final state."""
        async with asyncio.timeout(REST_IN):
            await asyncio.gather(*(slot.resolve() for slot in self._slots))
        store = await self._backend.store()
        readers = await self._open_readers(world)
        try:
            await self._send_last_messages(world)
            deadline = time.monotonic() + REST_IN
            while time.monotonic() < deadline and not await self._is_at_rest(store):
                await asyncio.sleep(0.2)
            self.record.settled()
            await self._ask_all()
            await read_everything(self.record.rooms, readers)
            return await self._read(store)
        finally:
            await store.close()

    async def _open_readers(self, world: World) -> list[Slot]:
        """A socket of each owner at each instance, to read all rooms through all instances."""
        assert self._instances is not None
        owners = sorted({setup.owner for setup in self.record.rooms.values()})
        readers = [
            Slot(world, owner, random.Random(0), instance)
            for instance in self._instances.up()
            for owner in owners
        ]
        self._slots += readers
        async with asyncio.timeout(REST_IN):
            await asyncio.gather(*(reader.connect() for reader in readers))
        return readers

    def _joined(self, room: str) -> list[Slot]:
        return [
            slot
            for slot in self._slots
            if slot.connection is not None and slot.connection.tracker.standing(room) is Standing.IN
        ]

    async def _send_last_messages(self, world: World) -> None:
        """A message that every joined user must get."""

        async def send(room: str) -> None:
            for _ in range(20):
                joined = self._joined(room)
                if not joined:
                    return
                slot = joined[0]
                connection = await slot.connect()
                error, _ = await connection.call("roomMessage", room, world.message(slot.user))
                if error is None:
                    return
                await asyncio.sleep(0.3)

        await asyncio.gather(*(send(room) for room in self.record.rooms))

    async def _is_at_rest(self, store: RedisStore) -> bool:
        """Whether what clients believe and what the store says has met; if it never does, that is judged."""
        for slot in self._slots:
            await slot.resolve()
        final = await self._read(store)
        alive = len(self._instances.up()) if self._instances else None
        # In a thread: the proxy of the run lives on this loop, and nothing may hold it up.
        record, allowed = self.record.copy(), self._allowed
        return await asyncio.to_thread(is_at_rest, record, final, allowed=allowed, alive=alive)

    async def _ask_all(self) -> None:
        async def ask(slot: Slot) -> None:
            connection = await slot.connect()
            await connection.call("listOwnSockets")
            for room in connection.tracker.rooms(Standing.IN):
                await connection.call("roomGetAccessList", room, "userlist")

        await asyncio.gather(*(ask(slot) for slot in self._slots))

    async def _read(self, store: RedisStore) -> FinalState:
        rooms = {}
        for name in self.record.rooms:
            room = RoomName(name)
            try:
                info = await store.room_history_info(room, SYSTEM)
                messages = await store.room_history(room, SYSTEM, 0, 1_000_000)
                members = await store.room_members(room)
            except ChatServiceError:
                continue
            rooms[name] = FinalRoom(
                members={user: frozenset(sockets) for user, sockets in members.items()},
                history=[(message["id"], message["textMessage"]) for message in reversed(messages)],
                last_id=info.last_message_id,
            )
        sockets = {}
        for user in self._users:
            try:
                found = await store.user_sockets(UserName(user))
            except ChatServiceError:
                continue
            sockets[user] = {socket: info.rooms for socket, info in found.items()}
        alive = await store.instances()
        return FinalState(rooms=rooms, sockets=sockets, instances=frozenset(map(str, alive)))  # type: ignore[arg-type]


async def run(plan: Plan) -> Outcome:
    """Run a plan and judge it."""
    return await Scenario(plan).run()
