"""Three instances in separate processes with clients over the network."""

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.e2e.clients import PythonClient, PythonClients
from tests.redis.processes import ServiceProcess
from tests.support.redis_servers import RedisCluster, RedisServer
from tests.support.wire_errors import wire_error

pytestmark = [pytest.mark.redis, pytest.mark.cluster]

TEXT = {"textMessage": "hello"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["redis", "cluster"])
def processes(request: pytest.FixtureRequest) -> Iterator[list[ServiceProcess]]:
    servers: RedisServer | RedisCluster = request.getfixturevalue(f"{request.param}_servers")
    store_options = {
        "url": servers.url,
        "cluster": request.param == "cluster",
        "prefix": f"test{uuid.uuid4().hex[:8]}",
        "bus_secret": "the same for all",
    }
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                ServiceProcess(
                    store_options=store_options,
                    enable_rooms_management=True,
                    enable_direct_messages=True,
                    enable_userlist_updates=True,
                    enable_access_lists_updates=True,
                )
            )
            for _ in range(3)
        ]


class Cluster:
    """Three instances with clients. Room and user names are unique to each test."""

    def __init__(self, processes: list[ServiceProcess], clients: PythonClients) -> None:
        self.processes = processes
        self._clients = clients

    def name(self, what: str) -> str:
        return f"{what}{next(_numbers)}"

    async def login(self, place: int, user: str) -> PythonClient:
        url = self.processes[place].url
        client = await self._clients.connect(url, user, transports=["websocket"])
        _, data = await client.wait_for("loginConfirmed", user)
        client.id = data["id"]  # type: ignore[attr-defined]
        client.events.clear()
        return client

    async def joined(self, place: int, user: str, room: str) -> PythonClient:
        client = await self.login(place, user)
        await client.call("roomJoin", room)
        return client

    async def call(self, place: int, method: str, *args: Any, **keywords: Any) -> Any:
        return await self.processes[place].call(method, *args, **keywords)


@pytest.fixture
async def three(processes: list[ServiceProcess]) -> AsyncIterator[Cluster]:
    for process in processes:
        if not process.port:
            await process.ready()
    clients = PythonClients()
    yield Cluster(processes, clients)
    await clients.close()
    await asyncio.sleep(0)


def id_of(client: Any) -> str:
    return str(client.id)


async def everybody_has(clients: list[PythonClient], count: int) -> None:
    for client in clients:
        await wait_until(
            lambda client=client: len(client.received("roomMessage")) >= count,
            f"{count} messages at {client!r}",
        )


@pytest.mark.covers("command:roomMessage", "notification:roomMessage", "better:id order on every instance")
async def test_messages_reach_all_users_in_the_same_order(three: Cluster) -> None:
    room = three.name("room")
    await three.call(0, "add_room", room)
    clients = [await three.joined(place, three.name("user"), room) for place in (0, 1, 2, 0, 1, 2)]

    async def talk(client: PythonClient) -> list[int]:
        return [await client.call("roomMessage", room, TEXT) for _ in range(20)]

    acked = await asyncio.gather(*map(talk, clients))
    ids = sorted(message_id for own in acked for message_id in own)
    assert ids == list(range(1, 121))
    await everybody_has(clients, 120)
    for client in clients:
        assert [args[1]["id"] for args in client.received("roomMessage")] == ids
    histories = [await client.call("roomRecentHistory", room) for client in clients]
    assert all(history == histories[0] for history in histories)


