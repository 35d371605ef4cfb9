"""Bans: who is banned is disconnected everywhere, out of all rooms, and cannot log in."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_service import Ban, ChatServiceError, Store
from chat_service.contracts.bus import Topic, TopicKind
from chat_service.contracts.records import SocketInfo
from chat_service.domain import bans, recovery
from chat_service.stores.redis import RedisStore
from chat_service.testing import InProcessClient, wait_until
from chat_service.types import InstanceId, RoomName, SocketId, UserName
from tests.conftest import BACKENDS
from tests.support.backends import ONE_STORE, Backend, InMemory, InRedis
from tests.support.faults import FaultyStore, as_store
from tests.support.parts import parts_of
from tests.support.wire_errors import wire_error
from tests.support.world import Instance, World

#: The error of a ban without an end and a reason.
BANNED = wire_error("banned", "null", "null")
ROOMS = ("attic", "hall")
TEXT = {"textMessage": "x"}
#: Heartbeats are not sent automatically.
QUIET: dict[str, Any] = {"heartbeat_rate": 3600.0, "heartbeat_timeout": 7200.0}


async def start_deaf(world: World, **options: Any) -> tuple[Instance, FaultyStore]:
    """An instance that does not hear of bans."""
    store = FaultyStore(world.backend.new_store())
    instance = await world.start(store=as_store(store), **{**QUIET, **options})
    store.loses = lambda topic, envelope: topic.kind is TopicKind.USER or topic.kind is TopicKind.ROOM
    return instance, store


def changes_of(room: str) -> list[tuple[Any, ...]]:
    """Each command that changes a user's own lists or a room."""
    return [
        ("directAddToList", "blacklist", ["late"]),
        ("directRemoveFromList", "whitelist", ["late"]),
        ("directSetWhitelistMode", True),
        ("roomAddToList", room, "adminlist", ["late"]),
        ("roomRemoveFromList", room, "whitelist", ["carol"]),
        ("roomSetWhitelistMode", room, True),
        ("roomDelete", room),
    ]


async def changeable(instance: Instance, room: str) -> list[Any]:
    """What the commands above change: lists and mode of the room and of alice."""
    run = instance.service.exec_user_command
    lists = [
        *[("roomGetAccessList", room, name) for name in ("adminlist", "blacklist", "whitelist")],
        ("roomGetWhitelistMode", room),
        *[("directGetAccessList", name) for name in ("blacklist", "whitelist")],
        ("directGetWhitelistMode",),
    ]
    context = {"user_name": "alice", "bypass_permissions": True}
    found = [(await run(context, *asked))[0] for asked in lists]
    return [sorted(answer) if isinstance(answer, list) else answer for answer in found]


async def rejection(instance: Instance, user: str) -> Any:
    client = await instance.transport.connect(query={"userName": user})
    return (await client.wait_for("loginRejected"))[0]


@pytest.mark.covers("api:ban_user", "api:get_ban", "error:banned")
async def test_a_banned_user_is_disconnected_and_refused(world: World) -> None:
    one, other = await world.start(), await world.start(use_raw_error_objects=True)
    for room in ROOMS:
        await one.service.add_room(room, enable_userlist_updates=True)
    alices = [await one.joined("alice", *ROOMS), await other.joined("alice", "hall")]
    bob = await other.joined("bob", "hall")
    await one.service.ban_user("alice", reason="spam")
    for room in ROOMS:
        assert "alice" not in (await one.service.room_status(room)).members
    for alice in alices:
        await wait_until(lambda alice=alice: not alice.connected, "the end of the connection")
    await bob.wait_for("roomUserLeft", "hall", "alice")
    assert await rejection(one, "alice") == wire_error("banned", "null", "spam")
    assert await rejection(other, "alice") == {
        "name": "ChatServiceError",
        "code": "banned",
        "args": [None, "spam"],
    }
    assert await other.service.get_ban("alice") == Ban(until=None, reason="spam")
    assert await other.service.get_ban("bob") is None
    assert bob.connected


