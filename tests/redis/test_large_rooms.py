"""Removing many users from a room: short scripts, crashes between them, instances that miss the decision."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgpack
import pytest
import redis as redis_client

from chat_service.contracts.bus import Notify
from chat_service.contracts.records import SYSTEM, Actor, RoomConfig, SendConditions, UserSeen
from chat_service.errors import StoreTimeoutError
from chat_service.stores.redis import RedisStore, scripts
from chat_service.stores.redis.envelopes import pack
from chat_service.stores.redis.room_values import Cleared, Removed
from chat_service.testing import wait_until
from chat_service.testing.store_suite import Peer
from chat_service.testing.store_suite.base import ALICE, BOB, NOW, ROOM, S1, S2, raises_error, room_topic
from chat_service.testing.store_suite.large_rooms import comings_and_goings
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from tests.redis.conftest import At
from tests.redis.ghosts import DEAD, write_ghosts
from tests.redis.pairs import Pair
from tests.redis.proxy import Proxy
from tests.support.markers import room_marker
from tests.support.parts import parts_of
from tests.support.redis_servers import RedisServer

T = TypeVar("T")

pytestmark = pytest.mark.redis

#: More than a script removes by name.
SOME = 250
GHOST = UserName("ghost7")


@pytest.fixture
def client(server: RedisServer) -> Iterator["redis_client.Redis"]:
    with server.client() as made:
        yield made


@pytest.fixture
async def store(peer: Peer) -> RedisStore:
    """A store with a room whose owner is alice; bob may stay."""
    assert isinstance(peer.store, RedisStore)
    config = RoomConfig(owner=ALICE, whitelist=[BOB], enable_userlist_updates=True)
    await peer.store.room_create(ROOM, config)
    await peer.enter(ALICE, S1)
    await peer.enter(BOB, S2)
    await peer.hear(room_topic(ROOM))
    return peer.store


async def measure(client: "redis_client.Redis", work: Awaitable[T]) -> tuple[T, list[int]]:
    """Run one script. Returns its result, and the number of arguments of each command in it but those
    that publish."""
    with client.monitor() as monitor:
        result = await work
        client.echo("the end")
        arguments = []
        while (line := monitor.next_command())["command"] != "ECHO the end":
            # The content of events contains spaces.
            if line["client_type"] == "lua" and not line["command"].startswith(("LPUSH", "SPUBLISH")):
                arguments.append(line["command"].count(" "))
    return result, arguments


@pytest.mark.parametrize("what", ["mode", "deletion"])
async def test_no_script_touches_all_members(
    client: "redis_client.Redis", alone: At, store: RedisStore, what: str
) -> None:
    ghosts, rooms = 2000, store._rooms
    await store.room_set_details(ROOM, BOB, S2, "{}", {})
    client.hset(f"{store.keys.room(ROOM)}:details", GHOST, msgpack.packb([0, "", "token", 1, "{}"]))
    write_ghosts(client, alone.prefix, ghosts, [ROOM])
    if what == "mode":
        decision = rooms.set(ROOM, SYSTEM, NOW, "mode", "1", pack([ROOM, True]))
    else:
        decision = rooms.delete(ROOM, SYSTEM, ())
    removed, commands = await measure(client, decision)
    assert removed.leaving is not None
    # Those who stay are found by the lists.
    assert len(commands) <= 24
    assert max(commands) <= 24
    left, slices = ghosts, 0
    while left:
        cleared, commands = await measure(client, rooms.clear(ROOM, removed.leaving))
        assert len(commands) <= 12
        # A user and a value for each of a slice.
        assert max(commands) <= 401
        left, slices = cleared.left, slices + 1
    assert slices in (ghosts // 200, ghosts // 200 + 1)
    keys = [key.decode() for key in client.scan_iter(f"{alone.prefix}:room:*", count=1000)]
    if what == "mode":
        assert set(await store.room_members(ROOM)) == {ALICE, BOB}
        assert not any("leaving" in key for key in keys)
        assert client.hget(store.keys.room(ROOM), "leaving") is None
        assert client.hkeys(f"{store.keys.room(ROOM)}:details") == [BOB.encode()]
    else:
        assert keys == []


LONG = [UserName(f"ghost{number}") for number in range(1000)]


async def decide(store: RedisStore, what: str) -> Removed:
    """Decide a change that takes slices: 1,000 members stay, or as many names are added to a list."""
    if what == "mode":
        return await store._rooms.set(ROOM, SYSTEM, NOW, "mode", "1", pack([ROOM, True]))
    return await store._rooms.change_list(ROOM, SYSTEM, "blacklist", NOW, LONG, [], 5000, [])


@pytest.mark.parametrize("what", ["mode", "names"])
async def test_no_script_looks_at_all_names(
    client: "redis_client.Redis", alone: At, store: RedisStore, what: str
) -> None:
    write_ghosts(client, alone.prefix, 2000, [ROOM])
    if what == "mode":
        await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=LONG, limit=5000)
    removed, commands = await measure(client, decide(store, what))
    assert removed.leaving is not None
    assert len(commands) <= 16
    assert max(commands) <= 24
    script, keys = scripts.load("room_pending", store._rooms._signing), store.keys.room_keys(ROOM)
    left, slices = 1, 0
    while left:
        (_, left), commands = await measure(client, store.client.run(script, keys))
        assert len(commands) <= 20
        # A user and a value, which contains spaces here, for each of a slice.
        assert max(commands) <= 1000
        slices += 1
    assert slices <= (2000 if what == "mode" else 1000) // 150
    assert client.exists(store.keys.room(ROOM) + ":pending") == 0
    assert client.hlen(store.keys.leaving(ROOM, removed.leaving)) == 1000


#: What may come next after a crash in the middle of a long change.
NEXT: dict[str, Callable[[RedisStore], Awaitable[Any]]] = {
    "message": lambda store: store.room_message(ROOM, SYSTEM, {}),
    "messages": lambda store: store.room_messages(ROOM, SYSTEM, [{}, {}]),
    "send": lambda store: store.room_send(ROOM, SYSTEM, {}, SendConditions(key="k")),
    "notify": lambda store: store.room_notify(ROOM, SYSTEM, Notify(event="e", args=())),
    "history": lambda store: store.room_recent_history(ROOM, Actor(ALICE), 5),
    "unread": lambda store: store.rooms_unread([ROOM], ALICE),
    "members": lambda store: store.room_members(ROOM),
    "leave": lambda store: store.room_leave(ROOM, GHOST, SocketId("socket of ghost7"), NOW, echo=False),
    "list": lambda store: store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=[ALICE], limit=9),
    "summary": lambda store: store.room_summary(ROOM),
}


@pytest.mark.parametrize("command", NEXT)
async def test_the_next_command_finishes_a_decided_change(
    client: "redis_client.Redis", alone: At, store: RedisStore, peer: Peer, command: str
) -> None:
    write_ghosts(client, alone.prefix, SOME, [ROOM])
    await decide(store, "names")
    key = store.keys.room(ROOM)
    assert client.hget(key, "pending") is not None
    await NEXT[command](store)
    assert client.hget(key, "pending") is None
    assert client.scard(store.keys.room_list(ROOM, "blacklist")) == len(LONG)
    assert set(await store.room_members(ROOM)) == {ALICE, BOB}
    with raises_error("notJoined", ROOM):
        await store.room_message(ROOM, Actor(GHOST), {})
    # An ephemeral event is no event of the room.
    if command != "notify":
        assert any(event.is_removal and event.removes(GHOST) for event in await peer.room_events())


async def test_commands_that_wait_share_the_slices(
    client: "redis_client.Redis", store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await decide(store, "names")
    send, sent = store.client._send, list[bytes]()
    digest = scripts.load("room_pending", store._rooms._signing).digest.encode()

    def count(key: str, packed: bytes, *args: Any, **options: Any) -> Any:
        if digest in packed or b"-- Do a slice of the unfinished change" in packed:
            sent.append(packed)
        return send(key, packed, *args, **options)

    monkeypatch.setattr(store.client, "_send", count)
    ids = await asyncio.gather(*(store.room_message(ROOM, Actor(ALICE), {}) for _ in range(100)))
    assert sorted(ids) == list(range(1, 101))
    # One more if the script has to be loaded.
    assert len(sent) <= len(LONG) // 200 + 1


async def test_a_change_waits_until_an_unfinished_removal_is_over(
    client: "redis_client.Redis", alone: At, store: RedisStore, peer: Peer
) -> None:
    write_ghosts(client, alone.prefix, SOME, [ROOM])
    await decide(store, "names")
    names = [UserName(f"name{number}") for number in range(SOME + 50)]
    assert await store.room_change_list(ROOM, SYSTEM, "whitelist", NOW, add=names, limit=5000) is None
    assert client.hget(store.keys.room(ROOM), "leaving") is None
    assert sorted(await store.room_get_list(ROOM, SYSTEM, "whitelist")) == sorted([BOB, *names])
    events = await peer.room_events()
    assert all(comings_and_goings(events, user) == "-" for user in LONG[:SOME])
    assert [key for key in client.scan_iter(f"{alone.prefix}:room:*") if b"staged" in key] == []


async def crash_after_the_decision(client: "redis_client.Redis", prefix: str, store: RedisStore) -> Removed:
    """Remove ghosts with nobody to do the slices."""
    write_ghosts(client, prefix, SOME, [ROOM])
    return await store._rooms.set(ROOM, SYSTEM, NOW, "mode", "1", b"\x90")


async def test_what_a_crash_leaves(
    client: "redis_client.Redis", alone: At, store: RedisStore, peer: Peer
) -> None:
    removed = await crash_after_the_decision(client, alone.prefix, store)
    assert removed.leaving is not None
    leaving = store.keys.leaving(ROOM, removed.leaving)
    # The decision stands, and what is left expires.
    assert set(await store.room_members(ROOM)) == {ALICE, BOB}
    assert client.hlen(leaving) == SOME
    assert 0 < client.ttl(leaving) <= 3600
    with raises_error("notAllowed"):
        await peer.join(GHOST, S1)
    # A socket that disconnects completes the leave of its user.
    await store.room_leave(ROOM, UserName("ghost1"), S1, NOW, echo=False)
    # So does one that joins again.
    await store.room_set_mode(ROOM, SYSTEM, NOW, False)
    await peer.enter(GHOST, S1)
    events = await peer.room_events()
    assert comings_and_goings(events, UserName("ghost1")) == "-"
    assert comings_and_goings(events, GHOST) == "-+"
    assert comings_and_goings(events, UserName("ghost2")) == ""
    # Repair completes everybody else's.
    await store.room_remove_users(ROOM, [], NOW)
    events = await peer.room_events()
    assert comings_and_goings(events, UserName("ghost1")) == comings_and_goings(events, GHOST) == ""
    assert comings_and_goings(events, UserName("ghost2")) == "-"
    assert client.exists(leaving) == 0
    seen = await store.room_user_seen(ROOM, SYSTEM, UserName("ghost2"))
    assert seen == UserSeen(joined=False, timestamp=NOW)
    # Nothing but the new join is in the users' indexes.
    assert await peer.indexed(GHOST) == {"socket of ghost7": set(), S1: {ROOM}}
    assert await peer.indexed(UserName("ghost2")) == {"socket of ghost2": set()}


async def test_the_next_large_change_finishes_an_interrupted_one(
    client: "redis_client.Redis", alone: At, store: RedisStore, peer: Peer
) -> None:
    removed = await crash_after_the_decision(client, alone.prefix, store)
    assert removed.leaving is not None
    await peer.room_events()
    write_ghosts(client, alone.prefix, SOME, [ROOM])
    removal = await store.room_set_mode(ROOM, SYSTEM, NOW, True)
    assert removal is not None
    assert len(removal.sockets[InstanceId(DEAD)]) == SOME
    assert client.exists(store.keys.leaving(ROOM, removed.leaving)) == 0
    assert comings_and_goings(await peer.room_events(), GHOST) == "--"


async def test_an_outage_after_the_decision(
    client: "redis_client.Redis",
    alone: At,
    store: RedisStore,
    peer: Peer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The change succeeds, and its slices are done when Redis answers again."""
    clear, outages = store._rooms.clear, [StoreTimeoutError("the answer is lost")]

    async def lose_an_answer(room: RoomName, leaving: str) -> Cleared:
        cleared = await clear(room, leaving)
        if outages:
            raise outages.pop()
        return cleared

    monkeypatch.setattr(store._rooms, "clear", lose_an_answer)
    write_ghosts(client, alone.prefix, SOME, [ROOM])
    removal = await store.room_set_mode(ROOM, SYSTEM, NOW, True)
    assert removal is not None
    key = store.keys.room(ROOM)
    await wait_until(lambda: client.hget(key, "leaving") is None, "the slices are done")
    events = await peer.room_events()
    assert all(comings_and_goings(events, UserName(f"ghost{number}")) == "-" for number in range(SOME))


