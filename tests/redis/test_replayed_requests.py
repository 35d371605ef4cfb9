"""Requests between instances that somebody has recorded on the bus and publishes again."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chat_service.testing import wait_until
from tests.redis.tapes import Tape
from tests.support.backends import InRedis
from tests.support.parts import parts_of
from tests.support.world import World

pytestmark = [
    pytest.mark.redis,
    pytest.mark.parametrize("backend", ["redis", "cluster"], indirect=True),
]


@pytest.fixture
async def secret_world(backend: InRedis) -> AsyncIterator[World]:
    backend.options["bus_secret"] = "secret"
    made = World(backend)
    yield made
    await made.close()


@pytest.mark.covers("store_option:bus_secret")
async def test_recorded_requests_have_no_effect(
    secret_world: World, backend: InRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """Each kind of request that clients or server code can cause: a join, a leave."""
    here, there = await secret_world.start(), await secret_world.start()
    await here.service.add_room("hall")
    alice = await there.login("alice")
    tape = Tape(backend, f"{backend.prefix}:instance:{{{there.service.instance_uid}}}")
    who: dict[str, Any] = {"user_name": "alice", "id": alice.id}
    try:
        recorded = {}
        for command in ("roomJoin", "roomLeave"):
            doing = asyncio.ensure_future(here.service.exec_user_command(who, command, "hall"))
            recorded[command] = await asyncio.to_thread(tape.record)
            await doing
        for command, undo in (("roomJoin", "roomLeave"), ("roomLeave", "roomJoin")):
            members = set((await here.service.room_status("hall")).members)
            assert members == ({"alice"} if command == "roomLeave" else set())
            with caplog.at_level(logging.WARNING):
                caplog.clear()
                for _ in range(3):
                    tape.play(recorded[command])
                await wait_until(lambda: caplog.text.count("dropped a repeated request") == 3, "the replays")
            assert set((await here.service.room_status("hall")).members) == members
            # Later requests are carried out.
            if undo == "roomLeave":
                await here.service.exec_user_command(who, "roomJoin", "hall")
                assert set((await here.service.room_status("hall")).members) == {"alice"}
        assert parts_of(there.service).store.bus.status().rejected <= 2  # type: ignore[attr-defined]
    finally:
        tape.close()


async def test_recorded_answers_have_no_effect(secret_world: World, backend: InRedis) -> None:
    here, there = await secret_world.start(), await secret_world.start()
    await here.service.add_room("hall")
    alice = await there.login("alice")
    tape = Tape(backend, f"{backend.prefix}:instance:{{{here.service.instance_uid}}}")
    who: dict[str, Any] = {"user_name": "alice", "id": alice.id}
    try:
        joining = asyncio.ensure_future(here.service.exec_user_command(who, "roomJoin", "hall"))
        answer = await asyncio.to_thread(tape.record)
        assert await joining == [1]
        leaving = asyncio.ensure_future(here.service.exec_user_command(who, "roomLeave", "hall"))
        for _ in range(3):
            tape.play(answer)
        assert await leaving == [0]
        assert await here.service.exec_user_command(who, "roomJoin", "hall") == [1]
    finally:
        tape.close()
