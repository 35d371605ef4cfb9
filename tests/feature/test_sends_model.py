"""Random sends with and without keys on three instances, compared with a model of contents and answers.

Repeats, races of one key, rooms that users leave and are removed from, deletions and re-creations, new
epochs, and stores that fail before or after their work.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from chat_service import StoreTimeoutError
from chat_service.contracts.records import SYSTEM
from chat_service.errors import ChatServiceError
from chat_service.testing import InProcessClient
from chat_service.types import RoomName
from tests.conftest import BACKENDS
from tests.support.backends import Backend, InMemory, InRedis
from tests.support.faults import FaultyStore, as_store
from tests.support.wire_errors import wire_error
from tests.support.world import World

ROOM = RoomName("room")
#: The sockets that send, by user and instance; None: the server itself.
SENDERS = [("alice", 0), ("alice", 1), ("alice", 2), ("bob", 0), (None, 1), (None, 2)]
AGAIN = {"duplicate": True}
METHODS = ("room_message", "room_send")

senders = st.sampled_from(SENDERS)
keys = st.sampled_from(["k1", "k2"])
texts = st.sampled_from(["tea", "tea", "tea", "milk"])
users = st.sampled_from(["alice", "bob"])

Sender = tuple[str | None, int]


@dataclass
class Life:
    """One life of the room."""

    members: set[str] = field(default_factory=set)
    stored: list[str] = field(default_factory=list)
    #: What each sender's keys stand for: id and text.
    sent: dict[tuple[str | None, str], tuple[int, str]] = field(default_factory=dict)


class Model:
    """The contract as a model without concurrency."""

    def __init__(self) -> None:
        self.life: Life | None = None

    def send(self, user: str | None, text: str, key: str | None, expected: int | None) -> list[Any]:
        """The ack of a send."""
        life = self.life
        if life is None:
            return [wire_error("noRoom", ROOM), None]
        if key is not None and (user, key) in life.sent:
            first, its_text = life.sent[user, key]
            return (
                [None, first, AGAIN] if text == its_text else [wire_error("idempotencyConflict", key), None]
            )
        if user is not None and user not in life.members:
            return [wire_error("notJoined", ROOM), None]
        if expected is not None and expected != len(life.stored):
            return [wire_error("conflict", len(life.stored)), None]
        life.stored.append(text)
        if key is not None:
            life.sent[user, key] = len(life.stored), text
        return [None, len(life.stored)]


class SendMachine(RuleBasedStateMachine):
    """Three instances over one backend. The test sets ``make_backend``."""

    make_backend: Callable[[], Backend]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.backend = type(self).make_backend()
        self.world = World(self.backend)
        self.model = Model()
        self.stores: list[FaultyStore] = []
        self.clients: dict[Sender, InProcessClient] = {}

    def wait(self, work: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        return self.runner.run(run())

    @initialize()
    def open(self) -> None:
        self.wait(self._open())

    async def _open(self) -> None:
        for _ in range(3):
            store = FaultyStore(self.backend.new_store())
            self.stores.append(store)
            await self.world.start(store=as_store(store))
        for user, at in SENDERS:
            if user is not None:
                self.clients[user, at] = await self.world.instances[at].login(user)
        await self.world.instances[0].service.add_room(ROOM)
        self.model.life = Life()

    def teardown(self) -> None:
        self.wait(self.world.close())
        self.wait(self.backend.leftovers())
        self.runner.close()

    async def _send(self, sender: Sender, text: str, **options: Any) -> list[Any]:
        """The ack, also of what the server sends."""
        given = {name: value for name, value in options.items() if value is not None}
        message, (user, at) = {"textMessage": text}, sender
        if user is not None:
            further = [given] if given else []
            return await self.clients[sender].emit("roomMessage", ROOM, message, *further)
        service = self.world.instances[at].service
        try:
            return [None, *await service.exec_user_command(True, "roomMessage", ROOM, message, options=given)]
        except ChatServiceError as error:
            return [f"ChatServiceError: {error}", None]
        except StoreTimeoutError:
            return [wire_error("timeout"), None]

    # Sending

    @rule(
        sender=senders,
        text=texts,
        key=st.none() | keys,
        behind=st.none() | st.integers(0, 1),
        fault=st.sampled_from(["", "", "before", "after"]),
        repeats=st.integers(0, 2),
    )
    def send(
        self, sender: Sender, text: str, key: str | None, behind: int | None, fault: str, repeats: int
    ) -> None:
        """One send, whose store may fail, and its repeats through any of the user's sockets."""
        count = len(self.model.life.stored) if self.model.life else 0
        expected = None if behind is None else max(0, count - behind)
        options = {"idempotencyKey": key, "expectedLastId": expected}
        if fault:
            self._fail(sender[1], is_done=fault == "after")
            should: Any = [wire_error("timeout"), None]
            if fault == "after":
                done = self.model.send(sender[0], text, key, expected)
                should = should if done[0] is None else done
            assert self.wait(self._send(sender, text, **options)) == should
            self._mend(sender[1])
        for number in range(1 + repeats if key is not None else 1 - bool(fault)):
            others = [other for other in SENDERS if other[0] == sender[0]]
            ack = self.wait(self._send(others[number % len(others)], text, **options))
            assert ack == self.model.send(sender[0], text, key, expected)

    def _fail(self, at: int, *, is_done: bool) -> None:
        for method in METHODS:
            self.stores[at].faults.fail(method, StoreTimeoutError("a fault"), done=is_done)

    def _mend(self, at: int) -> None:
        for method in METHODS:
            self.stores[at].faults.mend(method)

    @rule(user=st.sampled_from(["alice", None]), key=keys, many=st.lists(texts, min_size=2, max_size=6))
    def race(self, user: str | None, key: str, many: list[str]) -> None:
        """One key from several instances at once: the first send decides its message."""
        own = [sender for sender in SENDERS if sender[0] == user]

        async def run() -> list[list[Any]]:
            sends = (
                self._send(own[number % len(own)], text, idempotencyKey=key)
                for number, text in enumerate(many)
            )
            return await asyncio.gather(*sends)

        acks = self.wait(run())
        won = [number for number, ack in enumerate(acks) if ack[0] is None and len(ack) == 2]
        assert len(won) <= 1
        in_order = sorted(range(len(many)), key=lambda number: number not in won)
        assert [acks[number] for number in in_order] == [
            self.model.send(user, many[number], key, None) for number in in_order
        ]

    # What happens to the room

    @rule(sender=senders.filter(lambda sender: sender[0] is not None))
    def join(self, sender: Sender) -> None:
        error, *_ = self.wait(self.clients[sender].emit("roomJoin", ROOM))
        assert error == (None if self.model.life else wire_error("noRoom", ROOM))
        if self.model.life and sender[0] is not None:
            self.model.life.members.add(sender[0])

    @rule(user=users)
    def leave(self, user: str) -> None:
        """With all sockets."""
        for (name, _), client in self.clients.items():
            if name == user:
                self.wait(client.emit("roomLeave", ROOM))
        if self.model.life:
            self.model.life.members.discard(user)

    @rule(user=users)
    def remove(self, user: str) -> None:
        if self.model.life:
            self.wait(self._remove(user))
            self._lose({user})

    async def _remove(self, user: str) -> None:
        run = self.world.instances[0].service.exec_user_command
        await run(True, "roomAddToList", ROOM, "blacklist", [user])
        await run(True, "roomRemoveFromList", ROOM, "blacklist", [user])

    @rule(rarely=st.integers(0, 2))
    def renew(self, rarely: int) -> None:
        """A new epoch, as after a store has lost messages."""
        if self.model.life and not rarely:
            store = self.stores[2].inner
            info = self.wait(store.room_history_info(ROOM, SYSTEM))
            self.wait(store.room_renew(ROOM, info.cursor.epoch, 1))
            self._lose(set(self.model.life.members))

    @rule(rarely=st.integers(0, 2))
    def delete(self, rarely: int) -> None:
        if self.model.life and not rarely:
            self.wait(self.world.instances[1].service.delete_room(ROOM))
            self._lose(set(self.model.life.members))
            self.model.life = None

    @rule()
    def create(self) -> None:
        if self.model.life is None:
            self.wait(self.world.instances[2].service.add_room(ROOM))
            self.model.life = Life()

    def _lose(self, gone: set[str]) -> None:
        """The users are out of the room, and all their sockets know it."""
        assert self.model.life is not None
        for (user, _), client in self.clients.items():
            if user in gone & self.model.life.members:
                self.wait(client.wait_for("roomAccessRemoved", ROOM))
        self.model.life.members -= gone

    @invariant()
    def stored_as_in_the_model(self) -> None:
        if self.model.life and self.clients:
            messages = self.wait(self.stores[0].inner.room_recent_history(ROOM, SYSTEM, 1000))
            found = [(message["id"], message["textMessage"]) for message in reversed(messages)]
            assert found == list(enumerate(self.model.life.stored, 1))


@pytest.mark.unmeasured  # random repeats of what other tests show one by one
@pytest.mark.timeout(600)  # shrinking a failure takes time
@pytest.mark.parametrize("name", BACKENDS)
def test_sends_are_stored_once(name: str, request: pytest.FixtureRequest) -> None:
    servers = None if name == "memory" else request.getfixturevalue(f"{name}_servers")

    def make_backend() -> Backend:
        return InMemory() if servers is None else InRedis(servers)

    machine = type("Machine", (SendMachine,), {"make_backend": staticmethod(make_backend)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            # An example in a cluster takes several times as long, mostly for its instances' start.
            max_examples={"memory": 60, "redis": 20}.get(name, 6),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
