"""After Redis evicted keys of a room, a user or instances, recreated ones inherit nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from chat_service.contracts.records import SYSTEM, UserConfig
from chat_service.stores.redis.keys import Keys
from chat_service.testing import wait_until
from chat_service.types import RoomName, UserName
from tests.redis.conftest import At
from tests.support.parts import parts_of
from tests.support.redis_servers import RedisCluster, RedisServer
from tests.support.wire_errors import wire_error
from tests.support.world import World

pytestmark = [pytest.mark.redis, pytest.mark.cluster]

ROOM = RoomName("room")
TEXT = {"textMessage": "secret"}
#: Suffixes of the room's keys that are evicted in addition to the main key.
OTHERS = [(), ("members",), ("history",), ("adminlist", "seen"), ("members", "history", "changes")]
EVERYTHING = ("adminlist", "blacklist", "whitelist", "members", "seen", "history", "changes", "details")


class Scene:
    """Ann and Bob in a room with lists and messages, on separate instances."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys = Keys(world.backend.prefix)  # type: ignore[attr-defined]

    async def enter(self) -> None:
        self.first, self.second = await self.world.start(), await self.world.start()
        self.service, self.store = self.first.service, parts_of(self.first.service).store
        self.ann, self.bob = await self.first.login("ann"), await self.second.login("bob")
        await self.ann.call("roomCreate", "room", True)
        await self.ann.call("roomAddToList", "room", "whitelist", ["bob"])
        await self.ann.call("roomAddToList", "room", "adminlist", ["bob"])
        await self.ann.call("roomAddToList", "room", "blacklist", ["carol"])
        for client in (self.ann, self.bob):
            await client.call("roomJoin", "room")
        for _ in range(5):
            await self.ann.call("roomMessage", "room", TEXT)
        self.eve = await self.second.login("eve")

    async def evict(self, *keys: str) -> None:
        """Delete the keys as an eviction would."""
        client: Any = self.store.client  # type: ignore[attr-defined]
        for key in keys:
            await client.call(key, "UNLINK", key)

    async def evict_room(self, *others: str) -> None:
        key = self.keys.room("room")
        await self.evict(key, *(f"{key}:{other}" for other in others))