@pytest.mark.covers("api:unban_user")
async def test_a_ban_outlives_its_user_and_ends(world: World) -> None:
    instance = await world.start()
    alice = await instance.login("alice")
    await instance.service.ban_user("alice")
    await wait_until(lambda: not alice.connected, "the end of the connection")
    await wait_until(lambda: not len(parts_of(instance.service).sessions), "no sessions")
    await instance.service.delete_user("alice")
    assert await rejection(instance, "alice") == BANNED
    # A refused login has made no user.
    assert not await instance.service.has_user("alice")
    assert await instance.service.get_instance_sockets() == {}
    assert await instance.service.unban_user("alice") is True
    assert await instance.service.unban_user("alice") is False
    await instance.login("alice")


async def test_a_ban_with_a_duration(world: World) -> None:
    instance = await world.start()
    before = parts_of(instance.service).clock.now_ms()
    await instance.service.ban_user("alice", 0.05, "slow down")
    first = await instance.service.get_ban("alice")
    assert first is None or (first.until is not None and 50 <= first.until - before < 10_000)

    async def is_over() -> bool:
        return await instance.service.get_ban("alice") is None

    await wait_until(is_over, "the end of the ban")
    await instance.login("alice")
    await instance.service.ban_user("alice", 0.05)
    await instance.service.ban_user("alice", reason="for good")
    assert await instance.service.get_ban("alice") == Ban(until=None, reason="for good")
    assert await instance.service.unban_user("alice")


@ONE_STORE
async def test_valid_and_invalid_bans(world: World) -> None:
    instance = await world.start()
    for seconds, reason, error in (
        (0, None, ValueError),
        (-1, None, ValueError),
        (float("inf"), None, ValueError),
        (float("nan"), None, ValueError),
        (bans.MAX_SECONDS + 1, None, ValueError),
        (True, None, TypeError),
        ("5", None, TypeError),
        (5, 5, TypeError),
        (5, "x" * (bans.MAX_REASON + 1), ValueError),
    ):
        with pytest.raises(error, match=r"seconds|reason"):
            await instance.service.ban_user("alice", seconds, reason)  # type: ignore[arg-type]
    with pytest.raises(ChatServiceError):
        await instance.service.ban_user("a:b")
    assert await instance.service.get_ban("alice") is None
    await instance.service.ban_user("alice", bans.MAX_SECONDS, "x" * bans.MAX_REASON)
    assert await instance.service.unban_user("alice")


# An instance that does not receive the ban


async def test_an_instance_cut_off_from_the_bus_refuses_messages(world: World) -> None:
    one = await world.start(**QUIET)
    deaf, _ = await start_deaf(world, hooks={"on_refresh": lambda *_: 4_000_000_000.0})
    await one.service.add_room("hall")
    await one.service.add_room("own", owner="alice", whitelist=["carol"])
    alice, bob = await deaf.login("alice"), await one.login("bob")
    await alice.call("roomJoin", "hall")
    await one.service.ban_user("alice", reason="spam")
    assert alice.connected
    banned = wire_error("banned", "null", "spam")
    assert await alice.error("roomMessage", "hall", {"textMessage": "x"}) == wire_error("notJoined", "hall")
    for command in (
        ("roomJoin", "hall"),
        ("roomJoin", "own"),
        ("roomCreate", "mine", False),
        ("loginRefresh", "token"),
        ("directMessage", "bob", {"textMessage": "x"}),
        ("directOpen", "bob"),
        ("roomMarkRead", "own", 1),
        *changes_of("own"),
    ):
        assert await alice.error(*command) == banned, command
    assert not await one.service.has_room("mine")
    assert await changeable(one, "own") == [[], [], ["carol"], False, [], [], False]
    assert bob.received("directMessage") == []
    # Server calls for the user still work, except joins.
    context = {"user_name": "alice", "bypass_permissions": True}
    for change in changes_of("own")[:-1]:
        await one.service.exec_user_command("alice", *change)
    await one.service.exec_user_command("alice", "directMessage", "bob", {"textMessage": "x"})
    await bob.wait_for("directMessage")
    assert await changeable(one, "own") == [["late"], [], [], True, ["late"], [], True]
    await one.service.exec_user_command("alice", "roomDelete", "own")
    await one.service.exec_user_command(context, "roomMessage", "hall", {"textMessage": "moved"})
    with pytest.raises(ChatServiceError) as caught:
        await deaf.service.exec_user_command(
            {"user_name": "alice", "id": alice.id, "bypass_permissions": True}, "roomJoin", "hall"
        )
    assert caught.value.code == "banned"


