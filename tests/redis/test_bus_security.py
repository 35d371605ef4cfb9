"""Security of the bus: foreign envelopes are dropped and counted, and Lua signs like Python."""

import asyncio
import logging
import random
import time
from typing import Any

import pytest

from chat_service.contracts.bus import DisconnectUser, Envelope, Notify, RoomEvent, Topic, TopicKind
from chat_service.stores.redis import RedisStore
from chat_service.stores.redis.envelopes import VERSION, EnvelopeCodec, pack
from chat_service.testing import InProcessClient, wait_until
from chat_service.types import SocketId
from tests.redis.conftest import At, MakeWorld
from tests.support.markers import room_marker, told
from tests.support.parts import parts_of
from tests.support.redis_servers import RedisServer
from tests.support.world import Instance, World

pytestmark = pytest.mark.redis

SECRETS = [b"", b"secret", b"x" * 64, b"x" * 65, "a secret with ümlauts", bytes(range(256)) * 2]
TEXT = {"textMessage": "hello"}


def store_of(instance: Instance) -> RedisStore:
    store = parts_of(instance.service).store
    assert isinstance(store, RedisStore)
    return store


def rejected(instance: Instance) -> int:
    return store_of(instance)._open_bus.rejected


class Wire:
    """An attacker with access to Redis, who can read channels and write to them."""

    def __init__(self, server: RedisServer, world: World) -> None:
        self._client = server.client()
        assert isinstance(world.backend, At)
        self.prefix = world.backend.prefix
        self._heard = self._client.pubsub()

    def channel(self, kind: str, name: str) -> str:
        return f"{self.prefix}:{kind}:{{{name}}}"

    def send(self, channel: str, data: bytes) -> None:
        assert self._client.execute_command("SPUBLISH", channel, data) >= 1

    def listen(self, channel: str) -> None:
        self._heard.ssubscribe(channel)

    def hear(self) -> bytes:
        """Return the next message on the channels."""
        deadline = time.monotonic() + 10
        deadline = time.monotonic() + 5
        while True:
            assert time.monotonic() < deadline, "nothing was published"
            message = self._heard.get_sharded_message(timeout=1)
            assert time.monotonic() < deadline, "nothing was published"
            if message is not None and message["type"] == "smessage":
                return bytes(message["data"])

    def close(self) -> None:
        self._heard.close()
        self._client.close()


@pytest.fixture
async def wires() -> Any:
    made: list[Wire] = []

    def make(server: RedisServer, world: World) -> Wire:
        made.append(Wire(server, world))
        return made[-1]

    yield make
    for wire in made:
        wire.close()


@pytest.mark.covers("store_option:bus_secret")
@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
async def test_lua_signs_like_python(
    at: MakeWorld, server: RedisServer, wires: Any, secret: bytes | str
) -> None:
    """Envelopes of every publishing script decode with Python's key."""
    world = at(server.url, **({"bus_secret": secret} if secret else {}))
    instance = await world.start(enable_userlist_updates=True, enable_access_lists_updates=True)
    wire = wires(server, world)
    await instance.service.add_room("room", owner="alice")
    alice = await instance.joined("alice", "room")
    other = await instance.login("alice")
    wire.listen(wire.channel("room", "room"))
    wire.listen(wire.channel("user", "alice"))
    codec = EnvelopeCodec(secret.encode() if isinstance(secret, str) else secret)

    async def published(channel: str) -> Envelope:
        data = await asyncio.to_thread(wire.hear)
        return codec.decode(channel, data)

    room, user = wire.channel("room", "room"), wire.channel("user", "alice")
    await alice.call("roomMessage", "room", {"textMessage": "ü\0x"})
    message = await published(room)
    assert isinstance(message, RoomEvent) and message.args[1]["textMessage"] == "ü\0x"
    await alice.call("roomAddToList", "room", "whitelist", ["bob"])
    assert (await published(room)).args == ("room", "whitelist", ["bob"])  # type: ignore[union-attr]
    await alice.call("roomSetWhitelistMode", "room", True)
    assert (await published(room)).args == ("room", True)  # type: ignore[union-attr]
    third = await instance.login("alice")
    connected = await published(user)
    assert connected == Notify(event="socketConnectEcho", args=(third.id, 3), exclude=(third.id,))
    await third.disconnect()
    gone = await published(user)
    assert gone == Notify(event="socketDisconnectEcho", args=(third.id, 2), exclude=(third.id,))
    await alice.call("roomLeave", "room")
    assert isinstance(await published(room), RoomEvent)
    # All sockets of the user are on this instance, so the echo does not travel.
    assert await other.wait_for("roomLeftEcho", "room", alice.id, 0)
    assert rejected(instance) == 0


