"""The server API: lists of rooms, users and instances."""

from typing import Any

import pytest

from chat_service import ChatService, InstanceState, Page
from chat_service.domain.inbox import Inbox
from chat_service.domain.lease import Lease
from chat_service.testing import FakeClock
from tests.support.backends import ONE_STORE
from tests.support.parts import parts_of
from tests.support.wire_errors import raised
from tests.support.world import World


async def _names(ask: Any, limit: int) -> list[str]:
    names: list[str] = []
    page = await ask(limit)
    while True:
        assert isinstance(page, Page)
        names += [item.name for item in page.items]
        if page.cursor is None:
            return sorted(set(names))
        page = await ask(limit, page.cursor)


@pytest.mark.covers("api:list_rooms")
async def test_list_rooms(world: World) -> None:
    here, there = await world.start(), await world.start()
    for number in range(12):
        await here.service.add_room(f"room{number}", owner="alice")
    alice = await here.joined("alice", "room3")
    await there.joined("bob", "room3")
    await alice.call("roomMessage", "room3", {"textMessage": "hello"})
    for limit in (5, 100):
        assert await _names(there.service.list_rooms, limit) == sorted(f"room{n}" for n in range(12))
    rooms = {str(room.name): room for room in (await there.service.list_rooms()).items}
    busy, empty = rooms["room3"], rooms["room4"]
    assert (busy.owner, busy.members_count, busy.last_message_id, busy.history_size) == ("alice", 2, 1, 1)
    assert (empty.owner, empty.members_count, empty.last_message_id) == ("alice", 0, 0)


@pytest.mark.covers("api:room_status")
async def test_room_status(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room", owner="alice", whitelist_only=True, enable_userlist_updates=True)
    for _ in range(2):
        await instance.joined("alice", "room")
    status = await instance.service.room_status("room")
    assert (status.room.name, status.room.owner, status.room.members_count) == ("room", "alice", 1)
    assert status.room.whitelist_only and status.room.history_max_size == 10000
    assert status.members == {"alice": 2}
    assert status.enable_userlist_updates and not status.enable_access_lists_updates
    assert await raised(instance.service.room_status("nowhere")) == ("noRoom", "nowhere")
    assert await raised(instance.service.room_status("a:b")) == ("invalidName", "a:b")


@pytest.mark.covers("api:list_users")
async def test_list_users(world: World) -> None:
    here, there = await world.start(), await world.start()
    await here.service.add_user("carol")
    for instance in (here, there):
        await instance.login("alice")
    bob = await there.login("bob")
    sockets = {user.name: user.sockets for user in (await here.service.list_users()).items}
    assert sockets == {"alice": 2, "bob": 1}
    everybody = {user.name: user.sockets for user in (await here.service.list_users(online=False)).items}
    assert everybody == {"alice": 2, "bob": 1, "carol": 0}
    await bob.disconnect()
    assert await _names(here.service.list_users, 1) == ["alice"]


@pytest.mark.covers("api:list_instances")
async def test_list_instances(world: World) -> None:
    clock = FakeClock()
    here, there = await world.start(clock=clock), await world.start(clock=clock)
    await there.login("alice")
    await here.service.list_rooms()
    listed = {str(item.id): item for item in await here.service.list_instances()}
    assert set(listed) == {here.service.instance_uid, there.service.instance_uid}
    other = listed[there.service.instance_uid]
    assert (other.state, other.age, other.expires_in, other.sockets) == (InstanceState.ALIVE, 0, 30, 1)
    store, now = world.backend.new_store(), clock.now_ms()
    context = parts_of(here.service)
    assert isinstance(context.lease, Lease)
    await store.open(Inbox(context, context.lease))
    try:
        await store.instance_heartbeat(there.service.instance_uid, now - 31_000)  # type: ignore[arg-type]
        (lapsed,) = [item for item in await here.service.list_instances() if item.id == other.id]
        assert (lapsed.state, lapsed.age, lapsed.expires_in) == (InstanceState.LAPSED, 31, -1)
        pulse = (await store.instance_pulses())[other.id]
        assert await store.instance_claim(other.id, now - 1000, pulse)
        (claimed,) = [item for item in await here.service.list_instances() if item.id == other.id]
        assert (claimed.state, claimed.age) == (InstanceState.RECOVERING, 1)
    finally:
        await store.close()


@pytest.mark.parametrize("limit", [0, -1, 10_001, True, "5", None, 2.0])
@ONE_STORE
async def test_limits_are_counts(world: World, limit: Any) -> None:
    service: ChatService = (await world.start()).service
    for ask in (service.list_rooms, service.list_users):
        with pytest.raises(ValueError, match="limit: expected a whole number"):
            await ask(limit)


async def test_cursors_are_texts(world: World) -> None:
    service: ChatService = (await world.start()).service
    for ask in (service.list_rooms, service.list_users):
        with pytest.raises(ValueError, match="cursor: expected"):
            await ask(10, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="online"):
        await service.list_users(online="yes")  # type: ignore[arg-type]