async def test_a_renewed_lease_looks_for_bans(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat_service.domain.ban_watch.CHECKED_AT_ONCE", 2)
    one = await world.start(**QUIET)
    deaf, _ = await start_deaf(world, heartbeat_rate=0.1)
    clients = {name: await deaf.login(name) for name in ("alice", "bob", "carol", "dan", "eve")}
    await one.service.ban_user("bob")
    await one.service.ban_user("eve")
    for name in ("bob", "eve"):
        await wait_until(lambda name=name: not clients[name].connected, "the end of the connection")
    assert [name for name, client in clients.items() if client.connected] == ["alice", "carol", "dan"]
    await wait_until(lambda: len(parts_of(deaf.service).sessions) == 3, "the end of the sessions")


async def test_a_subscription_that_comes_back_looks_for_bans(world: World) -> None:
    one = await world.start(**QUIET)
    deaf, store = await start_deaf(world)
    alice, bob = await deaf.login("alice"), await deaf.login("bob")
    await one.service.ban_user("alice")
    await one.service.ban_user("bob")
    assert store.listener is not None
    store.listener.on_interruption(Topic(TopicKind.USER, "alice"))
    await wait_until(lambda: not alice.connected, "the end of the connection")
    assert bob.connected


async def test_a_failed_lookup_is_retried(world: World) -> None:
    one = await world.start(**QUIET)
    deaf, store = await start_deaf(world)
    alice = await deaf.login("alice")
    await one.service.ban_user("alice")
    store.faults.fail("banned_users", RuntimeError("the store fails"))
    parts_of(deaf.service).bans.check_all()
    await wait_until(lambda: "banned_users" in store.faults.calls, "a look")
    store.faults.mend("banned_users")
    await wait_until(lambda: not parts_of(deaf.service).bans._is_checking, "the end of the look")
    assert alice.connected
    parts_of(deaf.service).bans.check_all()
    await wait_until(lambda: not alice.connected, "the end of the connection")


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "memory"], indirect=True)
async def test_a_ban_waits_for_a_running_join(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Redis, a join writes the user's index first; memory does all in one step."""
    one = await world.start(**QUIET)
    deaf, faulty = await start_deaf(world)
    await one.service.add_room("hall")
    alice = await deaf.login("alice")
    assert isinstance(faulty.inner, RedisStore)
    memberships = faulty.inner._memberships
    gate, is_waiting, join = asyncio.Event(), asyncio.Event(), memberships._rooms.join

    async def late(*args: Any, **keywords: Any) -> Any:
        is_waiting.set()
        await gate.wait()
        return await join(*args, **keywords)

    monkeypatch.setattr(memberships._rooms, "join", late)
    joining = asyncio.ensure_future(alice.call("roomJoin", "hall"))
    await is_waiting.wait()
    banning = asyncio.ensure_future(one.service.ban_user("alice"))
    await wait_until(lambda: _is_banned(one), "the ban")
    assert not banning.done()
    gate.set()
    if world.backend.name == "cluster":
        # The ban has taken back the permit that the first step gave.
        with pytest.raises(AssertionError, match="Banned"):
            await joining
    else:
        await joining
    await banning
    assert (await one.service.room_status("hall")).members == {}
    assert await alice.error("roomMessage", "hall", {"textMessage": "x"}) == wire_error("notJoined", "hall")


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "memory"], indirect=True)
async def test_a_room_that_is_created_at_the_ban_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Redis, the user is checked in a step before the room is created."""
    one = await world.start(**QUIET)
    deaf, faulty = await start_deaf(world)
    alice = await deaf.login("alice")
    assert isinstance(faulty.inner, RedisStore)
    users = faulty.inner._users
    admit = users.admit

    async def ban_between(*args: Any) -> None:
        await admit(*args)
        await one.service.ban_user("alice")

    monkeypatch.setattr(users, "admit", ban_between)
    assert await alice.error("roomCreate", "mine", False) == BANNED
    assert not await one.service.has_room("mine")


async def _is_banned(instance: Instance) -> bool:
    return await instance.service.get_ban("alice") is not None


async def test_a_room_that_stays_in_the_index_is_cleaned(world: World) -> None:
    """An abandoned join has left its room in the index."""
    instance = await world.start(**QUIET)
    store = parts_of(instance.service).store
    await instance.service.add_room("hall")
    user, socket_id, room = UserName("alice"), SocketId("s1"), RoomName("hall")
    here = InstanceId(instance.service.instance_uid)
    await store.socket_connect(user, socket_id, here)
    await store.room_join(room, user, socket_id, here, 1, announce=True)
    await store.room_leave(room, user, socket_id, 2, echo=False, keep_index=True)
    removed = await bans.ban_user(parts_of(instance.service), user, Ban(), patience=0.05)
    assert removed == {}
    assert [info.rooms for info in (await store.user_sockets(user)).values()] == [frozenset()]
    await store.socket_disconnect(user, socket_id, here, [])


async def test_a_member_is_banned_from_a_hook(world: World) -> None:
    """The command that bans holds the socket in its room, and the disconnect waits for that."""

    async def ban(call: Any) -> None:
        await call.service.ban_user(call.user_name)

    instance = await world.start(hooks={"room_message_before": ban}, **QUIET)
    for room in ROOMS:
        await instance.service.add_room(room)
    alice = await instance.joined("alice", *ROOMS)
    await alice.send("roomMessage", "hall", {"textMessage": "x"})
    await wait_until(lambda: not alice.connected, "the end of the connection")
    await wait_until(lambda: not len(parts_of(instance.service).sessions), "the end of the session")
    for room in ROOMS:
        info = await instance.service.exec_user_command(True, "roomHistoryInfo", room)
        assert info[0]["historySize"] == 0


async def _without_rooms(store: Store, user: UserName) -> dict[SocketId, SocketInfo]:
    return {
        socket_id: SocketInfo(instance_id=info.instance_id)
        for socket_id, info in (await store.user_sockets(user)).items()
    }


async def test_repair_of_a_room_removes_a_banned_user(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = await world.start(**QUIET)
    deaf, _ = await start_deaf(world)
    await instance.service.add_room("hall")
    alice = await deaf.login("alice")
    await alice.call("roomJoin", "hall")
    store, clock = parts_of(instance.service).store, parts_of(instance.service).clock
    # Only the ban, as if the banning process had died afterwards.
    await store.user_ban(UserName("alice"), Ban(), clock.now_ms())
    # A room that the index has lost makes the repair join again.
    monkeypatch.setattr(recovery, "sockets_of", _without_rooms)
    await instance.service.room_state_sync("hall")
    assert (await instance.service.room_status("hall")).members == {}


# The property


DEAF = 2
#: What a socket of the banned user does: the command, the instance, the room.
STEPS = [
    "roomMessage",
    "roomMessage",
    "roomJoin",
    "roomLeave",
    "login",
    "directAddToList",
    "directMessage",
    "directOpen",
    "roomAddToList",
    "roomRemoveFromList",
    "roomSetWhitelistMode",
    "roomMarkRead",
    "roomCreate",
]


def steps(commands: list[str]) -> st.SearchStrategy[list[tuple[str, int, str]]]:
    one = st.tuples(st.sampled_from(commands), st.integers(0, DEAF), st.sampled_from(ROOMS))
    return st.lists(one, max_size=12)


#: What is tried on the deaf instance when the ban is there.
TRIED = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *(
                    "roomMessage",
                    "roomJoin",
                    "roomCreate",
                    "roomMarkRead",
                    "directMessage",
                    "directOpen",
                    "login",
                ),
                *(change[0] for change in changes_of("")),
            ]
        ),
        st.sampled_from(ROOMS),
    ),
    min_size=1,
    max_size=6,
)


class Scene:
    """Three instances, of which one is deaf, and alice on all of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clients: list[tuple[int, InProcessClient]] = []
        self._guests = 0

    @property
    def deaf(self) -> list[InProcessClient]:
        return [client for number, client in self.clients if number == DEAF and client.connected]

    async def begin(self) -> None:
        for _ in range(DEAF):
            await self.world.start(**QUIET)
        await start_deaf(self.world)
        for room in ROOMS:
            await self.world.instances[0].service.add_room(room, owner="alice", whitelist=["carol"])
            await self.world.instances[0].service.exec_user_command(True, "roomMessage", room, TEXT)
        self.bob = await self.world.instances[0].login("bob")
        for number, instance in enumerate(self.world.instances):
            client = await instance.login("alice")
            await client.call("roomJoin", ROOMS[0])
            self.clients.append((number, client))

    async def begin_step(self, command: str, number: int, room: str) -> None:
        """Start a step, without waiting for its end."""
        if command == "login":
            client = await self.world.instances[number].transport.connect(query={"userName": "alice"})
            self.clients.append((number, client))
            return
        self._guests += 1
        guest = [f"guest{self._guests}"]
        args: tuple[Any, ...] = {
            "roomMessage": (room, TEXT),
            "roomAddToList": (room, "whitelist", guest),
            "roomRemoveFromList": (room, "whitelist", ["carol"]),
            "roomSetWhitelistMode": (room, True),
            "roomMarkRead": (room, 1),
            "roomCreate": (f"new{self._guests}", False),
            "directAddToList": ("blacklist", guest),
            "directMessage": ("bob", TEXT),
            "directOpen": ("bob",),
        }.get(command, (room,))
        for at, client in self.clients:
            if at == number and client.connected:
                await client.send(command, *args)

    async def try_step(self, command: str, room: str) -> None:
        """Try a step on the deaf instance, which must fail."""
        if command == "login":
            assert await rejection(self.world.instances[DEAF], "alice") == BANNED
            return
        args: tuple[Any, ...] = {
            "roomMessage": (room, TEXT),
            "roomCreate": ("new", False),
            "roomMarkRead": (room, 1),
            "directMessage": ("bob", TEXT),
            "directOpen": ("bob",),
            **{change[0]: change[1:] for change in changes_of(room)},
        }.get(command, (room,))
        error = wire_error("notJoined", room) if command == "roomMessage" else BANNED
        for client in self.deaf:
            assert await client.error(command, *args) == error

    async def stored(self) -> dict[Any, Any]:
        service = self.world.instances[0].service
        found: dict[Any, Any] = {"rooms": sorted(room.name for room in (await service.list_rooms()).items)}
        # What was published before has arrived when this has.
        self._guests += 1
        await service.exec_user_command("bob", "systemMessage", self._guests)
        await self.bob.wait_for("systemMessage", self._guests)
        found["direct messages"] = len(self.bob.received("directMessage"))
        found["conversations of bob"] = await service.exec_user_command("bob", "listOwnRooms")
        alice = {"user_name": "alice", "bypass_permissions": True}
        found["marks"] = await service.exec_user_command(alice, "roomGetUnread", list(ROOMS))
        for room in ROOMS:
            found[room] = await service.exec_user_command(True, "roomRecentHistory", room)
            found[room, "lists"] = await changeable(self.world.instances[0], room)
            assert (await service.room_status(room)).members == {}
        return found


