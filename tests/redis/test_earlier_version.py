"""An instance of the version before options, and one of this version, side by side on one Redis.

Both run side by side during a rolling upgrade. The earlier version leaves unknown data alone.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.e2e.clients import NAMESPACE, PythonClient, PythonClients
from tests.redis.ghosts import write_ghosts
from tests.redis.processes import ServiceProcess
from tests.support.earlier_version import NoHistory, unpack
from tests.support.redis_servers import RedisServer
from tests.support.wire_errors import wire_error

# Not measured: the other version is a copy of the package elsewhere.
pytestmark = [pytest.mark.redis, pytest.mark.unmeasured]

TEA, MILK = {"textMessage": "tea"}, {"textMessage": "milk"}
KEY, AGAIN = {"idempotencyKey": "k"}, {"duplicate": True}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the earlier version."""
    try:
        return unpack(tmp_path_factory.mktemp("earlier"))
    except NoHistory as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def instances(earlier: Path, redis_servers: RedisServer) -> Iterator[list[ServiceProcess]]:
    options: dict[str, Any] = {
        "store_options": {
            "url": redis_servers.url,
            "prefix": f"test{uuid.uuid4().hex[:8]}",
            "bus_secret": "the same for both",
        },
        "enable_userlist_updates": True,
        "enable_direct_messages": True,
        # Members of dead instances are not waited for much longer.
        "bus_ack_timeout": 0.5,
    }
    # The first step of an upgrade with a secret: the earlier version understands no stamps.
    upgraded = options | {"store_options": {**options["store_options"], "bus_stamps": "none"}}
    with ServiceProcess(earlier, **options) as old, ServiceProcess(**upgraded) as new:
        yield [old, new]


class Both:
    """Alice on the earlier version and Bob on this one, in a room."""

    def __init__(self, old: ServiceProcess, new: ServiceProcess, clients: PythonClients) -> None:
        self.old, self.new = old, new
        self._clients = clients
        self.room = f"room{uuid.uuid4().hex[:6]}"

    async def login(self, at: ServiceProcess, user: str) -> PythonClient:
        client = await self._clients.connect(at.url, user, transports=["websocket"])
        await client.wait_for("loginConfirmed", user)
        return client

    async def enter(self, creator: ServiceProcess) -> None:
        await creator.call("add_room", self.room)
        self.alice, self.bob = await self.login(self.old, "alice"), await self.login(self.new, "bob")
        for client in (self.alice, self.bob):
            assert await client.call("roomJoin", self.room) == 1

    async def send(self, client: PythonClient, message: Any, *options: Any) -> list[Any]:
        return await client.emit("roomMessage", self.room, message, *options)


@pytest.fixture
async def both(instances: list[ServiceProcess]) -> AsyncIterator[Both]:
    for instance in instances:
        if not instance.port:
            await instance.ready()
    clients = PythonClients()
    yield Both(instances[0], instances[1], clients)
    await clients.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize("creator", ["old", "new"])
async def test_sends_on_both_versions(both: Both, creator: str) -> None:
    await both.enter(getattr(both, creator))
    assert await both.send(both.alice, TEA) == [None, 1]
    assert await both.send(both.bob, MILK, KEY) == [None, 2]
    assert await both.send(both.bob, MILK, KEY) == [None, 2, AGAIN]
    # The earlier version treats options as arguments for hooks.
    assert await both.send(both.alice, TEA, KEY) == [None, 3]
    assert await both.send(both.alice, TEA, KEY) == [None, 4]
    assert await both.send(both.bob, MILK, {"expectedLastId": 2}) == [wire_error("conflict", 4), None]
    assert await both.send(both.bob, MILK, {"expectedLastId": 4}) == [None, 5]
    histories = []
    for client in (both.alice, both.bob):
        for number in range(1, 6):
            assert (await client.wait_for("roomMessage"))[1]["id"] == number
        assert client.received("roomMessage") == []
        histories.append(await client.call("roomRecentHistory", both.room))
    assert histories[0] == histories[1]
    assert [message["textMessage"] for message in histories[0]] == ["milk", "tea", "tea", "milk", "tea"]
    epoch = (await both.alice.call("roomHistoryInfo", both.room))["epoch"]
    assert (await both.bob.emit("roomHistoryGet", both.room, 1, 9, {"epoch": True}))[2] == epoch


async def test_a_room_that_the_earlier_version_deletes_and_creates(both: Both) -> None:
    await both.enter(both.new)
    assert await both.send(both.bob, TEA, KEY) == [None, 1]
    await both.old.call("delete_room", both.room)
    assert await both.bob.wait_for("roomAccessRemoved") == [both.room]
    assert await both.send(both.bob, TEA, KEY) == [wire_error("noRoom", both.room), None]
    await both.old.call("add_room", both.room)
    await both.bob.call("roomJoin", both.room)
    assert await both.send(both.bob, MILK, KEY) == [None, 1]
    assert await both.send(both.bob, MILK, KEY) == [None, 1, AGAIN]


