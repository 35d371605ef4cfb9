"""Notifications and kicks that somebody has recorded on the bus and publishes again."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from chat_service.contracts.bus import (
    ApplicationEvent,
    DisconnectSocket,
    DisconnectUser,
    Notify,
    NotifySocket,
)
from chat_service.stores.redis import RedisStore, stamps
from chat_service.stores.redis.envelopes import STAMPED, EnvelopeCodec
from chat_service.stores.redis.redis_bus import RedisBus
from chat_service.testing import InProcessClient, wait_until
from tests.redis.tapes import Tape
from tests.support.backends import InRedis
from tests.support.markers import told
from tests.support.parts import parts_of
from tests.support.world import Instance, World

pytestmark = [
    pytest.mark.redis,
    pytest.mark.parametrize("backend", ["redis", "cluster"], indirect=True),
]

SECRET = "secret"
TEXT = {"textMessage": "hello"}
UNNUMBERED = (Notify, NotifySocket, DisconnectUser, DisconnectSocket, ApplicationEvent)
DROPPED = "dropped a repeated envelope"


@pytest.fixture
async def world(backend: InRedis) -> AsyncIterator[World]:
    backend.options["bus_secret"] = SECRET
    made = World(backend)
    yield made
    await made.close()


def bus_of(instance: Instance) -> RedisBus:
    store = parts_of(instance.service).store
    assert isinstance(store, RedisStore)
    return store._open_bus


@pytest.fixture
def tape(backend: InRedis) -> Iterator[Callable[[str, str], Tape]]:
    made: list[Tape] = []

    def start(kind: str, name: str) -> Tape:
        made.append(Tape(backend, f"{backend.prefix}:{kind}:{{{name}}}"))
        return made[-1]

    yield start
    for each in made:
        each.close()


class Hall:
    """Alice and Carol on one instance, Bob and a second socket of Alice on another, all in a room."""

    def __init__(self, world: World, tape: Callable[[str, str], Tape]) -> None:
        self._world = world
        self._tape = tape
        self.heard: list[Any] = []

    async def open(self) -> None:
        world = self._world
        self.here, self.there = await world.start(), await world.start()
        await self.here.service.add_room("hall")
        self.alice, self.carol = [await self.there.joined(name, "hall") for name in ("alice", "carol")]
        self.bob, self.alice2 = [await self.here.joined(name, "hall") for name in ("bob", "alice")]
        self.there.service.cluster_bus.on("news", self.heard.append)
        names = [("user", name) for name in ("alice", "bob", "carol")]
        names += [("room", "hall"), ("everyone", "everyone")]
        self.tapes = [self._tape(*name) for name in names]

    async def do(self) -> None:
        """Whatever publishes something that no room numbers."""
        server = self.here.service
        await self.bob.call("directMessage", "alice", TEXT)
        await self.alice.call("directMessage", "bob", TEXT)
        await self.bob.call("roomEvent", "hall", "typing", 1)
        await server.send_to_user("alice", "badge", 1)
        await server.send_to_socket("alice", self.alice.id, "badge", 2)
        await server.broadcast_all("news", 1)
        await server.cluster_bus.emit("news", 1)
        await server.transport.emit_to_channel("echo:alice", "badge", 3)
        third, fourth = await self.here.login("alice"), await self.there.login("alice")
        await third.call("roomJoin", "hall")
        await third.disconnect()
        await server.transport.disconnect_socket(fourth.id)
        await server.exec_user_command("alice", "roomMarkRead", "hall", 0)
        await server.disconnect_user_sockets("carol")
        await wait_until(lambda: not self.carol.connected, "carol is disconnected")
        await server.ban_user("carol")
        await server.unban_user("carol")
        self.carol = await self.there.login("carol")
        await self.bob.call("roomMessage", "hall", TEXT)

    @property
    def users(self) -> list[tuple[str, InProcessClient]]:
        """Each client with the name of its user."""
        return [("alice", self.alice), ("alice", self.alice2), ("bob", self.bob), ("carol", self.carol)]

    @property
    def clients(self) -> list[InProcessClient]:
        return [client for _, client in self.users]

    async def recorded(self) -> list[tuple[Tape, bytes]]:
        found = []
        for each in self.tapes:
            found += [(each, data) for data in await asyncio.to_thread(each.record_all)]
        return found

    async def rejections(self, doing: Callable[[], Awaitable[Any]], least: int) -> None:
        buses = [bus_of(instance) for instance in self._world.instances]
        before = sum(bus.rejected for bus in buses)
        await doing()
        await wait_until(lambda: sum(bus.rejected for bus in buses) - before >= least, "rejected copies")

    async def markers(self) -> None:
        """Return when everything published so far has arrived."""
        for number, (user, each) in enumerate(self.users):
            await self.here.service.send_to_socket(user, each.id, "end", number)
            await each.wait_for("end", number)
            await self.here.service.broadcast_all("end", -number - 1)
            await each.wait_for("end", -number - 1)


@pytest.fixture
async def hall(world: World, tape: Callable[[str, str], Tape]) -> Hall:
    return Hall(world, tape)


async def play(recorded: list[tuple[Tape, bytes]], times: int = 1) -> None:
    for each, data in recorded * times:
        await asyncio.to_thread(each.play, data)


def kinds(recorded: list[tuple[Tape, bytes]]) -> dict[type, int]:
    codec, found = EnvelopeCodec(SECRET.encode()), dict[type, int]()
    for each, data in recorded:
        envelope, stamp = codec.read(each.channel, data)
        assert (stamp is not None) == isinstance(envelope, UNNUMBERED)
        found[type(envelope)] = found.get(type(envelope), 0) + 1
    return found


@pytest.mark.covers("store_option:bus_secret", "store_option:bus_stamps")
async def test_recorded_envelopes_have_no_effect(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    await hall.open()
    await hall.do()
    await hall.markers()
    recorded = await hall.recorded()
    found = kinds(recorded)
    assert set(UNNUMBERED) <= set(found) and found[Notify] > 10
    copies = sum(found[kind] for kind in UNNUMBERED)
    for each in hall.clients:
        each.clear()
    hall.heard.clear()
    caplog.clear()
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        await hall.rejections(lambda: play(recorded, 3), 3 * copies)
    # The log is bounded.
    entries = caplog.text.count(DROPPED)
    assert 1 <= entries <= 2 * (time.monotonic() - began + 1)
    assert [event for each in hall.clients for event in told(each)] == []
    # Clients still get what is new.
    await hall.markers()
    assert {name for each in hall.clients for name, _ in told(each)} == {"end"}
    assert all(each.connected for each in hall.clients) and hall.heard == []


async def test_an_instance_that_has_not_seen_the_originals_takes_no_copies(hall: Hall, world: World) -> None:
    """Users move to another instance right after what was recorded."""
    await hall.open()
    await hall.do()
    recorded = [(each, data) for each, data in await hall.recorded() if data.startswith(STAMPED)]
    late = await world.start()
    late.service.cluster_bus.on("news", hall.heard.append)
    hall.heard.clear()
    moved = [await late.login(name) for name in ("alice", "bob", "carol")]
    for each in moved:
        await each.call("roomJoin", "hall")
    await hall.markers()
    for each in moved:
        each.clear()
    await play(recorded, 2)
    await hall.markers()
    assert {name for each in moved for name, _ in told(each)} <= {"end"} and hall.heard == []
    assert all(each.connected for each in (*moved, *hall.clients))


async def test_without_stamps_copies_are_delivered(world: World, backend: InRedis, hall: Hall) -> None:
    """This is what the other tests would see."""
    backend.options["bus_stamps"] = "none"
    await hall.open()
    await hall.bob.call("directMessage", "alice", TEXT)
    await hall.alice.wait_for("directMessage")
    recorded = await hall.recorded()
    assert not any(data.startswith(STAMPED) for _, data in recorded)
    hall.alice.clear()
    await play(recorded, 2)
    await wait_until(lambda: len(hall.alice.received("directMessage")) == 2, "two copies")


@pytest.mark.covers("store_option:bus_stamps")
async def test_instances_during_an_upgrade(
    world: World, backend: InRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """Each step understands the one before and the one after it."""
    there = {}
    for mode in ("none", "send", "require"):
        backend.options["bus_stamps"] = mode
        there[mode] = await world.start()
    clients = {mode: await each.login(mode) for mode, each in there.items()}
    for sender, receiver in (
        ("none", "send"), ("send", "none"), ("send", "require"), ("require", "send"), ("require", "none")
    ):  # fmt: skip
        await clients[sender].call("directMessage", receiver, TEXT)
        await clients[receiver].wait_for("directMessage")
        await there[sender].service.send_to_user(receiver, "badge", sender)
        await clients[receiver].wait_for("badge", sender)
    with caplog.at_level(logging.WARNING):
        await clients["none"].call("directMessage", "require", TEXT)
        await wait_until(lambda: bus_of(there["require"]).rejected > 0, "a refusal")
    assert "without a stamp: see the store option bus_stamps" in caplog.text
    assert bus_of(there["none"]).rejected == bus_of(there["send"]).rejected == 0


async def test_everything_new_is_taken_in_order(world: World) -> None:
    """Many at once, from several instances, and many from one script."""
    here, there = await world.start(), await world.start()
    alice, bob = await here.login("alice"), await there.login("bob")
    senders = [await each.login(f"sender{number}") for number, each in enumerate((here, there))]

    async def send(sender: InProcessClient) -> None:
        for number in range(100):
            calls = [
                sender.call("directMessage", user, {"textMessage": str(number)}) for user in ("alice", "bob")
            ]
            await asyncio.gather(*calls)

    heard: list[int] = []
    there.service.cluster_bus.on("count", heard.append)
    news = [here.service.cluster_bus.emit("count", number) for number in range(100)]
    await asyncio.gather(*map(send, senders), *news)
    for client in (alice, bob):
        await wait_until(lambda client=client: len(client.received("directMessage")) == 200, "the messages")
        messages = [args[0] for args in client.received("directMessage")]
        for sender in ("sender0", "sender1"):
            texts = [each["textMessage"] for each in messages if each["author"] == sender]
            assert texts == [str(number) for number in range(100)]
    await wait_until(lambda: len(heard) == 100, "the news")
    assert heard == list(range(100))
    rooms = [f"room{number}" for number in range(60)]
    other = await there.login("alice")
    for room in rooms:
        await here.service.add_room(room)
        await other.call("roomJoin", room)
    await other.disconnect()
    await wait_until(lambda: len(alice.received("roomLeftEcho")) == len(rooms), "the echoes")
    assert bus_of(here).rejected == bus_of(there).rejected == 0


async def test_the_memory_is_a_number_for_each_subscription(world: World) -> None:
    here = await world.start()
    bus = bus_of(here)
    before = len(bus._stamps)
    clients = [await here.login(f"user{number}") for number in range(50)]
    assert len(bus._stamps) == before + 50 == bus.status().subscriptions
    for each in clients:
        await each.disconnect()
    await wait_until(lambda: len(bus._stamps) == before, "the numbers are forgotten")


async def test_a_clock_that_is_set_back(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What comes until an instance notices is lost, but a ban is looked up then."""
    monkeypatch.setattr(stamps, "CLOCK_INTERVAL", 0.2)
    here, there = await world.start(), await world.start()
    alice, bob = await there.login("alice"), await there.login("bob")
    known = bus_of(there)._stamps
    for channel in known._newest:
        known._newest[channel] += 3600 * 1_000_000
    with caplog.at_level(logging.WARNING):
        await here.service.ban_user("alice")
        await wait_until(lambda: not alice.connected, "alice is disconnected")
    assert "behind the stamps" in caplog.text

    async def is_told() -> bool:
        await here.service.send_to_user("bob", "badge", 1)
        return bool(bob.received("badge"))

    await wait_until(is_told, "bob gets something")


async def test_copies_cause_few_looks_at_the_clock(
    world: World, hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hall.open()
    await hall.bob.call("directMessage", "alice", TEXT)
    await hall.alice.wait_for("directMessage")
    recorded, looks = await hall.recorded(), list[str]()
    known = bus_of(hall.there)._stamps
    ask = known._ask_time

    async def counted(channel: str) -> int:
        looks.append(channel)
        return await ask(channel)

    monkeypatch.setattr(known, "_ask_time", counted)
    began = time.monotonic()
    await hall.rejections(lambda: play(recorded, 300), 300)
    await asyncio.sleep(0.1)
    assert 1 <= len(looks) <= time.monotonic() - began + 2
    assert len(known._suspects) <= 3