async def _play(
    backend: Backend, before: list[tuple[str, int, str]], turns: int, tried: list[tuple[str, str]]
) -> None:
    world = World(backend)
    try:
        scene = Scene(world)
        await scene.begin()
        for step in before:
            await scene.begin_step(*step)
        for _ in range(turns):
            await asyncio.sleep(0)
        await world.instances[0].service.ban_user("alice")
        stored = await scene.stored()
        assert scene.deaf
        for attempt in tried:
            await scene.try_step(*attempt)
        # What was under way is over: a command of a socket waits for the earlier ones in its room.
        for client in scene.deaf:
            for room in ROOMS:
                await client.emit("roomLeave", room)
        assert await scene.stored() == stored
    finally:
        await world.close()
    assert await backend.leftovers() == []


@pytest.mark.parametrize("name", BACKENDS)
def test_after_a_ban_nothing_is_stored(name: str, request: pytest.FixtureRequest) -> None:
    servers = None if name == "memory" else request.getfixturevalue(f"{name}_servers")

    @settings(
        max_examples={"memory": 60, "redis": 15}.get(name, 8),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(before=steps(STEPS), turns=st.integers(0, 8), tried=TRIED)
    def run(before: list[tuple[str, int, str]], turns: int, tried: list[tuple[str, str]]) -> None:
        asyncio.run(_play(InMemory() if servers is None else InRedis(servers), before, turns, tried))

    run()
