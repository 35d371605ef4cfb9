"""Users with many sockets, and sockets in many rooms: what a script does does not grow with their number."""

from collections.abc import Awaitable, Iterator
from typing import Any

import pytest
import redis as redis_client

from chat_service.contracts.records import Departure, RoomConfig
from chat_service.stores.redis import RedisStore
from chat_service.testing.store_suite import Peer
from chat_service.testing.store_suite.base import ALICE, NOW, ROOM, S1, S2, told, user_topic
from chat_service.types import InstanceId, RoomName, SocketId
from tests.redis.conftest import At
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis

MANY = 1000
ROOMS = [RoomName(f"room{number}") for number in range(MANY)]


@pytest.fixture
def client(server: RedisServer) -> Iterator["redis_client.Redis"]:
    with server.client() as made:
        yield made


@pytest.fixture
async def store(peer: Peer) -> RedisStore:
    """A store of an instance with two sockets of alice."""
    assert isinstance(peer.store, RedisStore)
    await peer.store.room_create(ROOM, RoomConfig())
    await peer.store.instance_heartbeat(peer.instance_id, NOW)
    await peer.connect(ALICE, S1)
    await peer.connect(ALICE, S2)
    return peer.store


async def commands(client: "redis_client.Redis", work: Awaitable[Any]) -> list[list[str]]:
    """The commands of each script that the work runs, but those that publish."""
    with client.monitor() as monitor:
        await work
        client.echo("the end")
        scripts: list[list[str]] = []
        while (line := monitor.next_command())["command"] != "ECHO the end":
            text = str(line["command"])
            if text.startswith(("EVALSHA", "EVAL ")):
                scripts.append([])
            elif line["client_type"] == "lua" and not text.startswith("SPUBLISH"):
                scripts[-1].append(text)
    # Without those that were not loaded yet.
    return [script for script in scripts if script]


async def test_a_join_looks_at_few_sockets_of_its_user(
    client: "redis_client.Redis", store: RedisStore, peer: Peer
) -> None:
    for socket in range(MANY):
        client.hset(store.keys.user_sockets(ALICE), f"socket{socket}", peer.instance_id)
    for work in (peer.join, peer.leave):
        ran = await commands(client, work(ALICE, S1))
        found = [text for script in ran for text in script if ":sockets" in text]
        assert all(text.startswith(("HEXISTS ", "HRANDFIELD ")) for text in found)
        assert any(text.startswith("HRANDFIELD ") and " 32 " in text for text in found)
    # It is not known whether others are elsewhere, so everybody is told through Redis.
    assert (await store._users.index_add(ALICE, S1, ROOM, "t", peer.instance_id, 0)).elsewhere >= 1


async def test_few_sockets_are_all_looked_at(store: RedisStore, peer: Peer) -> None:
    presence = await store._users.index_add(ALICE, S1, ROOM, "t", peer.instance_id, 0)
    assert (presence.sockets, presence.elsewhere) == (2, 0)
    presence = await store._users.index_add(ALICE, S1, ROOM, "t", InstanceId("another"), 0)
    assert (presence.sockets, presence.elsewhere) == (2, 2)


async def test_a_socket_in_many_rooms_disconnects_in_slices(
    client: "redis_client.Redis", alone: At, store: RedisStore, peer: Peer
) -> None:
    rooms, other = store.keys.user_rooms(ALICE), SocketId("another")
    client.hset(store.keys.user_sockets(ALICE), other, peer.instance_id)
    client.hset(rooms, mapping={f"{socket}:{room}": "t" for room in ROOMS for socket in (S1, S2, other)})
    await peer.hear(user_topic(ALICE))
    departures = [Departure(room=room, njoined=2) for room in ROOMS]
    work = store.socket_disconnect(ALICE, S1, peer.instance_id, departures)
    scripts = await commands(client, work)
    assert len(scripts) == MANY // 200
    for script in scripts:
        # A field for each of 200 rooms, and nothing that reads the whole index.
        assert len(script) <= 8
        assert not any(text.startswith("HKEYS ") for text in script)
        assert max(text.count(" ") for text in script) <= 201
    echoes = [told("roomLeftEcho", room, S1, 2, exclude=[S1]) for room in ROOMS]
    assert await peer.user_told(ALICE) == [*echoes, told("socketDisconnectEcho", S1, 2, exclude=[S1])]
    assert set(await store.user_sockets(ALICE)) == {S2, other}
    assert client.hlen(rooms) == 2 * MANY
    # What nobody has left goes with the user's last socket.
    for socket in (S2, other):
        await store.socket_disconnect(ALICE, socket, peer.instance_id, [])
    assert client.exists(rooms) == 0