@pytest.fixture(params=["redis", "cluster"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    servers: RedisServer | RedisCluster = request.getfixturevalue(f"{request.param}_servers")
    world = World(At(servers.url, cluster=request.param == "cluster"))
    made = Scene(world)
    try:
        await made.enter()
        yield made
    finally:
        await world.close()


@pytest.mark.covers("command:roomCreate")
@pytest.mark.parametrize("others", [*OTHERS, EVERYTHING], ids=lambda names: "+".join(names) or "alone")
async def test_recreated_room_is_empty(scene: Scene, others: tuple[str, ...]) -> None:
    ann, bob, eve = scene.ann, scene.bob, scene.eve
    await scene.evict_room(*others)
    for client in (ann, bob):
        client.clear()
    await eve.call("roomCreate", "room", False)
    assert await eve.call("roomJoin", "room") == 1
    assert await eve.call("roomRecentHistory", "room") == []
    info = await eve.call("roomHistoryInfo", "room")
    assert (info["historySize"], info["lastMessageId"]) == (0, 0)
    for list_name in ("adminlist", "blacklist", "whitelist"):
        assert await eve.call("roomGetAccessList", "room", list_name) == []
    assert await eve.call("roomGetAccessList", "room", "userlist") == ["eve"]
    assert await eve.call("roomUserSeen", "room", "bob") == {"joined": False, "timestamp": None}
    assert await eve.call("roomMessage", "room", {"textMessage": "new"}) == 1
    assert [message["id"] for message in await eve.call("roomRecentHistory", "room")] == [1]
    # Former members are removed and notified; nothing of the new room reaches them.
    for client in (ann, bob):
        await client.wait_for("roomAccessRemoved", "room")
        assert client.received("roomMessage") == []
        assert await client.error("roomRecentHistory", "room") == wire_error("notJoined", "room")
        assert await client.error("roomMessage", "room", TEXT) == wire_error("notJoined", "room")
    assert await bob.error("roomAddToList", "room", "whitelist", ["x"]) == wire_error("notAllowed")
    # They may rejoin like anyone else.
    assert await bob.call("roomJoin", "room") == 1
    await eve.call("roomMessage", "room", {"textMessage": "welcome"})
    _, message = await bob.wait_for("roomMessage", "room")
    assert message["id"] == 2
    assert ann.received("roomMessage") == []


async def test_recreated_room_is_in_no_index_of_former_members(scene: Scene) -> None:
    await scene.evict_room()
    await scene.service.add_room("room", owner="eve", adminlist=["carol"])
    assert await scene.ann.call("listOwnSockets") == {scene.ann.id: []}
    assert await scene.bob.call("listOwnSockets") == {scene.bob.id: []}
    assert await scene.store.room_get_list(ROOM, SYSTEM, "adminlist") == ["carol"]
    await scene.ann.wait_for("roomAccessRemoved", "room")


async def test_rejoining_the_recreated_room_is_a_join(scene: Scene) -> None:
    """Even before the instance has received anything from the new room."""
    await scene.evict_room(*EVERYTHING)
    await scene.service.add_room("room")
    assert await scene.bob.call("roomJoin", "room") == 1
    scene.bob.clear()
    assert await scene.bob.call("roomMessage", "room", {"textMessage": "new"}) == 1
    _, message = await scene.bob.wait_for("roomMessage", "room")
    assert message["id"] == 1
    assert await scene.eve.call("roomJoin", "room") == 1
    assert sorted(await scene.eve.call("roomGetAccessList", "room", "userlist")) == ["bob", "eve"]


@pytest.mark.parametrize("by", ["login", "creation"])
async def test_recreated_user_has_empty_lists(scene: Scene, by: str) -> None:
    user = UserName("carol")
    await scene.store.user_create(user, UserConfig(blacklist=["x"], whitelist=["y"], whitelist_only=True))
    await scene.evict(scene.keys.user(user))
    if by == "login":
        carol = await scene.first.login("carol")
        assert await carol.call("directGetWhitelistMode") is False
        for list_name in ("blacklist", "whitelist"):
            assert await carol.call("directGetAccessList", list_name) == []
        assert await carol.call("listOwnSockets") == {carol.id: []}
    else:
        await scene.store.user_create(user, UserConfig(whitelist=["z"]))
        assert await scene.store.user_get_list(user, "blacklist") == []
        assert await scene.store.user_get_list(user, "whitelist") == ["z"]
        assert await scene.store.user_get_mode(user) is False


async def test_recreated_user_keeps_connected_sockets(scene: Scene) -> None:
    await scene.evict(scene.keys.user("bob"))
    another = await scene.first.login("bob")
    assert set(await another.call("listOwnSockets")) == {another.id, scene.bob.id}
    assert (await another.call("listOwnSockets"))[scene.bob.id] == ["room"]
    await scene.ann.call("directMessage", "bob", TEXT)
    for client in (another, scene.bob):
        await client.wait_for("directMessage")


async def test_instances_with_evicted_keys_start_over(scene: Scene) -> None:
    world = scene.world
    third = await world.start(heartbeat_rate=0.1, heartbeat_timeout=5.0)
    carol = await third.login("carol")
    former = third.service.instance_uid
    await scene.evict(scene.keys.instances, scene.keys.claimed, scene.keys.pulses)
    await wait_until(lambda: not carol.connected, "it disconnects its sockets")
    assert third.service.instance_uid != former
    assert await third.service.get_instance_sockets() == {}

    async def is_buried() -> bool:
        return await third.service.get_instance_sockets(former) == {}

    await wait_until(is_buried, "the former id has no sockets")
    carol = await third.login("carol")
    assert await third.service.get_instance_sockets() == {carol.id: "carol"}


async def test_members_of_whom_little_is_left(scene: Scene) -> None:
    """Without the keys that hold it, the time of the join and the details are unknown."""
    await scene.ann.call("roomSetDetails", "room", {"mood": "fine"})

    async def members() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await scene.ann.call("roomGetStatus", "room"))["members"]
        return sorted(found, key=lambda member: str(member["userName"]))

    assert [member.get("details") for member in await members()] == [{"mood": "fine"}, None]
    await scene.evict(scene.keys.room("room") + ":details", scene.keys.room("room") + ":seen")
    unknown = {"joinedAt": None, "sockets": 1}
    assert await members() == [{"userName": "ann", **unknown}, {"userName": "bob", **unknown}]
    await scene.ann.call("roomSetDetails", "room", 5)
    assert [member.get("details") for member in await members()] == [5, None]