# Instances


async def is_out(client: Any) -> None:
    await wait_until(
        lambda: list(map(list, client.received("roomAccessRemoved"))) == [["room"]], f"{client!r} is out"
    )


async def test_a_deaf_instance_learns_of_the_decision(
    behind: Pair, proxy: Proxy, client: "redis_client.Redis"
) -> None:
    """It reads the change that it has missed, and delivers nothing to those who are out."""
    store = parts_of(behind.second.service).store
    assert isinstance(store, RedisStore)
    await behind.service.change_userlist_updates("room", True)
    carol = await behind.first.joined("carol", "room")
    await behind.second.service.exec_user_command(
        True, "roomAddToList", "room", "whitelist", ["bob", "carol"]
    )
    write_ghosts(client, store.keys.prefix, SOME, ["room"])
    await room_marker(behind.service, "room")
    [bus] = [connection for connection in proxy.connections if connection.is_bus]
    proxy.half_open = True
    bus.cut()
    await wait_until(lambda: bus not in proxy.connections, "the bus is lost")
    heard = len(behind.alice.received("roomMessage"))
    await behind.second.service.exec_user_command(True, "roomSetWhitelistMode", "room", True)
    secret = await room_marker(behind.second.service, "room")
    proxy.mend()
    proxy.cut()
    await is_out(behind.alice)

    def has_heard(client: Any) -> bool:
        return any(message["id"] == secret for _, message in client.received("roomMessage"))

    for stayer in (carol, behind.bob):
        await wait_until(lambda stayer=stayer: has_heard(stayer), f"{stayer!r} has heard the message")
        assert stayer.received("roomAccessRemoved") == stayer.received("roomStateGap") == []

    def names(stayer: Any) -> set[str]:
        return {user for _, user in stayer.received("roomUserLeft")}

    ghosts = {f"ghost{number}" for number in range(SOME)}
    await wait_until(lambda: names(carol) >= ghosts, "carol knows who has left")
    assert len(behind.alice.received("roomMessage")) == heard


async def test_a_change_that_removes_many_on_two_instances(pair: Pair, client: "redis_client.Redis") -> None:
    store = parts_of(pair.service).store
    assert isinstance(store, RedisStore)
    write_ghosts(client, store.keys.prefix, SOME, ["room"])
    await pair.second.service.delete_room("room")
    for user in (pair.alice, pair.bob):
        await is_out(user)