@pytest.mark.covers(
    "notification:roomJoinedEcho", "notification:roomLeftEcho", "notification:socketConnectEcho",
    "notification:socketDisconnectEcho", "command:listOwnSockets",
)  # fmt: skip
async def test_presence_echoes_and_counts(three: Cluster) -> None:
    room, alice = three.name("room"), three.name("alice")
    await three.call(0, "add_room", room)
    watch = await three.joined(0, three.name("bob"), room)
    first = await three.login(0, alice)
    second = await three.login(1, alice)
    assert await first.wait_for("socketConnectEcho") == [id_of(second), 2]
    third = await three.login(2, alice)
    for client in (first, second):
        assert await client.wait_for("socketConnectEcho") == [id_of(third), 3]
    for number, client in enumerate((first, second, third), 1):
        assert await client.call("roomJoin", room) == number
        for other in {first, second, third} - {client}:
            assert await other.wait_for("roomJoinedEcho") == [room, id_of(client), number]
    assert await second.call("listOwnSockets") == {id_of(client): [room] for client in (first, second, third)}
    assert (await watch.call("roomUserSeen", room, alice))["joined"] is True
    assert await third.call("roomLeave", room) == 2
    assert await first.wait_for("roomLeftEcho") == [room, id_of(third), 2]
    await second.disconnect()
    assert await first.wait_for("roomLeftEcho") == [room, id_of(second), 1]
    assert await first.wait_for("socketDisconnectEcho") == [id_of(second), 2]
    await first.disconnect()
    assert await third.wait_for("socketDisconnectEcho", id_of(first)) == [id_of(first), 1]
    await watch.wait_for("roomUserLeft", room, alice)
    names = [name for name, args in watch.events if args[1:2] == [alice]]
    assert names == ["roomUserJoined"]
    assert (await watch.call("roomUserSeen", room, alice))["joined"] is False


@pytest.mark.covers(
    "command:roomAddToList", "command:roomSetWhitelistMode", "notification:roomAccessListAdded",
    "notification:roomModeChanged", "notification:roomAccessRemoved",
    "better:no reading or posting after a removal",
)  # fmt: skip
async def test_removals_are_effective_everywhere_once_acknowledged(three: Cluster) -> None:
    room, alice, bob = three.name("room"), three.name("alice"), three.name("bob")
    await three.call(0, "add_room", room, owner=alice)
    owner = await three.joined(0, alice, room)
    outs = [await three.joined(place, bob, room) for place in range(3)]
    witnesses = [await three.joined(place, three.name("carol"), room) for place in range(3)]
    idle = await three.login(1, bob)
    await owner.call("roomAddToList", room, "blacklist", [bob])
    for client in outs:
        assert await client.error("roomMessage", room, TEXT) == wire_error("notJoined", room)
        assert await client.error("roomRecentHistory", room) == wire_error("notJoined", room)
    await owner.call("roomMessage", room, TEXT)
    for client in [owner, *witnesses]:
        # By now each instance has delivered the message.
        await client.wait_for("roomMessage", room)
    assert await owner.wait_for("roomAccessListAdded") == [room, "blacklist", [bob]]
    await owner.wait_for("roomUserLeft", room, bob)
    for client in [*outs, idle]:
        await client.wait_for("roomAccessRemoved", room)
        # The ack arrives after everything sent to the socket before it.
        await client.call("directGetWhitelistMode")
        assert client.received("roomMessage") == []
    assert await idle.call("listOwnSockets") == {id_of(client): [] for client in [*outs, idle]}
    # A mode that leaves only the owner.
    carol = await three.joined(2, three.name("carol"), room)
    await owner.call("roomSetWhitelistMode", room, True)
    await carol.wait_for("roomModeChanged", room, True)
    await carol.wait_for("roomAccessRemoved", room)
    assert await owner.call("roomGetAccessList", room, "userlist") == [alice]


@pytest.mark.covers("command:roomGetAccessList", "command:roomRemoveFromList", "api:room_has_in_list")
async def test_access_lists_are_the_same_everywhere(three: Cluster) -> None:
    room, alice = three.name("room"), three.name("alice")
    await three.call(0, "add_room", room, owner=alice)
    clients = [await three.joined(place, alice, room) for place in range(3)]
    for place, client in enumerate(clients):
        await client.call("roomAddToList", room, "whitelist", [f"name{place}"])
    for client in clients:
        assert set(await client.call("roomGetAccessList", room, "whitelist")) == {"name0", "name1", "name2"}
    await clients[2].call("roomRemoveFromList", room, "whitelist", ["name0"])
    for place in range(3):
        assert await three.call(place, "room_has_in_list", room, "whitelist", "name0") is False
        assert await three.call(place, "room_has_in_list", room, "whitelist", "name1") is True
    for client in clients:
        await client.wait_for("roomAccessListRemoved", room, "whitelist", ["name0"])


