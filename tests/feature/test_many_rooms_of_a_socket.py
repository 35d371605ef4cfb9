"""A socket in many rooms: its end leaves time for others."""

import asyncio
from typing import Any

import pytest

from chat_service.domain.connections import LEAVES_AT_ONCE
from chat_service.testing import wait_until
from tests.support.parts import parts_of
from tests.support.spread import StartSpread

MANY = 450


async def test_the_end_of_a_socket_in_many_rooms_takes_several_turns_of_the_loop(
    spread: StartSpread, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = (await spread())[0]
    client = await node.login("alice")
    rooms = [f"room{number}" for number in range(MANY)]
    for room in rooms:
        await node.service.add_room(room)
    await asyncio.gather(*(client.call("roomJoin", room) for room in rooms))
    store, turn, turns = parts_of(node.service).store, 0, dict[int, int]()
    leave, loop = store.room_leave, asyncio.get_running_loop()
    ticking: list[asyncio.Handle] = []

    def count_turns() -> None:
        nonlocal turn
        turn += 1
        ticking[:] = [loop.call_soon(count_turns)]

    async def counted(*args: Any, **options: Any) -> Any:
        turns[turn] = turns.get(turn, 0) + 1
        return await leave(*args, **options)

    monkeypatch.setattr(store, "room_leave", counted)
    count_turns()
    try:
        await client.disconnect()
        await wait_until(lambda: sum(turns.values()) == MANY, "all rooms are left")
    finally:
        ticking[0].cancel()
    assert max(turns.values()) <= LEAVES_AT_ONCE
