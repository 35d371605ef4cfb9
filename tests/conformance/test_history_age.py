"""Expiry of messages with a controlled clock: every way to read a room, compared with a list."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from chat_service import rules
from chat_service.contracts.records import SYSTEM, HistoryQuery, RoomConfig, SendConditions
from chat_service.contracts.store import Store
from chat_service.interactions import Relation
from chat_service.stores.memory import MemoryBackend, MemoryStore
from chat_service.stores.redis import RedisStore
from chat_service.testing.store_suite import Peer, Peers
from chat_service.testing.store_suite.base import ALICE, NOW, S1, raises_error
from chat_service.types import RoomName
from tests.conftest import BACKENDS
from tests.plugins.sqlite_bus import Hub
from tests.plugins.sqlite_store import SqliteStore
from tests.support.redis_servers import RedisServer
from tests.support.skew import Skew

ROOM = RoomName("room")
#: Steps of the clock are multiples of 100 s, and limits of age lie between them: the time that a test takes,
#: and the rounding of a store, decide nothing.
STEP = 100.0
AGES = (None, 50.0, 350.0, 750.0)


class Moved:
    """A clock that shows what a test says, and the stores that go by it."""

    def __init__(self, new_store: Callable[["Moved"], Store], set_clock: Callable[[float], None]) -> None:
        self.seconds = 0.0
        self._set_clock = set_clock
        self.new_store = lambda: new_store(self)

    def move(self, seconds: float) -> None:
        self.seconds += seconds
        self._set_clock(self.seconds)


class Stored(NamedTuple):
    id: int
    time: float


class Model:
    """What a room keeps."""

    def __init__(self, moved: Moved) -> None:
        self._moved = moved
        self.messages: list[Stored] = []
        self.last_id = 0
        self.max_size = 1000
        self.age: float | None = 350.0
        #: How many messages became too old.
        self.too_old = 0

    def send(self) -> None:
        self.last_id += 1
        if self.max_size:
            self.messages.append(Stored(self.last_id, self._moved.seconds))
        self.drop()

    def drop(self) -> None:
        """What goes does not come back."""
        if self.age is not None:
            oldest = self._moved.seconds - self.age
            young = [message for message in self.messages if message.time > oldest]
            self.too_old += len(self.messages) - len(young)
            self.messages = young
        self.messages = self.messages[max(len(self.messages) - self.max_size, 0) :]

    def limit(self, age: float | None) -> None:
        self.drop()
        if self.age is None:
            self.messages = [message._replace(time=self._moved.seconds) for message in self.messages]
        self.age = age

    @property
    def ids(self) -> list[int]:
        self.drop()
        return [message.id for message in self.messages]


@pytest.fixture(scope="module")
def skewed() -> Iterator[tuple[RedisServer, Skew]]:
    skew = Skew()
    try:
        with RedisServer(environment=skew.environment) as server:
            yield server, skew
    finally:
        skew.close()


@pytest.fixture(params=["memory", "redis", "sqlite"])
def moved(request: pytest.FixtureRequest, tmp_path: Path) -> Moved:
    kind = request.param
    if kind == "memory":
        shared = MemoryBackend(now=lambda: made.seconds)
        made = Moved(lambda _: MemoryStore(shared), lambda seconds: None)
    elif kind == "sqlite":
        hub = Hub()
        made = Moved(
            lambda clock: SqliteStore(str(tmp_path / "state.db"), hub, now=lambda: clock.seconds),
            lambda seconds: None,
        )
    else:
        if "redis" not in BACKENDS:
            pytest.skip("only the memory store is tested")
        server, skew = request.getfixturevalue("skewed")
        with server.client() as client:
            client.flushall()
        # The time that earlier tests left behind stays: the clock only goes on.
        begin = float(getattr(skew, "reached", 0.0))

        def set_clock(seconds: float) -> None:
            skew.reached = begin + seconds
            skew.set(begin + seconds)

        made = Moved(lambda _: RedisStore({"url": server.url}), set_clock)
    return made


@pytest.fixture
async def peers(moved: Moved) -> AsyncIterator[Peers]:
    made = Peers(moved.new_store)
    yield made
    await made.close()


async def compare(peer: Peer, model: Model, chance: random.Random) -> None:
    """Every way to read the room agrees with the model."""
    store, ids, last = peer.store, model.ids, model.last_id
    info = await store.room_history_info(ROOM, SYSTEM)
    assert (info.size, info.last_message_id) == (len(ids), last)
    assert (await store.room_summary(ROOM)).history_size == len(ids)
    for max_bytes, limit in ((None, 1000), (100_000, 3), (100_000, 1000)):
        recent = await store.room_recent_history(ROOM, SYSTEM, limit, max_bytes=max_bytes)
        assert [message["id"] for message in recent] == ids[::-1][:limit]
        for known in (0, chance.randint(0, last)):
            found = await store.room_history(ROOM, SYSTEM, known, limit, max_bytes=max_bytes)
            assert [message["id"] for message in found][::-1] == [i for i in ids if i > known][:limit]
    after = chance.choice([None, 0, last, max(last - chance.randint(0, 9), 0)])
    query = HistoryQuery(after=after, limit=4, recent=5)
    joined = await store.room_join(ROOM, ALICE, S1, peer.instance_id, NOW, announce=False, query=query)
    expected = rules.select_history(after, is_same=True, limit=4, recent=5, last_id=last, stored=len(ids))
    assert joined.history is not None
    assert [message["id"] for message in joined.history.messages] == list(
        range(expected.first, expected.last + 1)
    )
    assert (joined.history.recovered, joined.history.more) == (expected.recovered, expected.more)


@pytest.mark.covers("option:history_ttl")
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_what_is_too_old_is_never_given(moved: Moved, peers: Peers, seed: int) -> None:
    chance, model = random.Random(seed), Model(moved)
    one, other = await peers.open_many(2)
    config = RoomConfig(history_max_size=1000, history_max_bytes=50_000, history_ttl=model.age)
    await one.store.room_create(ROOM, config)
    await one.connect(ALICE, S1)
    for number in range(10):
        await one.store.room_message(ROOM, SYSTEM, {})
        model.send()
        moved.move(STEP * (number % 2))
    for _ in range(30):
        peer = chance.choice([one, other])
        match chance.choice(
            ["send", "send", "send", "burst", "pass", "pass", "pass", "age", "size", "renew"]
        ):
            case "send":
                await peer.store.room_message(ROOM, SYSTEM, {"textMessage": "x" * chance.randint(0, 9)})
                model.send()
            case "burst":
                # More than one send drops.
                count = chance.choice([5, 130])
                await asyncio.gather(*(peer.store.room_message(ROOM, SYSTEM, {}) for _ in range(count)))
                for _ in range(count):
                    model.send()
            case "pass":
                moved.move(STEP * chance.randint(1, 4))
            case "age":
                age = chance.choice(AGES)
                await peer.store.room_set_history_ttl(ROOM, age)
                model.limit(age)
            case "size":
                model.max_size = chance.choice([0, 7, 200, 1000, 1000])
                await peer.store.room_set_history_max_size(ROOM, model.max_size)
                model.drop()
            case "renew":
                epoch = (await peer.store.room_summary(ROOM)).epoch
                await peer.store.room_renew(ROOM, epoch, NOW)
        await compare(peer, model, chance)
    assert model.too_old > 5


async def test_users_rooms_and_lists_of_messages_under_a_moved_clock(moved: Moved, peers: Peers) -> None:
    """Joins and new members in time keep what was about to go."""
    peer = await peers.open()
    store = peer.store
    await store.room_create(ROOM, RoomConfig(empty_ttl=350.0, history_ttl=550.0))
    await store.room_message(ROOM, SYSTEM, {})
    moved.move(300.0)
    # 50 s before its end.
    await store.socket_connect(ALICE, S1, peer.instance_id, ttl=350.0)
    await peer.join(ALICE, S1, ROOM)
    moved.move(200.0)
    assert (await store.room_history_info(ROOM, SYSTEM)).size == 1
    moved.move(100.0)
    assert (await store.room_history_info(ROOM, SYSTEM)).size == 0
    assert await peer.members(ROOM) == {ALICE: {S1}}
    await peer.leave(ALICE, S1, ROOM)
    await store.room_message(ROOM, SYSTEM, {})
    await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=["bob"], limit=10)
    await store.socket_disconnect(ALICE, S1, peer.instance_id, [])
    moved.move(300.0)
    assert await store.room_exists(ROOM)
    assert await store.user_exists(ALICE)
    # Online again in time.
    await store.socket_connect(ALICE, S1, peer.instance_id, ttl=350.0)
    moved.move(100.0)
    assert not await store.room_exists(ROOM)
    assert await store.user_exists(ALICE)
    await store.room_create(ROOM, RoomConfig())
    assert await store.room_get_list(ROOM, SYSTEM, "whitelist") == []
    assert (await store.room_history_info(ROOM, SYSTEM)).size == 0
    await store.socket_disconnect(ALICE, S1, peer.instance_id, [])
    moved.move(400.0)
    assert not await store.user_exists(ALICE)
    assert await store.room_exists(ROOM)


async def test_what_is_too_old_has_no_edits_and_reactions(moved: Moved, peers: Peers) -> None:
    peer = await peers.open()
    await peer.store.room_create(ROOM, RoomConfig(history_ttl=350.0))

    async def say(relation: Relation | None = None) -> int:
        head = {} if relation is None else {"relatesTo": relation.as_field()}
        sent = SendConditions(relation=relation)
        return (await peer.store.room_send(ROOM, SYSTEM, {**head, "timestamp": NOW}, sent)).id

    async def counts() -> list[dict[str, int]]:
        page = await peer.store.room_history_folded(ROOM, SYSTEM, None, 9)
        return [
            {**page.folds.marks[it["id"]].reactions} for it in page.messages if it["id"] in page.folds.marks
        ]

    assert await say() == 1
    moved.move(2 * STEP)
    assert await say(Relation("reaction", 1, "+1")) == 2
    assert {"+1": 1} in await counts()
    moved.move(2 * STEP)
    for kind in ("edit", "reaction"):
        with raises_error("noMessage", 1):
            await say(Relation(kind, 1, "" if kind == "edit" else "-1"))
    assert {"+1": 1} not in await counts()
    # A reply needs only an id that the room has given.
    assert await say(Relation("reply", 1)) == 3
