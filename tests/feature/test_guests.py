"""Ten thousand guests come and go, and leave nothing in the store."""

import asyncio
from typing import Any

import pytest

from chat_service import ChatService, Login
from chat_service.contracts.records import RoomConfig
from chat_service.testing import wait_until
from chat_service.testing.store_suite import Peer, Peers
from chat_service.types import RoomName, SocketId, UserName
from tests.conftest import BACKENDS
from tests.support.backends import ONE_STORE, InMemory, InRedis
from tests.support.parts import parts_of
from tests.support.world import World

ROOM = RoomName("room")
#: A cluster runs the same scripts as one server.
GUESTS = {"memory": 10_000, "redis": 10_000, "cluster": 2000}
#: Maximum number of guests at the same time.
AT_ONCE = 200


def as_guest(service: ChatService, socket_id: str) -> Login:
    return Login(service.transport.get_handshake_data(socket_id).query["userName"], ephemeral=True)


@ONE_STORE
async def test_a_thousand_guests_of_a_service(world: World, backend: Any) -> None:
    instance = await world.start(hooks={"on_connect": as_guest})
    await instance.service.add_room(ROOM)
    before = await backend.inventory()

    async def visit(number: int) -> None:
        client = await instance.transport.login(f"guest{number}")
        await client.call("roomJoin", ROOM)
        await client.disconnect()

    for first in range(0, 1000, AT_ONCE):
        await asyncio.gather(*(visit(number) for number in range(first, first + AT_ONCE)))
    await wait_until(lambda: len(parts_of(instance.service).sessions) == 0, "the end of the visits")
    assert await backend.inventory() == before


@pytest.mark.parametrize("kind", BACKENDS)
async def test_many_guests_in_the_store(kind: str, request: pytest.FixtureRequest) -> None:
    """The calls that a login, a join, a list and a disconnect make. Every tenth guest joins."""
    backend: InMemory | InRedis
    backend = InMemory() if kind == "memory" else InRedis(request.getfixturevalue(f"{kind}_servers"))
    peers = Peers(backend.new_store)
    peer = await peers.open()
    await peer.store.room_create(ROOM, RoomConfig())
    await peer.store.instance_heartbeat(peer.instance_id, 1)
    before = await backend.inventory()

    async def visit(number: int) -> None:
        user, socket_id, at = UserName(f"guest{number}"), SocketId(f"socket{number}"), peer.instance_id
        await peer.store.socket_connect(user, socket_id, at, ephemeral=True)
        if number % 10 == 0:
            await _join_and_leave(peer, user, socket_id)
        await peer.store.socket_disconnect(user, socket_id, at, [])

    for first in range(0, GUESTS[kind], AT_ONCE):
        await asyncio.gather(*(visit(number) for number in range(first, first + AT_ONCE)))
    assert await backend.inventory() == before
    await backend.leftovers()
    await peers.close()


async def _join_and_leave(peer: Peer, user: UserName, socket_id: SocketId) -> None:
    await peer.store.user_add_to_list(user, "blacklist", ["host"], 10)
    await peer.store.room_join(ROOM, user, socket_id, peer.instance_id, 1, announce=True, seen_limit=0)
    await peer.store.room_leave(ROOM, user, socket_id, 2, echo=False, keep_index=True)