@pytest.mark.covers("api:disconnect_user_sockets", "api:disconnect_socket")
async def test_disconnects_reach_every_instance(three: Cluster) -> None:
    alice, bob = three.name("alice"), three.name("bob")
    clients = [await three.login(place, alice) for place in (0, 1, 2, 2)]
    other = await three.login(1, bob)
    await three.call(0, "disconnect_user_sockets", alice)
    for client in clients:
        await client.wait_for("disconnect")
    assert await other.call("listOwnSockets") == {id_of(other): []}
    await three.call(2, "disconnect_socket", id_of(other))
    await other.wait_for("disconnect")

    async def is_offline() -> bool:
        return await three.call(0, "exec_user_command", alice, "listOwnSockets") == [{}]

    await wait_until(is_offline, "the user is offline")
    await three.call(1, "delete_user", alice)


@pytest.mark.covers("api:exec_user_command", "notification:roomJoinedEcho", "notification:roomLeftEcho")
async def test_commands_for_a_socket_on_another_instance(three: Cluster) -> None:
    room, alice = three.name("room"), three.name("alice")
    await three.call(0, "add_room", room)
    client, other = await three.login(2, alice), await three.login(1, alice)
    context = {"user_name": alice, "id": id_of(client)}
    assert await three.call(0, "exec_user_command", context, "roomJoin", room) == [1]
    for told in (client, other):
        assert await told.wait_for("roomJoinedEcho") == [room, id_of(client), 1]
    assert await client.call("roomMessage", room, TEXT) == 1
    await client.wait_for("roomMessage", room)
    assert await three.call(1, "exec_user_command", context, "roomLeave", room) == [0]
    assert await client.wait_for("roomLeftEcho") == [room, id_of(client), 0]
    with pytest.raises(AssertionError, match="noRoom"):
        await three.call(0, "exec_user_command", context, "roomJoin", three.name("room"))
    with pytest.raises(AssertionError, match="invalidSocket"):
        await three.call(0, "exec_user_command", {"user_name": alice, "id": "nobody's"}, "roomJoin", room)


@pytest.mark.covers("command:roomDelete", "notification:roomAccessRemoved", "api:delete_room")
async def test_deleted_room_is_gone_everywhere(three: Cluster) -> None:
    room, alice = three.name("room"), three.name("alice")
    await three.call(0, "add_room", room, owner=alice)
    clients = [await three.joined(place, user, room) for place, user in ((0, alice), (1, "b"), (2, "c"))]
    await clients[0].call("roomDelete", room)
    for place, client in enumerate(clients):
        await client.wait_for("roomAccessRemoved", room)
        assert await client.error("roomMessage", room, TEXT) == wire_error("noRoom", room)
        assert await three.call(place, "has_room", room) is False
    # A recreated room is a new room with ids from 1.
    await three.call(1, "add_room", room)
    for client in clients:
        await client.call("roomJoin", room)
    assert await clients[2].call("roomMessage", room, TEXT) == 1
    await everybody_has(clients, 1)


@pytest.mark.covers("command:directMessage", "notification:directMessageEcho", "command:systemMessage")
async def test_direct_and_system_messages(three: Cluster) -> None:
    alice, bob = three.name("alice"), three.name("bob")
    sender, own = await three.login(0, alice), await three.login(1, alice)
    recipients = [await three.login(place, bob) for place in range(3)]
    await sender.call("directMessage", bob, TEXT)
    for client in recipients:
        assert (await client.wait_for("directMessage"))[0]["author"] == alice
    assert (await own.wait_for("directMessageEcho"))[0] == bob
    await own.call("systemMessage", [1, {"two": 3}])
    assert await sender.wait_for("systemMessage") == [[1, {"two": 3}]]


@pytest.mark.covers("api:emit_to_channel", "api:get_instance_heartbeat", "api:get_instance_sockets")
async def test_channels_and_instances_are_known_everywhere(three: Cluster) -> None:
    room, alice = three.name("room"), three.name("alice")
    await three.call(0, "add_room", room)
    clients = [await three.joined(place, alice, room) for place in range(3)]
    await three.call(2, "emit_to_channel", room, "event", 1, "two")
    for place, client in enumerate(clients):
        assert await client.wait_for("event") == [1, "two"]
        uid = three.processes[place].uid
        for asked in range(3):
            assert await three.call(asked, "get_instance_heartbeat", uid) > 0
            sockets = await three.call(asked, "get_instance_sockets", uid)
            assert sockets[id_of(client)] == alice