def forgeries(wire: Wire, room: str, secret: bytes) -> dict[str, bytes]:
    channel = wire.channel("room", room)
    notify = Notify(event="roomMessage", args=(room, {"textMessage": "forged"}))
    signed = EnvelopeCodec(secret).encode(channel, notify)
    message = pack([1, "epoch", 1, 1, room]) + pack({"textMessage": "forged"})
    return {
        "unsigned": EnvelopeCodec(b"").encode(channel, notify),
        "unsigned message": VERSION + message,
        "another secret": EnvelopeCodec(b"guess").encode(channel, notify),
        "replayed from another room": EnvelopeCodec(secret).encode(wire.channel("room", "other"), notify),
        "replayed from a user": EnvelopeCodec(secret).encode(wire.channel("user", "alice"), notify),
        "truncated": signed[:-1],
        "longer": signed + b"\0",
        "another version": b"\2" + signed[1:],
        "nothing": b"",
        **{f"random {seed}": random.Random(seed).randbytes(seed * 7) for seed in range(1, 10)},
    }


@pytest.mark.covers("store_option:bus_secret")
async def test_envelopes_not_signed_with_the_secret_are_dropped_and_counted(
    at: MakeWorld, server: RedisServer, wires: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world = at(server.url, bus_secret="secret")
    instance = await world.start()
    wire = wires(server, world)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    with caplog.at_level(logging.WARNING):
        forged = forgeries(wire, "room", b"secret")
        for data in forged.values():
            wire.send(wire.channel("room", "room"), data)
        wire.send(wire.channel("user", "alice"), EnvelopeCodec(b"").encode("", DisconnectUser()))
        await wait_until(lambda: rejected(instance) == len(forged) + 1, "rejected envelopes")
    assert sum("dropped" in record.getMessage() for record in caplog.records) == len(forged) + 1
    await room_marker(instance.service, "room", alice)
    assert told(alice) == [] and alice.connected


async def _heard_message(wire: Wire, client: InProcessClient, room: str) -> bytes:
    wire.listen(wire.channel("room", room))
    await client.call("roomMessage", room, TEXT)
    await client.wait_for("roomMessage", room)
    return await asyncio.to_thread(wire.hear)


@pytest.mark.parametrize("secret", [None, "secret"])
async def test_replayed_message_is_delivered_once(
    at: MakeWorld, server: RedisServer, wires: Any, secret: str | None
) -> None:
    world = at(server.url, **({"bus_secret": secret} if secret else {}))
    instance = await world.start()
    wire = wires(server, world)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    data = await _heard_message(wire, alice, "room")
    for _ in range(3):
        wire.send(wire.channel("room", "room"), data)
    last = await room_marker(instance.service, "room", alice)
    assert [args[1]["id"] for args in alice.received("roomMessage")] == [last]
    # In another room it is a forgery if there is a secret; otherwise that room's feed rejects it.
    await instance.service.add_room("other")
    bob = await instance.joined("bob", "other")
    wire.send(wire.channel("room", "other"), data)
    await room_marker(instance.service, "other", bob)
    assert told(bob) == []
    assert rejected(instance) == (1 if secret else 0)


async def test_random_bytes_on_channels_do_no_harm(at: MakeWorld, server: RedisServer, wires: Any) -> None:
    world = at(server.url)
    instance = await world.start()
    wire = wires(server, world)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    dice = random.Random(7)
    uid = instance.service.instance_uid
    channels = [("room", "room"), ("user", "alice"), ("instance", uid), ("everyone", "everyone")]
    for kind, name in channels * 50:
        wire.send(wire.channel(kind, name), dice.randbytes(dice.randrange(40)))
        wire.send(wire.channel(kind, name), VERSION + dice.randbytes(dice.randrange(40)))
    await wait_until(lambda: rejected(instance) > 390, "rejected envelopes")
    assert await alice.call("roomMessage", "room", TEXT) == 1
    await alice.wait_for("roomMessage", "room")


@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(Notify(event="event", args=(b"\0" * 10,), exclude=(SocketId("nobody"),)), id="bytes"),
        pytest.param(Notify(event="", args=()), id="no name"),
    ],
)
async def test_instance_without_the_secret_is_ignored(
    at: MakeWorld, server: RedisServer, envelope: Envelope
) -> None:
    world = at(server.url, bus_secret="secret")
    instance = await world.start()
    stranger = RedisStore({**world.backend.options, "bus_secret": None})  # type: ignore[attr-defined]
    alice = await instance.login("alice")

    class Deaf:
        def on_envelope(self, topic: Topic, envelope: Envelope) -> None: ...
        def on_interruption(self, topic: Topic) -> None: ...

    await stranger.open(Deaf())
    await stranger.bus.publish(Topic(TopicKind.USER, "alice"), envelope)
    await stranger.close()
    await wait_until(lambda: rejected(instance) == 1, "a rejected envelope")
    assert told(alice) == []
