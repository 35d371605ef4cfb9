"""Redis responds but refuses changes: no one is disconnected, reads work, and service resumes later."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from chat_service.domain.inbox import Inbox
from chat_service.domain.lease import Lease
from chat_service.errors import StoreRefusedError
from chat_service.stores.redis import RedisStore
from chat_service.testing import wait_until
from tests.redis.conftest import At
from tests.redis.refusals import Refusal
from tests.support.parts import parts_of
from tests.support.redis_servers import RedisCluster, RedisServer
from tests.support.wire_errors import wire_error
from tests.support.world import Instance, World

pytestmark = [pytest.mark.redis, pytest.mark.cluster]

TEXT = {"textMessage": "hello"}
RATE, TIMEOUT = 0.3, 1.2
#: Longer than a lease, so that heartbeats are not retried within a command.
COMMAND_TIMEOUT = 2.0
OPTIONS: dict[str, Any] = {
    "heartbeat_rate": RATE,
    "heartbeat_timeout": TIMEOUT,
    "enable_userlist_updates": True,
}
REFUSED = wire_error("timeout")


class Scene:
    """Two instances with alice and bob in a room with some messages."""

    def __init__(self, world: World, refusal: Refusal) -> None:
        self.world = world
        self.refusal = refusal

    async def enter(self) -> None:
        self.first, self.second = [await self.world.start(**OPTIONS) for _ in range(2)]
        self.service = self.first.service
        await self.service.add_room("room", owner="alice")
        await self.service.add_room("closed", whitelist_only=True)
        await self.service.add_room("other")
        self.alice = await self.first.joined("alice", "room")
        self.bob = await self.second.joined("bob", "room")
        for _ in range(5):
            await self.alice.call("roomMessage", "room", TEXT)
        self.uids = self.uids_now()

    def uids_now(self) -> list[str]:
        return [instance.service.instance_uid for instance in self.world.instances]

    async def outlast(self, seconds: float = 2.5 * TIMEOUT) -> None:
        """Wait until the refusal has lasted longer than a lease."""
        end = asyncio.get_running_loop().time() + seconds
        await wait_until(lambda: asyncio.get_running_loop().time() > end, "time passes")

    def all_is_well(self) -> bool:
        lost = [parts_of(instance.service).counters.leases_lost for instance in self.world.instances]
        recovered = [
            sum(parts_of(instance.service).counters.recoveries.values()) for instance in self.world.instances
        ]
        assert not any(lost) and not any(recovered)
        assert not any(parts_of(instance.service).counters.interruptions for instance in self.world.instances)
        assert self.uids_now() == self.uids
        return self.alice.connected and self.bob.connected

    async def goes_on(self) -> None:
        """Check that commands work and reach all users."""
        self.bob.clear()
        last = await self.alice.call("roomMessage", "room", TEXT)
        _, message = await self.bob.wait_for("roomMessage", "room")
        assert message["id"] == last
        assert await self.bob.call("roomJoin", "other") == 1
        assert await self.bob.call("roomLeave", "other") == 0


@pytest.fixture(params=["OOM", "MISCONF", "NOREPLICAS"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["single", "cluster"])
def nodes(request: pytest.FixtureRequest) -> Iterator[list[RedisServer]]:
    """One server, or the masters of a cluster."""
    servers = RedisCluster() if request.param == "cluster" else RedisServer()
    with servers:
        yield servers.servers if isinstance(servers, RedisCluster) else [servers]


@pytest.fixture
async def scene(nodes: list[RedisServer], kind: str) -> AsyncIterator[Scene]:
    times = {"command_timeout": COMMAND_TIMEOUT, "probe_interval": 0.4}
    world = World(At(nodes[0].url, cluster=len(nodes) > 1, **times))
    made = Scene(world, Refusal(kind, nodes))
    try:
        await made.enter()
        yield made
    finally:
        await made.refusal.end()
        await world.close()


@pytest.mark.covers("error:timeout", "option:heartbeat_timeout")
async def test_clients_stay_connected_and_service_resumes(
    scene: Scene, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    alice = scene.alice
    await scene.refusal.begin()
    await scene.outlast()
    assert scene.all_is_well()
    # Changes are refused without an incident.
    for command, *args in (
        ("roomMessage", "room", TEXT),
        ("roomCreate", "new", False),
        ("roomJoin", "other"),
        ("roomAddToList", "room", "whitelist", ["carol"]),
        ("directAddToList", "blacklist", ["carol"]),
        ("roomMarkRead", "room", 3),
    ):
        assert await alice.error(command, *args) == REFUSED, command
    assert parts_of(scene.service).errors.incidents == 0
    # Reads work.
    assert [message["id"] for message in await alice.call("roomRecentHistory", "room")] == [5, 4, 3, 2, 1]
    assert [message["id"] for message in await alice.call("roomHistoryGet", "room", 2, 2)] == [4, 3]
    assert [message["id"] for message in await alice.call("roomHistoryGet", "room", 0, 2)] == [2, 1]
    assert (await alice.call("roomHistoryInfo", "room"))["lastMessageId"] == 5
    assert sorted(await alice.call("roomGetAccessList", "room", "userlist")) == ["alice", "bob"]
    assert await alice.call("roomGetOwner", "room") == "alice"
    assert (await alice.call("roomUserSeen", "room", "bob"))["joined"] is True
    assert await alice.call("directGetAccessList", "blacklist") == []
    assert await alice.call("directGetWhitelistMode") is False
    assert await alice.call("listOwnSockets") == {alice.id: ["room"]}
    state = {"lastMessageId": 5, "readId": 0, "unread": 5}
    assert await alice.call("roomGetUnread", ["room", "other"]) == {"room": state}
    assert await scene.service.room_has_in_list("room", "userlist", "bob") is True
    assert {user.name for user in (await scene.service.list_users()).items} == {"alice", "bob"}
    # Repeated joins work, and users without access learn the reason.
    assert await alice.call("roomJoin", "room") == 1
    assert await alice.error("roomJoin", "closed") == wire_error("notAllowed")
    assert await alice.error("roomJoin", "nowhere") == wire_error("noRoom", "nowhere")
    # Messages that are not stored are still delivered.
    scene.bob.clear()
    await alice.call("directMessage", "bob", TEXT)
    await scene.bob.wait_for("directMessage")
    await alice.call("roomEvent", "room", "typing", True)
    await scene.bob.wait_for("roomEvent", "room")
    assert scene.all_is_well()
    await scene.refusal.end()
    await scene.goes_on()
    beats = [await scene.service.get_instance_heartbeat(uid) or 0 for uid in scene.uids]

    async def are_renewed() -> bool:
        return all([(await scene.service.get_instance_heartbeat(uid) or 0) > beats[0] for uid in scene.uids])

    await wait_until(are_renewed, "the leases are renewed")
    await scene.outlast(1.5 * TIMEOUT)
    assert scene.all_is_well()
    assert await alice.call("listOwnSockets") == {alice.id: ["room"]}
    # One log line for all refused heartbeats; none if they are not refused.
    told = [record for record in caplog.records if "op_type='heartbeat'" in record.getMessage()]
    assert len(told) == (0 if kind == "OOM" else 2)


@pytest.mark.covers("error:timeout", "notification:loginRejected")
async def test_logins_and_disconnects_during_the_refusal(scene: Scene, kind: str) -> None:
    second = await scene.second.joined("bob", "room")
    scene.alice.clear()
    await scene.refusal.begin()
    carol = await scene.first.transport.connect(query={"userName": "carol"})
    assert await carol.wait_for("loginRejected") == [REFUSED]
    await second.disconnect()
    await scene.bob.disconnect()
    await scene.outlast(1.5 * TIMEOUT)
    assert scene.alice.connected
    await scene.refusal.end()
    await scene.alice.wait_for("roomUserLeft", "room", "bob")
    assert await scene.alice.call("roomGetAccessList", "room", "userlist") == ["alice"]
    for instance in scene.world.instances:
        uid = instance.service.instance_uid

        async def is_clean(instance: Instance = instance, uid: str = uid) -> bool:
            stored = await instance.service.get_instance_sockets(uid)
            return set(stored) == set(instance.transport.socket_ids())

        await wait_until(is_clean, "no socket is left over")
    carol = await scene.first.login("carol")
    assert await carol.call("listOwnSockets") == {carol.id: []}
    assert scene.uids_now() == scene.uids


async def test_leave_succeeds_or_is_refused(scene: Scene, kind: str) -> None:
    second = await scene.first.joined("alice", "room")
    await scene.refusal.begin()
    if kind == "OOM":
        # It needs no memory.
        assert await second.call("roomLeave", "room") == 1
        assert await scene.alice.call("roomLeave", "room") == 0
        assert await scene.alice.error("roomGetOwner", "other") == wire_error("notJoined", "other")
        return
    assert await scene.alice.error("roomLeave", "room") == REFUSED
    assert await scene.alice.call("roomJoin", "room") == 2
    await scene.refusal.end()
    await scene.goes_on()
    assert await scene.alice.call("roomLeave", "room") == 1


@pytest.mark.parametrize("step", ["room_delete", "user_delete"])
async def test_deletion_works_when_memory_is_full(scene: Scene, kind: str, step: str) -> None:
    await scene.bob.disconnect()
    await scene.refusal.begin()
    removal = scene.service.delete_room("room") if step == "room_delete" else scene.service.delete_user("bob")
    if kind == "OOM":
        await removal
        return
    with pytest.raises(StoreRefusedError):
        await removal


async def test_dead_instance_is_recovered_after_the_refusal(scene: Scene, kind: str) -> None:
    third = await scene.world.start(**OPTIONS)
    carol = await third.joined("carol", "room")
    uid = third.service.instance_uid
    await scene.refusal.begin()
    # Stop its heartbeats.
    await parts_of(third.service).background.close()
    await scene.outlast()
    await scene.refusal.end()

    async def is_recovered() -> bool:
        return await scene.service.get_instance_sockets(uid) == {}

    await wait_until(is_recovered, "it is recovered")
    assert sorted(await scene.alice.call("roomGetAccessList", "room", "userlist")) == ["alice", "bob"]
    assert scene.alice.connected and scene.bob.connected and carol.connected
    assert scene.uids_now()[:2] == scene.uids


async def test_failing_start_names_the_reason(scene: Scene, kind: str) -> None:
    await scene.refusal.begin()
    instance = scene.world.make(**OPTIONS)
    if kind == "OOM":
        await instance.service.start()
        return
    with pytest.raises(StoreRefusedError, match=kind):
        await instance.service.start()


async def test_store_raises_refused_error(scene: Scene, kind: str) -> None:
    store = RedisStore(scene.world.backend.options)  # type: ignore[attr-defined]
    context = parts_of(scene.service)
    assert isinstance(context.lease, Lease)
    await store.open(Inbox(context, context.lease))
    try:
        await scene.refusal.begin()
        with pytest.raises(StoreRefusedError, match=kind):
            await store.user_set_mode("alice", True)  # type: ignore[arg-type]
        assert await store.user_get_mode("alice") is False  # type: ignore[arg-type]
    finally:
        await store.close()