async def test_calls_of_the_server_on_this_version(both: Both) -> None:
    """The earlier version ignores events that it does not know, and knows how sockets join and leave."""
    await both.enter(both.new)
    alice = both.alice.sio.get_sid(NAMESPACE)
    await both.new.call("remove_member", "alice", both.room)
    assert await both.send(both.alice, TEA) == [wire_error("notJoined", both.room), None]
    assert await both.alice.wait_for("roomLeftEcho") == [both.room, alice, 0]
    await both.new.call("add_member", "alice", both.room)
    assert await both.new.call("broadcast", both.room, MILK) == 1
    await both.new.call("broadcast_all", "news", 1)
    for user, client in (("alice", both.alice), ("bob", both.bob)):
        await both.new.call("send_to_socket", user, client.sio.get_sid(NAMESPACE), "badge", 2)
        await both.new.call("send_to_user", user, "badge", 3)
        assert (await client.wait_for("roomMessage"))[1]["id"] == 1
    assert await both.alice.wait_for("badge") == [3]
    assert await both.bob.wait_for("news") == [1]
    assert [await both.bob.wait_for("badge") for _ in range(2)] == [[2], [3]]
    assert both.alice.received("news") == both.alice.received("roomAccessRemoved") == []


async def test_a_change_on_this_version_that_removes_many(both: Both, redis_servers: RedisServer) -> None:
    """The earlier version does not understand the decision, but delivers nothing after it."""
    await both.enter(both.old)
    with redis_servers.client() as client:
        [key] = client.scan_iter(f"*:room:{{{both.room}}}", count=1000)
        write_ghosts(client, key.decode().partition(":room:")[0], 250, [both.room])
    await both.new.call("exec_user_command", True, "roomAddToList", both.room, "whitelist", ["bob"])
    await both.new.call("exec_user_command", True, "roomSetWhitelistMode", both.room, True)
    assert await both.send(both.bob, TEA) == [None, 1]
    assert await both.alice.wait_for("roomAccessRemoved") == [both.room]
    assert await both.alice.emit("roomMessage", both.room, TEA) == [wire_error("notJoined", both.room), None]
    await both.new.call("exec_user_command", True, "roomSetWhitelistMode", both.room, False)
    await both.alice.call("roomJoin", both.room)
    assert await both.send(both.bob, MILK) == [None, 2]
    assert (await both.alice.wait_for("roomMessage"))[1]["id"] == 2
    assert both.alice.received("roomAccessRemoved") == []


async def test_membership_on_both_versions(both: Both) -> None:
    await both.enter(both.old)
    await both.send(both.bob, TEA, KEY)
    blacklist = [both.room, "blacklist", ["bob"]]
    await both.old.call("exec_user_command", True, "roomAddToList", *blacklist)
    assert await both.bob.wait_for("roomAccessRemoved") == [both.room]
    assert await both.alice.wait_for("roomUserLeft") == [both.room, "bob"]
    # A removed user also gets the first id.
    assert await both.send(both.bob, TEA, KEY) == [None, 1, AGAIN]
    await both.new.call("exec_user_command", True, "roomRemoveFromList", *blacklist)
    assert await both.bob.call("roomJoin", both.room) == 1
    assert await both.alice.wait_for("roomUserJoined", both.room, "bob") == [both.room, "bob"]
    await both.alice.disconnect()
    assert await both.bob.wait_for("roomUserLeft") == [both.room, "alice"]

    async def is_alone() -> bool:
        return list(await both.bob.call("roomGetAccessList", both.room, "userlist")) == ["bob"]

    await wait_until(is_alone, "alice has left")


async def test_direct_messages_and_kicks_on_both_versions(both: Both) -> None:
    await both.enter(both.old)
    for sender, receiver, name in ((both.alice, both.bob, "bob"), (both.bob, both.alice, "alice")):
        await sender.call("directMessage", name, TEA)
        assert (await receiver.wait_for("directMessage"))[0]["textMessage"] == "tea"
    for instance, user, client in ((both.old, "bob", both.bob), (both.new, "alice", both.alice)):
        await instance.call("disconnect_user_sockets", user)
        await wait_until(lambda client=client: not client.sio.connected, f"{user} is disconnected")


async def status(client: PythonClient, room: str) -> dict[str, Any]:
    answer = await client.call("roomGetStatus", room)
    return {member["userName"]: member for member in answer["members"]}


async def test_status_and_details_on_both_versions(both: Both) -> None:
    await both.enter(both.old)
    [_, seen] = [await both.bob.call("roomUserSeen", both.room, name) for name in ("bob", "alice")]
    # The time of a join on the earlier version is known.
    assert (await status(both.bob, both.room))["alice"] == {
        "userName": "alice",
        "joinedAt": seen["timestamp"],
        "sockets": 1,
    }
    await both.bob.call("roomSetDetails", both.room, {"mood": "fine"})
    assert await both.alice.wait_for("roomMemberUpdated") == [both.room, "bob", {"mood": "fine"}]
    assert (await status(both.bob, both.room))["bob"]["details"] == {"mood": "fine"}
    # The earlier version removes the member, but does not know of the details.
    for command in ("roomAddToList", "roomRemoveFromList"):
        await both.old.call("exec_user_command", True, command, both.room, "blacklist", ["bob"])
    assert await both.bob.wait_for("roomAccessRemoved") == [both.room]
    await both.bob.call("roomJoin", both.room)
    assert "details" not in (await status(both.bob, both.room))["bob"]
    await both.bob.call("roomSetDetails", both.room, 1)
    assert (await status(both.bob, both.room))["bob"]["details"] == 1
    # A room that the earlier version deletes leaves nothing to the next one.
    await both.old.call("delete_room", both.room)
    await both.old.call("add_room", both.room)
    await both.bob.call("roomJoin", both.room)
    assert "details" not in (await status(both.bob, both.room))["bob"]
